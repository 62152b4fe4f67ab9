"""What `BayesianSampler` learns besides values: failures, costs, noise, an earlier study."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from limbeck.metrics import Metric
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import Sampler
from limbeck.runs import Run, RunState
from limbeck.space import Parameters
from tests.optimize.problems import (
    COST,
    SCORE,
    SQUARE,
    finished,
    square_cost,
    square_runs,
    suggested_place,
)


def _sampler(*metrics: Metric) -> BayesianSampler:
    return BayesianSampler(
        SQUARE, metrics, known=square_cost, baseline=None, seed=0, initial_runs=6
    )


def _scored(
    sampler: Sampler, count: int, measure: Callable[[float, float], float | None]
) -> list[Run]:
    """Return the first runs of a study over the square; those without a score are infeasible."""
    runs: list[Run] = []
    for number in range(count):
        parameters = sampler.suggest(runs)
        score = measure(float(parameters["x"]), float(parameters["y"]))
        state = RunState.INFEASIBLE if score is None else RunState.FINISHED
        values = {**square_cost(parameters), **({} if score is None else {"score": score})}
        runs.append(Run(number=number, parameters=parameters, state=state, values=values))
    return runs


@pytest.mark.parametrize("seed", range(2))
def test_where_no_student_can_be_made_is_learned_and_left_alone(seed: int) -> None:
    """The right half, which chance would hit with four of eight runs."""
    sampler = BayesianSampler(
        SQUARE, (SCORE,), known=square_cost, baseline=None, seed=seed, initial_runs=6
    )
    runs = _scored(
        sampler, 14, lambda x, y: None if x > 0.5 else -((x - 0.3) ** 2) - (y - 0.5) ** 2
    )
    barren = [run.state is RunState.INFEASIBLE for run in runs]
    assert 2 <= sum(barren[:6]) <= 4
    assert sum(barren[6:]) <= 2


def test_an_optimum_at_the_edge_of_a_cliff_is_found() -> None:
    """The score rises to 0.6 at x = 0.6, y = 0.5; beyond, no student can be made."""
    sampler = BayesianSampler(
        SQUARE, (SCORE,), known=square_cost, baseline=None, seed=0, initial_runs=5
    )
    runs = _scored(sampler, 16, lambda x, y: None if x > 0.6 else x - (y - 0.5) ** 2)
    assert max(run.values.get("score", -1.0) for run in runs) > 0.55


def test_what_has_no_finite_value_is_as_infeasible() -> None:
    """Where the best score is to be expected; a failure there teaches nothing."""
    runs = square_runs(score=lambda x, y: x + y)

    def suggested(state: RunState, score: float | None) -> float:
        there = [
            Run(
                number=9 + i,
                parameters={"x": 0.9, "y": 0.2 * i},
                state=state,
                values={"cost": 1.9, **({} if score is None else {"score": score})},
            )
            for i in range(6)
        ]
        return suggested_place(_sampler(SCORE), [*runs, *there])[0]

    barren = suggested(RunState.INFEASIBLE, None)
    assert barren < 0.8
    for score in (None, math.nan, -math.inf, math.inf):
        assert suggested(RunState.FINISHED, score) == barren
    assert suggested(RunState.FAILED, None) > 0.9


def test_when_all_runs_were_infeasible_it_looks_elsewhere_and_goes_on() -> None:
    """Nothing could be made in the lower left quarter."""
    runs = [dataclasses.replace(run, state=RunState.INFEASIBLE) for run in square_runs()]
    sampler = _sampler(SCORE, COST)
    for number in range(9, 13):
        x, y = suggested_place(sampler, runs)
        assert max(x, y) > 0.7
        assert all((x, y) != (run.parameters["x"], run.parameters["y"]) for run in runs)
        state = RunState.INFEASIBLE
        runs.append(Run(number=number, parameters={"x": x, "y": y}, state=state, values={}))


def test_of_two_equally_good_regions_the_cheaper_one_is_tried_if_costs_count() -> None:
    """The score is best at x = 0, 0.5 and 1; one half takes a tenth of the other's time."""
    left = [
        dataclasses.replace(run, seconds=10.0 if float(run.parameters["x"]) < 0.5 else 100.0)
        for run in square_runs(5, reach=1.0, score=lambda x, y: math.cos(4 * math.pi * x) - y)
    ]
    right = [dataclasses.replace(run, seconds=1000 / run.seconds) for run in left]
    careful, careless = (
        BayesianSampler(
            SQUARE,
            (SCORE,),
            known=square_cost,
            baseline=None,
            seed=0,
            initial_runs=5,
            per_cost=per_cost,
        )
        for per_cost in (True, False)
    )
    assert suggested_place(careful, left)[0] < 0.5 < suggested_place(careful, right)[0]
    assert suggested_place(careless, left) == suggested_place(careless, right)


def test_a_lucky_value_that_is_known_to_be_unsure_is_not_followed() -> None:
    """The score falls with x but for one run, which says how unsure it is, or that it is sure."""
    runs = square_runs(5, reach=1.0, score=lambda x, _: -x)

    def suggested(error: float, *, given_noise: bool) -> float:
        told = [dataclasses.replace(run, errors={"score": 0.01}) for run in runs]
        told[19] = dataclasses.replace(
            told[19], values={"score": 0.5, "cost": 2.0}, errors={"score": error}
        )
        sampler = BayesianSampler(
            SQUARE, (SCORE,), known=square_cost, baseline=None, seed=0, given_noise=given_noise
        )
        return suggested_place(sampler, told)[0]

    assert suggested(10.0, given_noise=True) < 0.3
    assert suggested(0.01, given_noise=True) > 0.7
    assert suggested(10.0, given_noise=False) == suggested(0.01, given_noise=False)


