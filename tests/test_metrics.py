import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.errors import ConfigError
from limbeck.metrics import Goal, Metric, Role, is_usable, optimized

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=55.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
LATENCY = Metric(name="latency_ms", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=20.0)
F1 = Metric(name="f1", goal=Goal.MAXIMIZE, role=Role.STORE)
METRICS = (F1, EXACT, LATENCY, SIZE)


def test_a_constraint_without_threshold_is_refused():
    with pytest.raises(
        ConfigError,
        match=r'^metrics\.f1: role = "constrain" needs a threshold; '
        r'add one, or use role = "store"$',
    ):
        Metric(name="f1", goal=Goal.MAXIMIZE, role=Role.CONSTRAIN)


def test_a_stored_metric_with_threshold_is_refused():
    with pytest.raises(
        ConfigError,
        match=r'^metrics\.f1: role = "store" takes no threshold, but got 0\.0; '
        r'remove it, or use role = "constrain"$',
    ):
        Metric(name="f1", goal=Goal.MAXIMIZE, role=Role.STORE, threshold=0.0)


def test_goal_and_role_may_be_text():
    """As text they would be neither goal and neither role, and be judged as the last of them."""
    text: Any = {"goal": "maximize", "role": "store"}
    metric = Metric(name="f1", **text)
    assert metric.goal is Goal.MAXIMIZE
    assert metric.role is Role.STORE
    assert metric == F1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"goal": "maximise"},
            r"goal must be one of \['maximize', 'minimize'\], but got 'maximise'",
        ),
        ({"goal": True}, r"goal must be one of \['maximize', 'minimize'\], but got True"),
        (
            {"goal": Goal.MINIMIZE, "role": "constraint"},
            r"role must be one of \['optimize', 'constrain', 'store'\], but got 'constraint'",
        ),
    ],
)
def test_another_goal_or_role_is_refused(given, message):
    with pytest.raises(ConfigError, match=rf"^metrics\.f1: {message}$"):
        Metric(name="f1", **given)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("role", [Role.OPTIMIZE, Role.CONSTRAIN])
def test_a_threshold_that_is_not_finite_is_refused(role, threshold):
    with pytest.raises(
        ConfigError,
        match=rf"^metrics\.f1: threshold must be a finite number, but got {threshold}$",
    ):
        Metric(name="f1", goal=Goal.MAXIMIZE, role=role, threshold=threshold)


@pytest.mark.parametrize("threshold", [None, 0.0, -1.0])
def test_an_optimized_metric_takes_any_finite_threshold_or_none(threshold):
    assert Metric(name="f1", goal=Goal.MAXIMIZE, threshold=threshold).threshold == threshold


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_larger_is_better_orders_values_by_their_goal(one, other):
    assert (EXACT.larger_is_better(one) > EXACT.larger_is_better(other)) == (one > other)
    assert (SIZE.larger_is_better(one) > SIZE.larger_is_better(other)) == (one < other)


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        (EXACT, 55.0, True),
        (EXACT, math.nextafter(55.0, 0.0), False),
        (EXACT, math.inf, True),
        (EXACT, -math.inf, False),
        (EXACT, math.nan, False),
        (LATENCY, 20.0, True),
        (LATENCY, math.nextafter(20.0, 21.0), False),
        (LATENCY, -math.inf, True),
        (LATENCY, math.inf, False),
        (LATENCY, math.nan, False),
        (SIZE, 1e300, True),
        (SIZE, math.nan, False),
    ],
)
def test_the_threshold_itself_is_within_and_nan_never(metric, value, expected):
    assert metric.within_threshold(value) is expected


USABLE = {"exact": 55.0, "num_parameters": 1e6, "latency_ms": 20.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"f1": math.nan}, True),
        ({"other": math.inf}, True),
        ({"exact": 54.9}, False),
        ({"latency_ms": 20.1}, False),
        ({"latency_ms": math.nan}, False),
        ({"latency_ms": -math.inf}, False),
        ({"exact": math.inf}, False),
        ({"num_parameters": math.inf}, False),
        ({"num_parameters": math.nan}, False),
    ],
)
def test_a_run_is_usable_if_all_but_stored_metrics_are_finite_and_within(change, expected):
    assert is_usable(METRICS, {**USABLE, **change}) is expected


@pytest.mark.parametrize("missing", USABLE)
def test_a_missing_value_makes_a_run_unusable(missing):
    values = {name: value for name, value in USABLE.items() if name != missing}
    assert not is_usable(METRICS, values)


def test_optimized_metrics_keep_their_order():
    assert optimized(METRICS) == (EXACT, SIZE)
    assert optimized((SIZE, F1, EXACT)) == (SIZE, EXACT)
