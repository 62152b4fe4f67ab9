"""Rings around some of the runs of a figure."""

from collections.abc import Collection

import plotly.graph_objects as go

from limbeck.analysis.figures.style import PURPLE

_RING = 20
"""Width of a ring in pixels."""


def highlight(figure: go.Figure, numbers: Collection[int]) -> tuple[int, ...]:
    """Draw a ring around the markers of runs, and name them; the figure is changed.

    Args:
        figure: Its markers have the run number as first entry of their ``customdata``.
        numbers: Of the runs.

    Returns:
        The numbers of those that have a marker, in the order of ``numbers``.
    """
    places = {
        int(custom[0]): (x, y, type(trace))
        for trace in figure.data
        if trace.type in ("scatter", "scattergl") and trace.customdata is not None
        for custom, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
        if int(custom[0]) in numbers
    }
    for number in (number for number in numbers if number in places):
        x, y, kind = places[number]
        ring = kind(
            x=[x],
            y=[y],
            mode="markers+text",
            marker={
                "symbol": "circle-open",
                "size": _RING,
                "color": PURPLE,
                "line": {"width": 3},
            },
            text=[f"<b>{number}</b>"],
            textposition="top center",
            customdata=[[number]],
            hoverinfo="skip",
            showlegend=False,
        )
        if ring.type == "scatter":
            ring.cliponaxis = False
        figure.add_trace(ring)
    return tuple(number for number in numbers if number in places)
