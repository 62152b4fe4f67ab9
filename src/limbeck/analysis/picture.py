"""Figures of a study, drawn with matplotlib's objects: no windows and no global state."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    EngFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
    StrMethodFormatter,
)

from limbeck.errors import ConfigError
from limbeck.files import whole_file
from limbeck.frontier import frontier, usable_runs
from limbeck.metrics import Goal, Metric, optimized
from limbeck.runs import Run, RunState

# Blue and vermilion of Okabe and Ito, which people with any colour vision can tell apart.
BLUE, VERMILION = "#0072B2", "#D55E00"
DARK_GREY, GREY, PALE_GREY, SHADE = "#444444", "#8A8A8A", "#A6A6A6", "#F2F2F2"

SUFFIXES = (".png", ".svg")
INCHES = (6.0, 4.3)
DOTS_PER_INCH = 200
LARGE_NUMBER = 10_000  # from here on 12300000 is written 12.3 M
LOG_SPAN = 8  # a cost gets a log axis if its largest value is more than this many times the least

# Drawn across where there is but one metric; its frontier is then that of the best so far.
RUN_NUMBER = Metric(name="run number", goal=Goal.MINIMIZE)


@dataclass(frozen=True, kw_only=True)
class _Marker:
    """What a group of runs looks like; lengths are in points, the area in square points."""

    shape: str
    area: float
    face: str
    edge: str
    edge_width: float


# From the front of the figure to its back.
MARKERS = {
    "baseline": _Marker(shape="D", area=56, face="none", edge=VERMILION, edge_width=1.8),
    "frontier": _Marker(shape="o", area=30, face=BLUE, edge="white", edge_width=0.5),
    "dominated": _Marker(shape="o", area=14, face=GREY, edge="white", edge_width=0.5),
    "beyond a threshold": _Marker(shape="o", area=9, face="white", edge=PALE_GREY, edge_width=0.8),
}


def plot_frontier(
    runs: Sequence[Run],
    metrics: tuple[Metric, ...],
    *,
    baseline: Run | None = None,
    title: str = "",
) -> Figure:
    """Draw the finished runs, the frontier among them, the baseline and the thresholds.

    Values that have a standard error get a bar of one to either side.

    Args:
        runs: All runs of the study. Those that cannot be drawn are counted in a note.
        metrics: The metrics of the study. The first two optimized ones are drawn, one to be
            minimized across; a single one is drawn over the run number. The frontier is that of all
            metrics; the line is the edge of what the runs dominate in the drawn ones.
        baseline: Marked if it is finished.
        title: Stands above the figure.

    Returns:
        A figure 6 inches wide, of 200 dots an inch.
    """
    across, up = _drawn_metrics(metrics)
    numbered = [replace(run, values={**run.values, RUN_NUMBER.name: run.number}) for run in runs]
    finished = [run for run in numbered if run.state is RunState.FINISHED]
    drawn = [run for run in finished if _has_finite(run, across) and _has_finite(run, up)]
    note = _note(runs, drawn)
    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set(xlabel=_label(across), ylabel=_label(up))
    axes.spines[["top", "right"]].set_visible(False)
    if not drawn:
        reason = "no finished run has a finite value" if finished else "no finished run yet"
        axes.set(xticks=[], yticks=[])
        text = f"{reason}\n{note}".rstrip()
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=DARK_GREY)
        return figure
    _draw_groups(axes, _groups(drawn, metrics, baseline), across, up)
    _draw_errors(axes, drawn, across, up)
    _draw_edge(axes, usable_runs(drawn, metrics), across, up)
    _set_scales(axes, drawn, across, up)
    _draw_thresholds(axes, across, up)
    figure.legend(
        loc="outside lower left",
        ncols=3,
        title=note,
        alignment="left",
        fontsize=8,
        title_fontsize=8,
        frameon=False,
    )
    return figure


def save_frontier(
    path: Path,
    runs: Sequence[Run],
    metrics: tuple[Metric, ...],
    *,
    baseline: Run | None = None,
    title: str = "",
) -> None:
    """Write the figure of `plot_frontier` to a file, whole or not at all.

    Args:
        path: Ends in ``.png`` (1200 pixels wide) or ``.svg``. Replaced if it is there.
        runs: See `plot_frontier`.
        metrics: See `plot_frontier`.
        baseline: See `plot_frontier`.
        title: See `plot_frontier`.

    Raises:
        ConfigError: If the path ends otherwise.
    """
    check_file_name(path)
    figure = plot_frontier(runs, metrics, baseline=baseline, title=title)
    with whole_file(path) as unfinished:
        figure.savefig(unfinished)


def check_file_name(path: Path) -> None:
    """Check that a figure can be written to a file of this name.

    Raises:
        ConfigError: If the name ends in anything but ``.png`` or ``.svg``, or is a folder's.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"a figure's file name must end in .png or .svg, but got {path}")
    if path.is_dir():
        raise ConfigError(f"a figure needs a file's name, but {path} is a folder; name another")


def _drawn_metrics(metrics: tuple[Metric, ...]) -> tuple[Metric, Metric]:
    """Return what is drawn across and what is drawn up."""
    first, *others = optimized(metrics)
    if not others:
        return RUN_NUMBER, first
    second = others[0]
    if first.goal is Goal.MAXIMIZE and second.goal is Goal.MINIMIZE:
        return second, first
    return first, second


