"""All runs of a study in the plane of two metrics, and the frontier among them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from limbeck.analysis.attainment import Attainment, attainment
from limbeck.analysis.figures.coloring import Coloring, area_by, color_by
from limbeck.analysis.figures.hover import HOVER, hover_writer, place_template
from limbeck.analysis.figures.plane import (
    Extent,
    Plane,
    axis_and_extent,
    error_of,
    plane_of,
    value_of,
)
from limbeck.analysis.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PALE_GREY,
    VERMILION,
    empty_figure,
    new_figure,
    plain,
)
from limbeck.analysis.figures.surroundings import (
    draw_band,
    draw_edge,
    draw_infeasible,
    draw_teacher,
    shade_thresholds,
)
from limbeck.analysis.named import find_metric, recorded_metrics
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Metric
from limbeck.runs import Run, RunState
from limbeck.wording import format_value

_MANY = 1500
"""Markers of a group, from which on all are drawn by the graphics card, and these told of shortly.
"""
_BARS = 150
"""Finished runs, up to which each has an error bar; of more, only those on the frontier."""
_LINE = 15
"""Height of a line of the note, in pixels."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What a group of runs looks like; sizes are in pixels."""

    symbol: str
    size: float
    color: str
    opacity: float = 1.0


_LOOKS = {
    "beyond a threshold": _Look(symbol="circle-open", size=6, color=PALE_GREY),
    "dominated": _Look(symbol="circle", size=7, color=GREY, opacity=0.75),
    "stopped early": _Look(symbol="x-thin-open", size=8, color=ORANGE),
    "frontier": _Look(symbol="circle", size=10, color=BLUE),
    "baseline": _Look(symbol="diamond-open", size=15, color=VERMILION),
}
"""From the back of the figure to its front."""


def frontier(
    results: StudyResults,
    *,
    across: str | None = None,
    up: str | None = None,
    color: str | None = None,
    size: str | None = None,
    repeats: Sequence[Run] = (),
    title: str | None = None,
    most: int | None = None,
) -> go.Figure:
    """Draw all runs, the frontier among them, the baseline, the teacher and the thresholds.

    The frontier is that of all optimized metrics; the line is the edge of what the usable runs
    dominate in the two that are drawn. Runs that were stopped early stand where they were expected
    to end, or at their last values; infeasible ones are ticks at the edge. A band shows what
    repetitions of the same configurations attain: from what one of them does to what all do.

    Args:
        results: The study.
        across: A metric: see `plane_of`.
        up: A metric: see `plane_of`.
        color: Name of a parameter or metric that the colour of the markers shows.
        size: Name of a metric that the area of the markers shows.
        repeats: Runs that repeat some of the study's with other seeds, such as those of the study
            that confirms it; by default the study's own runs that differ in nothing but the seed.
        title: Stands above the figure; by default the study's name.
        most: Markers of a group that are drawn at a time: of a larger one, every so manieth of
            those in sight. By default all, by the graphics card if they are many: computers
            without one take a second for it, or do not do it at all.

    Raises:
        NotFoundError: If there is no metric or parameter of a name.
    """
    plane = plane_of(results, across, up)
    groups = _groups(results, plane)
    placed = [run for runs in groups.values() for run in runs]
    coloring = color_by(results, placed, color) if color else None
    areas = area_by(results, placed, size) if size else {}
    if not placed:
        return empty_figure(_nothing(results, plane))
    figure = new_figure(plain(results.name if title is None else title))
    found = (
        None if plane.is_over_runs else attainment(repeats or results.runs, plane.across, plane.up)
    )
    _write_note(figure, [*_note(results, groups, size, most), *_band_note(found)])
    extents = _set_axes(figure, results, plane, placed, found)
    shade_thresholds(figure, extents)
    if found:
        draw_band(figure, plane, found, extents)
    draw_edge(figure, results, plane)
    _draw_groups(figure, results, plane, groups, coloring, areas, most)
    draw_infeasible(figure, results, extents)
    draw_teacher(figure, results, plane, extents)
    if areas:
        figure.update_layout(legend_itemsizing="constant")
    if coloring:
        _explain_colors(figure, coloring, placed)
    return figure


