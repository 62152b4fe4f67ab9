"""Limits that a user puts on metrics: ``num_parameters <= 20M``, ``latency_ms=8``."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from limbeck.analysis.named import find_metric, has_goal, with_recorded
from limbeck.errors import ConfigError, NotFoundError
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run
from limbeck.wording import format_value

_SCALES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_LIMIT = re.compile(r"(?P<name>[^<>=≤≥]+)(?P<sign><=|>=|≤|≥|=)(?P<bound>[^<>=≤≥]+)")
_SIGNS: dict[str, Literal["at most", "at least"]] = {
    "<=": "at most",
    "≤": "at most",
    ">=": "at least",
    "≥": "at least",
}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a run must keep.

    Attributes:
        metric: Of which metric.
        side: Which side of the bound is allowed; the bound itself is.
        bound: In the metric's unit.
    """

    metric: Metric
    side: Literal["at most", "at least"]
    bound: float

    @property
    def text(self) -> str:
        """The limit for people: ``latency_ms at most 8.00 ms``."""
        return f"{self.metric.name} {self.side} {format_value(self.bound, self.metric)}"

    def allows(self, run: Run) -> bool:
        """Whether a run keeps it; never without a finite value."""
        value = run.values.get(self.metric.name, math.nan)
        if not math.isfinite(value):
            return False
        return value <= self.bound if self.side == "at most" else value >= self.bound


def parse_limit(text: str, metrics: tuple[Metric, ...], recorded: Iterable[str] = ()) -> Limit:
    """Return the limit that a text says.

    The text is a metric's name, one of ``<=``, ``>=`` and ``=``, and a number, which k, M or G and
    the metric's unit may follow. ``=`` means at most for a metric to be minimized, else at least.

    Args:
        text: ``num_parameters=20M``, ``latency_ms <= 8 ms``, ``exact>=60%``.
        metrics: Those of the study; stored ones may be limited, too.
        recorded: Names of what else runs have values of.

    Raises:
        ConfigError: If it is no limit, there is no such metric, or it is not said which side of
            the number is allowed.
    """
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ConfigError(f"a limit must be METRIC<=NUMBER, METRIC>=NUMBER or =, but got {text!r}")
    try:
        metric = find_metric(with_recorded(metrics, recorded), match["name"].strip())
    except NotFoundError as error:
        raise ConfigError(f"the limit {text!r} needs a metric, but there is {error}") from None
    bound = _number(match["bound"].strip(), metric)
    if bound is None:
        raise ConfigError(
            f"the limit {text!r} needs a number such as 8, 0.5 or 20M, but got "
            f"{match['bound'].strip()!r}"
        )
    side = _SIGNS.get(match["sign"])
    if side is None:
        if not has_goal(metric, metrics):
            raise ConfigError(
                f"nobody said whether a large or a small {metric.name} is better; write "
                f"'{metric.name}<=NUMBER' or '{metric.name}>=NUMBER' instead of {text!r}"
            )
        side = "at most" if metric.goal is Goal.MINIMIZE else "at least"
    return Limit(metric=metric, side=side, bound=bound)


def _number(text: str, metric: Metric) -> float | None:
    """Return a number with its letter and unit; None if it is none, or not finite."""
    text = text.removesuffix(metric.unit).rstrip()
    letter = text[-1:] if text[-1:] in _SCALES else ""
    try:
        number = float(text.removesuffix(letter)) * _SCALES[letter]
    except ValueError:
        return None
    return number if math.isfinite(number) else None
