"""Search spaces: what may be chosen for a run, and its image in the unit cube."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError, ParameterError

Value: TypeAlias = bool | int | float | str
Parameters: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Float:
    """A real number.

    Attributes:
        name: Key of the value in a run's parameters.
        low: Smallest value.
        high: Largest value.
        log: Whether equal factors, rather than equal differences, are equally far apart.
        step: Distance of neighbouring values, from ``low`` on; any value if None.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ConfigError: If the range is empty, not finite, or does not fit ``log`` and ``step``.
        """
        _check_range(self.name, self.low, self.high, log=self.log, step=self.step)

    @property
    def width(self) -> int:
        """Number of coordinates in the unit cube."""
        return 1

    @property
    def range_text(self) -> str:
        """For people: ``1e-05 to 0.1, log``."""
        return _range_text(self.low, self.high, log=self.log)

    @property
    def count(self) -> int | None:
        """Number of distinct values; None if there is no end of them."""
        if self.low == self.high:
            return 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def validate(self, value: Value) -> float:
        """Return ``value`` as a float, on the grid if there is one.

        Raises:
            ParameterError: If it is no number within the range or lies between two steps.
        """
        if isinstance(value, bool | str) or not math.isfinite(value):
            raise ParameterError(f"{self.name} must be a finite number, but got {value!r}")
        if not self.low <= value <= self.high:
            raise ParameterError(
                f"{self.name} must be between {self.low} and {self.high}, but got {value}"
            )
        if self.step is None:
            return float(value)
        on_grid = _nearest_step(value, self.low, self.high, self.step)
        if not math.isclose(on_grid, value, rel_tol=1e-9, abs_tol=1e-9 * self.step):
            raise ParameterError(
                f"{self.name} must be {self.low} plus a multiple of {self.step}, but got {value}; "
                f"the nearest is {on_grid}"
            )
        return on_grid

    def encode(self, value: Value) -> tuple[float]:
        """Return the value's place between 0 and 1."""
        return (_to_unit(self.validate(value), self.low, self.high, log=self.log, step=self.step),)

    def decode(self, unit: Sequence[float]) -> float:
        """Return the value at a place between 0 and 1: the inverse of `encode`."""
        number = _from_unit(unit[0], self.low, self.high, log=self.log, step=self.step)
        return (
            number if self.step is None else _nearest_step(number, self.low, self.high, self.step)
        )


@dataclass(frozen=True, kw_only=True)
class Integer:
    """A whole number.

    Attributes:
        name: Key of the value in a run's parameters.
        low: Smallest value.
        high: Largest value.
        log: Whether equal factors, rather than equal differences, are equally far apart.
        step: Distance of neighbouring values, from ``low`` on.
    """

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ConfigError: If the range is empty or does not fit ``log`` and ``step``.
        """
        _check_range(self.name, self.low, self.high, log=self.log, step=self.step)

    @property
    def width(self) -> int:
        """Number of coordinates in the unit cube."""
        return 1

    @property
    def range_text(self) -> str:
        """For people: ``1 to 6``."""
        return _range_text(self.low, self.high, log=self.log)

    @property
    def count(self) -> int:
        """Number of distinct values."""
        return (self.high - self.low) // self.step + 1

    def validate(self, value: Value) -> int:
        """Return ``value`` as an int.

        Raises:
            ParameterError: If it is no whole number of the range and the step.
        """
        if isinstance(value, bool | str) or not math.isfinite(value) or value != int(value):
            raise ParameterError(f"{self.name} must be a whole number, but got {value!r}")
        if not self.low <= value <= self.high:
            raise ParameterError(
                f"{self.name} must be between {self.low} and {self.high}, but got {value}"
            )
        if (int(value) - self.low) % self.step:
            raise ParameterError(
                f"{self.name} must be {self.low} plus a multiple of {self.step}, but got {value}"
            )
        return int(value)

    def encode(self, value: Value) -> tuple[float]:
        """Return the value's place between 0 and 1, in the cell that decodes to it."""
        return (_to_unit(self.validate(value), self.low, self.high, log=self.log, step=self.step),)

    def decode(self, unit: Sequence[float]) -> int:
        """Return the value in whose cell a place between 0 and 1 lies: the inverse of `encode`."""
        number = _from_unit(unit[0], self.low, self.high, log=self.log, step=self.step)
        return int(_nearest_step(number, self.low, self.high, self.step))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of a few values.

    Attributes:
        name: Key of the value in a run's parameters.
        choices: The values, at least one, all different.
        ordered: Whether neighbours in ``choices`` are alike, so that one coordinate can stand for
            all of them; otherwise each choice has a coordinate of its own (one-hot).
    """

    name: str
    choices: tuple[Value, ...]
    ordered: bool = False

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
    def range_text(self) -> str:
        """For people: ``first | spread``."""
        return " | ".join(str(choice) for choice in self.choices)

    @property
    def count(self) -> int:
        """Number of distinct values."""
        return len(self.choices)

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


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A rule between parameters, with a name that error messages can show.

    Attributes:
        name: The rule in words: "heads must not exceed the teacher's".
        holds: Whether parameters keep it.
    """

    name: str
    holds: Callable[[Parameters], bool]