def _groups(results: StudyResults, plane: Plane) -> dict[str, list[Run]]:
    """Return the runs that look alike, by a key of `_LOOKS`; the baseline is in two groups."""
    usable = {run.number for run in results.usable}
    front = {run.number for run in results.frontier}
    groups: dict[str, list[Run]] = {name: [] for name in _LOOKS}
    for run in results.runs:
        if plane.place(run) is None:
            continue
        if run.state is RunState.STOPPED:
            groups["stopped early"].append(run)
        elif run.state is RunState.FINISHED:
            name = "dominated" if run.number in usable else "beyond a threshold"
            groups["frontier" if run.number in front else name].append(run)
            if run.number == 0:
                groups["baseline"].append(run)
    return groups


def _nothing(results: StudyResults, plane: Plane) -> str:
    if not results.finished:
        return "no finished run yet"
    return plain(f"no finished run has finite values of {plane.across.name} and {plane.up.name}")


def _note(
    results: StudyResults,
    groups: Mapping[str, Sequence[Run]],
    size: str | None,
    most: int | None,
) -> list[str]:
    """Return the lines that say what is counted, what is not drawn, and what marks mean."""
    drawn = {run.number for runs in groups.values() for run in runs}
    left = Counter(
        "without a finite value" if run.state is RunState.FINISHED else str(run.state)
        for run in results.runs
        if run.number not in drawn and run.state is not RunState.INFEASIBLE
    )
    counts = [f"n = {len(results.finished)} finished runs"]
    if left:
        counts.append("not drawn: " + ", ".join(f"{count} {why}" for why, count in left.items()))
    lines = ["; ".join(counts)]
    marks = []
    if any(run.errors for run in results.finished):
        whose = "" if len(results.finished) <= _BARS else " (of the frontier)"
        marks.append(f"bars: ± one standard error{whose}")
    if size:
        values = [
            run.values[size] for runs in groups.values() for run in runs if size in run.values
        ]
        if values:
            metric = find_metric(recorded_metrics(results), size)
            ends = " to ".join(format_value(end, metric) for end in (min(values), max(values)))
            marks.append(f"area: {plain(size)}, {plain(ends)}")
    if groups["stopped early"]:
        marks.append("stopped early: at the forecast or last value")
    if most is not None and any(len(runs) > most for runs in groups.values()):
        marks.append(f"of larger groups {most:,} runs are drawn, others when zoomed in")
    return [*lines, *(", ".join(pair) for pair in _pairs(marks))]


def _band_note(found: Attainment | None) -> list[str]:
    if found is None:
        return []
    return [
        f"band: attained by any to all of n = {found.sets} repetitions of {found.configurations} "
        "configurations, dots: by half"
    ]


def _pairs(texts: Sequence[str]) -> list[Sequence[str]]:
    """Return two texts for each line, so that it fits a narrow figure."""
    return [texts[at : at + 2] for at in range(0, len(texts), 2)]


def _write_note(figure: go.Figure, lines: Sequence[str]) -> None:
    """Write lines below the title, and make room for them, and for the legend below the plot."""
    figure.update_layout(
        title={
            "subtitle": {"text": "<br>".join(lines)},
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 14},
        },
        margin_t=52 + _LINE * len(lines),
        legend={
            "yref": "container",
            "y": 0.01,
            "yanchor": "bottom",
            "font": {"size": 12},
        },
    )


def _set_axes(
    figure: go.Figure,
    results: StudyResults,
    plane: Plane,
    placed: Sequence[Run],
    found: Attainment | None,
) -> tuple[Extent, Extent]:
    """Give the figure axes that show all of it; return what they show."""
    extents = []
    teacher = results.teacher.values if results.teacher else {}
    corners = (*found.best, *found.worst) if found else ()
    for side, (metric, key) in enumerate(((plane.across, "xaxis"), (plane.up, "yaxis"))):
        values = [value_of(run, metric) for run in placed] + [corner[side] for corner in corners]
        if metric.name in teacher:
            values.append(teacher[metric.name])
        axis, extent = axis_and_extent(metric, values, results.metrics)
        figure.update_layout({key: axis})
        extents.append(extent)
    return extents[0], extents[1]


