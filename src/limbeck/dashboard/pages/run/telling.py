"""What the page of a run tells in words and tables."""

from collections.abc import Sequence
from datetime import datetime

from dash import dcc, html
from dash.development.base_component import Component

from limbeck.analysis.configuration import Group, configuration, setting_text
from limbeck.analysis.configuration import Row as Setting
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import facts, notice
from limbeck.dashboard.pages.run.files import find_file, read_environment
from limbeck.dashboard.run_parts import cut, difference_text, run_metrics, table, value_text
from limbeck.dashboard.site import Site, address
from limbeck.errors import InputError
from limbeck.metrics import Goal, Metric
from limbeck.retention import dropped_weights
from limbeck.runs import Run, RunState
from limbeck.wording import duration, format_value

_SEARCHED: tuple[Group, ...] = ("searched", "given")
_FIXED: tuple[Group, ...] = ("student", "recipe")


def links(results: StudyResults, number: int) -> list[Component]:
    """Return the way to the runs before and after, and to what else shows this one."""
    links = [
        (f"← Run {number - 1}", "run", number - 1),
        (f"Run {number + 1} →", "run", number + 1),
    ]
    there = {run.number for run in results.runs}
    found: list[Component] = [
        dcc.Link(text, href=address(page, study=results.name, number=other))
        for text, page, other in links
        if other in there
    ]
    compare = address("compare", {"runs": f"0,{number}" if number else "0"}, study=results.name)
    mistakes = address("mistakes", {"run": number}, study=results.name)
    return [
        *found,
        dcc.Link("Compare with the baseline" if number else "Compare", href=compare),
        dcc.Link("Its mistakes", href=mistakes),
    ]


def story(run: Run) -> Component:
    """Return how the run went, and what broke it off."""
    told: dict[str, Component | str] = {
        "State": _state(run),
        "Asked for": moment(run.created),
        "Started": moment(run.started),
        "Ended": moment(run.ended),
    }
    if run.seconds:
        told["Training and measuring"] = duration(run.seconds)
    if run.attempts > 1:
        told["Attempts"] = f"{run.attempts}, of which {run.failures} failed"
    if run.total_steps:
        told["Steps"] = f"{run.total_steps:,}"
    if run.owner:
        told["Worker"] = cut(run.owner, 200)
    parts: list[Component] = [facts(told)]
    if run.message or run.error_type:
        text = ": ".join(part for part in (run.error_type, cut(run.message)) if part)
        parts.append(notice(text, kind="error" if run.state is RunState.FAILED else "info"))
    if run.traceback:
        parts.append(html.Pre(run.traceback[-10 * 2_000 :], tabIndex="0", className="traceback"))
    return html.Div(parts)


def _state(run: Run) -> str:
    if run.state is RunState.RUNNING and run.stop_requested:
        return "running, to be stopped"
    return f"{run.state}: {cut(run.reason, 100)}" if run.reason else str(run.state)


def progress(run: Run, steps: Sequence[int]) -> list[Component]:
    """Return how far a running run is; nothing of another."""
    if not steps or run.state is not RunState.RUNNING:
        return []
    if not run.total_steps:
        return [html.P("It prepares.")]
    return [
        html.Progress(value=str(steps[0]), max=str(run.total_steps)),
        html.P(f"Step {steps[0]:,} of {run.total_steps:,}"),
    ]


def values(results: StudyResults, run: Run) -> Component:
    """Return all values of a run beside the baseline's and the thresholds."""
    metrics = [
        metric
        for metric in run_metrics(results, [run])
        if metric.name in run.values or metric.name in run.forecasts
    ]
    if not metrics:
        return notice("It has no values yet.")
    baseline = results.baseline
    rows = [
        (
            html.Div([metric.name, html.Small(_threshold(metric))]),
            value_text(run, metric),
            value_text(baseline, metric) if baseline else "-",
            html.Td(difference_text(results, run, baseline, metric)),
        )
        for metric in metrics
    ]
    headings = ["metric", "this run", "baseline", "difference"]
    return table(headings, rows, name="Values")


def _threshold(metric: Metric) -> str:
    """Return which values are of use, for people."""
    if metric.threshold is None:
        return ""
    sign = "≥" if metric.goal is Goal.MAXIMIZE else "≤"
    return f" {sign} {format_value(metric.threshold, metric)}"


def parameters(results: StudyResults, run: Run) -> Component:
    """Return what was searched, beside its range; all other settings when asked for."""
    rows = configuration(results, [run.number])
    parts = [_settings([row for row in rows if row.group in _SEARCHED], "Parameters")]
    fixed = [row for row in rows if row.group in _FIXED]
    if fixed:
        more = _settings(fixed, "Other settings")
        parts.append(html.Details([html.Summary(f"{len(fixed)} settings that are fixed"), more]))
    return html.Div(parts)


def _settings(rows: Sequence[Setting], name: str) -> Component:
    if not rows:
        return notice("None.")
    cells = [
        (
            row.name,
            html.Td(
                f"≠ {cut(setting_text(row.values[0]), 200)}"
                if row.differs[0]
                else cut(setting_text(row.values[0]), 200),
                className="differs" if row.differs[0] else None,
            ),
            cut(setting_text(row.baseline), 200),
            cut(row.range_text, 200),
        )
        for row in rows
    ]
    return table(["name", "this run", "baseline", "range"], cells, name=name)


def artifacts(results: StudyResults, run: Run) -> Component:
    """Return what the run left, each with a way to keep it."""
    parts: list[Component] = []
    rows = [
        (
            html.A(
                cut(artifact.name, 100),
                href=address("artifact", study=results.name, number=run.number, name=artifact.name),
                download="",
                title=cut(artifact.path, 300),
            ),
            _size(artifact.bytes),
            html.Td(html.Code(artifact.sha256[:12]), title=artifact.sha256),
        )
        for artifact in run.artifacts
    ]
    if rows:
        parts.append(table(["download", "size", "sha256"], rows, name="Artifacts"))
    else:
        parts.append(notice("It has left nothing."))
    if results.config and (dropped := dropped_weights(run, results.config)):
        parts.append(notice(cut(dropped)))
    return html.Div(parts)


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def environment(site: Site, study: str, run: Run) -> Component:
    """Return what the run was made with."""
    try:
        path = find_file(run, "environment.json", site.reader.home, study)
        if path is None:
            return notice("It has left no environment.json.")
        return table(["fact", "value"], read_environment(path).items(), name="Environment")
    except (InputError, OSError) as error:
        return notice(cut(str(error)), kind="error")


def moment(time: datetime | None) -> str:
    """Return when something was, to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "not yet"