@dataclass(frozen=True)
class SearchSpace:
    """Parameters with different names, and the rules between them."""

    parameters: tuple[Parameter, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ConfigError: If there is no parameter, or two have the same name.
        """
        if not self.parameters:
            raise ConfigError(
                "a search space needs at least one parameter; add a [space.NAME] table"
            )
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"parameter names must differ, but got {list(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def dimension(self) -> int:
        """Number of coordinates in the unit cube."""
        return sum(parameter.width for parameter in self.parameters)

    @property
    def count(self) -> int | None:
        """Number of distinct points, constraints aside; None if there is no end of them."""
        product = 1
        for parameter in self.parameters:
            if parameter.count is None:
                return None
            product *= parameter.count
        return product

    def validate(self, parameters: Parameters) -> dict[str, Value]:
        """Return the parameters in the space's order, each with its own type.

        Raises:
            ParameterError: If one is missing, unknown, or outside its range. Constraints are not
                looked at: see `violated`.
        """
        for name in parameters:
            if name not in self.names:
                raise ParameterError(f"unknown parameter {name!r}{did_you_mean(name, self.names)}")
        missing = [name for name in self.names if name not in parameters]
        if missing:
            raise ParameterError(f"parameters must be complete, but {missing} are missing")
        return {p.name: p.validate(parameters[p.name]) for p in self.parameters}

    def violated(self, parameters: Parameters) -> str | None:
        """Return the name of the first constraint that the parameters break, or None."""
        for constraint in self.constraints:
            if not constraint.holds(parameters):
                return constraint.name
        return None

    def encode(self, parameters: Parameters) -> NDArray[np.float64]:
        """Return a ``dimension`` array of coordinates between 0 and 1.

        Raises:
            ParameterError: See `validate`.
        """
        values = self.validate(parameters)
        return np.array([u for p in self.parameters for u in p.encode(values[p.name])])

    def decode(self, unit: NDArray[np.float64]) -> dict[str, Value]:
        """Return the parameters at a ``dimension`` array of coordinates between 0 and 1."""
        values: dict[str, Value] = {}
        start = 0
        coordinates: list[float] = unit.tolist()
        for parameter in self.parameters:
            values[parameter.name] = parameter.decode(coordinates[start : start + parameter.width])
            start += parameter.width
        return values


def did_you_mean(name: str, valid: Sequence[str]) -> str:
    """Return the end of an error message that names the valid name nearest to ``name``."""
    near = get_close_matches(name, valid, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; valid names are {', '.join(sorted(valid))}"


def _range_text(low: float, high: float, *, log: bool) -> str:
    return f"{low:g} to {high:g}{', log' if log else ''}"


def _identity(value: Value) -> tuple[bool, Value]:
    return (isinstance(value, bool), value)


def _check_range(name: str, low: float, high: float, *, log: bool, step: float | None) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ConfigError(f"space.{name}: low <= high must hold, but got (low={low}, high={high})")
    if log and low <= 0:
        raise ConfigError(f"space.{name}: log = true needs low > 0, but got low={low}")
    if step is None:
        return
    if not 0 < step < math.inf:
        raise ConfigError(f"space.{name}: step must be positive and finite, but got {step}")
    steps = (high - low) / step
    if not math.isclose(steps, round(steps), abs_tol=1e-6):
        raise ConfigError(
            f"space.{name}: high must be low plus a multiple of step, but got "
            f"(low={low}, high={high}, step={step})"
        )


def _nearest_step(number: float, low: float, high: float, step: float) -> float:
    on_grid = low + round((number - low) / step) * step
    # 0.1 + 2 * 0.1 is a little more than 0.3; people and duplicates want 0.3.
    return min(max(round(on_grid, 12 - math.floor(math.log10(step))), low), high)


def _cell_bounds(low: float, high: float, *, log: bool, step: float | None) -> tuple[float, float]:
    """Return the range widened by half a step, so that all values have cells of full size."""
    half = 0.0 if step is None else step / 2
    if log:
        # A whole step wide, a first value at or below half a step would have no logarithm.
        return math.log(max(low - half, low / 2)), math.log(high + half)
    return low - half, high + half


def _to_unit(number: float, low: float, high: float, *, log: bool, step: float | None) -> float:
    start, end = _cell_bounds(low, high, log=log, step=step)
    if start == end:
        return 0.5
    return ((math.log(number) if log else number) - start) / (end - start)


def _from_unit(unit: float, low: float, high: float, *, log: bool, step: float | None) -> float:
    start, end = _cell_bounds(low, high, log=log, step=step)
    place = start + min(max(unit, 0.0), 1.0) * (end - start)
    return min(max(math.exp(place) if log else place, low), high)
