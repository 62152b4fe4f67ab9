"""Optuna's own suites for samplers."""

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from typing_extensions import override

from limbeck.integrations.optuna import LimbeckSampler


class TestLimbeckSampler(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    """As users have it: after five trials the surrogate takes over.

    It does in ``test_nan_objective_value``, ``test_single_parameter_objective``,
    ``test_conditional_parameter_objective``, ``test_dynamic_range_objective`` and
    ``test_trial_relative_params``.
    """

    @pytest.fixture
    @override
    def sampler(self) -> Callable[[], BaseSampler]:
        return LimbeckSampler
