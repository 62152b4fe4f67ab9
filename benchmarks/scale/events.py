"""A search on many workers, event by event: who works when, and when the sampler chooses what."""

import csv
import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cost
import numpy as np
from problem import Problem

from limbeck.runs import Run

MEASURED = Path(__file__).parents[1] / "early_stopping" / "runs.csv"
QUASIRANDOM_SECONDS = 0.02
"""Of a suggestion while there is no result, with the store: rough, from logs of single searches."""

HIRE_SECONDS = 15.0
"""Until a worker on Ray takes its first run: rough, from logs of single searches."""

BEGIN_SECONDS = 0.3
"""Until an idle worker begins its next run: rough, from logs of single searches, rounded up."""


class Chooser(Protocol):
    """Chooses runs, and says how long it took."""

    def __call__(self, ended: int, *, again: bool) -> float:
        """Choose the next run, knowing how the first ``ended`` ones to end ended.

        Args:
            ended: How many had ended when the first of a batch was chosen.
            again: Whether another one was chosen knowing the same.

        Returns:
            Seconds.
        """
        ...

    def seconds(self, number: int) -> float:
        """Return how long a chosen run takes."""
        ...

    def end(self, number: int) -> None:
        """Note that a run has ended."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How a simulated search went.

    Attributes:
        workers: Runs at a time.
        runs: In all.
        wall: Seconds until the last run ended.
        open: Seconds until the last run was begun, from when on there is not work for all; and at
            least until the first one ended.
        busy: Worker seconds until then that were spent on runs.
        spent: Worker seconds of all runs.
        choosing: Seconds that the sampler chose.
        ends: When each run ended, in the order of their ends, and its number.
    """

    workers: int
    runs: int
    wall: float
    open: float
    busy: float
    spent: float
    choosing: float
    ends: tuple[tuple[float, int], ...]

    @property
    def utilization(self) -> float:
        """Share of the workers' time that runs took, as long as there were runs to begin."""
        return self.busy / (min(self.workers, self.runs) * (self.open - HIRE_SECONDS))


@dataclass
class _State:
    """What goes on at a moment of a simulated search."""

    free: int
    chosen: int = 0
    ended: int = 0
    is_choosing: bool = False
    waiting: deque[int] = field(default_factory=deque)


