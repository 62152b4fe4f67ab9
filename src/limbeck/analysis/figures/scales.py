"""Where values of parameters and metrics stand on a linear axis, and what is written beside it.

Numbers on a log scale stand at their common logarithm, choices at their index, and what has no
value below all others: plotly's axes of parallel coordinates know neither.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape

from limbeck.analysis.figures.style import LOG_SPAN, plain
from limbeck.metrics import Goal, Metric
from limbeck.space import Choice, Float, Integer, Parameter, Value
from limbeck.wording import short_value

ABSENT = "absent"
"""Stands at the place of a run that does not have the parameter or the value."""

MAX_MARKED = 13
"""Whole numbers up to so many are marked one by one."""

_PANEL_TEXT = 22
"""Characters that stand beside each other below one of three panels on a page of 600 pixels."""
_MARGIN = 0.12  # Of the axis: how far below its low end the absent ones stand.
_HIDDEN = "\u200b"  # A space of no width: so many make the text of a mark that shows none.


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """Marks of an axis.

    Attributes:
        places: Where they are, ascending.
        texts: What is written beside them, none twice; marks between the others show nothing.
    """

    places: tuple[float, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The line that the values of a parameter or a metric stand on.

    Attributes:
        name: Of the parameter or metric, as the data have it.
        low: Its lower end, the absent ones aside.
        high: Its upper end, above the lower one.
        log: Whether values stand at their common logarithm.
        choices: Values that stand at their index; empty for numbers.
        has_absent: Whether some run has no value.
        whole: Whether values are whole numbers.
        step: Distance of neighbouring whole numbers.
    """

    name: str
    low: float
    high: float
    log: bool = False
    choices: tuple[Value, ...] = ()
    has_absent: bool = False
    whole: bool = False
    step: int = 1

    @property
    def absent(self) -> float:
        """Place of the runs that have no value."""
        return self.low - _MARGIN * (self.high - self.low)

    @property
    def bottom(self) -> float:
        """The lowest place on the axis."""
        return self.absent if self.has_absent else self.low

    def place(self, value: Value | None) -> float:
        """Return where a value stands; None and numbers that are not finite are absent."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return self.absent
        if self.choices:
            return float(_index(self.choices, value))
        number = float(value)
        if not self.log:
            return number
        return math.log10(number) if number > 0 else self.absent

    def ticks(self) -> Ticks:
        """Return the marks of the axis, the place of the absent ones among them."""
        if self.choices:
            marks = {float(i): _unmarked(choice) for i, choice in enumerate(self.choices)}
        elif self.log:
            marks = _log_marks(self.low, self.high)
        elif self.whole and self._count <= MAX_MARKED:
            numbers = range(round(self.low), round(self.high) + 1, self.step)
            marks = {float(number): str(number) for number in numbers}
        else:
            marks = _linear_marks(self.low, self.high)
        if self.has_absent:
            marks = {self.absent: ABSENT, **marks}
        return Ticks(places=tuple(marks), texts=_distinct(list(marks.values())))

    @property
    def continuous(self) -> bool:
        """Whether plotly can mark the axis itself, so that it is brushed without steps."""
        many = self.whole and self._count > MAX_MARKED
        return not (self.choices or self.log or self.has_absent or (self.whole and not many))

    @property
    def _count(self) -> int:
        return round((self.high - self.low) / self.step) + 1


def parameter_axis(parameter: Parameter, values: Sequence[Value | None]) -> Axis:
    """Return the axis of a parameter.

    Args:
        parameter: The range is its own, so that the figure shows what was not tried, too.
        values: Of the runs; None where one does not have it.
    """
    there = [value for value in values if value is not None]
    has_absent = len(there) < len(values)
    if isinstance(parameter, Choice):
        extra = [value for value in there if not _is_among(parameter.choices, value)]
        choices = (*parameter.choices, *dict.fromkeys(extra))
        return Axis(
            name=parameter.name,
            low=-0.5,
            high=len(choices) - 0.5,
            choices=choices,
            has_absent=has_absent,
        )
    numbers = [float(value) for value in there if not isinstance(value, str)]
    low, high = min([parameter.low, *numbers]), max([parameter.high, *numbers])
    return _number_axis(parameter, low=low, high=high, has_absent=has_absent)


def _number_axis(parameter: Float | Integer, *, low: float, high: float, has_absent: bool) -> Axis:
    if parameter.log and low > 0:
        low, high = _log_line(low, high)
        return Axis(name=parameter.name, low=low, high=high, log=True, has_absent=has_absent)
    whole = isinstance(parameter, Integer)
    low, high = _line(low, high, whole=whole)
    return Axis(
        name=parameter.name,
        low=low,
        high=high,
        has_absent=has_absent,
        whole=whole,
        step=parameter.step if isinstance(parameter, Integer) else 1,
    )


def metric_axis(metric: Metric, values: Sequence[float | None]) -> Axis:
    """Return the axis of a metric, from its least value to its largest.

    A cost whose values span a wide range gets a log axis, as in other figures.

    Args:
        metric: The metric.
        values: Of the runs; None or a number that is not finite where one has none.
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    log = metric.goal is Goal.MINIMIZE and 0 < low * LOG_SPAN < high
    low, high = _log_line(low, high) if log else _line(low, high)
    return Axis(name=metric.name, low=low, high=high, log=log, has_absent=len(finite) < len(values))


