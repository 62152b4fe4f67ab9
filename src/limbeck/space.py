"""Search spaces: parameters that may depend on each other, and their image in the unit cube."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError, ParameterError
from limbeck.parameters import Choice, Float, Integer, Parameter, Parameters, Value, When
from limbeck.scale import BellCurve, Prior

__all__ = [
    "Choice",
    "Constraint",
    "Float",
    "Integer",
    "Parameter",
    "Parameters",
    "Prior",
    "SearchSpace",
    "Value",
    "When",
    "did_you_mean",
]

_COUNTED = 2**14  # Values of one parameter, up to which the points that depend on it are counted.


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A rule between parameters, with a name that error messages can show.

    Attributes:
        name: The rule in words: "heads must not exceed the teacher's".
        holds: Whether parameters keep it.
        needs: Parameters that it is about. While one of them is inactive, the rule does not apply
            and ``holds`` is not asked.
    """

    name: str
    holds: Callable[[Parameters], bool]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchSpace:
    """Parameters with different names, and the rules between them.

    A parameter with conditions (`When`) is active where all of them are met. One that is not is
    absent from a run's parameters, and stands at a fixed place in the unit cube.
    """

    parameters: tuple[Parameter, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        """Check names and conditions.

        Raises:
            ConfigError: If there is no parameter, two have the same name, or a constraint is about
                one that there is not; or a condition is, cannot be met, or depends on itself.
        """
        if not self.parameters:
            raise ConfigError(
                "a search space needs at least one parameter; add a [space.NAME] table"
            )
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"parameter names must differ, but got {list(self.names)}")
        for constraint in self.constraints:
            for name in constraint.needs:
                self._check_name(name, f"constraint {constraint.name!r}")
        for parameter in self.parameters:
            for when in parameter.when:
                self._check_name(when.parameter, f"space.{parameter.name}.when")
        _ = self._parents_first, self._conditions  # Both check what they are made of.

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def dimension(self) -> int:
        """Number of coordinates in the unit cube."""
        return sum(parameter.width for parameter in self.parameters)

    @cached_property
    def count(self) -> int | None:
        """Number of distinct points, constraints aside.

        None if there is no end of them, or conditions are on a parameter with more than 16,384
        values.
        """
        counts = [parameter.count for parameter in self.parameters]
        if None in counts or any(p.count > _COUNTED for p in self._deciding if p.count):
            return None
        return self._count_from(0, {})

    def is_active(self, name: str, parameters: Parameters) -> bool:
        """Return whether all conditions of a parameter of the space are met.

        Args:
            name: The parameter.
            parameters: Of those that it depends on, those that are active; others do not matter.
        """
        for when in self._conditions[name]:
            if when.parameter not in parameters or not when.is_met(parameters[when.parameter]):
                return False
        return True

    def complete(self, value_of: Callable[[Parameter], Value]) -> dict[str, Value]:
        """Return a point of the space, in its order.

        Args:
            value_of: Asked for the value of each active parameter, once those that it depends on
                have theirs.
        """
        values: dict[str, Value] = {}
        for parameter in self._parents_first:
            if self.is_active(parameter.name, values):
                values[parameter.name] = value_of(parameter)
        return self._ordered(values)

    def without_inactive(self, parameters: Parameters) -> dict[str, Value]:
        """Return the parameters without the space's inactive ones; others than its own stay."""
        active: dict[str, Value] = {}
        for name in [parameter.name for parameter in self._parents_first]:
            if name in parameters and self.is_active(name, active):
                active[name] = parameters[name]
        names = set(self.names)
        return {n: value for n, value in parameters.items() if n in active or n not in names}

    def points(self) -> Iterator[dict[str, Value]]:
        """Yield every point of a space that has an end of them, constraints aside."""
        for values in self._points_from(0, {}):
            yield self._ordered(values)

    def validate(self, parameters: Parameters) -> dict[str, Value]:
        """Return the parameters in the space's order, each with its own type.

        Raises:
            ParameterError: If an active one is missing, an inactive one is given, or one is unknown
                or outside its range. Constraints are not looked at: see `violated`.
        """
        for name in parameters:
            if name not in self.names:
                raise ParameterError(f"unknown parameter {name!r}{did_you_mean(name, self.names)}")
        values: dict[str, Value] = {}
        missing, inactive = [], []
        for parameter in self._parents_first:
            name = parameter.name
            match self.is_active(name, values), name in parameters:
                case True, True:
                    values[name] = parameter.validate(parameters[name])
                case True, False:
                    missing.append(name)
                case False, True:
                    inactive.append(parameter)
        if missing:
            missing.sort(key=self.names.index)
            raise ParameterError(f"parameters must be complete, but {missing} are missing")
        if inactive:
            name, when = inactive[0].name, " and ".join(each.text for each in inactive[0].when)
            raise ParameterError(
                f"{name} must be left out unless {when}, but got {parameters[name]!r}"
            )
        return self._ordered(values)

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
            applies = all(name in parameters for name in constraint.needs)
            if applies and not constraint.holds(parameters):
                return constraint.name
        return None

    def encode(self, parameters: Parameters) -> NDArray[np.float64]:
        """Return a ``dimension`` array of coordinates between 0 and 1.

        Those of inactive parameters are always the same: a half, or one-hot without a one.

        Raises:
            ParameterError: See `validate`.
        """
        values = self.validate(parameters)
        coordinates = [
            p.encode(values[p.name]) if p.name in values else p.neutral for p in self.parameters
        ]
        return np.array(list(itertools.chain.from_iterable(coordinates)))

    def decode(self, unit: NDArray[np.float64]) -> dict[str, Value]:
        """Return the parameters at a ``dimension`` array of coordinates between 0 and 1.

        Coordinates of those that are inactive there do not matter.
        """
        coordinates: list[float] = unit.tolist()

        def value_of(parameter: Parameter) -> Value:
            start = self._columns[parameter.name]
            return parameter.decode(coordinates[start : start + parameter.width])

        return self.complete(value_of)

    def log_prior(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how much good values are believed to lie at points of the unit cube.

        An inactive parameter counts as if it were where good values are most believed to lie, so
        that its prior is no reason to make it active or not.

        Args:
            unit: An ``n x dimension`` array of coordinates between 0 and 1.

        Returns:
            An ``n`` array of log densities, up to a constant: 0 without priors.
        """
        conditional = any(parameter.when for parameter, _ in self._bell_curves)
        points = [self.decode(row) for row in unit] if conditional else []
        log_density = np.zeros(len(unit))
        for parameter, curve in self._bell_curves:
            each = curve.log_density(unit[:, self._columns[parameter.name]])
            if parameter.when:
                each = np.where([parameter.name in point for point in points], each, 0.0)
            log_density += each
        return log_density

    def follow_priors(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move uniform points of the unit cube to where good values are believed to lie.

        Args:
            unit: A ``dimension`` or ``n x dimension`` array of coordinates between 0 and 1.

        Returns:
            An array like it; coordinates without prior stay as they are.
        """
        moved = unit.copy()
        for parameter, curve in self._bell_curves:
            column = self._columns[parameter.name]
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

    def _check_name(self, name: str, place: str) -> None:
        if name not in self.names:
            raise ConfigError(
                f"{place}: no such parameter {name!r}{did_you_mean(name, self.names)}"
            )

    def _ordered(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {name: values[name] for name in self.names if name in values}

    def _count_from(self, index: int, values: Parameters) -> int:
        """Return the number of ways to go on from values of the deciding parameters before."""
        if index == len(self._parents_first):
            return 1
        parameter = self._parents_first[index]
        if not self.is_active(parameter.name, values):
            return self._count_from(index + 1, values)
        if parameter not in self._deciding:
            return (parameter.count or 0) * self._count_from(index + 1, values)
        # Values that meet the same conditions have as many points each: one of them is enough.
        about_it = [
            when
            for conditions in self._conditions.values()
            for when in conditions
            if when.parameter == parameter.name
        ]
        alike: dict[tuple[bool, ...], list[Value]] = defaultdict(list)
        for value in parameter.values:
            alike[tuple(when.is_met(value) for when in about_it)].append(value)
        return sum(
            len(each) * self._count_from(index + 1, {**values, parameter.name: each[0]})
            for each in alike.values()
        )

    def _points_from(self, index: int, values: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if index == len(self._parents_first):
            yield values
            return
        parameter = self._parents_first[index]
        if not self.is_active(parameter.name, values):
            yield from self._points_from(index + 1, values)
            return
        for value in parameter.values:
            yield from self._points_from(index + 1, {**values, parameter.name: value})

    @cached_property
    def _parents_first(self) -> tuple[Parameter, ...]:
        """The parameters, each after those that it depends on.

        Raises:
            ConfigError: If one depends on itself.
        """
        sorter = TopologicalSorter({p.name: [w.parameter for w in p.when] for p in self.parameters})
        try:
            order = tuple(sorter.static_order())
        except CycleError as error:
            circle = error.args[1][::-1]
            raise ConfigError(
                f"space.{circle[0]}.when: no parameter may depend on itself, but "
                f"{' needs '.join(circle)}; drop one of these conditions"
            ) from error
        return tuple(sorted(self.parameters, key=lambda parameter: order.index(parameter.name)))

    @cached_property
    def _conditions(self) -> dict[str, tuple[When, ...]]:
        """The conditions of each parameter, by name."""
        named = {parameter.name: parameter for parameter in self.parameters}
        return {
            parameter.name: tuple(w.on(parameter.name, named[w.parameter]) for w in parameter.when)
            for parameter in self.parameters
        }

    @cached_property
    def _deciding(self) -> tuple[Parameter, ...]:
        """The parameters that others depend on."""
        asked = {when.parameter for parameter in self.parameters for when in parameter.when}
        return tuple(parameter for parameter in self.parameters if parameter.name in asked)

    @cached_property
    def _columns(self) -> dict[str, int]:
        """The first coordinate of each parameter, by name."""
        starts = itertools.accumulate((p.width for p in self.parameters), initial=0)
        return dict(zip(self.names, starts, strict=False))

    @cached_property
    def _bell_curves(self) -> list[tuple[Parameter, BellCurve]]:
        """The parameters that have priors, with these over the unit cube."""
        return [
            (parameter, parameter.prior.over(parameter.scale))
            for parameter in self.parameters
            if not isinstance(parameter, Choice) and parameter.prior is not None
        ]


def did_you_mean(name: str, valid: Sequence[str]) -> str:
    """Return the end of an error message that names the valid name nearest to ``name``."""
    near = get_close_matches(name, valid, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; valid names are {', '.join(sorted(valid))}"
