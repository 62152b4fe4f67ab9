"""Writing a report: what it needs of a study, its frame, and the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from limbeck.analysis.curves import standing_out
from limbeck.analysis.figures.importance import by_importance
from limbeck.analysis.mistakes import Examination, examine_run, has_answers
from limbeck.analysis.report.parts import Section
from limbeck.analysis.report.sections import (
    coordinates_section,
    fit_forests,
    frontier_section,
    history_section,
    importance_section,
    mistakes_section,
    origin_section,
    picks_section,
    runs_section,
    table_section,
    winners_section,
)
from limbeck.analysis.results import StudyResults, load_results
from limbeck.files import whole_file
from limbeck.home import Home
from limbeck.questions import Questions
from limbeck.runs import CurvePoint, Run
from limbeck.store import Store
from limbeck.study import confirmation_name

_HEIGHT = 520  # Pixels of a figure that does not say its own.
_EMPTY_HEIGHT = 120  # Of one that says why there is nothing to see.


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a report tells of a study.

    Attributes:
        results: The study.
        points: Curve points of the runs that are looked at closely, by number.
        repeats: Runs of the study that confirms it; none without one.
        examinations: Answers of the same runs, by number; of those that have kept them.
    """

    results: StudyResults
    points: Mapping[int, Sequence[CurvePoint]] = field(default_factory=dict)
    repeats: Sequence[Run] = ()
    examinations: Mapping[int, Examination] = field(default_factory=dict)


def read_findings(store: Store, name: str, *, home: Home) -> Findings:
    """Read what a report tells of a study.

    Args:
        store: Has the study.
        name: Of the study.
        home: Where its files are.

    Raises:
        NotFoundError: If there is no such study.
        DataError: If its questions or answers cannot be read.
    """
    results = load_results(store, name, home=home)
    numbers = standing_out(results)
    examined = [number for number in numbers if has_answers(results.run(number))]
    questions = Questions(results.config).scored if results.config and examined else None
    confirming = confirmation_name(name)
    return Findings(
        results=results,
        points={number: store.points(name, number) for number in numbers},
        repeats=store.runs(confirming) if store.has_study(confirming) else (),
        examinations={
            number: examine_run(results, number, home=home, questions=questions)
            for number in examined
        },
    )


def write_report(path: Path, findings: Findings, *, now: datetime | None = None) -> None:
    """Write the report of a study; the file appears, or is replaced, whole.

    Args:
        path: An HTML file.
        findings: What it tells.
        now: When it is written; the present by default.
    """
    results = findings.results
    sections = [section for section in _sections(findings) if section is not None]
    moment = now or datetime.now(UTC)
    page = (
        _templates()
        .get_template("report.html")
        .render(
            title=f"{results.name}: the frontier",
            about=(
                f"{len(results.runs)} runs, {len(results.finished)} of them finished, "
                f"{len(results.frontier)} on the frontier; written {moment:%Y-%m-%d %H:%M} UTC"
            ),
            sections=[_prepared(section) for section in sections],
            footer=f"Made by Limbeck {version('limbeck')}. This file needs no network.",
            plotly=Markup(get_plotlyjs()),  # the library itself
        )
    )
    with whole_file(path) as file:
        file.write_text(page, encoding="utf-8")


def _sections(findings: Findings) -> list[Section | None]:
    results = findings.results
    closely = standing_out(results)
    learned = fit_forests(results)
    return [
        frontier_section(results, findings.repeats),
        picks_section(results),
        history_section(results),
        importance_section(results, learned),
        coordinates_section(results, order=by_importance([each.importances for each in learned])),
        winners_section(results),
        runs_section(results, findings.points, closely),
        mistakes_section(findings.examinations),
        table_section(results),
        origin_section(results),
    ]


def _prepared(section: Section) -> Mapping[str, object]:
    """Return a section with its figures as JSON that no text of theirs can end."""
    return {
        "name": section.name,
        "title": section.title,
        "text": section.text,
        "tables": section.tables,
        "figures": [
            {
                "name": f"{section.name}-{index}",
                "height": figure.layout.height or (_HEIGHT if figure.data else _EMPTY_HEIGHT),
                "least_width": (figure.layout.meta or {}).get("least_width", 0),
                "json": Markup(_safe_json(figure)),  # what could end it is escaped
            }
            for index, figure in enumerate(section.figures)
        ],
    }


def _safe_json(figure: go.Figure) -> str:
    """Return a figure as JSON without a character that HTML gives a meaning.

    Source: WHATWG HTML, section 4.12.1.3, "Restrictions for contents of script elements".
    """
    text: str = figure.to_json()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("limbeck.analysis.report", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
