import dataclasses
import math
from collections.abc import Callable, Sequence

import pytest

from limbeck.errors import ConfigError
from limbeck.frontier import hypervolume
from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import Sampler
from limbeck.runs import Run, RunState
from limbeck.space import Float, Parameters, SearchSpace
from tests.optimize.problems import METRICS, MIXED, finished, mixed_size, search

SQUARE = SearchSpace((Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)))
SCORE = Metric(name="score", goal=Goal.MAXIMIZE)
COST = Metric(name="cost", goal=Goal.MINIMIZE, known=True)

Measure = Callable[[float, float], float]


def _cost(parameters: Parameters) -> dict[str, float]:
    return {"cost": 1 + float(parameters["x"])}


def _sampler(*metrics: Metric) -> BayesianSampler:
    return BayesianSampler(SQUARE, metrics, known=_cost, baseline=None, seed=0, initial_runs=6)


def _grid(**measures: Measure) -> list[Run]:
    """Nine runs on a grid over the lower left quarter of the square."""
    runs = []
    for number in range(9):
        x, y = 0.25 * (number % 3), 0.25 * (number // 3)
        values = {name: float(measure(x, y)) for name, measure in measures.items()}
        runs.append(finished(number, {"x": x, "y": y}, {**_cost({"x": x}), **values}))
    return runs


def _suggested(sampler: Sampler, runs: Sequence[Run]) -> tuple[float, float]:
    parameters = sampler.suggest(runs)
    return float(parameters["x"]), float(parameters["y"])


@pytest.mark.parametrize("seed", range(3))
def test_covers_more_than_the_quasirandom_sequence(seed: int) -> None:
    """25 runs each; the known size counts by its logarithm, as the sampler judges it."""
    metrics = (METRICS[0], dataclasses.replace(METRICS[1], threshold=None))
    start: Parameters = {"depth": 6, "width": 384, "rate": 1e-4, "loss": "mse", "dropout": 0.1}

    def volume(sampler: Sampler) -> float:
        runs = [
            dataclasses.replace(run, values={**run.values, "size": math.log(run.values["size"])})
            for run in search(sampler, mixed_size, 25)
        ]
        return hypervolume(runs, metrics, {"accuracy": 50.0, "size": math.log(900.0)})

    learning = volume(BayesianSampler(MIXED, metrics, known=mixed_size, baseline=start, seed=seed))
    evenly = volume(QuasirandomSampler(MIXED, metrics, known=mixed_size, baseline=start, seed=seed))
    assert learning > 1.1 * evenly


@pytest.mark.parametrize(
    ("metrics", "initial_runs", "message"),
    [
        (
            (Metric(name="s", goal=Goal.MINIMIZE, role=Role.STORE),),
            None,
            "needs a metric to optimize",
        ),
        ((COST,), None, "needs a metric that is not known"),
        ((SCORE, COST), 0, "initial_runs must be at least 1, but got 0"),
    ],
)
def test_refuses_what_it_cannot_search(
    metrics: tuple[Metric, ...], initial_runs: int | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        BayesianSampler(
            SQUARE, metrics, known=_cost, baseline=None, seed=0, initial_runs=initial_runs
        )


def test_the_first_runs_are_quasirandom_and_failed_ones_do_not_count() -> None:
    """By default as many as there are parameters, and one more, but at least five."""
    evenly = QuasirandomSampler(SQUARE, (SCORE, COST), known=_cost, baseline=None, seed=0)
    sampler = BayesianSampler(SQUARE, (SCORE, COST), known=_cost, baseline=None, seed=0)
    runs = [
        dataclasses.replace(run, values={**run.values, "score": float(run.number)})
        for run in search(evenly, _cost, 5, state=RunState.FINISHED)
    ]
    assert sampler.suggest(runs[:4]) == evenly.suggest(runs[:4])
    assert sampler.suggest(runs) != evenly.suggest(runs)
    failed = dataclasses.replace(runs[2], state=RunState.FAILED)
    assert sampler.suggest([*runs[:2], failed, *runs[3:]]) == evenly.suggest(runs)


def test_while_none_is_within_the_threshold_it_seeks_one_at_any_cost() -> None:
    """The costs, judged by their logarithm or not, change nothing until there is one."""
    score = dataclasses.replace(SCORE, threshold=1.4)
    linear = BayesianSampler(
        SQUARE, (score, COST), known=_cost, baseline=None, seed=0, initial_runs=6, log_known=False
    )
    runs = _grid(score=lambda x, y: x + y)
    x, y = _suggested(_sampler(score, COST), runs)
    assert x > 0.7
    assert y > 0.7
    assert _suggested(linear, runs) == (x, y)
    within = finished(9, {"x": 0.8, "y": 0.8}, {"score": 1.6, "cost": 1.8})
    assert _suggested(linear, [*runs, within]) != _suggested(_sampler(score, COST), [*runs, within])


def test_of_equally_accurate_students_it_prefers_the_smaller() -> None:
    """The score rises with y alone, the cost with x alone."""
    x, y = _suggested(_sampler(SCORE, COST), _grid(score=lambda _, y: y))
    assert x < 0.1
    assert y > 0.7


def test_one_optimized_metric() -> None:
    x, y = _suggested(_sampler(SCORE), _grid(score=lambda x, y: -((x - 0.9) ** 2) - (y - 0.1) ** 2))
    assert x > 0.6
    assert y < 0.4


def test_a_known_metric_alone_under_an_unknown_constraint() -> None:
    """The smallest cost at which the score still is 0.3: just above x = 0.3."""
    score = dataclasses.replace(SCORE, role=Role.CONSTRAIN, threshold=0.3)
    x, _ = _suggested(_sampler(score, COST), _grid(score=lambda x, _: x))
    assert 0.28 < x < 0.4


def test_three_metrics_two_of_them_unknown() -> None:
    """Nothing is gained by x, which only costs; both scores improve with y."""
    other = Metric(name="other", goal=Goal.MINIMIZE)
    runs = _grid(score=lambda _, y: y, other=lambda x, y: (y - 1) ** 2 + x)
    x, y = _suggested(_sampler(SCORE, other, COST), runs)
    assert x < 0.1
    assert y > 0.6


def test_a_constraint_metric_keeps_the_search_out() -> None:
    """The score rises with y, but from y = 0.4 on the memory is beyond its threshold."""
    memory = Metric(name="memory", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.4)
    runs = _grid(score=lambda _, y: y, memory=lambda _, y: y)
    _, y = _suggested(_sampler(SCORE, COST, memory), runs)
    assert 0.25 < y < 0.45


def test_a_run_beyond_a_constraint_is_not_on_the_frontier() -> None:
    """The best score so far needs too much memory: a lower one is an improvement."""
    memory = Metric(name="memory", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.6)
    runs = _grid(score=lambda x, y: y - x, memory=lambda _, y: y)
    beyond = finished(9, {"x": 0.0, "y": 1.0}, {"cost": 1.0, "score": 1.0, "memory": 1.0})
    x, y = _suggested(_sampler(SCORE, COST, memory), [*runs, beyond])
    assert x < 0.1
    assert 0.5 < y < 0.7


def test_pending_runs_are_believed_to_be_as_good_as_expected() -> None:
    """Accuracy is bought with cost; a second worker is sent to another part of the frontier."""
    runs = _grid(score=lambda x, _: x)
    sampler = _sampler(SCORE, COST)
    first = sampler.suggest(runs)
    pending = Run(number=9, parameters=first, state=RunState.RUNNING, values=_cost(first))
    x, _ = _suggested(sampler, [*runs, pending])
    assert abs(x - float(first["x"])) > 0.05


def test_students_larger_than_the_baseline_are_suggested_too() -> None:
    """Were the baseline the reference, nothing beyond x = 0.25 would improve the frontier."""
    baseline: Parameters = {"x": 0.25, "y": 0.0}
    sampler = BayesianSampler(
        SQUARE, (SCORE, COST), known=_cost, baseline=baseline, seed=0, initial_runs=6
    )
    x, _ = _suggested(sampler, _grid(score=lambda x, _: x))
    assert x > 0.25


def test_metrics_that_were_never_measured_together_are_learned_from() -> None:
    """No run can be on the frontier then, but each metric has lessons to teach."""
    other = Metric(name="other", goal=Goal.MAXIMIZE)
    runs = []
    for run in _grid(score=lambda _, y: y, other=lambda _, y: y):
        missing = "score" if run.number % 2 else "other"
        values = {name: value for name, value in run.values.items() if name != missing}
        runs.append(dataclasses.replace(run, values=values))
    _, y = _suggested(_sampler(SCORE, other), runs)
    assert y > 0.4
