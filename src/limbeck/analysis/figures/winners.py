"""What the winners share: their distribution over that of all runs, parameter by parameter."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from limbeck.analysis.figures.scales import ABSENT, Axis, choice_angle, parameter_axis
from limbeck.analysis.figures.style import (
    BLUE,
    GREY,
    PALE_GREY,
    VERMILION,
    empty_figure,
    new_figure,
    plain,
)
from limbeck.analysis.results import StudyResults
from limbeck.analysis.winners import Rule, Trait, Winners, find_winners
from limbeck.runs import Run
from limbeck.space import Parameter
from limbeck.wording import p_text

BINS = 10
"""Bars of a number that has more values than fit one by one."""

MOST_MARKED = 1_000
"""Runs of a group up to which each is marked."""

_COLUMNS = 3
_ROW_HEIGHT = 230  # Pixels.
_RUG = -0.09  # Of the highest bar: how far below the bars the runs themselves are marked.


def winners_figure(results: StudyResults, *, rule: Rule = "baseline") -> go.Figure:
    """Draw, for each parameter, the share of the winners and of all finished runs at its values.

    Below the bars each run is marked where it is, unless they are too many; a line shows the
    baseline's value.

    Args:
        results: The study.
        rule: See `limbeck.analysis.winners.find_winners`.

    Returns:
        A figure with three panels in a row; its height follows from the number of parameters.
    """
    found = find_winners(results, rule)
    if not found.runs:
        return empty_figure(_nothing(results, found))
    rows = -(-len(found.traits) // _COLUMNS)
    figure = new_figure(
        "What the winners share",
        note=f"Winners: runs {'<br>'.join(map(plain, _lines(found.rule)))}.<br>p: against all "
        "other finished runs, by ranks (choices: Fisher), corrected for "
        f"{len(found.traits)} parameters (Holm).",
    )
    make_subplots(
        rows=rows,
        cols=_COLUMNS,
        figure=figure,
        subplot_titles=[_heading(trait) for trait in found.traits],
        vertical_spacing=0.36 / rows,
        horizontal_spacing=0.08,
    )
    for index, trait in enumerate(found.traits):
        _draw(figure, trait.parameter, found, results.baseline, index=index)
    figure.update_annotations(font={"size": 12})
    return figure.update_layout(
        height=170 + _ROW_HEIGHT * rows,
        barmode="overlay",
        bargap=0,
        legend={"yref": "container", "y": 0, "yanchor": "bottom"},
        title={"yref": "container", "y": 1, "yanchor": "top", "pad": {"t": 14}},
        margin={"t": 130},
    )


def _draw(
    figure: go.Figure, parameter: Parameter, found: Winners, baseline: Run | None, *, index: int
) -> None:
    """Draw one panel."""
    place = {"row": index // _COLUMNS + 1, "col": index % _COLUMNS + 1}
    groups = (("all finished runs", found.everyone), ("winners", found.runs))
    axis = parameter_axis(parameter, [run.parameters.get(parameter.name) for run in found.everyone])
    edges = _edges(axis)
    shares = [_shares(axis, runs, edges) for _, runs in groups]
    top = max(float(each.max()) for each in shares) or 1.0
    for (name, runs), share, color, narrow in zip(
        groups, shares, (PALE_GREY, BLUE), (0.96, 0.5), strict=True
    ):
        figure.add_trace(
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=share,
                width=np.diff(edges) * narrow,
                marker={"color": color},
                name=f"{name} (n = {len(runs)})",
                legendgroup=name,
                showlegend=index == 0,
                hovertext=_bar_names(axis),
                hovertemplate="%{hovertext} %{y:.0f} %<extra></extra>",
            ),
            **place,
        )
        if len(runs) <= MOST_MARKED:
            rug = _rug(axis, runs, height=top * _RUG, is_winner=color == BLUE)
            figure.add_trace(rug, **place)
    if baseline is not None and parameter.name in baseline.parameters:
        figure.add_trace(_baseline(axis, baseline, top=top, legend=index == 0), **place)
    ticks = _shown_ticks(axis)
    figure.update_xaxes(
        tickvals=list(ticks),
        ticktext=list(ticks.values()),
        range=[edges[0], edges[-1]],
        showgrid=False,
        tickangle=choice_angle(axis),
        tickfont={"size": 11},
        **place,
    )
    figure.update_yaxes(range=[2 * _RUG * top, 1.08 * top], ticksuffix=" %", nticks=5, **place)
    figure.update_yaxes(showline=False, ticks="", **place)


def _rug(axis: Axis, runs: Sequence[Run], *, height: float, is_winner: bool) -> go.Scatter:
    return go.Scatter(
        x=_places(axis, runs),
        y=np.full(len(runs), height),
        mode="markers",
        marker={
            "symbol": "line-ns-open",
            "size": 8,
            "color": BLUE if is_winner else GREY,
            "opacity": 0.9 if is_winner else 0.5,
        },
        customdata=np.array([[run.number] for run in runs]),
        hovertemplate="run %{customdata[0]}<extra></extra>",
        showlegend=False,
    )


def _baseline(axis: Axis, baseline: Run, *, top: float, legend: bool) -> go.Scatter:
    place = axis.place(baseline.parameters[axis.name])
    return go.Scatter(
        x=[place, place],
        y=[0, 1.08 * top],
        mode="lines",
        line={"color": VERMILION, "dash": "dot", "width": 2},
        customdata=[[baseline.number]] * 2,
        hovertemplate="baseline<extra></extra>",
        name="baseline (run 0)",
        legendgroup="baseline",
        showlegend=legend,
    )


def _edges(axis: Axis) -> NDArray[np.float64]:
    """Return the ends of the bars, ascending: one bar a value where there are few."""
    if axis.choices:
        edges = np.arange(len(axis.choices) + 1) - 0.5
    elif axis.whole and not axis.continuous and not axis.log:
        edges = np.arange(axis.low - axis.step / 2, axis.high + axis.step, axis.step)
    else:
        edges = np.linspace(axis.low, axis.high, BINS + 1)
    if axis.has_absent:
        edges = np.array([2 * axis.absent - edges[0], *edges])
    return np.asarray(edges, dtype=np.float64)


def _places(axis: Axis, runs: Sequence[Run]) -> NDArray[np.float64]:
    """Return where each run stands on an axis."""
    return np.array([axis.place(run.parameters.get(axis.name)) for run in runs], dtype=np.float64)


def _shares(axis: Axis, runs: Sequence[Run], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the percentage of the runs in each bar."""
    counts, _ = np.histogram(_places(axis, runs), bins=edges)
    return 100.0 * counts.astype(np.float64) / len(runs)


