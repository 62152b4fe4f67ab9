"""Tables for people and facts for programs: on standard output."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from limbeck.config import MEASURED, StudyConfig
from limbeck.frontier import Difference, Share, compare, frontier, summarize
from limbeck.metrics import Goal, Metric, Role, optimized
from limbeck.runs import CurvePoint, Run, RunState
from limbeck.store import StudyRecord

OUT = Console()
if not OUT.is_terminal:
    OUT.width = 160  # A file has no width; what reads it should see whole columns.

Facts = Mapping[str, object]
"""What ``--json`` prints."""

_THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


def format_value(value: float, metric: Metric) -> str:
    """Return a value with its unit, large ones in thousands, millions or billions."""
    if not math.isfinite(value):
        return str(value)
    for scale, letter in _THOUSANDS:
        if abs(value) >= scale:
            text = f"{value / (1e3 if letter == 'k' else scale):.2f} {letter}{metric.unit}"
            return text.rstrip()
    digits = 0 if value == int(value) and not metric.unit else 2
    return f"{value:.{digits}f} {metric.unit}".rstrip()


def print_values(title: str, values: Mapping[str, float]) -> None:
    """Print metric values under a title."""
    table = _table("metric", "value", title=title)
    for name, value in values.items():
        table.add_row(name, format_value(value, _as_metric(name)))
    OUT.print(table)


def print_studies(facts: Sequence[Facts]) -> None:
    """Print a line for every study."""
    if not facts:
        OUT.print("No study yet. Begin one with: limbeck search STUDY.toml")
        return
    table = _table("study", "runs", "budget", "frontier", "begun")
    for fact in facts:
        table.add_row(*(str(fact[key]) for key in ("study", "runs", "budget", "frontier", "begun")))
    OUT.print(table)


def print_runs(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> None:
    """Print a line for every run of a study."""
    front = {run.number for run in frontier(runs, metrics)}
    parameters = list(runs[0].parameters) if runs else []
    table = _table("run", "state", *(metric.name for metric in metrics), *parameters)
    for run in runs:
        state = f"{run.state}: {run.reason}" if run.reason else str(run.state)
        table.add_row(
            f"{run.number}{' *' if run.number in front else ''}",
            state,
            *(_value(run, metric) for metric in metrics),
            *(_short(run.parameters[name]) for name in parameters),
        )
    OUT.print(table)
    if front:
        OUT.print("* on the frontier")


def print_frontier(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> None:
    """Print the frontier, each run's difference from the baseline, and the summary."""
    baseline = _finished_baseline(runs)
    goals = optimized(metrics)
    headings = [heading for metric in goals for heading in (metric.name, "vs baseline")]
    table = _table("run", *headings, *(runs[0].parameters if runs else ()))
    for run in frontier(runs, metrics):
        cells = []
        for metric, difference in zip(goals, _differences(run, baseline, metrics), strict=True):
            cells += [_value(run, metric), difference]
        label = f"{run.number} (baseline)" if run.number == 0 else str(run.number)
        table.add_row(label, *cells, *(_short(value) for value in run.parameters.values()))
    OUT.print(table)
    if baseline:
        shown = ", ".join(f"{metric.name} {_value(baseline, metric)}" for metric in goals)
        OUT.print(f"Baseline: run 0, {shown}")
    for line in _summary_lines(runs, metrics, baseline):
        OUT.print(line)


def print_run(run: Run, points: Sequence[CurvePoint], config: StudyConfig, baseline: Run) -> None:
    """Print all about one run."""
    OUT.print(f"Run {run.number} of {config.file.name}: {run.state} {run.reason}".rstrip())
    if run.message:
        OUT.print(run.message)
    OUT.print(
        f"attempts {run.attempts}, {run.seconds:.0f} s, "
        f"started {_moment(run.started)}, ended {_moment(run.ended)}"
    )
    settings = _table("parameter", "value", "baseline", "range")
    for parameter in config.parameters:
        name = parameter.name
        settings.add_row(
            name,
            _short(run.parameters[name]),
            _short(baseline.parameters[name]),
            parameter.range_text,
        )
    OUT.print(settings)
    if run.values:
        print_values("Values", run.values)
    if points:
        _print_curves(points)
    for artifact in run.artifacts:
        OUT.print(f"{artifact.name}: {artifact.path} ({artifact.bytes:,} bytes)")


def run_facts(run: Run) -> Facts:
    """Return a run as JSON-ready facts."""
    return asdict(run)


def study_facts(study: StudyRecord, runs: Sequence[Run], metrics: tuple[Metric, ...]) -> Facts:
    """Return a study as JSON-ready facts."""
    return {
        "study": study.name,
        "begun": study.created.isoformat(timespec="seconds"),
        "budget": study.budget,
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


def _table(*headings: str, title: str | None = None) -> Table:
    """Return an empty table that breaks what does not fit, rather than cutting it off."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", justify="right" if number else "left")
    return table


def _print_curves(points: Sequence[CurvePoint]) -> None:
    """Print first, middle and last value of every curve."""
    table = _table("curve", "points", "first", "middle", "last", "last step")
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
        lines.append(f"Runs {words} than the baseline: {_share(summary.better_in_any)}")
        lines.append(f"Runs better in all of these: {_share(summary.better_in_all)}")
        for name, share in summary.frontier_better.items():
            lines.append(f"Frontier with smaller {name} than the baseline: {_share(share)}")
    return lines


def _better_word(metric: Metric) -> str:
    return f"{'smaller' if metric.goal is Goal.MINIMIZE else 'better'} in {metric.name}"


def _share(share: Share) -> str:
    percent = "" if share.percent is None else f" ({share.percent:.0f} %)"
    return f"{share.count} of {share.n}{percent}"


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


def _as_metric(name: str) -> Metric:
    known = MEASURED.get(name)
    goal, unit = (known.goal, known.unit) if known else (Goal.MAXIMIZE, "")
    return Metric(name=name, goal=goal, role=Role.STORE, unit=unit)


def _value(run: Run, metric: Metric) -> str:
    return format_value(run.values[metric.name], metric) if metric.name in run.values else ""


def _moment(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "not yet"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
