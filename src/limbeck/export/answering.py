"""Students and teachers that answer: exported to ONNX when first asked, and kept in the cache.

As a program (``python -m limbeck.export.answering``) it answers for another process, which need not
load any model. It reads a JSON object a line: first ``{"store": URL, "home": FOLDER}``, then
questions, ``{"study", "model", "question", "context"}``, where *model* is the number of a run or
``"teacher"``. To each it writes lines of ``{"note": ...}``, while it prepares, and one of
``{"answer": ...}`` (see `limbeck.answer.Answer`) or ``{"error": ...}``. It ends with its input.

It loads torch only to export, by name: most of the time it answers without.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from limbeck.config import DataSettings, StudyConfig
from limbeck.errors import LimbeckError, ModelError
from limbeck.export.source import Source, find_source
from limbeck.files import is_folder, whole_folder
from limbeck.files import sha256 as digest_of
from limbeck.home import Home
from limbeck.reference import read_reference
from limbeck.store import Store
from limbeck.students.checkpoint import find_folder, is_fine_tuned
from limbeck.study import stored_config

TEACHER = "teacher"
_KEPT = 5
"""Models in memory: a teacher and four students."""

Say = Callable[[str], None]


def answering_folder(source: Source, home: Home, *, say: Say) -> Path:
    """Return the ONNX export of a run's student, made if it is not in the cache.

    Args:
        source: The run.
        home: Has the cache.
        say: Called with what is being done, if that takes long.

    Raises:
        ConfigError: If a package is missing.
        DataError: If the student is gone.
        ModelError: If it cannot be read.
    """
    data, gives_null = source.config.file.data, source.gives_null
    folder = _place(home, source.weights.sha256, data, gives_null=gives_null)
    if not folder.is_dir():
        say(f"exporting run {source.run.number} to ONNX, once")
        with source.student() as student:
            _export(student, folder, data, gives_null=gives_null)
    return folder


def teacher_folder(store: Store, study: str, home: Home, *, say: Say) -> Path:
    """Return the same of a study's teacher.

    Args:
        store: Has the study.
        study: Its name.
        home: Has the cache, and the teacher if the study has fine-tuned one.
        say: See `answering_folder`.

    Raises:
        NotFoundError: If there is no such study.
        ConfigError: If a package is missing.
        ModelError: If the teacher cannot be found or read.
    """
    config = stored_config(store, study)
    teacher, data = _find_teacher(config, home), config.file.data
    scores = read_reference(home, study)
    values = [scores.values] if scores else [run.values for run in store.runs(study)]
    gives_null = any("NoAns_exact" in each for each in values)
    folder = _place(home, _digest(teacher, _stamp(teacher)), data, gives_null=gives_null)
    if not folder.is_dir():
        say("exporting the teacher to ONNX, once")
        _export(teacher, folder, data, gives_null=gives_null)
    return folder


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when somebody writes to a folder: names, sizes and times of its files."""
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


@lru_cache(maxsize=_KEPT)
def _digest(folder: Path, _: object) -> str:
    """Return the digest of a teacher's folder, which takes long, once for every stamp of it."""
    return digest_of(folder)


def _find_teacher(config: StudyConfig, home: Home) -> Path:
    model = config.model_path(config.file.teacher.model)
    if not is_fine_tuned(model):
        # Where a study's own teacher lies depends on the windows that it was taught with.
        model = import_module("limbeck.objective").Objective(config, home).teacher_path
        if not is_folder(Path(model)):
            raise ModelError(
                f"the teacher of study {config.file.name!r} must be fine-tuned before it is asked, "
                f"but is not at {model} yet; limbeck search does it first"
            )
    return find_folder(model)


def _place(home: Home, digest: str, data: DataSettings, *, gives_null: bool) -> Path:
    """Return where an export is; another one for other settings and other code."""
    settings = [
        version("limbeck"),
        *(data.max_length, data.doc_stride, data.max_query_length, data.max_answer_length),
        gives_null,
    ]
    key = sha256(f"{digest} {settings}".encode()).hexdigest()[:24]
    return home.cache / f"answering-{key}"


def _export(student: Path, folder: Path, data: DataSettings, *, gives_null: bool) -> None:
    onnx = import_module("limbeck.export.exporting").onnx_module()
    import_module("transformers.utils.logging").disable_progress_bar()
    with whole_folder(folder) as unfinished:
        onnx.write_onnx(student, unfinished, data, gives_null=gives_null, int8=False)


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer questions until there are no more; see the module's text.

    Args:
        requests: Of which each line is one.
        answers: Where they go.
    """
    place = json.loads(requests.readline())
    answering = import_module("limbeck.answer")
    load = lru_cache(maxsize=_KEPT)(answering.Answerer)

    def write(**line: object) -> None:
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    with Store(place["store"]) as store:
        for line in requests:
            request = json.loads(line)
            try:
                folder = _folder(
                    request, store, Home(Path(place["home"])), say=lambda text: write(note=text)
                )
                answerer = load(folder)
                answer = answerer(request["question"], request["context"])
            except (LimbeckError, answering.AnsweringError) as error:
                write(error=" ".join(str(error).split()))
            else:
                write(answer={**asdict(answer), "threshold": answerer.settings.null_threshold})


def _folder(request: Mapping[str, Any], store: Store, home: Home, *, say: Say) -> Path:
    study, model = request["study"], request["model"]
    if model == TEACHER:
        return teacher_folder(store, study, home, say=say)
    return answering_folder(find_source(store, study, model), home, say=say)


@contextmanager
def _own_output() -> Iterator[TextIO]:
    """Yield what was the standard output; whatever else prints goes to the standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(own, "w", encoding="utf-8") as output:
        yield output


def main() -> None:
    """Answer on standard input and output."""
    with _own_output() as answers:
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
