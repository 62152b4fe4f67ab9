"""What a visitor chose to see of a study: read from the address of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, get_args

from limbeck.analysis.figures.history import Over
from limbeck.analysis.figures.parallel import Which
from limbeck.analysis.named import recorded_metrics
from limbeck.analysis.results import StudyResults
from limbeck.analysis.winners import Rule

T = TypeVar("T", bound=str)

LINES: tuple[Which, ...] = get_args(Which)
OVERS: tuple[Over, ...] = ("runs", "cost", "time")
RULES: tuple[Rule, ...] = get_args(Rule)

_MANY = 2_000
"""From so many runs on, only the lines of the frontier are drawn at first."""
_MOST_CELLS = 100_000
"""So many values the table shows at first; a browser has them in half a second."""

ABOUT_IT = ("reason", "seconds", "started", "ended", "attempts")
"""Columns beside the state, the metrics and the parameters."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What is shown.

    Attributes:
        across: Metric of the frontier's horizontal axis; None for the usual one.
        up: Metric of its vertical axis; None for the usual one.
        color: Metric or parameter that its colours show; None for none.
        size: Metric that the area of its markers shows; None for none.
        under: Limits of a pick, as `limbeck.analysis.limits.parse_limit` reads them.
        over: What goes across below the hypervolume.
        lines: Which runs the parallel coordinates show.
        columns: Of the table of runs.
        rule: Which runs are winners.
        matters: Whether importances are asked for.
    """

    across: str | None
    up: str | None
    color: str | None
    size: str | None
    under: str
    over: Over
    lines: Which
    columns: tuple[str, ...]
    rule: Rule
    matters: bool


def read_choices(query: Mapping[str, str], results: StudyResults) -> Choices:
    """Return what an address says; what a study does not have is as without it."""
    metrics = metric_names(results)
    colors = color_names(results)
    usual: Which = "all" if len(results.runs) < _MANY else "frontier"
    columns = [name for name in query.get("columns", "").split(",") if name]
    return Choices(
        across=_one_of(query.get("across"), metrics),
        up=_one_of(query.get("up"), metrics),
        color=_one_of(query.get("color"), colors),
        size=_one_of(query.get("size"), metrics),
        under=query.get("under", ""),
        over=_one_of(query.get("over"), OVERS) or "runs",
        lines=_one_of(query.get("lines"), LINES) or usual,
        columns=tuple(n for n in columns if n in column_names(results)) or usual_columns(results),
        rule=_one_of(query.get("rule"), RULES) or "baseline",
        matters=query.get("matters") == "yes",
    )


def metric_names(results: StudyResults) -> tuple[str, ...]:
    """Return the metrics that runs can be drawn and tabled by."""
    return tuple(metric.name for metric in recorded_metrics(results))


def color_names(results: StudyResults) -> tuple[str, ...]:
    """Return what runs can be coloured by: parameters, then metrics."""
    return (*(parameter.name for parameter in results.parameters), *metric_names(results))


def column_names(results: StudyResults) -> tuple[str, ...]:
    """Return the columns that the table of runs can have, beside the run's number."""
    names = ("state", *metric_names(results), *parameter_names(results), *ABOUT_IT)
    return tuple(dict.fromkeys(names))


def parameter_names(results: StudyResults) -> tuple[str, ...]:
    """Return the searched parameters, then those that runs queued by hand have besides."""
    searched = [parameter.name for parameter in results.parameters]
    return tuple(dict.fromkeys([*searched, *(n for run in results.runs for n in run.parameters)]))


def usual_columns(results: StudyResults) -> tuple[str, ...]:
    """Return the columns of the table at first: of a large study fewer."""
    names = ("state", *(metric.name for metric in results.metrics))
    searched = [parameter.name for parameter in results.parameters]
    room = _MOST_CELLS // (len(results.runs) or 1) - len(names) - 1
    return tuple(dict.fromkeys([*names, *searched[: max(0, room)], "reason"]))


def _one_of(value: str | None, valid: Sequence[T]) -> T | None:
    return next((each for each in valid if each == value), None)
