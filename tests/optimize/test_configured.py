"""What a study file's [optimizer] table asks for reaches the sampler."""

from functools import partial

import pytest

from limbeck.config import OptimizerSettings
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.configured import make_sampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sigopt import SigOptSampler
from limbeck.space import Parameters
from tests.optimize.problems import METRICS, MIXED, finished, mixed_size

BASELINE: Parameters = {"depth": 6, "width": 384, "rate": 1e-4, "loss": "mse", "dropout": 0.1}
EARLIER = (finished(0, BASELINE, {"accuracy": 70.0}),)
make = partial(
    make_sampler, space=MIXED, metrics=METRICS, known=mixed_size, baseline=BASELINE, seed=3
)
bayesian = partial(BayesianSampler, MIXED, METRICS, known=mixed_size, baseline=BASELINE, seed=3)


def test_by_default_it_is_bayesian_and_learns_the_noise() -> None:
    assert make(OptimizerSettings(), budget=9) == bayesian()


def test_all_that_the_bayesian_sampler_heeds_reaches_it() -> None:
    settings = OptimizerSettings(initial_runs=2, noise="given", per_cost=True, earlier="before")
    assert make(settings, budget=9, earlier=EARLIER) == bayesian(
        initial_runs=2, given_noise=True, per_cost=True, earlier=EARLIER
    )


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (OptimizerSettings(sampler="quasirandom"), QuasirandomSampler),
        (OptimizerSettings(sampler="sigopt", initial_runs=2), SigOptSampler),
    ],
)
def test_another_sampler_begins_with_the_baseline_too(
    settings: OptimizerSettings, kind: type
) -> None:
    sampler = make(settings, budget=9)
    assert isinstance(sampler, kind)
    assert sampler.suggest([]) == BASELINE
