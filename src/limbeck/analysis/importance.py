"""Which parameters the metrics and the frontier depend on, as random forests on the runs see it.

The forests (`limbeck.analysis.forest`) stand for a metric between the runs; see
`limbeck.sensitivity` for what its indices mean. Metrics count with their own values.

Finished runs with a value count, and stopped ones with a forecast of it; where there is a forecast,
it counts rather than the value. Known metrics count for both. Infeasible and failed runs do not,
nor do those with other parameters than the searched ones: they have no value that compares.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc
from sklearn.metrics import r2_score

from limbeck.analysis.forest import Forests, interval
from limbeck.analysis.results import StudyResults
from limbeck.cube import ParameterCube
from limbeck.errors import NotFoundError
from limbeck.metrics import Metric, Role
from limbeck.runs import Run, RunState
from limbeck.sensitivity import (
    LEAST_RUNS,
    Importances,
    doubts,
    interactions,
    ranked,
    sobol_shares,
    too_few,
)
from limbeck.space import Float, SearchSpace, Value

FRONTIER = "frontier"
"""Stands for the metric where the question is what brings a run to the frontier."""

_POINTS = 512
_MOST_RUNS = 1024
"""Of more, so many are drawn at random: forests of all would take minutes to say the same."""
_RANDOM_PARAMETERS = 4
_INERT_QUANTILE = 0.95
_INACTIVE = -1.0
"""Outside of the unit cube, so that a tree can tell what is inactive from any value."""

_GRID = 17
_OTHERS = 64
"""Values of a parameter at which, and of the others over which, dependence is computed."""


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """What the forest expects of a metric along one parameter, whatever the others are.

    Attributes:
        parameter: Its name.
        values: Values of the parameter, in its order.
        means: An expected value of the metric for each: the mean over the other parameters, where
            the parameter is active.
        low: Lower ends of 90 % intervals of the means,
        high: and their upper ends.
    """

    parameter: str
    values: tuple[Value, ...]
    means: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def importance_targets(results: StudyResults) -> tuple[str, ...]:
    """Return what importances are shown of: each optimized and constraint metric, the frontier."""
    return (*(metric.name for metric in results.judged), FRONTIER)


def target_name(target: str) -> str:
    """Return what people read for one of `importance_targets`."""
    return "distance from the frontier" if target == FRONTIER else target


def measured(results: StudyResults, metric: str) -> tuple[tuple[Run, ...], NDArray[np.float64]]:
    """Return the runs that count, and an array of their values.

    Args:
        results: The study.
        metric: Name of one of its metrics, whatever its role; or `FRONTIER`, of which the value is
            `frontier_distances`.

    Raises:
        NotFoundError: If there is no such metric.
    """
    space = SearchSpace(results.parameters)
    ended = [run for run in results.runs if run.state in (RunState.FINISHED, RunState.STOPPED)]
    runs = [run for run in ended if space.contains(run.parameters)]
    if metric == FRONTIER:
        values = frontier_distances(runs, results.metrics)
    else:
        try:
            chosen = results.metric(metric)
        except NotFoundError as error:
            raise NotFoundError(f"{error}; {FRONTIER!r} is there, too") from error
        values = np.array([_final(run, chosen) for run in runs], dtype=np.float64)
    kept = np.isfinite(values)
    return tuple(run for run, keep in zip(runs, kept, strict=True) if keep), values[kept]


def frontier_distances(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> NDArray[np.float64]:
    """Return how much better each run would have to be to be on the frontier.

    Whether a run is on the frontier, yes or no, would be a poor number to learn: few runs are, and
    one that just fails counts like the worst. So it is the least improvement, the same in all
    optimized metrics, after which the run is within every threshold and no run dominates it. The
    unit is a metric's range over the usable runs; 0 on the frontier, at most 1. Costs that are
    positive are on a logarithmic scale.

    Returns:
        A ``len(runs)`` array; NaN for runs without a finite value of every optimized and constraint
        metric, and for all if no run is usable.
    """
    judged = [metric for metric in metrics if metric.role is not Role.STORE]
    columns = [_scaled(runs, metric) for metric in judged]
    scores = np.array([scores for scores, _ in columns]).T.reshape(len(runs), len(judged))
    least = np.array([threshold for _, threshold in columns])
    usable = np.isfinite(scores).all(axis=1) & (scores >= least).all(axis=1)
    if not usable.any():
        return np.full(len(runs), np.nan)
    span = np.ptp(scores[usable], axis=0)
    scores, least = (part / np.where(span > 0, span, 1.0) for part in (scores, least))
    goals = np.array([metric.role is Role.OPTIMIZE for metric in judged])
    rivals = np.unique(scores[usable][:, goals], axis=0)
    behind = np.array([(rivals - row).min(axis=1).max() for row in scores[:, goals]])
    short = np.maximum(behind, (least - scores).max(axis=1))
    return np.asarray(np.clip(short, 0.0, 1.0))


def forest_importances(results: StudyResults, metric: str, *, seed: int = 0) -> Importances:
    """Return which parameters a metric, or a run's distance from the frontier, depends on.

    Args:
        results: The study.
        metric: See `measured`.
        seed: Of the forests, and of the draw where there are more than 1,024 runs.

    Raises:
        NotFoundError: If there is no such metric.
    """
    return MetricForests.fit(results, metric, seed=seed).importances


def partial_dependence(
    results: StudyResults, metric: str, *, seed: int = 0
) -> tuple[Dependence, ...]:
    """Return the forests' expectation along each parameter; nothing if there are too few runs.

    Args:
        results: The study.
        metric: See `measured`.
        seed: Of the forests, and of the draw where there are more than 1,024 runs.

    Raises:
        NotFoundError: If there is no such metric.
    """
    return MetricForests.fit(results, metric, seed=seed).dependence()


@dataclass(frozen=True, kw_only=True)
class MetricForests:
    """The forests of one metric of a study, of which several things can be asked.

    Attributes:
        metric: Its name.
        space: The searched parameters.
        values: An ``n`` array: of the runs that count.
        forests: None if the runs are too few or all alike.
        why: Why there are none.
        seed: What was fitted and drawn with.
    """

    metric: str
    space: SearchSpace
    values: NDArray[np.float64]
    forests: Forests | None
    why: str = ""
    seed: int = 0

    @classmethod
    def fit(cls, results: StudyResults, metric: str, *, seed: int = 0) -> "MetricForests":
        """Fit forests to the runs of a study; see `forest_importances`."""
        runs, y = _drawn(*measured(results, metric), seed=seed)
        space, forests, why = SearchSpace(results.parameters), None, _unfit(y)
        if not why:
            X = ParameterCube(space).encode_points(
                [run.parameters for run in runs], inactive=_INACTIVE
            )
            forests = Forests.fit(X, y, random_columns=_RANDOM_PARAMETERS, seed=seed)
        return cls(metric=metric, space=space, values=y, forests=forests, why=why, seed=seed)

    @cached_property
    def importances(self) -> Importances:
        """The shares of each parameter and of each pair."""
        n = len(self.values)
        if self.forests is None:
            return too_few(self.metric, "forest", n, self.why)
        names = self.space.names
        shares = sobol_shares(
            self._mean_and_each, self._cube, seed=self.seed, points=_POINTS, pairs=True
        )
        assert shares.pairs is not None
        inert = _inert(names, shares.total[1:])
        r2 = float(r2_score(self.values, self.forests.unseen))
        return Importances(
            metric=self.metric,
            source="forest",
            n=n,
            r2=r2,
            parameters=ranked(
                names,
                first=_with_intervals(shares.first[:, : len(names)]),
                total=_with_intervals(shares.total[:, : len(names)]),
                inert=inert,
            ),
            interactions=interactions(names, shares.pairs[0]),
            inert=tuple(inert),
            warning=doubts(n=n, parameters=len(names), r2=r2, source="forest"),
        )

    def dependence(self) -> tuple[Dependence, ...]:
        """Return the expectation along each parameter."""
        if self.forests is None:
            return ()
        count = len(self._cube.space.names)
        rng = np.random.default_rng(self.seed)
        places = qmc.Sobol(count, rng=rng).random(64 * _OTHERS)
        return tuple(self._dependence(index, places) for index in range(len(self.space.names)))

    @cached_property
    def _cube(self) -> ParameterCube:
        # A space before the name: no study file has such a parameter.
        extra = (Float(name=f" {i}", low=0.0, high=1.0) for i in range(_RANDOM_PARAMETERS))
        return ParameterCube(SearchSpace((*self.space.parameters, *extra)))

    def _mean_and_each(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self.forests is not None
        of_each = self.forests.predict(self._cube.encode(places, inactive=_INACTIVE))
        return np.vstack([of_each.mean(axis=0), of_each])

    def _dependence(self, index: int, places: NDArray[np.float64]) -> Dependence:
        cube = self._cube
        parameter, grid = cube.space.parameters[index], cube.grid(index, most=_GRID)
        active = places[cube.active(places)[:, index]]
        others = (active if len(active) else places)[:_OTHERS]
        along = np.tile(others, (len(grid), 1))
        along[:, index] = np.repeat(grid, len(others))
        mean, *each = self._mean_and_each(along).reshape(-1, len(grid), len(others)).mean(axis=2)
        low, high = interval(mean, np.array(each))
        return Dependence(
            parameter=parameter.name,
            values=tuple(cube.value(index, place) for place in grid.tolist()),
            means=tuple(mean.tolist()),
            low=tuple(low.tolist()),
            high=tuple(high.tolist()),
        )


def _drawn(
    runs: tuple[Run, ...], y: NDArray[np.float64], *, seed: int
) -> tuple[tuple[Run, ...], NDArray[np.float64]]:
    if len(runs) <= _MOST_RUNS:
        return runs, y
    rows = np.sort(np.random.default_rng(seed).choice(len(runs), size=_MOST_RUNS, replace=False))
    return tuple(runs[row] for row in rows.tolist()), y[rows]


def _final(run: Run, metric: Metric) -> float:
    """Return what a run came to, or would have come to; NaN if unknown."""
    if metric.name in run.forecasts:
        return run.forecasts[metric.name].mean
    if run.state is RunState.FINISHED or metric.known:
        return run.values.get(metric.name, math.nan)
    return math.nan


def _scaled(runs: Sequence[Run], metric: Metric) -> tuple[NDArray[np.float64], float]:
    """Return an array of a metric's values, and its threshold: larger is better, costs as logs."""
    values = np.array([_final(run, metric) for run in runs], dtype=np.float64)
    finite = values[np.isfinite(values)]
    values = np.where(np.isfinite(values), values, np.nan)
    sign = metric.larger_is_better(1.0)
    threshold = -math.inf if metric.threshold is None else sign * metric.threshold
    limit = metric.threshold is None or metric.threshold > 0
    if sign > 0 or not limit or not len(finite) or finite.min() <= 0:
        return sign * values, threshold
    return -np.log(values), threshold if metric.threshold is None else -math.log(metric.threshold)


def _unfit(y: NDArray[np.float64]) -> str:
    """Return why nothing can be said of so few values; empty if something can."""
    if len(y) < LEAST_RUNS:
        return f"importance needs at least {LEAST_RUNS} finished runs, but there are {len(y)}"
    if np.ptp(y) == 0:
        return f"all {len(y)} runs have the same value, so no parameter explains a difference"
    return ""


def _inert(names: Sequence[str], totals: NDArray[np.float64]) -> list[str]:
    """Return the names of parameters that are no more important than random ones.

    Args:
        names: Of the parameters.
        totals: Total indices that each forest has of them, and of the random ones after them.
    """
    noise = np.quantile(totals[:, len(names) :], _INERT_QUANTILE)
    means = totals[:, : len(names)].mean(axis=0)
    return [name for name, mean in zip(names, means, strict=True) if mean <= noise]


def _with_intervals(
    indices: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ``p`` indices of the mean and their ``p x 2`` intervals.

    Args:
        indices: Of the mean in the first row, of each forest in the others.
    """
    low, high = interval(indices[0], indices[1:])
    return indices[0], np.clip(np.column_stack([low, high]), 0.0, 1.0)
