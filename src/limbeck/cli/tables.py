"""Tables for people and facts for programs: on standard output."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from limbeck.analysis.named import stored_metric
from limbeck.config import StudyConfig
from limbeck.frontier import Difference, compare, frontier, summarize
from limbeck.metrics import Goal, Metric, optimized
from limbeck.runs import CurvePoint, Run, RunState
from limbeck.store import StudyRecord
from limbeck.wording import format_value, short_value

OUT = Console(markup=False, emoji=False)  # A message may have [brackets] and :colons: in it.
if not OUT.is_terminal:
    OUT.width = 160  # A file has no width; what reads it should see whole columns.

Facts = Mapping[str, object]
"""What ``--json`` prints."""

_SPREAD = "± is one standard error"
_NONE = "-"
"""Stands for a parameter that a run does not have."""

Write: TypeAlias = Callable[[Run, Metric], str]
"""Writes a metric's value of a run."""


def print_values(title: str, values: Mapping[str, float], errors: Mapping[str, float]) -> None:
    """Print metric values, with the standard errors of those that have one, under a title."""
    table = new_table("metric", "value", title=title)
    for name, value in values.items():
        table.add_row(name, format_value(value, stored_metric(name), errors.get(name)))
    OUT.print(table)
    if errors:
        OUT.print(_SPREAD)


def print_studies(facts: Sequence[Facts]) -> None:
    """Print a line for every study."""
    if not facts:
        OUT.print("No study yet. Begin one with: limbeck search STUDY.toml")
        return
    table = new_table("study", "runs", "budget", "frontier", "begun")
    for fact in facts:
        name = f"{fact['study']} (paused)" if fact["paused"] else str(fact["study"])
        table.add_row(name, *(str(fact[key]) for key in ("runs", "budget", "frontier", "begun")))
    OUT.print(table)


