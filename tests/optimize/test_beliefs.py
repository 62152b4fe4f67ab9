import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from limbeck.errors import ConfigError
from limbeck.metrics import Goal, Metric
from limbeck.optimize.beliefs import Beliefs, Learner
from limbeck.optimize.surrogate import Surrogate
from limbeck.runs import Run, RunState
from limbeck.space import Float, SearchSpace
from tests.optimize.problems import finished

SPACE = SearchSpace((Float(name="x", low=0.0, high=1.0),))
ACCURACY = Metric(name="accuracy", goal=Goal.MAXIMIZE)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)


def _beliefs(*, log_known: bool = True, seen: tuple[float, ...] = (60.0, 80.0)) -> Beliefs:
    return Beliefs(
        metrics=(ACCURACY, SIZE),
        surrogates={},
        seen={"accuracy": np.array(seen)},
        success=None,
        log_cost=None,
        log_known=log_known,
    )


def _learner(
    *metrics: Metric,
    given_noise: bool = False,
    per_cost: bool = False,
    earlier: Mapping[str, Surrogate] | None = None,
) -> Learner:
    return Learner(
        space=SPACE,
        metrics=metrics or (ACCURACY, SIZE),
        seed=0,
        log_known=True,
        given_noise=given_noise,
        per_cost=per_cost,
        earlier=earlier or {},
    )


def _learn(runs: Sequence[Run], learner: Learner | None = None) -> Beliefs:
    beliefs = (learner or _learner()).learn(runs)
    assert beliefs is not None
    return beliefs


def _line(count: int = 5) -> list[Run]:
    """Runs with an accuracy of 100 x, from x = 0.1 on."""
    return [
        finished(number, {"x": x}, {"accuracy": 100 * x, "size": 1.0})
        for number, x in enumerate(np.linspace(0.1, 0.9, count).tolist())
    ]


def _pending(x: float) -> Run:
    return Run(number=99, parameters={"x": x}, state=RunState.RUNNING, values={"size": 1.0})


def test_known_metrics_are_exact_and_judged_by_their_logarithm() -> None:
    known = [{"size": 100.0}, {"size": 1000.0}]
    mean, std = _beliefs().predict(np.zeros((2, 1)), known)["size"]
    np.testing.assert_allclose(mean, [[-math.log(100), -math.log(1000)]])
    np.testing.assert_array_equal(std, [[0.0, 0.0]])
    mean, _ = _beliefs(log_known=False).predict(np.zeros((2, 1)), known)["size"]
    np.testing.assert_array_equal(mean, [[-100.0, -1000.0]])


def test_no_logarithm_of_zero() -> None:
    with pytest.raises(ConfigError, match=r"got size = 0\.0; give the sampler log_known=False"):
        _beliefs().scaled(SIZE, 0.0)
    assert _beliefs(log_known=False).scaled(SIZE, 0.0) == 0.0


def test_the_reference_is_the_threshold() -> None:
    bounded = Metric(name="accuracy", goal=Goal.MAXIMIZE, threshold=55.0)
    capped = Metric(name="size", goal=Goal.MINIMIZE, threshold=500.0, known=True)
    assert _beliefs().reference(bounded, [{"size": 9.0}]) == 55.0
    assert _beliefs().reference(capped, [{"size": 9.0}]) == -math.log(500.0)


def test_the_reference_is_else_a_tenth_of_the_range_beyond_the_worst() -> None:
    assert _beliefs().reference(ACCURACY, []) == pytest.approx(60 - 2)
    sizes = [{"size": size} for size in (100.0, 10_000.0, 1000.0)]
    assert _beliefs().reference(SIZE, sizes) == pytest.approx(-math.log(10_000) * 1.05)
    assert _beliefs(log_known=False).reference(SIZE, sizes) == pytest.approx(-10_990)


@pytest.mark.parametrize(("value", "expected"), [(70.0, 63.0), (0.0, -0.1), (-5.0, -5.5)])
def test_the_reference_of_equal_values_is_worse_than_they(value: float, expected: float) -> None:
    assert _beliefs(seen=(value, value)).reference(ACCURACY, []) == pytest.approx(expected)


def test_each_unknown_metric_is_learned_from_its_own_runs() -> None:
    """Values are paired with parameters by run: finished out of order, one metric missing."""
    speed = Metric(name="speed", goal=Goal.MINIMIZE, threshold=5.0)
    runs = [
        finished(number, {"x": x}, {"accuracy": 100 * x, "speed": 5 - x, "size": 1.0})
        for number, x in ((4, 0.9), (0, 0.1), (2, 0.5), (1, 0.3))
    ]
    runs.insert(1, finished(3, {"x": 0.7}, {"accuracy": 70.0, "size": 1.0}))
    metrics = (dataclasses.replace(ACCURACY, threshold=0.0), speed, SIZE)
    beliefs = _learn(runs, _learner(*metrics))
    prediction = beliefs.predict(np.array([[0.2], [0.8]]), [{"size": 1.0}, {"size": 1.0}])
    for mean in prediction["accuracy"][0]:
        np.testing.assert_allclose(mean, [20, 80], atol=4)
    assert prediction["speed"][0].shape == prediction["speed"][1].shape
    assert prediction["speed"][0].mean(axis=0) == pytest.approx([-4.8, -4.2], abs=0.1)
    assert sorted(beliefs.seen["accuracy"]) == pytest.approx([10, 30, 50, 70, 90])
    assert sorted(beliefs.seen["speed"]) == pytest.approx([-4.9, -4.7, -4.5, -4.1])


