"""A process that distils one student after another for the search that started it."""

import errno
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from transformers.utils.logging import disable_progress_bar
from typing_extensions import override

from limbeck.artifacts import with_artifacts
from limbeck.config import StudyConfig
from limbeck.distill.device import Device
from limbeck.distill.distributed import is_main
from limbeck.distill.training import Reporter
from limbeck.errors import DataError, ModelError, StoppedError
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import CurvePoint, Forecast, Outcome, Reason, RunState
from limbeck.space import Parameters

TRACEBACK_LINES = 20
"""So many lines of a traceback are kept with the run; the log has all."""

_PROBE_BYTES = 1 << 20


@dataclass(frozen=True)
class Task:
    """What a worker is asked for: one student, made in a folder."""

    parameters: Parameters
    folder: Path


@dataclass(frozen=True)
class Began:
    """Training starts after ``step`` of ``total_steps``."""

    step: int
    total_steps: int
    epoch_steps: int


@dataclass(frozen=True)
class Reported:
    """Points of the run's curves. After scores, the worker waits for an `Answer`."""

    points: tuple[CurvePoint, ...]
    scored: bool


@dataclass(frozen=True)
class Sampled:
    """What the first questions tell of a student's scores on all; it waits for an `Answer`."""

    forecasts: Mapping[str, Forecast]


@dataclass(frozen=True)
class Answer:
    """Whether the worker goes on with its run; it may also come unasked, to end the run."""

    go_on: bool


@dataclass(frozen=True)
class Lost:
    """The machine of a worker is gone: its run is to be made elsewhere, as nobody made it."""

    message: str


Message: TypeAlias = Began | Reported | Sampled | Outcome
"""What a worker says; an outcome ends its task."""


class Line(Protocol):
    """What connects a worker with the search; a `Connection` is one."""

    def send(self, message: Message, /) -> None:
        """Say something to the search."""

    def poll(self) -> bool:
        """Whether the search has said something."""
        ...

    def recv(self) -> Task | Answer:
        """Return what the search says, waiting for it."""
        ...


class _LineReporter(Reporter):
    """Passes what training reports on to the search."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @override
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        self._line.send(Began(step, total_steps, epoch_steps))

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        points = tuple(
            CurvePoint(step=step, metric=metric, value=value, seconds=seconds)
            for metric, value in values.items()
        )
        scored = "loss" not in values
        self._line.send(Reported(points, scored))
        if (scored or self._line.poll()) and not self._may_go_on():
            raise StoppedError(f"the search ends this run at step {step}")

    def needs_all(self, forecasts: Mapping[str, Forecast]) -> bool:
        """Ask whether a student has to answer all questions; see `limbeck.objective.Objective`."""
        self._line.send(Sampled(forecasts))
        return self._may_go_on()

    def _may_go_on(self) -> bool:
        answer = self._line.recv()
        assert isinstance(answer, Answer), "a new task comes after the outcome of the last one"
        return answer.go_on


def work(
    connection: "Connection[Message, Task | Answer]",
    config: StudyConfig,
    home: Home,
    number: int,
    threads: int,
) -> None:
    """Carry out tasks until the search closes the connection or is gone.

    GPUs are dealt out to the workers by number, in turn.

    A task that raises is reported as *failed* with the reason, its traceback is logged, and the
    process ends: the search starts a new one.

    Where a launcher's variables say that this process only helps another (see
    `limbeck.distill.distributed`), its outcome says no more than that its part is done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'

    @cache
    def objective() -> Objective:
        if Device.choose(config.file.training).torch_device.type == "cuda":
            torch.cuda.set_device(number % torch.cuda.device_count())
        return Objective(config, home)

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        # An answer came unasked, when the run had just ended.
        if isinstance(task, Task) and not make(objective, task, connection):
            raise SystemExit(1)


def make(objective: Callable[[], Objective], task: Task, line: Line) -> bool:
    """Carry out one task, and say how it ended.

    What is printed from now on goes to a file in the folder of the run.

    Args:
        objective: Returns what carries it out.
        task: What is asked for.
        line: Connects with the search.

    Returns:
        Whether this process may carry out another; not after a task that raised.
    """
    reporter = _LineReporter(line)
    try:
        _log_to(task.folder / "log.txt")
        carry_out = objective()
        outcome = carry_out(task.parameters, task.folder, reporter, needs_all=reporter.needs_all)
    except Exception as error:  # noqa: BLE001  # Whatever it is, the search decides what follows.
        traceback.print_exc()
        line.send(failed(error, task.folder))
        return False
    if is_main():
        outcome = with_artifacts(outcome, task.folder, carry_out.config)
    line.send(outcome)
    return True


def failed(error: Exception, folder: Path) -> Outcome:
    """Return how a run ends whose worker met an error that is none of the run's own kind."""
    lines = traceback.format_exception(error)
    return Outcome(
        state=RunState.FAILED,
        reason=_reason(error, folder),
        message=f"{error} (traceback in {folder / 'log.txt'})",
        error_type=type(error).__name__,
        traceback="\n".join("".join(lines).splitlines()[-TRACEBACK_LINES:]),
    )


def _reason(error: Exception, folder: Path) -> Reason:
    if is_full(folder):
        return Reason.DISK_FULL
    return Reason.DATA if isinstance(error, DataError | ModelError) else Reason.EXCEPTION


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder takes nothing more; libraries tell it in many ways."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def _end_with_parent() -> None:
    """End this process at once when the search that started it is gone, however it went."""
    parent = parent_process()
    assert parent is not None, "a worker is started by a search"
    parent.join()
    os._exit(1)


def _log_to(path: Path) -> None:
    """Send everything that this process prints, below Python too, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
