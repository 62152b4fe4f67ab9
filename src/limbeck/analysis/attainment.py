"""What a frontier comes to when its runs are made again: the attainment surfaces.

A set of runs attains a point if one of them is nowhere worse. Of several sets, each a repetition of
the same configurations, the surfaces bound what any, half and all of them attain (Grunert da
Fonseca, Fonseca, Hall: "Inferential performance assessment of stochastic optimisers and the
attainment function", EMO 2001).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import moocore
import numpy as np

from limbeck.analysis.confirmation import by_parameters
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run

Surface: TypeAlias = tuple[tuple[float, float], ...]
"""The corners of a staircase in the plane of two metrics, sorted by the first."""


@dataclass(frozen=True, kw_only=True)
class Attainment:
    """What repetitions of the same configurations attain.

    Attributes:
        sets: Number of repetitions.
        configurations: Number of runs in each.
        best: Of what at least one repetition attains.
        median: Of what at least half of them attain.
        worst: Of what all of them attain.
    """

    sets: int
    configurations: int
    best: Surface
    median: Surface
    worst: Surface


def attainment(runs: Sequence[Run], across: Metric, up: Metric) -> Attainment | None:
    """Return what repetitions attain in the plane of two metrics.

    Args:
        runs: Of a study. Finished ones with finite values of both metrics count that have the same
            parameters but for the seed. In the order of their numbers, the first of each make the
            first set, and so on, up to the least number of repetitions that any configuration has.
        across: One metric.
        up: The other.

    Returns:
        None if no configuration was repeated.
    """
    finite = [run for run in runs if math.isfinite(_value(run, across) + _value(run, up))]
    groups = [group for group in by_parameters(finite).values() if len(group) > 1]
    if not groups:
        return None
    count = min(map(len, groups))
    rows = [
        (
            *(-metric.larger_is_better(_value(group[place], metric)) for metric in (across, up)),
            place,
        )
        for place in range(count)
        for group in groups
    ]
    table = np.array(rows, dtype=np.float64)
    percentiles = [100 / count, 50.0, 100.0]
    corners = moocore.eaf(table[:, :2], table[:, 2], percentiles=percentiles)

    def surface(percentile: float) -> Surface:
        signs = [1 if metric.goal is Goal.MINIMIZE else -1 for metric in (across, up)]
        level = corners[np.isclose(corners[:, 2], percentile), :2] * signs
        return tuple(sorted((float(x), float(y)) for x, y in level))

    best, median, worst = map(surface, percentiles)
    return Attainment(sets=count, configurations=len(groups), best=best, median=median, worst=worst)


def _value(run: Run, metric: Metric) -> float:
    return run.values.get(metric.name, math.nan)
