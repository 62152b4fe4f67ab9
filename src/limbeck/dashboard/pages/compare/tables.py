"""Runs beside each other in tables: values, settings, answers."""

from collections.abc import Sequence
from dataclasses import replace

from dash import dcc, html
from dash.development.base_component import Component

from limbeck.analysis.configuration import Row as Setting
from limbeck.analysis.configuration import configuration, setting_text
from limbeck.analysis.mistake_tables import Comparison, compare
from limbeck.analysis.mistakes import Examination, Outcome, answers_digest
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import notice
from limbeck.dashboard.run_parts import cut, difference_text, run_metrics, table, value_text
from limbeck.dashboard.site import address
from limbeck.runs import Run
from limbeck.wording import p_text


def _headings(results: StudyResults, runs: Sequence[Run]) -> list[Component | str]:
    """Return a link to each run."""
    return [
        dcc.Link(
            f"run {run.number}{' (baseline)' if run.number == 0 else ''}",
            href=address("run", study=results.name, number=run.number),
        )
        for run in runs
    ]


def values(results: StudyResults, runs: Sequence[Run]) -> Component:
    """Return all values of runs, each with how far it is from the first run's."""
    first = runs[0]
    rows: list[list[Component | str]] = [["state", *(_state(run) for run in runs)]]
    for metric in run_metrics(results, runs):
        cells = [
            html.Td(
                [
                    html.Div(value_text(run, metric)),
                    html.Small(difference_text(results, run, first, metric)),
                ]
            )
            for run in runs
        ]
        rows.append([metric.name, *cells])
    return table(["metric", *_headings(results, runs)], rows, name="Values")


def _state(run: Run) -> str:
    return f"{run.state}: {cut(run.reason, 60)}" if run.reason else str(run.state)


def settings(results: StudyResults, numbers: Sequence[int], *, only: bool) -> Component:
    """Return the settings of runs; what another run has otherwise than the first is marked."""
    rows = [replace(row, baseline=row.values[0]) for row in configuration(results, numbers)]
    rows = [row for row in rows if any(row.differs) or not only]
    if not rows:
        return notice("These runs have the same configuration.")
    runs = [results.run(number) for number in numbers]
    cells: list[list[Component | str]] = [
        [row.name, row.group, *_setting_cells(row), cut(row.range_text, 200)] for row in rows
    ]
    headings = ["name", "kind", *_headings(results, runs), "range"]
    return table(headings, cells, name="Configurations")


def _setting_cells(row: Setting) -> list[Component]:
    return [
        html.Td(
            f"{'≠ ' if differs else ''}{cut(setting_text(value), 200)}",
            className="differs" if differs else None,
        )
        for value, differs in zip(row.values, row.differs, strict=True)
    ]


def won_and_lost(results: StudyResults, runs: Sequence[Run], examination: Examination) -> Component:
    """Return what each run has right that the first has not, and the other way round."""
    first = examination.model
    silent = [run.number for run in runs if not answers_digest(run)]
    rows: list[list[Component | str]] = [
        [
            dcc.Link(
                other.name,
                href=address("mistakes", {"run": other.run or 0}, study=results.name),
            ),
            *_outcome_cells(compare(examination, other.name)),
        ]
        for other in examination.others
    ]
    parts: list[Component] = []
    if rows:
        headings = ["against " + first.name, "won", "lost", "both right", "both wrong"]
        parts.append(
            table([*headings, "difference", "McNemar's p"], rows, name="Questions won and lost")
        )
    if silent:
        numbers = ", ".join(map(str, silent))
        parts.append(notice(f"Without answers, and so left out: run {numbers}"))
    return html.Div(parts)


def _outcome_cells(comparison: Comparison) -> list[str]:
    """Return the counts as the other model sees them: the comparison sees them as the first."""
    counts = comparison.counts
    return [
        f"{counts[Outcome.LOST]:,}",
        f"{counts[Outcome.GAINED]:,}",
        f"{counts[Outcome.BOTH_RIGHT]:,}",
        f"{counts[Outcome.BOTH_WRONG]:,}",
        f"{-comparison.difference:+.2f} ± {comparison.error:.2f} points",
        p_text(comparison.p_value).removeprefix("= "),
    ]
