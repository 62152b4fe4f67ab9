"""Curves of runs as they are drawn: against steps, epochs or time, with as many points as show."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.analysis.results import StudyResults
from limbeck.analysis.winners import leading_score
from limbeck.metrics import Goal
from limbeck.runs import CurvePoint, Run

Across = Literal["steps", "epochs", "time"]

DRAWN_POINTS = 2_000
"""Points of a curve up to which all of them are drawn."""

_ORDER = ("loss", "learning_rate", "exact", "f1")
_PREFIXES = ("HasAns_", "NoAns_", "best_")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one run on its way.

    Attributes:
        run: Number of the run.
        metric: Name of the metric.
        across: Ascending steps, epochs or seconds; as many as values.
        values: Finite values of the metric.
    """

    run: int
    metric: str
    across: NDArray[np.float64]
    values: NDArray[np.float64]


def read_curves(
    run: Run, points: Sequence[CurvePoint], *, across: Across = "steps"
) -> dict[str, Curve]:
    """Return the curves of a run, by metric, thinned for drawing.

    Values that are not finite are left out: what became of the run says its state. A curve without
    any other is left out, too.

    Args:
        run: The run.
        points: Its points in step order.
        across: What they are drawn against. Epochs need a run that says how many steps one has;
            without, there is no curve.
    """
    if across == "epochs" and run.epoch_steps is None:
        return {}
    columns: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for point in points:
        places, values = columns[point.metric]
        places.append(point.seconds if across == "time" else point.step)
        values.append(point.value)
    per_unit = float(run.epoch_steps or 1) if across == "epochs" else 1.0
    curves = {
        metric: _curve(run, metric, np.array(places, dtype=np.float64) / per_unit, values)
        for metric, (places, values) in columns.items()
    }
    return {metric: curve for metric, curve in curves.items() if curve.values.size}


def _curve(run: Run, metric: str, places: NDArray[np.float64], listed: Sequence[float]) -> Curve:
    values = np.array(listed, dtype=np.float64)
    finite = np.isfinite(values)
    places, values = places[finite], values[finite]
    kept = thin(values, DRAWN_POINTS)
    return Curve(run=run.number, metric=metric, across=places[kept], values=values[kept])


def thin(values: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Return ascending indices of the points that are drawn: all, or about ``limit`` of them.

    A long curve is cut into ``limit // 2`` stretches of (nearly) equal length, each of which keeps
    its least and its largest value, the first one if there are several. The first and the last
    point are kept as well. No extreme value is lost, so a spike stays visible.

    Args:
        values: An ``n`` array of finite values.
        limit: At least 2.
    """
    if len(values) <= limit:
        return np.arange(len(values))
    stretches = limit // 2
    starts = np.linspace(0, len(values), stretches, endpoint=False).astype(np.intp)
    ends = np.append(starts[1:], len(values))
    extremes = [
        start + find(values[start:end])
        for start, end in zip(starts, ends, strict=True)
        for find in (np.argmin, np.argmax)
    ]
    return np.unique([0, *extremes, len(values) - 1])


def metric_names(points: Mapping[int, Sequence[CurvePoint]]) -> tuple[str, ...]:
    """Return the metrics of which there are curves: loss first, scores in groups, others last.

    Args:
        points: Curve points by run number.
    """
    names = {point.metric for listed in points.values() for point in listed}
    return tuple(sorted(names, key=_rank))


def _rank(name: str) -> tuple[int, int, str]:
    group = next((i + 1 for i, prefix in enumerate(_PREFIXES) if name.startswith(prefix)), 0)
    base = name.removeprefix(_PREFIXES[group - 1]) if group else name
    known = base in _ORDER
    return (group if known else len(_PREFIXES) + 1, _ORDER.index(base) if known else 0, name)


def standing_out(results: StudyResults) -> tuple[int, ...]:
    """Return the runs to look at first: the baseline, the best one, and the smallest one.

    The best is the usable run of the best leading score. The smallest is the frontier's cheapest:
    that with the least of the first optimized metric to be minimized. A run that is both is there
    once; what there is none of is left out.
    """
    score = leading_score(results.goals)
    found = [] if results.baseline is None else [results.baseline.number]
    if results.usable:
        found.append(
            max(
                results.usable, key=lambda run: score.larger_is_better(run.values[score.name])
            ).number
        )
    if results.frontier and any(goal.goal is Goal.MINIMIZE for goal in results.goals):
        found.append(results.frontier[0].number)
    return tuple(dict.fromkeys(found))