def _shown_ticks(axis: Axis) -> dict[float, str]:
    """Return the marks with texts, few enough to stand beside each other."""
    ticks, angle = axis.ticks(), choice_angle(axis)
    marks = {
        place: plain(text, limit=9 if angle else 12)
        for place, text in zip(ticks.places, ticks.texts, strict=True)
        if text.strip("\u200b")
    }
    if axis.choices:
        return marks
    every = -(-len(marks) // 5)
    return dict(list(marks.items())[::every])


def _bar_names(axis: Axis) -> list[str] | None:
    """Return what is shown for each bar of a choice, whose mark may be cut off."""
    names = [plain(choice) for choice in axis.choices]
    return [*([ABSENT] if axis.has_absent else []), *names] if names else None


def _heading(trait: Trait) -> str:
    name = plain(trait.parameter.name, limit=26)
    if trait.p_value is None:
        return name
    p = f"p {p_text(trait.p_value)}"
    return f"<b>{name}</b><br>{p}" if trait.differs else f"{name}<br>{p}"


def _lines(text: str) -> list[str]:
    return wrap(text, 76, max_lines=2, placeholder="…")


def _nothing(results: StudyResults, found: Winners) -> str:
    if not results.finished:
        return "No run is finished yet"
    if results.baseline is None:
        return "Run 0, the baseline, is not finished: nothing to compare with"
    return f"No run is {plain(found.rule, limit=160)}"
