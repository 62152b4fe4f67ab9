"""The promises of `Sampler`, kept by every implementation."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pytest
import torch

from limbeck.errors import ConfigError, ExhaustedError, ParameterError
from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import (
    Identity,
    KnownMetrics,
    Sampler,
    allowed_known_values,
    identity,
)
from limbeck.optimize.sigopt import SigOptSampler
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Constraint, Float, Integer, Parameters, SearchSpace
from tests.optimize.problems import (
    CONDITIONAL,
    METRICS,
    MIXED,
    SMALL,
    accuracy,
    conditional_allowed,
    finished,
    mixed_size,
    search,
    small_allowed,
    small_size,
)

BEYOND: Parameters = {"depth": 4, "width": 256, "tied": False}


class MakeSampler(Protocol):
    def __call__(
        self,
        space: SearchSpace,
        known: KnownMetrics,
        *,
        baseline: Parameters | None = None,
        seed: int = 5,
        metrics: Sequence[Metric] = METRICS,
    ) -> Sampler: ...


def _quasirandom(
    space: SearchSpace,
    known: KnownMetrics,
    *,
    baseline: Parameters | None = None,
    seed: int = 5,
    metrics: Sequence[Metric] = METRICS,
) -> Sampler:
    return QuasirandomSampler(space, metrics, known=known, baseline=baseline, seed=seed)


def _bayesian(
    space: SearchSpace,
    known: KnownMetrics,
    *,
    baseline: Parameters | None = None,
    seed: int = 5,
    metrics: Sequence[Metric] = METRICS,
) -> Sampler:
    return BayesianSampler(
        space, metrics, known=known, baseline=baseline, seed=seed, initial_runs=3
    )


def _sigopt(
    space: SearchSpace,
    known: KnownMetrics,
    *,
    baseline: Parameters | None = None,
    seed: int = 5,
    metrics: Sequence[Metric] = METRICS,
) -> Sampler:
    return SigOptSampler(
        space, metrics, known=known, baseline=baseline, seed=seed, budget=20, initial_runs=3
    )


@pytest.fixture(
    params=[_quasirandom, _bayesian, _sigopt], ids=["quasirandom", "bayesian", "sigopt"]
)
def make_sampler(request: pytest.FixtureRequest) -> MakeSampler:
    make: MakeSampler = request.param
    return make


def _mixed_runs(count: int) -> list[Run]:
    return search(_quasirandom(MIXED, mixed_size, seed=7), mixed_size, count)


def _depth(parameters: Parameters) -> dict[str, float]:
    return {"size": float(parameters["depth"])}


def _keys(space: SearchSpace, points: Sequence[Parameters]) -> list[Identity]:
    return [identity(space, point) for point in points]


def test_the_baseline_comes_first_even_beyond_a_threshold(make_sampler: MakeSampler) -> None:
    sampler = make_sampler(SMALL, small_size, baseline=BEYOND)
    assert sampler.suggest([]) == BEYOND
    assert sampler.suggest([finished(0, BEYOND, {"size": 1024.0})]) != BEYOND


def test_a_baseline_that_breaks_a_constraint_is_refused(make_sampler: MakeSampler) -> None:
    with pytest.raises(ConfigError, match="at least two layers deep"):
        make_sampler(SMALL, small_size, baseline={"depth": 1, "width": 64, "tied": True})


def test_a_small_space_is_visited_once_and_then_exhausted(make_sampler: MakeSampler) -> None:
    sampler = make_sampler(SMALL, small_size)
    allowed = small_allowed()
    runs = search(sampler, small_size, len(allowed))
    visited = _keys(SMALL, [run.parameters for run in runs])
    assert sorted(visited) == sorted(_keys(SMALL, allowed))
    with pytest.raises(ExhaustedError, match="none are left after 17 runs"):
        sampler.suggest(runs)


def test_the_rest_of_a_conditional_space_comes_once_and_nothing_else(
    make_sampler: MakeSampler,
) -> None:
    """Every fourth point is left; a duplicate could come from coordinates that do not matter."""
    allowed = conditional_allowed()
    given = [point for place, point in enumerate(allowed) if place % 4]
    sampler = make_sampler(CONDITIONAL, _depth)
    runs: list[Run] = []
    for number in range(len(allowed)):
        parameters = given[number] if number < len(given) else sampler.suggest(runs)
        worth = 50 + 9 * float(parameters.get("warmup", 0.15)) - number % 3
        runs.append(finished(number, parameters, {**_depth(parameters), "accuracy": worth}))
    visited = sorted(str(sorted(run.parameters.items())) for run in runs)
    assert visited == sorted(str(sorted(point.items())) for point in allowed)
    with pytest.raises(ExhaustedError, match="none are left after 30 runs"):
        sampler.suggest(runs)


def test_only_active_parameters_come_and_only_those_that_keep_the_constraint(
    make_sampler: MakeSampler,
) -> None:
    baseline: Parameters = {"optimizer": "sgd", "depth": 2}
    sampler = make_sampler(CONDITIONAL, _depth, baseline=baseline)
    runs = search(sampler, _depth, 8, measure=lambda p: 50.0 + float(p["depth"]))
    assert runs[0].parameters == baseline
    assert all(run.parameters in conditional_allowed() for run in runs)
    assert len(set(_keys(CONDITIONAL, [run.parameters for run in runs]))) == 8


@pytest.mark.parametrize("count", [0, 1, 8])
def test_runs_and_seed_alone_decide(make_sampler: MakeSampler, count: int) -> None:
    runs = _mixed_runs(8)
    used = make_sampler(MIXED, mixed_size)
    used.suggest(runs[:5])
    used.suggest(runs)
    assert used.suggest(runs[:count]) == make_sampler(MIXED, mixed_size).suggest(runs[:count])


def test_another_seed_gives_another_suggestion(make_sampler: MakeSampler) -> None:
    runs = _mixed_runs(8)
    first = make_sampler(MIXED, mixed_size, seed=5).suggest(runs)
    assert make_sampler(MIXED, mixed_size, seed=6).suggest(runs) != first


def test_the_order_of_runs_does_not_matter(make_sampler: MakeSampler) -> None:
    runs = _mixed_runs(14)
    sampler = make_sampler(MIXED, mixed_size)
    assert sampler.suggest(runs[::-1]) == sampler.suggest(runs)


def test_global_random_state_is_neither_read_nor_changed(make_sampler: MakeSampler) -> None:
    runs = _mixed_runs(8)
    sampler = make_sampler(MIXED, mixed_size)
    expected = sampler.suggest(runs)
    torch.rand(1)
    before = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    assert sampler.suggest(runs) == expected
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]  # noqa: NPY002


def test_a_suggestion_belongs_to_its_receiver(make_sampler: MakeSampler) -> None:
    sampler = make_sampler(SMALL, small_size, baseline=BEYOND)
    for runs in ([], [finished(0, BEYOND, {"size": 1024.0})]):
        suggestion = sampler.suggest(runs)
        before = dict(suggestion)
        suggestion["depth"] = 99
        assert sampler.suggest(runs) == before


@pytest.mark.parametrize("state", [RunState.WAITING, RunState.RUNNING])
def test_pending_runs_are_not_suggested_again(make_sampler: MakeSampler, state: RunState) -> None:
    runs = _mixed_runs(6)
    sampler = make_sampler(MIXED, mixed_size)
    for number in range(6, 10):
        parameters = sampler.suggest(runs)
        values = mixed_size(parameters)
        runs.append(Run(number=number, parameters=parameters, state=state, values=values))
    assert len(set(_keys(MIXED, [run.parameters for run in runs]))) == 10


def test_constraints_and_known_thresholds_hold(make_sampler: MakeSampler) -> None:
    narrow = Constraint(name="narrow", holds=lambda p: float(p["width"]) < 60 * float(p["depth"]))
    sampler = make_sampler(
        SearchSpace(MIXED.parameters, (narrow,)),
        mixed_size,
        metrics=(METRICS[0], dataclasses.replace(METRICS[1], threshold=60.0)),
    )
    for run in search(sampler, mixed_size, 8):
        assert run.values["size"] <= 60.0
        assert narrow.holds(run.parameters)


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.INFEASIBLE, RunState.STOPPED])
def test_goes_on_when_no_run_has_finished(make_sampler: MakeSampler, state: RunState) -> None:
    runs = search(make_sampler(SMALL, small_size), small_size, 9, state=state)
    assert len(set(_keys(SMALL, [run.parameters for run in runs]))) == 9


@pytest.mark.parametrize("value", [70.0, 0.0, math.nan, math.inf, -math.inf])
def test_goes_on_when_all_values_are_equal_or_none_is_finite(
    make_sampler: MakeSampler, value: float
) -> None:
    runs = search(make_sampler(SMALL, small_size), small_size, 7, measure=lambda _: value)
    assert len(set(_keys(SMALL, [run.parameters for run in runs]))) == 7


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_goes_on_among_values_that_are_not_finite(make_sampler: MakeSampler, value: float) -> None:
    runs = _mixed_runs(8)
    broken = dataclasses.replace(runs[3], values={**runs[3].values, "accuracy": value})
    runs[3] = broken
    suggestion = make_sampler(MIXED, mixed_size).suggest(runs)
    assert MIXED.validate(suggestion) == suggestion


def test_failed_runs_teach_nothing(make_sampler: MakeSampler) -> None:
    runs = _mixed_runs(8)
    failed = Run(
        number=8, parameters=_mixed_runs(9)[8].parameters, state=RunState.FAILED, values={}
    )
    misleading = dataclasses.replace(failed, values={"accuracy": 1e6, "size": 11.0})
    sampler = make_sampler(MIXED, mixed_size)
    assert sampler.suggest([*runs, misleading]) == sampler.suggest([*runs, failed])


def test_runs_of_another_space_are_refused(make_sampler: MakeSampler) -> None:
    with pytest.raises(ParameterError, match="unknown parameter 'rate'"):
        make_sampler(SMALL, small_size).suggest(_mixed_runs(1))


def test_a_space_without_allowed_points_is_exhausted_at_once(make_sampler: MakeSampler) -> None:
    space = SearchSpace(SMALL.parameters, (Constraint(name="nothing", holds=lambda _: False),))
    with pytest.raises(ExhaustedError, match="none are left after 0 runs"):
        make_sampler(space, small_size).suggest([])


def test_identity_does_not_see_what_is_inactive() -> None:
    unit = CONDITIONAL.encode({"optimizer": "sgd", "depth": 1})
    moved = unit.copy()
    moved[[0, 1, 2, -1]] = 0.9, 0.1, 0.8, 0.2
    keys = {identity(CONDITIONAL, CONDITIONAL.decode(each)) for each in (unit, moved)}
    assert len(keys) == 1
    assert len({identity(CONDITIONAL, point) for point in conditional_allowed()}) == 30


def test_identity_tells_apart_what_python_calls_equal() -> None:
    space = SearchSpace(
        (
            Choice(name="flag", choices=(1, True, "1")),
            Integer(name="depth", low=1, high=4),
            Float(name="rate", low=0.0, high=4.0),
        )
    )
    keys = [identity(space, {"flag": flag, "depth": 2, "rate": 2.0}) for flag in (1, True, "1")]
    assert len(set(keys)) == 3
    assert identity(space, {"rate": 2, "depth": 2.0, "flag": 1}) == keys[0]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"depth": 2, "width": 64, "tied": True}, {"size": 128.0}),
        ({"depth": 1, "width": 64, "tied": True}, None),
        ({"depth": 3, "width": 128, "tied": True}, None),
        ({"depth": 4, "width": 256, "tied": True}, None),
    ],
    ids=["allowed", "constraint", "no such student", "threshold"],
)
def test_allowed_known_values(parameters: Parameters, expected: dict[str, float] | None) -> None:
    values = allowed_known_values(parameters, space=SMALL, metrics=METRICS, known=small_size)
    assert values == expected


def test_a_stored_known_metric_bounds_nothing() -> None:
    stored = Metric(name="size", goal=Goal.MINIMIZE, role=Role.STORE, known=True)
    parameters: Parameters = {"depth": 2, "width": 64, "tied": True}
    values = allowed_known_values(
        parameters, space=SMALL, metrics=(stored,), known=lambda _: {"size": math.nan}
    )
    assert values == {}


@pytest.mark.parametrize("size", [math.nan, math.inf, -math.inf])
def test_a_known_value_that_is_not_finite_is_not_allowed(size: float) -> None:
    metrics = (Metric(name="size", goal=Goal.MINIMIZE, known=True),)
    parameters: Parameters = {"depth": 2, "width": 64, "tied": True}
    assert (
        allowed_known_values(
            parameters, space=SMALL, metrics=metrics, known=lambda _: {"size": size}
        )
        is None
    )


def test_the_problem_has_a_cliff() -> None:
    """Guards the tests that rely on it: half of the learning rates of a wide student diverge."""
    assert accuracy({"width": 256, "rate": 3.1e-3}) == 10.0
    assert accuracy({"width": 256, "rate": 2.9e-3}) > 40.0
