"""Learns from the runs so far which parameters improve the frontier most."""

import itertools
import math
from collections.abc import Sequence
from functools import cached_property

import moocore
import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from limbeck.errors import ConfigError
from limbeck.metrics import Metric, Role, is_usable, optimized
from limbeck.optimize.acquisition import (
    improvement_boxes,
    log_expected_hypervolume_improvement,
    log_probability_within,
)
from limbeck.optimize.beliefs import Beliefs, Prediction, encode_all, learn
from limbeck.optimize.candidates import Acquisition, Candidate, CandidateSearch
from limbeck.optimize.quasirandom import QuasirandomSampler, allowed_points
from limbeck.optimize.sampler import KnownMetrics, Sampler, allowed_known_values, identity
from limbeck.optimize.surrogate import one_thread
from limbeck.runs import Run, RunState
from limbeck.space import Parameters, SearchSpace, Value

_REFERENCE_SAMPLE = 256
_PRIOR_WEIGHT = 2.5
"""``beta`` of Hvarfner et al., who take a tenth of the budget: so it is right for some 25 runs.

It does not follow the budget, which may be raised later. A larger one gains little where the prior
is right, since the first runs follow it anyway, and takes much longer to overcome a wrong one.
"""


class BayesianSampler(Sampler):
    """Quasirandom runs first, then those that are expected to improve the frontier most.

    Every unknown metric that steers or bounds the search has a surrogate; known metrics are exact.
    What is maximized over the allowed parameters:

    - While no run is within every threshold, the probability to be so.
    - After that, the expected hypervolume improvement, times the probability that the unknown
      constraint metrics are within their thresholds.

    The frontier to be improved is that of the surrogates' means at the finished runs: with noise, a
    lucky value would otherwise stand for good and forbid to look near it again. Pending runs take
    part with the means expected of them.

    Priors of the space weight what is maximized, the less the more runs there are to learn from:
    it is multiplied by ``prior ** (beta / n)`` after ``n`` runs that taught something (Hvarfner,
    Stoll, Souza, Lindauer, Hutter, Nardi: "piBO: augmenting acquisition functions with user
    beliefs for Bayesian optimization", ICLR 2022, eq. 6).

    The reference point is every metric's threshold. For a metric without one it is a tenth of the
    range worse than the worst value: of all finished runs, or, if the metric is known, of a fixed
    sample of the space and the runs. It is not the baseline's value, since then a student that is
    larger than the baseline could never be suggested, however accurate.

    Parameters come from the quasirandom sequence while there is too little to learn from: fewer
    than two finished runs with a value, for any of the unknown metrics.

    Args:
        space: Where to search.
        metrics: What to search for; at least one is optimized, and at least one is unknown.
        known: Computes the known metrics.
        baseline: Parameters of the first run, if it is not the sampler's to choose.
        seed: Of all chance in the sampler.
        initial_runs: How many runs, pending ones included and failed ones not, come from the
            quasirandom sequence. If None, one more than there are parameters, which is what it
            takes to see the slope along each of them, but at least five.
        log_known: Whether known metrics are judged by their logarithm, so that halving the size is
            worth as much for a small student as for a large one; by their own value otherwise.

    Raises:
        ConfigError: If no metric is optimized or none is unknown, ``initial_runs`` is not
            positive, or the baseline breaks a constraint of the space.
        ParameterError: If the baseline is not of the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        metrics: Sequence[Metric],
        *,
        known: KnownMetrics,
        baseline: Parameters | None,
        seed: int,
        initial_runs: int | None = None,
        log_known: bool = True,
    ) -> None:
        judged = tuple(metric for metric in metrics if metric.role is not Role.STORE)
        _check(judged, initial_runs)
        self._space = space
        self._metrics = judged
        self._known = known
        self._seed = seed
        self._initial_runs = initial_runs or max(5, len(space.parameters) + 1)
        self._log_known = log_known
        self._quasirandom = QuasirandomSampler(
            space, judged, known=known, baseline=baseline, seed=seed
        )

    @override
    def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
        ordered = sorted(runs, key=lambda run: run.number)
        if sum(run.state is not RunState.FAILED for run in ordered) < self._initial_runs:
            return self._quasirandom.suggest(ordered)
        with one_thread():
            best = self._best_candidate(ordered)
        # Without a candidate the quasirandom sequence looks more patiently before it gives up.
        return self._quasirandom.suggest(ordered) if best is None else best.parameters

    def _best_candidate(self, ordered: Sequence[Run]) -> Candidate | None:
        beliefs = learn(
            ordered,
            space=self._space,
            metrics=self._metrics,
            seed=self._seed,
            log_known=self._log_known,
        )
        if beliefs is None:
            return None
        search = CandidateSearch(
            space=self._space,
            metrics=self._metrics,
            known=self._known,
            taken=frozenset(identity(self._space, run.parameters) for run in ordered),
            rng=np.random.default_rng([self._seed, len(ordered)]),
        )
        acquisition, near = self._acquisition(ordered, beliefs)
        weight = _PRIOR_WEIGHT / max(len(values) for values in beliefs.seen.values())

        def with_priors(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
            return acquisition(candidates) + weight * self._space.log_prior(_units(candidates))

        return search.best(with_priors, near)

    def _acquisition(
        self, runs: Sequence[Run], beliefs: Beliefs
    ) -> tuple[Acquisition, list[Parameters]]:
        """Return what to maximize, and the parameters of good runs to look near to."""
        unknown = [metric for metric in self._metrics if not metric.known]
        finished = [run for run in runs if run.state is RunState.FINISHED]
        bounded = [metric for metric in unknown if metric.threshold is not None]
        if bounded and not any(is_usable(self._metrics, run.values) for run in finished):
            return (
                lambda candidates: _log_within(_predict(beliefs, candidates), bounded),
                [run.parameters for run in finished],
            )
        steering = optimized(self._metrics)
        constraining = [metric for metric in unknown if metric.role is Role.CONSTRAIN]
        frontier, outcomes = self._expected_frontier(runs, beliefs)
        known = [*self._known_sample, *(run.values for run in runs)]
        reference = np.array([beliefs.reference(metric, known) for metric in steering])
        boxes = improvement_boxes(outcomes, reference)

        def log_worth(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
            prediction = _predict(beliefs, candidates)
            mean, std = _stacked(prediction, steering)
            improvement = log_expected_hypervolume_improvement(mean, std, boxes)
            return improvement + _log_within(prediction, constraining)

        return log_worth, [run.parameters for run in frontier]

    def _expected_frontier(
        self, runs: Sequence[Run], beliefs: Beliefs
    ) -> tuple[list[Run], NDArray[np.float64]]:
        """Return the runs that are expected to be on the frontier, with their ``f x o`` outcomes.

        Pending runs take part, and constraint metrics count with their means.
        """
        hopeful = [
            run
            for run in runs
            if (run.state is RunState.FINISHED or not run.state.ended) and self._is_complete(run)
        ]
        if not hopeful:
            return [], np.empty((0, len(optimized(self._metrics))))
        prediction = beliefs.predict(
            encode_all(self._space, hopeful), [run.values for run in hopeful]
        )
        outcomes, _ = _stacked(prediction, optimized(self._metrics))
        within = np.ones(len(hopeful), dtype=bool)
        for metric in self._metrics:
            if metric.role is Role.CONSTRAIN and metric.threshold is not None:
                within &= prediction[metric.name][0] >= beliefs.scaled(metric, metric.threshold)
        kept = np.flatnonzero(within)
        kept = kept[moocore.is_nondominated(outcomes[kept], maximise=True)]
        return [hopeful[i] for i in kept], outcomes[kept]

    def _is_complete(self, run: Run) -> bool:
        """Whether all metrics of a finished run, or the known ones of a pending one, are finite."""
        return all(
            math.isfinite(run.values.get(metric.name, math.nan))
            for metric in self._metrics
            if metric.known or run.state.ended
        )

    @cached_property
    def _known_sample(self) -> list[dict[str, float]]:
        """Known metrics at points spread over the space: a constant of the sampler."""
        # A narrow prior would hide the range, and with it all that is beyond the reference point.
        space = self._space.without_priors()
        points = allowed_points(space, self._metrics, known=self._known, seed=self._seed)
        sample = [
            allowed_known_values(point, space=space, metrics=self._metrics, known=self._known)
            for point in itertools.islice(points, _REFERENCE_SAMPLE)
        ]
        return [values for values in sample if values is not None]


def _check(judged: Sequence[Metric], initial_runs: int | None) -> None:
    if not any(metric.role is Role.OPTIMIZE for metric in judged):
        raise ConfigError(
            "a search needs a metric to optimize, but got "
            f'{[metric.name for metric in judged]}; give one the role "optimize"'
        )
    if all(metric.known for metric in judged):
        raise ConfigError(
            "a Bayesian search needs a metric that is not known, but all of "
            f"{[metric.name for metric in judged]} are; use the quasirandom sampler"
        )
    if initial_runs is not None and initial_runs < 1:
        raise ConfigError(f"initial_runs must be at least 1, but got {initial_runs}")


def _units(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    return np.stack([candidate.unit for candidate in candidates])


def _predict(beliefs: Beliefs, candidates: Sequence[Candidate]) -> Prediction:
    return beliefs.predict(_units(candidates), [candidate.known for candidate in candidates])


def _stacked(
    prediction: Prediction, metrics: Sequence[Metric]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means and standard deviations, two ``m x o`` arrays."""
    means, stds = zip(*(prediction[metric.name] for metric in metrics), strict=True)
    return np.stack(means, axis=1), np.stack(stds, axis=1)


def _log_within(prediction: Prediction, metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """Return the log probability that all the unknown metrics are within their thresholds."""
    logs = [
        log_probability_within(*prediction[metric.name], metric.larger_is_better(metric.threshold))
        for metric in metrics
        if metric.threshold is not None
    ]
    return np.asarray(np.sum(logs, axis=0))
