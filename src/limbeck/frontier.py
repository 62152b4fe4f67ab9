"""The runs worth having, how much they cover, and how they compare with the baseline.

Every function takes all metrics of a study, at least one of them optimized, and looks at the
optimized ones, however many there are and whichever way is better.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from limbeck.metrics import Goal, Metric, Role, is_usable, optimized
from limbeck.runs import Run, RunState


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a run is from the baseline in one metric.

    Attributes:
        metric: The metric.
        value: The run's value, in the metric's unit; NaN if it has none.
        absolute: ``value`` less the baseline's, in the metric's unit (for a score in percent:
            points); NaN if either has none.
        relative: The same in percent of the baseline's, for a metric to be minimized: a size or a
            cost. None for a score, and where the baseline's value is 0.
    """

    metric: Metric
    value: float
    absolute: float
    relative: float | None

    @property
    def better(self) -> bool:
        """Whether the run is better than the baseline; not if equal, not for NaN or infinity."""
        return _is_better(self.absolute, self.metric)


@dataclass(frozen=True, kw_only=True)
class Share:
    """Some of several runs.

    Attributes:
        count: How many.
        n: Of how many.
    """

    count: int
    n: int

    @property
    def percent(self) -> float | None:
        """The share in percent; None of no runs."""
        return 100 * self.count / self.n if self.n else None

    @property
    def text(self) -> str:
        """The share for people: ``3 of 7 (43 %)``."""
        percent = "" if self.percent is None else f" ({self.percent:.0f} %)"
        return f"{self.count} of {self.n}{percent}"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A study in a few numbers. Those that need a finished baseline are None without one.

    Attributes:
        frontier: Number of runs on the frontier, the baseline among them if it is there.
        better_in_any: Share of the finished runs, other than the baseline, that are better than it
            in at least one optimized metric, whether within the thresholds or not.
        better_in_all: Share of the same runs that are better than the baseline in every optimized
            metric and within every threshold.
        frontier_better: For each known metric to be minimized, by name: share of the frontier that
            is better (smaller) than the baseline.
    """

    frontier: int
    better_in_any: Share | None
    better_in_all: Share | None
    frontier_better: Mapping[str, Share] | None


def usable_runs(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> tuple[Run, ...]:
    """Return the finished runs within every threshold, in their given order.

    A run without a finite value of an optimized or constraint metric is never among them.
    """
    judged = tuple(metric for metric in metrics if metric.role is not Role.STORE)
    return tuple(
        run for run in runs if run.state is RunState.FINISHED and is_usable(judged, run.values)
    )


def frontier(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> tuple[Run, ...]:
    """Return the usable runs that no usable run dominates.

    One run dominates another if it is nowhere worse and somewhere better. Runs with exactly equal
    values therefore stay together: all of them are on the frontier, or none.

    Returns:
        Sorted by the first optimized metric to be minimized, smallest first (by the first optimized
        metric if all are to be maximized); equal ones by their number.
    """
    usable = usable_runs(runs, metrics)
    goals = optimized(metrics)
    kept = moocore.is_nondominated(
        _values(usable, goals), maximise=_maximise(goals), keep_weakly=True
    )
    leading = next((metric for metric in goals if metric.goal is Goal.MINIMIZE), goals[0])
    return tuple(
        sorted(
            (run for run, keep in zip(usable, kept, strict=True) if keep),
            key=lambda run: (run.values[leading.name], run.number),
        )
    )


def hypervolume(
    runs: Sequence[Run], metrics: tuple[Metric, ...], reference: Mapping[str, float]
) -> float:
    """Return how much of the space between the reference point and the best the runs dominate.

    Args:
        runs: The usable ones count, as far as they are better than the reference point in every
            optimized metric.
        metrics: The metrics of the study.
        reference: A value for each optimized metric, by name: see `reference_point`.

    Returns:
        Larger is better; 0 without usable runs. Its unit is the product of the metrics' units.
    """
    usable = usable_runs(runs, metrics)
    if not usable:
        return 0.0
    goals = optimized(metrics)
    return float(
        moocore.hypervolume(
            _values(usable, goals),
            ref=[reference[metric.name] for metric in goals],
            maximise=_maximise(goals),
        )
    )


def reference_point(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> Mapping[str, float]:
    """Return the value of each optimized metric from which the hypervolume is counted.

    It is the metric's threshold if there is one, otherwise the worst value: of all runs, if the
    metric is known, else of the usable ones. It moves while runs come in, but only outwards, so
    that the hypervolume never falls.

    Returns:
        By metric name; a metric for which there is no value yet is left out, in which case there is
        no usable run either.
    """
    usable = usable_runs(runs, metrics)
    point: dict[str, float] = {}
    for metric in optimized(metrics):
        judged = runs if metric.known else usable
        values = [run.values.get(metric.name, math.nan) for run in judged]
        finite = [value for value in values if math.isfinite(value)]
        if metric.threshold is not None:
            point[metric.name] = metric.threshold
        elif finite:
            point[metric.name] = min(finite, key=metric.larger_is_better)
    return point


def compare(run: Run, baseline: Run, metrics: tuple[Metric, ...]) -> tuple[Difference, ...]:
    """Return the run's difference from the baseline in each optimized metric, in their order."""
    return tuple(_difference(run, baseline, metric) for metric in optimized(metrics))


