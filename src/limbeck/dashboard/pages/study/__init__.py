"""A study: how far it is, its frontier, its runs, and what can be learned from them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import graph, labelled, panel, study_head
from limbeck.dashboard.pages.study import drawings, matters, notes, standing, table
from limbeck.dashboard.pages.study.choices import (
    LINES,
    OVERS,
    RULES,
    Choices,
    color_names,
    column_names,
    metric_names,
    read_choices,
)
from limbeck.dashboard.site import Site, address

_OVER_TEXTS = {"runs": "runs", "cost": "training cost", "time": "wall time"}
_LINE_TEXTS = {
    "frontier": "only the frontier",
    "at least the baseline": "at least the baseline",
    "all": "all finished runs",
}
_RULE_TEXTS = {"baseline": "at least the baseline", "frontier": "on the frontier"}


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:
    """Return the page; what it shows comes with its callbacks, the frontier first.

    Raises:
        NotFoundError: If there is no such study.
    """
    study = str(place["study"])
    pulse = site.reader.pulse(study)
    memory, panels = site.reader.made(_panels, study, pulse, frozenset(query.items()))
    return html.Div(
        [
            *memory,
            study_head(site, study, "study"),
            _selection_bar(),
            html.Div(
                [*panels, panel("Notes", *notes.notes_panel(site), name="wide")],
                className="panels",
            ),
        ]
    )


def _panels(
    results: StudyResults, pulse: str, query: frozenset[tuple[str, str]]
) -> tuple[list[Component], list[Component]]:
    """Return what the browser keeps of the page, and the panels of a study."""
    chosen = read_choices(dict(query), results)
    memory = _memory(results.name, pulse, chosen, asdict(read_choices({}, results)))
    panels = [
        _progress_panel(),
        _frontier_panel(results, chosen),
        _picks_panel(chosen),
        _history_panel(chosen),
        _lines_panel(chosen),
        _runs_panel(results.name, results, chosen),
        _matters_panel(chosen),
    ]
    return memory, panels


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of all panels, and those that join them."""
    for part in (standing, drawings, table, matters, notes):
        part.register(app, site)
    # The page's own pulse changes only when what is shown is out of date.
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "passOn"),
        Output("study-pulse", "data"),
        Input("pulse", "data"),
        State("study-pulse", "data"),
        prevent_initial_call=True,
    )
    # What is below the frontier waits until that is on the screen.
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "afterPainting"),
        Output("study-later", "data"),
        Input("study-frontier-drawn", "data"),
        State("study-pulse", "data"),
        State("study-later", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "select"),
        Output("selection", "data"),
        Input("study-name", "data"),
        Input("study-frontier", "selectedData"),
        Input("study-history", "selectedData"),
        Input("study-parallel", "restyleData"),
        Input("study-runs", "selectedRows"),
        Input("study-clear", "n_clicks"),
        State("selection", "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "describeSelection"),
        Output("study-selected", "children"),
        Output("study-clear", "hidden"),
        Output("study-compare", "href"),
        Output("study-compare", "style"),
        Input("selection", "data"),
        State("study-compare-base", "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "openRun"),
        Output("url", "href"),
        Input("study-frontier", "clickData"),
        Input("study-history", "clickData"),
        State("study-run-base", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "writeAddress"),
        Output("study-address", "data"),
        Input("selection", "data"),
        Input("study-asked", "data"),
        *(Input(f"study-{name}", "value") for name in _CONTROLS),
        State("study-usual", "data"),
        prevent_initial_call=True,
    )


_CONTROLS = ("across", "up", "color", "size", "under", "over", "lines", "columns", "rule")


def _memory(
    study: str, pulse: str, chosen: Choices, usual: Mapping[str, object]
) -> list[Component]:
    """Return what the browser keeps of the page.

    Args:
        study: Its name.
        pulse: Of the study as the page was made.
        chosen: What the address says.
        usual: What the controls say without an address; it is left out of the address.
    """
    base = address("run", study=study, number=0).removesuffix("0")
    return [
        dcc.Store(id="study-name", data=study),
        dcc.Store(id="study-run-base", data=base),
        dcc.Store(id="study-compare-base", data=address("compare", study=study)),
        dcc.Store(id="study-pulse", data=pulse),
        dcc.Store(id="study-later"),
        dcc.Store(id="selection"),
        dcc.Store(id="study-asked", data=pulse if chosen.matters else None),
        dcc.Store(id="study-importance-shown"),
        dcc.Store(id="study-address"),
        dcc.Store(id="study-usual", data={"names": _CONTROLS, **usual}),
        *(dcc.Store(id=f"study-{name}-drawn") for name in ("frontier", "history", "parallel")),
    ]


def _selection_bar() -> Component:
    return html.Div(
        [
            html.Span(id="study-selected", role="status"),
            html.Button("Clear selection", id="study-clear", hidden=True),
            dcc.Link("Compare them", id="study-compare", href="", style={"display": "none"}),
        ],
        className="study-selection",
    )


def _progress_panel() -> Component:
    names = ("standing", "workers", "statistics")
    parts = [html.Div(id=f"study-{name}") for name in names]
    return panel("Progress", *parts, name="wide study-progress")


def _frontier_panel(results: StudyResults, chosen: Choices) -> Component:
    metrics = metric_names(results)
    controls = html.Div(
        [
            _choice("Across", "study-across", metrics, chosen.across, "the usual cost"),
            _choice("Up", "study-up", metrics, chosen.up, "the usual score"),
            _choice("Colour", "study-color", color_names(results), chosen.color, "none"),
            _choice("Area", "study-size", metrics, chosen.size, "none"),
        ],
        className="controls",
    )
    note = "Drag to select runs, click one to open it."
    return panel("Frontier", controls, _figure("frontier", 560), note=note, name="wide")


def _picks_panel(chosen: Choices) -> Component:
    field = dcc.Input(
        id="study-under",
        value=chosen.under,
        debounce=True,
        placeholder="num_parameters=20M, latency_ms<=8",
        type="text",
        maxLength=500,
    )
    label = html.Label(["Best under …", field], className="study-under")
    controls = html.Div([label], className="controls")
    return panel("Picks", controls, html.Div(id="study-picks"), name="wide")


def _history_panel(chosen: Choices) -> Component:
    controls = _radio("over", "Over", {each: _OVER_TEXTS[each] for each in OVERS}, chosen.over)
    return panel("Hypervolume", controls, _figure("history", 420), name="wide")


def _lines_panel(chosen: Choices) -> Component:
    controls = _radio("lines", "Runs", {each: _LINE_TEXTS[each] for each in LINES}, chosen.lines)
    note = "Drag along an axis to select runs, drag its name to move it, click it to let go."
    where = html.P(id="study-parallel-note", className="quiet", role="status")
    wide = html.Div(_figure("parallel", 520), className="scroll study-lines")
    return panel("Parallel coordinates", controls, wide, where, note=note, name="wide")


def _runs_panel(study: str, results: StudyResults, chosen: Choices) -> Component:
    columns = dcc.Dropdown(
        id="study-columns",
        options=list(column_names(results)),
        value=list(chosen.columns),
        multi=True,
    )
    controls = html.Div(
        [
            html.Label(["Columns", columns], className="study-columns"),
            html.Button("Save as CSV", id="study-csv"),
        ],
        className="controls",
    )
    where = html.P(id="study-runs-note", className="quiet", role="status")
    return panel("Runs", controls, where, table.runs_table(study), name="wide")


def _matters_panel(chosen: Choices) -> Component:
    rule = _radio("rule", "Winners", {each: _RULE_TEXTS[each] for each in RULES}, chosen.rule)
    return panel(
        "What matters, and what winners share",
        html.Div(html.Button("Compute", id="study-matters-button"), className="controls"),
        dcc.Interval(id="study-importance-tick", interval=1_000, disabled=True),
        html.Div(id="study-importance", role="status"),
        rule,
        dcc.Loading(html.Div(id="study-winners"), delay_show=300),
        note="of the runs so far; of many runs it takes minutes",
        name="wide",
    )


def _figure(name: str, height: int) -> Component:
    place = graph(f"study-{name}", height=height)
    return dcc.Loading(place, delay_show=600, overlay_style={"visibility": "visible"})


def _choice(
    label: str, name: str, options: Sequence[str], value: str | None, without: str
) -> Component:
    field = dcc.Dropdown(id=name, options=list(options), value=value, placeholder=without)
    return html.Label([label, field])


def _radio(name: str, label: str, options: Mapping[str, str], value: str) -> Component:
    field = dcc.RadioItems(
        id=f"study-{name}",
        options=[{"value": each, "label": text} for each, text in options.items()],
        value=value,
        inline=True,
    )
    parts = [html.Span(label, className="quiet"), field]
    return labelled(html.Div(parts, className="study-radio", role="radiogroup"), label)
