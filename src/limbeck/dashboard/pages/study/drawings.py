"""The figures of a study that follow it while it goes on: frontier, hypervolume, parallel axes."""

from typing import Any

import plotly.graph_objects as go
from dash import ClientsideFunction, Dash, Input, Output, State

from limbeck.analysis.figures.frontier import frontier
from limbeck.analysis.figures.history import Over, history
from limbeck.analysis.figures.parallel import Which, parallel_coordinates
from limbeck.analysis.figures.style import Theme
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import shown
from limbeck.dashboard.site import Site

_MOST = 1_000
"""Markers of runs of a kind that are drawn at a time; a browser has them in a third of a second."""

Drawn = dict[str, Any]
"""A figure as browsers get it."""


def register(app: Dash, site: Site) -> None:
    """Add the callbacks that draw, and those that show the selection in what is drawn."""

    @app.callback(
        Output("study-frontier-drawn", "data"),
        Input("study-pulse", "data"),
        Input("theme", "data"),
        Input("study-across", "value"),
        Input("study-up", "value"),
        Input("study-color", "value"),
        Input("study-size", "value"),
        State("study-name", "data"),
    )
    def draw_frontier(
        _pulse: str,
        theme: Theme | None,
        across: str | None,
        up: str | None,
        color: str | None,
        size: str | None,
        study: str,
    ) -> Drawn:
        return site.reader.made(
            _frontier, study, theme, across=across, up=up, color=color, size=size
        )

    @app.callback(
        Output("study-history-drawn", "data"),
        Input("study-later", "data"),
        Input("theme", "data"),
        Input("study-over", "value"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )
    def draw_history(_pulse: str, theme: Theme | None, over: Over, study: str) -> Drawn:
        return site.reader.made(_history, study, theme, over)

    @app.callback(
        Output("study-parallel-drawn", "data"),
        Input("study-later", "data"),
        Input("theme", "data"),
        Input("study-lines", "value"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )
    def draw_parallel(_pulse: str, theme: Theme | None, lines: Which, study: str) -> Drawn:
        return site.reader.made(_parallel, study, theme, lines)

    _show_selection(app)


def _frontier(
    results: StudyResults,
    theme: Theme | None,
    *,
    across: str | None,
    up: str | None,
    color: str | None,
    size: str | None,
) -> Drawn:
    figure = frontier(results, across=across, up=up, color=color, size=size, title="", most=_MOST)
    # Zoom and tool stay as the visitor left them while the axes do.
    figure.update_layout(uirevision=f"{across} {up}", dragmode="select", clickmode="event")
    return _drawn(figure, theme)


def _history(results: StudyResults, theme: Theme | None, over: Over) -> Drawn:
    figure = history(results, over=over, title="")
    figure.update_layout(uirevision=over, dragmode="select", clickmode="event")
    return _drawn(figure, theme)


def _parallel(results: StudyResults, theme: Theme | None, lines: Which) -> Drawn:
    figure = parallel_coordinates(results, runs=lines)
    # The brushes stay while the same runs are shown.
    figure.update_layout(title_text="", margin_t=60, uirevision=lines)
    return _drawn(figure, theme)


def _drawn(figure: go.Figure, theme: Theme | None) -> Drawn:
    """Return a figure without its template: plotly draws anew whatever comes with a copy of one.

    Dash copies the layout each time that a box or lasso changes it.
    """
    drawn: Drawn = shown(figure, theme).to_dict()
    layout = drawn["layout"]
    usual = layout.pop("template")["layout"]
    axes = {"xaxis": usual.pop("xaxis"), "yaxis": usual.pop("yaxis")}
    for name in layout:
        if name[:5] in axes:
            layout[name] = _merged(axes[name[:5]], layout[name])
    return {**drawn, "layout": _merged(usual, layout)}


def _merged(usual: Drawn, own: Drawn) -> Drawn:
    """Return what is given, and what is usual where nothing is."""
    both = {
        name: _merged(usual[name], value)
        for name, value in own.items()
        if isinstance(value, dict) and isinstance(usual.get(name), dict)
    }
    return {**usual, **own, **both}


def _show_selection(app: Dash) -> None:
    """Let the browser show the selection: the server does not know it."""
    for name in ("frontier", "history"):
        app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
            ClientsideFunction("limbeck", "showInPoints"),
            Output(f"study-{name}", "figure"),
            Input(f"study-{name}-drawn", "data"),
            Input("selection", "data"),
        )
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "showInLines"),
        Output("study-parallel", "figure"),
        Output("study-parallel-note", "children"),
        Input("study-parallel-drawn", "data"),
        Input("selection", "data"),
    )
