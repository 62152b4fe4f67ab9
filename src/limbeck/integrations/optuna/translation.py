"""Optuna's parameters as ours, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from limbeck.errors import ParameterError
from limbeck.space import Choice, Float, Integer, Parameter, Parameters, SearchSpace, Value


@dataclass(frozen=True)
class Translation:
    """Between the parameters of Optuna's trials and those of runs.

    Categorical choices become those of an unordered `Choice`. Where they are not all booleans,
    numbers or strings, texts that count them stand for them: ``"0: None"``. Of choices that are
    equal, as ``True`` and ``1`` are, only the first is one: Optuna records it for the others, too.

    Attributes:
        distributions: Optuna's distributions by name of the parameter, at least one.
    """

    distributions: Mapping[str, BaseDistribution]

    @cached_property
    def space(self) -> SearchSpace:
        """The search space of the distributions, in their order."""
        return SearchSpace(tuple(_parameter(name, d) for name, d in self.distributions.items()))

    def to_run(self, params: Mapping[str, Any]) -> dict[str, Value] | None:
        """Return the parameters of a run; None if one is missing or outside its range.

        Args:
            params: Of a trial; those without a distribution are left out.
        """
        if not self.distributions.keys() <= params.keys():
            return None
        try:
            return self.space.validate(
                {name: _to_value(params[name], d) for name, d in self.distributions.items()}
            )
        except (ParameterError, ValueError):  # The latter is Optuna's of an unknown choice.
            return None

    def to_trial(self, parameters: Parameters) -> dict[str, CategoricalChoiceType]:
        """Return the parameters of a trial."""
        return {name: _from_value(parameters[name], d) for name, d in self.distributions.items()}


def distribution_with(parameter: Parameter, value: Value) -> BaseDistribution | None:
    """Return a parameter's distribution, wide enough for a value that may lie outside its range.

    Optuna has no steps on logarithmic scales: they are left out.

    Returns:
        None if no distribution that Optuna takes for the same parameter has the value.
    """
    if isinstance(parameter, Choice):
        inside = value in parameter.choices
        return CategoricalDistribution(parameter.choices) if inside else None
    if isinstance(value, bool | str) or (parameter.log and value <= 0):
        return None
    low, high = min(parameter.low, value), max(parameter.high, value)
    inside = parameter.low <= value <= parameter.high
    if isinstance(parameter, Float):
        step = parameter.step if inside and not parameter.log else None
        return FloatDistribution(low, high, log=parameter.log, step=step)
    if value != int(value):
        return None
    step = parameter.step if inside and not parameter.log else 1
    return IntDistribution(int(low), int(high), log=parameter.log, step=step)


def _parameter(name: str, distribution: BaseDistribution) -> Parameter:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return Float(name=name, low=low, high=high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Integer(name=name, low=low, high=high, log=log, step=step)
        case CategoricalDistribution():
            return Choice(name=name, choices=tuple(_labels(distribution).values()))
        case _:
            raise ParameterError(
                f"{name} must have a float, int or categorical distribution, but got {distribution}"
            )


def _labels(distribution: CategoricalDistribution) -> dict[int, Value]:
    """Return what stands for the choices, by their index; of equal ones, for the first."""
    first = {
        index: choice
        for index, choice in enumerate(distribution.choices)
        if distribution.to_internal_repr(choice) == index
    }
    plain: dict[int, Value] = {
        index: choice
        for index, choice in first.items()
        if isinstance(choice, bool | int | float | str) and choice == choice  # NaN is not.
    }
    if len(plain) == len(first):
        return plain
    return {index: f"{index}: {choice!r}" for index, choice in first.items()}


def _to_value(value: CategoricalChoiceType, distribution: BaseDistribution) -> Value:
    """Return what stands for a trial's value.

    Raises:
        ValueError: If it is none of the choices, or no number.
    """
    internal = distribution.to_internal_repr(value)
    if isinstance(distribution, CategoricalDistribution):
        return _labels(distribution)[int(internal)]
    return internal


def _from_value(value: Value, distribution: BaseDistribution) -> CategoricalChoiceType:
    if isinstance(distribution, CategoricalDistribution):
        labels = _labels(distribution).items()
        return next(distribution.choices[index] for index, label in labels if label == value)
    return value
