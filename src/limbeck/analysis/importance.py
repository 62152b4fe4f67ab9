"""Which parameters the metrics and the frontier depend on, as a random forest on the runs sees it.

The forest (Breiman: "Random forests", Machine Learning 45, 2001) stands for a metric between the
runs; see `limbeck.sensitivity` for what its indices mean. Metrics count with their own values.

Finished runs with a value count, and stopped ones with a forecast of it; where there is a forecast,
it counts rather than the value. Known metrics count for both. Infeasible and failed runs do not,
nor do those with other parameters than the searched ones: they have no value that compares.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc
from sklearn.metrics import r2_score

from limbeck.analysis.forest import Forest
from limbeck.analysis.results import StudyResults
from limbeck.cube import ParameterCube
from limbeck.errors import NotFoundError
from limbeck.metrics import Metric, Role
from limbeck.runs import Run, RunState
from limbeck.sensitivity import (
    LEAST_RUNS,
    Importances,
    Shares,
    doubts,
    interactions,
    ranked,
    sobol_shares,
    too_few,
)
from limbeck.space import Float, SearchSpace, Value

FRONTIER = "frontier"
"""Stands for the metric where the question is what brings a run to the frontier."""

_TREES = 128
_POINTS = 2048
_REFITS = 12
_CHANCE_FITS = 8
_FEW_TREES = 40
_FEW_POINTS = 512
"""Of forests that only show a spread."""
_SLOW_RUNS = 400
"""With more runs there are fewer of them: each takes longer, and they differ less."""
_MOST_RUNS = 1024
"""Of more, so many are drawn at random: forests of all would take minutes to say the same."""
_RANDOM_PARAMETERS = 4
_INERT_QUANTILE = 0.95
_INTERVAL = (0.05, 0.95)
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
        low: 90 % of forests that are fitted to resampled runs lie between here, as far from their
            median,
        high: and here.
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
    runs, y = _drawn(*measured(results, metric), seed=seed)
    if why := _unfit(y):
        return too_few(metric, "forest", len(y), why)
    cube = ParameterCube(SearchSpace(results.parameters))
    names = cube.space.names
    X = cube.encode_points([run.parameters for run in runs], inactive=_INACTIVE)
    forest = Forest.fit(X, y, trees=_TREES, seed=seed)
    shares = _shares(forest, cube, seed=seed, points=_POINTS, pairs=True)
    refits = [_shares(f, cube, seed=seed, points=_FEW_POINTS) for f in _refits(X, y, seed=seed)]
    inert = _inert(X, y, cube, seed=seed)
    assert shares.pairs is not None
    r2 = float(r2_score(y, forest.unseen))
    return Importances(
        metric=metric,
        source="forest",
        n=len(y),
        r2=r2,
        parameters=ranked(
            names,
            first=(
                shares.first[0],
                _intervals(shares.first[0], [each.first[0] for each in refits]),
            ),
            total=(
                shares.total[0],
                _intervals(shares.total[0], [each.total[0] for each in refits]),
            ),
            inert=inert,
        ),
        interactions=interactions(names, shares.pairs[0]),
        inert=tuple(inert),
        warning=doubts(n=len(y), parameters=len(names), r2=r2, source="forest"),
    )


def partial_dependence(
    results: StudyResults, metric: str, *, seed: int = 0
) -> tuple[Dependence, ...]:
    """Return the forest's expectation along each parameter; nothing if there are too few runs.

    Args:
        results: The study.
        metric: See `measured`.
        seed: Of the forests, and of the draw where there are more than 1,024 runs.

    Raises:
        NotFoundError: If there is no such metric.
    """
    runs, y = _drawn(*measured(results, metric), seed=seed)
    if _unfit(y):
        return ()
    cube = ParameterCube(SearchSpace(results.parameters))
    X = cube.encode_points([run.parameters for run in runs], inactive=_INACTIVE)
    forests = [Forest.fit(X, y, trees=_TREES, seed=seed), *_refits(X, y, seed=seed)]
    places = qmc.Sobol(len(cube.space.names), rng=np.random.default_rng(seed)).random(64 * _OTHERS)
    return tuple(
        _dependence(forests, cube, index, places) for index in range(len(cube.space.names))
    )


def _dependence(
    forests: Sequence[Forest],
    cube: ParameterCube,
    index: int,
    places: NDArray[np.float64],
) -> Dependence:
    """Return dependence on one parameter; the first forest is the one of all runs."""
    parameter, grid = cube.space.parameters[index], cube.grid(index, most=_GRID)
    active = places[cube.active(places)[:, index]]
    others = (active if len(active) else places)[:_OTHERS]
    along = np.tile(others, (len(grid), 1))
    along[:, index] = np.repeat(grid, len(others))
    X = cube.encode(along, inactive=_INACTIVE)
    curves = np.array([forest.predict(X).reshape(len(grid), -1).mean(axis=1) for forest in forests])
    spread = np.quantile(curves[1:], _INTERVAL, axis=0) - np.median(curves[1:], axis=0)
    low, high = curves[0] + spread
    return Dependence(
        parameter=parameter.name,
        values=tuple(cube.value(index, place) for place in grid.tolist()),
        means=tuple(curves[0].tolist()),
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


def _refits(X: NDArray[np.float64], y: NDArray[np.float64], *, seed: int) -> Iterator[Forest]:
    """Yield forests on runs that are drawn from the runs, with replacement."""
    for each in np.random.SeedSequence(seed).spawn(_fits(_REFITS, len(y))):
        rng = np.random.default_rng(each)
        rows = rng.integers(len(y), size=len(y))
        yield Forest.fit(X[rows], y[rows], trees=_FEW_TREES, seed=int(rng.integers(2**31)))


def _inert(
    X: NDArray[np.float64], y: NDArray[np.float64], cube: ParameterCube, *, seed: int
) -> list[str]:
    """Return the names of parameters that are no more important than random ones beside them."""
    # A space before the name: no study file has such a parameter.
    extra = tuple(Float(name=f" {i}", low=0.0, high=1.0) for i in range(_RANDOM_PARAMETERS))
    wider = ParameterCube(SearchSpace((*cube.space.parameters, *extra)))
    totals = []
    for number in range(_fits(_CHANCE_FITS, len(y))):
        rng = np.random.default_rng([seed, number])
        chance = np.hstack([X, rng.random((len(y), _RANDOM_PARAMETERS))])
        forest = Forest.fit(chance, y, trees=_FEW_TREES, seed=int(rng.integers(2**31)))
        totals.append(_shares(forest, wider, seed=seed, points=_FEW_POINTS).total[0])
    noise = np.quantile(np.array(totals)[:, -_RANDOM_PARAMETERS:], _INERT_QUANTILE)
    means = np.mean(totals, axis=0)
    return [name for name, mean in zip(cube.space.names, means, strict=False) if mean <= noise]


def _fits(count: int, runs: int) -> int:
    return max(count * _SLOW_RUNS // max(runs, _SLOW_RUNS), count // 2)


def _shares(
    forest: Forest,
    cube: ParameterCube,
    *,
    seed: int,
    points: int,
    pairs: bool = False,
) -> Shares:
    def function(places: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(forest.predict(cube.encode(places, inactive=_INACTIVE)))[None]

    return sobol_shares(function, cube, seed=seed, points=points, pairs=pairs)


def _intervals(
    estimates: NDArray[np.float64], refits: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the ``p x 2`` intervals of ``p`` estimates: the refits' spread about their median."""
    spread = np.quantile(refits, _INTERVAL, axis=0) - np.median(refits, axis=0)
    return np.asarray(np.clip(estimates + spread, 0.0, 1.0).T)