def _draw_groups(
    figure: go.Figure,
    results: StudyResults,
    plane: Plane,
    groups: Mapping[str, Sequence[Run]],
    coloring: Coloring | None,
    areas: Mapping[int, float],
    most: int | None,
) -> None:
    write = hover_writer(_told(results, plane))
    if coloring and coloring.axis:
        figure.update_layout(coloraxis=coloring.axis)
    has_bars = len(results.finished) <= _BARS
    # All or none: what the graphics card draws covers what it does not.
    largest = max(map(len, groups.values()))
    trace = go.Scattergl if most is None and largest > _MANY else go.Scatter
    for name, look in _LOOKS.items():
        runs = groups[name]
        if not runs:
            continue
        bars = name == "frontier" or (has_bars and name in ("dominated", "stopped early"))
        marker = _marker(name, look, runs, coloring, areas)
        if most is not None and len(runs) > most:
            marker["maxdisplayed"] = most
        figure.add_trace(
            trace(
                x=_column(value_of(run, plane.across) for run in runs),
                y=_column(value_of(run, plane.up) for run in runs),
                mode="markers",
                marker=marker,
                customdata=_column([run.number] for run in runs),
                name=_legend(name, runs),
                **_told_of(runs, plane, write),
                **(_bars(runs, plane, look) if bars else {}),
            )
        )


def _column(values: Iterable[object]) -> NDArray[np.object_]:
    """Return values as plotly takes them without a look at each, and sends them as they are.

    What it packs instead (arrays of numbers) is unpacked in the browser each time that anything of
    the figure changes, and then drawn anew.
    """
    return np.array(list(values), dtype=object)


def _told_of(
    runs: Sequence[Run], plane: Plane, write: Callable[[Run], str]
) -> dict[str, list[str] | str]:
    """Return what is said of runs: all of each, or of many only where they stand."""
    if len(runs) > _MANY:
        return {"hovertemplate": place_template(plane.across, plane.up)}
    return {"hovertext": [write(run) for run in runs], "hovertemplate": HOVER}


def _told(results: StudyResults, plane: Plane) -> list[Metric]:
    """Return the metrics that are said of a run: those of the study, and what is drawn."""
    names = {metric.name: metric for metric in results.metrics}
    drawn = {} if plane.is_over_runs else {plane.across.name: plane.across}
    return [*(names | drawn | {plane.up.name: plane.up}).values()]


def _legend(name: str, runs: Sequence[Run]) -> str:
    if name == "baseline":
        return "baseline (run 0)"
    return f"{name} (n = {len(runs)})"


def _marker(
    name: str,
    look: _Look,
    runs: Sequence[Run],
    coloring: Coloring | None,
    areas: Mapping[int, float],
) -> dict[str, Any]:
    marker: dict[str, Any] = {"symbol": look.symbol, "size": look.size, "opacity": look.opacity}
    if name == "baseline":
        size = max((areas.get(run.number, 0.0) for run in runs), default=0.0)
        return marker | {
            "size": max(look.size, size + 6),
            "color": look.color,
            "line": {"color": look.color, "width": 2.2},
        }
    if areas:
        marker["size"] = [areas[run.number] for run in runs]
    marker["color"] = coloring.of(runs) if coloring else look.color
    if coloring and coloring.axis:
        marker["coloraxis"] = "coloraxis"
    if name == "frontier":
        marker["line"] = {"color": BLUE if coloring else "white", "width": 2 if coloring else 0.5}
    elif name == "stopped early":
        marker["line"] = {"width": 1.8}
    return marker


def _bars(runs: Sequence[Run], plane: Plane, look: _Look) -> dict[str, Any]:
    """Return plotly's settings of error bars, of one standard error to either side."""
    bars: dict[str, Any] = {}
    for metric, key in ((plane.across, "error_x"), (plane.up, "error_y")):
        errors = [error_of(run, metric) for run in runs]
        if any(errors):
            color = BLUE if look.color == BLUE else PALE_GREY
            bars[key] = {"array": errors, "color": color, "thickness": 0.8, "width": 0}
    return bars


def _explain_colors(figure: go.Figure, coloring: Coloring, runs: Sequence[Run]) -> None:
    """Put the categories into the legend, each with its number of runs."""
    numbers = {run.number for run in runs}
    counts = Counter(color for number, color in coloring.colors.items() if number in numbers)
    for text, color in coloring.categories.items():
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"symbol": "square", "size": 10, "color": color},
            name=plain(f"{coloring.name} = {text} (n = {counts[color]})"),
        )
