"""Where a run is wrong: kinds of mistakes, groups of questions, and the questions themselves."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from limbeck.analysis.figures.mistakes import GROUPS, changes_figure, groups_figure, kinds_figure
from limbeck.analysis.figures.style import Theme, empty_figure
from limbeck.analysis.mistake_tables import groups_by, worst_first
from limbeck.analysis.mistakes import Examination, Outcome, has_answers
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.choice import numbers_in
from limbeck.dashboard.components import notice, panel, shown, study_head
from limbeck.dashboard.pages.mistakes.controls import (
    LARGEST,
    WORST,
    offered,
    panels,
    run_controls,
)
from limbeck.dashboard.pages.mistakes.examinations import Examinations
from limbeck.dashboard.pages.mistakes.listing import (
    ALL,
    WRONG,
    Filter,
    columns,
    count_text,
    detail,
    found,
    outcomes_table,
    rows,
)
from limbeck.dashboard.run_parts import cut, untitled, with_query
from limbeck.dashboard.site import Site
from limbeck.errors import InputError
from limbeck.metrics import Goal
from limbeck.runs import Run
from limbeck.tasks.question_answering.mistakes import KINDS

Examined = Callable[[Mapping[str, Any], str], Examination]
"""Returns what `look` has seen, of a study."""

_RIGHT_OUTCOMES = (Outcome.GAINED, Outcome.BOTH_RIGHT)


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:
    """Return the page for the run of its address, or else the best of the frontier."""
    study = str(place["study"])
    results = _answered(site.reader.results(study))
    number = _first_run(results, query.get("run", ""))
    return html.Div(
        [
            study_head(site, study, page="mistakes", title="Mistakes"),
            dcc.Store(id="mistakes-study", data=study),
            dcc.Store(id="mistakes-seen"),
            dcc.Store(id="mistakes-question", data=query.get("question", "")),
            panel("Run", run_controls(results, number, query), name="first wide"),
            dcc.Loading(html.Div(id="mistakes-notice"), delay_show=300),
            html.Div(panels(query), id="mistakes-body", className="panels", hidden=True),
        ]
    )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks: of the run, the figures, the filters, the list and the question."""
    examinations = Examinations(site)

    def examined(seen: Mapping[str, Any], study: str) -> Examination:
        results = site.reader.results(study)
        return examinations.of(results, seen["run"], seen["against"])

    @app.callback(
        Output("mistakes-seen", "data"),
        Output("mistakes-notice", "children"),
        Output("mistakes-body", "hidden"),
        Input("mistakes-run", "value"),
        Input("mistakes-against", "value"),
        Input("pulse", "data"),
        State("mistakes-study", "data"),
        State("mistakes-seen", "data"),
    )
    def look(
        number: int | None, against: str | None, _pulse: str | None, study: str, seen: Any
    ) -> Any:
        wanted = " ".join((against or "").casefold().removeprefix("run ").split())
        if number is None:
            return None, notice("No run of this study has left answers yet."), True
        try:
            examination = examinations.of(site.reader.results(study), number, wanted)
        except InputError as error:
            return None, notice(cut(str(error), 500), kind="error"), True
        names = [examination.model.name, *(other.name for other in examination.others)]
        now = {"run": number, "against": wanted, "names": names}
        if now == seen:
            return no_update, no_update, no_update
        return now, None, False

    @app.callback(
        Output("mistakes-run", "options"),
        Input("mistakes-run", "search_value"),
        Input("mistakes-run", "value"),
        State("mistakes-study", "data"),
        prevent_initial_call=True,
    )
    def offer(search: str | None, number: int | None, study: str) -> list[dict[str, Any]]:
        return offered(_answered(site.reader.results(study)), search or "", number)

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input("mistakes-run", "value"),
        Input("mistakes-against", "value"),
        Input("mistakes-by", "value"),
        Input("mistakes-order", "value"),
        Input("mistakes-kind", "value"),
        Input("mistakes-topic", "value"),
        Input("mistakes-outcome", "value"),
        Input("mistakes-text", "value"),
        Input("mistakes-question", "data"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def write_address(
        number: int | None, against: str | None, by: str, order: str, *rest: str | None
    ) -> Any:
        kind, topic, outcome, text, question, search = rest
        return with_query(
            search,
            run="" if number is None else str(number),
            against=against or "",
            by="" if by == "topic" else by,
            order="" if order == LARGEST else order,
            kind="" if kind in (WRONG, None) else str(kind),
            topic=topic or "",
            outcome=outcome or "",
            q=text or "",
            question=question or "",
        )

    _register_figures(app, examined)
    _register_clicks(app)
    _register_questions(app, examined)


def _register_figures(app: Dash, examined: Examined) -> None:
    @app.callback(
        Output("mistakes-kinds", "figure"),
        Output("mistakes-outcomes", "children"),
        Input("mistakes-seen", "data"),
        Input("theme", "data"),
        State("mistakes-study", "data"),
    )
    def draw_kinds(seen: Any, theme: Theme | None, study: str) -> Any:
        if not seen:
            return no_update, no_update
        examination = examined(seen, study)
        figure = untitled(kinds_figure(examination)).update_layout(uirevision=str(seen))
        return shown(figure, theme), outcomes_table(examination)

    @app.callback(
        Output("mistakes-groups", "figure"),
        Output("mistakes-changes", "figure"),
        Output("mistakes-topic", "options"),
        Input("mistakes-seen", "data"),
        Input("mistakes-by", "value"),
        Input("mistakes-order", "value"),
        Input("theme", "data"),
        State("mistakes-study", "data"),
    )
    def draw_groups(seen: Any, by: str, order: str, theme: Theme | None, study: str) -> Any:
        if not seen:
            return (no_update,) * 3
        examination = examined(seen, study)
        groups = groups_by(examination, by)
        ordered = worst_first(groups) if order == WORST else groups
        names = [group.name for group in ordered[:GROUPS]]
        figure = groups_figure(examination, trait=by, names=names)
        changes = (
            changes_figure(examination, examination.others[0].name, trait=by, names=names)
            if examination.others
            else empty_figure("there is no model to compare it with")
        )
        revision = f"{seen} {by} {order}"
        choices = [
            {"label": f"{cut(group.name.replace('_', ' '), 80)} ({group.n:,})", "value": group.name}
            for group in groups
        ]
        return (
            shown(figure.update_layout(uirevision=revision), theme),
            shown(changes.update_layout(uirevision=revision), theme),
            choices,
        )


def _register_clicks(app: Dash) -> None:
    @app.callback(
        Output("mistakes-kind", "value"),
        Output("mistakes-topic", "value"),
        Output("mistakes-outcome", "value"),
        Output("mistakes-text", "value"),
        Input("mistakes-kinds", "clickData"),
        Input("mistakes-groups", "clickData"),
        Input("mistakes-changes", "clickData"),
        Input("mistakes-by", "value"),
        Input("mistakes-reset", "n_clicks"),
        State("mistakes-seen", "data"),
        prevent_initial_call=True,
    )
    def click(
        kinds: Any, groups: Any, changes: Any, _by: str, _resets: int | None, seen: Any
    ) -> Any:
        match ctx.triggered_id:
            case "mistakes-kinds":
                key, kind = _clicked(kinds)
                if not seen or key != seen["run"] or kind is None:
                    return (no_update,) * 4
                return kind, None, None, no_update
            case "mistakes-groups":
                key, kind = _clicked(groups)
                return (no_update,) * 4 if key is None else (kind, key, None, no_update)
            case "mistakes-changes":
                key, outcome = _clicked(changes)
                return (no_update,) * 4 if key is None else (ALL, key, outcome, no_update)
            case "mistakes-by":
                return no_update, None, no_update, no_update
        return WRONG, None, None, ""


def _clicked(data: Any) -> tuple[Any, Any]:
    """Return the key and the name of the part of a bar that was clicked; two Nones of a mark."""
    custom = data["points"][0].get("customdata") if data and data.get("points") else None
    return (custom[0], custom[1]) if custom else (None, None)


def _register_questions(app: Dash, examined: Examined) -> None:
    @app.callback(
        Output("mistakes-rows", "columnDefs"),
        Output("mistakes-rows", "rowData"),
        Output("mistakes-count", "children"),
        Input("mistakes-seen", "data"),
        Input("mistakes-kind", "value"),
        Input("mistakes-by", "value"),
        Input("mistakes-topic", "value"),
        Input("mistakes-outcome", "value"),
        Input("mistakes-text", "value"),
        State("mistakes-study", "data"),
    )
    def list_questions(
        seen: Any,
        kind: str,
        by: str,
        topic: str | None,
        outcome: str | None,
        text: str | None,
        study: str,
    ) -> Any:
        if not seen:
            return (no_update,) * 3
        examination = examined(seen, study)
        wanted = Filter(
            kind=kind, trait=by, group=topic or "", outcome=outcome or "", text=text or ""
        )
        records = found(examination, wanted)
        count = count_text(len(records), examination)
        if not records and kind in (WRONG, *KINDS[1:]) and outcome in _RIGHT_OUTCOMES:
            count += f": what is {outcome} is no mistake; choose the kind “{ALL}”"
        return columns(examination), rows(records, examination), count

    @app.callback(
        Output("mistakes-question", "data"),
        Input("mistakes-rows", "selectedRows"),
        prevent_initial_call=True,
    )
    def choose(selected: list[dict[str, str]] | None) -> Any:
        return selected[0]["id"] if selected else no_update

    @app.callback(
        Output("mistakes-detail", "children"),
        Input("mistakes-question", "data"),
        Input("mistakes-seen", "data"),
        State("mistakes-study", "data"),
    )
    def show(question: str, seen: Any, study: str) -> Any:
        if not seen:
            return no_update
        examination = examined(seen, study)
        for record in examination.records:
            if record.id == question:
                return detail(record, examination)
        if question:
            return notice(f"These models were not asked the question {question[:80]!r}.")
        return notice("Choose a question to see where its answers stand.")


def _answered(results: StudyResults) -> StudyResults:
    """Return a study with only those of its runs that have left answers."""
    return replace(results, runs=tuple(run for run in results.runs if has_answers(run)))


def _first_run(results: StudyResults, text: str) -> int | None:
    """Return the run of an address, or the best of the frontier, or any; None without runs."""
    if wanted := numbers_in(text):
        return wanted[0]
    runs: tuple[Run, ...] = results.frontier or results.runs
    goals = results.goals
    goal = next((goal for goal in goals if goal.goal is Goal.MAXIMIZE), goals[0])
    return max(runs, key=lambda run: run.values.get(goal.name, -math.inf)).number if runs else None
