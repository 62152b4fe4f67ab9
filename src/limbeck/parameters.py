"""What may be chosen for a run: numbers and choices, each with its image in the unit cube."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from typing_extensions import override

from limbeck.errors import ConfigError, ParameterError
from limbeck.scale import Prior, Scale

Value: TypeAlias = bool | int | float | str
Parameters: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class When:
    """A condition on another parameter, without which a parameter is inactive.

    Attributes:
        parameter: Name of the other one. Where it is inactive itself, the condition is not met.
        values: What the other one may be; anything if None.
        at_least: Smallest value of the other one, a number; any if None.
        at_most: Largest value of the other one, a number; any if None.
    """

    parameter: str
    values: tuple[Value, ...] | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def text(self) -> str:
        """For people: ``schedule is linear | cosine``, ``num_layers is at least 4``."""
        if self.values is not None:
            return f"{self.parameter} is {' | '.join(str(value) for value in self.values)}"
        ends = {"at least": self.at_least, "at most": self.at_most}
        shown = [f"{words} {end:g}" for words, end in ends.items() if end is not None]
        return f"{self.parameter} is {' and '.join(shown)}"

    def is_met(self, value: Value) -> bool:
        """Return whether the other parameter's value is among the values or in the range."""
        if self.values is not None:
            return any(_identity(value) == _identity(each) for each in self.values)
        assert not isinstance(value, str), value
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def on(self, name: str, other: "Parameter") -> "When":
        """Return the condition with its values as the other parameter has them.

        Args:
            name: The parameter whose condition it is.
            other: The parameter that it is about.

        Raises:
            ConfigError: If the other parameter cannot meet it, or it asks for nothing.
        """
        place = f"space.{name}.when.{self.parameter}"
        ends = [end for end in (self.at_least, self.at_most) if end is not None]
        if bool(self.values) == bool(ends):
            raise ConfigError(
                f"{place}: needs values, or at_least or at_most, and not both; give one of them"
            )
        if self.values is None:
            _check_ends(place, self, other)
            return self
        if isinstance(other, Float) and other.count is None:
            raise ConfigError(
                f"{place}: values need a parameter that has an end of them, but got "
                f"{list(self.values)} of all between {other.range_text}; give at_least or at_most"
            )
        try:
            return replace(self, values=tuple(other.validate(value) for value in self.values))
        except ParameterError as error:
            raise ConfigError(f"{place}: {error}") from error


def _check_ends(place: str, when: When, other: "Parameter") -> None:
    """Check that a parameter has values between the ends of a condition.

    Raises:
        ConfigError: If not.
    """
    if isinstance(other, Choice):
        raise ConfigError(f"{place}: a choice has no at_least and at_most; list the values")
    low = other.low if when.at_least is None else when.at_least
    high = other.high if when.at_most is None else when.at_most
    if not (low <= high and low <= other.high and high >= other.low):
        raise ConfigError(
            f"{place}: must be met by a value from {other.range_text}, but got {when.text}; "
            "change the condition, or widen the range"
        )


@dataclass(frozen=True, kw_only=True)
class _Number:
    """What real and whole numbers have in common."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    prior: Prior | None = None
    inert: bool = False
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        """Check range and prior.

        Raises:
            ConfigError: If the range is empty, not finite, or does not fit ``log`` and ``step``; or
                the prior does not fit the range.
        """
        self.scale.check(self.name)
        if self.prior is not None:
            self.prior.check(self.name, self.scale)

    @cached_property
    def scale(self) -> Scale:
        """The line its values lie on."""
        return Scale(low=self.low, high=self.high, log=self.log, step=self.step)

    @property
    def width(self) -> int:
        """Number of coordinates in the unit cube."""
        return 1

    @property
    def neutral(self) -> tuple[float, ...]:
        """Its coordinates while it is inactive."""
        return (0.5,)

    @property
    def range_text(self) -> str:
        """For people: ``1e-05 to 0.1, log``."""
        return self.scale.text

    @property
    def count(self) -> int | None:
        """Number of distinct values; None if there is no end of them."""
        if self.low == self.high:
            return 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    @property
    def values(self) -> Sequence[float]:
        """Every value of a parameter that has an end of them, in ascending order."""
        assert self.count is not None, self.name
        return [self.scale.nearest(self.low + i * (self.step or 0.0)) for i in range(self.count)]

    def validate(self, value: Value) -> float:
        """Return ``value`` as a float, on the grid if there is one.

        Raises:
            ParameterError: If it is no number within the range or lies between two steps.
        """
        if isinstance(value, bool | str) or not math.isfinite(value):
            raise ParameterError(f"{self.name} must be a finite number, but got {value!r}")
        self._check_within(value)
        if self.step is None:
            return float(value)
        nearest = self.scale.nearest(value)
        if not math.isclose(nearest, value, rel_tol=1e-9, abs_tol=1e-9 * self.step):
            raise ParameterError(
                f"{self.name} must be {self.low} plus a multiple of {self.step}, but got {value}; "
                f"the nearest is {nearest}"
            )
        return nearest

    def encode(self, value: Value) -> tuple[float]:
        """Return the value's place between 0 and 1, in the cell that decodes to it."""
        return (self.scale.to_unit(self.validate(value)),)

    def decode(self, unit: Sequence[float]) -> float:
        """Return the value at, or in whose cell is, a place between 0 and 1: `encode`'s inverse."""
        return self.scale.from_unit(unit[0])

    def _check_within(self, value: float) -> None:
        if not self.low <= value <= self.high:
            raise ParameterError(
                f"{self.name} must be between {self.low} and {self.high}, but got {value}"
            )