def _ridge(x: float, y: float) -> float:
    return math.exp(-((x - 0.2) ** 2 + (y - 0.7) ** 2) / 0.08)


def test_the_frontier_of_an_earlier_study_is_tried_first() -> None:
    """After the baseline, without what was tried since or is not allowed now; failed or not."""
    cost = dataclasses.replace(COST, threshold=1.4)
    earlier = square_runs(score=lambda x, y: 3 * x + y)
    frontier = {(0.0, 0.5), (0.25, 0.5), (0.5, 0.5)}
    baseline: Parameters = {"x": 0.9, "y": 0.9}
    sampler = BayesianSampler(
        SQUARE, (SCORE, COST), known=square_cost, baseline=baseline, seed=0, earlier=earlier
    )
    assert sampler.suggest([]) == baseline
    runs = [finished(0, baseline, {"cost": 1.9, "score": 1.0})]
    first = sampler.suggest(runs)
    assert (first["x"], first["y"]) in frontier
    runs.append(Run(number=1, parameters=first, state=RunState.FAILED))
    second = sampler.suggest(runs)
    assert (second["x"], second["y"]) in frontier - {(first["x"], first["y"])}
    bounded = dataclasses.replace(sampler, metrics=(SCORE, cost))
    taken: list[Run] = [runs[0]]
    for number in (1, 2):
        parameters = bounded.suggest(taken)
        taken.append(Run(number=number, parameters=parameters, state=RunState.FAILED))
    tried = {(run.parameters["x"], run.parameters["y"]) for run in taken[1:]}
    assert tried == {(0.0, 0.5), (0.25, 0.5)}
    evenly = QuasirandomSampler(SQUARE, (SCORE, cost), known=square_cost, baseline=baseline, seed=0)
    assert bounded.suggest(taken) == evenly.suggest(taken)


def _best_after(earlier: Sequence[Run], count: int, *, seed: int) -> float:
    """Return the best score of so many runs; at best 1."""
    sampler = BayesianSampler(
        SQUARE, (SCORE,), known=square_cost, baseline=None, seed=seed, earlier=earlier
    )
    return max(run.values["score"] for run in _scored(sampler, count, _ridge))


def test_a_related_earlier_study_helps() -> None:
    """Its values are on another scale, its best place is near by; one run is of another space."""
    earlier = square_runs(6, reach=1.0, score=lambda x, y: 1000 * _ridge(x - 0.1, y - 0.05) - 5)
    strange = finished(99, {"z": 1.0}, {"score": 1e9, "cost": 1.0})
    helped, alone = (
        sum(_best_after(each, 5, seed=seed) for seed in range(3)) / 3
        for each in ([strange, *earlier], [])
    )
    assert helped > alone + 0.1


@pytest.mark.parametrize(
    "then",
    [lambda x, y: -_ridge(x, y), lambda x, y: _ridge(y, 1 - x)],
    ids=["upside down", "best elsewhere"],
)
def test_an_unrelated_earlier_study_is_overcome(then: Callable[[float, float], float]) -> None:
    assert _best_after(square_runs(6, reach=1.0, score=then), 16, seed=0) > 0.6


def test_nothing_but_runs_and_seed_decides_whatever_is_learned() -> None:
    """Of success, costs, noise, pending runs and an earlier study; in any order of the runs."""
    runs = [
        dataclasses.replace(run, seconds=1.0 + run.number, errors={"score": 0.1 + run.number % 3})
        for run in square_runs(score=lambda x, y: 2 * x - (y - 0.3) ** 2)
    ]
    runs += [
        Run(number=9, parameters={"x": 0.9, "y": 0.9}, state=RunState.INFEASIBLE),
        Run(number=10, parameters={"x": 0.8, "y": 0.1}, state=RunState.RUNNING, values={"cost": 1}),
        Run(number=11, parameters={"x": 0.1, "y": 0.8}, state=RunState.FAILED),
    ]

    def fresh() -> BayesianSampler:
        return BayesianSampler(
            SQUARE,
            (SCORE, COST),
            known=square_cost,
            baseline=None,
            seed=3,
            given_noise=True,
            per_cost=True,
            earlier=square_runs(score=lambda x, y: x - y),
        )

    used = fresh()
    for count in (0, 5, 10):
        used.suggest(runs[:count])
    assert used.suggest(runs[::-1]) == fresh().suggest(runs)
    assert used.suggest([*runs[1::2], *runs[::2]]) == fresh().suggest(runs)


def test_goes_on_after_two_thousand_runs() -> None:
    """The score is best where x is 0.3, but for the noise; the cost is least at 0."""
    rng = np.random.default_rng(0)
    runs = []
    for number, (x, y) in enumerate(rng.uniform(size=(2000, 2)).tolist()):
        score = 1 - (x - 0.3) ** 2 + float(rng.normal(scale=0.01))
        runs.append(finished(number, {"x": x, "y": y}, {"cost": 1 + x, "score": score}))
    x, _ = suggested_place(_sampler(SCORE, COST), runs)
    assert 0 <= x < 0.4