def test_one_metric_without_lessons_is_too_little() -> None:
    speed = Metric(name="speed", goal=Goal.MAXIMIZE)
    assert _learner(ACCURACY, speed, SIZE).learn(_line()) is None
    assert _learner().learn(_line(1)) is None
    assert _learner().learn([]) is None


def test_values_that_are_all_the_same_are_too_little() -> None:
    equal = [dataclasses.replace(run, values={**run.values, "accuracy": 7.0}) for run in _line()]
    assert _learner().learn(equal) is None
    assert _learner().learn([*equal, *_line(2)]) is not None


def test_pending_runs_are_believed() -> None:
    without, within = _learn(_line()), _learn([*_line(), _pending(1.0)])
    at, known = np.array([[1.0]]), [{"size": 1.0}]
    means, stds = without.predict(at, known)["accuracy"]
    believed_means, believed_stds = within.predict(at, known)["accuracy"]
    assert (believed_stds < 0.8 * stds).all()
    np.testing.assert_allclose(believed_means, means, rtol=1e-3)
    assert within.seen["accuracy"].tolist() == without.seen["accuracy"].tolist()


def test_where_students_can_be_made_is_learned_once_one_could_not() -> None:
    """The upper half cannot; what will come of a run there is believed as well."""
    assert _learn(_line()).success is None
    barren = [
        Run(number=10 + i, parameters={"x": x}, state=RunState.INFEASIBLE)
        for i, x in enumerate((0.7, 0.9))
    ]
    success = _learn([*_line(3)[:2], *barren]).success
    believing = _learn([*_line(3)[:2], *barren, _pending(0.6)]).success
    assert success is not None
    assert believing is not None
    mean, _ = success.posterior(np.array([[0.1], [0.5], [0.7], [0.9]]))
    np.testing.assert_allclose(mean, [1, 1, 0, 0], atol=0.2)
    middle = np.array([[0.6]])
    assert (believing.posteriors(middle)[1] < 0.8 * success.posteriors(middle)[1]).all()


def test_costs_count_only_if_asked_for_and_known() -> None:
    """Seconds of 1 to 10,000; the metrics are learned from all runs, timed or not."""
    runs = [
        dataclasses.replace(run, seconds=float(10**number)) for number, run in enumerate(_line())
    ]
    assert _learn(runs).log_cost is None
    assert _learn(_line(), _learner(per_cost=True)).log_cost is None
    log_cost = _learn(runs, _learner(per_cost=True)).log_cost
    assert log_cost is not None
    mean, _ = log_cost.posterior(np.array([[0.2], [0.8]]))
    np.testing.assert_allclose(mean, [math.log(10**0.5), math.log(10**3.5)], atol=0.5)


def test_standard_errors_are_believed_only_if_asked_for() -> None:
    """One accuracy is 30 too high, and says so."""
    runs = _line(9)
    lucky = {**runs[4].values, "accuracy": 80.0}
    runs[4] = dataclasses.replace(runs[4], values=lucky)
    unsure = [
        dataclasses.replace(run, errors={"accuracy": 300.0 if run.number == 4 else 0.1})
        for run in runs
    ]

    def expected(runs: Sequence[Run], *, given_noise: bool) -> float:
        beliefs = _learn(runs, _learner(given_noise=given_noise))
        return float(beliefs.predict(np.array([[0.5]]), [{"size": 1.0}])["accuracy"][0].mean())

    assert expected(unsure, given_noise=False) == expected(runs, given_noise=False)
    assert expected(runs, given_noise=True) == expected(runs, given_noise=False)
    assert expected(unsure, given_noise=True) == pytest.approx(50, abs=2)


def test_an_earlier_study_teaches_the_metric_of_its_name() -> None:
    """Of the line, only its beginning is seen now; then, it was bent down beyond a half."""
    X = np.linspace(0, 1, 20)[:, None]
    then = Surrogate.fit(X, np.minimum(X[:, 0], 1 - X[:, 0]), seed=0)
    runs = [run for run in _line(9) if float(run.parameters["x"]) < 0.5]

    def expected(earlier: Mapping[str, Surrogate]) -> float:
        beliefs = _learn(runs, _learner(earlier=earlier))
        return float(beliefs.predict(np.array([[0.9]]), [{"size": 1.0}])["accuracy"][0].mean())

    assert expected({"accuracy": then}) < 30 < expected({"size": then})