def summarize(runs: Sequence[Run], metrics: tuple[Metric, ...], baseline: Run | None) -> Summary:
    """Return the study in a few numbers.

    Args:
        runs: All runs of the study, the baseline among them or not.
        metrics: The metrics of the study.
        baseline: The run to compare with; None, or one that is not finished, if there is none yet.
    """
    front = frontier(runs, metrics)
    if baseline is None or baseline.state is not RunState.FINISHED:
        return Summary(
            frontier=len(front), better_in_any=None, better_in_all=None, frontier_better=None
        )
    others = [
        run for run in runs if run.state is RunState.FINISHED and run.number != baseline.number
    ]
    goals = optimized(metrics)
    better = {
        run.number: [_is_better(_absolute(run, baseline, metric), metric) for metric in goals]
        for run in others
    }
    usable = usable_runs(others, metrics)
    return Summary(
        frontier=len(front),
        better_in_any=Share(count=sum(any(better[run.number]) for run in others), n=len(others)),
        better_in_all=Share(count=sum(all(better[run.number]) for run in usable), n=len(others)),
        frontier_better={
            metric.name: Share(
                count=sum(_is_better(_absolute(run, baseline, metric), metric) for run in front),
                n=len(front),
            )
            for metric in metrics
            if metric.known and metric.goal is Goal.MINIMIZE
        },
    )


def _difference(run: Run, baseline: Run, metric: Metric) -> Difference:
    value = run.values.get(metric.name, math.nan)
    start = baseline.values.get(metric.name, math.nan)
    is_cost = metric.goal is Goal.MINIMIZE and start != 0
    return Difference(
        metric=metric,
        value=value,
        absolute=_absolute(run, baseline, metric),
        relative=100 * (value - start) / abs(start) if is_cost else None,
    )


def _absolute(run: Run, baseline: Run, metric: Metric) -> float:
    return run.values.get(metric.name, math.nan) - baseline.values.get(metric.name, math.nan)


def _is_better(absolute: float, metric: Metric) -> bool:
    return math.isfinite(absolute) and metric.larger_is_better(absolute) > 0


def _values(runs: Sequence[Run], metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """Return a ``len(runs) x len(metrics)`` array of values as measured."""
    rows = [[run.values[metric.name] for metric in metrics] for run in runs]
    return np.array(rows, dtype=np.float64).reshape(len(runs), len(metrics))


def _maximise(metrics: Sequence[Metric]) -> list[bool]:
    return [metric.goal is Goal.MAXIMIZE for metric in metrics]
