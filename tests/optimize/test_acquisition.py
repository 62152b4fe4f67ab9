import math

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from limbeck.optimize.acquisition import (
    Boxes,
    improvement_boxes,
    log_average,
    log_expected_hypervolume_improvement,
    log_probability_within,
)

# Accuracy and negative size; 50 % or a size of 30 are just not of use.
FRONTIER = np.array([[80.0, -10.0], [90.0, -20.0]])
REFERENCE = np.array([50.0, -30.0])


def _improvement(mean: list[float], std: list[float], boxes: Boxes | None = None) -> float:
    boxes = boxes or improvement_boxes(FRONTIER, REFERENCE)
    log = log_expected_hypervolume_improvement(np.array([mean]), np.array([std]), boxes)
    assert log.shape == (1,)
    return math.exp(log[0])


@pytest.mark.parametrize(
    ("accuracy", "size", "expected"),
    [
        (85.0, 15.0, (85 - 80) * (20 - 15)),
        (95.0, 5.0, (95 - 50) * (10 - 5) + (95 - 80) * (20 - 10) + (95 - 90) * (30 - 20)),
        (95.0, 20.0, (95 - 90) * (30 - 20)),
        (79.0, 10.0, 0.0),
        (80.0, 10.0, 0.0),
        (99.0, 30.0, 0.0),
        (50.0, 1.0, 0.0),
    ],
)
@pytest.mark.parametrize("std", [0.0, 1e-10])
def test_certain_improvement_by_hand(
    accuracy: float, size: float, expected: float, std: float
) -> None:
    assert _improvement([accuracy, -size], [std, 0.0]) == pytest.approx(expected, abs=1e-8)


def test_one_unknown_metric_is_a_sum_over_the_stairs() -> None:
    """EHVI = sum_k w_k EI(A_k), with the expected improvements by numerical integration."""
    mean, std, size = 78.0, 6.0, 5.0
    stairs = {50.0: 10 - 5, 80.0: 20 - 10, 90.0: 30 - 20}
    expected = sum(width * _expected_improvement(mean, std, a) for a, width in stairs.items())
    assert _improvement([mean, -size], [std, 0.0]) == pytest.approx(expected, rel=1e-9)


def test_one_metric_is_expected_improvement() -> None:
    boxes = improvement_boxes(np.array([[1.0], [3.0], [2.0]]), np.array([0.0]))
    assert _improvement([3.0], [1.0], boxes) == pytest.approx(1 / math.sqrt(2 * math.pi))
    empty = improvement_boxes(np.empty((0, 1)), np.array([0.0]))
    assert _improvement([2.0], [0.0], empty) == pytest.approx(2.0)


def test_without_a_frontier_all_beyond_the_reference_counts() -> None:
    for outcomes in (np.empty((0, 2)), np.array([[49.0, -1.0], [90.0, -31.0]])):
        boxes = improvement_boxes(outcomes, REFERENCE)
        assert _improvement([60.0, -25.0], [0.0, 0.0], boxes) == pytest.approx(10 * 5)


def test_dominated_and_repeated_rows_change_nothing() -> None:
    more = np.vstack([FRONTIER, FRONTIER, [[70.0, -15.0]]])
    boxes = improvement_boxes(more, REFERENCE)
    expected = _improvement([84.0, -8.0], [3.0, 0.0])
    assert _improvement([84.0, -8.0], [3.0, 0.0], boxes) == pytest.approx(expected)


