"""Curves of one or several runs: one panel for each metric, over one axis that all share."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from limbeck.analysis.curves import Across, Curve, metric_names, read_curves
from limbeck.analysis.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    PALE_GREY,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    empty_figure,
    new_figure,
    plain,
)
from limbeck.analysis.results import StudyResults
from limbeck.config import MEASURED
from limbeck.runs import CurvePoint, Run, RunState

DISTINCT = 15
"""Runs that get a colour and a dash of their own; those after them are pale lines."""

_COLORS = (BLUE, GREEN, ORANGE, SKY_BLUE, PURPLE)
_DASHES = ("solid", "dash", "dot")
_SYMBOLS = {
    RunState.WAITING: "circle-open",
    RunState.RUNNING: "triangle-right-open",
    RunState.FINISHED: "circle",
    RunState.STOPPED: "square",
    RunState.INFEASIBLE: "triangle-up",
    RunState.FAILED: "x",
}
_ROW_HEIGHT = 210  # Pixels.
_NARROW = 3  # Panels up to which they stand below each other.


def training_curves(
    results: StudyResults,
    points: Mapping[int, Sequence[CurvePoint]],
    *,
    runs: Sequence[int],
    metrics: Sequence[str] | None = None,
    across: Across = "steps",
) -> go.Figure:
    """Draw how runs came to their values.

    The last value of each curve is marked: how the mark looks tells the run's state, so that one
    that was stopped or failed is seen to end where it did. Very long curves are thinned, without
    losing an extreme value.

    Args:
        results: The study.
        points: Curve points by run number, in step order; of more runs than are drawn, perhaps.
        runs: Numbers of those to draw. The baseline, if it is among them, is always vermilion.
        metrics: Names of those to draw, a panel each; by default all but scores with the best
            threshold (``best_exact``).
        across: What they are drawn against.

    Returns:
        A figure whose markers have the run number as ``customdata``; its height follows from the
        number of metrics.

    Raises:
        NotFoundError: If the study has no run of a number.
    """
    chosen = [results.run(number) for number in dict.fromkeys(runs)]
    chosen.sort(key=lambda run: run.number != 0)
    there = {run.number: points.get(run.number, ()) for run in chosen}
    names = tuple(dict.fromkeys(_shown(there) if metrics is None else metrics))
    curves = {run.number: read_curves(run, there[run.number], across=across) for run in chosen}
    drawn = [run for run in chosen if curves[run.number].keys() & set(names)]
    if not drawn:
        return empty_figure(_nothing(chosen, there, across))
    unit, scale = _unit(across, [c for number in curves.values() for c in number.values()])
    figure = new_figure(_title(drawn), note=_note(chosen, drawn, across))
    columns = 1 if len(names) <= _NARROW else 2
    rows = -(-len(names) // columns)
    make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all",
        figure=figure,
        subplot_titles=[_panel_title(results, name) for name in names],
        vertical_spacing=0.22 / rows,
        horizontal_spacing=0.1,
    )
    for index, name in enumerate(names):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        panel = [(run, curves[run.number][name]) for run in drawn if name in curves[run.number]]
        for trace in _traces(panel, _lines(drawn), scale):
            figure.add_trace(trace, **place)
        if name == "learning_rate":
            figure.update_yaxes(exponentformat="e", **place)
        if index + columns >= len(names):
            title = {"text": unit, "font": {"size": 13}}
            figure.update_xaxes(title=title, showticklabels=True, **place)
    _name_once(figure)
    figure.update_annotations(font={"size": 12})
    return figure.update_layout(
        height=190 + _ROW_HEIGHT * rows,
        legend={"yref": "container", "y": 0, "yanchor": "bottom", "traceorder": "reversed"},
        margin={"t": 100},
    )


def _shown(points: Mapping[int, Sequence[CurvePoint]]) -> list[str]:
    """Return the metrics that are drawn unless others are asked for."""
    return [name for name in metric_names(points) if not name.startswith("best_")]


def _traces(
    panel: Sequence[tuple[Run, Curve]],
    lines: Mapping[int, Mapping[str, str | float]],
    scale: float,
) -> list[go.Scatter]:
    """Return the traces of a panel, the first run's last, so that it lies above the others."""
    pale = [curve for run, curve in panel if run.number not in lines]
    own = [
        _trace(run, curve, scale, lines[run.number]) for run, curve in panel if run.number in lines
    ]
    return [*([_together(pale, scale)] if pale else []), *reversed(own)]


