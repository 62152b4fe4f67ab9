"""A search on this machine: workers are processes, and this process alone writes to the store."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from typing_extensions import override

from limbeck.config import StudyConfig
from limbeck.distill.checkpoint import remove_checkpoint
from limbeck.execute.carry_out import Asking, Watch, carry_out
from limbeck.execute.crew import Worker
from limbeck.execute.worker import Answer, Message, Task, work
from limbeck.home import Home
from limbeck.mirror import Mirrors
from limbeck.runs import Outcome, Reason, Run, RunState
from limbeck.study import Study

GRACE_SECONDS = 10.0
"""How long a worker may take to end when it is asked to."""


def search(
    study: Study,
    config: StudyConfig,
    home: Home,
    *,
    workers: int,
    watch: Watch,
    mirrors: Mirrors | None = None,
) -> None:
    """Carry out a study's runs on this machine; see `carry_out`.

    Args:
        study: Asks and tells.
        config: What the workers' objective is made from.
        home: Where runs are kept.
        workers: Runs at a time; they share the cores.
        watch: See `Watch`.
        mirrors: Where else the runs are shown.

    Raises:
        LimbeckError: See `carry_out`.
    """
    crew = Processes(config, home, workers=workers)
    carry_out(study, config, home, crew=crew, source=Asking(study), watch=watch, mirrors=mirrors)


@dataclass(eq=False)
class Process(Worker):
    """A worker process.

    Attributes:
        number: From 0; no two that work at the same time have the same.
        process: Runs `limbeck.execute.worker.work`.
        connection: To it.
    """

    number: int
    process: BaseProcess
    connection: "Connection[Task | Answer, Message]"

    @override
    def send(self, message: Task | Answer) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(message)

    @override
    def hear(self) -> Sequence[Message]:
        try:
            return (self.connection.recv(),)
        except (EOFError, ConnectionResetError):
            return (self._fate(),)

    @override
    def kill(self) -> None:
        self.process.kill()

    def dismiss(self) -> None:
        """End it, in good order if it can."""
        self.connection.close()
        self.process.terminate()
        self.process.join(GRACE_SECONDS)
        self.process.kill()
        self.process.join()

    def _fate(self) -> Outcome:
        """Return how the run ends of a worker that is gone."""
        self.process.join()
        code = self.process.exitcode or 0
        if code < 0:
            reason, message = Reason.KILLED, f"the worker ended with signal {-code}"
        else:
            reason, message = Reason.LOST_WORKER, f"the worker ended with exit code {code}"
        return Outcome(
            state=RunState.FAILED,
            reason=reason,
            message=message,
            seconds=time.monotonic() - self.began,
        )


class Processes:
    """Worker processes, hired when there is a run for them, and kept; a `Crew`.

    Args:
        config: What their objective is made from.
        home: Where runs are kept.
        workers: How many there may be.
    """

    def __init__(self, config: StudyConfig, home: Home, *, workers: int) -> None:
        self.places, self.shares_home = workers, True
        self._config = config
        self._home = home
        self._members: list[Process] = []

    @property
    def busy(self) -> Sequence[Process]:
        """See `Crew`."""
        return [worker for worker in self._members if worker.run]

    @property
    def free(self) -> int:
        """See `Crew`."""
        return self.places - len(self.busy)

    def call(self) -> None:
        """See `Crew`; a process is hired when it is taken."""

    def rest(self) -> None:
        """See `Crew`; an idle process is in nobody's way."""

    def take(self) -> Process:
        """See `Crew`."""
        idle = [worker for worker in self._members if not worker.run]
        return idle[0] if idle else self._hire()

    def wait(self, seconds: float) -> Sequence[Process]:
        """See `Crew`."""
        ready = wait([worker.connection for worker in self.busy], timeout=seconds)
        return [worker for worker in self.busy if worker.connection in ready]

    def tidy_up(self, run: Run) -> None:
        """See `Crew`."""
        folder = self._home.run(self._config.file.name, run.number)
        remove_checkpoint(folder / "checkpoint.safetensors")

    def dismiss(self, worker: Worker) -> None:
        """See `Crew`."""
        mine = next(member for member in self._members if member is worker)
        self._members.remove(mine)
        mine.dismiss()

    def leave(self) -> None:
        """See `Crew`."""
        for worker in self._members:
            worker.dismiss()

    def _hire(self) -> Process:
        """Start a worker that takes a free place."""
        threads = max(1, (os.cpu_count() or 1) // self.places)
        number = min(set(range(self.places)) - {worker.number for worker in self._members})
        # Libraries take seconds to load: one process does, and every worker is a fork of it.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([work.__module__])
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work,
            name=f"worker {number}",
            args=(theirs, self._config, self._home, number, threads),
            daemon=True,
        )
        process.start()
        theirs.close()
        worker = Process(number, process, ours)
        self._members.append(worker)
        return worker