@pytest.mark.parametrize("known", [(1,), (), (2,), (1, 2)], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_monte_carlo(known: tuple[int, ...], seed: int) -> None:
    """Random frontiers of two or three metrics against sampled hypervolumes."""
    rng = np.random.default_rng([seed, *known])
    metrics = 3 if 2 in known or not known else 2
    front = rng.uniform(high=0.9, size=(6, metrics))
    reference = np.full(metrics, 0.1)
    mean = rng.uniform(0.7, 1.0, size=metrics)
    std = rng.uniform(0.05, 0.3, size=metrics)
    std[list(known)] = 0.0
    improvement = _sampled_improvements(front, reference, rng.normal(mean, std, (4000, metrics)))
    boxes = improvement_boxes(front, reference)
    exact = _improvement(list(mean), list(std), boxes)
    error = improvement.std() / math.sqrt(len(improvement))
    assert (improvement > 0).mean() > 0.05
    assert abs(improvement.mean() - exact) <= 4 * error + 1e-12


def test_far_below_the_frontier_candidates_still_differ() -> None:
    boxes = improvement_boxes(FRONTIER, REFERENCE)
    accuracies = [40.0, 0.0, -1e3, -1e5, -1e7]
    mean = np.array([[accuracy, -25.0] for accuracy in accuracies])
    std = np.tile([1.0, 0.0], (len(accuracies), 1))
    log = log_expected_hypervolume_improvement(mean, std, boxes)
    assert np.isfinite(log).all()
    assert (np.diff(log) < 0).all()


@pytest.mark.parametrize("u", [-2.0, -1.0, -0.999, 0.0, 3.0, 30.0])
def test_expected_improvement_by_integration(u: float) -> None:
    boxes = improvement_boxes(np.empty((0, 1)), np.array([0.0]))
    assert _improvement([u], [1.0], boxes) == pytest.approx(_expected_improvement(u, 1.0, 0.0))


@pytest.mark.parametrize("u", [-50.0, -9_999.0, -10_001.0, -1e6])
def test_log_expected_improvement_by_its_asymptotic_series(u: float) -> None:
    """phi(u) / u^2 (1 - 3 / u^2 + 15 / u^4 - ...), from repeated integration by parts."""
    series = 1 - 3 / u**2 + 15 / u**4 - 105 / u**6
    expected = -(u**2) / 2 - math.log(2 * math.pi) / 2 - 2 * math.log(-u) + math.log(series)
    boxes = improvement_boxes(np.empty((0, 1)), np.array([0.0]))
    log = log_expected_hypervolume_improvement(np.array([[u]]), np.array([[1.0]]), boxes)
    assert log[0] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    mean=st.floats(0, 100),
    std=st.floats(1e-3, 30),
    size=st.floats(1, 40),
    more=st.floats(0, 10),
)
def test_better_or_less_certain_is_never_worth_less(
    mean: float, std: float, size: float, more: float
) -> None:
    boxes = improvement_boxes(FRONTIER, REFERENCE)
    means = np.array([[mean, -size], [mean + more, -size], [mean, more - size], [mean, -size]])
    stds = np.array([[std, 0.0], [std, 0.0], [std, 0.0], [std + more, 0.0]])
    log = log_expected_hypervolume_improvement(means, stds, boxes)
    assert (log[1:] >= log[0] - 1e-9).all() or np.isneginf(log[0])


@pytest.mark.parametrize("certain", [False, True])
def test_samples_of_hyperparameters_are_judged_one_by_one(certain: bool) -> None:
    """Two dimensions of samples, where each candidate's outcome is another in each."""
    rng = np.random.default_rng(0)
    mean = rng.uniform([40.0, -40.0], [100.0, 0.0], size=(3, 2, 7, 2))
    std = rng.uniform(0.1, 9.0, size=mean.shape)
    std[..., 1] = 0.0
    if certain:
        std[..., 0] = 0.0
    boxes = improvement_boxes(FRONTIER, REFERENCE)
    logs = log_expected_hypervolume_improvement(mean, std, boxes)
    assert logs.shape == (3, 2, 7)
    for i, j, k in np.ndindex(3, 2, 7):
        alone = _improvement(list(mean[i, j, k]), list(std[i, j, k]), boxes)
        assert math.exp(logs[i, j, k]) == pytest.approx(alone, rel=1e-9, abs=1e-300)


def test_an_average_is_taken_of_what_has_the_logarithms() -> None:
    values = np.array([[1.0, 0.0, 0.0], [3.0, 4.0, 0.0]])
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    np.testing.assert_allclose(np.exp(log_average(logs)), [2.0, 2.0, 0.0])
    np.testing.assert_allclose(log_average(np.array([[-2000.0], [-2000.0]])), [-2000.0])


def test_probability_within_a_threshold() -> None:
    mean, std = np.array([50.0, 51.96, -1e4]), np.array([1.0, 1.0, 1.0])
    log = log_probability_within(mean, std, 50.0)
    np.testing.assert_allclose(np.exp(log), [0.5, 0.975, 0.0], atol=1e-4)
    assert np.isfinite(log).all()


def _expected_improvement(mean: float, std: float, best: float) -> float:
    def weighted(value: float) -> float:
        return float((value - best) * norm.pdf(value, mean, std))

    top = max(mean, best) + 12 * std
    value, _ = quad(weighted, best, top, points=[max(mean, best)], epsabs=1e-13, limit=200)
    return float(value)


def _sampled_improvements(
    front: NDArray[np.float64], reference: NDArray[np.float64], draws: NDArray[np.float64]
) -> NDArray[np.float64]:
    def volume(points: NDArray[np.float64]) -> float:
        return float(moocore.hypervolume(points, ref=reference, maximise=True))

    before = volume(front)
    return np.array([volume(np.vstack([front, draw])) - before for draw in draws])
