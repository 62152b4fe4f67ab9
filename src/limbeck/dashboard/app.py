"""The application: its shell, its addresses, its downloads."""

import hashlib
from collections.abc import Mapping
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from werkzeug.exceptions import NotFound

from limbeck.dashboard import downloads
from limbeck.dashboard.components import notice
from limbeck.dashboard.pages import PAGES
from limbeck.dashboard.security import protect
from limbeck.dashboard.sending import hasten
from limbeck.dashboard.site import Site, address, find_place, read_query
from limbeck.errors import LimbeckError, NotFoundError

TICK_MILLISECONDS = 1500
"""How often an open page asks whether something has changed."""


def create_app(site: Site) -> Dash:
    """Return the dashboard, with all pages and their callbacks; nothing is served yet."""
    app = Dash(
        "limbeck.dashboard",
        title="Limbeck",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        add_log_handler=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = _shell(site)
    _register_shell(app, site)
    for page in PAGES.values():
        page.register(app, site)
    downloads.register(app, site)
    protect(app, site.access)
    hasten(app)
    return app


def _shell(site: Site) -> Component:
    rights = "may change studies" if site.access.allow_write else "read-only"
    return html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="theme-choice", storage_type="local"),
            dcc.Store(id="theme"),
            dcc.Store(id="pulse"),
            dcc.Interval(id="tick", interval=TICK_MILLISECONDS),
            html.A("Skip to content", href="#page", className="skip"),
            html.Div(
                [
                    dcc.Link("Limbeck", href=address("studies"), className="brand"),
                    html.Span(rights, className="rights"),
                    html.Button("Light or dark", id="theme-button", className="quiet"),
                ],
                className="bar",
            ),
            html.Main(id="page", tabIndex="-1"),
        ],
        className="shell",
    )


def _register_shell(app: Dash, site: Site) -> None:
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "chooseTheme"),
        Output("theme-choice", "data"),
        Output("theme", "data"),
        Input("theme-button", "n_clicks"),
        State("theme-choice", "data"),
    )

    @app.callback(Output("page", "children"), Input("url", "pathname"), State("url", "search"))
    def show_page(path: str | None, search: str | None) -> Component:
        return _page(site, path or "/", read_query(search))

    @app.callback(
        Output("pulse", "data"),
        Input("tick", "n_intervals"),
        Input("url", "pathname"),
        State("pulse", "data"),
    )
    def feel_pulse(_ticks: int | None, path: str | None, before: str | None) -> Any:
        now = _pulse(site, path or "/")
        return no_update if now == before else now


def _page(site: Site, path: str, query: Mapping[str, str]) -> Component:
    try:
        page, place = find_place(path)
        return PAGES[page].layout(site, query, **place)
    except (NotFound, KeyError):
        return _nothing_here(f"There is no page {path}.")
    except NotFoundError as error:
        return _nothing_here(str(error))
    except LimbeckError as error:
        return html.Div([html.H1("This cannot be shown"), notice(str(error), kind="error")])


def _nothing_here(reason: str) -> Component:
    return html.Div(
        [
            html.H1("Nothing here"),
            notice(reason, kind="error"),
            dcc.Link("To all studies", href=address("studies")),
        ]
    )


def _pulse(site: Site, path: str) -> str:
    """Return a text that changes when what the path shows does."""
    try:
        _, place = find_place(path)
        if "study" in place:
            return site.reader.pulse(str(place["study"]))
        pulses = [site.reader.pulse(record.name) for record in site.reader.studies()]
        return hashlib.sha256("".join(pulses).encode()).hexdigest()
    except (NotFound, NotFoundError):
        return ""
