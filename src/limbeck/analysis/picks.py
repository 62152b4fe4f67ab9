"""The runs to choose from first: one for each of the usual reasons, by a rule of one sentence.

The rules look at the finished runs within every threshold. Where a rule speaks of a size and a
score, they are the first optimized metric to be minimized and the first to be maximized, whatever
they are. Among equal runs the one that is better in the other optimized metrics is picked, then the
one with the lower number.

A pick has the best of many noisy scores, so its score is likely to be lower when it is trained or
scored again: `limbeck.analysis.confirmation` tells by how much.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from limbeck.analysis.limits import Limit
from limbeck.analysis.named import leading
from limbeck.analysis.results import StudyResults
from limbeck.frontier import Difference, compare, frontier
from limbeck.metrics import Goal, Metric, Role, optimized
from limbeck.runs import Run
from limbeck.wording import format_value

Z_95 = NormalDist().inv_cdf(0.975)
"""Half of a 95 % confidence interval, in standard errors."""

SIZE_TOLERANCE = 1.0
"""Percent that a run of the baseline's size may be larger than it."""

SCORE_TOLERANCE = 1.0
"""Points that a run that keeps the baseline's score may lose; percent of a score without percent.

The pick of 2020 was a quarter of a point below its baseline, with scores that were certain to about
half a point.
"""

_NEEDS_BASELINE = "the baseline (run 0) is not finished"
_NEEDS_BOTH = "it needs an optimized metric to be minimized and one to be maximized"
_STRAIGHT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How far a pick is from the baseline in one metric, and how sure that is.

    Attributes:
        difference: The pick's value less the baseline's.
        error: Standard error of ``difference.absolute``, in the metric's unit: the root of the sum
            of both runs' squared errors, as if these were independent. Scores on the same questions
            vary together, so it is rather too large. 0 for a known metric, None where a run has no
            error.
    """

    difference: Difference
    error: float | None

    @property
    def margin(self) -> float | None:
        """What to add and subtract for a 95 % confidence interval; None if unknown."""
        return None if self.error is None else Z_95 * self.error

    @property
    def texts(self) -> tuple[str, str]:
        """The pick's value and the difference, a cost's in percent: ``+1.25 ± 2.10``."""
        difference = self.difference
        scale, unit, change = 1.0, "", difference.absolute
        if difference.relative is not None:
            scale = 100 / abs(difference.value - difference.absolute)
            unit, change = " %", difference.relative
        margin = f" ± {scale * self.margin:.2f}" if self.margin else ""
        return format_value(difference.value, difference.metric), f"{change:+.2f}{margin}{unit}"


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A run to choose for a reason.

    Attributes:
        name: The reason in a few words.
        rule: By which the run was picked, in one sentence.
        run: None if there is no such run.
        compared: With the baseline, in every optimized metric, then in those under a limit; empty
            without a run or a baseline.
        missing: Why there is no such run; else empty.
    """

    name: str
    rule: str
    run: Run | None = None
    compared: tuple[Compared, ...] = ()
    missing: str = ""

    def cells(self, names: Iterable[str]) -> list[str]:
        """Return its value and its difference from the baseline, for people, in each metric.

        Args:
            names: Of the metrics; one that it is not compared in has two empty texts.
        """
        compared = {each.difference.metric.name: each for each in self.compared}
        return [
            text
            for name in names
            for text in (compared[name].texts if name in compared else ("", ""))
        ]


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """A study with a size, a score, and a baseline that has both."""

    size: Metric
    score: Metric
    base_size: float
    base_score: float


def make_picks(
    results: StudyResults,
    *,
    limits: Sequence[Limit] = (),
    size_tolerance: float = SIZE_TOLERANCE,
    score_tolerance: float | None = None,
) -> tuple[Pick, ...]:
    """Return all picks, also those for which there is no run.

    Args:
        results: The study.
        limits: If there are any, the last pick is the best run that keeps all of them.
        size_tolerance: See `keep_size`.
        score_tolerance: See `keep_score`.
    """
    picks = (
        keep_size(results, tolerance=size_tolerance),
        smaller_and_better(results),
        keep_score(results, tolerance=score_tolerance),
        knee(results),
    )
    return (*picks, best_under(results, limits)) if limits else picks


def keep_size(results: StudyResults, *, tolerance: float = SIZE_TOLERANCE) -> Pick:
    """Pick the best score at the baseline's size.

    Args:
        results: The study.
        tolerance: Percent of the baseline's size that a run may be larger.
    """
    sides, missing = _sides(results)
    size, score = _names(results)
    pick = Pick(
        name=f"keep size, best {score}",
        rule=f"The best {score} of the runs that are better in it than the baseline and whose "
        f"{size} is at most {tolerance:g} % above the baseline's.",
        missing=missing,
    )
    if sides is None:
        return pick
    most = sides.base_size + abs(sides.base_size) * tolerance / 100
    found = [
        run
        for run in results.usable
        if run.values[size] <= most and run.values[score] > sides.base_score
    ]
    missing = f"no run of at most {format_value(most, sides.size)} has a better {score}"
    return _picked(results, pick, _best(found, results, sides.score), missing)


