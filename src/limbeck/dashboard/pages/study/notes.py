"""Notes of a study in Markdown, and what else happened to it."""

from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from limbeck.dashboard.components import notice
from limbeck.dashboard.site import Site, address
from limbeck.dashboard.writing import check_write
from limbeck.store import Event

NOTE = "note"
"""Kind of the events that people write."""

_MOST_EVENTS = 100
_LONGEST = 20_000
"""Letters of a note."""


def notes_panel(site: Site) -> list[Component]:
    """Return the place of the notes, with a field for a new one where that is allowed."""
    parts: list[Component] = []
    if site.access.allow_write:
        field = dcc.Textarea(id="study-note", rows=3, maxLength=_LONGEST, className="study-note")
        parts += [
            html.Label(["New note, in Markdown", field], className="study-label"),
            html.Button("Add note", id="study-note-add"),
            html.Div(id="study-note-answer"),
        ]
    return [*parts, html.Div(id="study-notes")]


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the notes."""

    @app.callback(
        Output("study-notes", "children"),
        Input("study-later", "data"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )
    def show(_pulse: str, study: str) -> list[Component]:
        events = site.reader.store.events(study)[::-1]
        notes = [event for event in events if event.kind == NOTE]
        others = [event for event in events if event.kind != NOTE]
        return [*(_note(event) for event in notes), *_others(study, others, len(notes))]

    @app.callback(
        Output("study-note-answer", "children"),
        Output("study-note", "value"),
        Input("study-note-add", "n_clicks"),
        State("study-note", "value"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )
    def add(_clicks: int | None, text: str | None, study: str) -> tuple[Component | str, str]:
        check_write(site.access)
        if not (text or "").strip():
            return notice("A note needs a text.", kind="error"), ""
        site.reader.store.add_event(study, NOTE, (text or "")[:_LONGEST])
        return "", ""


def _note(event: Event) -> Component:
    return html.Article(
        [
            html.P(f"{event.time:%Y-%m-%d %H:%M} UTC", className="quiet"),
            dcc.Markdown(event.text[:_LONGEST], link_target="_blank"),
        ],
        className="study-one-note",
    )


def _others(study: str, events: list[Event], notes: int) -> list[Component]:
    if not events:
        return [] if notes else [html.P("No note yet.", className="quiet")]
    listed = [html.Li(_event(study, event)) for event in events[:_MOST_EVENTS]]
    more = len(events) - len(listed)
    rest = [html.P(f"and {more} earlier ones", className="quiet")] if more else []
    summary = html.Summary(f"What else happened ({len(events)})")
    return [html.Details([summary, html.Ul(listed), *rest])]


def _event(study: str, event: Event) -> list[Component | str]:
    where: list[Component | str] = []
    if event.number is not None:
        href = address("run", study=study, number=event.number)
        where = [dcc.Link(f"run {event.number}", href=href), ": "]
    return [f"{event.time:%Y-%m-%d %H:%M} {event.kind}: ", *where, event.text[:500]]
