"""What a run is judged by."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from limbeck.errors import ConfigError

_Kind = TypeVar("_Kind", bound=StrEnum)


class Goal(StrEnum):
    """Which way is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


class Role(StrEnum):
    """What the metric is for: steer the search, bound it, or be kept."""

    OPTIMIZE = "optimize"
    CONSTRAIN = "constrain"
    STORE = "store"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A named value of a run.

    Attributes:
        name: Key of the value in a run's values.
        goal: Which way is better.
        role: *optimize* steers the search, *constrain* only bounds it, *store* is kept.
        unit: Printed behind the value.
        threshold: The worst value that is still of use (itself included); the optimizer's reference
            point. A constraint metric needs one, a stored metric cannot have one.
        known: Whether the value follows from the parameters without training.

    Goal and role may be given as their text: ``"maximize"``, ``"store"``.
    """

    name: str
    goal: Goal
    role: Role = Role.OPTIMIZE
    unit: str = ""
    threshold: float | None = None
    known: bool = False

    def __post_init__(self) -> None:
        """Check what the attributes promise each other.

        Raises:
            ConfigError: If there is no such goal or role, or the threshold does not fit the role,
                or is not a finite number.
        """
        object.__setattr__(self, "goal", _member(Goal, self.goal, f"metrics.{self.name}: goal"))
        object.__setattr__(self, "role", _member(Role, self.role, f"metrics.{self.name}: role"))
        if self.role is Role.CONSTRAIN and self.threshold is None:
            raise ConfigError(
                f'metrics.{self.name}: role = "constrain" needs a threshold; '
                'add one, or use role = "store"'
            )
        if self.role is Role.STORE and self.threshold is not None:
            raise ConfigError(
                f'metrics.{self.name}: role = "store" takes no threshold, but got '
                f'{self.threshold}; remove it, or use role = "constrain"'
            )
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ConfigError(
                f"metrics.{self.name}: threshold must be a finite number, but got {self.threshold}"
            )

    def larger_is_better(self, value: float) -> float:
        """Return ``value``, negated if it is to be minimized: larger is better after this call."""
        return value if self.goal is Goal.MAXIMIZE else -value

    def within_threshold(self, value: float) -> bool:
        """Whether ``value`` is of use; never for NaN."""
        if self.threshold is None:
            return not math.isnan(value)
        return self.larger_is_better(value) >= self.larger_is_better(self.threshold)


def _member(kind: type[_Kind], given: _Kind | str, place: str) -> _Kind:
    try:
        return kind(given)
    except ValueError:
        valid = [str(member) for member in kind]
        raise ConfigError(f"{place} must be one of {valid}, but got {given!r}") from None


def is_usable(metrics: tuple[Metric, ...], values: Mapping[str, float]) -> bool:
    """Whether every optimized and every constraint metric is finite and within its threshold."""
    judged = [metric for metric in metrics if metric.role is not Role.STORE]
    return all(
        math.isfinite(values.get(metric.name, math.nan))
        and metric.within_threshold(values[metric.name])
        for metric in judged
    )


def optimized(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """Return the metrics that steer the search, in their given order."""
    return tuple(metric for metric in metrics if metric.role is Role.OPTIMIZE)
