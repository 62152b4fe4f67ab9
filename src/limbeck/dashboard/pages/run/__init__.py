"""One run: how it went, what it is made of, what came of it, and what it left behind."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from limbeck.analysis.figures.architecture import architecture
from limbeck.analysis.figures.frontier import frontier
from limbeck.analysis.figures.highlight import highlight
from limbeck.analysis.figures.style import Theme
from limbeck.analysis.results import StudyResults
from limbeck.artifacts import LOG
from limbeck.dashboard.components import graph, notice, panel, shown, study_head
from limbeck.dashboard.pages.run.files import LINES, find_file, last_lines
from limbeck.dashboard.pages.run.telling import (
    artifacts,
    environment,
    links,
    moment,
    parameters,
    progress,
    story,
    values,
)
from limbeck.dashboard.run_parts import (
    TICK_MILLISECONDS,
    curve_controls,
    curve_query,
    cut,
    draw_curves,
    fingerprint,
    read_points,
    steps_of,
    table,
    untitled,
    with_query,
)
from limbeck.dashboard.site import Site
from limbeck.errors import InputError
from limbeck.runs import RunState

Place = Mapping[str, Any]
"""``study`` and ``number``, as the page keeps them."""

_LEAST_WIDTH = 540
"""Pixels, below which what is kept of layers cannot be read; it scrolls then."""


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:
    """Return the page; most of it comes with the first callbacks."""
    study, number = str(place["study"]), int(place["number"])
    results = site.reader.results(study)
    results.run(number)
    points = read_points(site.reader.store, study, [number])
    return html.Div(
        [
            study_head(site, study, page="run", title=f"Run {number}"),
            dcc.Store(id="run-place", data={"study": study, "number": number}),
            dcc.Store(id="run-seen"),
            dcc.Store(id="run-drawn"),
            dcc.Store(id="run-log-seen"),
            dcc.Interval(id="run-tick", interval=TICK_MILLISECONDS, disabled=True),
            html.Nav(id="run-links", className="links"),
            html.Div(
                [
                    panel(
                        "State",
                        html.Div(id="run-progress", role="status"),
                        html.Div(id="run-story"),
                        name="wide",
                    ),
                    panel(
                        "Curves",
                        curve_controls("run", {number: points[number]}, query),
                        graph("run-curves"),
                        name="wide",
                    ),
                    panel(
                        "Values",
                        html.Div(id="run-values"),
                        note="± is one standard error; of a difference, half of its 95 % interval",
                    ),
                    panel("Among all runs", graph("run-among", height=520)),
                    panel("Parameters", html.Div(id="run-parameters")),
                    panel(
                        "What is kept of each layer",
                        html.Div(graph("run-kept", height=570), className="scroll"),
                    ),
                    panel("Log", html.Div(id="run-log"), note=f"the last {LINES} lines"),
                    panel("Artifacts", html.Div(id="run-artifacts")),
                    panel("Events", html.Div(id="run-events")),
                    panel("Environment", html.Div(id="run-environment")),
                ],
                className="panels",
            ),
        ]
    )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks: of what changes with the run, with all runs, and as the run goes on."""
    _register_run(app, site)
    _register_all_runs(app, site)
    _register_live(app, site)

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input("run-metrics", "value"),
        Input("run-across", "value"),
        State("run-metrics", "options"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def write_address(
        metrics: list[str] | None, across: str, names: list[str], search: str | None
    ) -> Any:
        return with_query(search, **curve_query(metrics, names, across))


def _register_run(app: Dash, site: Site) -> None:
    @app.callback(
        Output("run-seen", "data"),
        Output("run-tick", "disabled"),
        Output("run-story", "children"),
        Output("run-values", "children"),
        Output("run-parameters", "children"),
        Output("run-artifacts", "children"),
        Output("run-environment", "children"),
        Input("pulse", "data"),
        State("run-place", "data"),
        State("run-seen", "data"),
    )
    def tell(_pulse: str | None, place: Place, seen: str | None) -> Any:
        results = site.reader.results(place["study"])
        now = fingerprint(results, [place["number"]])
        if now == seen:
            return (no_update,) * 7
        run = results.run(place["number"])
        return (
            now,
            run.state is not RunState.RUNNING,
            story(run),
            values(results, run),
            parameters(results, run),
            artifacts(results, run),
            environment(site, results.name, run),
        )

    @app.callback(
        Output("run-kept", "figure"),
        Output("run-kept", "style"),
        Input("run-seen", "data"),
        Input("theme", "data"),
        State("run-place", "data"),
    )
    def draw_kept(_seen: str, theme: Theme | None, place: Place) -> Any:
        figure = architecture(site.reader.results(place["study"]), runs=[place["number"]])
        return shown(untitled(figure), theme), {
            "height": f"{figure.layout.height or 200}px",
            "minWidth": f"{_LEAST_WIDTH}px",
        }


def _register_all_runs(app: Dash, site: Site) -> None:
    @app.callback(
        Output("run-among", "figure"),
        Output("run-links", "children"),
        Input("pulse", "data"),
        Input("theme", "data"),
        State("run-place", "data"),
    )
    def place_run(_pulse: str | None, theme: Theme | None, place: Place) -> Any:
        results = site.reader.results(place["study"])
        return (
            shown(_among(results, place["number"]), theme),
            links(results, place["number"]),
        )

    @app.callback(
        Output("run-events", "children"), Input("pulse", "data"), State("run-place", "data")
    )
    def list_events(_pulse: str | None, place: Place) -> Component:
        events = site.reader.store.events(place["study"])
        rows = [
            (moment(event.time), event.kind, cut(event.text))
            for event in events
            if event.number == place["number"]
        ]
        return table(["time", "kind", "what"], rows, name="Events") if rows else notice("None.")


def _register_live(app: Dash, site: Site) -> None:
    @app.callback(
        Output("run-curves", "figure"),
        Output("run-curves", "style"),
        Output("run-metrics", "options"),
        Output("run-progress", "children"),
        Output("run-drawn", "data"),
        Input("run-seen", "data"),
        Input("run-tick", "n_intervals"),
        Input("run-metrics", "value"),
        Input("run-across", "value"),
        Input("theme", "data"),
        State("run-place", "data"),
        State("run-drawn", "data"),
    )
    def draw(
        seen: str,
        _ticks: int | None,
        metrics: list[str] | None,
        across: str,
        theme: Theme | None,
        place: Place,
        drawn: list[Any] | None,
    ) -> Any:
        study, number = place["study"], place["number"]
        steps = [step for _, step in steps_of(site, study, [number])]
        now = [seen, steps, metrics, across, theme]
        if now == drawn:
            return (no_update,) * 5
        figure, style, names = draw_curves(
            site, study, [number], metrics=metrics, across=across, theme=theme
        )
        told = progress(site.reader.results(study).run(number), steps)
        return figure, style, names, told, now

    @app.callback(
        Output("run-log", "children"),
        Output("run-log-seen", "data"),
        Input("run-seen", "data"),
        Input("run-tick", "n_intervals"),
        State("run-place", "data"),
        State("run-log-seen", "data"),
    )
    def read_log(_seen: str, _ticks: int | None, place: Place, before: list[int] | None) -> Any:
        run = site.reader.results(place["study"]).run(place["number"])
        try:
            path = find_file(run, LOG, site.reader.home, place["study"])
            if path is None:
                return notice("It has left no log."), None
            stat = path.stat()
            now = [stat.st_mtime_ns // 1_000_000, stat.st_size]
            if now == before:
                return no_update, no_update
            return html.Pre(last_lines(path) or "(empty)", tabIndex="0"), now
        except (InputError, OSError) as error:
            return notice(str(error), kind="error"), None


def _among(results: StudyResults, number: int) -> go.Figure:
    figure = untitled(frontier(results))
    if figure.data and not highlight(figure, [number]):
        figure.layout.title.subtitle.text += f"<br>run {number} has no place here"
    return figure.update_layout(uirevision=results.name)
