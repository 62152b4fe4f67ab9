"""Questions in a list, and one of them with its context and what was answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import html
from dash.development.base_component import Component

from limbeck.analysis.mistake_tables import compare
from limbeck.analysis.mistakes import AnsweredQuestion, Examination, Outcome, select
from limbeck.dashboard.components import notice
from limbeck.dashboard.run_parts import cut, table
from limbeck.tasks.question_answering.excerpts import Piece, Role, excerpt
from limbeck.tasks.question_answering.mistakes import WRONG_KINDS, Kind
from limbeck.wording import p_text

MOST_ROWS = 2_000
"""Questions that are listed at once."""
WRONG, ALL = "wrong", "all"
"""Choices of kinds beside the kinds themselves."""
_LONGEST = 200
"""Letters of a text in a cell."""
_LONGEST_CONTEXT = 20_000
"""Letters of a context; over one word of a million letters a browser stands still."""
_ROLES = {Role.GOLD: "gold", Role.PREDICTED: "predicted", Role.BOTH: "both"}
LEGEND = {
    Role.GOLD: "gold answer",
    Role.PREDICTED: "given answer",
    Role.BOTH: "both",
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which questions are listed.

    Attributes:
        kind: One of `Kind`, or `WRONG`, or `ALL`.
        trait: What ``group`` is a group of.
        group: A group of questions; empty for all.
        outcome: What became of the question from the first of the other models; empty for any.
        text: Words; see `limbeck.analysis.mistakes.select`.
    """

    kind: str
    trait: str
    group: str
    outcome: str
    text: str


def found(examination: Examination, wanted: Filter) -> tuple[AnsweredQuestion, ...]:
    """Return the questions that a filter lets through."""
    records = examination.records
    if wanted.group:
        grouping = examination.groupings[wanted.trait]
        if wanted.group not in grouping.names:
            return ()
        place = grouping.names.index(wanted.group)
        records = tuple(records[at] for at in (grouping.places == place).nonzero()[0].tolist())
    others = examination.others
    return select(
        records,
        kinds=_kinds(wanted.kind),
        text=wanted.text,
        against=(others[0].name, Outcome(wanted.outcome)) if wanted.outcome and others else None,
    )


def _kinds(kind: str) -> tuple[Kind, ...] | None:
    if kind == ALL:
        return None
    return WRONG_KINDS if kind == WRONG else (Kind(kind),)


def columns(examination: Examination) -> list[dict[str, Any]]:
    """Return the list's columns."""
    first = [other.name for other in examination.others[:1]]
    texts = {
        "kind": 150,
        "topic": 160,
        "question": 300,
        "gold": 170,
        examination.model.name: 170,
        **dict.fromkeys(first, 170),
    }
    return [
        {
            "field": str(at),
            "headerName": name,
            "width": width,
            **({"flex": 1, "minWidth": width} if name == "question" else {}),
            "tooltipField": str(at),
            "filter": False,
        }
        for at, (name, width) in enumerate(texts.items())
    ]


def rows(
    records: Sequence[AnsweredQuestion], examination: Examination
) -> list[dict[str, str | None]]:
    """Return the list's rows, cut where they are too many or too long."""
    first = [other.name for other in examination.others[:1]]
    return [
        {
            "id": record.id,
            **{
                str(at): cut(text, _LONGEST)
                for at, text in enumerate(
                    (
                        record.kind,
                        record.title.replace("_", " "),
                        record.question,
                        " | ".join(record.gold) or "(no answer)",
                        record.prediction or "(no answer)",
                        *(record.others[name] or "(no answer)" for name in first),
                    )
                )
            },
        }
        for record in records[:MOST_ROWS]
    ]


def count_text(count: int, examination: Examination) -> str:
    """Return how many questions there are, and how many of them are listed."""
    text = f"{count:,} of {len(examination.questions):,} questions"
    return f"{text}; the first {MOST_ROWS:,} are listed" if count > MOST_ROWS else text


def outcomes_table(examination: Examination) -> Component:
    """Return what became of the questions from each other model to the run, and McNemar's p."""
    if not examination.others:
        return notice("There is no baseline and no teacher with answers to compare it with.")
    cells = []
    for other in examination.others:
        found = compare(examination, other.name)
        cells.append(
            [
                other.name,
                *(f"{found.counts[outcome]:,}" for outcome in Outcome),
                f"{found.difference:+.2f} ± {found.error:.2f} points",
                f"p {p_text(found.p_value)}",
            ]
        )
    headings = ["against", *Outcome, "difference ± 1 standard error", "McNemar's exact p"]
    return table(headings, cells, name="Lost and gained")


def detail(record: AnsweredQuestion, examination: Examination) -> Component:
    """Return a question with its context and all answers."""
    models = {examination.model.name: record.prediction, **record.others}
    kinds = {examination.model.name: record.kind, **record.other_kinds}
    cells: list[list[Component | str]] = [
        ["gold", html.Td(cut(" | ".join(record.gold)) or _nothing()), ""],
    ]
    for name, text in models.items():
        cells.append([name, html.Td(cut(text) if text else _nothing()), kinds[name]])
    parts: list[Component] = [
        html.H3(cut(record.question)),
        html.P(
            f"{cut(record.title.replace('_', ' '), _LONGEST)} · {cut(record.id, _LONGEST)} · "
            f"token F1 {record.f1:.2f}",
            className="quiet",
        ),
        table(["model", "answer", "kind"], cells, name="Answers"),
        _legend(),
        *_excerpt(examination.model.name, record.excerpt()),
    ]
    for other in examination.others[:1]:
        parts += _excerpt(other.name, excerpt(record.asked, record.others[other.name]))
    parts.append(
        html.Details([html.Summary("Whole context"), html.P(cut(record.context, _LONGEST_CONTEXT))])
    )
    return html.Div(parts, className="question")


def _nothing() -> Component:
    return html.Em("(no answer)")


def _legend() -> Component:
    marks: list[Component | str] = ["Marked: "]
    for role, text in LEGEND.items():
        marks += [html.Mark(text, className=_ROLES[role]), " "]
    return html.P(marks, className="quiet")


def _excerpt(name: str, pieces: Sequence[Piece]) -> list[Component]:
    """Return what stands around the answers; a mark says to those who do not see it what it is."""
    shown = [
        html.Mark(cut(piece.text), className=_ROLES[piece.role], title=LEGEND[piece.role])
        if piece.role in _ROLES
        else cut(piece.text)
        for piece in pieces
    ]
    return [html.H4(name), html.P(shown)]
