"""A study in numbers: how many runs, how good the frontier is, what it cost, how it grew."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import moocore
import numpy as np
from numpy.typing import NDArray

from limbeck.analysis.results import StudyResults
from limbeck.frontier import Summary, hypervolume, reference_point, summarize
from limbeck.metrics import Metric, optimized
from limbeck.runs import Run, RunState


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """A study in numbers.

    Attributes:
        states: Number of runs in each state that any run is in.
        summary: Size of the frontier, and shares of runs that beat the baseline.
        hypervolume: What the frontier dominates; 0 without usable runs. Its unit is the product of
            the optimized metrics' units.
        reference: From which it is counted, by name of the metric: see
            `limbeck.frontier.reference_point`.
        training_seconds: Of all runs together, whatever became of them.
    """

    states: Mapping[RunState, int]
    summary: Summary
    hypervolume: float
    reference: Mapping[str, float]
    training_seconds: float


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Where a study stood when one of its runs ended.

    Attributes:
        run: Number of the run.
        ended: Number of runs that had ended by then, this one among them.
        cost_seconds: Training seconds of these runs together.
        wall_seconds: Since the first run of the study was asked for; None if the runs have no
            times, as those of `limbeck.Optimizer`.
        hypervolume: Of the runs that had ended by then; never falls.
        joined: Whether the run was on the frontier then.
    """

    run: int
    ended: int
    cost_seconds: float
    wall_seconds: float | None
    hypervolume: float
    joined: bool


def statistics_of(results: StudyResults) -> Statistics:
    """Return a study in numbers."""
    counts = Counter(run.state for run in results.runs)
    reference = reference_point(results.runs, results.metrics)
    return Statistics(
        states={state: counts[state] for state in RunState if counts[state]},
        summary=summarize(results.runs, results.metrics, results.baseline),
        hypervolume=hypervolume(results.frontier, results.metrics, reference),
        reference=reference,
        training_seconds=math.fsum(run.seconds for run in results.runs),
    )


def hypervolume_history(results: StudyResults) -> tuple[Growth, ...]:
    """Return how the frontier grew, run by run, in the order in which they ended.

    The hypervolume is counted from one reference point, that of all runs, so it never falls. Where
    any run has no time of its end, all are taken in number order.
    """
    ended = [run for run in results.runs if run.state.ended]
    times = {run.number: run.ended for run in ended if run.ended is not None}
    if len(times) == len(ended):
        ended.sort(key=lambda run: (times[run.number], run.number))
    begun = min((run.created for run in results.runs if run.created is not None), default=None)
    usable = {run.number for run in results.usable}
    front = _Front(optimized(results.metrics), reference_point(results.runs, results.metrics))
    cost, points = 0.0, []
    for count, run in enumerate(ended, start=1):
        cost += run.seconds
        joined = run.number in usable and front.add(run)
        points.append(
            Growth(
                run=run.number,
                ended=count,
                cost_seconds=cost,
                wall_seconds=_seconds(begun, run.ended),
                hypervolume=front.hypervolume,
                joined=joined,
            )
        )
    return tuple(points)


class _Front:
    """The non-dominated of the runs added so far, and what they dominate.

    Attributes:
        hypervolume: Never falls.
    """

    def __init__(self, goals: Sequence[Metric], reference: Mapping[str, float]) -> None:
        self.hypervolume = 0.0
        self._goals = goals
        self._reference = reference
        self._losses: NDArray[np.float64] = np.empty((0, len(goals)))  # Smaller is better.

    def add(self, run: Run) -> bool:
        """Take a usable run in; return whether no other run dominates it."""
        losses = np.array([-m.larger_is_better(run.values[m.name]) for m in self._goals])
        no_worse = (self._losses <= losses).all(axis=1)
        if no_worse.any():
            return bool(
                (self._losses[no_worse] == losses).all()
            )  # Its equal is there, or a better.
        kept = ~(self._losses >= losses).all(axis=1)
        self._losses = np.vstack([self._losses[kept], losses])
        reference = [-m.larger_is_better(self._reference[m.name]) for m in self._goals]
        # Rounding may make it a trifle smaller.
        self.hypervolume = max(
            self.hypervolume, float(moocore.hypervolume(self._losses, ref=reference))
        )
        return True


def _seconds(begun: datetime | None, ended: datetime | None) -> float | None:
    return None if begun is None or ended is None else (ended - begun).total_seconds()
