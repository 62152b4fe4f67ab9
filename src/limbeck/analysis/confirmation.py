"""How much of a finalist's score was luck: what it was chosen for against what it does again."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from limbeck.frontier import frontier
from limbeck.metrics import Metric, Role
from limbeck.runs import Run, RunState
from limbeck.space import Parameters, Value


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """One metric of one finalist.

    Attributes:
        number: The finalist, a run of the study that chose it.
        metric: The metric.
        selected: Its value there; NaN if it has none.
        values: Its values in the repeated runs, on questions that selected nothing.
        luck: How much more the value got worse than the baseline's did, in the metric's unit; None
            without a repeated baseline. The baseline was not selected: what it loses is what other
            questions and seeds cost anyone.
    """

    number: int
    metric: Metric
    selected: float
    values: tuple[float, ...]
    luck: float | None

    @property
    def mean(self) -> float:
        """Mean of the repeated runs."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation of the repeated runs (n - 1); NaN of one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan


def confirm_runs(
    runs: Sequence[Run], repeats: Sequence[Run], metrics: Sequence[Metric]
) -> tuple[Confirmed, ...]:
    """Return what became of the finalists: in the order of ``runs``, then of ``metrics``.

    Known metrics and metrics that are only stored are left out; so are finalists without a finished
    repetition.

    Args:
        runs: Those of the study, run 0 its baseline.
        repeats: Finished or not: runs with the parameters of a finalist and a seed.
        metrics: Those of the study.
    """
    judged = [m for m in metrics if not m.known and m.role is not Role.STORE]
    again = by_parameters(repeats)
    falls = {
        (run.number, metric.name): _fall(run, again.get(_key(run.parameters), ()), metric)
        for run in runs
        for metric in judged
    }
    return tuple(
        Confirmed(
            number=run.number,
            metric=metric,
            selected=run.values.get(metric.name, math.nan),
            values=tuple(repeat.values[metric.name] for repeat in again[_key(run.parameters)]),
            luck=_difference(falls[run.number, metric.name], falls.get((0, metric.name))),
        )
        for run in runs
        if _key(run.parameters) in again
        for metric in judged
    )


def confirmed_frontier(
    runs: Sequence[Run], repeats: Sequence[Run], metrics: tuple[Metric, ...]
) -> tuple[Run, ...]:
    """Return the finalists that are on the frontier of their mean values, these values in them."""
    again = by_parameters(repeats)
    means = [
        replace(run, values=_means(again[_key(run.parameters)]), errors={})
        for run in runs
        if _key(run.parameters) in again
    ]
    return frontier(means, metrics)


def by_parameters(repeats: Sequence[Run]) -> Mapping[frozenset[tuple[str, Value]], list[Run]]:
    """Return the finished runs by what they repeat: all of their parameters but the seed."""
    again: dict[frozenset[tuple[str, Value]], list[Run]] = {}
    for repeat in repeats:
        if repeat.state is RunState.FINISHED:
            again.setdefault(_key(repeat.parameters), []).append(repeat)
    return again


def _key(parameters: Parameters) -> frozenset[tuple[str, Value]]:
    return frozenset((name, value) for name, value in parameters.items() if name != "seed")


def _means(repeats: Sequence[Run]) -> dict[str, float]:
    shared = set.intersection(*(set(repeat.values) for repeat in repeats))
    return {name: statistics.fmean(repeat.values[name] for repeat in repeats) for name in shared}


def _fall(run: Run, repeats: Sequence[Run], metric: Metric) -> float | None:
    """Return how much worse the repetitions are than the run; None without any."""
    if not repeats or metric.name not in run.values:
        return None
    mean = statistics.fmean(repeat.values[metric.name] for repeat in repeats)
    return metric.larger_is_better(run.values[metric.name]) - metric.larger_is_better(mean)


def _difference(fall: float | None, baseline: float | None) -> float | None:
    return None if fall is None or baseline is None else fall - baseline
