"""Markers whose colour or area says something of their runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck.analysis.figures.style import GREY, SEQUENTIAL, SERIES, plain
from limbeck.analysis.named import find_metric, recorded_metrics
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.metrics import Metric
from limbeck.parameters import Choice, Parameter
from limbeck.runs import Run
from limbeck.space import did_you_mean
from limbeck.wording import short_value

_SMALLEST, _LARGEST = 6.0, 26.0
"""Diameters of the markers of the least and the largest value, in pixels."""
_TICKS = 5
_FEW = 8
"""Whole numbers, up to which each has a mark beside the scale."""


@dataclass(frozen=True, kw_only=True)
class Coloring:
    """Which colour each run has.

    Attributes:
        name: Of what the colours show.
        colors: For each run that has a colour, by number: a place on the scale, or a colour.
        categories: Colour of each category, by its text; empty for numbers.
        axis: Plotly's settings of the scale; empty for categories.
    """

    name: str
    colors: Mapping[int, float | str]
    categories: Mapping[str, str]
    axis: Mapping[str, Any]

    def of(self, runs: Sequence[Run]) -> list[float | str]:
        """Return the colours of runs; those that have none are grey."""
        return [self.colors.get(run.number, GREY) for run in runs]


def color_by(results: StudyResults, runs: Sequence[Run], name: str) -> Coloring:
    """Return the colours of runs by a parameter, or else by a metric, of this name.

    Text and truth values are categories: the first seven have a colour of their own, the others are
    grey. Of numbers that are searched on a log scale, the colours are, too.

    Raises:
        NotFoundError: If there is none of this name.
    """
    parameter = next((each for each in results.parameters if each.name == name), None)
    has_it = any(name in run.parameters for run in runs)
    if parameter is None and not has_it:
        metric = _metric(results, name)
        label = f"{name} ({metric.unit})" if metric.unit else name
        return _scale(label, {run.number: run.values[name] for run in runs if name in run.values})
    values = {run.number: run.parameters[name] for run in runs if name in run.parameters}
    if any(isinstance(value, str | bool) for value in values.values()):
        texts = {number: short_value(value) for number, value in values.items()}
        return _categories(name, texts, _order(parameter))
    numbers = {number: float(value) for number, value in values.items()}
    return _scale(name, numbers, log=_is_log(parameter))


def area_by(results: StudyResults, runs: Sequence[Run], name: str) -> Mapping[int, float]:
    """Return the diameters of runs' markers in pixels, by number; the area grows with a metric.

    Runs without a finite value are as small as the smallest.

    Raises:
        NotFoundError: If there is no such metric.
    """
    _metric(results, name)
    values = {run.number: run.values.get(name, math.nan) for run in runs}
    finite = [value for value in values.values() if math.isfinite(value)]
    low, span = min(finite, default=0.0), max(finite, default=0.0) - min(finite, default=0.0)
    shares = {
        number: (value - low) / span if span and math.isfinite(value) else 0.0
        for number, value in values.items()
    }
    return {
        number: math.sqrt(_SMALLEST**2 + share * (_LARGEST**2 - _SMALLEST**2))
        for number, share in shares.items()
    }


def _metric(results: StudyResults, name: str) -> Metric:
    metrics = recorded_metrics(results)
    if name not in {metric.name for metric in metrics}:
        names = [*(p.name for p in results.parameters), *(metric.name for metric in metrics)]
        raise NotFoundError(f"no parameter or metric {name!r}{did_you_mean(name, names)}")
    return find_metric(metrics, name)


def _is_log(parameter: Parameter | None) -> bool:
    return parameter is not None and not isinstance(parameter, Choice) and parameter.log


def _order(parameter: Parameter | None) -> list[str]:
    if not isinstance(parameter, Choice):
        return []
    return [short_value(value) for value in parameter.choices]


def _categories(name: str, texts: Mapping[int, str], order: Sequence[str]) -> Coloring:
    shown = list(dict.fromkeys([*order, *sorted(set(texts.values()))]))
    colors = {text: SERIES[at] if at < len(SERIES) else GREY for at, text in enumerate(shown)}
    return Coloring(
        name=name,
        colors={number: colors[text] for number, text in texts.items()},
        categories={text: colors[text] for text in shown if text in set(texts.values())},
        axis={},
    )


def _scale(name: str, values: Mapping[int, float], *, log: bool = False) -> Coloring:
    finite = {number: float(value) for number, value in values.items() if math.isfinite(value)}
    bar: dict[str, object] = {"title": {"text": plain(name), "side": "right"}, "thickness": 14}
    if log and finite:
        finite = {number: math.log10(value) for number, value in finite.items()}
        places = np.linspace(min(finite.values()), max(finite.values()), _TICKS)
        bar |= {"tickvals": places, "ticktext": [f"{10**place:.2g}" for place in places]}
    elif len(whole := set(finite.values())) <= _FEW and all(value.is_integer() for value in whole):
        bar["tickvals"] = sorted(whole)
    elif max(map(abs, finite.values()), default=0.0) >= 10_000:
        bar["tickformat"] = "~s"
    axis = {"colorscale": SEQUENTIAL, "colorbar": bar}
    return Coloring(name=name, colors=finite, categories={}, axis=axis)
