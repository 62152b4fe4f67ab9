"""What all figures look like: colours that any eye can tell apart, axes with units, light or dark.

Figures carry no colour of paper or text: their template does, and `in_theme` changes it.
"""

import math
from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import Literal

import plotly.graph_objects as go
import plotly.io as pio

from limbeck.metrics import Goal, Metric

# Okabe and Ito's colours, in the order in which series take them.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY_BLUE, PURPLE, YELLOW = "#E69F00", "#56B4E9", "#CC79A7", "#F0E442"
GREY, PALE_GREY = "#8A8A8A", "#B8B8B8"
SERIES = (BLUE, VERMILION, GREEN, ORANGE, SKY_BLUE, PURPLE, YELLOW)
SEQUENTIAL = "Viridis"
SHADE = "rgba(128, 128, 128, 0.13)"
"""Lies over what is of no use, on light and on dark paper."""

Theme = Literal["light", "dark"]

LOG_SPAN = 8
"""A cost gets a log axis if its largest value is more than this many times the least."""
LARGE_NUMBER = 10_000
"""From here on 12300000 is written 12.3M."""

_FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def _template(*, paper: str, text: str, grid: str) -> go.layout.Template:
    axis = {
        "gridcolor": grid,
        "linecolor": text,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": text,
        "automargin": True,
        "title": {"standoff": 8},
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": paper,
            "plot_bgcolor": paper,
            "font": {"family": _FONT, "size": 13, "color": text},
            "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 16}},
            "colorway": list(SERIES),
            "colorscale": {"sequential": SEQUENTIAL},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
            "margin": {"l": 60, "r": 20, "t": 60, "b": 60},
            "hovermode": "closest",
            "hoverlabel": {"align": "left"},
        }
    )


_TEMPLATES: dict[Theme, go.layout.Template] = {
    "light": _template(paper="#FFFFFF", text="#222222", grid="#E6E6E6"),
    "dark": _template(paper="#16181D", text="#E8E8E8", grid="#33363D"),
}
pio.templates["limbeck"] = _TEMPLATES["light"]


def new_figure(title: str = "", *, note: str = "") -> go.Figure:
    """Return an empty figure.

    Args:
        title: Stands above it.
        note: Stands below the title, smaller: what is counted, and how many (n).
    """
    figure = go.Figure(layout={"template": _TEMPLATES["light"]})
    if title or note:
        figure.update_layout(title={"text": title, "subtitle": {"text": note}})
    return figure


def in_theme(figure: go.Figure, theme: Theme) -> go.Figure:
    """Return the figure on light or dark paper; the given one stays as it is."""
    return go.Figure(figure).update_layout(template=_TEMPLATES[theme])


def empty_figure(reason: str) -> go.Figure:
    """Return a figure that says why there is nothing to see."""
    figure = new_figure()
    figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})
    return figure.add_annotation(
        text=reason, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14}
    )


def plain(text: object, *, limit: int = 80) -> str:
    """Return text of data for a figure: nothing in it is markup, and it is one short line.

    Args:
        text: Anything; plotly would take tags in it for its own.
        limit: Characters, from which on the rest is cut off.
    """
    line = " ".join(str(text).split())
    return escape(line if len(line) <= limit else f"{line[: limit - 1]}…")


def heading(text: str, *, width: int = 16) -> str:
    """Return the name of a parameter or metric for a figure, in lines of about ``width``."""
    parts = wrap(text.replace("_", "_ "), width) or [""]
    return "<br>".join(plain(part.replace("_ ", "_")) for part in parts)


def axis_of(metric: Metric, values: Sequence[float]) -> dict[str, object]:
    """Return plotly's settings of an axis of a metric.

    Args:
        metric: Gives name, unit, and which way is better.
        values: All finite values on the axis. A cost whose values span a wide range gets a log
            axis.
    """
    name = plain(f"{metric.name} ({metric.unit})" if metric.unit else metric.name)
    smaller = metric.goal is Goal.MINIMIZE
    axis: dict[str, object] = {
        "title": {"text": f"← better   {name}" if smaller else f"{name}   better →"}
    }
    if max(map(abs, values), default=0.0) >= LARGE_NUMBER:
        axis["tickformat"] = "~s"
    if smaller and values and 0 < min(values) * LOG_SPAN < max(values):
        axis |= {"type": "log", "tickvals": log_ticks(min(values), max(values))}
    return axis


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, ... between two positive numbers; of more than eight, those with a 1."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [float(f"{step}e{decade}") for decade in decades for step in (1, 2, 5)]
    within = [step for step in steps if low <= step <= high]
    return within if len(within) <= 8 else [step for step in within if f"{step:e}"[0] == "1"]
