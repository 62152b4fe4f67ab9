"""A process that distils one student after another for the search that started it."""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import torch
from transformers.utils.logging import disable_progress_bar
from typing_extensions import override

from limbeck.config import StudyConfig
from limbeck.distill.device import Device
from limbeck.distill.training import Reporter
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import CurvePoint, Outcome, RunState
from limbeck.space import Parameters


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


@dataclass(frozen=True)
class Reported:
    """Points of the run's curves."""

    points: tuple[CurvePoint, ...]


Message: TypeAlias = Began | Reported | Outcome
"""What a worker says; an outcome ends its task."""


class _PipeReporter(Reporter):
    """Passes what training reports on to the search."""

    def __init__(self, connection: "Connection[Message, Task]") -> None:
        self._connection = connection

    @override
    def begin(self, step: int, total_steps: int) -> None:
        self._connection.send(Began(step, total_steps))

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        points = tuple(
            CurvePoint(step=step, metric=metric, value=value, seconds=seconds)
            for metric, value in values.items()
        )
        self._connection.send(Reported(points))


def work(
    connection: "Connection[Message, Task]",
    config: StudyConfig,
    home: Home,
    number: int,
    threads: int,
) -> None:
    """Carry out tasks until the search closes the connection or is gone.

    GPUs are dealt out to the workers by number, in turn.

    A task that raises is reported as *failed* with the reason, and the error ends the process: the
    search starts a new one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if Device.choose(config.file.training).torch_device.type == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
    objective = Objective(config, home)
    reporter = _PipeReporter(connection)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        _log_to(task.folder / "log.txt")
        try:
            outcome = objective(task.parameters, task.folder, reporter)
        except Exception as error:
            connection.send(
                Outcome(
                    state=RunState.FAILED,
                    reason=type(error).__name__,
                    message=f"{error} (traceback in {task.folder / 'log.txt'})",
                )
            )
            raise
        connection.send(outcome)


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
