"""SigOpt's schedule for two metrics, so that searches of its time can be replayed.

It is a new implementation of what libsigopt does (https://github.com/sigopt/libsigopt, Apache-2.0):
`libsigopt/compute/misc/multimetric.py` for the phases, `views/view.py` and
`compute/probabilistic_failures.py` for what they maximize; and, for the number of runs before the
first model, of sigopt-server's `zigopt/math/initialization.py`.

The same: limits and order of the phases, turns by the number of observations, weights and places of
epsilon by how much of a phase is done, a sum of independent Gaussian processes, a logistic function
of the mean for epsilon and thresholds and the normal distribution for constraint metrics, an
incumbent among the runs that are likely to succeed, failures that count as the worst value of all,
and known metrics that are modelled like any other.

What differs:

- The first runs are those of our quasirandom sequence, not of a Latin hypercube.
- The Gaussian processes and the search for candidates are ours, and expected improvement is never
  "augmented" for noise. Pending runs are believed to become what is expected of them, and may be
  the incumbent; SigOpt tells the models the worst value, or integrates over them by Monte Carlo.
- The model of the metric to be improved learns from all runs. SigOpt leaves those beyond epsilon
  out of it, but for at least five.
- Epsilon heeds a single threshold. SigOpt means to, but compares with NaN where the other metric
  has none, and then takes the whole frontier.
- A failed run is no observation, but is gone from the budget; only an infeasible one, or one
  without a value, is a failure in SigOpt's sense.
- Candidates beyond the threshold of a known metric are never suggested, as `Sampler` promises.
- Chance is seeded. There is no Parzen estimator beyond 600 runs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import moocore
import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from limbeck.errors import ConfigError
from limbeck.metrics import Metric, Role, optimized
from limbeck.optimize.acquisition import (
    improvement_boxes,
    log_expected_hypervolume_improvement,
    log_probability_within,
)
from limbeck.optimize.candidates import Candidate, CandidateSearch
from limbeck.optimize.lessons import encode_all
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import KnownMetrics, Sampler, identity, is_due
from limbeck.optimize.sigopt_schedule import Aim, epsilon_value, find_aim, find_phase
from limbeck.optimize.surrogate import Surrogate, one_thread
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Parameters, SearchSpace, Value

_Posterior: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Means and standard deviations at ``m`` points, two ``m`` arrays."""

_LIKELY = 0.5  # A run that succeeds with more than this probability may be the incumbent.
_STEEPNESS = np.log(9) / 0.1  # From epsilon to 90 % success: a tenth of the metric's range.


