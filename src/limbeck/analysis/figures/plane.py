"""The plane of two metrics: where runs stand in it, and how far it goes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from limbeck.analysis.figures.style import axis_of, log_ticks, plain
from limbeck.analysis.named import find_metric, has_goal, leading, recorded_metrics
from limbeck.analysis.results import StudyResults
from limbeck.frontier import frontier
from limbeck.metrics import Goal, Metric, Role, optimized
from limbeck.runs import Run, RunState

RUN_NUMBER = Metric(name="run number", goal=Goal.MINIMIZE, role=Role.STORE)
"""Goes across where there is but one metric; the frontier is then the best so far."""

_PADDING = 0.06
_FAR = 20.0
"""How many times its own length beyond an axis the shade of what is of no use goes."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What an axis shows.

    Attributes:
        metric: On it.
        low: Left or lower end, in the metric's unit.
        high: Right or upper end.
        is_log: Whether it is a log axis.
    """

    metric: Metric
    low: float
    high: float
    is_log: bool

    @property
    def range(self) -> list[float]:
        """The ends as plotly takes them."""
        ends = [self.low, self.high]
        return [math.log10(end) for end in ends] if self.is_log else ends

    @property
    def worst(self) -> float:
        """The end where the worst values are."""
        return self.high if self.metric.goal is Goal.MINIMIZE else self.low

    @property
    def beyond(self) -> float:
        """A value far beyond the worst end."""
        share = 1 + _FAR if self.metric.goal is Goal.MINIMIZE else -_FAR
        return self.at(share)

    def at(self, share: float) -> float:
        """Return the value at a share of the axis' length, 0 its lower end."""
        low, high = self.range
        place = low + share * (high - low)
        return 10 ** min(place, 300.0) if self.is_log else place


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Two metrics, one across and one up."""

    across: Metric
    up: Metric

    @property
    def is_over_runs(self) -> bool:
        """Whether run numbers go across."""
        return self.across is RUN_NUMBER

    def place(self, run: Run) -> tuple[float, float] | None:
        """Return where a run stands; None without finite values.

        One that was stopped stands where it was expected to end, as far as that is known.
        """
        x, y = value_of(run, self.across), value_of(run, self.up)
        return (x, y) if math.isfinite(x) and math.isfinite(y) else None

    def edge(self, usable: Sequence[Run]) -> list[tuple[float, float]]:
        """Return the corners of the staircase that bounds what runs dominate, from left to right.

        Args:
            usable: Runs within every threshold; those without a place in the plane are left out.
        """
        goals = tuple(
            replace(metric, role=Role.OPTIMIZE, threshold=None) for metric in (self.across, self.up)
        )
        placed = [
            replace(
                run, values={goal.name: value for goal, value in zip(goals, place, strict=True)}
            )
            for run in usable
            if (place := self.place(run)) is not None
        ]
        corners = {
            (run.values[self.across.name], run.values[self.up.name])
            for run in frontier(placed, goals)
        }
        return sorted(corners)

    @property
    def step(self) -> str:
        """Which way plotly's line goes from one corner to the next: to the worse side first."""
        return "hv" if self.across.goal is Goal.MINIMIZE else "vh"


def plane_of(results: StudyResults, across: str | None, up: str | None) -> Plane:
    """Return the plane of two metrics.

    Args:
        results: The study.
        across: Any metric that is named by the study or recorded by its runs; by default the first
            optimized one to be minimized.
        up: Likewise; by default the first optimized one to be maximized. Without such, the first
            two optimized ones are taken, and of a single one the values over the run number.

    Raises:
        NotFoundError: If there is no such metric.
    """
    metrics = recorded_metrics(results)
    size, score = leading(results.metrics)
    goals = optimized(results.metrics)
    pair = (size, score) if size and score else (*goals, RUN_NUMBER)[:2]
    if RUN_NUMBER in pair:
        pair = (RUN_NUMBER, goals[0])
    return Plane(
        across=pair[0] if across is None else find_metric(metrics, across),
        up=pair[1] if up is None else find_metric(metrics, up),
    )


def value_of(run: Run, metric: Metric) -> float:
    """Return a run's value of a metric, of a stopped one its forecast; NaN without one."""
    if metric is RUN_NUMBER:
        return float(run.number)
    if run.state is RunState.STOPPED and metric.name in run.forecasts:
        return run.forecasts[metric.name].mean
    return run.values.get(metric.name, math.nan)


def error_of(run: Run, metric: Metric) -> float:
    """Return the standard error of a run's value; 0 without one."""
    if run.state is RunState.STOPPED and metric.name in run.forecasts:
        return run.forecasts[metric.name].std
    return run.errors.get(metric.name, 0.0)


def axis_and_extent(
    metric: Metric, values: Iterable[float], declared: tuple[Metric, ...]
) -> tuple[dict[str, Any], Extent]:
    """Return plotly's settings of an axis, and what it shows: all values and the threshold.

    Args:
        metric: On the axis.
        values: What is to be seen; at least one, all finite.
        declared: The metrics of the study: no side is said to be better of what is not among them
            and has no natural goal.
    """
    shown = list(values)
    axis = dict(axis_of(metric, shown))
    if metric.threshold is not None:
        shown.append(metric.threshold)
    is_log = axis.get("type") == "log" and min(shown) > 0
    if not is_log:
        axis.pop("type", None)
        axis.pop("tickvals", None)
    low, high = min(shown), max(shown)
    if low == high:
        low, high = (low / 1.5, high * 1.5) if is_log else (low - 1, high + 1)
    tight = Extent(metric=metric, low=low, high=high, is_log=is_log)
    extent = replace(tight, low=tight.at(-_PADDING), high=tight.at(1 + _PADDING))
    if is_log:
        axis["tickvals"] = log_ticks(extent.low, extent.high)
    axis |= {"range": extent.range, "title": {"text": _title(metric, declared)}}
    return axis, extent


def _title(metric: Metric, declared: tuple[Metric, ...]) -> str:
    name = plain(f"{metric.name} ({metric.unit})" if metric.unit else metric.name)
    if metric is RUN_NUMBER or not has_goal(metric, declared):
        return name
    return f"← better   {name}" if metric.goal is Goal.MINIMIZE else f"{name}   better →"
