"""The worker processes of a search on this machine: hired, given runs, heard, dismissed."""

import multiprocessing
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from limbeck.config import BudgetSettings, StudyConfig
from limbeck.execute.worker import Answer, Message, Task, work
from limbeck.home import Home
from limbeck.runs import Outcome, Reason, Run, RunState

GRACE_SECONDS = 10.0
"""How long a worker may take to end when it is asked to."""


@dataclass
class Worker:
    """A worker process and what it is doing.

    Attributes:
        number: From 0; no two that work at the same time have the same.
        process: Runs `limbeck.execute.worker.work`.
        connection: To it.
        run: The run it makes; None while it is idle.
        step: Optimizer steps done.
        total_steps: Optimizer steps of the run; 0 before training starts.
        scores: The last scores that it reported of the run.
        ending: How its run ends, once it has been told to end it; None until then.
        began: When it was given the run, on the monotonic clock.
        heard: When it last said something, on the monotonic clock.
    """

    number: int
    process: BaseProcess
    connection: "Connection[Task | Answer, Message]"
    run: Run | None = None
    step: int = 0
    total_steps: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    ending: Outcome | None = None
    began: float = 0.0
    heard: float = 0.0

    def begin(self, run: Run, folder: Path) -> None:
        """Give it a run."""
        self.run, self.step, self.total_steps = run, 0, 0
        self.scores, self.ending = {}, None
        self.began = self.heard = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(Task(run.parameters, folder))

    def answer(self, *, go_on: bool) -> None:
        """Answer what it asks; one that has died in the meantime is found out later."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(Answer(go_on))

    def end(self, ending: Outcome) -> None:
        """Tell it to end its run; it does so when it next reports."""
        self.ending = ending
        self.answer(go_on=False)

    def overdue(self, budget: BudgetSettings) -> Outcome | None:
        """Return how its run ends if it takes too long; None if it does not."""
        now = time.monotonic()
        silent, taken = (now - self.heard) / 60, (now - self.began) / 60
        if silent > budget.silent_minutes:
            why = f"it told nothing for {silent:.1f} minutes (budget.silent_minutes)"
        elif budget.run_minutes is not None and taken > budget.run_minutes:
            why = f"it took {taken:.1f} minutes (budget.run_minutes)"
        else:
            return None
        return Outcome(
            state=RunState.FAILED,
            reason=Reason.TIMED_OUT,
            message=f"{why}, at step {self.step} of {self.total_steps}",
            seconds=now - self.began,
        )

    def fate(self) -> Outcome:
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

    def dismiss(self) -> None:
        """End it, in good order if it can."""
        self.connection.close()
        self.process.terminate()
        self.process.join(GRACE_SECONDS)
        self.process.kill()
        self.process.join()


def hire(config: StudyConfig, home: Home, crew: list[Worker], *, workers: int) -> Worker:
    """Start a worker that takes a free place among ``workers``, and add it to the crew."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    number = min(set(range(workers)) - {worker.number for worker in crew})
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=work,
        name=f"worker {number}",
        args=(theirs, config, home, number, threads),
        daemon=True,
    )
    process.start()
    theirs.close()
    worker = Worker(number, process, ours)
    crew.append(worker)
    return worker
