import dataclasses
import math
from collections.abc import Sequence

import pytest

from limbeck.errors import ConfigError
from limbeck.frontier import hypervolume
from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import Sampler
from limbeck.runs import Run, RunState
from limbeck.space import Float, Integer, Parameters, Prior, SearchSpace
from tests.optimize.problems import (
    COST,
    METRICS,
    MIXED,
    SCORE,
    SQUARE,
    finished,
    mixed_size,
    search,
    square_cost,
    square_runs,
    suggested_place,
)

RATE = Float(name="rate", low=1e-6, high=1e-2, log=True)


def _sampler(*metrics: Metric, space: SearchSpace = SQUARE) -> BayesianSampler:
    return BayesianSampler(space, metrics, known=square_cost, baseline=None, seed=0, initial_runs=6)


def _believing(**priors: Prior) -> SearchSpace:
    """The square with priors."""
    return SearchSpace(
        tuple(Float(name=n, low=0.0, high=1.0, prior=priors.get(n)) for n in SQUARE.names)
    )


@pytest.mark.parametrize("seed", range(2))
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
            SQUARE, metrics, known=square_cost, baseline=None, seed=0, initial_runs=initial_runs
        )


def test_the_first_runs_are_quasirandom_and_failed_ones_do_not_count() -> None:
    evenly = QuasirandomSampler(SQUARE, (SCORE, COST), known=square_cost, baseline=None, seed=0)
    sampler = _sampler(SCORE, COST)
    runs = [
        dataclasses.replace(run, values={**run.values, "score": float(run.number)})
        for run in search(evenly, square_cost, 6, state=RunState.FINISHED)
    ]
    assert sampler.suggest(runs[:5]) == evenly.suggest(runs[:5])
    assert sampler.suggest(runs) != evenly.suggest(runs)
    failed = dataclasses.replace(runs[2], state=RunState.FAILED)
    assert sampler.suggest([*runs[:2], failed, *runs[3:]]) == evenly.suggest(runs)


def test_by_default_a_few_runs_come_first_and_fewer_after_an_earlier_study() -> None:
    """The earlier frontier is one run, whose parameters are the first of now."""
    runs = square_runs(5, score=lambda x, y: -x - y)
    evenly = QuasirandomSampler(SQUARE, (SCORE, COST), known=square_cost, baseline=None, seed=0)

    def first_chosen(earlier: Sequence[Run]) -> int:
        sampler = BayesianSampler(
            SQUARE, (SCORE, COST), known=square_cost, baseline=None, seed=0, earlier=earlier
        )
        count = 1
        while sampler.suggest(runs[:count]) == evenly.suggest(runs[:count]):
            count += 1
        return count

    assert 2 <= first_chosen(runs) < first_chosen([]) < 10


@pytest.mark.parametrize("threshold", [None, 0.9])
def test_from_values_that_are_all_the_same_nothing_is_learned(threshold: float | None) -> None:
    """As of students that all answer nothing; the quasirandom sequence goes on."""
    score = dataclasses.replace(SCORE, threshold=threshold)
    evenly = QuasirandomSampler(SQUARE, (score, COST), known=square_cost, baseline=None, seed=0)
    runs = square_runs(score=lambda *_: 0.7)
    assert _sampler(score, COST).suggest(runs) == evenly.suggest(runs)
    runs[3] = dataclasses.replace(runs[3], values={**runs[3].values, "score": 0.71})
    assert _sampler(score, COST).suggest(runs) != evenly.suggest(runs)


def test_while_none_is_within_the_threshold_it_seeks_one_at_any_cost() -> None:
    """The costs, judged by their logarithm or not, change nothing until there is one."""
    score = dataclasses.replace(SCORE, threshold=1.4)
    linear = BayesianSampler(
        SQUARE,
        (score, COST),
        known=square_cost,
        baseline=None,
        seed=0,
        initial_runs=6,
        log_known=False,
    )
    runs = square_runs(score=lambda x, y: x + y)
    x, y = suggested_place(_sampler(score, COST), runs)
    assert x > 0.7
    assert y > 0.7
    assert suggested_place(linear, runs) == (x, y)
    within = finished(9, {"x": 0.8, "y": 0.8}, {"score": 1.6, "cost": 1.8})
    assert suggested_place(linear, [*runs, within]) != suggested_place(
        _sampler(score, COST), [*runs, within]
    )


