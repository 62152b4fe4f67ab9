"""What a search knows of those who make its runs: processes here, or actors on a cluster."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from limbeck.config import BudgetSettings
from limbeck.execute.worker import Answer, Lost, Message, Task
from limbeck.runs import Outcome, Reason, Run, RunState


@dataclass(kw_only=True, eq=False)
class Worker(ABC):
    """A worker and what it is doing.

    Attributes:
        run: The run it makes; None while it is idle.
        step: Optimizer steps done.
        total_steps: Optimizer steps of the run; 0 before training starts.
        scores: The last scores that it reported of the run.
        ending: How its run ends, once it has been told to end it; None until then.
        began: When it was given the run, on the monotonic clock.
        heard: When it last said something, on the monotonic clock.
    """

    run: Run | None = None
    step: int = 0
    total_steps: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    ending: Outcome | None = None
    began: float = 0.0
    heard: float = 0.0

    @abstractmethod
    def send(self, message: Task | Answer) -> None:
        """Tell it something; that it has died in the meantime is found out later."""

    @abstractmethod
    def hear(self) -> Sequence[Message | Lost]:
        """Return what it has said. If it is gone, the last of that is how its run ends."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once; `hear` finds it gone."""

    def begin(self, run: Run, folder: Path) -> None:
        """Give it a run."""
        self.run, self.step, self.total_steps = run, 0, 0
        self.scores, self.ending = {}, None
        self.began = self.heard = time.monotonic()
        self.send(Task(run.parameters, folder))

    def answer(self, *, go_on: bool) -> None:
        """Answer what it asks."""
        self.send(Answer(go_on))

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


class Crew(Protocol):
    """The workers of a search: hired, given runs, heard, dismissed.

    Attributes:
        places: How many runs are made at a time.
        shares_home: Whether all workers keep their runs in the home folder of the search.
    """

    places: int
    shares_home: bool

    @property
    def busy(self) -> Sequence[Worker]:
        """Those that make a run."""
        ...

    @property
    def free(self) -> int:
        """How many runs could be begun at once."""
        ...

    def call(self) -> None:
        """See to it that there will be a worker for every place: there are runs to make."""

    def rest(self) -> None:
        """Let those go that are not needed: there is nothing to begin just now."""

    def take(self) -> Worker:
        """Return an idle worker; there is one if `free` is not 0."""
        ...

    def wait(self, seconds: float) -> Sequence[Worker]:
        """Return the busy workers that have said something, or are gone, waiting for the first."""
        ...

    def tidy_up(self, run: Run) -> None:
        """Remove what was kept to go on with a run that has ended."""

    def dismiss(self, worker: Worker) -> None:
        """End a worker, in good order if it can."""

    def leave(self) -> None:
        """End all workers."""