class SigOptSampler(Sampler):
    """Improves two metrics by turns, then weighted sums, then one with the other held.

    Which comes when depends on how much of the budget is spent: see `find_phase`, and the module's
    docstring for what is SigOpt's and what is not. Constraint metrics multiply whatever is
    maximized by the probability of being within their thresholds.

    Args:
        space: Where to search. Its priors shape the first runs only.
        metrics: What to search for; two are optimized.
        known: Computes the known metrics.
        baseline: Parameters of the first run, if it is not the sampler's to choose.
        seed: Of all chance in the sampler.
        budget: Number of runs in all, which the schedule is made for.
        initial_runs: How many observations are awaited before the models are asked. If None, as
            many as SigOpt's: the number of all choices together (at least 1) times the number of
            other parameters, but at least 4 and at most 100.

    Raises:
        ConfigError: If not exactly two metrics are optimized, ``initial_runs`` is not positive, or
            the baseline breaks a constraint of the space.
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
        budget: int,
        initial_runs: int | None = None,
    ) -> None:
        self._space = space
        self._metrics = tuple(metric for metric in metrics if metric.role is not Role.STORE)
        self._steering = optimized(self._metrics)
        if len(self._steering) != 2:
            raise ConfigError(
                "SigOpt's schedule needs two optimized metrics, but got "
                f'{[metric.name for metric in self._steering]}; use sampler = "bayesian"'
            )
        self._known = known
        self._seed = seed
        self._budget = budget
        if initial_runs is not None and initial_runs < 1:
            raise ConfigError(f"initial_runs must be at least 1, but got {initial_runs}")
        self._initial_runs = initial_runs or _initial_count(space)
        self._baseline = baseline
        self._quasirandom = QuasirandomSampler(
            space, metrics, known=known, baseline=baseline, seed=seed
        )

    @override
    def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
        ordered = sorted(runs, key=lambda run: run.number)
        observed = [run for run in ordered if run.state.ended and run.state is not RunState.FAILED]
        measured = [run for run in observed if self._is_measured(run)]
        too_few = len(observed) < self._initial_runs or len(measured) < 2
        if too_few or is_due(self._baseline, ordered, self._space):
            return self._quasirandom.suggest(ordered)
        with one_thread():
            best = self._best_candidate(ordered, observed, measured)
        # Without a candidate the quasirandom sequence looks more patiently before it gives up.
        return self._quasirandom.suggest(ordered) if best is None else best.parameters

    def _best_candidate(
        self, ordered: Sequence[Run], observed: Sequence[Run], measured: Sequence[Run]
    ) -> Candidate | None:
        rng = np.random.default_rng([self._seed, len(ordered)])
        pending = [run for run in ordered if not run.state.ended]
        phase, done = find_phase(
            observed=len(observed),
            pending=len(pending),
            failures=len(observed) - len(measured),
            budget=self._budget - sum(run.state is RunState.FAILED for run in ordered),
            has_threshold=any(metric.threshold is not None for metric in self._steering),
        )
        aim = find_aim(phase, done, observed=len(observed), rng=rng)
        models = {
            metric.name: _Model.fit(
                metric,
                self._space,
                observed,
                measured=measured,
                pending=pending,
                seed=self._seed,
            )
            for metric in self._metrics
        }
        steering = [models[metric.name] for metric in self._steering]
        constraining = [models[m.name] for m in self._metrics if m.role is Role.CONSTRAIN]
        values = np.array(
            [
                [model.scaled(run.values[model.metric.name]) for model in steering]
                for run in measured
            ]
        )
        units = encode_all(self._space, [*measured, *pending])
        believed = np.stack([model.surrogate.posterior(units)[0] for model in steering], axis=1)
        worth = _log_worth(
            aim,
            [*steering, *constraining],
            limits=_limits(aim, steering, values),
            units=units,
            values=np.concatenate([values, believed[len(values) :]]),
        )
        search = CandidateSearch(
            space=self._space,
            metrics=self._metrics,
            known=self._known,
            taken=frozenset(identity(self._space, run.parameters) for run in ordered),
            rng=rng,
        )
        frontier = moocore.is_nondominated(values, maximise=True)
        return search.best(
            lambda candidates: worth(np.stack([candidate.unit for candidate in candidates])),
            [run.parameters for run, keep in zip(measured, frontier, strict=True) if keep],
        )

    def _is_measured(self, run: Run) -> bool:
        """Whether an observation is no failure: all metrics have a finite value."""
        return run.state is not RunState.INFEASIBLE and all(
            math.isfinite(run.values.get(metric.name, math.nan)) for metric in self._metrics
        )


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A surrogate of a metric on the scale from its worst value so far, 0, to its best, 1.

    Attributes:
        metric: The metric.
        worst: Its worst value, larger is better.
        spread: Difference of the best from the worst; 1 if they are equal.
        surrogate: Posterior on the scale.
    """

    metric: Metric
    worst: float
    spread: float
    surrogate: Surrogate

    @classmethod
    def fit(
        cls,
        metric: Metric,
        space: SearchSpace,
        observed: Sequence[Run],
        *,
        measured: Sequence[Run],
        pending: Sequence[Run],
        seed: int,
    ) -> "_Model":
        """Learn from observations; those that are not measured have the worst value of all."""
        values = {run.number: metric.larger_is_better(run.values[metric.name]) for run in measured}
        worst = min(values.values())
        spread = max(values.values()) - worst or 1.0
        taught = np.array([(values.get(run.number, worst) - worst) / spread for run in observed])
        units = encode_all(space, observed)
        surrogate = Surrogate.fit(units, taught, seed=seed, sampled=False)
        if pending:
            surrogate = surrogate.believing(encode_all(space, pending))
        return cls(metric=metric, worst=worst, spread=spread, surrogate=surrogate)

    @property
    def threshold(self) -> float | None:
        """The metric's threshold on the scale."""
        return None if self.metric.threshold is None else self.scaled(self.metric.threshold)

    def scaled(self, value: float) -> float:
        """Return a value on the scale; larger is better."""
        return (self.metric.larger_is_better(value) - self.worst) / self.spread


