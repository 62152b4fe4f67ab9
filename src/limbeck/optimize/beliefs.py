"""What is believed of a study at any parameters, once there are runs to learn from.

Larger is better throughout: values to be minimized are negated on their way in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError
from limbeck.metrics import Metric
from limbeck.optimize.lessons import (
    Lessons,
    cost_lessons,
    encode_all,
    metric_lessons,
    success_lessons,
)
from limbeck.optimize.surrogate import Surrogate
from limbeck.runs import Run
from limbeck.space import SearchSpace

_REFERENCE_MARGIN = 0.1
_SUCCESS_SALT = 1001
_COST_SALT = 1002

Prediction: TypeAlias = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Means and standard deviations by metric, two ``s x m`` arrays each, for ``s`` hyperparameters."""


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """The surrogates of what is unknown, beside the values of the known metrics.

    Attributes:
        metrics: All metrics that steer or bound the search.
        surrogates: One for each unknown metric, by name.
        seen: For each unknown metric, by name, the values that its surrogate was taught.
        success: Of 1 where a student can be made and 0 where not; None if all could be made.
        log_cost: Of the logarithm of a run's seconds; None if costs do not count.
        log_known: Whether known metrics are judged by their logarithm.
    """

    metrics: Sequence[Metric]
    surrogates: Mapping[str, Surrogate]
    seen: Mapping[str, NDArray[np.float64]]
    success: Surrogate | None
    log_cost: Surrogate | None
    log_known: bool

    def predict(
        self, units: NDArray[np.float64], known: Sequence[Mapping[str, float]]
    ) -> Prediction:
        """Return what is expected of ``m`` students; known metrics have deviation 0.

        Args:
            units: An ``m x d`` array of points in the unit cube.
            known: Their ``m`` values of the known metrics.
        """
        prediction = {name: s.posteriors(units) for name, s in self.surrogates.items()}
        for metric in self.metrics:
            if metric.known:
                exact = np.array([[self.scaled(metric, values[metric.name]) for values in known]])
                prediction[metric.name] = exact, np.zeros_like(exact)
        return prediction

    def scaled(self, metric: Metric, value: float) -> float:
        """Return a value or threshold on the scale it is judged on.

        Raises:
            ConfigError: If a logarithm is asked for and there is none.
        """
        if not (metric.known and self.log_known):
            return metric.larger_is_better(value)
        if value <= 0:
            raise ConfigError(
                "known metrics that are judged by their logarithm must be positive, but got "
                f"{metric.name} = {value}; give the sampler log_known=False"
            )
        return metric.larger_is_better(math.log(value))

    def reference(self, metric: Metric, known: Sequence[Mapping[str, float]]) -> float:
        """Return the value that is just not of use: the threshold, if there is one.

        Else it is a tenth of the range worse than the worst value, squeezed as the surrogate was
        taught it; see `BayesianSampler`.

        Args:
            metric: An optimized metric.
            known: Values of the known metrics that show their range.
        """
        if metric.threshold is not None:
            return self.scaled(metric, metric.threshold)
        values = (
            [self.scaled(metric, each[metric.name]) for each in known]
            if metric.known
            else self.seen[metric.name]
        )
        worst = float(min(values))
        spread = float(max(values)) - worst or abs(worst) or 1.0
        return worst - _REFERENCE_MARGIN * spread


@dataclass(frozen=True, kw_only=True)
class Learner:
    """Makes beliefs of runs.

    Attributes:
        space: The search space.
        metrics: All metrics that steer or bound the search.
        seed: See `Surrogate.fit`.
        log_known: See `Beliefs`.
        given_noise: Whether to believe the runs' standard errors, where there are any, or to learn
            how much noise there is.
        per_cost: Whether costs count.
        earlier: What an earlier study taught of unknown metrics, by name.

    What it fitted last is kept: suggestions for several workers at once need the same.
    """

    space: SearchSpace
    metrics: Sequence[Metric]
    seed: int
    log_known: bool
    given_noise: bool
    per_cost: bool
    earlier: Mapping[str, Surrogate]
    _fitted: dict[int, tuple[bytes, Surrogate]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def learn(self, runs: Sequence[Run]) -> Beliefs | None:
        """Fit a surrogate for all that is unknown; None if there is too little to learn from.

        There is, if a metric has not two values yet, or no metric has different ones, as of
        students that all answer nothing: sure of nothing but its ignorance, a surrogate would lead
        to the corners of the space.

        Args:
            runs: All runs; the pending ones are believed to become what is expected of them.
        """
        unknown = [metric for metric in self.metrics if not metric.known]
        lessons = {metric.name: metric_lessons(runs, metric, self.space) for metric in unknown}
        found = {name: taught for name, taught in lessons.items() if taught is not None}
        if len(found) < len(lessons) or all(np.ptp(taught.y) == 0 for taught in found.values()):
            return None
        surrogates = {
            name: self._fit(taught, runs, salt=salt, earlier=self.earlier.get(name))
            for salt, (name, taught) in enumerate(found.items())
        }
        costs = cost_lessons(runs, self.space) if self.per_cost else None
        return Beliefs(
            metrics=self.metrics,
            surrogates=surrogates,
            seen={name: taught.y for name, taught in found.items()},
            success=self.success(runs),
            log_cost=None if costs is None else self._fit(costs, runs, salt=_COST_SALT),
            log_known=self.log_known,
        )

    def success(self, runs: Sequence[Run]) -> Surrogate | None:
        """Fit where students can be made; None if all could be made."""
        unknown = [metric for metric in self.metrics if not metric.known]
        taught = success_lessons(runs, unknown, self.space)
        return None if taught is None else self._fit(taught, runs, salt=_SUCCESS_SALT)

    def _fit(
        self,
        lessons: Lessons,
        runs: Sequence[Run],
        *,
        salt: int,
        earlier: Surrogate | None = None,
    ) -> Surrogate:
        errors = lessons.errors if self.given_noise else None
        arrays = (lessons.X, lessons.y, errors, lessons.doubts)
        key = b"|".join(b"" if array is None else array.tobytes() for array in arrays)
        if self._fitted.get(salt, (b"",))[0] != key:
            surrogate = Surrogate.fit(
                lessons.X,
                lessons.y,
                # What is unknown of one metric has nothing to do with what is of another.
                seed=self.seed + salt,
                errors=errors,
                doubts=lessons.doubts,
                earlier=earlier,
            )
            self._fitted[salt] = key, surrogate
        surrogate = self._fitted[salt][1]
        pending = [run for run in runs if not run.state.ended]
        return surrogate.believing(encode_all(self.space, pending)) if pending else surrogate
