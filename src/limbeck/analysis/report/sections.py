"""The sections of a report, one function each; None where a study has nothing to tell."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import plotly.graph_objects as go

from limbeck.analysis.configuration import configuration, setting_text
from limbeck.analysis.confirmation import confirm_runs
from limbeck.analysis.figures.architecture import architecture
from limbeck.analysis.figures.curves import training_curves
from limbeck.analysis.figures.dependence import (
    MOST_SLICED,
    dependence_figure,
    slice_figure,
    worth_drawing,
)
from limbeck.analysis.figures.frontier import frontier
from limbeck.analysis.figures.history import history
from limbeck.analysis.figures.importance import SHOWN_SHARE, importance_bars, interaction_map
from limbeck.analysis.figures.mistakes import changes_figure, groups_figure, kinds_figure
from limbeck.analysis.figures.parallel import parallel_coordinates
from limbeck.analysis.figures.winners import winners_figure
from limbeck.analysis.importance import FRONTIER, MetricForests, importance_targets
from limbeck.analysis.mistake_tables import compare
from limbeck.analysis.mistakes import Examination, Outcome
from limbeck.analysis.picks import Pick, make_picks
from limbeck.analysis.report.parts import Section, Table
from limbeck.analysis.results import StudyResults
from limbeck.analysis.statistics import Statistics, statistics_of
from limbeck.analysis.winners import find_winners, in_words
from limbeck.frontier import Share
from limbeck.metrics import Metric
from limbeck.runs import CurvePoint, Run
from limbeck.sensitivity import Importances
from limbeck.tasks.question_answering.mistakes import Kind
from limbeck.wording import format_value, p_text, short_value

_EXAMPLES = 6
"""So many questions of each kind of mistake are shown of each run."""
_LONGEST_CELL = 300  # Characters; questions and answers of data sets may be of any length.


def frontier_section(results: StudyResults, repeats: Sequence[Run]) -> Section:
    """Return all runs with the frontier among them, in a figure and in numbers."""
    tables = [_statistics_table(results, statistics_of(results))]
    if confirmed := _confirmed_table(results, repeats):
        tables.append(confirmed)
    return Section(
        name="frontier",
        title="Frontier",
        figures=[frontier(results, repeats=repeats)],
        tables=tables,
    )


def picks_section(results: StudyResults) -> Section:
    """Return the runs to choose from first, each with its rule."""
    picks = make_picks(results)
    goals = [goal.name for goal in results.goals]
    headings = [heading for name in goals for heading in (name, "vs baseline")]
    return Section(
        name="picks",
        title="Picks",
        text=[
            "Each is picked by a rule of one sentence. ± is a 95 % confidence interval, as if the "
            "errors of both runs were independent. Picks are chosen by the very scores that are "
            "shown, which flatters them: limbeck confirm tells by how much."
        ],
        tables=[
            Table(
                caption="Picks against the baseline",
                headings=["pick", "run", *headings, "rule"],
                rows=[_pick_row(pick, goals) for pick in picks],
                stacked=True,
            )
        ],
    )


def history_section(results: StudyResults) -> Section:
    """Return how the frontier grew."""
    return Section(
        name="history",
        title="How the frontier grew",
        figures=[history(results, over="runs"), history(results, over="cost")],
    )


def fit_forests(results: StudyResults) -> list[MetricForests]:
    """Return the forests of each metric that has to be measured, and of being on the frontier."""
    if not results.parameters:
        return []
    learned = [name for name in importance_targets(results) if not _is_known(results, name)]
    return [MetricForests.fit(results, name) for name in learned]


def importance_section(results: StudyResults, learned: Sequence[MetricForests]) -> Section | None:
    """Return which parameters the metrics and the frontier depend on, and how the metrics do."""
    if not learned:
        return None
    found = [each.importances for each in learned]
    return Section(
        name="importance",
        title="Which parameters matter",
        text=[each.warning for each in found if each.warning],
        figures=[
            importance_bars(found),
            *(interaction_map(each) for each in found if _has_pairs(each)),
            *_along(results, [each for each in learned if each.metric != FRONTIER]),
        ],
    )


def _has_pairs(found: Importances) -> bool:
    return any(pair.share >= SHOWN_SHARE for pair in found.interactions)


def _along(results: StudyResults, learned: Sequence[MetricForests]) -> Iterator[go.Figure]:
    """Yield figures of metrics along the parameters that have an effect on them.

    Of each what to expect; of the first one what the runs measured, too.
    """
    worth = [(each, names) for each in learned if (names := worth_drawing(each.importances))]
    for each, names in worth:
        yield dependence_figure(results, each.metric, each.dependence(), parameters=names)
    if len(results.runs) <= MOST_SLICED:
        for each, names in worth[:1]:
            yield slice_figure(results, each.metric, parameters=names)


def coordinates_section(results: StudyResults, *, order: Sequence[str]) -> Section:
    """Return the frontier, and the runs that match the baseline, as lines through parameters.

    Args:
        results: The study.
        order: Names of parameters, the most important first.
    """
    return Section(
        name="coordinates",
        title="Parallel coordinates",
        text=["Drag along an axis to select runs; drag a heading to move its axis."],
        figures=[
            parallel_coordinates(results, order=order),
            parallel_coordinates(results, runs="at least the baseline", order=order),
        ],
    )


def winners_section(results: StudyResults) -> Section:
    """Return what the runs that match the baseline have in common, in words and figures."""
    return Section(
        name="winners",
        title="What the winners share",
        text=in_words(find_winners(results)),
        figures=[winners_figure(results)],
    )


def runs_section(
    results: StudyResults, points: Mapping[int, Sequence[CurvePoint]], numbers: Sequence[int]
) -> Section | None:
    """Return the baseline, the best and the smallest run side by side."""
    if not numbers:
        return None
    figures = []
    if any(points.get(number) for number in numbers):
        figures.append(training_curves(results, points, runs=numbers))
    if results.config is not None:
        figures.append(architecture(results, runs=numbers))
    return Section(
        name="runs",
        title="The baseline, the best and the smallest run",
        figures=figures,
        tables=[_configuration_table(results, numbers)],
    )


def mistakes_section(examinations: Mapping[int, Examination]) -> Section | None:
    """Return what kinds of mistakes the runs make, where, and examples."""
    if not examinations:
        return None
    figures = []
    tables = []
    for number, examination in examinations.items():
        if number == 0 and len(examinations) > 1:
            continue
        figures += [kinds_figure(examination), groups_figure(examination)]
        if examination.others:
            figures.append(changes_figure(examination, examination.others[0].name))
            tables.append(_changes_table(examination))
        tables.append(_examples_table(examination))
    return Section(name="mistakes", title="Mistakes", figures=figures, tables=tables)


def table_section(results: StudyResults) -> Section:
    """Return every run in a line."""
    front = {run.number for run in results.frontier}
    metrics = results.metrics
    names = [parameter.name for parameter in results.parameters]
    return Section(
        name="all-runs",
        title="All runs",
        tables=[
            Table(
                caption=f"All {len(results.runs)} runs; those on the frontier are marked *",
                headings=["run", "state", *(metric.name for metric in metrics), *names],
                rows=[
                    [
                        f"{run.number}{' *' if run.number in front else ''}",
                        f"{run.state}: {run.reason}" if run.reason else str(run.state),
                        *(_value(run, metric) for metric in metrics),
                        *(_parameter(run, name) for name in names),
                    ]
                    for run in results.runs
                ],
                note="± is one standard error.",
            )
        ],
    )


def origin_section(results: StudyResults) -> Section | None:
    """Return the study file, from which the study can be made again."""
    if results.config is None:
        return None
    file = results.config.file.model_dump(mode="json", exclude_defaults=True)
    rows = [
        [f"{name}.{key}" if key else name, _cut(json.dumps(value, ensure_ascii=False))]
        for name, content in file.items()
        for key, value in (content.items() if isinstance(content, dict) else [("", content)])
    ]
    return Section(
        name="origin",
        title="How it was made",
        tables=[Table(caption="The study file", headings=["key", "value"], rows=rows)],
    )


def _statistics_table(results: StudyResults, found: Statistics) -> Table:
    summary = found.summary
    shares: dict[str, Share | None] = {
        "better than the baseline in any optimized metric": summary.better_in_any,
        "better than the baseline in every optimized metric": summary.better_in_all,
        **{
            f"of the frontier smaller in {name} than the baseline": share
            for name, share in (summary.frontier_better or {}).items()
        },
    }
    reference = ", ".join(
        f"{goal.name} {format_value(found.reference[goal.name], goal)}"
        for goal in results.goals
        if goal.name in found.reference
    )
    rows = [
        ["runs", ", ".join(f"{count} {state}" for state, count in found.states.items())],
        ["frontier", f"{summary.frontier} runs"],
        *([name, share.text] for name, share in shares.items() if share is not None),
        ["hypervolume", f"{found.hypervolume:.4g}, counted from {reference or 'nothing yet'}"],
        ["training time", f"{found.training_seconds / 3600:.2f} hours in all"],
    ]
    return Table(caption="In numbers", headings=["", ""], rows=rows)


def _confirmed_table(results: StudyResults, repeats: Sequence[Run]) -> Table | None:
    confirmed = confirm_runs(results.frontier, repeats, results.metrics)
    if not confirmed:
        return None
    return Table(
        caption="The frontier trained again, on questions that selected nothing",
        headings=["run", "metric", "selected", "again", "spread", "n"],
        rows=[
            [
                str(each.number),
                each.metric.name,
                format_value(each.selected, each.metric),
                format_value(each.mean, each.metric),
                "" if math.isnan(each.spread) else format_value(each.spread, each.metric),
                str(len(each.values)),
            ]
            for each in confirmed
        ],
    )


def _pick_row(pick: Pick, goals: Sequence[str]) -> list[str]:
    number = "none" if pick.run is None else str(pick.run.number)
    rule = f"{pick.rule} None here: {pick.missing}." if pick.missing else pick.rule
    return [pick.name, number, *pick.cells(goals), rule]


def _is_known(results: StudyResults, name: str) -> bool:
    return any(metric.known for metric in results.metrics if metric.name == name)


def _configuration_table(results: StudyResults, numbers: Sequence[int]) -> Table:
    rows = configuration(results, numbers)
    return Table(
        caption="Configurations; what differs from the baseline is bold",
        headings=["", "setting", *(f"run {number}" for number in numbers), "range"],
        rows=[
            [row.group, row.name, *map(setting_text, row.values), row.range_text] for row in rows
        ],
        marked=frozenset(
            (at, 2 + column)
            for at, row in enumerate(rows)
            for column, differs in enumerate(row.differs)
            if differs
        ),
    )


def _changes_table(examination: Examination) -> Table:
    rows = []
    for other in examination.others:
        found = compare(examination, other.name)
        rows.append(
            [
                other.name,
                str(found.n),
                *(str(found.counts[outcome]) for outcome in Outcome),
                p_text(found.p_value),
            ]
        )
    return Table(
        caption=f"{examination.model.name} against others, question by question",
        headings=["against", "n", *map(str, Outcome), "McNemar's exact p"],
        rows=rows,
    )


def _examples_table(examination: Examination) -> Table:
    wrong = [kind for kind in Kind if kind is not Kind.CORRECT]
    shown = [
        record
        for kind in wrong
        for record in islice((r for r in examination.records if r.kind is kind), _EXAMPLES)
    ]
    names = [other.name for other in examination.others]
    return Table(
        caption=f"Mistakes of {examination.model.name}: the first {_EXAMPLES} of each kind",
        headings=["kind", "topic", "question", "context", "gold", "answer", *names],
        rows=[
            [
                str(record.kind),
                _cut(record.title),
                _cut(record.question),
                _cut("".join(piece.text for piece in record.excerpt())),
                _cut(" | ".join(record.gold)) or "(no answer)",
                _cut(record.prediction) or "(no answer)",
                *(_cut(record.others[name]) or "(no answer)" for name in names),
            ]
            for record in shown
        ],
        stacked=True,
    )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_CELL else f"{line[: _LONGEST_CELL - 1]}…"


def _value(run: Run, metric: Metric) -> str:
    if metric.name not in run.values:
        return ""
    return format_value(run.values[metric.name], metric, run.errors.get(metric.name))


def _parameter(run: Run, name: str) -> str:
    return _cut(short_value(run.parameters[name])) if name in run.parameters else "-"
