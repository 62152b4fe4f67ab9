"""Which parameters matter: for each metric and the frontier, alone and in pairs."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from limbeck.analysis.figures.style import (
    BLUE,
    GREY,
    PALE_GREY,
    SKY_BLUE,
    empty_figure,
    new_figure,
    plain,
)
from limbeck.analysis.importance import target_name
from limbeck.sensitivity import Importance, Importances

_COLUMNS = 3
_BAR_HEIGHT = 30  # Pixels, for both bars of a parameter.
_LEAST_PANEL = 150
_GAP = 90  # Pixels between two rows of panels.
_CELL = 34  # Pixels of a row of the heatmap.
SHOWN_SHARE = 0.01
"""A pair's share is written into its cell from here on."""
_MOST_CAUTIONS = 3
_TOP = {"yref": "container", "y": 1, "yanchor": "top", "pad": {"t": 14}}
_NO_EFFECT = "no effect seen"


def importance_bars(found: Sequence[Importances]) -> go.Figure:
    """Draw the importance of all parameters, a panel for each metric, in the same order in all.

    Two bars for each parameter, with intervals: what it explains alone, and with its interactions.
    Those of parameters without effect are grey, and say so.

    Args:
        found: For instance `limbeck.analysis.importance.forest_importances` of each of
            `limbeck.analysis.importance.importance_targets`; those with too few runs are left out.

    Returns:
        A figure with up to three panels in a row; its height follows from the number of parameters.
    """
    shown = [each for each in found if each.parameters]
    if not shown:
        return empty_figure(plain(found[0].warning if found else "no metric", limit=120))
    names = by_importance(shown)
    columns = 2 if len(shown) == 4 else min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    panel = max(_BAR_HEIGHT * len(names), _LEAST_PANEL)
    figure = new_figure("What matters", note=_note(shown))
    make_subplots(
        rows=rows,
        cols=columns,
        figure=figure,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        vertical_spacing=_GAP / (panel * rows + _GAP * (rows - 1)),
        subplot_titles=[_panel_title(each) for each in shown],
    )
    for index, each in enumerate(shown):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        for trace in _bars(each, names, legend=index == 0):
            figure.add_trace(trace, **place)
    _order_axes(figure, names)
    figure.update_annotations(font={"size": 12})
    return figure.update_layout(
        barmode="group",
        bargap=0.25,
        bargroupgap=0,
        height=160 + (panel + _GAP) * rows,
        title=_TOP,
        legend={"yref": "container", "y": 0, "yanchor": "bottom", "traceorder": "normal"},
        margin={"t": 120 + 14 * sum(bool(each.warning) for each in shown), "b": 95},
    )


def interaction_map(found: Importances) -> go.Figure:
    """Draw what every two parameters explain together, beyond what each explains alone.

    Args:
        found: Of one metric.
    """
    if len(found.parameters) < 2:
        return empty_figure(plain(found.warning or "a pair needs two parameters", limit=120))
    names = [each.parameter for each in found.parameters]
    shares = np.full((len(names), len(names)), np.nan)
    for pair in found.interactions:
        first, second = sorted(names.index(name) for name in pair.parameters)
        shares[second, first] = 100 * pair.share
    texts = [
        ["" if not share >= 100 * SHOWN_SHARE else f"{share:.0f}" for share in row]
        for row in shares
    ]
    labels = [plain(name, limit=24) for name in names]
    largest = float(np.nanmax(shares))
    figure = new_figure(
        f"Which parameters act together on {_name(found)}",
        note="% of the variance that a pair explains beyond each alone; no number below 1 %.<br>"
        f"{_evidence(found)}; the most important parameters first.",
    )
    figure.add_trace(
        go.Heatmap(
            z=shares[1:, :-1],
            x=labels[:-1],
            y=labels[1:],
            text=[row[:-1] for row in texts[1:]],
            texttemplate="%{text}",
            colorscale=[[0.0, "rgba(0, 114, 178, 0.04)"], [1.0, BLUE]],
            zmin=0.0,
            zmax=max(largest, 5.0),
            xgap=1,
            ygap=1,
            hovertemplate="%{x} and %{y}: %{z:.1f} %<extra></extra>",
            hoverongaps=False,
            colorbar={"ticksuffix": " %", "thickness": 14},
        )
    )
    figure.update_xaxes(showgrid=False, autotickangles=[0, -45, -90])
    figure.update_yaxes(showgrid=False, autorange="reversed")
    return figure.update_layout(
        height=210 + _CELL * max(len(names), 8),
        title={"xref": "container", "x": 0.02, **_TOP},
        margin={"t": 90, "b": 60},
    )


