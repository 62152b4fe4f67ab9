"""Values as people read them."""

import pytest

from limbeck.metrics import Goal, Metric
from limbeck.wording import duration, format_value, p_text


@pytest.mark.parametrize(
    ("value", "unit", "error", "text"),
    [
        (37.2, "%", 1.6949, "37.20 ± 1.69 %"),
        (37.2, "%", None, "37.20 %"),
        (100.0, "%", 0.0, "100.00 ± 0.00 %"),
        (37.0, "", 1.5, "37.00 ± 1.50"),
        (37.0, "", None, "37"),
        (0.0, "", None, "0"),
        (-37.5, "", None, "-37.50"),
        (9_999.0, "", None, "9999"),
        (12_345.0, "B", 678.0, "12.35 ± 0.68 kB"),
        (45_200_000.0, "", None, "45.20 M"),
        (-2.5e9, "", 1e7, "-2.50 ± 0.01 G"),
        (float("nan"), "%", None, "nan"),
        (float("-inf"), "%", 1.0, "-inf"),
    ],
)
def test_values_are_written_with_their_errors_in_the_same_unit(
    value: float, unit: str, error: float | None, text: str
) -> None:
    metric = Metric(name="some", goal=Goal.MAXIMIZE, unit=unit)
    assert format_value(value, metric, error) == text


def test_p_values_are_written_with_two_digits() -> None:
    assert [p_text(p) for p in (0.0004, 0.00312, 0.5, 1.0)] == [
        "< 0.001",
        "= 0.0031",
        "= 0.5",
        "= 1",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_599, "1 h 0 min"), (12_000, "3 h 20 min"),
     (90_000, "1 d 1 h")],
)  # fmt: skip
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
