"""The figures of a study that follow it while it goes on: frontier, hypervolume, parallel axes."""

import plotly.graph_objects as go
from dash import ClientsideFunction, Dash, Input, Output, State

from limbeck.analysis.figures.frontier import frontier
from limbeck.analysis.figures.history import Over, history
from limbeck.analysis.figures.parallel import Which, parallel_coordinates
from limbeck.analysis.figures.style import Theme
from limbeck.dashboard.components import shown
from limbeck.dashboard.site import Site


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
    ) -> go.Figure:
        results = site.reader.results(study)
        figure = frontier(results, across=across, up=up, color=color, size=size, title="")
        # Zoom and tool stay as the visitor left them while the axes do.
        figure.update_layout(uirevision=f"{across} {up}", dragmode="select", clickmode="event")
        return shown(figure, theme)

    @app.callback(
        Output("study-history-drawn", "data"),
        Input("study-later", "data"),
        Input("theme", "data"),
        Input("study-over", "value"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )
    def draw_history(_pulse: str, theme: Theme | None, over: Over, study: str) -> go.Figure:
        figure = history(site.reader.results(study), over=over, title="")
        figure.update_layout(uirevision=over, dragmode="select", clickmode="event")
        return shown(figure, theme)

    @app.callback(
        Output("study-parallel-drawn", "data"),
        Input("study-later", "data"),
        Input("theme", "data"),
        Input("study-lines", "value"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )
    def draw_parallel(_pulse: str, theme: Theme | None, lines: Which, study: str) -> go.Figure:
        figure = parallel_coordinates(site.reader.results(study), runs=lines)
        # The brushes stay while the same runs are shown.
        figure.update_layout(title_text="", margin_t=60, uirevision=lines)
        return shown(figure, theme)

    _show_selection(app)


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
