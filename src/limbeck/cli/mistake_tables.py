"""What `limbeck mistakes` prints and writes."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from limbeck.analysis.mistake_tables import (
    Comparison,
    Group,
    chosen,
    compare,
    compare_by,
    groups_by,
    overall,
)
from limbeck.analysis.mistakes import AnsweredQuestion, Examination, Outcome
from limbeck.cli.tables import OUT, Facts, new_table
from limbeck.files import whole_file
from limbeck.tasks.question_answering.excerpts import Role
from limbeck.tasks.question_answering.mistakes import KINDS, WRONG_KINDS
from limbeck.tasks.question_answering.traits import TRAITS
from limbeck.wording import p_text

_STYLES = {
    Role.CONTEXT: "",
    Role.CUT: "dim",
    Role.GOLD: "green underline",
    Role.PREDICTED: "red underline",
    Role.BOTH: "bold green underline",
}
_JOINERS = "\u200c\u200d"
"""Invisible letters that some scripts cannot be written without."""


def print_mistakes(
    examination: Examination,
    topics: Sequence[str],
    found: Sequence[AnsweredQuestion],
    *,
    examples: int,
) -> None:
    """Print tables of the kinds of answers, and some examples.

    Args:
        examination: The answers.
        topics: Those to show, in order.
        found: The questions that examples are taken from.
        examples: How many, evenly spaced in the order of the questions.
    """
    _print_kinds(examination)
    comparison = _first_comparison(examination)
    if comparison:
        OUT.print(_changes_line(comparison, examination))
    for trait in TRAITS:
        _print_groups(examination, trait, names=topics if trait == "topic" else None)
    if examples:
        picked = _spaced(found, examples)
        OUT.print(f"{len(picked)} of {len(found):,} examples")
        for record in picked:
            _print_example(record, examination)


def mistake_facts(
    examination: Examination,
    topics: Sequence[str],
    found: Sequence[AnsweredQuestion],
    *,
    examples: int,
) -> Facts:
    """Return the same as JSON-ready facts."""
    models = (examination.model, *examination.others)
    comparison = _first_comparison(examination)
    return {
        "questions": len(examination.questions),
        "left_out": examination.left_out,
        "limit": examination.limit,
        "models": {model.name: _group_facts(overall(model)) for model in models},
        "against": _comparison_facts(comparison) if comparison else None,
        "groups": {
            trait: _groups_facts(examination, trait, topics if trait == "topic" else None)
            for trait in TRAITS
        },
        "found": len(found),
        "examples": [record.facts() for record in _spaced(found, examples)],
    }


def write_csv(path: Path, records: Sequence[AnsweredQuestion]) -> None:
    """Write questions to a file, one a line, with a line of headings; gold answers between bars."""
    rows = [_row(record) for record in records]
    with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["id"])
        writer.writeheader()
        writer.writerows(rows)


def printable(text: str) -> str:
    """Return text of data for a terminal: nothing in it steers the terminal or ends the line."""
    letters = (" " if letter.isspace() else letter for letter in text)
    return "".join(letter for letter in letters if letter.isprintable() or letter in _JOINERS)


def _row(record: AnsweredQuestion) -> dict[str, object]:
    row = record.facts() | {"gold": " | ".join(record.gold)}
    del row["others"]
    for name, text in record.others.items():
        row |= {f"prediction of {name}": text, f"kind of {name}": record.other_kinds[name]}
    return row


def _print_kinds(examination: Examination) -> None:
    models = (examination.model, *examination.others)
    groups = [overall(model) for model in models]
    table = new_table("kind", *(printable(group.name) for group in groups))
    for kind in KINDS:
        table.add_row(
            kind, *(f"{group.counts[kind]:,}  {group.share(kind):6.2f} %" for group in groups)
        )
    left_out = examination.left_out
    rest = f", {left_out:,} not answered by all left out" if left_out else ""
    OUT.print(f"{len(examination.questions):,} questions{rest}")
    OUT.print(table)
    OUT.print(
        f"mostly correct: token F1 of {examination.limit:g} or more; "
        "correct is the official exact score"
    )


def _changes_line(comparison: Comparison, examination: Examination) -> str:
    counts = ", ".join(f"{comparison.counts[outcome]:,} {outcome}" for outcome in Outcome)
    error = "" if math.isnan(comparison.error) else f" ± {comparison.error:.2f}"
    return (
        f"Against {printable(examination.others[0].name)}: {counts}; "
        f"{comparison.difference:+.2f}{error} points, McNemar's exact "
        f"p {p_text(comparison.p_value)}"
    )


def _print_groups(examination: Examination, trait: str, *, names: Sequence[str] | None) -> None:
    every = groups_by(examination, trait)
    kinds = [kind for kind in WRONG_KINDS if any(group.counts[kind] for group in every)]
    changes = _changes(examination, trait)
    outcomes = (Outcome.LOST, Outcome.GAINED) if changes else ()
    table = new_table(trait, "questions", "correct", "95 % interval", *outcomes, *kinds)
    groups = _ordered(every, names)
    for group in groups:
        low, high = group.interval
        table.add_row(
            printable(group.name),
            f"{group.n:,}",
            f"{group.right:.1f} %",
            f"{low:.0f} to {high:.0f} %",
            *(f"{changes[group.name].counts[outcome]:,}" for outcome in outcomes),
            *(f"{group.share(kind):.1f} %" for kind in kinds),
        )
    OUT.print(table)
    if len(groups) < len(every):
        OUT.print(f"{len(groups)} of {len(every)} topics")


def _print_example(record: AnsweredQuestion, examination: Examination) -> None:
    OUT.print()
    OUT.print(printable(f"{record.kind}, F1 {record.f1:.2f} · {record.title} · {record.id}"))
    OUT.print(Text(printable(record.question), style="bold"))
    pieces = ((printable(piece.text), _STYLES[piece.role]) for piece in record.excerpt())
    OUT.print(Text.assemble(*pieces))
    answers = {
        "gold": " | ".join(record.gold),
        examination.model.name: record.prediction,
        **record.others,
    }
    for name, answer in answers.items():
        OUT.print(printable(f"{name}: {answer or '(no answer)'}"))


def _groups_facts(examination: Examination, trait: str, names: Sequence[str] | None) -> list[Facts]:
    changes = _changes(examination, trait)
    return [
        {
            "name": group.name,
            **_group_facts(group),
            "against": _comparison_facts(changes[group.name]) if changes else None,
        }
        for group in _ordered(groups_by(examination, trait), names)
    ]


def _group_facts(group: Group) -> Facts:
    return {
        "n": group.n,
        "exact": group.right,
        "interval": group.interval,
        "kinds": {str(kind): count for kind, count in group.counts.items()},
    }


def _comparison_facts(comparison: Comparison) -> Facts:
    return {
        "n": comparison.n,
        **{str(outcome): count for outcome, count in comparison.counts.items()},
        "difference": comparison.difference,
        "error": None if math.isnan(comparison.error) else comparison.error,
        "p_value": comparison.p_value,
    }


def _first_comparison(examination: Examination) -> Comparison | None:
    """Return the comparison with the model that ``--against`` names; None without it."""
    others = examination.others
    return compare(examination, others[0].name) if others else None


def _changes(examination: Examination, trait: str) -> dict[str, Comparison]:
    """Return the same by the names of groups; none without it."""
    others = examination.others
    compared = compare_by(examination, others[0].name, trait) if others else ()
    return {comparison.name: comparison for comparison in compared}


def _ordered(groups: Sequence[Group], names: Sequence[str] | None) -> Sequence[Group]:
    return groups if names is None else chosen(groups, names)


def _spaced(records: Sequence[AnsweredQuestion], count: int) -> list[AnsweredQuestion]:
    """Return at most so many records, evenly spaced, so that they are not all of one article."""
    count = min(count, len(records))
    return [records[index * len(records) // count] for index in range(count)]
