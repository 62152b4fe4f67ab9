"""The sampler that a study file names."""

from collections.abc import Sequence

from limbeck.config import OptimizerSettings
from limbeck.metrics import Metric
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import KnownMetrics, Sampler
from limbeck.space import Parameters, SearchSpace


def make_sampler(
    settings: OptimizerSettings,
    space: SearchSpace,
    metrics: Sequence[Metric],
    *,
    known: KnownMetrics,
    baseline: Parameters,
    seed: int,
) -> Sampler:
    """Return the sampler that a study file's [optimizer] table asks for.

    Raises:
        ConfigError: If it cannot search for these metrics, or the baseline breaks a constraint.
    """
    if settings.sampler == "quasirandom":
        return QuasirandomSampler(space, metrics, known=known, baseline=baseline, seed=seed)
    return BayesianSampler(
        space,
        metrics,
        known=known,
        baseline=baseline,
        seed=seed,
        initial_runs=settings.initial_runs,
    )
