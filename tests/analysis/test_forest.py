import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from limbeck.analysis.forest import Forests, interval

SLOPES = np.array([4.0, 2.0, 1.0, 0.0, 0.0])


def points(n: int, *, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points, values with noise, and the values without it."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, 5))
    exact = X @ SLOPES
    return X, exact + noise * rng.standard_normal(n), exact


def mean_error(forests: Forests, X: np.ndarray, exact: np.ndarray) -> float:
    return float(np.square(forests.predict(X).mean(axis=0) - exact).mean())


def test_a_correction_halves_the_error_where_there_is_something_to_correct() -> None:
    X, y, _ = points(200, noise=0.1)
    fresh, _, exact = points(2000, noise=0.0, seed=1)
    plain = RandomForestRegressor(144, random_state=0).fit(X, y)
    forests = Forests.fit(X, y, seed=0)
    assert forests.weights[1] > 0.5
    assert mean_error(forests, fresh, exact) < 0.6 * np.square(plain.predict(fresh) - exact).mean()


def test_there_is_no_correction_where_all_that_is_left_is_noise() -> None:
    X, _, _ = points(70, noise=0.0)
    y = np.random.default_rng(2).standard_normal(70)
    forests = Forests.fit(X, y, seed=0)
    assert forests.weights == (1.0,)
    of_each = np.array([forest.predict(X) for forest in forests.layers[0]])
    assert forests.predict(X).tolist() == of_each.tolist()


def test_unseen_predictions_tell_the_error_on_fresh_values() -> None:
    X, y, exact = points(500, noise=0.5)
    forests = Forests.fit(X, y, seed=0)
    fresh, _, truth = points(2000, noise=0.0, seed=3)
    unseen = np.square(forests.unseen - exact).mean()
    # About five forests predict a value that twelve predict elsewhere: a little worse.
    assert mean_error(forests, fresh, truth) <= unseen <= 1.7 * mean_error(forests, fresh, truth)
    # Predictions by forests that saw the values would be much nearer to them than to the truth.
    assert np.square(forests.unseen - y).mean() > 0.25


@pytest.mark.parametrize("n", [8, 30])
def test_no_value_has_an_effect_on_its_own_unseen_prediction(n: int) -> None:
    X, _, _ = points(n, noise=0.0)
    for row in range(n):
        alone = np.where(np.arange(n) == row, 100.0, 0.0)
        forests = Forests.fit(X, alone, seed=0)
        assert forests.weights == (1.0,)
        assert forests.unseen[row] == 0.0


def test_a_constant_is_predicted_without_a_correction() -> None:
    X, _, _ = points(20, noise=0.0)
    forests = Forests.fit(X, np.full(20, 3.0), seed=0)
    assert forests.predict(X).tolist() == [[3.0] * 20] * 12
    assert forests.weights == (1.0,)


def test_corrections_end_where_they_no_longer_help() -> None:
    X = np.random.default_rng(4).random((400, 3))
    wave = 5 * np.sin(6 * X[:, 0]) * np.sin(6 * X[:, 1]) + X[:, 2]
    forests = Forests.fit(X, wave, seed=0)
    assert 2 <= len(forests.layers) <= 3
    assert all(0 < weight <= 1 for weight in forests.weights)
    fresh = np.random.default_rng(7).random((2000, 3))
    exact = 5 * np.sin(6 * fresh[:, 0]) * np.sin(6 * fresh[:, 1]) + fresh[:, 2]
    first = np.mean([forest.predict(fresh) for forest in forests.layers[0]], axis=0)
    assert mean_error(forests, fresh, exact) < 0.9 * np.square(first - exact).mean()


def test_random_columns_are_each_forests_own_and_matter_little() -> None:
    X, y, exact = points(300, noise=0.1)
    forests = Forests.fit(X, y, random_columns=4, seed=0)
    wide = np.hstack([X, np.random.default_rng(5).random((300, 4))])
    importances = [forest.feature_importances_ for forest in forests.layers[0]]
    assert len({tuple(each[5:].tolist()) for each in importances}) == 12
    assert max(each[5:].max() for each in importances) < min(each[2] for each in importances)
    assert mean_error(forests, wide, exact) < 0.05 * exact.var()


def test_intervals_of_a_mean_are_about_as_wide_as_its_standard_error_says() -> None:
    # What forests predict of a single point is nearly the mean of what they saw.
    rng = np.random.default_rng(6)
    widths = []
    for seed in range(20):
        y = rng.standard_normal(100)
        forests = Forests.fit(np.zeros((100, 1)), y, seed=seed)
        of_each = forests.predict(np.zeros((1, 1)))
        low, high = interval(of_each.mean(axis=0), of_each)
        widths.append(float((high - low)[0]) / (2 * 1.645 * y.std() / 10))
    assert np.mean(widths) == pytest.approx(1.0, abs=0.2)