def _name_once(figure: go.Figure) -> None:
    """Show each run in the legend, but once, whatever panels it has a curve in."""
    named = set()
    for trace in figure.data:
        trace.showlegend = trace.legendgroup not in named
        named.add(trace.legendgroup)


def _together(curves: Sequence[Curve], scale: float) -> go.Scatter:
    """Return the curves of runs that have no colour of their own, a gap between each two."""
    gap = [np.nan]
    return go.Scatter(
        x=np.concatenate([part for curve in curves for part in (curve.across / scale, gap)]),
        y=np.concatenate([part for curve in curves for part in (curve.values, gap)]),
        mode="lines",
        line={"color": PALE_GREY, "width": 0.8},
        name=f"{len(curves)} other runs",
        legendgroup="others",
        customdata=np.repeat(
            [[curve.run] for curve in curves], [len(curve.values) + 1 for curve in curves], axis=0
        ),
        hovertemplate="run %{customdata[0]}<br>%{x:.4g}: %{y:.5g}<extra></extra>",
    )


def _trace(run: Run, curve: Curve, scale: float, line: Mapping[str, str | float]) -> go.Scatter:
    across = curve.across / scale
    sizes = np.where(np.arange(len(across)) == len(across) - 1, 9, 0)
    return go.Scatter(
        x=across,
        y=curve.values,
        mode="lines+markers",
        line=dict(line),
        marker={"size": sizes, "symbol": _SYMBOLS[run.state], "color": line["color"], "opacity": 1},
        name=_label(run),
        legendgroup=str(run.number),
        customdata=np.full((len(across), 1), run.number),
        hovertemplate="%{fullData.name}<br>%{x:.4g}: %{y:.5g}<extra></extra>",
    )


def _lines(runs: Sequence[Run]) -> dict[int, dict[str, str | float]]:
    """Return what the line of each of the first runs looks like, in all panels alike."""
    lines: dict[int, dict[str, str | float]] = {}
    for run in runs[:DISTINCT]:
        index = sum(number != 0 for number in lines)
        color = VERMILION if run.number == 0 else _COLORS[index % len(_COLORS)]
        dash = "solid" if run.number == 0 else _DASHES[index // len(_COLORS)]
        lines[run.number] = {"color": color, "dash": dash, "width": 1.8}
    return lines


def _label(run: Run) -> str:
    """Return what a run is, for the legend."""
    reason = f": {plain(run.reason, limit=20)}" if run.reason else ""
    return f"run {run.number}{' (baseline)' if run.number == 0 else ''}, {run.state}{reason}"


def _panel_title(results: StudyResults, name: str) -> str:
    units = {metric.name: metric.unit for metric in results.metrics}
    unit = units.get(name, MEASURED[name].unit if name in MEASURED else "")
    return f"{plain(name)} ({plain(unit)})" if unit else plain(name)


def _unit(across: Across, curves: Sequence[Curve]) -> tuple[str, float]:
    """Return what the shared axis is called, and by what its values are divided."""
    if across != "time":
        return across, 1.0
    longest = max((float(curve.across[-1]) for curve in curves), default=0.0)
    if longest > 2 * 3600:
        return "training time (h)", 3600.0
    return ("training time (min)", 60.0) if longest > 300 else ("training time (s)", 1.0)


def _title(drawn: Sequence[Run]) -> str:
    return f"Curves of run {drawn[0].number}" if len(drawn) == 1 else f"Curves of {len(drawn)} runs"


def _note(chosen: Sequence[Run], drawn: Sequence[Run], across: Across) -> str:
    shown = {run.number for run in drawn}
    left_out = [str(run.number) for run in chosen if run.number not in shown]
    note = f"n = {len(drawn)}; the mark is the last value"
    if not left_out:
        return note
    why = "epochs unknown or no points" if across == "epochs" else "no points"
    return f"{note}; left out, {why}: {plain(', '.join(left_out), limit=40)}"


def _nothing(
    chosen: Sequence[Run], there: Mapping[int, Sequence[CurvePoint]], across: Across
) -> str:
    if not chosen:
        return "No run is chosen"
    if across == "epochs" and any(there.values()):
        return "These runs do not say how many steps an epoch has; choose steps or time"
    return "These runs have no curves of this"
