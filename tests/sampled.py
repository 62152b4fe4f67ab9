"""Studies of functions that are known, sampled evenly over a search space."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import qmc

from limbeck.analysis.results import StudyResults
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState
from limbeck.space import Float, Parameter, Parameters, SearchSpace

SCORE = Metric(name="score", goal=Goal.MAXIMIZE)

ISHIGAMI_FIRST = (0.3139, 0.4424, 0.0)
ISHIGAMI_TOTAL = (0.5576, 0.4424, 0.2437)
"""Sobol indices for a = 7, b = 0.1."""


def ishigami_parameters() -> tuple[Parameter, ...]:
    return tuple(Float(name=name, low=-np.pi, high=np.pi) for name in "abc")


def ishigami(point: Parameters) -> float:
    a, b, c = (float(point[name]) for name in "abc")
    return float(np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a))


def unit_parameters(count: int) -> tuple[Parameter, ...]:
    return tuple(Float(name=f"x{i}", low=0.0, high=1.0) for i in range(count))


G_WEIGHTS = (0.0, 1.0, 4.5, 9.0, 99.0, 99.0)


def sobol_g(point: Parameters) -> float:
    factors = [(abs(4 * float(point[f"x{i}"]) - 2) + a) / (1 + a) for i, a in enumerate(G_WEIGHTS)]
    return float(np.prod(factors))


def sobol_g_indices() -> tuple[Sequence[float], Sequence[float]]:
    """Return first-order and total indices of `sobol_g`."""
    alone = [1 / 3 / (1 + a) ** 2 for a in G_WEIGHTS]
    variance = float(np.prod([1 + v for v in alone])) - 1
    total = [v / (1 + v) * (variance + 1) / variance for v in alone]
    return [v / variance for v in alone], total


def sampled_runs(
    parameters: Sequence[Parameter],
    values: Callable[[Parameters], Mapping[str, float]],
    *,
    n: int,
    seed: int = 0,
) -> tuple[Run, ...]:
    """Return ``n`` finished runs, a power of two, at the points of a scrambled Sobol sequence."""
    space = SearchSpace((*parameters,))
    units = qmc.Sobol(space.dimension, rng=np.random.default_rng(seed)).random(n)
    points = [space.decode(unit) for unit in units]
    return tuple(
        Run(number=number, parameters=point, state=RunState.FINISHED, values=values(point))
        for number, point in enumerate(points)
    )


def sampled_study(
    parameters: Sequence[Parameter],
    function: Callable[[Parameters], float],
    *,
    n: int,
    seed: int = 0,
    noise: float = 0.0,
) -> StudyResults:
    """Return a study of one metric, ``score``, with normal noise."""
    rng = np.random.default_rng(seed)

    def values(point: Parameters) -> Mapping[str, float]:
        return {"score": function(point) + noise * float(rng.standard_normal())}

    return StudyResults(
        name="sampled",
        metrics=(SCORE,),
        parameters=(*parameters,),
        runs=sampled_runs(parameters, values, n=n, seed=seed),
    )
