"""What the runs of a study stand before: thresholds, what repetitions attain, edge, teacher."""

import plotly.graph_objects as go

from limbeck.analysis.attainment import Attainment, Surface
from limbeck.analysis.figures.hover import HOVER, hover_writer
from limbeck.analysis.figures.plane import Extent, Plane
from limbeck.analysis.figures.style import BLUE, GREEN, GREY, PURPLE, SHADE, plain
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Goal
from limbeck.runs import RunState
from limbeck.wording import format_value

_BAND = "rgba(0, 114, 178, 0.16)"


def shade_thresholds(figure: go.Figure, extents: tuple[Extent, Extent]) -> None:
    """Draw a line at each threshold, and shade the side that is of no use."""
    for extent, side in zip(extents, ("x", "y"), strict=True):
        metric, threshold = extent.metric, extent.metric.threshold
        if threshold is None:
            continue
        other = "y" if side == "x" else "x"
        whole = {f"{other}ref": f"{other} domain", f"{other}0": 0, f"{other}1": 1}
        line = {"color": GREY, "width": 1.2, "dash": "dash"}
        figure.add_shape(
            {"type": "rect", f"{side}0": threshold, f"{side}1": extent.beyond, **whole},
            fillcolor=SHADE,
            line_width=0,
            layer="below",
        )
        figure.add_shape(
            {"type": "line", f"{side}0": threshold, f"{side}1": threshold, **whole}, line=line
        )
        relation = "≤" if metric.goal is Goal.MINIMIZE else "≥"
        name = f"{metric.name} {relation} {format_value(threshold, metric)}"
        figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=plain(name))


def draw_band(
    figure: go.Figure, plane: Plane, found: Attainment, extents: tuple[Extent, Extent]
) -> None:
    """Draw what lies between what one repetition attains and what all do, and half of them."""
    best, worst, median = (
        _stairs(surface, plane, extents) for surface in (found.best, found.worst, found.median)
    )
    ring = [*best, *reversed(worst)]
    figure.add_scatter(
        x=[x for x, _ in ring],
        y=[y for _, y in ring],
        mode="lines",
        fill="toself",
        fillcolor=_BAND,
        line={"width": 0},
        hoverinfo="skip",
        name="repeated, any to all",
    )
    figure.add_scatter(
        x=[x for x, _ in median],
        y=[y for _, y in median],
        mode="lines",
        line={"color": BLUE, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
        name="repeated, half",
    )


def _stairs(
    surface: Surface, plane: Plane, extents: tuple[Extent, Extent]
) -> list[tuple[float, float]]:
    """Return every corner of a staircase, from one worst edge of the plane to the other."""
    across, up = extents
    corners = surface if plane.across.goal is Goal.MINIMIZE else tuple(reversed(surface))
    points, height = [], up.worst
    for x, y in corners:
        points += [(x, height), (x, y)]
        height = y
    return [*points, (across.worst, height)]


def draw_edge(figure: go.Figure, results: StudyResults, plane: Plane) -> None:
    """Draw the edge of what the usable runs dominate."""
    corners = plane.edge(results.usable)
    figure.add_scatter(
        x=[x for x, _ in corners],
        y=[y for _, y in corners],
        mode="lines",
        line={"color": BLUE, "width": 1.6, "shape": plane.step},
        hoverinfo="skip",
        showlegend=False,
        name="frontier line",
    )


def draw_infeasible(
    figure: go.Figure, results: StudyResults, extents: tuple[Extent, Extent]
) -> None:
    """Draw a tick at the worst edge for each run that could not be, where it is known to stand."""
    runs = [run for run in results.runs if run.state is RunState.INFEASIBLE]
    across, up = extents
    for extent, edge, symbol in ((across, up, "line-ns-open"), (up, across, "line-ew-open")):
        known = [run for run in runs if extent.metric.known and extent.metric.name in run.values]
        if not known or (extent is up and across.metric.known):
            continue
        places = [run.values[extent.metric.name] for run in known]
        edges = [edge.at(0.97 if edge.metric.goal is Goal.MINIMIZE else 0.03)] * len(known)
        x, y = (places, edges) if extent is across else (edges, places)
        write = hover_writer([extent.metric])
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers",
            marker={"symbol": symbol, "size": 12, "color": PURPLE, "line": {"width": 1.8}},
            hovertext=[write(run) for run in known],
            hovertemplate=HOVER,
            customdata=[[run.number] for run in known],
            name=f"infeasible (n = {len(known)})",
        )


def draw_teacher(
    figure: go.Figure, results: StudyResults, plane: Plane, extents: tuple[Extent, Extent]
) -> None:
    """Mark the teacher with a star, or with a line where only one of its values is known."""
    if results.teacher is None:
        return
    values = results.teacher.values
    x, y = (values.get(metric.name) for metric in (plane.across, plane.up))
    shown = [
        f"{plain(metric.name)} "
        + format_value(values[metric.name], metric, results.teacher.errors.get(metric.name))
        for metric in (plane.across, plane.up)
        if metric.name in values
    ]
    text = "<br>".join(["<b>teacher</b>", *shown])
    if x is not None and y is not None:
        marker = {"symbol": "star", "size": 15, "color": GREEN}
        figure.add_scatter(
            x=[x],
            y=[y],
            mode="markers",
            marker=marker,
            hovertext=[text],
            hovertemplate=HOVER,
            name="teacher",
        )
    elif y is not None or x is not None:
        across, up = extents
        figure.add_scatter(
            x=[across.low, across.high] if x is None else [x, x],
            y=[up.low, up.high] if y is None else [y, y],
            mode="lines",
            line={"color": GREEN, "width": 1.4, "dash": "dashdot"},
            hovertext=[text, text],
            hovertemplate=HOVER,
            name=f"teacher: {shown[0]}",
        )
