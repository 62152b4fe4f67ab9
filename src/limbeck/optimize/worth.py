"""What a next run is worth, by what is believed so far: the acquisition that a search maximizes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from limbeck.metrics import Metric, Role, is_usable, optimized
from limbeck.optimize.acquisition import (
    Boxes,
    improvement_boxes,
    log_average,
    log_expected_hypervolume_improvement,
    log_probability_within,
)
from limbeck.optimize.beliefs import Beliefs, Prediction
from limbeck.optimize.candidates import Candidate
from limbeck.optimize.lessons import encode_all
from limbeck.optimize.surrogate import Surrogate
from limbeck.runs import Run, RunState
from limbeck.space import Parameters, SearchSpace

_PRIOR_WEIGHT = 2.5
"""``beta`` of Hvarfner et al., who take a tenth of the budget: so it is right for some 25 runs.

It does not follow the budget, which may be raised later. A larger one gains little where the prior
is right, since the first runs follow it anyway, and takes much longer to overcome a wrong one.
"""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """The logarithm of what candidates are worth; see `BayesianSampler` for what that is.

    Attributes:
        space: The search space.
        metrics: All metrics that steer or bound the search.
        beliefs: What is believed.
        boxes: What is left to be improved; None while no run is within every threshold.
        near: Parameters of good runs, near which to look.
    """

    space: SearchSpace
    metrics: tuple[Metric, ...]
    beliefs: Beliefs
    boxes: Boxes | None
    near: Sequence[Parameters]

    def __call__(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return an ``m`` array for ``m`` candidates."""
        units = stacked_units(candidates)
        prediction = self.beliefs.predict(units, [candidate.known for candidate in candidates])
        unknown = [metric for metric in self.metrics if not metric.known]
        if self.boxes is None:
            worth = _log_within(prediction, unknown)
        else:
            mean, std = _stacked(prediction, optimized(self.metrics))
            bounding = [metric for metric in unknown if metric.role is Role.CONSTRAIN]
            worth = log_expected_hypervolume_improvement(mean, std, self.boxes)
            worth = worth + _log_within(prediction, bounding)
        total = np.median(worth, axis=0)
        if self.beliefs.success is not None:
            total = total + log_success(self.beliefs.success, units)
        if self.beliefs.log_cost is not None:
            total = total - self.beliefs.log_cost.posterior(units)[0]
        taught = max(len(values) for values in self.beliefs.seen.values())
        return total + _PRIOR_WEIGHT / taught * self.space.log_prior(units)


def find_worth(
    runs: Sequence[Run],
    beliefs: Beliefs,
    *,
    space: SearchSpace,
    metrics: tuple[Metric, ...],
    known_sample: Sequence[Mapping[str, float]],
) -> Worth:
    """Return what a next run is worth after these.

    Args:
        runs: All runs.
        beliefs: What they teach.
        space: The search space.
        metrics: All metrics that steer or bound the search.
        known_sample: Values of the known metrics at points spread over the space.
    """
    finished = [run for run in runs if run.state is RunState.FINISHED]
    bounded = any(metric.threshold is not None for metric in metrics if not metric.known)
    if bounded and not any(is_usable(metrics, run.values) for run in finished):
        near = [run.parameters for run in finished]
        return Worth(space=space, metrics=metrics, beliefs=beliefs, boxes=None, near=near)
    hopeful = [run for run in runs if _is_hopeful(run, metrics)]
    frontier, outcomes = _expected_frontier(hopeful, beliefs, space=space, metrics=metrics)
    exact = [metric for metric in metrics if metric.known]
    known = [*known_sample, *(run.values for run in runs if _has_values(run, exact))]
    reference = np.array([beliefs.reference(metric, known) for metric in optimized(metrics)])
    return Worth(
        space=space,
        metrics=metrics,
        beliefs=beliefs,
        boxes=improvement_boxes(outcomes, reference),
        near=[run.parameters for run in frontier],
    )


def log_success(success: Surrogate, units: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log probability that students can be made: an ``m`` array.

    Args:
        success: Of 1 where a student can be made and 0 where not.
        units: An ``m x d`` array of points in the unit cube.
    """
    return log_average(log_probability_within(*success.posteriors(units), 0.5))


def stacked_units(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Return the ``m x d`` array of the candidates' points in the unit cube."""
    return np.stack([candidate.unit for candidate in candidates])


def _is_hopeful(run: Run, metrics: Sequence[Metric]) -> bool:
    """Whether a run is finished with all values, or pending with its known ones."""
    if run.state.ended:
        return run.state is RunState.FINISHED and _has_values(run, metrics)
    return _has_values(run, [metric for metric in metrics if metric.known])


def _has_values(run: Run, metrics: Sequence[Metric]) -> bool:
    return all(math.isfinite(run.values.get(metric.name, math.nan)) for metric in metrics)


def _expected_frontier(
    hopeful: Sequence[Run],
    beliefs: Beliefs,
    *,
    space: SearchSpace,
    metrics: tuple[Metric, ...],
) -> tuple[list[Run], NDArray[np.float64]]:
    """Return the runs that are expected to be on the frontier, with their ``f x o`` outcomes.

    Constraint metrics count with their means.
    """
    if not hopeful:
        return [], np.empty((0, len(optimized(metrics))))
    prediction = beliefs.predict(encode_all(space, hopeful), [run.values for run in hopeful])
    outcomes = _stacked(prediction, optimized(metrics))[0].mean(axis=0)
    within = np.ones(len(hopeful), dtype=bool)
    for metric in metrics:
        if metric.role is Role.CONSTRAIN and metric.threshold is not None:
            expected = prediction[metric.name][0].mean(axis=0)
            within &= expected >= beliefs.scaled(metric, metric.threshold)
    kept = np.flatnonzero(within)
    kept = kept[moocore.is_nondominated(outcomes[kept], maximise=True)]
    return [hopeful[i] for i in kept], outcomes[kept]


def _stacked(
    prediction: Prediction, metrics: Sequence[Metric]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means and standard deviations, two ``s x m x o`` arrays."""
    means, stds = zip(*(prediction[metric.name] for metric in metrics), strict=True)
    return (
        np.stack(np.broadcast_arrays(*means), axis=-1),
        np.stack(np.broadcast_arrays(*stds), axis=-1),
    )


def _log_within(prediction: Prediction, metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """Return the log probability that all unknown metrics are within their thresholds.

    It is an ``s x m`` array, or one that broadcasts to it.
    """
    logs = np.zeros((1, 1))
    for metric in metrics:
        if metric.threshold is not None:
            least = metric.larger_is_better(metric.threshold)
            logs = logs + log_probability_within(*prediction[metric.name], least)
    return logs