def smaller_and_better(results: StudyResults) -> Pick:
    """Pick from the runs that beat the baseline in everything.

    The product of a run's improvements is the hypervolume that it adds to the baseline's, so it
    does not depend on the metrics' units; it is also the solution of Nash ("The bargaining
    problem", Econometrica 18, 1950) with the baseline for the point of disagreement.
    """
    goals = optimized(results.metrics)
    names = ", ".join(metric.name for metric in goals)
    pick = Pick(
        name="smaller and better" if all(leading(results.metrics)) else "better in all",
        rule=f"Of the runs better than the baseline in every optimized metric ({names}), the one "
        "with the largest product of its improvements.",
    )
    baseline = results.baseline
    if baseline is None:
        return replace(pick, missing=_NEEDS_BASELINE)
    start = {goal.name: baseline.values.get(goal.name, math.nan) for goal in goals}
    gains = {}
    for run in results.usable:
        gained = [m.larger_is_better(run.values[m.name] - start[m.name]) for m in goals]
        if all(0 < gain < math.inf for gain in gained):
            gains[run.number] = math.prod(gained)
    largest = max(gains.values(), default=0.0)
    found = [run for run in results.usable if gains.get(run.number) == largest]
    missing = "no run is better than the baseline in every optimized metric"
    return _picked(results, pick, _best(found, results, *goals), missing)


def keep_score(results: StudyResults, *, tolerance: float | None = None) -> Pick:
    """Pick the smallest run that is about as good as the baseline.

    Args:
        results: The study.
        tolerance: How much worse the score may be, in its unit; by default `SCORE_TOLERANCE`.
    """
    sides, missing = _sides(results)
    size, score = _names(results)
    if tolerance is None and sides is not None:
        in_percent = sides.score.unit == "%"
        tolerance = SCORE_TOLERANCE * (1 if in_percent else abs(sides.base_score) / 100)
    loss = "little" if tolerance is None or sides is None else _loss(tolerance, sides.score)
    pick = Pick(
        name=f"smallest that keeps {score}",
        rule=f"The smallest {size} of the runs that are smaller in it than the baseline and whose "
        f"{score} is at most {loss} worse.",
        missing=missing,
    )
    if sides is None or tolerance is None:
        return pick
    found = [
        run
        for run in results.usable
        if run.values[size] < sides.base_size and run.values[score] >= sides.base_score - tolerance
    ]
    missing = f"no smaller run has {score} of at least " + format_value(
        sides.base_score - tolerance, sides.score
    )
    return _picked(results, pick, _best(found, results, sides.size), missing)


def knee(results: StudyResults) -> Pick:
    """Pick the run after which more score costs much, and less size does, too.

    The farthest point from the line through the ends of the frontier is that of Das ("On
    characterizing the 'knee' of the Pareto curve based on normal-boundary intersection", Structural
    Optimization 18, 1999) for two objectives. With more metrics it is looked for in the frontier of
    the first size and the first score alone; without a size or a score, of the first two metrics.
    """
    goals = optimized(results.metrics)
    size, score = leading(results.metrics)
    pair = (size, score) if size and score else goals[:2]
    names = " and ".join(metric.name for metric in pair)
    pick = Pick(
        name="knee",
        rule=f"The run on the frontier of {names} that lies farthest beyond the straight line "
        "between its two ends, both metrics scaled to the frontier's range.",
    )
    if len(pair) < 2:
        return replace(pick, missing="it needs two optimized metrics")
    edge = frontier(results.usable, pair)
    heights = dict(zip([run.number for run in edge], _heights(edge, pair), strict=True))
    largest = max(heights.values(), default=0.0)
    found = [run for run in edge if largest > _STRAIGHT and heights[run.number] == largest]
    missing = "no run on the frontier lies beyond the straight line between its ends"
    return _picked(results, pick, _best(found, results, *pair), missing)


