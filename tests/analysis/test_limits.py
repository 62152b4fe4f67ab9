"""Limits as users type them."""

import math

import pytest

from limbeck.analysis.limits import parse_limit
from limbeck.errors import ConfigError
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%")
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE)
LATENCY = Metric(name="latency_ms", goal=Goal.MINIMIZE, unit="ms", role=Role.STORE)
MEMORY = Metric(name="peak memory", goal=Goal.MINIMIZE, unit="B", role=Role.STORE)
METRICS = (EXACT, SIZE, LATENCY, MEMORY)


@pytest.mark.parametrize(
    ("text", "name", "side", "bound"),
    [
        ("num_parameters=20M", "num_parameters", "at most", 2e7),
        ("num_parameters <= 20.5 M", "num_parameters", "at most", 2.05e7),
        ("num_parameters≥3k", "num_parameters", "at least", 3e3),
        ("num_parameters=1.1e8", "num_parameters", "at most", 1.1e8),
        ("latency_ms <= 8 ms", "latency_ms", "at most", 8.0),
        ("latency_ms=8ms", "latency_ms", "at most", 8.0),
        ("exact=60", "exact", "at least", 60.0),
        ("exact<=60%", "exact", "at most", 60.0),
        ("exact=-1", "exact", "at least", -1.0),
        ("peak memory=2GB", "peak memory", "at most", 2e9),
        ("bytes=64MB", "bytes", "at most", 6.4e7),
        ("total>=10", "total", "at least", 10.0),
    ],
)
def test_a_limit_is_read(text: str, name: str, side: str, bound: float) -> None:
    limit = parse_limit(text, METRICS, ["bytes", "total"])
    assert limit.metric.name == name
    assert str(limit.side) == side
    assert limit.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exact", "must be METRIC<=NUMBER"),
        ("exact<60", "must be METRIC<=NUMBER"),
        ("exact=", "must be METRIC<=NUMBER"),
        ("exact=60=70", "must be METRIC<=NUMBER"),
        ("latency=8", "no metric 'latency'; did you mean 'latency_ms'"),
        ("exact=many", "needs a number such as 8, 0.5 or 20M, but got 'many'"),
        ("exact=nan", "but got 'nan'"),
        ("exact=inf", "but got 'inf'"),
        ("exact=8 ms", "but got '8 ms'"),
        ("exact=M", "but got 'M'"),
        ("total=10", r"write 'total<=NUMBER' or 'total>=NUMBER'"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_limit(text, METRICS, ["total"])


def test_the_bound_itself_is_allowed_and_no_value_is_not() -> None:
    limit = parse_limit("latency_ms=8", METRICS)

    def allows(**values: float) -> bool:
        return limit.allows(Run(number=0, parameters={}, state=RunState.FINISHED, values=values))

    assert allows(latency_ms=8.0)
    assert not allows(latency_ms=8.001)
    assert not allows()
    assert not allows(latency_ms=math.nan)
    assert not allows(latency_ms=-math.inf)
    assert limit.text == "latency_ms at most 8.00 ms"