def choice_angle(axis: Axis) -> int:
    """Return the angle of the marks of an axis in a narrow panel, in degrees: 0 for numbers."""
    texts = axis.ticks().texts
    return -30 if axis.choices and sum(map(len, texts)) + 2 * len(texts) > _PANEL_TEXT else 0


def engineering(number: float) -> str:
    """Return a number with three digits and the letter of its thousands: 17.2M, 384, 5e-05."""
    for least, scale, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(number) >= least:
            return f"{number / scale:.3g}{letter}"
    return f"{number:.4g}" if abs(number) >= 1000 else f"{number:.3g}"


def _line(low: float, high: float, *, whole: bool = False) -> tuple[float, float]:
    """Return the ends of a linear axis: wider than the values where these are (nearly) the same."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    half = 1.0 if whole else 0.5 * abs(low) or 0.5
    return low - half, high + half


def _log_line(low: float, high: float) -> tuple[float, float]:
    """Return the ends of a log axis between two values, as logarithms."""
    ends = math.log10(low), math.log10(high)
    return ends if ends[1] - ends[0] > 1e-6 else (ends[0] - 0.5, ends[1] + 0.5)


def _log_marks(low: float, high: float) -> dict[float, str]:
    """Return marks between two common logarithms, those for the eye with texts."""
    first, last = math.floor(low), math.ceil(high)
    shown = (1, 2, 5) if high - low < 3 else (1,)
    marks = {}
    for exponent in range(first, last + 1):
        for digit in range(1, 10):
            place = exponent + math.log10(digit)
            if low - 1e-9 <= place <= high + 1e-9:
                marks[place] = engineering(float(f"{digit}e{exponent}")) if digit in shown else ""
    if not any(marks.values()):
        marks = {place: engineering(10**place) for place in (low, *marks, high)}
    return dict(sorted(marks.items()))


def _linear_marks(low: float, high: float) -> dict[float, str]:
    """Return marks at round numbers, every fifth of the finest ones with a text."""
    step = _round_step((high - low) / 5)
    fine = step / 5
    marks = {}
    for i in range(math.ceil(low / fine - 1e-9), math.floor(high / fine + 1e-9) + 1):
        number = i * fine
        marks[number] = engineering(round(number, 12)) if i % 5 == 0 else ""
    return marks


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below a number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _unmarked(value: Value) -> str:
    """Return a choice as one short line; such texts are shown as they are, tags and all."""
    return unescape(plain(short_value(value), limit=18))


def _distinct(texts: list[str]) -> tuple[str, ...]:
    """Return texts none of which is there twice: plotly would put both at one place."""
    seen: set[str] = set()
    for index, text in enumerate(texts):
        while texts[index] in seen:
            texts[index] = text = text + _HIDDEN
        seen.add(texts[index])
    return tuple(texts)


def _index(choices: Sequence[Value], value: Value) -> int:
    return next(i for i, each in enumerate(choices) if _same(each, value))


def _is_among(choices: Sequence[Value], value: Value) -> bool:
    return any(_same(each, value) for each in choices)


def _same(one: Value, other: Value) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other
