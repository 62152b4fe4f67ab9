"""From a TOML file to checked, typed settings."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from limbeck.config.tables import (
    MEASURED,
    SEARCHABLE,
    ChoiceSettings,
    FloatSettings,
    IntegerSettings,
    Recipe,
    StudentSettings,
    StudyFile,
    Table,
)
from limbeck.config.wording import first_error
from limbeck.errors import ConfigError, ParameterError
from limbeck.metrics import Goal, Metric, Role
from limbeck.space import Choice, Float, Integer, Parameter, Parameters, Value, did_you_mean

AnyTable = TypeVar("AnyTable", bound=Table)


@dataclass(frozen=True)
class StudyConfig:
    """A checked study file.

    Attributes:
        file: Its keys.
        folder: Where it lies; relative paths in it start here.
    """

    file: StudyFile
    folder: Path

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics, in the file's order."""
        return tuple(
            Metric(
                name=name,
                goal=Goal(given.goal) if given.goal else MEASURED[name].goal,
                role=Role(given.role),
                unit=MEASURED[name].unit,
                threshold=given.threshold,
                known=MEASURED[name].known,
            )
            for name, given in self.file.metrics.items()
        )

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The searched parameters, in the file's order."""
        return tuple(_parameter(name, given) for name, given in self.file.space.items())

    def student(self, parameters: Parameters) -> StudentSettings:
        """Return the student that ``parameters`` ask for; the rest as the file has it."""
        return _override(self.file.student, parameters)

    def recipe(self, parameters: Parameters) -> Recipe:
        """Return the recipe that ``parameters`` ask for; the rest as the file has it."""
        return _override(self.file.recipe, parameters)

    def check(self, parameters: Parameters) -> None:
        """Check values for parameters that can be searched, whether they are or not.

        Raises:
            ConfigError: If there is no such parameter, or the value breaks its rule.
        """
        for name, value in parameters.items():
            if name not in SEARCHABLE:
                raise ConfigError(f"no such parameter: {name}{did_you_mean(name, [*SEARCHABLE])}")
            try:
                SEARCHABLE[name].model_validate({name: value})
            except ValidationError as error:
                raise ConfigError(first_error(error)) from error

    def default(self, name: str) -> Value | None:
        """Return what the file gives a searched parameter by default: the baseline's value."""
        table = self.file.student if SEARCHABLE[name] is StudentSettings else self.file.recipe
        value: Value | None = getattr(table, name)
        return value

    @property
    def identity(self) -> dict[str, object]:
        """What makes two searches the same study: all keys but those of how it is carried out."""
        return self.file.model_dump(mode="json", exclude={"budget", "optimizer", "training"})


def load_config(path: Path) -> StudyConfig:
    """Read and check a study file.

    Raises:
        ConfigError: If it cannot be read, is no TOML, or breaks a rule.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror
        raise ConfigError(f"the study file {path} must be readable, but: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the study file {path} must be UTF-8 text, but {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the study file {path} must be TOML, but: {error}") from error
    return parse_config(table, folder=path.parent.resolve(), name=path.name)


def parse_config(table: Mapping[str, object], *, folder: Path, name: str) -> StudyConfig:
    """Check a study file's content.

    Args:
        table: What the TOML says.
        folder: Where relative paths start.
        name: How error messages call the file.

    Raises:
        ConfigError: If it breaks a rule.
    """
    try:
        config = StudyConfig(StudyFile.model_validate(table), folder)
        _check_names(config)
        _check_space(config)
    except ValidationError as error:
        raise ConfigError(f"{name}: {first_error(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    return config


def _check_names(config: StudyConfig) -> None:
    for metric in config.file.metrics:
        if metric not in MEASURED:
            raise ConfigError(
                f"metrics.{metric}: no such metric{did_you_mean(metric, [*MEASURED])}"
            )
    if not any(metric.role is Role.OPTIMIZE for metric in config.metrics):
        raise ConfigError('metrics: at least one must have role = "optimize"')
    for parameter in config.file.space:
        if parameter not in SEARCHABLE:
            raise ConfigError(
                f"space.{parameter}: no such parameter{did_you_mean(parameter, [*SEARCHABLE])}"
            )


def _check_space(config: StudyConfig) -> None:
    """Refuse a range that the parameter itself does not allow, or that leaves its default out."""
    for parameter in config.parameters:
        table = SEARCHABLE[parameter.name]
        extremes = (
            parameter.choices if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        )
        for value in extremes:
            try:
                table.model_validate({parameter.name: value})
            except ValidationError as error:
                raise ConfigError(f"space.{first_error(error)}") from error
        default = config.default(parameter.name)
        if default is not None:
            _check_default(parameter, default)


def _check_default(parameter: Parameter, default: Value) -> None:
    try:
        parameter.validate(default)
    except ParameterError as error:
        table = "student" if parameter.name in StudentSettings.model_fields else "recipe"
        raise ConfigError(
            f"{table}.{parameter.name} is the baseline's value and must lie in the search space: "
            f"{error}; set it, or widen space.{parameter.name}"
        ) from error


def _parameter(name: str, given: FloatSettings | IntegerSettings | ChoiceSettings) -> Parameter:
    match given:
        case FloatSettings():
            return Float(name=name, low=given.low, high=given.high, log=given.log, step=given.step)
        case IntegerSettings():
            return Integer(
                name=name, low=given.low, high=given.high, log=given.log, step=given.step
            )
        case ChoiceSettings():
            return Choice(name=name, choices=tuple(given.choices), ordered=given.ordered)


def _override(table: AnyTable, parameters: Parameters) -> AnyTable:
    values = {
        name: value for name, value in parameters.items() if name in table.__class__.model_fields
    }
    return table.__class__.model_validate(table.model_dump() | values)
