"""Every study of the store: how far it is, what its frontier looks like, when it last moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from limbeck.analysis.figures.style import BLUE, PALE_GREY, Theme, new_figure
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import labelled, notice, shown
from limbeck.dashboard.reader import last_activity
from limbeck.dashboard.site import Site, address
from limbeck.errors import LimbeckError
from limbeck.frontier import hypervolume, reference_point
from limbeck.metrics import Goal
from limbeck.runs import RunState
from limbeck.store import StudyRecord

_KEPT = 256
"""Summaries of so many studies are kept: of a study that stands still, nothing is read again."""
_MOST_DOTS = 500


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:  # noqa: ARG001
    """Return the heading; the list comes with the first pulse."""
    return html.Div([html.H1("Studies"), html.Div(id="studies")])


def register(app: Dash, site: Site) -> None:
    """Add the callback that lists the studies."""

    @lru_cache(maxsize=_KEPT)
    def summary(study: str, _pulse: str) -> _Summary:
        return _summarize(site.reader.results(study))

    def card(record: StudyRecord, theme: Theme | None) -> Component:
        try:
            found = summary(record.name, site.reader.pulse(record.name))
        except LimbeckError as error:
            return _card(record, [notice(f"It cannot be read: {error}", kind="error")])
        return _card(record, _told(record, found, theme))

    @app.callback(Output("studies", "children"), Input("pulse", "data"), Input("theme", "data"))
    def show(_pulse: str | None, theme: Theme | None) -> Component:
        records = site.reader.studies()
        if not records:
            return notice("No study yet. Begin one with: limbeck search STUDY.toml")
        newest_first = sorted(records, key=lambda record: record.created, reverse=True)
        return html.Div([card(record, theme) for record in newest_first], className="cards")


@dataclass(frozen=True, kw_only=True)
class _Summary:
    """What a card says of a study.

    Attributes:
        ended: How many runs have.
        running: How many are.
        frontier: How many are on it.
        volume: Hypervolume.
        last: When a run was last started or ended; None if none ever was.
        figure: The runs as dots.
    """

    ended: int
    running: int
    frontier: int
    volume: float
    last: datetime | None
    figure: go.Figure


def _summarize(results: StudyResults) -> _Summary:
    runs = results.runs
    return _Summary(
        ended=sum(run.state.ended for run in runs),
        running=sum(run.state is RunState.RUNNING for run in runs),
        frontier=len(results.frontier),
        volume=hypervolume(runs, results.metrics, reference_point(runs, results.metrics)),
        last=last_activity(runs),
        figure=_sparkline(results),
    )


def _card(record: StudyRecord, parts: Sequence[Component]) -> Component:
    title = html.H2(dcc.Link(record.name, href=address("study", study=record.name)))
    return html.Article([title, *parts], className="panel card")


def _told(record: StudyRecord, found: _Summary, theme: Theme | None) -> list[Component]:
    state = "paused" if record.paused else f"{found.running} running" if found.running else "idle"
    return [
        labelled(
            html.Progress(value=str(found.ended), max=str(record.budget)),
            "Ended runs of the budget",
        ),
        html.P(f"{found.ended} of {record.budget} runs ended, {state}"),
        html.P(f"{found.frontier} on the frontier, hypervolume {found.volume:.4g}"),
        dcc.Graph(
            figure=shown(found.figure, theme),
            config={"staticPlot": True, "responsive": True},
            style={"height": "110px"},
        ),
        html.P(f"last activity {_ago(found.last or record.created)}", className="quiet"),
    ]


def _sparkline(results: StudyResults) -> go.Figure:
    """Return the finished runs as dots, some of them if they are many, and the frontier."""
    figure = new_figure()
    goals = results.goals
    across = next((metric for metric in goals if metric.goal is Goal.MINIMIZE), goals[0])
    up = next((metric for metric in goals if metric is not across), across)
    some = results.usable[:: 1 + len(results.usable) // _MOST_DOTS]
    for runs, color, size in ((some, PALE_GREY, 4), (results.frontier, BLUE, 6)):
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
