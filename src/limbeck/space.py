"""Search spaces: what may be chosen for a run, and its image in the unit cube."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError, ParameterError
from limbeck.scale import BellCurve, Scale
from limbeck.scale import Prior as Prior  # Seen from outside, a word of this module.

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
        prior: Where good values are believed to lie; anywhere if None.
        inert: Whether it has no effect, and is searched only to repeat an experiment.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    prior: Prior | None = None
    inert: bool = False

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
    def range_text(self) -> str:
        """For people: ``1e-05 to 0.1, log``."""
        return self.scale.text

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
        nearest = self.scale.nearest(value)
        if not math.isclose(nearest, value, rel_tol=1e-9, abs_tol=1e-9 * self.step):
            raise ParameterError(
                f"{self.name} must be {self.low} plus a multiple of {self.step}, but got {value}; "
                f"the nearest is {nearest}"
            )
        return nearest

    def encode(self, value: Value) -> tuple[float]:
        """Return the value's place between 0 and 1."""
        return (self.scale.to_unit(self.validate(value)),)

    def decode(self, unit: Sequence[float]) -> float:
        """Return the value at a place between 0 and 1: the inverse of `encode`."""
        return self.scale.from_unit(unit[0])


@dataclass(frozen=True, kw_only=True)
class Integer:
    """A whole number.

    Attributes:
        name: Key of the value in a run's parameters.
        low: Smallest value.
        high: Largest value.
        log: Whether equal factors, rather than equal differences, are equally far apart.
        step: Distance of neighbouring values, from ``low`` on.
        prior: Where good values are believed to lie; anywhere if None.
        inert: Whether it has no effect, and is searched only to repeat an experiment.
    """

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1
    prior: Prior | None = None
    inert: bool = False

    def __post_init__(self) -> None:
        """Check range and prior.

        Raises:
            ConfigError: If the range is empty or does not fit ``log`` and ``step``; or the prior
                does not fit the range.
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
    def range_text(self) -> str:
        """For people: ``1 to 6``."""
        return self.scale.text

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
        return (self.scale.to_unit(self.validate(value)),)

    def decode(self, unit: Sequence[float]) -> int:
        """Return the value in whose cell a place between 0 and 1 lies: the inverse of `encode`."""
        return int(self.scale.from_unit(unit[0]))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of a few values.

    Attributes:
        name: Key of the value in a run's parameters.
        choices: The values, at least one, all different.
        ordered: Whether neighbours in ``choices`` are alike, so that one coordinate can stand for
            all of them; otherwise each choice has a coordinate of its own (one-hot).
        inert: Whether it has no effect, and is searched only to repeat an experiment.
    """

    name: str
    choices: tuple[Value, ...]
    ordered: bool = False
    inert: bool = False

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

    def contains(self, parameters: Parameters) -> bool:
        """Return whether `validate` accepts the parameters: complete, known and in range."""
        try:
            self.validate(parameters)
        except ParameterError:
            return False
        return True

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

    def log_prior(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how much good values are believed to lie at points of the unit cube.

        Args:
            unit: An ``n x dimension`` array of coordinates between 0 and 1.

        Returns:
            An ``n`` array of log densities, up to a constant: 0 without priors.
        """
        densities = [curve.log_density(unit[:, column]) for column, curve in self._bell_curves]
        return np.asarray(np.sum([np.zeros(len(unit)), *densities], axis=0))

    def follow_priors(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move uniform points of the unit cube to where good values are believed to lie.

        Args:
            unit: A ``dimension`` or ``n x dimension`` array of coordinates between 0 and 1.

        Returns:
            An array like it; coordinates without prior stay as they are.
        """
        moved = unit.copy()
        for column, curve in self._bell_curves:
            moved[..., column] = curve.quantile(unit[..., column])
        return moved

    def without_priors(self) -> "SearchSpace":
        """Return the same space, of which nothing is believed."""
        return replace(
            self,
            parameters=tuple(
                parameter if isinstance(parameter, Choice) else replace(parameter, prior=None)
                for parameter in self.parameters
            ),
        )

    @cached_property
    def _bell_curves(self) -> list[tuple[int, BellCurve]]:
        """The priors over the unit cube, each with its coordinate."""
        columns = itertools.accumulate((p.width for p in self.parameters), initial=0)
        return [
            (column, p.prior.over(p.scale))
            for column, p in zip(columns, self.parameters, strict=False)
            if not isinstance(p, Choice) and p.prior is not None
        ]


def did_you_mean(name: str, valid: Sequence[str]) -> str:
    """Return the end of an error message that names the valid name nearest to ``name``."""
    near = get_close_matches(name, valid, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; valid names are {', '.join(sorted(valid))}"


def _identity(value: Value) -> tuple[bool, Value]:
    return (isinstance(value, bool), value)
