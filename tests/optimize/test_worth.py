import dataclasses
import math
from collections.abc import Mapping, Sequence

import moocore
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.acquisition import improvement_boxes
from limbeck.optimize.beliefs import Beliefs, Learner
from limbeck.optimize.candidates import Candidate
from limbeck.optimize.surrogate import Surrogate
from limbeck.optimize.worth import Worth, find_worth, log_success
from limbeck.runs import Run, RunState
from limbeck.space import Float, Prior, SearchSpace
from tests.optimize.problems import finished

SPACE = SearchSpace((Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)))
SCORE = Metric(name="score", goal=Goal.MAXIMIZE)
LOSS = Metric(name="loss", goal=Goal.MINIMIZE)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
HEAT = Metric(name="heat", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.5)


def _points(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(size=(count, 2))


def _known(x: float) -> dict[str, float]:
    return {"size": 1 + x}


def _candidates(count: int = 5) -> list[Candidate]:
    return [
        Candidate(parameters=SPACE.decode(unit), unit=unit, known=_known(unit[0]))
        for unit in _points(count, seed=9)
    ]


def _surrogate(values: Sequence[float], seed: int = 0) -> Surrogate:
    """Of values at as many random points."""
    return Surrogate.fit(_points(len(values), seed=seed), np.array(values), seed=seed)


SURROGATES = {
    "score": _surrogate([1.0, 3.0, 2.0, 5.0, 4.0]),
    "loss": _surrogate([-1.0, -3.0, -2.0, -2.5, -1.5], seed=1),
    "heat": _surrogate([-0.2, -0.8, -0.5, -0.6, -0.4], seed=2),
}


def _beliefs(
    *metrics: Metric,
    success: Surrogate | None = None,
    log_cost: Surrogate | None = None,
    taught: int = 5,
    surrogates: Mapping[str, Surrogate] = SURROGATES,
) -> Beliefs:
    unknown = [metric.name for metric in metrics if not metric.known]
    return Beliefs(
        metrics=metrics,
        surrogates={name: surrogates[name] for name in unknown},
        seen={name: np.arange(float(taught)) for name in unknown},
        success=success,
        log_cost=log_cost,
        log_known=False,
    )


def _worth(
    beliefs: Beliefs,
    *,
    outcomes: Sequence[Sequence[float]] = (),
    reference: Sequence[float] | None = None,
    space: SearchSpace = SPACE,
) -> Worth:
    """With the reference point, what improves these outcomes; without, what is within."""
    boxes = None
    if reference is not None:
        shaped = np.array(outcomes, dtype=float).reshape(-1, len(reference))
        boxes = improvement_boxes(shaped, np.array(reference))
    return Worth(space=space, metrics=tuple(beliefs.metrics), beliefs=beliefs, boxes=boxes, near=[])


def _drawn(
    metrics: Sequence[Metric], candidate: Candidate, count: int
) -> dict[str, NDArray[np.float64]]:
    """``count`` outcomes of a candidate for each sample of hyperparameters; larger is better."""
    rng = np.random.default_rng(0)
    drawn = {}
    for metric in metrics:
        if metric.known:
            drawn[metric.name] = np.array(-candidate.known[metric.name])
        else:
            means, stds = SURROGATES[metric.name].posteriors(candidate.unit[None])
            drawn[metric.name] = rng.normal(means[:, 0], stds[:, 0], (count, len(means)))
    return {name: each.ravel() for name, each in drawn.items()}


@pytest.mark.parametrize(
    ("steering", "outcomes", "reference"),
    [
        ((SCORE, SIZE), [[3.0, -1.4], [4.0, -1.8]], [0.0, -2.1]),
        ((SCORE, LOSS), [[3.0, -1.5], [4.0, -2.2]], [0.0, -3.2]),
        ((SCORE,), [[3.5]], [0.0]),
    ],
    ids=["one known", "both unknown", "one metric"],
)
@pytest.mark.parametrize("constrained", [False, True])
def test_worth_is_the_improvement_that_sampled_outcomes_make_on_average(
    steering: tuple[Metric, ...],
    outcomes: list[list[float]],
    reference: list[float],
    constrained: bool,
) -> None:
    """The median over hyperparameters; hypervolumes by moocore, none where it is too hot."""
    front, count = np.array(outcomes), 400

    def volume(points: NDArray[np.float64]) -> float:
        return float(moocore.hypervolume(points, ref=np.array(reference), maximise=True))

    metrics = (*steering, HEAT) if constrained else steering
    worth = _worth(_beliefs(*metrics), outcomes=outcomes, reference=reference)
    # Of what is worth more, fewer samples are needed.
    pool = _candidates(40)
    best = sorted(zip(worth(pool), pool, strict=True), key=lambda each: each[0])
    for log, candidate in best[-2:]:
        drawn = _drawn(metrics, candidate, count)
        rows = np.stack(np.broadcast_arrays(*(drawn[metric.name] for metric in steering)), axis=1)
        gains = np.array([volume(np.vstack([front, row])) for row in rows]) - volume(front)
        if constrained:
            gains = gains * (drawn["heat"] >= -0.5)
        by_sample = gains.reshape(count, -1)
        mean, error = by_sample.mean(axis=0), by_sample.std(axis=0) / math.sqrt(count)
        least, most = np.median(np.log(np.maximum([mean - 4 * error, mean + 4 * error], 1e-9)), 1)
        assert least < log < most
        assert most - least < 1.5


def test_what_counts_is_the_median_over_hyperparameters() -> None:
    """And constraints hold together with the improvement, for each of the hyperparameters."""
    beliefs = _beliefs(SCORE, HEAT)
    candidates = _candidates()
    units = np.stack([candidate.unit for candidate in candidates])
    means, stds = SURROGATES["score"].posteriors(units)
    hot_means, hot_stds = SURROGATES["heat"].posteriors(units)
    u = (means - 3.5) / stds
    gains = stds * (norm.pdf(u) + u * norm.cdf(u)) * norm.cdf((hot_means + 0.5) / hot_stds)
    worth = _worth(beliefs, outcomes=[[3.5]], reference=[0.0])
    np.testing.assert_allclose(worth(candidates), np.median(np.log(gains), axis=0), rtol=1e-6)


def test_without_anything_within_every_threshold_it_is_the_probability_to_be_so() -> None:
    """Of the optimized and the constraint metric; the size, known to be within, does not count."""
    score = dataclasses.replace(SCORE, threshold=4.5)
    size = dataclasses.replace(SIZE, threshold=1.9)
    worth = _worth(_beliefs(score, size, HEAT))
    for candidate, log in zip(_candidates(), worth(_candidates()), strict=True):
        means, stds = SURROGATES["score"].posteriors(candidate.unit[None])
        hot_means, hot_stds = SURROGATES["heat"].posteriors(candidate.unit[None])
        chances = norm.cdf((means - 4.5) / stds) * norm.cdf((hot_means + 0.5) / hot_stds)
        assert log == pytest.approx(np.median(np.log(chances)))


def test_worth_is_multiplied_by_the_chance_of_success_and_divided_by_the_cost() -> None:
    success, log_cost = _surrogate([1, 0, 1, 0, 1]), _surrogate([1.0, 5.0, 3.0, 2.0, 0.0])
    candidates = _candidates()
    units = np.stack([candidate.unit for candidate in candidates])
    plain, likely, cheap, both = (
        _worth(_beliefs(SCORE, success=chance, log_cost=cost), outcomes=[[3.0]], reference=[0.0])(
            candidates
        )
        for chance, cost in ((None, None), (success, None), (None, log_cost), (success, log_cost))
    )
    means, stds = success.posteriors(units)
    chances = np.log(norm.cdf((means - 0.5) / stds).mean(axis=0))
    np.testing.assert_allclose(log_success(success, units), chances)
    np.testing.assert_allclose(likely, plain + chances)
    np.testing.assert_allclose(cheap, plain - log_cost.posterior(units)[0])
    np.testing.assert_allclose(both, likely + cheap - plain)


def test_a_prior_counts_the_less_the_more_was_taught() -> None:
    """A tenth of the lessons, ten times the weight; the shape is that of the prior."""
    believed = Float(name="x", low=0.0, high=1.0, prior=Prior(near=0.3, spread=0.1))
    space = SearchSpace((believed, SPACE.parameters[1]))
    candidates = _candidates()
    units = np.stack([candidate.unit for candidate in candidates])

    def pull(taught: int) -> NDArray[np.float64]:
        beliefs = _beliefs(SCORE, taught=taught)
        with_it = _worth(beliefs, outcomes=[[3.0]], reference=[0.0], space=space)(candidates)
        return with_it - _worth(beliefs, outcomes=[[3.0]], reference=[0.0])(candidates)

    np.testing.assert_allclose(pull(5), 10 * pull(50), rtol=1e-6)
    ratio = pull(5) / space.log_prior(units)
    np.testing.assert_allclose(ratio, ratio[0])
    assert ratio[0] > 0


def test_metrics_may_have_different_numbers_of_samples() -> None:
    """Of one, hyperparameters were not drawn, as if there were many observations of it."""
    X = _points(5, seed=1)
    sure = Surrogate.fit(X, np.array([-1.0, -3.0, -2.0, -2.5, -1.5]), seed=1, sampled=False)
    repeated = _beliefs(SCORE, LOSS, surrogates={**SURROGATES, "loss": sure})
    worth = _worth(repeated, outcomes=[[3.0, -2.0]], reference=[0.0, -4.0])
    logs = worth(_candidates())
    assert logs.shape == (5,)
    assert np.isfinite(logs).all()


def _run(number: int, x: float, y: float, **values: float) -> Run:
    return finished(number, {"x": x, "y": y}, {**_known(x), **values})


def _find(runs: Sequence[Run], *metrics: Metric, log_known: bool = False) -> Worth:
    learner = Learner(
        space=SPACE,
        metrics=metrics,
        seed=0,
        log_known=log_known,
        given_noise=False,
        per_cost=False,
        earlier={},
    )
    beliefs = learner.learn(runs)
    assert beliefs is not None
    sample = [_known(x) for x in (0.0, 0.5, 1.0)]
    return find_worth(runs, beliefs, space=SPACE, metrics=metrics, known_sample=sample)


def _place(run: Run) -> tuple[float, float]:
    return float(run.parameters["x"]), float(run.parameters["y"])


def _square(side: int = 4) -> list[Run]:
    """Runs on a grid, whose score is y and whose size grows with x."""
    places = [(i / (side - 1), j / (side - 1)) for i in range(side) for j in range(side)]
    return [_run(n, x, y, score=y, heat=y) for n, (x, y) in enumerate(places)]


def test_before_a_run_is_within_every_threshold_all_finished_ones_are_near() -> None:
    """Its own, those of constraint metrics, and those of known metrics: one is not enough."""
    size = dataclasses.replace(SIZE, threshold=1.5)
    score = dataclasses.replace(SCORE, threshold=0.9)
    runs = [run for run in _square() if run.parameters["y"] != 1.0 or run.parameters["x"] == 1.0]
    failed = Run(number=90, parameters={"x": 0.1, "y": 0.1}, state=RunState.FAILED)
    worth = _find([*runs, failed], score, size)
    assert worth.boxes is None
    assert list(worth.near) == [run.parameters for run in runs]
    assert _find(runs, score, SIZE).boxes is not None
    assert _find([*runs, _run(91, 0.0, 1.0, score=1.0)], score, size).boxes is not None
    hot = [run for run in _square() if run.values["heat"] > 0.5]
    assert _find(hot, SCORE, HEAT).boxes is None


def test_without_thresholds_any_run_is_of_use() -> None:
    assert _find(_square()[:2], SCORE, SIZE).boxes is not None


@pytest.mark.parametrize(("slope", "frontier"), [(-1.0, {0.0}), (1.0, {0.0, 1 / 3, 2 / 3, 1.0})])
def test_near_are_the_runs_on_the_frontier(slope: float, frontier: set[float]) -> None:
    """Size grows with x, and the score falls or rises with it; y = 1 is always best."""
    runs = [
        _run(r.number, *_place(r), score=_place(r)[1] + slope * _place(r)[0]) for r in _square()
    ]
    near = _find(runs, SCORE, SIZE).near
    assert {parameters["x"] for parameters in near} == frontier
    assert {parameters["y"] for parameters in near} == {1.0}


def test_what_lies_within_the_constraints_by_its_mean_is_on_the_frontier() -> None:
    """At y = 1/3 the heat is within its threshold of 0.5, at 2/3 and 1 it is not."""
    near = _find(_square(), SCORE, SIZE, HEAT).near
    assert {"x": 0.0, "y": 1 / 3} in near
    assert all(float(parameters["y"]) < 0.5 for parameters in near)


def test_the_frontier_to_improve_is_that_of_the_means() -> None:
    """One of nine repetitions at nearly one place was lucky by far."""
    runs = [_run(n, 0.5, 0.5 + n / 1000, score=9.0 if n == 4 else float(n % 2)) for n in range(9)]
    worth = _find([*runs, _run(9, 0.0, 0.0, score=-9.0)], SCORE)
    assert worth.boxes is not None
    assert worth.boxes.lower[0, 0] < 5.0


def test_pending_runs_take_part_with_the_means_expected_of_them() -> None:
    """As large as nothing, and as good as what is seen around it: it becomes the frontier."""
    runs = [run for run in _square() if run.parameters["x"] != 0.0]
    there = {"x": 0.0, "y": 1.0}
    pending = Run(number=99, parameters=there, state=RunState.RUNNING, values=_known(0.0))
    unmeasured = dataclasses.replace(pending, values={})
    assert there not in _find(runs, SCORE, SIZE).near
    assert there in _find([*runs, pending], SCORE, SIZE).near
    assert there not in _find([*runs, unmeasured], SCORE, SIZE).near


@pytest.mark.parametrize("state", [RunState.STOPPED, RunState.INFEASIBLE, RunState.FAILED])
def test_what_did_not_finish_is_not_on_the_frontier(state: RunState) -> None:
    there = _run(99, 0.0, 1.0, score=5.0)
    runs = [run for run in _square() if run.parameters != there.parameters]
    ended = dataclasses.replace(there, state=state)
    assert there.parameters not in _find([*runs, ended], SCORE, SIZE).near
    assert there.parameters in _find([*runs, there], SCORE, SIZE).near


def test_no_run_may_be_complete_or_within_the_constraints() -> None:
    """Then there is no frontier yet, and everything beyond the reference improves it."""
    other = Metric(name="other", goal=Goal.MAXIMIZE)
    apart = [
        finished(n, {"x": n / 8, "y": 0.5}, {("score", "other")[n % 2]: float(n), **_known(0.0)})
        for n in range(8)
    ]
    worth = _find(apart, SCORE, other)
    assert list(worth.near) == []
    assert np.isfinite(worth(_candidates())).all()
