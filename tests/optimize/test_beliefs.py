import math

import numpy as np
import pytest

from limbeck.errors import ConfigError
from limbeck.metrics import Goal, Metric
from limbeck.optimize.beliefs import Beliefs, learn
from limbeck.runs import Run, RunState
from limbeck.space import Float, SearchSpace
from tests.optimize.problems import finished

SPACE = SearchSpace((Float(name="x", low=0.0, high=1.0),))
ACCURACY = Metric(name="accuracy", goal=Goal.MAXIMIZE)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)


def _beliefs(*, log_known: bool = True, seen: tuple[float, ...] = (60.0, 80.0)) -> Beliefs:
    return Beliefs(
        metrics=(ACCURACY, SIZE), surrogates={}, seen={"accuracy": seen}, log_known=log_known
    )


def test_known_metrics_are_exact_and_judged_by_their_logarithm() -> None:
    known = [{"size": 100.0}, {"size": 1000.0}]
    mean, std = _beliefs().predict(np.zeros((2, 1)), known)["size"]
    np.testing.assert_allclose(mean, [-math.log(100), -math.log(1000)])
    np.testing.assert_array_equal(std, [0.0, 0.0])
    mean, _ = _beliefs(log_known=False).predict(np.zeros((2, 1)), known)["size"]
    np.testing.assert_array_equal(mean, [-100.0, -1000.0])


def test_no_logarithm_of_zero() -> None:
    with pytest.raises(ConfigError, match=r"got size = 0\.0; use log_known = False"):
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
    speed = Metric(name="speed", goal=Goal.MAXIMIZE)
    runs = [
        finished(number, {"x": x}, {"accuracy": 100 * x, "speed": 5 - x, "size": 1.0})
        for number, x in ((4, 0.9), (0, 0.1), (2, 0.5), (1, 0.3))
    ]
    runs.insert(1, finished(3, {"x": 0.7}, {"accuracy": 70.0, "size": 1.0}))
    metrics = (ACCURACY, speed, SIZE)
    beliefs = learn(runs, space=SPACE, metrics=metrics, seed=0, log_known=True)
    assert beliefs is not None
    known = [{"size": 1.0}, {"size": 1.0}]
    prediction = beliefs.predict(np.array([[0.2], [0.8]]), known)
    np.testing.assert_allclose(prediction["accuracy"][0], [20, 80], atol=2)
    assert sorted(beliefs.seen["accuracy"]) == pytest.approx([10, 30, 50, 70, 90])
    assert sorted(beliefs.seen["speed"]) == pytest.approx([4.1, 4.1, 4.5, 4.7, 4.9])


def test_pending_runs_are_believed_and_one_metric_without_lessons_is_too_little() -> None:
    runs = [finished(n, {"x": 0.1 * n}, {"accuracy": float(n), "size": 1.0}) for n in range(4)]
    pending = Run(number=9, parameters={"x": 1.0}, state=RunState.RUNNING, values={"size": 1.0})
    metrics = (ACCURACY, SIZE)
    without = learn(runs, space=SPACE, metrics=metrics, seed=0, log_known=True)
    within = learn([*runs, pending], space=SPACE, metrics=metrics, seed=0, log_known=True)
    assert without is not None
    assert within is not None
    at = np.array([[1.0]])
    known = [{"size": 1.0}]
    mean, std = without.predict(at, known)["accuracy"]
    believed_mean, believed_std = within.predict(at, known)["accuracy"]
    assert believed_std[0] < std[0] / 2
    assert believed_mean[0] == pytest.approx(mean[0], abs=0.1)
    unmeasured = (*metrics, Metric(name="speed", goal=Goal.MAXIMIZE))
    assert learn(runs, space=SPACE, metrics=unmeasured, seed=0, log_known=True) is None
