"""How far a study is, what each worker does, and what the frontier is worth."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from limbeck.analysis.limits import Limit, parse_limit
from limbeck.analysis.picks import Pick, make_picks
from limbeck.analysis.results import StudyResults
from limbeck.analysis.statistics import statistics_of
from limbeck.dashboard.components import facts, labelled, notice
from limbeck.dashboard.pages.study.choices import metric_names
from limbeck.dashboard.run_parts import cut
from limbeck.dashboard.site import Site, address
from limbeck.errors import LimbeckError
from limbeck.frontier import Share
from limbeck.metrics import optimized
from limbeck.runs import RunState
from limbeck.store import Progress, StudyRecord
from limbeck.wording import duration, format_value

_RECENT = 50
"""Runs that ended last, whose length those to come are taken to have."""
_SILENT_SECONDS = 120.0
"""A worker that was not heard of for so long is said to be silent."""


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the panels on top."""

    @app.callback(
        Output("study-standing", "children"),
        Output("study-statistics", "children"),
        Input("study-pulse", "data"),
        State("study-name", "data"),
    )
    def show_statistics(_pulse: str, study: str) -> tuple[Component, Component]:
        record = site.reader.store.study(study)
        return (
            _standing(site.reader.results(study), record),
            site.reader.made(_statistics, study),
        )

    @app.callback(
        Output("study-workers", "children"),
        Input("tick", "n_intervals"),
        Input("study-pulse", "data"),
        State("study-name", "data"),
    )
    def show_workers(_tick: int | None, _pulse: str, study: str) -> list[Component]:
        progress = site.reader.store.progress(study)
        now = datetime.now(UTC)
        record = site.reader.store.study(study)
        left = seconds_left(site.reader.results(study), record, progress, now)
        return [_time_left(left, record), *_workers(study, progress, now)]

    @app.callback(
        Output("study-picks", "children"),
        Input("study-pulse", "data"),
        Input("study-under", "value"),
        State("study-name", "data"),
    )
    def show_picks(_pulse: str, under: str | None, study: str) -> list[Component]:
        return site.reader.made(_picks_under, study, under or "")


def seconds_left(
    results: StudyResults, record: StudyRecord, progress: Sequence[Progress], now: datetime
) -> float | None:
    """Return about how many seconds a study takes until its budget is used up.

    The runs to come are taken to be as long as those that ended last, and as many at a time as are
    running now. A running one goes on as fast as until now; before its first curve point it is
    taken to be as long as the others. Workers that have fallen silent do not count.

    Returns:
        None if nobody can tell: nothing is running, or no run has ended yet.
    """
    progress = [each for each in progress if _silence(each, now) <= _SILENT_SECONDS]
    took = [run.seconds for run in results.runs if run.state.ended and run.seconds > 0][-_RECENT:]
    if not took or not progress:
        return None
    mean = sum(took) / len(took)
    waiting = sum(run.state is RunState.WAITING for run in results.runs)
    to_come = 0 if record.paused else waiting + max(0, record.budget - len(results.runs))
    return (to_come * mean + sum(_rest(each, mean, now) for each in progress)) / len(progress)


def _rest(running: Progress, mean: float, now: datetime) -> float:
    spent = (now - running.started).total_seconds()
    if running.total_steps and running.step:
        return max(0.0, spent * (running.total_steps - running.step) / running.step)
    return max(0.0, mean - spent)


def _silence(running: Progress, now: datetime) -> float:
    """Return how long nothing was heard of a worker, in seconds."""
    return (now - running.heartbeat).total_seconds()


def read_limits(text: str, results: StudyResults) -> tuple[Limit, ...]:
    """Return the limits of a text, separated by commas.

    Raises:
        ConfigError: If one is none.
    """
    parts = [part.strip() for part in text.split(",")]
    return tuple(
        parse_limit(part, results.metrics, metric_names(results)) for part in parts if part
    )


def _standing(results: StudyResults, record: StudyRecord) -> Component:
    ended = sum(run.state.ended for run in results.runs)
    return html.Div(
        [
            labelled(
                html.Progress(value=str(ended), max=str(record.budget)), "Ended runs of the budget"
            ),
            html.P(f"{ended} of {record.budget} runs ended"),
        ]
    )


