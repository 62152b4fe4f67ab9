"""A paragraph and a question of the visitor's own, answered by the teacher and some students."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from limbeck.analysis.results import StudyResults
from limbeck.artifacts import WEIGHTS
from limbeck.dashboard.answering import (
    LONGEST_CONTEXT,
    LONGEST_QUESTION,
    MOST_STUDENTS,
    TEACHER,
    Answering,
    Asked,
    Candidate,
    Reply,
    check_packages,
)
from limbeck.dashboard.choice import numbers_in, options, text_of
from limbeck.dashboard.components import facts, notice, panel, study_head
from limbeck.dashboard.run_parts import cut, with_query
from limbeck.dashboard.site import Site, address
from limbeck.errors import ConfigError, UnavailableError
from limbeck.runs import RunState

TICK_MILLISECONDS = 400
"""How often answers are asked for while they are on their way."""
AROUND = 80
"""Characters of the paragraph that are shown on either side of an answer."""

EXAMPLE_CONTEXT = (
    "An alembic is a still made of two vessels that are joined by a tube. It was described in the "
    "third century by Zosimos of Panopolis, who wrote that Maria the Jewess had invented it. The "
    "liquid is heated in the lower vessel, the cucurbit; the vapour rises into the cap, cools, and "
    "runs down the beak into the receiver. In English the vessel was also called a limbeck. Pot "
    "stills, which came from it, are still used to make Scotch whisky and cognac."
)
EXAMPLE_QUESTION = "Who invented the alembic?"


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:
    """Return the page with an example, and the models of its address or of the frontier's ends."""
    study = str(place["study"])
    results = _askable(site.reader.results(study))
    there = {run.number for run in results.runs}
    front = [run.number for run in results.frontier]
    ends = [*front[:1], *front[-1:]] or [run.number for run in results.runs[:1]]
    wanted = numbers_in(query["runs"]) if "runs" in query else ends
    chosen = [number for number in dict.fromkeys(wanted) if number in there][:MOST_STUDENTS]
    return html.Div(
        [
            study_head(site, study, page="ask", title="Ask"),
            dcc.Store(id="ask-study", data=study),
            dcc.Store(id="ask-ticket"),
            dcc.Store(id="ask-seen"),
            dcc.Interval(id="ask-tick", interval=TICK_MILLISECONDS, disabled=True),
            html.Div(
                [
                    panel(
                        "Question",
                        *_text_fields(),
                        note="goes to no other machine than the dashboard's",
                    ),
                    panel("Models", *_model_fields(results, query, chosen)),
                ],
                className="panels",
            ),
            html.Div(id="ask-notice"),
            html.Div(id="ask-answers", className="cards answers"),
        ]
    )


def _text_fields() -> list[Component]:
    return [
        html.Label(
            [
                f"Paragraph (at most {LONGEST_CONTEXT:,} characters)",
                dcc.Textarea(id="ask-context", value=EXAMPLE_CONTEXT, rows=9, spellCheck=False),
            ],
            className="field",
        ),
        html.Label(
            [
                f"Question (at most {LONGEST_QUESTION:,})",
                dcc.Input(id="ask-question", value=EXAMPLE_QUESTION, type="text"),
            ],
            className="field",
        ),
        html.Div(html.Button("Ask", id="ask-go"), className="buttons"),
    ]


def _model_fields(
    results: StudyResults, query: Mapping[str, str], chosen: Sequence[int]
) -> list[Component]:
    parts: list[Component] = [
        html.Label(
            [
                f"Students, at most {MOST_STUDENTS}, of the {len(results.runs):,} runs that have "
                "kept their weights",
                dcc.Dropdown(
                    id="ask-runs",
                    options=options(results, "", chosen),
                    value=list(chosen),
                    multi=True,
                    optionHeight=36,
                    placeholder="Type a number",
                ),
            ],
            className="runs",
        ),
        dcc.Checklist(
            id="ask-teacher",
            options=[{"label": " the teacher", "value": TEACHER}],
            value=[] if query.get("teacher") == "no" else [TEACHER],
        ),
        html.P(
            "They answer on this machine's CPU, one after the other. A model that is asked for the "
            "first time is exported to ONNX first, which may take half a minute.",
            className="quiet",
        ),
    ]
    if not results.runs:
        parts.append(notice("No run of this study has kept its weights; the teacher can be asked."))
    try:
        check_packages()
    except ConfigError as error:
        parts.append(notice(str(error), kind="error"))
    return parts


