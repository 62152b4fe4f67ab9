import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from limbeck.analysis.forest import Forest


def points(n: int, *, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points, values with noise, and the values without it."""
    rng = np.random.default_rng(0)
    X = rng.random((n, 5))
    exact = 4 * X[:, 0] + 2 * X[:, 1] + X[:, 2]
    return X, exact + noise * rng.standard_normal(n), exact


def test_a_correction_halves_the_error_where_there_is_something_to_correct() -> None:
    X, y, _ = points(200, noise=0.1)
    fresh = np.random.default_rng(1).random((2000, 5))
    exact = fresh @ [4.0, 2.0, 1.0, 0.0, 0.0]
    plain = RandomForestRegressor(80, random_state=0).fit(X, y)
    forest = Forest.fit(X, y, trees=80, seed=0)
    errors = [np.square(model.predict(fresh) - exact).mean() for model in (plain, forest)]
    assert forest.weights[1] > 0.5
    assert errors[1] < 0.6 * errors[0]


def test_there_is_no_correction_where_all_that_is_left_is_noise() -> None:
    X, _, _ = points(70, noise=0.0)
    y = np.random.default_rng(2).standard_normal(70)
    forest = Forest.fit(X, y, trees=80, seed=0)
    assert forest.weights == (1.0,)
    assert forest.predict(X).tolist() == forest.forests[0].predict(X).tolist()


def test_unseen_predictions_tell_the_error_on_fresh_values() -> None:
    X, y, exact = points(500, noise=0.5)
    forest = Forest.fit(X, y, trees=80, seed=0)
    unseen = np.square(forest.unseen - exact).mean()
    fresh = np.random.default_rng(3).random((2000, 5))
    error = np.square(forest.predict(fresh) - fresh @ [4.0, 2.0, 1.0, 0.0, 0.0]).mean()
    assert unseen == pytest.approx(error, rel=0.3)
    # Predictions by trees that saw the values would be much nearer to them than to the truth.
    assert np.square(forest.unseen - y).mean() > 0.25


def test_a_constant_is_predicted_without_a_correction() -> None:
    X, _, _ = points(20, noise=0.0)
    forest = Forest.fit(X, np.full(20, 3.0), trees=40, seed=0)
    assert forest.predict(X).tolist() == [3.0] * 20
    assert forest.weights == (1.0,)


def test_corrections_end_where_they_no_longer_help() -> None:
    X = np.random.default_rng(4).random((400, 3))
    wave = 5 * np.sin(6 * X[:, 0]) * np.sin(6 * X[:, 1]) + X[:, 2]
    forest = Forest.fit(X, wave, trees=80, seed=0)
    assert 2 <= len(forest.forests) <= 3
    assert all(0 < weight <= 1 for weight in forest.weights)
    single = RandomForestRegressor(80, oob_score=True, random_state=0).fit(X, wave)
    errors = [np.square(each - wave).mean() for each in (forest.unseen, single.oob_prediction_)]
    assert errors[0] < 0.9 * errors[1]
