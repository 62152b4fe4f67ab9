import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from botorch.exceptions.errors import InputDataError
from numpy.typing import NDArray

from limbeck.metrics import Goal, Metric
from limbeck.optimize.surrogate import Surrogate, lessons, one_thread
from limbeck.runs import Run, RunState

ACCURACY = Metric(name="accuracy", goal=Goal.MAXIMIZE)
LOSS = Metric(name="loss", goal=Goal.MINIMIZE)


@pytest.fixture(autouse=True)
def _single_thread() -> Iterator[None]:
    with one_thread():
        yield


def _wave(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(70 + 5 * np.sin(4 * X[:, 0]) - 3 * X[:, 1])


def _points(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(size=(count, 2))


def _runs(*states_and_values: tuple[RunState, float | None], name: str = "accuracy") -> list[Run]:
    return [
        Run(
            number=number,
            parameters={},
            state=state,
            values={} if value is None else {name: value},
        )
        for number, (state, value) in enumerate(states_and_values)
    ]


def _taught(runs: list[Run], metric: Metric = ACCURACY) -> dict[int, float]:
    return {run.number: value for run, value in lessons(runs, metric)}


def test_predicts_a_smooth_function() -> None:
    surrogate = Surrogate.fit(_points(30), _wave(_points(30)), seed=0)
    mean, std = surrogate.posterior(_points(50, seed=1))
    errors = mean - _wave(_points(50, seed=1))
    assert np.abs(errors).max() < 1.0
    assert (np.abs(errors) < 4 * std + 0.05).all()


def test_is_uncertain_far_from_observations() -> None:
    surrogate = Surrogate.fit(0.3 * _points(12), _wave(0.3 * _points(12)), seed=0)
    _, near = surrogate.posterior(0.3 * _points(12))
    _, far = surrogate.posterior(np.ones((1, 2)))
    assert far[0] > 3 * near.max()


def test_scale_and_offset_of_values_do_not_matter() -> None:
    X = _points(12)
    mean, std = Surrogate.fit(X, _wave(X), seed=0).posterior(_points(5, seed=1))
    scaled = Surrogate.fit(X, 1e-3 * _wave(X) - 7, seed=0)
    scaled_mean, scaled_std = scaled.posterior(_points(5, seed=1))
    np.testing.assert_allclose(scaled_mean, 1e-3 * mean - 7, rtol=1e-6)
    np.testing.assert_allclose(scaled_std, 1e-3 * std, rtol=1e-3)


def test_equal_values_are_expected_everywhere() -> None:
    mean, std = Surrogate.fit(_points(6), np.full(6, 70.0), seed=0).posterior(_points(5, seed=1))
    np.testing.assert_allclose(mean, 70.0)
    assert np.isfinite(std).all()


def test_believing_takes_the_uncertainty_but_keeps_the_mean() -> None:
    """And agrees with a surrogate of the same kernel that was shown the expected value."""
    surrogate = Surrogate.fit(0.5 * _points(12), _wave(0.5 * _points(12)), seed=0)
    pending = np.array([[0.9, 0.9], [0.8, 0.1]])
    mean, std = surrogate.posterior(pending)
    believed_mean, believed_std = surrogate.believing(pending).posterior(pending)
    np.testing.assert_allclose(believed_mean, mean, atol=1e-3)
    assert (believed_std < 0.3 * std).all()
    np.testing.assert_array_equal(surrogate.posterior(pending)[1], std)


def test_a_value_that_is_not_finite_is_an_error_and_not_hidden() -> None:
    with pytest.raises(InputDataError, match="NaN"):
        Surrogate.fit(_points(3), np.array([1.0, math.nan, 2.0]), seed=0)


def test_one_thread_restores_the_number() -> None:
    torch.set_num_threads(2)  # The fixture sets it back.
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_one_thread_restores_the_number_after_an_error() -> None:
    torch.set_num_threads(2)
    with pytest.raises(KeyError, match="inside"), one_thread():
        raise KeyError("inside")
    assert torch.get_num_threads() == 2


def test_what_each_state_teaches() -> None:
    runs = _runs(
        (RunState.FINISHED, 70.0),
        (RunState.FINISHED, 60.0),
        (RunState.STOPPED, 55.0),
        (RunState.STOPPED, None),
        (RunState.INFEASIBLE, None),
        (RunState.INFEASIBLE, 99.0),
        (RunState.FAILED, 99.0),
        (RunState.WAITING, None),
        (RunState.RUNNING, 99.0),
        (RunState.FINISHED, math.nan),
        (RunState.FINISHED, math.inf),
        (RunState.STOPPED, math.nan),
    )
    assert _taught(runs) == {0: 70.0, 1: 60.0, 2: 55.0, 4: 60.0, 5: 60.0, 9: 60.0, 10: 60.0}


def test_a_metric_to_be_minimized_is_turned() -> None:
    runs = _runs(
        (RunState.FINISHED, 1.5), (RunState.FINISHED, 2.5), (RunState.INFEASIBLE, None), name="loss"
    )
    assert _taught(runs, LOSS) == {0: -1.5, 1: -2.5, 2: -2.5}


@pytest.mark.parametrize("other", [RunState.STOPPED, RunState.INFEASIBLE])
def test_one_finished_run_teaches_nothing(other: RunState) -> None:
    assert _taught(_runs((RunState.FINISHED, 70.0), (other, 60.0), (other, 50.0))) == {}


def test_an_exploded_loss_counts_only_as_far_as_the_fence() -> None:
    """Of -1, -2, -3, -3, -1e9 the lower quartile is -3: the fence is at -3 - 5 * 2."""
    values = [1.0, 2.0, 3.0, 3.0, 1e9]
    runs = _runs(*[(RunState.FINISHED, value) for value in values], name="loss")
    runs += [Run(number=9, parameters={}, state=RunState.INFEASIBLE)]
    assert _taught(runs, LOSS) == {0: -1, 1: -2, 2: -3, 3: -3, 4: -13, 9: -13}


def test_what_is_beyond_the_threshold_stays_beyond_it() -> None:
    metric = Metric(name="loss", goal=Goal.MINIMIZE, threshold=100.0)
    runs = _runs(*[(RunState.FINISHED, v) for v in (1.0, 2.0, 3.0, 3.0, 1e9)], name="loss")
    assert _taught(runs, metric)[4] == -100.0


def test_good_outliers_and_values_among_equals_are_kept() -> None:
    good = _runs(*[(RunState.FINISHED, v) for v in (1.0, 1.0, 1.0, 1.0, 1e9)])
    assert _taught(good)[4] == 1e9
    equal = _runs(*[(RunState.FINISHED, v) for v in (1.0, 1.0, 1.0, 1.0, 0.0)])
    assert _taught(equal)[4] == 0.0
