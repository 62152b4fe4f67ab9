"""How much of a number's variation over a search space comes from which parameter.

The number is a function of the parameters, such as a model that was fitted to runs. Its variance
over the space falls into shares of single parameters, of pairs, of triples and so on (Sobol:
"Sensitivity estimates for nonlinear mathematical models", 1993); Hutter, Hoos, Leyton-Brown: "An
efficient approach for assessing hyperparameter importance", ICML 2014, call it functional ANOVA.

All values of a parameter are equally likely: of one with ``log`` all factors, of one with steps all
cells of the unit cube. Parameters are independent, so that rules between them do not count. Priors
do not count either: they say what is believed, not what is possible.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import sobol_indices, uniform

from limbeck.cube import ParameterCube

Function: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From ``n x p`` places of ``p`` parameters (see `limbeck.cube`) to ``s x n`` values: of ``s``
functions at once."""

Interval: TypeAlias = tuple[float, float]

LEAST_RUNS = 8
"""Of fewer runs nothing is said."""
RUNS_PER_PARAMETER = 2
LEAST_R2 = 0.3
"""With fewer runs, or where less is explained, there is a warning."""

_BINS = 32
_PAIR_BINS = 16
_POINTS_PER_POINT = 8
"""So many random points for each of SciPy's: these take an evaluation each, those many."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """What one parameter does to a number, in shares of the number's variance over the space.

    Attributes:
        parameter: Its name.
        first: What the parameter explains alone: the first-order Sobol index.
        first_interval: Where ``first`` lies; see `Importances.source`.
        total: What is lost without the parameter, interactions included: the total Sobol index.
        total_interval: Where ``total`` lies.
    """

    parameter: str
    first: float
    first_interval: Interval
    total: float
    total_interval: Interval


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """What two parameters explain together, beyond what each explains alone.

    Attributes:
        parameters: Their names.
        share: Of the number's variance over the space: the second-order Sobol index.
    """

    parameters: tuple[str, str]
    share: float


@dataclass(frozen=True, kw_only=True)
class Importances:
    """Which parameters a number depends on.

    Attributes:
        metric: Name of the number.
        source: What stands for the number between the runs. *forest*: random forests of resampled
            runs, of which intervals cover 90 %, about their median. *surrogate*: the optimizer's
            Gaussian process; intervals cover 90 % of functions drawn from it.
        n: Runs that it was fitted to.
        r2: Share of the runs' variance that it predicts of runs that it did not see; negative if
            their mean predicts better; None if there is none.
        parameters: The most important by ``total`` first, the inert last; empty if too few runs.
        interactions: Of every pair, the largest first.
        inert: Names of the parameters of which no effect is seen. *forest*: random parameters were
            added to the runs, and their total is not above what 95 % of these stay below.
            *surrogate*: their total's interval ends below 0.02.
        warning: What stands against believing this; empty if nothing does.
    """

    metric: str
    source: Literal["forest", "surrogate"]
    n: int
    r2: float | None
    parameters: tuple[Importance, ...]
    interactions: tuple[Interaction, ...]
    inert: tuple[str, ...]
    warning: str


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Sobol indices of ``s`` functions of ``p`` parameters.

    Attributes:
        first: An ``s x p`` array of first-order indices.
        total: An ``s x p`` array of total indices, none below the first-order one.
        pairs: An ``s x p x p`` array of second-order indices, symmetric, 0 on the diagonal; None if
            they were not asked for.
    """

    first: NDArray[np.float64]
    total: NDArray[np.float64]
    pairs: NDArray[np.float64] | None = None


def sobol_shares(
    function: Function, cube: ParameterCube, *, seed: int, points: int, pairs: bool = False
) -> Shares:
    """Estimate the Sobol indices of functions over a search space.

    Total indices are those of `scipy.stats.sobol_indices`. First-order and second-order ones are
    correlation ratios: the variance between the bins that one or two parameters sort random points
    into, less what chance puts there (McKay: "Evaluating prediction uncertainty", NUREG/CR-6311,
    1995). SciPy has no second-order ones, and its first-order ones are less exact where parameters
    act together.

    Args:
        function: Evaluated at ``points`` times the number of parameters and ten.
        cube: Where it is defined.
        seed: Of the points.
        points: A power of two.
        pairs: Whether second-order indices are wanted.

    Returns:
        Shares between 0 and 1; all 0 for a constant.
    """
    rng = np.random.default_rng(seed)
    count = len(cube.space.parameters)
    places = rng.random((_POINTS_PER_POINT * points, count))
    values = function(places)
    values = values - values.mean(axis=1, keepdims=True)
    variance = values.var(axis=1)
    scale = np.where(variance > 0, variance, np.inf)
    bins = cube.bins(places, most=_BINS).T
    first = np.column_stack([_explained(values, column) for column in bins]) / scale[:, None]
    first = np.clip(first, 0.0, 1.0)
    total = np.clip(_totals(function, count, points=points, rng=rng), first, 1.0)
    if not pairs:
        return Shares(first=first, total=total)
    second = _pairs(values, cube.bins(places, most=_PAIR_BINS)) / scale[:, None, None]
    return Shares(first=first, total=total, pairs=np.clip(second, 0.0, 1.0))


