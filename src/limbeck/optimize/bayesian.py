"""Learns from the runs so far which parameters improve the frontier most."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from limbeck.errors import ConfigError
from limbeck.metrics import Metric, Role
from limbeck.optimize.beliefs import Learner
from limbeck.optimize.candidates import Candidate, CandidateSearch
from limbeck.optimize.quasirandom import QuasirandomSampler, allowed_points
from limbeck.optimize.sampler import KnownMetrics, Sampler, allowed_known_values, identity, is_due
from limbeck.optimize.surrogate import one_thread
from limbeck.optimize.transfer import Experience, experience
from limbeck.optimize.worth import find_worth, log_success, stacked_units
from limbeck.runs import Run, RunState
from limbeck.space import Parameters, SearchSpace, Value

_REFERENCE_SAMPLE = 256
_INITIAL_RUNS = 5
_RUNS_AFTER_EARLIER = 3


@dataclass(frozen=True)
class BayesianSampler(Sampler):
    """Quasirandom runs first, then those that are expected to improve the frontier most.

    Every unknown metric that steers or bounds the search has a surrogate; known metrics are exact.
    What is maximized over the allowed parameters:

    - While no run is within every threshold, the probability to be so.
    - After that, the expected hypervolume improvement, times the probability that the unknown
      constraint metrics are within their thresholds.

    Either is multiplied by the probability that such a student can be made at all, once a run was
    infeasible; and divided by the seconds that it is expected to take, if costs count. What counts
    is the median over the surrogates' hyperparameters: their mean would follow the set that knows
    least, and with it look for luck in the corners of the space.

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
    than two finished runs with a value of each unknown metric, or none with different ones. If runs
    were infeasible by then, it is rather the point of such a sequence where a student can most
    probably be made.

    Attributes:
        space: Where to search.
        metrics: What to search for; at least one is optimized, and at least one is unknown.
        known: Computes the known metrics.
        baseline: Parameters of the first run, if it is not the sampler's to choose.
        seed: Of all chance in the sampler.
        initial_runs: How many runs, pending ones included and failed ones not, come from the
            quasirandom sequence, or the earlier study's frontier. If None, 5, or 3 after an earlier
            study: with several sets of hyperparameters so few already say where not to look.
        log_known: Whether known metrics are judged by their logarithm, so that halving the size is
            worth as much for a small student as for a large one; by their own value otherwise.
        given_noise: Whether the runs' standard errors, where there are any, are the noise; it is
            learned otherwise. What is told of noise is right only if it differs from run to run:
            not the error that all runs share which answer the same questions.
        per_cost: Whether runs that take less time are preferred: improvement per second.
        earlier: Runs of an earlier study of these parameters and metrics, with other data or
            another teacher. Its frontier is tried first, and its metrics are what the surrogates
            expect, as far as the new runs agree.
    """

    space: SearchSpace
    metrics: Sequence[Metric]
    _: KW_ONLY
    known: KnownMetrics
    baseline: Parameters | None
    seed: int
    initial_runs: int | None = None
    log_known: bool = True
    given_noise: bool = False
    per_cost: bool = False
    earlier: Sequence[Run] = ()

    def __post_init__(self) -> None:
        """Check what can be searched for.

        Raises:
            ConfigError: If no metric is optimized or none is unknown, ``initial_runs`` is not
                positive, or the baseline breaks a constraint of the space.
            ParameterError: If the baseline is not of the space.
        """
        if not any(metric.role is Role.OPTIMIZE for metric in self._judged):
            raise ConfigError(
                "a search needs a metric to optimize, but got "
                f'{[metric.name for metric in self._judged]}; give one the role "optimize"'
            )
        if all(metric.known for metric in self._judged):
            raise ConfigError(
                "a Bayesian search needs a metric that is not known, but all of "
                f"{[metric.name for metric in self._judged]} are; use the quasirandom sampler"
            )
        if self.initial_runs is not None and self.initial_runs < 1:
            raise ConfigError(f"initial_runs must be at least 1, but got {self.initial_runs}")
        _ = self._quasirandom

    @override
    def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
        ordered = sorted(runs, key=lambda run: run.number)
        counted = sum(run.state is not RunState.FAILED for run in ordered)
        with one_thread():
            if counted < self._awaited or is_due(self.baseline, ordered, self.space):
                return self._without_beliefs(ordered)
            best = self._best_candidate(ordered)
            return self._without_beliefs(ordered) if best is None else best.parameters

    def _without_beliefs(self, ordered: Sequence[Run]) -> dict[str, Value]:
        """Return the next of the earlier study's frontier, or of the quasirandom sequence."""
        taken = {identity(self.space, run.parameters) for run in ordered}
        due = is_due(self.baseline, ordered, self.space)
        for parameters in () if due else self._experience.best:
            if identity(self.space, parameters) not in taken and self._is_allowed(parameters):
                return self.space.validate(parameters)
        return self._quasirandom.suggest(ordered)

    def _is_allowed(self, parameters: Parameters) -> bool:
        values = allowed_known_values(
            parameters, space=self.space, metrics=self._judged, known=self.known
        )
        return values is not None

    @property
    def _awaited(self) -> int:
        """How many runs come before the first that is learned from."""
        if self.initial_runs is not None:
            return self.initial_runs
        return _RUNS_AFTER_EARLIER if self._experience.best else _INITIAL_RUNS

    def _best_candidate(self, ordered: Sequence[Run]) -> Candidate | None:
        search = CandidateSearch(
            space=self.space,
            metrics=self._judged,
            known=self.known,
            taken=frozenset(identity(self.space, run.parameters) for run in ordered),
            rng=np.random.default_rng([self.seed, len(ordered)]),
        )
        beliefs = self._learner.learn(ordered)
        if beliefs is not None:
            worth = find_worth(
                ordered,
                beliefs,
                space=self.space,
                metrics=self._judged,
                known_sample=self._known_sample,
            )
            return search.best(worth, worth.near)
        success = self._learner.success(ordered)
        if success is None:
            return None

        def chance(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
            return log_success(success, stacked_units(candidates))

        return search.best_of_spread(chance)

    @cached_property
    def _judged(self) -> tuple[Metric, ...]:
        return tuple(metric for metric in self.metrics if metric.role is not Role.STORE)

    @cached_property
    def _quasirandom(self) -> QuasirandomSampler:
        return QuasirandomSampler(
            self.space, self._judged, known=self.known, baseline=self.baseline, seed=self.seed
        )

    @cached_property
    def _experience(self) -> Experience:
        return experience(self.earlier, space=self.space, metrics=self._judged, seed=self.seed)

    @cached_property
    def _learner(self) -> Learner:
        return Learner(
            space=self.space,
            metrics=self._judged,
            seed=self.seed,
            log_known=self.log_known,
            given_noise=self.given_noise,
            per_cost=self.per_cost,
            earlier=self._experience.surrogates,
        )

    @cached_property
    def _known_sample(self) -> Sequence[Mapping[str, float]]:
        """Known metrics at points spread over the space: a constant of the sampler."""
        # A narrow prior would hide the range, and with it all that is beyond the reference point.
        space = self.space.without_priors()
        points = allowed_points(space, self._judged, known=self.known, seed=self.seed)
        sample = [
            allowed_known_values(point, space=space, metrics=self._judged, known=self.known)
            for point in itertools.islice(points, _REFERENCE_SAMPLE)
        ]
        return [values for values in sample if values is not None]
