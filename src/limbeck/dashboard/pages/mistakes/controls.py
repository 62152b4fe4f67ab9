"""What the page of mistakes is made of, and what its visitors choose with."""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from limbeck.analysis.figures.mistakes import GROUPS
from limbeck.analysis.mistakes import BASELINE, TEACHER, Outcome
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.choice import options
from limbeck.dashboard.components import graph, grid, panel
from limbeck.dashboard.pages.mistakes.listing import ALL, WRONG
from limbeck.tasks.question_answering.mistakes import KINDS
from limbeck.tasks.question_answering.traits import TRAITS

LARGEST, WORST = "largest", "worst"


def run_controls(results: StudyResults, number: int | None, query: Mapping[str, str]) -> Component:
    """Return what chooses the run and whom it is against."""
    return html.Div(
        [
            html.Label(
                [
                    "Run",
                    dcc.Dropdown(
                        id="mistakes-run",
                        options=offered(results, "", number),
                        value=number,
                        clearable=False,
                        optionHeight=36,
                        placeholder="Type a number",
                    ),
                ],
                className="grow",
            ),
            html.Label(
                [
                    "Against (baseline, teacher or the number of a run)",
                    dcc.Input(
                        id="mistakes-against",
                        value=query.get("against", ""),
                        debounce=True,
                        placeholder="baseline",
                        list="mistakes-models",
                    ),
                    html.Datalist(
                        [html.Option(value=name) for name in (BASELINE, TEACHER)],
                        id="mistakes-models",
                    ),
                ],
                className="grow",
            ),
        ],
        className="controls",
    )


def panels(query: Mapping[str, str]) -> list[Component]:
    """Return the panels of the page, still empty."""
    trait = query.get("by", "")
    return [
        panel("Kinds of answers", graph("mistakes-kinds", height=420)),
        panel("Lost and gained", html.Div(id="mistakes-outcomes")),
        panel(
            "Groups of questions",
            html.Div(
                [
                    _choice("By", "mistakes-by", list(TRAITS), trait, "topic"),
                    _choice(
                        f"The {GROUPS} that are",
                        "mistakes-order",
                        [LARGEST, WORST],
                        query.get("order", ""),
                        LARGEST,
                    ),
                ],
                className="controls",
            ),
            html.Div(
                [
                    html.Div(graph(name, height=520), className="scroll")
                    for name in ("mistakes-groups", "mistakes-changes")
                ],
                className="pair",
            ),
            name="wide",
        ),
        panel(
            "Questions",
            html.P(
                "A click on a part of the run's bars above lists its questions.",
                className="quiet",
            ),
            _filters(query),
            html.P(id="mistakes-count", role="status"),
            _list(),
            html.Div(id="mistakes-detail", **{"aria-live": "polite"}),  # type: ignore[arg-type]
            name="wide",
        ),
    ]


def _list() -> Component:
    listed = grid(
        "mistakes-rows",
        columns=(),
        height=380,
        rowSelection={"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
        tooltipShowDelay=300,
    )
    listed.getRowId = "params.data.id"  # type: ignore[attr-defined]  # AgGrid has it
    return listed


def _choice(label: str, name: str, values: list[str], value: str, default: str) -> Component:
    return html.Fieldset(
        [
            html.Legend(label),
            dcc.RadioItems(
                id=name, options=values, value=value if value in values else default, inline=True
            ),
        ]
    )


def _filters(query: Mapping[str, str]) -> Component:
    kinds = [WRONG, ALL, *KINDS]
    outcome = query.get("outcome", "")
    return html.Div(
        [
            html.Label(
                [
                    "Kind",
                    dcc.Dropdown(
                        id="mistakes-kind",
                        options=[str(kind) for kind in kinds],
                        value=query["kind"] if query.get("kind") in kinds else WRONG,
                        clearable=False,
                    ),
                ]
            ),
            html.Label(
                [
                    "Group",
                    dcc.Dropdown(
                        id="mistakes-topic",
                        options=[],
                        value=query.get("topic") or None,
                        placeholder="all",
                        optionHeight=36,
                    ),
                ],
                className="grow",
            ),
            html.Label(
                [
                    "Lost or gained",
                    dcc.Dropdown(
                        id="mistakes-outcome",
                        options=[str(each) for each in Outcome],
                        value=outcome if outcome in list(Outcome) else None,
                        placeholder="all",
                    ),
                ]
            ),
            html.Label(
                [
                    "Words in question, context or answers",
                    dcc.Input(
                        id="mistakes-text", value=query.get("q", ""), debounce=0.4, type="search"
                    ),
                ],
                className="grow",
            ),
            html.Button("All mistakes", id="mistakes-reset"),
        ],
        className="controls",
    )


def offered(results: StudyResults, search: str, number: int | None) -> list[dict[str, Any]]:
    """Return the runs to choose from, the chosen one among them even if it cannot be examined."""
    chosen = [] if number is None else [number]
    found = options(results, search, chosen)
    missing = [each for each in chosen if all(each != option["value"] for option in found)]
    return [*found, *({"label": f"run {each}", "value": each} for each in missing)]
