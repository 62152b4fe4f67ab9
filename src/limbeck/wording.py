"""Values as people read them, in tables and figures alike."""

import math

from limbeck.metrics import Metric

_SCALES = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, ""))
"""From which size on values are divided by what, and the letter that says so."""


def format_value(value: float, metric: Metric, error: float | None = None) -> str:
    """Return a value with its unit, large ones in thousands, millions or billions.

    Args:
        value: The value.
        metric: Has its unit.
        error: Its standard error, if it has one; then it reads ``37.20 ± 1.69 %``.
    """
    if not math.isfinite(value):
        return str(value)
    _, scale, letter = next(row for row in _SCALES if abs(value) >= row[0])
    whole = scale == 1 and value == int(value) and not metric.unit and error is None
    number = f"{value / scale:.{0 if whole else 2}f}"
    spread = "" if error is None else f" ± {error / scale:.2f}"
    return f"{number}{spread} {letter}{metric.unit}".rstrip()


def short_value(value: object) -> str:
    """Return a parameter's value with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def p_text(p_value: float) -> str:
    """Return a p-value as it is written after the letter: ``= 0.034``, or ``< 0.001``."""
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.2g}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
