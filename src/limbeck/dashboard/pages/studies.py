"""Every study of the store: how far it is, what its frontier looks like, when it last moved."""

from collections.abc import Mapping
from datetime import UTC, datetime

import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from limbeck.analysis.figures.style import BLUE, PALE_GREY, Theme, new_figure
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import labelled, notice, shown
from limbeck.dashboard.reader import last_activity
from limbeck.dashboard.site import Site, address
from limbeck.frontier import hypervolume, reference_point
from limbeck.metrics import Goal
from limbeck.runs import RunState
from limbeck.store import StudyRecord


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:  # noqa: ARG001
    """Return the heading; the list comes with the first pulse."""
    return html.Div([html.H1("Studies"), html.Div(id="studies")])


def register(app: Dash, site: Site) -> None:
    """Add the callback that lists the studies."""

    @app.callback(Output("studies", "children"), Input("pulse", "data"), Input("theme", "data"))
    def show(_pulse: str | None, theme: Theme | None) -> Component:
        records = site.reader.studies()
        if not records:
            return notice("No study yet. Begin one with: limbeck search STUDY.toml")
        newest_first = sorted(records, key=lambda record: record.created, reverse=True)
        return html.Div([_card(site, record, theme) for record in newest_first], className="cards")


def _card(site: Site, record: StudyRecord, theme: Theme | None) -> Component:
    results = site.reader.results(record.name)
    ended = sum(run.state.ended for run in results.runs)
    running = sum(run.state is RunState.RUNNING for run in results.runs)
    state = "paused" if record.paused else f"{running} running" if running else "idle"
    volume = hypervolume(
        results.runs, results.metrics, reference_point(results.runs, results.metrics)
    )
    return html.Article(
        [
            html.H2(dcc.Link(record.name, href=address("study", study=record.name))),
            labelled(
                html.Progress(value=str(ended), max=str(record.budget)), "Ended runs of the budget"
            ),
            html.P(f"{ended} of {record.budget} runs ended, {state}"),
            html.P(f"{len(results.frontier)} on the frontier, hypervolume {volume:.4g}"),
            dcc.Graph(
                figure=shown(_sparkline(results), theme),
                config={"staticPlot": True, "responsive": True},
                style={"height": "110px"},
            ),
            html.P(
                f"last activity {_ago(last_activity(results.runs, record.created))}",
                className="quiet",
            ),
        ],
        className="panel card",
    )


def _sparkline(results: StudyResults) -> go.Figure:
    """Return the finished runs as dots, and the frontier among them."""
    figure = new_figure()
    goals = results.goals
    across = next((metric for metric in goals if metric.goal is Goal.MINIMIZE), goals[0])
    up = next((metric for metric in goals if metric is not across), across)
    for runs, color, size in ((results.usable, PALE_GREY, 4), (results.frontier, BLUE, 6)):
        figure.add_scatter(
            x=[run.values[across.name] for run in runs],
            y=[run.values[up.name] for run in runs],
            mode="markers",
            marker={"color": color, "size": size},
        )
    figure.update_layout(
        showlegend=False,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        xaxis={"visible": False},
        yaxis={"visible": False},
    )
    return figure


def _ago(time: datetime) -> str:
    """Return how long ago something was, in the largest unit that fits."""
    seconds = max(0, int((datetime.now(UTC) - time).total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
