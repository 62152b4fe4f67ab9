"""How the frontier of a study grew."""

from typing import Any, Literal, TypeAlias

import plotly.graph_objects as go

from limbeck.analysis.figures.hover import HOVER, hover_writer
from limbeck.analysis.figures.style import (
    BLUE,
    VERMILION,
    empty_figure,
    new_figure,
    plain,
)
from limbeck.analysis.results import StudyResults
from limbeck.analysis.statistics import Growth, hypervolume_history
from limbeck.frontier import hypervolume, reference_point
from limbeck.metrics import optimized

Over: TypeAlias = Literal["runs", "cost", "time"]
"""Number of runs that ended, training time of these together, or time since the study began."""

_UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"))
"""From how many seconds on times are in which unit."""

_LINE = 40
"""Characters of the metrics that stand in one line beside the axis."""


def history(results: StudyResults, *, over: Over = "runs", title: str | None = None) -> go.Figure:
    """Draw the hypervolume of the runs that had ended, with a marker where the frontier changed.

    It is counted from one reference point: the thresholds, or the worst values where there are
    none. A line shows what the baseline has of it alone.

    Args:
        results: The study.
        over: What goes across.
        title: Stands above the figure; by default the study's name.
    """
    growth = hypervolume_history(results)
    if not results.usable:
        return empty_figure("no finished run within the thresholds yet")
    if over == "time" and any(point.wall_seconds is None for point in growth):
        return empty_figure("runs of this study have no times")
    places, label = _places(growth, over)
    joined = [at for at, point in enumerate(growth) if point.joined]
    note = (
        f"n = {len(growth)} ended runs, {len(joined)} of them joined the frontier when they ended"
    )
    figure = new_figure(plain(results.name if title is None else title), note=note)
    corners = _corners(growth)
    figure.add_scatter(
        x=[0.0, *(places[at] for at in corners)],
        y=[0.0, *(growth[at].hypervolume for at in corners)],
        mode="lines",
        line={"color": BLUE, "width": 1.8, "shape": "hv"},
        name="hypervolume",
        hoverinfo="skip",
    )
    _draw_baseline(figure, results, places[-1])
    runs = {run.number: run for run in results.runs}
    write = hover_writer(results.goals)
    figure.add_scatter(
        x=[places[at] for at in joined],
        y=[growth[at].hypervolume for at in joined],
        mode="markers",
        marker={"color": BLUE, "size": 8},
        name=f"a run joined the frontier (n = {len(joined)})",
        hovertext=[_text(growth[at], write(runs[growth[at].run])) for at in joined],
        hovertemplate=HOVER,
        customdata=[[growth[at].run] for at in joined],
    )
    figure.update_layout(xaxis=_across(places, label), yaxis=_up(results))
    return figure


def _corners(growth: tuple[Growth, ...]) -> list[int]:
    """Return where the hypervolume rises, and the last place: between them the stairs are level."""
    before = 0.0
    corners = []
    for at, point in enumerate(growth):
        if point.hypervolume != before or at == len(growth) - 1:
            corners.append(at)
        before = point.hypervolume
    return corners


def _places(growth: tuple[Growth, ...], over: Over) -> tuple[list[float], str]:
    """Return where the points stand across, and what stands below the axis."""
    if over == "runs":
        return [float(point.ended) for point in growth], "runs ended"
    name = "training time of all runs" if over == "cost" else "time since the study began"
    seconds = [
        point.cost_seconds if over == "cost" else point.wall_seconds or 0.0 for point in growth
    ]
    for least, scale, unit in _UNITS:
        if seconds[-1] >= least:
            return [each / scale for each in seconds], f"{name} ({unit})"
    return seconds, f"{name} (seconds)"


def _across(places: list[float], label: str) -> dict[str, Any]:
    return {"title": {"text": label}, "range": [0, 1.02 * places[-1] or 1]}


def _up(results: StudyResults) -> dict[str, Any]:
    units = [
        plain(f"{goal.name} ({goal.unit})" if goal.unit else goal.name, limit=30)
        for goal in optimized(results.metrics)
    ]
    times = " times " if sum(map(len, units)) <= _LINE else "<br>times "
    return {
        "title": {"text": f"hypervolume: {times.join(units)}"},
        "rangemode": "tozero",
        "exponentformat": "SI",
    }


def _draw_baseline(figure: go.Figure, results: StudyResults, end: float) -> None:
    if results.baseline is None:
        return
    reference = reference_point(results.runs, results.metrics)
    alone = hypervolume([results.baseline], results.metrics, reference)
    figure.add_scatter(
        x=[0, end],
        y=[alone, alone],
        mode="lines",
        line={"color": VERMILION, "width": 1.2, "dash": "dot"},
        name="the baseline alone",
        hoverinfo="skip",
    )


def _text(point: Growth, run: str) -> str:
    return f"{run}<br>hypervolume {point.hypervolume:.4g} after {point.ended} runs"
