"""Bell curves over the places between 0 and 1, against scipy's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from limbeck.errors import ConfigError
from limbeck.scale import BellCurve, Prior, Scale

SHARES = np.linspace(0.0, 1.0, 101)
CURVES = st.builds(
    BellCurve,
    center=st.floats(min_value=0.0, max_value=1.0),
    spread=st.floats(min_value=1e-2, max_value=1e2),
)


def _oracle(curve: BellCurve) -> truncnorm:
    start, end = -curve.center / curve.spread, (1 - curve.center) / curve.spread
    return truncnorm(start, end, loc=curve.center, scale=curve.spread)


@given(CURVES)
def test_a_bell_curve_is_a_truncated_normal_distribution(curve):
    inner = SHARES[1:-1]
    np.testing.assert_allclose(curve.quantile(inner), _oracle(curve).ppf(inner), atol=1e-9)
    logs = curve.log_density(SHARES) - curve.log_density(np.array([0.5]))
    expected = _oracle(curve).logpdf(SHARES) - _oracle(curve).logpdf(0.5)
    np.testing.assert_allclose(logs, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("center", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("spread", [1e4, 1e9, 1e300])
def test_a_curve_that_is_all_but_flat_leaves_places_where_they_are(center, spread):
    places = BellCurve(center=center, spread=spread).quantile(SHARES)
    np.testing.assert_allclose(places, SHARES, atol=1e-8)


@pytest.mark.parametrize("center", [0.0, 0.3, 1.0])
def test_a_curve_that_is_all_but_a_point_stays_in_the_range(center):
    places = BellCurve(center=center, spread=1e-6).quantile(SHARES)
    np.testing.assert_allclose(places[1:-1], center, atol=1e-5)
    assert (places >= 0).all()
    assert (places <= 1).all()


@pytest.mark.parametrize(
    ("scale", "near", "center"),
    [
        (Scale(low=-1.0, high=3.0, log=False, step=None), 0.0, 0.25),
        (Scale(low=1e-5, high=1e-3, log=True, step=None), 1e-4, 0.5),
        (Scale(low=1, high=4, log=False, step=1), 1, 0.125),
        (Scale(low=1, high=4, log=False, step=1), 2.5, 0.5),
        (Scale(low=2.0, high=2.0, log=False, step=None), 2.0, 0.5),
    ],
    ids=["float", "log", "first of four", "between two", "one value"],
)
def test_a_prior_lies_on_its_numbers_scale(scale, near, center):
    curve = Prior(near=near, spread=0.2).over(scale)
    assert curve.center == pytest.approx(center)
    assert curve.spread == 0.2


@pytest.mark.parametrize(
    ("near", "spread", "message"),
    [
        (0.9, 0.1, r"near must be between 1 and 6, but got 0\.9"),
        (7, 0.1, r"near must be between 1 and 6, but got 7"),
        (float("nan"), 0.1, r"near must be between 1 and 6, but got nan"),
        (2, 0.0, r"spread must be positive and finite, but got 0\.0"),
        (2, -0.1, r"spread must be positive and finite, but got -0\.1"),
        (2, float("inf"), r"spread must be positive and finite, but got inf"),
        (2, float("nan"), r"spread must be positive and finite, but got nan"),
    ],
)
def test_a_prior_that_is_none_is_refused(near, spread, message):
    with pytest.raises(ConfigError, match=rf"^space\.layers\.prior: {message}$"):
        Prior(near=near, spread=spread).check("layers", Scale(low=1, high=6, log=False, step=1))