def test_of_equally_accurate_students_it_prefers_the_smaller() -> None:
    """The score rises with y alone, the cost with x alone."""
    x, y = suggested_place(_sampler(SCORE, COST), square_runs(score=lambda _, y: y))
    assert x < 0.1
    assert y > 0.7


def test_one_optimized_metric() -> None:
    x, y = suggested_place(
        _sampler(SCORE), square_runs(score=lambda x, y: -((x - 0.9) ** 2) - (y - 0.1) ** 2)
    )
    assert x > 0.6
    assert y < 0.4


def test_a_known_metric_alone_under_an_unknown_constraint() -> None:
    """The smallest cost at which the score still is 0.3: just above x = 0.3."""
    score = dataclasses.replace(SCORE, role=Role.CONSTRAIN, threshold=0.3)
    x, _ = suggested_place(_sampler(score, COST), square_runs(score=lambda x, _: x))
    assert 0.28 < x < 0.4


def test_three_metrics_two_of_them_unknown() -> None:
    """Nothing is gained by x, which only costs; both scores improve with y."""
    other = Metric(name="other", goal=Goal.MINIMIZE)
    runs = square_runs(score=lambda _, y: y, other=lambda x, y: (y - 1) ** 2 + x)
    x, y = suggested_place(_sampler(SCORE, other, COST), runs)
    assert x < 0.1
    assert y > 0.6


def test_a_constraint_metric_keeps_the_search_out() -> None:
    """The score rises with y, but from y = 0.4 on the memory is beyond its threshold."""
    memory = Metric(name="memory", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.4)
    runs = square_runs(score=lambda _, y: y, memory=lambda _, y: y)
    beyond = finished(9, {"x": 0.0, "y": 1.0}, {"cost": 1.0, "score": 1.0, "memory": 1.0})
    _, y = suggested_place(_sampler(SCORE, COST, memory), [*runs, beyond])
    assert 0.25 < y < 0.45


def test_a_run_beyond_a_constraint_is_not_on_the_frontier() -> None:
    """The best score so far needs too much memory: a lower one is an improvement."""
    memory = Metric(name="memory", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.6)
    runs = square_runs(score=lambda x, y: y - x, memory=lambda _, y: y)
    beyond = finished(9, {"x": 0.0, "y": 1.0}, {"cost": 1.0, "score": 1.0, "memory": 1.0})
    x, y = suggested_place(_sampler(SCORE, COST, memory), [*runs, beyond])
    assert x < 0.1
    assert 0.5 < y < 0.7


def test_pending_runs_are_believed_to_be_as_good_as_expected() -> None:
    """Accuracy is bought with cost; a second worker is sent to another part of the frontier."""
    runs = square_runs(score=lambda x, _: x)
    sampler = _sampler(SCORE, COST)
    first = sampler.suggest(runs)
    pending = Run(number=9, parameters=first, state=RunState.RUNNING, values=square_cost(first))
    x, _ = suggested_place(sampler, [*runs, pending])
    assert abs(x - float(first["x"])) > 0.05


def test_students_larger_than_the_baseline_are_suggested_too() -> None:
    """Were the baseline the reference, nothing beyond x = 0.25 would improve the frontier."""
    baseline: Parameters = {"x": 0.25, "y": 0.0}
    sampler = BayesianSampler(
        SQUARE, (SCORE, COST), known=square_cost, baseline=baseline, seed=0, initial_runs=6
    )
    x, _ = suggested_place(sampler, square_runs(score=lambda x, _: x))
    assert x > 0.25


def test_metrics_that_were_never_measured_together_are_learned_from() -> None:
    """No run can be on the frontier then, but each metric has lessons to teach."""
    other = Metric(name="other", goal=Goal.MAXIMIZE)
    runs = []
    for run in square_runs(score=lambda _, y: y, other=lambda _, y: y):
        missing = "score" if run.number % 2 else "other"
        values = {name: value for name, value in run.values.items() if name != missing}
        runs.append(dataclasses.replace(run, values=values))
    _, y = suggested_place(_sampler(SCORE, other), runs)
    assert y > 0.4


def _needle(parameters: Parameters) -> float:
    """Grows with depth where the learning rate is within a factor of 2.5 of 3e-4; else near 0."""
    miss = math.log10(float(parameters["rate"]) / 3e-4) / 0.4
    return 90 * (1 - math.exp(-float(parameters["depth"]) / 4)) * math.exp(-(miss**2))


def _depth(parameters: Parameters) -> dict[str, float]:
    return {"size": float(parameters["depth"])}


