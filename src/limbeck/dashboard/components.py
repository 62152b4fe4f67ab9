"""What several pages are made of."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import dash_ag_grid as dag
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from limbeck.analysis.figures.style import Theme, empty_figure, in_theme
from limbeck.dashboard.site import Site, address

C = TypeVar("C", bound=Component)

TABS = (("study", "Study"), ("compare", "Compare"), ("mistakes", "Mistakes"), ("ask", "Ask"))


def study_head(site: Site, study: str, page: str, *, title: str | None = None) -> Component:
    """Return the head of a page of a study: where one is, and the study's other pages.

    Args:
        site: The dashboard.
        study: Name of the study.
        page: The one that is shown.
        title: What is shown of the study, if it is a part of it.
    """
    tabs = (*TABS, ("queue", "Queue")) if site.access.allow_write else TABS
    path: list[Component | str] = [dcc.Link("Studies", href=address("studies")), " / "]
    if title is None:
        path.append(study)
    else:
        path += [dcc.Link(study, href=address("study", study=study)), f" / {title}"]
    return html.Header(
        [
            labelled(html.Nav(path, className="path"), "Where you are"),
            html.H1(title or study),
            labelled(
                html.Nav(
                    [
                        dcc.Link(
                            text,
                            href=address(name, study=study),
                            className="tab here" if name == page else "tab",
                        )
                        for name, text in tabs
                    ],
                    className="tabs",
                ),
                f"Pages of {study}",
            ),
        ],
        className="head",
    )


def labelled(component: C, text: str) -> C:
    """Return a component with a name for those who do not see it."""
    setattr(component, "aria-label", text)
    return component


def panel(title: str, *content: Component | str, note: str = "", name: str = "") -> Component:
    """Return a framed part of a page under a heading.

    Args:
        title: The heading.
        content: What it holds.
        note: Small text beside the heading.
        name: Class names that place it: ``wide``.
    """
    heading = html.H2([title, html.Small(note)] if note else title)
    return html.Section([heading, *content], className=f"panel {name}".rstrip())


def graph(name: str, figure: go.Figure | None = None, *, height: int = 420) -> Component:
    """Return a place for a figure.

    Args:
        name: Its id.
        figure: The figure; one comes later without it.
        height: In pixels.
    """
    return dcc.Graph(
        id=name,
        figure=empty_figure("…") if figure is None else figure,
        responsive=True,
        style={"height": f"{height}px"},
        config={
            "displaylogo": False,
            "modeBarButtonsToRemove": ["sendChartToCloud"],
            "toImageButtonOptions": {"format": "svg"},
        },
    )


def shown(figure: go.Figure, theme: Theme | None) -> go.Figure:
    """Return a figure as the visitor's theme wants it; the panel has its title already."""
    return in_theme(figure, theme or "light")


def facts(values: Mapping[str, Component | str]) -> Component:
    """Return names and values as a list of pairs."""
    pairs = [html.Div([html.Dt(name), html.Dd(value)]) for name, value in values.items()]
    return html.Dl(pairs, className="facts")


def grid(
    name: str,
    columns: Sequence[Mapping[str, object]],
    rows: Sequence[Mapping[str, object]] = (),
    *,
    height: int = 480,
    **options: object,
) -> Component:
    """Return a table that can be sorted and filtered.

    Args:
        name: Its id.
        columns: AG Grid's definitions.
        rows: What it shows at first.
        height: In pixels.
        options: AG Grid's ``dashGridOptions``.
    """
    table: Component = dag.AgGrid(
        id=name,
        columnDefs=list(columns),
        rowData=list(rows),
        defaultColDef={"sortable": True, "filter": True, "resizable": True, "minWidth": 90},
        dashGridOptions={
            "animateRows": False,
            "suppressFieldDotNotation": True,
            "theme": {"function": "themeQuartz"},
            **options,
        },
        style={"height": f"{height}px", "width": "100%"},
        dangerously_allow_code=False,
    )
    return table


def notice(text: str, *, kind: str = "info") -> Component:
    """Return a line that explains; ``kind`` is *info* or *error*."""
    return html.P(text, className=f"notice {kind}", role="alert" if kind == "error" else "status")