def by_importance(found: Sequence[Importances]) -> list[str]:
    """Return the names of all parameters, those with the largest total index of any metric first.

    Where no effect is seen counts as 0.
    """
    largest: dict[str, float] = {}
    for each in found:
        for one in each.parameters:
            total = 0.0 if one.parameter in each.inert else one.total
            largest[one.parameter] = max(largest.get(one.parameter, 0.0), total)
    return sorted(largest, key=lambda name: -largest[name])


def _note(found: Sequence[Importances]) -> str:
    fitted = {each.source for each in found}
    source = "forests on resampled runs" if fitted == {"forest"} else "functions that fit the runs"
    note = (
        "Share of the variance over the search space that a parameter explains;<br>"
        f"lines: 90 % of {source}. R²: of runs left out."
    )
    warned = [f"{_name(each)}: {each.warning}" for each in found if each.warning]
    cautions = [f"<br>Caution, {plain(text, limit=150)}" for text in warned[:_MOST_CAUTIONS]]
    return note + "".join(cautions)


def _panel_title(found: Importances) -> str:
    caution = " ⚠" if found.warning else ""
    return f"<b>{_name(found)}</b>{caution}<br>{_evidence(found)}"


def _name(found: Importances) -> str:
    return plain(target_name(found.metric), limit=30)


def _evidence(found: Importances) -> str:
    r2 = "" if found.r2 is None else f", R² {found.r2:.2f}"
    return f"n = {found.n}{r2}"


def _bars(found: Importances, names: Sequence[str], *, legend: bool) -> list[go.Bar | go.Scatter]:
    """Return the bars of a panel, and what stands beside those without effect."""
    by_name = {each.parameter: each for each in found.parameters}
    shown = [by_name[name] for name in names if name in by_name]
    inert = [each for each in shown if each.parameter in found.inert]
    traces: list[go.Bar | go.Scatter] = [
        _bar(shown, found.inert, total=is_total, legend=legend) for is_total in (True, False)
    ]
    traces.append(
        go.Scatter(
            x=[100 * each.total_interval[1] + 1 for each in inert],
            y=[_label(each.parameter) for each in inert],
            text=[_NO_EFFECT] * len(inert),
            mode="text",
            textposition="middle right",
            textfont={"size": 10, "color": GREY},
            hoverinfo="skip",
            showlegend=False,
            cliponaxis=False,
        )
    )
    return traces


def _bar(shown: Sequence[Importance], inert: Sequence[str], *, total: bool, legend: bool) -> go.Bar:
    values = [each.total if total else each.first for each in shown]
    ends = [each.total_interval if total else each.first_interval for each in shown]
    words = "with its interactions (total)" if total else "alone (first order)"
    color, pale = (SKY_BLUE, "#DDDDDD") if total else (BLUE, PALE_GREY)
    return go.Bar(
        x=[100 * value for value in values],
        y=[_label(each.parameter) for each in shown],
        orientation="h",
        marker={"color": [pale if each.parameter in inert else color for each in shown]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [100 * max(high - v, 0.0) for v, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [
                100 * max(v - low, 0.0) for v, (low, _) in zip(values, ends, strict=True)
            ],
            "thickness": 1.2,
            "width": 2,
            "color": GREY,
        },
        name=words,
        legendgroup=words,
        legendrank=2 if total else 1,
        showlegend=legend,
        customdata=[[f"{100 * low:.1f}", f"{100 * high:.1f}"] for low, high in ends],
        hovertemplate=f"%{{y}} {words}: %{{x:.1f}} % "
        "(%{customdata[0]} to %{customdata[1]})<extra></extra>",
    )


def _label(name: str) -> str:
    return plain(name, limit=24)


def _order_axes(figure: go.Figure, names: Sequence[str]) -> None:
    labels = [_label(name) for name in names]
    figure.update_xaxes(range=[0, 105], tickvals=[0, 50, 100], ticktext=["0", "50", "100 %"])
    figure.update_xaxes(tickfont={"size": 10}, showline=False)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=labels,
        autorange="reversed",
        showgrid=False,
        dtick=1,
    )
