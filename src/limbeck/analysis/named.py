"""Metrics by their names: those that a study names, and those that its runs record besides."""

from collections.abc import Iterable

from limbeck.analysis.results import StudyResults
from limbeck.config import MEASURED
from limbeck.errors import NotFoundError
from limbeck.metrics import Goal, Metric, Role, optimized
from limbeck.space import did_you_mean


def stored_metric(name: str) -> Metric:
    """Return a metric that a study does not name, but its runs may have.

    Its goal and unit are those that it has in every study; what no study can name is taken for
    something to maximize, without unit: see `has_goal`.
    """
    known = MEASURED.get(name)
    goal, unit = (known.goal, known.unit) if known else (Goal.MAXIMIZE, "")
    return Metric(
        name=name, goal=goal, role=Role.STORE, unit=unit, known=known is not None and known.known
    )


def with_recorded(metrics: tuple[Metric, ...], names: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics, and after them those of the names that are not among them."""
    named = {metric.name for metric in metrics}
    return (*metrics, *(stored_metric(name) for name in dict.fromkeys(names) if name not in named))


def recorded_metrics(results: StudyResults) -> tuple[Metric, ...]:
    """Return the metrics of a study, and after them what else any of its runs has a value of."""
    return with_recorded(results.metrics, (name for run in results.runs for name in run.values))


def has_goal(metric: Metric, declared: tuple[Metric, ...]) -> bool:
    """Whether anybody said which way is better: the study, whose metrics are given, or nature."""
    return metric in declared or metric.name in MEASURED


def find_metric(metrics: tuple[Metric, ...], name: str) -> Metric:
    """Return the metric of this name.

    Raises:
        NotFoundError: If there is none.
    """
    for metric in metrics:
        if metric.name == name:
            return metric
    names = [metric.name for metric in metrics]
    raise NotFoundError(f"no metric {name!r}{did_you_mean(name, names)}")


def leading(metrics: tuple[Metric, ...]) -> tuple[Metric | None, Metric | None]:
    """Return the cost and the score that two-sided views of a study look at.

    Returns:
        The first optimized metric to be minimized, and the first to be maximized; None where there
        is none.
    """
    goals = optimized(metrics)
    cost = next((metric for metric in goals if metric.goal is Goal.MINIMIZE), None)
    score = next((metric for metric in goals if metric.goal is Goal.MAXIMIZE), None)
    return cost, score