def _has_finite(run: Run, metric: Metric) -> bool:
    return math.isfinite(run.values.get(metric.name, math.nan))


def _values(runs: Sequence[Run], metric: Metric) -> list[float]:
    return [run.values[metric.name] for run in runs]


def _label(metric: Metric) -> str:
    name = f"{metric.name} ({metric.unit})" if metric.unit else metric.name
    if metric is RUN_NUMBER:
        return name
    return f"← better    {name}" if metric.goal is Goal.MINIMIZE else f"{name}    better →"


def _note(runs: Sequence[Run], drawn: Sequence[Run]) -> str:
    """Return how many runs are not drawn, by the reason."""
    states = Counter(run.state for run in runs)
    reasons = {str(state): states[state] for state in RunState if state is not RunState.FINISHED}
    reasons["without a finite value"] = states[RunState.FINISHED] - len(drawn)
    counts = [f"{count} {reason}" for reason, count in reasons.items() if count]
    return f"not drawn: {', '.join(counts)}" if counts else ""


def _groups(
    drawn: Sequence[Run], metrics: tuple[Metric, ...], baseline: Run | None
) -> dict[str, list[Run]]:
    """Return the runs that look alike, by a key of `MARKERS`; the baseline is in two groups."""
    usable = {run.number for run in usable_runs(drawn, metrics)}
    front = {run.number for run in frontier(drawn, metrics)}
    members = {
        "baseline": set() if baseline is None else {baseline.number},
        "frontier": front,
        "dominated": usable - front,
        "beyond a threshold": {run.number for run in drawn} - usable,
    }
    return {name: [run for run in drawn if run.number in members[name]] for name in MARKERS}


def _draw_groups(axes: Axes, groups: dict[str, list[Run]], across: Metric, up: Metric) -> None:
    for depth, (name, marker) in enumerate(MARKERS.items()):
        if groups[name]:
            axes.scatter(
                _values(groups[name], across),
                _values(groups[name], up),
                marker=marker.shape,
                s=marker.area,
                facecolors=marker.face,
                edgecolors=marker.edge,
                linewidths=marker.edge_width,
                label=f"{name} (n = {len(groups[name])})",
                zorder=10 - depth,
            )


def _draw_errors(axes: Axes, drawn: Sequence[Run], across: Metric, up: Metric) -> None:
    across_errors, up_errors = (
        [run.errors.get(metric.name, 0.0) for run in drawn] for metric in (across, up)
    )
    if any(across_errors) or any(up_errors):
        axes.errorbar(
            _values(drawn, across),
            _values(drawn, up),
            xerr=across_errors if any(across_errors) else None,
            yerr=up_errors if any(up_errors) else None,
            fmt="none",
            ecolor=PALE_GREY,
            elinewidth=0.6,
            label="± one standard error",
            zorder=1,
        )


def _draw_edge(axes: Axes, usable: Sequence[Run], across: Metric, up: Metric) -> None:
    edge = frontier(usable, (across, up))
    axes.step(
        _values(edge, across),
        _values(edge, up),
        # From each run on, to the worse side, up to the next.
        where="post" if across.goal is Goal.MINIMIZE else "pre",
        color=BLUE,
        linewidth=1.2,
        zorder=3,
    )


def _set_scales(axes: Axes, drawn: Sequence[Run], across: Metric, up: Metric) -> None:
    """Choose log axes, place the ticks, and write large numbers as in 12.3 M."""
    for metric, axis, set_scale in (
        (across, axes.xaxis, axes.set_xscale),
        (up, axes.yaxis, axes.set_yscale),
    ):
        values = _values(drawn, metric)
        is_cost = metric.goal is Goal.MINIMIZE and metric is not RUN_NUMBER
        if is_cost and 0 < min(values) * LOG_SPAN < max(values):
            set_scale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(
                MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=metric is RUN_NUMBER)
            )
        axis.set_major_formatter(_formatter(max(map(abs, values))))


def _formatter(largest: float) -> EngFormatter | StrMethodFormatter:
    return EngFormatter() if largest >= LARGE_NUMBER else StrMethodFormatter("{x:g}")


def _draw_thresholds(axes: Axes, across: Metric, up: Metric) -> None:
    """Draw a line at each threshold, and shade the side that is of no use."""
    for metric, draw_line, draw_span in (
        (across, axes.axvline, axes.axvspan),
        (up, axes.axhline, axes.axhspan),
    ):
        if metric.threshold is None:
            continue
        number = _formatter(abs(metric.threshold))(metric.threshold)
        relation = "≤" if metric.goal is Goal.MINIMIZE else "≥"
        draw_line(
            metric.threshold,
            color=DARK_GREY,
            linewidth=0.9,
            linestyle="--",
            zorder=2,
            label=f"{metric.name} {relation} {number} {metric.unit}".rstrip(),
        )
        # The limits must be set as they are now, or the shaded side would widen them.
        (left, right), (bottom, top) = limits = axes.get_xlim(), axes.get_ylim()
        low, high = (left, right) if metric is across else (bottom, top)
        worst = high if metric.goal is Goal.MINIMIZE else low
        draw_span(metric.threshold, worst, color=SHADE, linewidth=0, zorder=0)
        axes.set(xlim=limits[0], ylim=limits[1])