@dataclass(frozen=True, kw_only=True)
class Float(_Number):
    """A real number.

    Attributes:
        name: Key of the value in a run's parameters.
        low: Smallest value.
        high: Largest value.
        log: Whether equal factors, rather than equal differences, are equally far apart.
        step: Distance of neighbouring values, from ``low`` on; any value if None.
        prior: Where good values are believed to lie; anywhere if None.
        inert: Whether it has no effect, and is searched only to repeat an experiment.
        when: Conditions on other parameters, all of which must be met for it to be active.
    """


@dataclass(frozen=True, kw_only=True)
class Integer(_Number):
    """A whole number.

    Attributes:
        name: Key of the value in a run's parameters.
        low: Smallest value.
        high: Largest value.
        log: Whether equal factors, rather than equal differences, are equally far apart.
        step: Distance of neighbouring values, from ``low`` on.
        prior: Where good values are believed to lie; anywhere if None.
        inert: Whether it has no effect, and is searched only to repeat an experiment.
        when: Conditions on other parameters, all of which must be met for it to be active.
    """

    low: int
    high: int
    step: int = 1

    @property
    @override
    def count(self) -> int:
        return (self.high - self.low) // self.step + 1

    @property
    @override
    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1, self.step)

    @override
    def validate(self, value: Value) -> int:
        """Return ``value`` as an int.

        Raises:
            ParameterError: If it is no whole number of the range and the step.
        """
        if isinstance(value, bool | str) or not math.isfinite(value) or value != int(value):
            raise ParameterError(f"{self.name} must be a whole number, but got {value!r}")
        self._check_within(value)
        if (int(value) - self.low) % self.step:
            raise ParameterError(
                f"{self.name} must be {self.low} plus a multiple of {self.step}, but got {value}"
            )
        return int(value)

    @override
    def decode(self, unit: Sequence[float]) -> int:
        return int(super().decode(unit))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of a few values.

    Attributes:
        name: Key of the value in a run's parameters.
        choices: The values, at least one, all different.
        ordered: Whether neighbours in ``choices`` are alike, so that one coordinate can stand for
            all of them; otherwise each choice has a coordinate of its own (one-hot).
        inert: Whether it has no effect, and is searched only to repeat an experiment.
        when: Conditions on other parameters, all of which must be met for it to be active.
    """

    name: str
    choices: tuple[Value, ...]
    ordered: bool = False
    inert: bool = False
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ConfigError: If there are none, or two are the same.
        """
        if not self.choices:
            raise ConfigError(f"space.{self.name}: choices must not be empty; give at least one")
        keys = [_identity(choice) for choice in self.choices]
        if len(set(keys)) < len(keys):
            raise ConfigError(
                f"space.{self.name}: choices must differ, but got {list(self.choices)}"
            )

    @property
    def width(self) -> int:
        """Number of coordinates in the unit cube."""
        return 1 if self.ordered else len(self.choices)

    @property
    def neutral(self) -> tuple[float, ...]:
        """Its coordinates while it is inactive: as far from each choice as from all others."""
        return (0.5,) if self.ordered else (0.0,) * len(self.choices)

    @property
    def range_text(self) -> str:
        """For people: ``first | spread``."""
        return " | ".join(str(choice) for choice in self.choices)

    @property
    def count(self) -> int:
        """Number of distinct values."""
        return len(self.choices)

    @property
    def values(self) -> Sequence[Value]:
        """Every value, in order."""
        return self.choices

    def validate(self, value: Value) -> Value:
        """Return the choice that equals ``value``.

        Raises:
            ParameterError: If none does.
        """
        return self.choices[self._index(value)]

    def encode(self, value: Value) -> tuple[float, ...]:
        """Return the choice's coordinates between 0 and 1."""
        index = self._index(value)
        if self.ordered:
            return ((index + 0.5) / len(self.choices),)
        return tuple(float(i == index) for i in range(len(self.choices)))

    def decode(self, unit: Sequence[float]) -> Value:
        """Return the choice at (one-hot: with the largest of) the given coordinates."""
        if self.ordered:
            return self.choices[min(int(unit[0] * len(self.choices)), len(self.choices) - 1)]
        return self.choices[int(np.argmax(unit))]

    def _index(self, value: Value) -> int:
        for index, choice in enumerate(self.choices):
            if _identity(choice) == _identity(value):
                return index
        raise ParameterError(f"{self.name} must be one of {list(self.choices)}, but got {value!r}")


Parameter: TypeAlias = Float | Integer | Choice


def _identity(value: Value) -> tuple[bool, Value]:
    return (isinstance(value, bool), value)