def _time_left(left: float | None, record: StudyRecord) -> Component:
    if left is not None:
        what = "until the running runs end" if record.paused else "left at this pace"
        return html.P(f"About {duration(left)} {what}{'; paused' if record.paused else ''}")
    if record.paused:
        return html.P("Paused: no run is started until it is resumed.")
    return html.P("Nothing tells how much time is left: no worker is at it, or no run has ended.")


def _workers(study: str, progress: Sequence[Progress], now: datetime) -> list[Component]:
    if not progress:
        return []
    rows = [html.Tr(_worker(study, each, now)) for each in progress]
    head = html.Thead(html.Tr([html.Th(text) for text in ("Worker", "Run", "Step", "For")]))
    return [html.Div(html.Table([head, html.Tbody(rows)]), className="scroll study-workers")]


def _worker(study: str, each: Progress, now: datetime) -> list[Component]:
    host, _, rest = each.owner.partition(":")
    silent = _silence(each, now)
    step: list[Component | str] = ["preparing"]
    if each.total_steps:
        bar = html.Progress(value=str(each.step), max=str(each.total_steps))
        step = [labelled(bar, f"Run {each.number}"), f"{each.step:,} of {each.total_steps:,}"]
    since = duration(max(0.0, (now - each.started).total_seconds()))
    quiet = f", silent for {duration(silent)}" if silent > _SILENT_SECONDS else ""
    return [
        html.Td(f"{cut(host, 60)}, process {rest.partition(':')[0]}"),
        html.Td(dcc.Link(f"run {each.number}", href=_run(study, each.number))),
        html.Td(step),
        html.Td(f"{since}{quiet}"),
    ]


def _statistics(results: StudyResults) -> Component:
    found = statistics_of(results)
    reference = ", ".join(
        f"{metric.name} {format_value(found.reference[metric.name], metric)}"
        for metric in optimized(results.metrics)
        if metric.name in found.reference
    )
    summary = found.summary
    shown: dict[str, Component | str] = {
        state.value.capitalize(): str(count) for state, count in found.states.items()
    }
    shown["On the frontier"] = str(summary.frontier)
    if summary.better_in_all is not None and summary.better_in_any is not None:
        shown["Better than the baseline in all"] = _share(summary.better_in_all)
        shown["Better in at least one"] = _share(summary.better_in_any)
    for name, share in (summary.frontier_better or {}).items():
        shown[f"Frontier with smaller {name}"] = _share(share)
    shown["Training in all"] = duration(found.training_seconds)
    shown["Hypervolume"] = html.Span(f"{found.hypervolume:.4g}", title=f"from {reference}")
    return facts(shown)


def _share(share: Share) -> str:
    percent = "" if share.percent is None else f" ({share.percent:.0f} %)"
    return f"{share.count} of {share.n}{percent}"


def _picks_under(results: StudyResults, under: str) -> list[Component]:
    try:
        limits, problem = read_limits(under, results), []
    except LimbeckError as error:
        limits, problem = (), [notice(str(error), kind="error")]
    return [*problem, _picks(results.name, make_picks(results, limits=limits))]


def _picks(study: str, picks: Sequence[Pick]) -> Component:
    names = list(dict.fromkeys(c.difference.metric.name for p in picks for c in p.compared))
    headings = ["Pick", "Run", *(text for name in names for text in (name, "vs baseline"))]
    rows = []
    for pick in picks:
        missing = f"{pick.missing[:1].upper()}{pick.missing[1:]}." if pick.missing else ""
        rule = html.Small(missing or pick.rule, className="quiet")
        run: Component | str = "none"
        if pick.run is not None:
            run = dcc.Link(f"run {pick.run.number}", href=_run(study, pick.run.number))
        cells = pick.cells(names)
        first = html.Th([pick.name, html.Br(), rule], scope="row")
        rows.append(html.Tr([first, html.Td(run), *map(html.Td, cells)]))
    head = html.Thead(html.Tr([html.Th(text) for text in headings]))
    table = html.Div(html.Table([head, html.Tbody(rows)]), className="scroll study-picks")
    spread = "± is a 95 % confidence interval. " if any(map(_has_margin, picks)) else ""
    flattered = "Picks have the best of many scores, which flatters them."
    return html.Div([table, html.P(f"{spread}{flattered}", className="quiet")])


def _has_margin(pick: Pick) -> bool:
    return any(each.margin for each in pick.compared)


def _run(study: str, number: int) -> str:
    return address("run", study=study, number=number)