def print_runs(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> None:
    """Print a line for every run of a study."""
    front = {run.number for run in frontier(runs, metrics)}
    parameters = _parameter_names(runs)

    def build(write: Write) -> Table:
        table = new_table("run", "state", *(metric.name for metric in metrics), *parameters)
        for run in runs:
            table.add_row(
                f"{run.number}{' *' if run.number in front else ''}",
                _state(run),
                *(write(run, metric) for metric in metrics),
                *_parameter_cells(run, parameters),
            )
        return table

    _print_with_errors(build, runs, metrics)
    if front:
        OUT.print("* on the frontier")


def print_frontier(
    runs: Sequence[Run], metrics: tuple[Metric, ...], *, control: Run | None = None
) -> None:
    """Print the frontier, each run's difference from the baseline, and the summary."""
    baseline, goals = _finished_baseline(runs), optimized(metrics)
    headings = [heading for metric in goals for heading in (metric.name, "vs baseline")]
    front = frontier(runs, metrics)
    parameters = _parameter_names(front)

    def build(write: Write) -> Table:
        table = new_table("run", *headings, *parameters)
        for run in front:
            cells = []
            for metric, difference in zip(goals, _differences(run, baseline, metrics), strict=True):
                cells += [write(run, metric), difference]
            label = f"{run.number} (baseline)" if run.number == 0 else str(run.number)
            table.add_row(label, *cells, *_parameter_cells(run, parameters))
        return table

    _print_with_errors(build, front, goals)
    if baseline:
        shown = ", ".join(f"{goal.name} {value_and_error(baseline, goal)}" for goal in goals)
        OUT.print(f"Baseline: run 0, {shown}")
        if control:
            shown = ", ".join(
                f"{goal.name} {value_and_error(control, goal)}" for goal in goals if not goal.known
            )
            OUT.print(f"Control: run {control.number}, the baseline without distillation, {shown}")
    for line in _summary_lines(runs, metrics, baseline):
        OUT.print(line)


def print_run(run: Run, points: Sequence[CurvePoint], config: StudyConfig, baseline: Run) -> None:
    """Print all about one run."""
    from limbeck.retention import dropped_weights

    OUT.print(f"Run {run.number} of {config.file.name}: {run.state} {run.reason}".rstrip())
    if run.message:
        OUT.print(run.message)
    OUT.print(
        f"attempts {run.attempts}, {run.seconds:.0f} s, "
        f"started {_moment(run.started)}, ended {_moment(run.ended)}"
    )
    settings = new_table("parameter", "value", "baseline", "range")
    ranges = {parameter.name: parameter.range_text for parameter in config.parameters}
    for name, value in run.parameters.items():
        start = baseline.parameters.get(name)
        settings.add_row(
            name,
            short_value(value),
            _NONE if start is None else short_value(start),
            ranges.get(name, _NONE),
        )
    OUT.print(settings)
    if run.values:
        print_values("Values", run.values, run.errors)
    if points:
        _print_curves(points)
    for artifact in run.artifacts:
        OUT.print(f"{artifact.name}: {artifact.path} ({artifact.bytes:,} bytes)")
    if dropped := dropped_weights(run, config):
        OUT.print(dropped)


def _state(run: Run) -> str:
    """Return a run's state with its reason, or with what is to become of it."""
    if run.state is RunState.RUNNING and run.stop_requested:
        return "running, to be stopped"
    return f"{run.state}: {run.reason}" if run.reason else str(run.state)


def run_facts(run: Run) -> Facts:
    """Return a run as JSON-ready facts."""
    return asdict(run)


def study_facts(study: StudyRecord, runs: Sequence[Run], metrics: tuple[Metric, ...]) -> Facts:
    """Return a study as JSON-ready facts."""
    return {
        "study": study.name,
        "begun": study.created.isoformat(timespec="seconds"),
        "budget": study.budget,
        "paused": study.paused,
        "runs": ", ".join(
            f"{count} {state}"
            for state in RunState
            if (count := sum(run.state is state for run in runs))
        ),
        "frontier": len(frontier(runs, metrics)),
    }


def frontier_facts(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> Facts:
    """Return the frontier and the summary as JSON-ready facts."""
    baseline = _finished_baseline(runs)
    front = []
    for run in frontier(runs, metrics):
        differences = compare(run, baseline, metrics) if baseline else ()
        front.append(
            {
                "run": run.number,
                "parameters": dict(run.parameters),
                "values": dict(run.values),
                "errors": dict(run.errors),
                "vs_baseline": {
                    difference.metric.name: {
                        "absolute": difference.absolute,
                        "relative_percent": difference.relative,
                    }
                    for difference in differences
                },
            }
        )
    summary = asdict(summarize(runs, metrics, baseline))
    return {"frontier": front, "summary": summary}


def new_table(*headings: str, title: str | None = None) -> Table:
    """Return an empty table that breaks what does not fit, rather than cutting it off."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", justify="right" if number else "left")
    return table


def _print_with_errors(
    build: Callable[[Write], Table], runs: Sequence[Run], metrics: tuple[Metric, ...]
) -> None:
    """Print a table of runs, with standard errors if it then fits without a broken cell."""
    table = build(value_and_error)
    unbounded = OUT.options.update(max_width=10_000)
    fits = OUT.measure(table, options=unbounded).maximum <= OUT.width
    OUT.print(table if fits else build(_value))
    if fits and any(metric.name in run.errors for run in runs for metric in metrics):
        OUT.print(_SPREAD)


def _print_curves(points: Sequence[CurvePoint]) -> None:
    """Print first, middle and last value of every curve."""
    table = new_table("curve", "points", "first", "middle", "last", "last step")
    for metric in dict.fromkeys(point.metric for point in points):
        curve = [point for point in points if point.metric == metric]
        places = (curve[0], curve[len(curve) // 2], curve[-1])
        values = [f"{point.value:.4g}" for point in places]
        table.add_row(metric, str(len(curve)), *values, str(curve[-1].step))
    OUT.print(table)


def _summary_lines(
    runs: Sequence[Run], metrics: tuple[Metric, ...], baseline: Run | None
) -> list[str]:
    summary = summarize(runs, metrics, baseline)
    finished = sum(run.state is RunState.FINISHED for run in runs)
    lines = [f"Frontier: {summary.frontier} of {finished} finished runs"]
    if summary.better_in_any and summary.better_in_all and summary.frontier_better is not None:
        words = " or ".join(_better_word(metric) for metric in optimized(metrics))
        lines.append(f"Runs {words} than the baseline: {summary.better_in_any.text}")
        lines.append(f"Runs better in all of these: {summary.better_in_all.text}")
        for name, share in summary.frontier_better.items():
            lines.append(f"Frontier with smaller {name} than the baseline: {share.text}")
    return lines


def _better_word(metric: Metric) -> str:
    return f"{'smaller' if metric.goal is Goal.MINIMIZE else 'better'} in {metric.name}"


def _differences(run: Run, baseline: Run | None, metrics: tuple[Metric, ...]) -> list[str]:
    if baseline is None:
        return ["" for _ in optimized(metrics)]
    return [_difference(difference) for difference in compare(run, baseline, metrics)]


def _difference(difference: Difference) -> str:
    if difference.relative is not None:
        return f"{difference.relative:+.2f} %"
    return f"{difference.absolute:+.2f}"


def _finished_baseline(runs: Sequence[Run]) -> Run | None:
    return next((run for run in runs if run.number == 0 and run.state is RunState.FINISHED), None)


def _value(run: Run, metric: Metric) -> str:
    return format_value(run.values[metric.name], metric) if metric.name in run.values else ""


def value_and_error(run: Run, metric: Metric) -> str:
    """Return a run's value of a metric, with its standard error if it has one."""
    if metric.name not in run.errors:
        return _value(run, metric)
    return format_value(run.values[metric.name], metric, run.errors[metric.name])


def _parameter_names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the parameters that any of the runs has, in their order."""
    return tuple(dict.fromkeys(name for run in runs for name in run.parameters))


def _parameter_cells(run: Run, names: Sequence[str]) -> list[str]:
    return [
        short_value(run.parameters[name]) if name in run.parameters else _NONE for name in names
    ]


def _moment(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "not yet"