def best_under(results: StudyResults, limits: Sequence[Limit]) -> Pick:
    """Pick the best run that keeps limits.

    Best is the first score without a limit; without one, the first optimized metric without a
    limit; without that, the first score, or metric, after all.

    Args:
        results: The study.
        limits: At least one; all are to be kept.
    """
    target = _target(results.metrics, {limit.metric.name for limit in limits})
    best = "smallest" if target.goal is Goal.MINIMIZE else "best"
    words = " and ".join(limit.text for limit in limits)
    pick = Pick(
        name="best under the limit" if len(limits) == 1 else "best under the limits",
        rule=f"The {best} {target.name} of the runs with {words}.",
    )
    found = [run for run in results.usable if all(limit.allows(run) for limit in limits)]
    more = [limit.metric for limit in limits]
    return _picked(
        results, pick, _best(found, results, target), _closest(results, limits), more=more
    )


def _target(metrics: tuple[Metric, ...], limited: set[str]) -> Metric:
    goals = optimized(metrics)
    scores = [metric for metric in goals if metric.goal is Goal.MAXIMIZE]
    free = [metric for metric in (*scores, *goals) if metric.name not in limited]
    return (*free, *scores, *goals)[0]


def _closest(results: StudyResults, limits: Sequence[Limit]) -> str:
    """Return why no run keeps the limits, with what a single one would have to be."""
    for limit in limits:
        name = limit.metric.name
        values = [run.values.get(name, math.nan) for run in results.usable]
        values = [value for value in values if math.isfinite(value)]
        if not values:
            return f"no usable run has a value of {name}"
        if not any(limit.allows(run) for run in results.usable):
            nearest, word = (
                (min(values), "smallest") if limit.side == "at most" else (max(values), "largest")
            )
            shown = format_value(nearest, limit.metric)
            return f"no usable run has {limit.text}; the {word} is {shown}"
    return "no usable run keeps all of these limits"


def _names(results: StudyResults) -> tuple[str, str]:
    size, score = leading(results.metrics)
    return size.name if size else "size", score.name if score else "score"


def _sides(results: StudyResults) -> tuple[_Sides | None, str]:
    """Return what two-sided rules need, or None and what is missing."""
    size, score = leading(results.metrics)
    if size is None or score is None:
        return None, _NEEDS_BOTH
    if results.baseline is None:
        return None, _NEEDS_BASELINE
    values = results.baseline.values
    for metric in (size, score):
        if not math.isfinite(values.get(metric.name, math.nan)):
            return None, f"the baseline (run 0) has no finite {metric.name}"
    base_size, base_score = values[size.name], values[score.name]
    return _Sides(size=size, score=score, base_size=base_size, base_score=base_score), ""


def _loss(tolerance: float, score: Metric) -> str:
    if score.unit == "%":
        return f"{tolerance:g} point{'' if tolerance == 1 else 's'}"
    return f"{tolerance:.3g} {score.unit}".rstrip()


def _best(runs: Iterable[Run], results: StudyResults, *first: Metric) -> Run | None:
    """Return the best run in the first metrics, then in the other optimized ones."""
    order = dict.fromkeys((*first, *optimized(results.metrics)))
    return min(
        runs,
        key=lambda run: (*(-m.larger_is_better(run.values[m.name]) for m in order), run.number),
        default=None,
    )


def _heights(edge: Sequence[Run], pair: Sequence[Metric]) -> list[float]:
    """Return how far runs lie beyond the line through the ends of their frontier.

    Each metric is scaled to 0 for the worst and 1 for the best of the frontier, so the line goes
    through (1, 0) and (0, 1), and a run's distance from it is (sum - 1) / sqrt(2).
    """
    columns = []
    for metric in pair:
        values = [metric.larger_is_better(run.values[metric.name]) for run in edge]
        low, high = min(values, default=0.0), max(values, default=0.0)
        if low == high:
            return [0.0] * len(edge)
        columns.append([(value - low) / (high - low) for value in values])
    return [(sum(row) - 1) / math.sqrt(2) for row in zip(*columns, strict=True)]


def _picked(
    results: StudyResults,
    pick: Pick,
    run: Run | None,
    missing: str,
    *,
    more: Sequence[Metric] = (),
) -> Pick:
    """Return the pick with its run, compared with the baseline; or with why there is none."""
    if run is None:
        return replace(pick, missing=missing)
    if results.baseline is None:
        return replace(pick, run=run)
    shown = {metric.name: metric for metric in (*optimized(results.metrics), *more)}
    goals = tuple(replace(m, role=Role.OPTIMIZE) for m in shown.values())
    compared = tuple(
        Compared(difference=each, error=difference_error(run, results.baseline, each.metric))
        for each in compare(run, results.baseline, goals)
    )
    return replace(pick, run=run, compared=compared)


def difference_error(run: Run, baseline: Run, metric: Metric) -> float | None:
    """Return the standard error of a difference, as `Compared` has it."""
    if metric.known or run.number == baseline.number:
        return 0.0
    if metric.name not in run.errors or metric.name not in baseline.errors:
        return None
    return math.hypot(run.errors[metric.name], baseline.errors[metric.name])
