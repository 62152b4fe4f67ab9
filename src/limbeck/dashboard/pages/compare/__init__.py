"""Two to six runs side by side: curves, values, configurations, mistakes."""

from collections.abc import Mapping
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from limbeck.analysis.curves import standing_out
from limbeck.analysis.figures.frontier import frontier
from limbeck.analysis.figures.highlight import highlight
from limbeck.analysis.figures.mistakes import kinds_figure
from limbeck.analysis.figures.style import Theme, empty_figure, plain
from limbeck.analysis.picks import make_picks
from limbeck.dashboard.choice import (
    LEAST,
    MOST,
    numbers_in,
    options,
    read_runs,
    spread,
    text_of,
)
from limbeck.dashboard.components import graph, notice, panel, shown, study_head
from limbeck.dashboard.pages.compare.examined import Examined
from limbeck.dashboard.pages.compare.tables import settings, values, won_and_lost
from limbeck.dashboard.run_parts import (
    TICK_MILLISECONDS,
    curve_controls,
    curve_query,
    cut,
    draw_curves,
    fingerprint,
    is_running,
    read_points,
    steps_of,
    untitled,
    with_query,
)
from limbeck.dashboard.site import Site, read_query
from limbeck.errors import InputError

_DIFFERENT = "different"


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:
    """Return the page with the runs of its address, or else those to look at first."""
    study = str(place["study"])
    results = site.reader.results(study)
    wanted = query.get("runs") or text_of(standing_out(results))
    there = {run.number for run in results.runs}
    chosen = [number for number in numbers_in(wanted) if number in there]
    points = read_points(site.reader.store, study, chosen[:MOST])
    picked = [pick for pick in make_picks(results) if pick.run is not None]
    return html.Div(
        [
            study_head(site, study, page="compare", title="Compare"),
            dcc.Store(id="compare-study", data=study),
            dcc.Store(id="compare-wanted", data=wanted),
            dcc.Store(id="compare-start", data=wanted),
            dcc.Store(id="compare-seen"),
            dcc.Store(id="compare-drawn"),
            dcc.Interval(id="compare-tick", interval=TICK_MILLISECONDS, disabled=True),
            panel(
                "Runs",
                html.Fieldset(
                    [
                        html.Legend(f"{LEAST} to {MOST} runs; others are compared with the first"),
                        dcc.Dropdown(
                            id="compare-runs",
                            options=options(results, "", chosen),
                            value=chosen,
                            multi=True,
                            optionHeight=36,
                            placeholder="Type a number",
                        ),
                    ]
                ),
                html.Div(
                    [
                        *(
                            html.Button(
                                f"+ {pick.name}: run {pick.run.number}",
                                id={"type": "compare-pick", "run": pick.run.number, "at": at},
                                title=pick.rule,
                            )
                            for at, pick in enumerate(picked)
                            if pick.run is not None
                        ),
                        html.Button("Across the frontier", id="compare-frontier"),
                    ],
                    className="buttons",
                ),
                html.Div(id="compare-notice"),
                name="first",
            ),
            html.Div(_panels(points, query), id="compare-body", className="panels", hidden=True),
        ]
    )


def _panels(points: Mapping[int, Any], query: Mapping[str, str]) -> list[Component]:
    return [
        panel(
            "Curves", curve_controls("compare", points, query), graph("compare-curves"), name="wide"
        ),
        panel(
            "Values",
            html.Div(id="compare-values"),
            note="± is one standard error; of a difference from the first run, half of its 95 % "
            "interval",
            name="wide",
        ),
        panel("Among all runs", graph("compare-among", height=520)),
        panel(
            "Kinds of answers",
            dcc.Loading(graph("compare-kinds"), delay_show=400),
        ),
        panel(
            "Questions won and lost",
            html.Div(id="compare-questions"),
            note="against the first run",
            name="wide",
        ),
        panel(
            "Configurations",
            dcc.Checklist(
                id="compare-only",
                options=[{"label": " only what differs", "value": _DIFFERENT}],
                value=[] if query.get("only") == "all" else [_DIFFERENT],
            ),
            html.Div(id="compare-settings"),
            name="wide",
        ),
    ]