def register(app: Dash, site: Site) -> None:
    """Add the callbacks: of the choice, of asking, of the answers as they come."""
    answering = Answering(site.reader.store.url, site.reader.home)

    @app.callback(
        Output("ask-runs", "options"),
        Input("ask-runs", "search_value"),
        Input("ask-runs", "value"),
        State("ask-study", "data"),
        prevent_initial_call=True,
    )
    def offer(search: str | None, runs: list[int] | None, study: str) -> list[dict[str, Any]]:
        return options(_askable(site.reader.results(study)), search or "", runs or ())

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input("ask-runs", "value"),
        Input("ask-teacher", "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def write_address(runs: list[int] | None, teacher: list[str], search: str | None) -> Any:
        none_chosen = "none" if not runs else text_of(runs)
        return with_query(search, runs=none_chosen, teacher="" if teacher else "no")

    @app.callback(
        Output("ask-ticket", "data"),
        Output("ask-notice", "children"),
        Output("ask-tick", "disabled"),
        Input("ask-go", "n_clicks"),
        Input("ask-question", "n_submit"),
        State("ask-question", "value"),
        State("ask-context", "value"),
        State("ask-runs", "value"),
        State("ask-teacher", "value"),
        State("ask-study", "data"),
        prevent_initial_call=True,
    )
    def ask(
        _clicks: int | None,
        _submits: int | None,
        question: str | None,
        context: str | None,
        runs: list[int] | None,
        teacher: list[str],
        study: str,
    ) -> Any:
        models = [*teacher[:1], *(runs or ())]
        try:
            ticket = answering.ask(study, models, question or "", context or "")
        except (ConfigError, UnavailableError) as error:
            return no_update, notice(str(error), kind="error"), no_update
        return ticket, None, False

    _register_answers(app, site, answering)


def _register_answers(app: Dash, site: Site, answering: Answering) -> None:
    @app.callback(
        Output("ask-answers", "children"),
        Output("ask-notice", "children", allow_duplicate=True),
        Output("ask-tick", "disabled", allow_duplicate=True),
        Output("ask-seen", "data"),
        Input("ask-ticket", "data"),
        Input("ask-tick", "n_intervals"),
        State("ask-seen", "data"),
        prevent_initial_call=True,
    )
    def show(ticket: str | None, _ticks: int | None, seen: list[Any] | None) -> Any:
        if not ticket:
            return no_update, no_update, True, no_update
        asked = answering.look(ticket)
        if asked is None:
            gone = notice("This question is not remembered any more; ask it again.", kind="error")
            return [], gone, True, None
        now = [ticket, len(asked.replies), asked.note]
        if now == seen:
            return (no_update,) * 4
        progress = None if asked.done else notice(f"{cut(asked.note, 200)} …")
        results = site.reader.results(asked.study)
        return _cards(results, asked), progress, asked.done, now


def _askable(results: StudyResults) -> StudyResults:
    """Return a study with only those of its runs that have kept their weights."""
    kept = tuple(
        run
        for run in results.runs
        if run.state is RunState.FINISHED and any(left.name == WEIGHTS for left in run.artifacts)
    )
    return replace(results, runs=kept)


def _cards(results: StudyResults, asked: Asked) -> list[Component]:
    """Return what each model answered, those that are still to answer included."""
    return [
        html.Article(
            [_name(results, model), *_said(asked, asked.replies.get(model))],
            className="panel card",
        )
        for model in asked.models
    ]


def _name(results: StudyResults, model: str | int) -> Component:
    if not isinstance(model, int):
        return html.H2("Teacher")
    link = dcc.Link(f"Run {model}", href=address("run", study=results.name, number=model))
    return html.H2([link, html.Small("baseline")] if model == 0 else link)


def _said(asked: Asked, reply: Reply | str | None) -> list[Component]:
    if reply is None:
        return [html.P("…", className="quiet")]
    if isinstance(reply, str):
        return [notice(cut(reply, 500), kind="error")]
    best = reply.candidates[0] if reply.candidates else None
    told = {
        "Score": "-" if best is None else f"{best.score:.2f}",
        "Probability": "-" if best is None else f"{best.probability:.1%}",
        "No answer": "never given" if reply.threshold is None else _percent(reply),
        "Time": f"{reply.milliseconds:,.0f} ms",
    }
    parts: list[Component] = [
        html.P(reply.text or "(no answer)", className="answer" if reply.text else "answer none"),
        facts(told),
        html.P(_decision(reply), className="quiet"),
    ]
    if best is not None:
        parts.append(html.P(_around(asked.context, best, gave=bool(reply.text))))
    if len(reply.candidates) > 1:
        others = [
            html.Li([each.text, html.Small(f" {each.score:.2f}, {each.probability:.1%}")])
            for each in reply.candidates[1:]
        ]
        parts.append(html.Details([html.Summary("Other candidates"), html.Ol(others, start="2")]))
    return parts


def _percent(reply: Reply) -> str:
    return f"{reply.no_answer_probability:.1%}"


def _decision(reply: Reply) -> str:
    """Return why the model answered, or did not."""
    if reply.null_odds is None:
        return "It found nothing that could be an answer."
    odds = f"“No answer” scores {reply.null_odds:+.2f} against the best candidate"
    if reply.threshold is None:
        return f"{odds}; in this study every question has an answer, so it always gives one."
    side = "above" if reply.null_odds > reply.threshold else "not above"
    return f"{odds}: {side} the threshold of {reply.threshold:g}."


def _around(context: str, best: Candidate, *, gave: bool) -> list[Component | str]:
    """Return where the best candidate stands in the paragraph, with whole words around it."""
    before = context[max(best.start - AROUND, 0) : best.start]
    after = context[best.end : best.end + AROUND]
    if best.start > AROUND:
        before = "…" + before[before.find(" ") + 1 :]
    if best.end + AROUND < len(context):
        after = after[: after.rfind(" ")] + " …" if " " in after else after + "…"
    text = context[best.start : best.end]
    return [before, html.Mark(text, className="predicted" if gave else "refused"), after]
