"""A run's student in, a checked folder out."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias, get_args

from safetensors import SafetensorError

from limbeck.config.packages import module_with_onnx
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
class Exported:
    """A folder that was written.

    Attributes:
        kind: The format: see `export_run`.
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
    folder: Path | None = None,
    *,
    to: Kind = "hf",
    check: int = 200,
    licenses: Licenses | None = None,
    progress: Callable[[str], None] | None = None,
) -> Exported:
    """Write a run's student for other programs; the folder appears whole and checked, or not.

    Args:
        store: Has the study.
        study: Its name.
        number: Of the run.
        folder: Where to write; empty, or not there yet. In the working directory, named for study,
            run and format, if None.
        to: ``hf`` (in the size that the student has), ``hf-stock`` (in a class of transformers'
            own, filled up with zeros), ``onnx``, ``onnx-int8``.
        check: Scored questions to compare the answers on; 0 for none.
        licenses: For the model card.
        progress: Called with what is being done.

    Raises:
        NotFoundError: If there is no such study or run.
        ConfigError: If there is no such format, the run has no student, the folder is not empty or
            cannot be written, or a package is missing.
        DataError: If the student is gone, or the questions cannot be read.
        ModelError: If the student cannot be read, or the export does not answer as it does.
    """
    _check_wanted(to, check)
    source = find_source(store, study, number)
    place = check_folder(folder or Path(f"{study}-{number}-{to}"))
    if to.startswith("onnx"):
        onnx_module()
    say = progress or _silent
    questions = _questions(source, check)
    with source.student() as student, _written(place) as unfinished:
        say(f"writing {to}")
        class_name = _write(student, unfinished, source, to)
        comparison = None
        if questions is not None:
            say(f"checking the answers to {len(questions)} questions")
            comparison = _compare(student, unfinished, source, to, questions)
            _judge(comparison, to)
        write_card(
            unfinished,
            source,
            student,
            kind=to,
            class_name=class_name,
            comparison=comparison,
            licenses=licenses or Licenses(),
        )
    return Exported(
        kind=to,
        folder=folder or place,
        bytes=size(place),
        class_name=class_name,
        comparison=comparison,
    )


def _check_wanted(to: str, check: int) -> None:
    """Check what the types alone do not.

    Raises:
        ConfigError: If there is no such format, or the number of questions is negative.
    """
    if to not in KINDS:
        raise ConfigError(f"an export must be to {', '.join(KINDS)}, but got {to!r}; take one")
    if check < 0:
        raise ConfigError(
            f"check must be a number of questions, but got {check}; 0 is for no check"
        )


def check_folder(folder: Path) -> Path:
    """Check that an export can take the place of a folder; return that place, links resolved.

    Raises:
        ConfigError: If something is there already, or somebody works there.
    """
    place = folder.resolve()
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise ConfigError(
            f"an export needs a folder that is new or empty, but {folder} is neither; name another"
        )
    if place == Path.cwd():
        raise ConfigError(
            "an export takes the place of its folder, so that cannot be the working directory; "
            "name another, in it or beside it"
        )
    return place


@contextmanager
def _written(place: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``place``; what cannot be written is one line.

    Raises:
        ConfigError: If the disk is full or the folder cannot be written, or if meanwhile something
            has come into it.
    """
    try:
        with whole_folder(place) as unfinished:
            yield unfinished
            mine = unfinished.stat().st_ino
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"an export must be written to {place}, but: {error}; make room, or name another folder"
        ) from error
    if place.stat().st_ino != mine:
        raise ConfigError(
            f"an export needs a folder that is new or empty, but meanwhile something came into "
            f"{place}; nothing was written: name another"
        )


def onnx_module() -> ModuleType:
    """Return `limbeck.export.onnx`.

    Raises:
        ConfigError: If a package that it needs is not installed.
    """
    return module_with_onnx("limbeck.export.onnx")


def serving_module() -> ModuleType:
    """Return `limbeck.export.serving`.

    Raises:
        ConfigError: If a package that it needs is not installed.
    """
    return module_with_onnx("limbeck.export.serving")


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