def register(app: Dash, site: Site) -> None:
    """Add the callbacks: of the choice, of what the runs are, of their curves and answers."""
    _register_choice(app, site)
    _register_tables(app, site)
    _register_figures(app, site)

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input("compare-wanted", "data"),
        Input("compare-metrics", "value"),
        Input("compare-across", "value"),
        Input("compare-only", "value"),
        State("compare-metrics", "options"),
        State("compare-start", "data"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def write_address(
        wanted: str,
        metrics: list[str] | None,
        across: str,
        only: list[str],
        names: list[str],
        start: str,
        search: str | None,
    ) -> Any:
        runs = "" if wanted == start and "runs" not in read_query(search) else wanted
        curves = curve_query(metrics, names, across)
        return with_query(search, runs=runs, only="" if only else "all", **curves)


def _register_choice(app: Dash, site: Site) -> None:
    @app.callback(
        Output("compare-runs", "value"),
        Input({"type": "compare-pick", "run": ALL, "at": ALL}, "n_clicks"),
        Input("compare-frontier", "n_clicks"),
        State("compare-runs", "value"),
        State("compare-study", "data"),
        prevent_initial_call=True,
    )
    def press(
        _picks: list[int | None], frontier_clicks: int | None, runs: list[int] | None, study: str
    ) -> Any:
        pressed = ctx.triggered_id
        if pressed == "compare-frontier":
            return spread(site.reader.results(study)) if frontier_clicks else no_update
        if not pressed or not ctx.triggered[0]["value"]:
            return no_update
        return list(dict.fromkeys([*(runs or ()), pressed["run"]]))

    @app.callback(
        Output("compare-runs", "options"),
        Input("compare-runs", "search_value"),
        Input("compare-runs", "value"),
        State("compare-study", "data"),
        prevent_initial_call=True,
    )
    def offer(search: str | None, runs: list[int] | None, study: str) -> list[dict[str, Any]]:
        return options(site.reader.results(study), search or "", runs or ())

    @app.callback(
        Output("compare-wanted", "data"),
        Input("compare-runs", "value"),
        prevent_initial_call=True,
    )
    def choose(runs: list[int] | None) -> str:
        return text_of(runs or ())

    @app.callback(
        Output("compare-seen", "data"),
        Output("compare-notice", "children"),
        Output("compare-body", "hidden"),
        Output("compare-tick", "disabled"),
        Input("compare-wanted", "data"),
        Input("pulse", "data"),
        State("compare-study", "data"),
        State("compare-seen", "data"),
    )
    def look(wanted: str, _pulse: str | None, study: str, seen: Any) -> Any:
        results = site.reader.results(study)
        try:
            numbers = read_runs(results, wanted)
        except InputError as error:
            return None, notice(cut(str(error), 300), kind="error"), True, True
        now = {"runs": numbers, "fingerprint": fingerprint(results, numbers)}
        stopped = not is_running(results, numbers)
        return (no_update if now == seen else now), None, False, stopped


def _register_tables(app: Dash, site: Site) -> None:
    @app.callback(
        Output("compare-values", "children"),
        Input("compare-seen", "data"),
        State("compare-study", "data"),
    )
    def list_values(seen: Any, study: str) -> Any:
        if not seen:
            return no_update
        results = site.reader.results(study)
        return values(results, [results.run(number) for number in seen["runs"]])

    @app.callback(
        Output("compare-settings", "children"),
        Input("compare-seen", "data"),
        Input("compare-only", "value"),
        State("compare-study", "data"),
    )
    def list_settings(seen: Any, only: list[str], study: str) -> Any:
        if not seen:
            return no_update
        return settings(site.reader.results(study), seen["runs"], only=_DIFFERENT in only)


def _register_figures(app: Dash, site: Site) -> None:
    examined = Examined(site)

    @app.callback(
        Output("compare-curves", "figure"),
        Output("compare-curves", "style"),
        Output("compare-metrics", "options"),
        Output("compare-drawn", "data"),
        Input("compare-seen", "data"),
        Input("compare-tick", "n_intervals"),
        Input("compare-metrics", "value"),
        Input("compare-across", "value"),
        Input("theme", "data"),
        State("compare-study", "data"),
        State("compare-drawn", "data"),
    )
    def draw(
        seen: Any,
        _ticks: int | None,
        metrics: list[str] | None,
        across: str,
        theme: Theme | None,
        study: str,
        drawn: Any,
    ) -> Any:
        if not seen:
            return (no_update,) * 4
        steps = [list(each) for each in steps_of(site, study, seen["runs"])]
        now = [seen, steps, metrics, across, theme]
        if now == drawn:
            return (no_update,) * 4
        figure, style, names = draw_curves(
            site, study, seen["runs"], metrics=metrics, across=across, theme=theme
        )
        return figure, style, names, now

    @app.callback(
        Output("compare-among", "figure"),
        Input("compare-seen", "data"),
        Input("theme", "data"),
        State("compare-study", "data"),
    )
    def place_runs(seen: Any, theme: Theme | None, study: str) -> Any:
        if not seen:
            return no_update
        figure = untitled(frontier(site.reader.results(study)))
        highlight(figure, seen["runs"])
        return shown(figure.update_layout(uirevision=study), theme)

    @app.callback(
        Output("compare-kinds", "figure"),
        Output("compare-questions", "children"),
        Input("compare-seen", "data"),
        Input("theme", "data"),
        State("compare-study", "data"),
    )
    def grade(seen: Any, theme: Theme | None, study: str) -> Any:
        if not seen:
            return no_update, no_update
        results = site.reader.results(study)
        try:
            examination = examined.of(results, seen["runs"])
        except InputError as error:
            reason = cut(str(error), 300)
            return shown(empty_figure(plain(reason)), theme), notice(reason)
        return shown(untitled(kinds_figure(examination)), theme), won_and_lost(
            results, [results.run(number) for number in seen["runs"]], examination
        )