def simulate(chooser: Chooser, *, workers: int, runs: int, ahead: int) -> Search:
    """Return how a search goes.

    Args:
        chooser: Chooses runs.
        workers: Runs at a time.
        runs: In all.
        ahead: How many runs are chosen before a worker is free; with 0, whoever is free asks, and
            every choice knows all that there is to know.
    """
    events: list[tuple[float, int, Callable[[], None]]] = []
    order = itertools.count()
    now, choosing = HIRE_SECONDS, 0.0
    state = _State(free=workers)
    begun: list[tuple[float, float]] = []
    ends: list[tuple[float, int]] = []

    def at(moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(events, (moment, next(order), what))

    def choose() -> None:
        nonlocal choosing
        lacking = (ahead or min(state.free, 1)) - len(state.waiting)
        batch = min(lacking, runs - state.chosen)
        if state.is_choosing or batch <= 0:
            return
        state.is_choosing = True
        moment, known = now, state.ended
        for place in range(batch):
            seconds = chooser(known, again=place > 0)
            choosing += seconds
            moment += seconds
            number = state.chosen
            state.chosen += 1
            at(moment, lambda number=number, last=place == batch - 1: queue(number, is_last=last))

    def queue(number: int, *, is_last: bool) -> None:
        state.waiting.append(number)
        state.is_choosing = not is_last

    def end(number: int) -> None:
        ends.append((now, number))
        state.ended += 1
        state.free += 1
        chooser.end(number)

    while len(ends) < runs:
        while state.free and state.waiting:
            number = state.waiting.popleft()
            state.free -= 1
            begun.append((now, chooser.seconds(number)))
            at(now + BEGIN_SECONDS + begun[-1][1], lambda number=number: end(number))
        choose()
        now, _, happen = heapq.heappop(events)
        happen()
    last = max(begun[-1][0], ends[0][0])
    return Search(
        workers=workers,
        runs=runs,
        wall=now,
        open=last,
        busy=sum(min(seconds, last - start) for start, seconds in begun),
        spent=sum(seconds for _, seconds in begun),
        choosing=choosing,
        ends=tuple(ends),
    )


class Costed:
    """Chooses nothing, but takes as long as limbeck's sampler does for 17 parameters.

    Args:
        workers: Runs at a time, of which all but one are pending when another is chosen.
        times: How long runs take.
        model: Seconds of a suggestion.
    """

    def __init__(self, workers: int, times: "Times", model: cost.Cost) -> None:
        self._workers = workers
        self._times = times
        self._model = model
        self._last: tuple[int, float, float] = (-1, 0.0, 0.0)

    def __call__(self, ended: int, *, again: bool) -> float:
        """See `Chooser`."""
        if ended < 2:
            return QUASIRANDOM_SECONDS
        return self._model(ended, self._workers, again=again)

    def seconds(self, number: int) -> float:
        """See `Chooser`."""
        return self._times.draw(number)

    def end(self, number: int) -> None:
        """See `Chooser`."""


class Real:
    """Limbeck's own sampler on a problem whose frontier is known; its processor time counts.

    Args:
        problem: What is searched.
        times: How long runs take, by their depth.
    """

    def __init__(self, problem: Problem, times: "Times") -> None:
        self.problem = problem
        self.runs: list[Run] = []
        self._times = times
        self._ended: list[int] = []
        self._sampler = cost.make_sampler(problem)
        self._known: list[Run] = []

    def __call__(self, ended: int, *, again: bool) -> float:
        """See `Chooser`."""
        if not again:
            done = set(self._ended[:ended])
            self._known = [
                cost.make_run(
                    self.problem, run.number, run.parameters, is_pending=run.number not in done
                )
                for run in self.runs
            ]
        start = time.process_time()
        parameters = self._sampler.suggest(self._known)
        seconds = time.process_time() - start
        run = cost.make_run(self.problem, len(self.runs), parameters, is_pending=True)
        self.runs.append(run)
        self._known.append(run)
        return seconds

    def seconds(self, number: int) -> float:
        """See `Chooser`."""
        depth = self.runs[number].parameters["num_layers"]
        assert isinstance(depth, int), "students17 searches whole numbers of layers"
        return self._times.draw(number, depth=depth / 20)

    def end(self, number: int) -> None:
        """See `Chooser`."""
        self._ended.append(number)

    def shares(self, search: Search) -> list[float]:
        """Return the share of the true frontier's hypervolume after each end."""
        values = [self.problem.evaluate(self.runs[number].parameters) for _, number in search.ends]
        return [
            self.problem.share([value for value in values[: count + 1] if value is not None])
            for count in range(len(values))
        ]


class Times:
    """Seconds of runs, drawn from those of 70 real runs.

    Args:
        scale: What they are multiplied by.
        seed: Of the drawing.
    """

    def __init__(self, scale: float, seed: int = 0) -> None:
        with MEASURED.open(newline="") as file:
            rows = [
                (int(row["parameters.num_layers"]), float(row["seconds"]))
                for row in csv.DictReader(file)
            ]
        rows.sort()
        self._seconds = np.array([seconds for _, seconds in rows]) * scale
        self._seed = seed

    @property
    def median(self) -> float:
        """The middle one."""
        return float(np.median(self._seconds))

    def draw(self, number: int, *, depth: float | None = None) -> float:
        """Return the seconds of a run: of any real one, or of one about as deep.

        Args:
            number: The run's; the same number draws the same.
            depth: From 0 to 1, among the real runs.
        """
        rng = np.random.default_rng([self._seed, number])
        if depth is None:
            return float(rng.choice(self._seconds))
        near = math.floor(depth * (len(self._seconds) - 1)) + rng.integers(-5, 6)
        return float(self._seconds[np.clip(near, 0, len(self._seconds) - 1)])