def _log_worth(
    aim: Aim,
    models: Sequence[_Model],
    *,
    limits: Sequence[float | None],
    units: NDArray[np.float64],
    values: NDArray[np.float64],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return what to maximize over points of the unit cube: expected improvement times success.

    Args:
        aim: What is to be improved.
        models: Of the two optimized metrics, then of the constraint metrics.
        limits: What the optimized metrics are to be better than; see `_limits`.
        units: An ``n x d`` array of the points of measured and pending runs.
        values: An ``n x 2`` array of their measured or believed values of the optimized metrics.
    """
    weights = np.array(aim.weights)

    def predict(at: NDArray[np.float64]) -> list[_Posterior]:
        return [model.surrogate.posterior(at) for model in models]

    def log_success(predicted: Sequence[_Posterior]) -> NDArray[np.float64]:
        logs = np.zeros(len(predicted[0][0]))
        for (mean, _), limit in zip(predicted[:2], limits, strict=True):
            if limit is not None:
                logs -= np.logaddexp(0.0, -_STEEPNESS * (mean - limit))
        for (mean, std), model in zip(predicted[2:], models[2:], strict=True):
            if model.threshold is not None:
                logs += log_probability_within(mean, std, model.threshold)
        return logs

    likely = log_success(predict(units)) > math.log(_LIKELY)
    sums = values @ weights
    incumbent = np.max(sums[likely] if likely.any() else sums)
    boxes = improvement_boxes(np.array([[incumbent]]), np.array([incumbent]))

    def log_worth(at: NDArray[np.float64]) -> NDArray[np.float64]:
        predicted = predict(at)
        means, stds = zip(*predicted[:2], strict=True)
        mean = np.stack(means, axis=1) @ weights
        std = np.sqrt(np.stack(stds, axis=1) ** 2 @ weights**2)
        improvement = log_expected_hypervolume_improvement(mean[:, None], std[:, None], boxes)
        return improvement + log_success(predicted)

    return log_worth


def _limits(
    aim: Aim, steering: Sequence[_Model], values: NDArray[np.float64]
) -> list[float | None]:
    """Return what each optimized metric is to be better than, if anything, on its model's scale.

    The metric that is held has epsilon's value. The other has its threshold, but, as in SigOpt,
    only if both have one.
    """
    if aim.epsilon is None:
        return [None, None]
    thresholds = [model.threshold for model in steering]
    constrained = aim.weights.index(0.0)
    value = epsilon_value(values, thresholds, constrained=constrained, epsilon=aim.epsilon)
    limits = thresholds if None not in thresholds else [None, None]
    return [value if i == constrained else limit for i, limit in enumerate(limits)]


def _initial_count(space: SearchSpace) -> int:
    choices = [p for p in space.parameters if isinstance(p, Choice)]
    numbers = len(space.parameters) - len(choices)
    return min(max(max(sum(choice.count for choice in choices), 1) * numbers, 4), 100)
