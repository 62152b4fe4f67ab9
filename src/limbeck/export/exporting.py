"""A run's student in, a checked folder out."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias, get_args

from limbeck.errors import ConfigError, DataError, LimbeckWarning, ModelError
from limbeck.export.card import Licenses, public_name, write_card
from limbeck.export.check import (
    INT8_MARGIN,
    TOLERANCE,
    Comparison,
    Given,
    answers_of_folder,
    answers_of_torch,
    compare,
)
from limbeck.export.hugging_face import write_hugging_face, write_stock
from limbeck.export.source import Source, find_source
from limbeck.files import size, whole_folder
from limbeck.questions import Questions
from limbeck.store import Store
from limbeck.students.loading import load_teacher, load_tokenizer
from limbeck.tasks.question_answering.dataset import QuestionSet

Kind: TypeAlias = Literal["hf", "hf-stock", "onnx", "onnx-int8"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SEED = 0
"""Of the sample of questions that an export is checked on."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be exported.

    Attributes:
        kind: ``hf`` (in the size that the student has), ``hf-stock`` (in a class of transformers'
            own, filled up with zeros), ``onnx``, ``onnx-int8``.
        check: Scored questions to compare the answers on; 0 for none.
        licenses: For the model card.
    """

    kind: Kind
    check: int = 200
    licenses: Licenses = field(default_factory=Licenses)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A folder that was written.

    Attributes:
        kind: See `Wanted`.
        folder: Where it is.
        bytes: Of all its files.
        class_name: The model's class, in a Hugging Face folder; else None.
        comparison: How its answers compare with the student's; None if that was not wanted.
    """

    kind: Kind
    folder: Path
    bytes: int
    class_name: str | None
    comparison: Comparison | None


def export_run(
    store: Store,
    study: str,
    number: int,
    folder: Path,
    wanted: Wanted,
    *,
    progress: Callable[[str], None] | None = None,
) -> Exported:
    """Write a run's student for other programs; the folder appears whole and checked, or not.

    Args:
        store: Has the study.
        study: Its name.
        number: Of the run.
        folder: Where to write; empty, or not there yet.
        wanted: What to write.
        progress: Called with what is being done.

    Raises:
        NotFoundError: If there is no such study or run.
        ConfigError: If the run has no student, the folder is not empty, or a package is missing.
        DataError: If the student is gone, or the questions cannot be read.
        ModelError: If the student cannot be read, or the export does not answer as it does.
    """
    source = find_source(store, study, number)
    check_folder(folder)
    if wanted.kind.startswith("onnx"):
        onnx_module()
    say = progress or _silent
    questions = _questions(source, wanted.check)
    with source.student() as student, whole_folder(folder) as unfinished:
        say(f"writing {wanted.kind}")
        class_name = _write(student, unfinished, source, wanted.kind)
        comparison = None
        if questions is not None:
            say(f"checking the answers to {len(questions)} questions")
            comparison = _compare(student, unfinished, source, wanted.kind, questions)
            _judge(comparison, wanted.kind)
        write_card(
            unfinished,
            source,
            kind=wanted.kind,
            class_name=class_name,
            comparison=comparison,
            licenses=wanted.licenses,
        )
    return Exported(
        kind=wanted.kind,
        folder=folder,
        bytes=size(folder),
        class_name=class_name,
        comparison=comparison,
    )


def check_folder(folder: Path) -> None:
    """Check that an export can be written to a folder.

    Raises:
        ConfigError: If something is there already.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(
            f"an export needs a folder that is new or empty, but {folder} is neither; name another"
        )


def onnx_module() -> ModuleType:
    """Return `limbeck.export.onnx`.

    Raises:
        ConfigError: If a package that it needs is not installed.
    """
    return _module("onnx")


def serving_module() -> ModuleType:
    """Return `limbeck.export.serving`.

    Raises:
        ConfigError: If a package that it needs is not installed.
    """
    return _module("serving")


def _module(name: str) -> ModuleType:
    try:
        return import_module(f"limbeck.export.{name}")
    except ModuleNotFoundError as error:
        raise missing_package(error) from error


def missing_package(error: ModuleNotFoundError) -> ConfigError:
    """Return what to tell users who lack a package of the extra; another error is raised again."""
    name = (error.name or "").partition(".")[0]
    if name not in ("onnx", "onnxscript", "onnxruntime"):
        raise error
    return ConfigError(
        f"this needs {name}, which is not installed; run: pip install 'limbeck[onnx]'"
    )


def _silent(_: str) -> None:
    """Say nothing."""


def _questions(source: Source, count: int) -> QuestionSet | None:
    """Return a sample of the questions that scored the run.

    Raises:
        DataError: If they cannot be read.
    """
    if not count:
        return None
    try:
        return Questions(source.config).scored.sample(count, seed=SEED)
    except DataError as error:
        raise DataError(
            f"an export is checked on the questions that scored its run, but: {error}; put them "
            "back, or leave the check out with --check 0, which the model card then says"
        ) from error


def _write(student: Path, folder: Path, source: Source, kind: Kind) -> str | None:
    match kind:
        case "hf":
            config = source.config
            teacher = public_name(config.model_path(config.file.teacher.model))
            return write_hugging_face(student, folder, teacher=teacher)
        case "hf-stock":
            return write_stock(student, folder)
        case "onnx" | "onnx-int8":
            _write_onnx(student, folder, source, int8=kind == "onnx-int8")
            return None


def _write_onnx(student: Path, folder: Path, source: Source, *, int8: bool) -> None:
    data, gives_null = source.config.file.data, source.gives_null
    onnx_module().write_onnx(student, folder, data, gives_null=gives_null, int8=int8)


def _compare(
    student: Path, folder: Path, source: Source, kind: Kind, questions: QuestionSet
) -> Comparison:
    data, gives_null = source.config.file.data, source.gives_null
    model, tokenizer = load_teacher(str(student)), load_tokenizer(str(student))
    own = answers_of_torch(model, tokenizer, questions, data, gives_null=gives_null)
    exported: Given
    if kind.startswith("onnx"):
        exported = onnx_module().answers_of_onnx(folder, questions)
    else:
        exported = answers_of_folder(folder, questions, data, gives_null=gives_null)
    return compare(questions, own, exported)


def _judge(comparison: Comparison, kind: Kind) -> None:
    """Refuse an export that answers otherwise; of int8, warn if it answers worse.

    Raises:
        ModelError: If it does.
    """
    if kind != "onnx-int8":
        if not comparison.is_equal:
            raise ModelError(
                f"an export must answer as its student, but of {comparison.questions} questions "
                f"{len(comparison.different)} get another answer, and a score differs by "
                f"{comparison.largest_difference:.2g} (at most {TOLERANCE:g} is rounding); nothing "
                "was written: please report it, and export to another format"
            )
    elif comparison.drop > INT8_MARGIN:
        warnings.warn(
            f"int8 costs {comparison.drop:.2f} points of exact match on {comparison.questions} "
            f"questions, more than the margin of {INT8_MARGIN:.1f}; take --to onnx, or check on "
            "more questions",
            LimbeckWarning,
            stacklevel=3,
        )
