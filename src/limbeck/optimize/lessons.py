"""What a study's runs teach: values to expect, where students can be made, and what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limbeck.metrics import Metric
from limbeck.runs import Forecast, Run, RunState
from limbeck.space import SearchSpace

_WITH_VALUES = (RunState.FINISHED, RunState.STOPPED)


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Observations of one number.

    Attributes:
        X: An ``n x d`` array of points in the unit cube.
        y: An ``n`` array of finite values.
        errors: An ``n`` array of standard errors of ``y``; None if none are given.
        doubts: An ``n`` array of standard deviations on top of the noise: 0 of what was measured,
            more of what was only forecast; None if nothing was.
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    errors: NDArray[np.float64] | None = None
    doubts: NDArray[np.float64] | None = None


def metric_lessons(runs: Sequence[Run], metric: Metric, space: SearchSpace) -> Lessons | None:
    """Return what finished runs, and stopped ones with a forecast or value, teach about a metric.

    A stopped run's value is that of an unfinished student; that of another may be measured on a few
    questions only. If there is a forecast of what it would have come to, that takes its place, and
    is trusted the less, the larger its deviation is.

    Larger is better in what is returned. Values beyond the threshold are of no use, however far
    beyond, but they may be very far: of a diverged run, or one that answers nothing. So that they
    do not flatten the differences among the useful ones, what lies beyond is squeezed:
    ``t - s log(1 + (t - y) / s)``, with threshold ``t`` and ``s`` the distance from there to the
    best value, or the median distance of the values from their median, if that is larger. Without a
    threshold, the median takes its place.

    Standard errors are given if any run has one; runs without one, and forecasts, have the median
    of the others'. They and the forecasts' deviations are squeezed like the values: multiplied by
    the slope there.

    Returns:
        None as long as fewer than two runs finished with a finite value.
    """
    taught = [
        run for run in runs if run.state in _WITH_VALUES and math.isfinite(_final(run, metric).mean)
    ]
    finished = [run.state is RunState.FINISHED for run in taught]
    if sum(finished) < 2:
        return None
    finals = [_final(run, metric) for run in taught]
    y = np.array([metric.larger_is_better(final.mean) for final in finals])
    if metric.threshold is None:
        pivot = float(np.median(y[finished]))
    else:
        pivot = metric.larger_is_better(metric.threshold)
    spread = float(np.median(np.abs(y - np.median(y))))
    scale = max(float(y.max()) - pivot, spread) or 1.0
    beyond = np.maximum(pivot - y, 0.0) / scale
    errors = _errors(taught, metric)
    doubts = np.array([final.std for final in finals])
    return Lessons(
        X=encode_all(space, taught),
        y=np.where(beyond > 0, pivot - scale * np.log1p(beyond), y),
        errors=None if errors is None else errors / (1 + beyond),
        doubts=doubts / (1 + beyond) if doubts.any() else None,
    )


def _final(run: Run, metric: Metric) -> Forecast:
    """Return what a run came to, with deviation 0, or would have come to; NaN if unknown."""
    if metric.name in run.forecasts:
        return run.forecasts[metric.name]
    return Forecast(mean=run.values.get(metric.name, math.nan), std=0.0)


def _errors(runs: Sequence[Run], metric: Metric) -> NDArray[np.float64] | None:
    errors = np.array(
        [
            math.nan if _final(run, metric).std else run.errors.get(metric.name, math.nan)
            for run in runs
        ]
    )
    given = np.isfinite(errors)
    if not given.any():
        return None
    return np.where(given, errors, np.median(errors[given]))


def is_barren(run: Run, unknown: Sequence[Metric]) -> bool:
    """Whether a run ended, by its parameters' fault, without a value of one of the metrics."""
    if run.state is RunState.INFEASIBLE:
        return True
    return run.state is RunState.FINISHED and not all(
        math.isfinite(run.values.get(metric.name, math.nan)) for metric in unknown
    )


def success_lessons(
    runs: Sequence[Run], unknown: Sequence[Metric], space: SearchSpace
) -> Lessons | None:
    """Return what runs teach about where students can be made: 1 where one was, 0 where not.

    A failed run teaches nothing, as its failure is not the parameters' fault.

    Returns:
        None if all could be made.
    """
    ended = [run for run in runs if run.state in (*_WITH_VALUES, RunState.INFEASIBLE)]
    y = np.array([0.0 if is_barren(run, unknown) else 1.0 for run in ended])
    if np.all(y):
        return None
    return Lessons(X=encode_all(space, ended), y=y)


def cost_lessons(runs: Sequence[Run], space: SearchSpace) -> Lessons | None:
    """Return the logarithms of the seconds that finished runs took, or None if under two have any.

    Costs differ by factors, and what is gained is divided by them.
    """
    timed = [run for run in runs if run.state is RunState.FINISHED and run.seconds > 0]
    if len(timed) < 2:
        return None
    return Lessons(X=encode_all(space, timed), y=np.log(np.array([run.seconds for run in timed])))


def encode_all(space: SearchSpace, runs: Sequence[Run]) -> NDArray[np.float64]:
    """Return the ``n x d`` array of the runs' points in the unit cube."""
    return np.stack([space.encode(run.parameters) for run in runs])