def _share_covered(prior: Prior | None, *, seed: int, initial_runs: int, count: int) -> float:
    """Return the part of the best possible hypervolume that ``count`` runs reach."""
    metrics = tuple(dataclasses.replace(metric, threshold=None) for metric in METRICS)
    reference = {"accuracy": 0.0, "size": 13.0}
    depth = Integer(name="depth", low=1, high=12)
    sampler = BayesianSampler(
        SearchSpace((depth, dataclasses.replace(RATE, prior=prior))),
        metrics,
        known=_depth,
        baseline=None,
        seed=seed,
        initial_runs=initial_runs,
    )
    ideal: list[Parameters] = [{"depth": depth, "rate": 3e-4} for depth in range(1, 13)]
    best = [finished(0, each, {**_depth(each), "accuracy": _needle(each)}) for each in ideal]
    reached = search(sampler, _depth, count, measure=_needle)
    return hypervolume(reached, metrics, reference) / hypervolume(best, metrics, reference)


@pytest.mark.parametrize("seed", range(3))
def test_a_right_prior_speeds_the_search_up(seed: int) -> None:
    """After six runs, two of which the model chose."""
    helped = _share_covered(Prior(near=3e-4, spread=0.1), seed=seed, initial_runs=4, count=6)
    assert helped > 1.4 * _share_covered(None, seed=seed, initial_runs=4, count=6)


@pytest.mark.parametrize("seed", range(2))
def test_a_wrong_prior_is_overcome(seed: int) -> None:
    """The first eight runs follow it and find almost nothing."""
    wrong = Prior(near=1e-5, spread=0.15)
    assert _share_covered(wrong, seed=seed, initial_runs=8, count=8) < 0.3
    assert _share_covered(wrong, seed=seed, initial_runs=8, count=18) > 0.6


def test_a_prior_that_believes_in_everything_alike_changes_nothing() -> None:
    flat = Prior(near=0.3, spread=1e9)
    runs = square_runs(score=lambda x, y: math.sin(5 * x) - (y - 0.4) ** 2)
    for metrics in ((SCORE, COST), (SCORE,), (dataclasses.replace(SCORE, threshold=2.0), COST)):
        x, y = suggested_place(_sampler(*metrics), runs)
        flattened = suggested_place(_sampler(*metrics, space=_believing(x=flat, y=flat)), runs)
        assert flattened == pytest.approx((x, y), abs=1e-6)


def test_a_prior_pulls_the_less_the_more_there_is_to_learn_from() -> None:
    """The score is best at x = 0.4, the prior at 0.9."""
    sampler = _sampler(SCORE, space=_believing(x=Prior(near=0.9, spread=0.1)))
    few, many = (
        square_runs(side, reach=1.0, score=lambda x, _: -((x - 0.4) ** 2)) for side in (3, 7)
    )
    assert suggested_place(_sampler(SCORE), few)[0] < 0.5
    assert suggested_place(sampler, few)[0] > 0.6
    assert suggested_place(sampler, many)[0] < 0.5


def test_a_prior_pulls_also_while_no_run_is_within_the_threshold() -> None:
    """The score rises with y alone."""
    score = dataclasses.replace(SCORE, threshold=0.9)
    sampler = _sampler(score, space=_believing(x=Prior(near=0.8, spread=0.05)))
    x, y = suggested_place(sampler, square_runs(score=lambda _, y: y))
    assert 0.7 < x < 0.9
    assert y > 0.7


def test_runs_that_teach_nothing_do_not_weaken_a_prior() -> None:
    """A hundred failed runs; nine teach as before."""
    sampler = _sampler(SCORE, space=_believing(x=Prior(near=0.9, spread=0.2)))
    runs = square_runs(score=lambda x, _: -((x - 0.4) ** 2))
    failed = [
        Run(number=9 + i, parameters={"x": 0.1, "y": 0.6 + i / 1000}, state=RunState.FAILED)
        for i in range(100)
    ]
    assert suggested_place(sampler, [*runs, *failed])[0] > 0.6


def test_a_prior_for_cheap_students_does_not_hide_the_dear_ones() -> None:
    """Nothing bounds the cost: points that follow the prior would, at about x = 0.5."""
    space = _believing(x=Prior(near=0.0, spread=0.15))
    runs = square_runs(5, score=lambda x, _: x**2)
    x, _ = suggested_place(_sampler(SCORE, COST, space=space), runs)
    assert x > 0.6
