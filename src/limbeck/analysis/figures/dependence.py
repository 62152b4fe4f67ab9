"""A metric along each parameter: what the forest expects, and what the runs measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from limbeck.analysis.figures.coloring import Coloring, color_by
from limbeck.analysis.figures.hover import HOVER, hover_writer
from limbeck.analysis.figures.scales import Axis, choice_angle, parameter_axis
from limbeck.analysis.figures.style import (
    BLUE,
    GREY,
    PALE_GREY,
    VERMILION,
    axis_of,
    empty_figure,
    new_figure,
    plain,
)
from limbeck.analysis.importance import FRONTIER, Dependence, measured, target_name
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run
from limbeck.sensitivity import Importances
from limbeck.space import Parameter, did_you_mean

_COLUMNS = 3
_ROW_HEIGHT = 200  # Pixels.
_GOLDEN = 0.6180339887
_MOST_TICKS = 4
_FEW_VALUES = 6
"""Values of a number, up to which its line has markers and its runs are spread."""
_BAND = "rgba(0, 114, 178, 0.18)"
_NOTHING = "no parameter to draw"
_MARKED_RUNS = 1_000
"""Of more, so many are marked below the lines: more cannot be told apart."""
MOST_SLICED = 1_000
"""Of more runs no page should have slices: each is in them once for every parameter."""


def worth_drawing(found: Importances, *, most: int = 6) -> tuple[str, ...]:
    """Return the names of the parameters with an effect on a metric, the most important first.

    Args:
        found: Importances of the metric.
        most: So many at most.
    """
    names = [each.parameter for each in found.parameters]
    return tuple(name for name in names if name not in found.inert)[:most]


def dependence_figure(
    results: StudyResults,
    metric: str,
    curves: Sequence[Dependence],
    *,
    parameters: Sequence[str] | None = None,
) -> go.Figure:
    """Draw what the forest expects of a metric along each parameter, the others being anywhere.

    The band holds 90 % of forests on resampled runs; where the runs are is marked at the bottom.

    Args:
        results: The study.
        metric: See `limbeck.analysis.importance.measured`.
        curves: `limbeck.analysis.importance.partial_dependence` of it.
        parameters: Names of those to draw, as `worth_drawing` has them; all of the study if None.

    Returns:
        A figure with three panels in a row; its height follows from the number of parameters.

    Raises:
        NotFoundError: If there is no such metric or parameter.
    """
    drawn = _chosen(results, parameters)
    if not drawn:
        return empty_figure(_NOTHING)
    runs, _ = measured(results, metric)
    if not curves:
        return empty_figure(
            f"too few runs for {plain(metric, limit=40)} along the parameters: {len(runs)}"
        )
    described = _described(results, metric)
    by_name = {curve.parameter: curve for curve in curves}
    low = min(min(by_name[parameter.name].low) for parameter in drawn)
    high = max(max(by_name[parameter.name].high) for parameter in drawn)
    span = high - low or 1.0
    rug = low - 0.08 * span
    every = -(-len(runs) // _MARKED_RUNS)

    def draw(figure: go.Figure, axis: Axis, place: Mapping[str, Any]) -> None:
        for trace in _curve(by_name[axis.name], axis, discrete=_is_discrete(results, axis)):
            figure.add_trace(trace, **place)
        figure.add_trace(_rug(axis, runs[::every], height=rug), **place)

    figure = new_figure(
        f"What to expect of {plain(target_name(described.name), limit=40)} along each parameter",
        note=f"Mean of a forest over the other parameters (n = {len(runs)} runs, "
        f"{'marked' if every == 1 else f'one in {every} marked'} below);<br>"
        f"bands: 90 % of forests on resampled runs. {_left_out(results, drawn)}",
    )
    _draw_panels(figure, results, described, drawn, draw=draw)
    figure.update_layout(height=figure.layout.height - 50, margin={"b": 30})  # without a legend
    if max(abs(low), abs(high)) >= 10_000:
        figure.update_yaxes(tickformat="~s")
    return figure.update_yaxes(range=[rug - 0.05 * span, high + 0.05 * span])


def slice_figure(
    results: StudyResults,
    metric: str,
    *,
    color: str = FRONTIER,
    parameters: Sequence[str] | None = None,
) -> go.Figure:
    """Draw every run's value of a metric against each parameter, and the baseline's as a line.

    Args:
        results: The study.
        metric: See `limbeck.analysis.importance.measured`; those runs are drawn.
        color: What the colour shows: a metric or a parameter; or whether a run is on the frontier.
        parameters: Names of those to draw, as `worth_drawing` has them; all of the study if None.

    Returns:
        A figure with three panels in a row; its height follows from the number of parameters.

    Raises:
        NotFoundError: If there is no such metric or parameter, or nothing to colour by.
    """
    drawn = _chosen(results, parameters)
    if not drawn:
        return empty_figure(_NOTHING)
    runs, values = measured(results, metric)
    if not runs:
        return empty_figure(f"no finished run has a value of {plain(metric)}")
    described = _described(results, metric)
    coloring = None if color == FRONTIER else color_by(results, runs, color)
    groups = _groups(results, runs, coloring)
    write = hover_writer(results.metrics)
    texts = {run.number: write(run) for run in runs}
    heights = {run.number: value for run, value in zip(runs, values.tolist(), strict=True)}
    trace = go.Scattergl if len(runs) > MOST_SLICED else go.Scatter

    def draw(figure: go.Figure, axis: Axis, place: Mapping[str, Any]) -> None:
        is_first = axis.name == drawn[0].name
        for name, members, marker in groups:
            figure.add_trace(
                trace(
                    x=[_jittered(axis, run) for run in members],
                    y=[heights[run.number] for run in members],
                    mode="markers",
                    marker=marker,
                    customdata=[[run.number] for run in members],
                    hovertext=[texts[run.number] for run in members],
                    hovertemplate=HOVER,
                    name=f"{plain(name)} (n = {len(members)})",
                    legendgroup=name,
                    showlegend=is_first and bool(name),
                ),
                **place,
            )
        if results.baseline is not None and 0 in heights:
            figure.add_trace(
                trace(
                    x=_ends(axis),
                    y=[heights[0]] * 2,
                    mode="lines",
                    line={"color": VERMILION, "dash": "dot", "width": 1.5},
                    hoverinfo="skip",
                    name="baseline (run 0)",
                    legendgroup="baseline",
                    showlegend=is_first,
                ),
                **place,
            )

    shown = "frontier membership" if coloring is None else plain(coloring.name)
    figure = new_figure(
        f"Runs along each parameter: {plain(target_name(described.name), limit=40)}",
        note=f"n = {len(runs)} runs, colour: {shown}. {_left_out(results, drawn)}"
        "<br>Where values are few, runs are spread sideways.",
    )
    _draw_panels(figure, results, described, drawn, draw=draw)
    if metric != FRONTIER:
        upward = axis_of(described, values.tolist())
        figure.update_yaxes({key: upward[key] for key in upward.keys() - {"title"}})
    if coloring is not None and coloring.categories:
        figure.add_traces([_entry(*each) for each in coloring.categories.items()])
    if coloring is not None and coloring.axis:
        bar = {
            **coloring.axis["colorbar"],
            "lenmode": "pixels",
            "len": 280,
            "y": 1,
            "yanchor": "top",
        }
        figure.update_layout(coloraxis={**coloring.axis, "colorbar": bar})
    return figure


def _draw_panels(
    figure: go.Figure,
    results: StudyResults,
    metric: Metric,
    parameters: Sequence[Parameter],
    *,
    draw: Callable[[go.Figure, Axis, Mapping[str, Any]], None],
) -> None:
    """Draw a panel for each parameter, the metric upwards in all of them."""
    rows, columns = -(-len(parameters) // _COLUMNS), min(len(parameters), _COLUMNS)
    make_subplots(
        rows=rows,
        cols=columns,
        figure=figure,
        shared_yaxes=True,
        subplot_titles=[plain(parameter.name, limit=24) for parameter in parameters],
        vertical_spacing=0.3 / rows,
        horizontal_spacing=0.03,
    )
    runs, _ = measured(results, metric.name)
    for index, parameter in enumerate(parameters):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        axis = parameter_axis(parameter, [run.parameters.get(parameter.name) for run in runs])
        draw(figure, axis, place)
        figure.update_xaxes(**_horizontal(axis), **place)
    better = "← better" if metric.goal is Goal.MINIMIZE else "better →"
    unit = f" ({metric.unit})" if metric.unit else ""
    title = {"text": f"{_short(metric)}{unit}<br>{better}", "font": {"size": 11}}
    for row in range(1, rows + 1):
        figure.update_yaxes(title=title, row=row, col=1)
    figure.update_annotations(font={"size": 12})
    figure.update_yaxes(tickfont={"size": 11})
    figure.update_layout(
        height=190 + _ROW_HEIGHT * rows,
        legend={"yref": "container", "y": 0, "yanchor": "bottom"},
        title={"yref": "container", "y": 1, "yanchor": "top", "pad": {"t": 14}},
        margin={"t": 105, "b": 80},
    )


def _chosen(results: StudyResults, names: Sequence[str] | None) -> tuple[Parameter, ...]:
    """Return the parameters to draw, in their order.

    Raises:
        NotFoundError: If there is none of a name.
    """
    if names is None:
        return results.parameters
    known = {parameter.name: parameter for parameter in results.parameters}
    for name in names:
        if name not in known:
            raise NotFoundError(f"no parameter {name!r}{did_you_mean(name, tuple(known))}")
    return tuple(known[name] for name in names)


def _left_out(results: StudyResults, drawn: Sequence[Parameter]) -> str:
    """Return how many parameters are drawn, if not all."""
    count = len(results.parameters)
    return "" if len(drawn) == count else f"{len(drawn)} of {count} parameters."


def _described(results: StudyResults, metric: str) -> Metric:
    """Return a metric; of the frontier, its distance."""
    if metric == FRONTIER:
        return Metric(name=FRONTIER, goal=Goal.MINIMIZE)
    return results.metric(metric)


def _short(metric: Metric) -> str:
    return "distance" if metric.name == FRONTIER else plain(metric.name, limit=24)


def _horizontal(axis: Axis) -> dict[str, Any]:
    """Return plotly's settings of a parameter's axis."""
    ticks, angle = axis.ticks(), choice_angle(axis)
    marks = {
        place: plain(text, limit=9 if angle else 12)
        for place, text in zip(ticks.places, ticks.texts, strict=True)
        if text.strip("\u200b")
    }
    if not axis.choices:
        marks = dict(list(marks.items())[:: -(-len(marks) // _MOST_TICKS)])
    return {
        "tickvals": list(marks),
        "ticktext": list(marks.values()),
        "range": _ends(axis),
        "showgrid": False,
        "tickangle": angle,
        "tickfont": {"size": 10},
    }


def _ends(axis: Axis) -> list[float]:
    margin = 0.0 if axis.choices else max(_spread(axis), 0.04 * (axis.high - axis.low))
    return [axis.bottom - margin, axis.high + margin]


def _is_discrete(results: StudyResults, axis: Axis) -> bool:
    parameter: Parameter = next(each for each in results.parameters if each.name == axis.name)
    return parameter.count is not None and parameter.count <= _FEW_VALUES


def _curve(curve: Dependence, axis: Axis, *, discrete: bool) -> list[go.Scatter]:
    """Return the traces of one parameter: a line in its band, or points with error bars."""
    places = [axis.place(value) for value in curve.values]
    hover: dict[str, Any] = {
        "customdata": [[plain(value, limit=24)] for value in _texts(curve)],
        "hovertemplate": "%{customdata[0]}: %{y:.4g}<extra></extra>",
        "showlegend": False,
    }
    if axis.choices:
        return [
            go.Scatter(
                x=places,
                y=curve.means,
                mode="markers",
                marker={"color": BLUE, "size": 9},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": np.subtract(curve.high, curve.means),
                    "arrayminus": np.subtract(curve.means, curve.low),
                    "color": BLUE,
                    "thickness": 1.5,
                },
                **hover,
            )
        ]
    return [
        go.Scatter(
            x=[*places, *places[::-1]],
            y=[*curve.high, *curve.low[::-1]],
            fill="toself",
            fillcolor=_BAND,
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        ),
        go.Scatter(
            x=places,
            y=curve.means,
            mode="lines+markers" if discrete else "lines",
            line={"color": BLUE, "width": 2},
            **hover,
        ),
    ]


def _texts(curve: Dependence) -> list[str]:
    return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in curve.values]


def _entry(name: str, color: str) -> go.Scatter:
    """Return an entry of the legend without markers in the figure."""
    return go.Scatter(
        x=[None], y=[None], mode="markers", marker={"color": color}, name=plain(name, limit=24)
    )


def _rug(axis: Axis, runs: Sequence[Run], *, height: float) -> go.Scatter:
    return go.Scatter(
        x=[_jittered(axis, run) for run in runs],
        y=[height] * len(runs),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 7, "color": GREY, "opacity": 0.6},
        customdata=[[run.number] for run in runs],
        hovertemplate="run %{customdata[0]}<extra></extra>",
        showlegend=False,
    )


def _jittered(axis: Axis, run: Run) -> float:
    """Return where a run stands; of few values, somewhere beside the place."""
    place = axis.place(run.parameters.get(axis.name))
    return place + _spread(axis) * (_GOLDEN * run.number % 1 - 0.5)


def _spread(axis: Axis) -> float:
    """Return how wide the runs of one value are spread, so that they do not cover each other."""
    if axis.choices:
        return 0.5
    few = axis.whole and (axis.high - axis.low) / axis.step < _FEW_VALUES
    return 0.35 * axis.step if few else 0.0


def _groups(
    results: StudyResults, runs: Sequence[Run], coloring: Coloring | None
) -> list[tuple[str, list[Run], dict[str, Any]]]:
    """Return the runs with their markers: a group for each entry of the legend."""
    look: dict[str, Any] = {"size": 6, "line": {"width": 0}, "opacity": 0.75}
    if coloring is None:
        best = {run.number for run in results.frontier}
        usable = {run.number for run in results.usable}
        within = [run for run in runs if run.number in usable and run.number not in best]
        beyond = [run for run in runs if run.number not in usable]
        groups = [
            ("not usable: beyond a threshold or stopped", beyond, PALE_GREY),
            ("other runs", within, GREY),
            ("on the frontier", [run for run in runs if run.number in best], BLUE),
        ]
        return [(name, members, {**look, "color": c}) for name, members, c in groups if members]
    scale = {} if coloring.categories else {"coloraxis": "coloraxis"}
    return [("", list(runs), {**look, "color": coloring.of(runs), **scale})]
