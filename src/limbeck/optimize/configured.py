"""The sampler that a study file names."""

from collections.abc import Sequence

from limbeck.config import OptimizerSettings
from limbeck.metrics import Metric
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import KnownMetrics, Sampler
from limbeck.optimize.sigopt import SigOptSampler
from limbeck.runs import Run
from limbeck.space import Parameters, SearchSpace


def make_sampler(
    settings: OptimizerSettings,
    space: SearchSpace,
    metrics: Sequence[Metric],
    *,
    known: KnownMetrics,
    baseline: Parameters,
    seed: int,
    budget: int,
    earlier: Sequence[Run] = (),
) -> Sampler:
    """Return the sampler that a study file's [optimizer] table asks for.

    Args:
        settings: The table.
        space: The searched parameters.
        metrics: What to search for.
        known: Computes the known metrics.
        baseline: Parameters of the first run.
        seed: Of all chance in the sampler.
        budget: Number of runs in all.
        earlier: The runs that the table's ``earlier`` names: see `limbeck.study.earlier_runs`.

    Raises:
        ConfigError: If it cannot search for these metrics, or the baseline breaks a constraint.
    """
    if settings.sampler == "quasirandom":
        return QuasirandomSampler(space, metrics, known=known, baseline=baseline, seed=seed)
    if settings.sampler == "sigopt":
        return SigOptSampler(
            space,
            metrics,
            known=known,
            baseline=baseline,
            seed=seed,
            budget=budget,
            initial_runs=settings.initial_runs,
        )
    return BayesianSampler(
        space,
        metrics,
        known=known,
        baseline=baseline,
        seed=seed,
        initial_runs=settings.initial_runs,
        given_noise=settings.noise == "given",
        per_cost=settings.per_cost,
        earlier=earlier,
    )
