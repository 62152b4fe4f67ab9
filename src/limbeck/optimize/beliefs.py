"""What is believed of all metrics of a study at any parameters, once there are runs to learn from.

Larger is better throughout: values to be minimized are negated on their way in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError
from limbeck.metrics import Metric
from limbeck.optimize.surrogate import Surrogate, lessons
from limbeck.runs import Run
from limbeck.space import SearchSpace

_REFERENCE_MARGIN = 0.1

Prediction: TypeAlias = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Mean and standard deviation by metric, two ``m`` arrays each; known metrics have deviation 0."""


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """The surrogates of the unknown metrics beside the values of the known ones.

    Attributes:
        metrics: All metrics that steer or bound the search.
        surrogates: One for each unknown metric, by name.
        seen: For each unknown metric, by name, the values that its surrogate was taught.
        log_known: Whether known metrics are judged by their logarithm.
    """

    metrics: Sequence[Metric]
    surrogates: Mapping[str, Surrogate]
    seen: Mapping[str, Sequence[float]]
    log_known: bool

    def predict(
        self, units: NDArray[np.float64], known: Sequence[Mapping[str, float]]
    ) -> Prediction:
        """Return what is expected of ``m`` students.

        Args:
            units: An ``m x d`` array of points in the unit cube.
            known: Their ``m`` values of the known metrics.
        """
        prediction = {name: s.posterior(units) for name, s in self.surrogates.items()}
        for metric in self.metrics:
            if metric.known:
                exact = np.array([self.scaled(metric, values[metric.name]) for values in known])
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
                f"{metric.name} = {value}; use log_known = False"
            )
        return metric.larger_is_better(math.log(value))

    def reference(self, metric: Metric, known: Sequence[Mapping[str, float]]) -> float:
        """Return the value that is just not of use: the threshold, if there is one.

        Else it is a tenth of the range worse than the worst value; see `BayesianSampler`.

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
        worst = min(values)
        spread = max(values) - worst or abs(worst) or 1.0
        return worst - _REFERENCE_MARGIN * spread


def learn(
    runs: Sequence[Run],
    *,
    space: SearchSpace,
    metrics: Sequence[Metric],
    seed: int,
    log_known: bool,
) -> Beliefs | None:
    """Fit a surrogate for each unknown metric, or return None if one has too little to learn from.

    Args:
        runs: All runs; the pending ones are believed to become what is expected of them.
        space: The search space.
        metrics: All metrics that steer or bound the search.
        seed: See `Surrogate.fit`.
        log_known: See `Beliefs`.
    """
    taught = {metric.name: lessons(runs, metric) for metric in metrics if not metric.known}
    if not all(taught.values()):
        return None
    pending = [run for run in runs if not run.state.ended]
    surrogates = {}
    for name, pairs in taught.items():
        values = np.array([value for _, value in pairs])
        fitted = Surrogate.fit(encode_all(space, [run for run, _ in pairs]), values, seed=seed)
        surrogates[name] = fitted.believing(encode_all(space, pending)) if pending else fitted
    seen = {name: [value for _, value in pairs] for name, pairs in taught.items()}
    return Beliefs(metrics=metrics, surrogates=surrogates, seen=seen, log_known=log_known)


def encode_all(space: SearchSpace, runs: Sequence[Run]) -> NDArray[np.float64]:
    """Return the ``n x d`` array of the runs' points in the unit cube."""
    return np.stack([space.encode(run.parameters) for run in runs])
