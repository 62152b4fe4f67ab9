"""Parallel coordinates: every run a line through its parameters and its metrics."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from limbeck.analysis.figures.scales import Axis, metric_axis, parameter_axis
from limbeck.analysis.figures.style import SEQUENTIAL, empty_figure, new_figure, plain
from limbeck.analysis.results import StudyResults
from limbeck.analysis.winners import at_least_the_baseline, leading_score
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run
from limbeck.wording import format_value

Which = Literal["frontier", "all", "at least the baseline"]

_LONGEST = 26  # Characters of a heading.
_AXIS = 42  # Pixels from one axis to the next, at least.
_CHARACTER = 6.5  # Pixels.

# The brightest part of the scale is left out: thin lines of it cannot be seen on white paper.
_COLORS = [[i / 10, color] for i, color in enumerate(sample_colorscale(SEQUENTIAL, 11, 0.0, 0.88))]


def parallel_coordinates(
    results: StudyResults,
    *,
    runs: Which = "frontier",
    color: str | None = None,
    order: Sequence[str] | None = None,
    limit: float | None = None,
) -> go.Figure:
    """Draw each run as a line through its parameters and its metrics.

    A run that does not have a parameter, or a metric's value, goes through a place of its own below
    the axis. Dragging along an axis selects runs, dragging a heading moves the axis.

    Args:
        results: The study.
        runs: The frontier; all finished runs; or those within every threshold that score at least
            what the baseline does.
        color: Name of the metric that colours the lines; by default the leading score.
        order: Names of parameters, the most important first; those that it does not name follow.
        limit: Worst value of the leading score that is drawn, the thresholds aside.

    Returns:
        A figure whose trace has the run numbers as ``customdata``; its layout's ``meta`` has the
        ``least_width`` in pixels at which it can be read.

    Raises:
        NotFoundError: If the study has no metric of the name.
    """
    tint = results.metric(color) if color else leading_score(results.goals)
    chosen = _chosen(results, runs, limit)
    lines = [run for run in chosen if math.isfinite(run.values.get(tint.name, math.nan))]
    if not lines:
        return empty_figure(_nothing(results, runs, tint))
    axes = _axes(results, lines, order)
    figure = new_figure(_title(runs), note=_note(results, lines, limit))
    figure.add_trace(
        go.Parcoords(
            dimensions=[_dimension(axis, lines, metric) for axis, metric in axes],
            line=_line(tint, lines),
            customdata=np.array([run.number for run in lines]),
            labelside="bottom",
            labelangle=30,
            tickfont={"size": 11},
            labelfont={"size": 12},
            rangefont={"size": 1, "color": "rgba(0, 0, 0, 0)"},
        )
    )
    first = figure.data[0].dimensions[0].ticktext or ()
    left = max(60, 20 + round(_CHARACTER * max(map(len, first), default=0)))
    width = left + _AXIS * len(axes) + 80
    return figure.update_layout(
        margin={"l": left, "r": 30, "t": 80, "b": 125}, meta={"least_width": width}
    )


def _chosen(results: StudyResults, runs: Which, limit: float | None) -> tuple[Run, ...]:
    chosen = {
        "frontier": lambda: results.frontier,
        "all": lambda: results.finished,
        "at least the baseline": lambda: at_least_the_baseline(results),
    }[runs]()
    if limit is None:
        return chosen
    score = leading_score(results.goals)
    worst = score.larger_is_better(limit)
    return tuple(
        run
        for run in chosen
        if score.larger_is_better(run.values.get(score.name, math.nan)) >= worst
    )


def _axes(
    results: StudyResults, lines: Sequence[Run], order: Sequence[str] | None
) -> list[tuple[Axis, Metric | None]]:
    """Return the axes from left to right, those of metrics with them."""
    ranks = {name: rank for rank, name in enumerate(order or ())}
    parameters = sorted(results.parameters, key=lambda each: ranks.get(each.name, len(ranks)))
    return [
        *(
            (parameter_axis(each, [run.parameters.get(each.name) for run in lines]), None)
            for each in parameters
        ),
        *(
            (metric_axis(metric, [run.values.get(metric.name) for run in lines]), metric)
            for metric in results.metrics
        ),
    ]


def _dimension(axis: Axis, lines: Sequence[Run], metric: Metric | None) -> dict[str, Any]:
    values = [(run.parameters if metric is None else run.values).get(axis.name) for run in lines]
    dimension: dict[str, Any] = {
        "label": plain(axis.name, limit=_LONGEST) if metric is None else _metric_heading(metric),
        "values": np.array([axis.place(value) for value in values]),
        "range": [axis.bottom, axis.high],
    }
    if axis.continuous:
        large = max(abs(axis.low), abs(axis.high)) >= 10_000
        return dimension | {"tickformat": "~s" if large else "d" if axis.whole else "~g"}
    ticks = axis.ticks()
    return dimension | {"tickvals": ticks.places, "ticktext": ticks.texts}


def _metric_heading(metric: Metric) -> str:
    better = "↓" if metric.goal is Goal.MINIMIZE else "↑"
    unit = f" ({plain(metric.unit, limit=10)})" if metric.unit else ""
    return f"<b>{plain(metric.name, limit=_LONGEST)}</b>{unit} {better}"


def _line(tint: Metric, lines: Sequence[Run]) -> dict[str, Any]:
    values = [run.values[tint.name] for run in lines]
    axis = metric_axis(tint, values)
    bar: dict[str, Any] = {
        "title": {"text": _metric_heading(tint)},
        "thickness": 14,
        "tickformat": "~s" if axis.high >= 10_000 else "~g",
    }
    if axis.log:
        ticks = axis.ticks()
        bar |= {"tickvals": ticks.places, "ticktext": ticks.texts}
    return {
        "color": np.array([axis.place(value) for value in values]),
        "cmin": axis.low,
        "cmax": axis.high,
        "colorscale": _COLORS,
        "colorbar": bar,
    }


def _title(runs: Which) -> str:
    return {
        "frontier": "Runs on the frontier",
        "all": "All finished runs",
        "at least the baseline": "Runs at least as good as the baseline",
    }[runs]


def _note(results: StudyResults, lines: Sequence[Run], limit: float | None) -> str:
    score, baseline = leading_score(results.goals), results.baseline
    parts = [f"n = {len(lines)} of {len(results.finished)} finished runs"]
    if limit is not None:
        parts.append(f"{plain(score.name)} no worse than {format_value(limit, score)}")
    if baseline is not None and score.name in baseline.values:
        shown = format_value(baseline.values[score.name], score)
        parts.append(f"baseline (run 0): {plain(score.name)} {shown}")
    return "; ".join(parts)


def _nothing(results: StudyResults, runs: Which, tint: Metric) -> str:
    if not results.finished:
        return "No run is finished yet"
    if runs == "at least the baseline" and results.baseline is None:
        return "Run 0, the baseline, is not finished: nothing to compare with"
    return f"No run of these has a value of {plain(tint.name)}"