def ranked(
    names: Sequence[str],
    *,
    first: tuple[NDArray[np.float64], NDArray[np.float64]],
    total: tuple[NDArray[np.float64], NDArray[np.float64]],
    inert: Sequence[str],
) -> tuple[Importance, ...]:
    """Return parameters, the most important first, inert ones after all others.

    Args:
        names: Of ``p`` parameters.
        first: A ``p`` array of first-order indices and a ``p x 2`` array of their intervals.
        total: The same of total indices.
        inert: Names of those without effect.
    """
    found = [
        Importance(
            parameter=name,
            first=float(first[0][index]),
            first_interval=(float(first[1][index, 0]), float(first[1][index, 1])),
            total=float(total[0][index]),
            total_interval=(float(total[1][index, 0]), float(total[1][index, 1])),
        )
        for index, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda each: (each.parameter in inert, -each.total)))


def interactions(names: Sequence[str], pairs: NDArray[np.float64]) -> tuple[Interaction, ...]:
    """Return the interaction of every pair of ``p`` parameters, the largest first.

    Args:
        names: Of the parameters.
        pairs: A ``p x p`` array of second-order indices.
    """
    found = [
        Interaction(parameters=(names[i], names[j]), share=float(pairs[i, j]))
        for i, j in itertools.combinations(range(len(names)), 2)
    ]
    return tuple(sorted(found, key=lambda each: -each.share))


def doubts(*, n: int, parameters: int, r2: float | None, source: str) -> str:
    """Return why importances should not be believed as they are; empty if nothing is against it.

    That is if there are fewer than two runs for every parameter, or less than 0.3 of the variance
    of unseen runs is predicted.

    Args:
        n: Number of runs.
        parameters: Number of parameters.
        r2: See `Importances`.
        source: What was fitted, in a word.
    """
    found = []
    if n < RUNS_PER_PARAMETER * parameters:
        found.append(
            f"{n} runs are few for {parameters} parameters: the order may be chance before run "
            f"{RUNS_PER_PARAMETER * parameters}"
        )
    if r2 is None or r2 < LEAST_R2:
        shown = "nothing" if r2 is None or r2 <= 0 else f"only {100 * r2:.0f} %"
        found.append(f"the {source} predicts {shown} of the variance of runs that it did not see")
    return "; ".join(found)


def too_few(metric: str, source: Literal["forest", "surrogate"], n: int, why: str) -> Importances:
    """Return the importances of a number of which nothing can be said yet, and why."""
    return Importances(
        metric=metric,
        source=source,
        n=n,
        r2=None,
        parameters=(),
        interactions=(),
        inert=(),
        warning=why,
    )


def _totals(
    function: Function, count: int, *, points: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the total indices of ``count`` parameters, an ``s x count`` array."""
    if count == 1:  # Its first-order index is all; of one function, SciPy 1.17 would fail.
        return np.zeros((1, 1))
    found = sobol_indices(
        func=lambda places: function(places.T), n=points, dists=[uniform()] * count, rng=rng
    )
    # SciPy drops axes of length 1.
    return np.asarray(found.total_order).reshape(-1, count)


def _explained(values: NDArray[np.float64], bins: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the variance of centred values that is between bins, less what chance puts there.

    Args:
        values: An ``s x n`` array with means of 0.
        bins: An ``n`` array.

    Returns:
        An ``s`` array; unbiased for random points, so it may be a little below 0.
    """
    counts = np.bincount(bins)
    sums = np.array([np.bincount(bins, weights=row) for row in values])
    between = (sums**2 / np.maximum(counts, 1)).sum(axis=1)
    within = (values**2).sum(axis=1) - between
    n, groups = len(bins), np.count_nonzero(counts)
    return np.asarray((between - (groups - 1) * within / max(n - groups, 1)) / n)


def _pairs(values: NDArray[np.float64], bins: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return second-order variances, ``s x p x p``, of ``s x n`` values in ``n x p`` bins."""
    count = bins.shape[1]
    alone = [_explained(values, column) for column in bins.T]
    second = np.zeros((len(values), count, count))
    for i, j in itertools.combinations(range(count), 2):
        both = _explained(values, bins[:, i] * _PAIR_BINS + bins[:, j])
        second[:, i, j] = second[:, j, i] = both - alone[i] - alone[j]
    return second
