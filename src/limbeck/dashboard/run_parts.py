"""What the pages of one run and of several have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, get_args
from urllib.parse import urlencode

import plotly.graph_objects as go
from dash import dcc, html, no_update
from dash.development.base_component import Component

from limbeck.analysis.curves import Across, metric_names
from limbeck.analysis.figures.curves import training_curves
from limbeck.analysis.figures.style import Theme
from limbeck.analysis.named import has_goal, with_recorded
from limbeck.analysis.picks import Compared, difference_error
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import labelled, shown
from limbeck.dashboard.site import Site, read_query
from limbeck.frontier import compare
from limbeck.metrics import Metric, Role
from limbeck.runs import CurvePoint, Run, RunState
from limbeck.store import Store
from limbeck.wording import format_value

LONGEST_TEXT = 2_000
"""Characters that are shown of a text of a run; it may have any length."""
FIRST_CURVES = 3
"""Metrics that are drawn unless others are chosen."""
TICK_MILLISECONDS = 1500
"""How often the curves of a running run are asked for."""

_TITLE = 32
"""Height of a figure's title in pixels."""

_ACROSS: tuple[Across, ...] = get_args(Across)


def cut(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return a text, or what fits of its beginning."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def with_query(search: str | None, **values: str) -> Any:
    """Return what is to stand behind an address, or that it may stay; what is empty is left out."""
    before = read_query(search)
    query = {name: value for name, value in (before | values).items() if value}
    if query == before:
        return no_update
    return "?" + urlencode(query, safe=",") if query else ""


def table(
    headings: Sequence[Component | str], rows: Iterable[Sequence[Component | str]], *, name: str
) -> Component:
    """Return a table whose first column names the rows; cells may be ``html.Td``."""
    head = html.Tr([html.Th(heading, scope="col") for heading in headings])
    body = [
        html.Tr(
            [
                html.Th(first, scope="row"),
                *(cell if isinstance(cell, html.Td) else html.Td(cell) for cell in cells),
            ]
        )
        for first, *cells in rows
    ]
    return html.Div(
        labelled(html.Table([html.Thead(head), html.Tbody(body)]), name), className="scroll"
    )


def fingerprint(results: StudyResults, numbers: Sequence[int]) -> str:
    """Return a text that changes when one of the runs, or the baseline, does."""
    runs = [results.run(number) for number in numbers]
    return sha256(repr((runs, results.baseline)).encode()).hexdigest()


def run_metrics(results: StudyResults, runs: Sequence[Run]) -> tuple[Metric, ...]:
    """Return the metrics of a study, and after them what else the runs have values of."""
    return with_recorded(results.metrics, (name for run in runs for name in run.values))


def value_text(run: Run, metric: Metric) -> str:
    """Return a run's value with its standard error; of a stopped run, what it would have been."""
    forecast = run.forecasts.get(metric.name)
    if forecast is not None and run.state is RunState.STOPPED:
        return f"{format_value(forecast.mean, metric, forecast.std)} (expected)"
    if metric.name not in run.values:
        return "-"
    return format_value(run.values[metric.name], metric, run.errors.get(metric.name))


def compared(run: Run, other: Run, metric: Metric) -> Compared | None:
    """Return how far a run is from another in a metric; None unless both are finished with it."""
    for each in (run, other):
        if each.state is not RunState.FINISHED or metric.name not in each.values:
            return None
    (difference,) = compare(run, other, (replace(metric, role=Role.OPTIMIZE),))
    return Compared(difference=difference, error=difference_error(run, other, metric))


def difference_text(
    results: StudyResults, run: Run, other: Run | None, metric: Metric
) -> list[Component | str]:
    """Return a run's difference from another, half of its 95 % interval, and what that says."""
    if other is None or other.number == run.number or not has_goal(metric, results.metrics):
        return []
    found = compared(run, other, metric)
    if found is None:
        return []
    difference, margin = found.difference, found.margin
    sign = "+" if difference.absolute >= 0 else ""
    text = f"{sign}{format_value(difference.absolute, metric, margin or None)}"
    if difference.relative is not None:
        text += f" ({difference.relative:+.1f} %)"
    verdict = _verdict(found)
    return [text, html.Span(f" {verdict}", className=f"verdict {verdict}")]


def _verdict(found: Compared) -> str:
    """Return *better* or *worse* where the interval leaves no doubt about it."""
    difference, margin = found.difference, found.margin
    if difference.absolute == 0:
        return "equal"
    if margin is None:
        return "spread unknown"
    if not abs(difference.absolute) > margin:
        return "unsure"
    return "better" if difference.better else "worse"


def curve_controls(
    prefix: str, points: Mapping[int, Sequence[CurvePoint]], query: Mapping[str, str]
) -> Component:
    """Return what chooses the curves: their metrics, and what they are drawn against.

    Args:
        prefix: Of the ids: ``PREFIX-metrics`` and ``PREFIX-across``.
        points: Of the runs that are shown at first.
        query: Of the address: ``metrics``, with commas between, and ``across``.
    """
    names = metric_names(points)
    wanted = [name for name in query.get("metrics", "").split(",") if name in names]
    across = query.get("across")
    return html.Div(
        [
            html.Fieldset(
                [
                    html.Legend("Metrics"),
                    dcc.Dropdown(
                        id=f"{prefix}-metrics",
                        options=list(names),
                        value=wanted or list(names[:FIRST_CURVES]),
                        multi=True,
                        clearable=False,
                        placeholder="the first ones",
                    ),
                ],
                className="grow",
            ),
            html.Fieldset(
                [
                    html.Legend("Against"),
                    dcc.RadioItems(
                        id=f"{prefix}-across",
                        options=list(_ACROSS),
                        value=across if across in _ACROSS else "steps",
                        inline=True,
                    ),
                ]
            ),
        ],
        className="controls",
    )


def curve_query(metrics: Sequence[str] | None, names: Sequence[str], across: str) -> dict[str, str]:
    """Return what the address has to say of the curves: what is not so anyway.

    Args:
        metrics: Those that are chosen.
        names: All there are.
        across: What they are drawn against.
    """
    chosen = list(metrics or ())
    return {
        "metrics": "" if chosen == list(names[:FIRST_CURVES]) else ",".join(chosen),
        "across": "" if across == _ACROSS[0] else across,
    }


def untitled(figure: go.Figure) -> go.Figure:
    """Return a figure without its title, which its panel has; the note stays."""
    top = figure.layout.margin.t
    return figure.update_layout(title_text="", margin_t=top - _TITLE if top else None)


def read_points(
    store: Store, study: str, numbers: Sequence[int]
) -> dict[int, tuple[CurvePoint, ...]]:
    """Return the curve points of some runs by their numbers."""
    return {number: store.points(study, number) for number in numbers}


def steps_of(site: Site, study: str, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return number and step of those of the runs that are running."""
    found = site.reader.store.progress(study)
    return [(each.number, each.step) for each in found if each.number in numbers]


def is_running(results: StudyResults, numbers: Sequence[int]) -> bool:
    """Whether any of the runs is."""
    return any(results.run(number).state is RunState.RUNNING for number in numbers)


def draw_curves(
    site: Site,
    study: str,
    numbers: Sequence[int],
    *,
    metrics: Sequence[str] | None,
    across: str,
    theme: Theme | None,
) -> tuple[go.Figure, dict[str, str], list[str]]:
    """Return the curves of runs, the style of the place for them, and all names there are.

    Zoom stays as it is until other runs or axes are chosen.
    """
    points = read_points(site.reader.store, study, numbers)
    names = metric_names(points)
    wanted = [name for name in metrics or () if name in names] or names[:FIRST_CURVES]
    axis = next((each for each in _ACROSS if each == across), _ACROSS[0])
    figure = training_curves(
        site.reader.results(study), points, runs=numbers, metrics=wanted, across=axis
    )
    height = figure.layout.height or 300
    figure.update_layout(uirevision=f"{study} {numbers} {wanted} {axis}")
    return shown(untitled(figure), theme), {"height": f"{height}px"}, list(names)
