"""From a TOML file to checked, typed settings."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from limbeck.config.measured import MEASURED
from limbeck.config.packages import check_onnx
from limbeck.config.presets import with_preset
from limbeck.config.tables import (
    PER_LAYER,
    SEARCHABLE,
    ChoiceSettings,
    Conditions,
    FloatSettings,
    IntegerSettings,
    MetricSettings,
    OptimizerSettings,
    ParameterSettings,
    PriorSettings,
    RangeSettings,
    Recipe,
    StudentSettings,
    StudyFile,
    Table,
)
from limbeck.config.wording import first_error
from limbeck.errors import ConfigError, ParameterError
from limbeck.expressions import parse_constraint
from limbeck.files import is_folder
from limbeck.metrics import Goal, Metric, Role
from limbeck.space import (
    Choice,
    Float,
    Integer,
    Parameter,
    Parameters,
    Prior,
    SearchSpace,
    Value,
    When,
    did_you_mean,
)

AnyTable = TypeVar("AnyTable", bound=Table)
DISTILLING = ("alpha_ce", "alpha_hidden", "alpha_relation")
"""Weights of what the teacher says; where all are 0, a student learns from labels alone."""

TEACHERS = ("num_layers", "num_heads", "ffn_size")
"""Parameters whose largest value may be left to the teacher."""

_BEYOND_TEACHERS = 2**40
_HEEDED_BY = {
    "initial_runs": ("bayesian", "sigopt"),
    "noise": ("bayesian",),
    "per_cost": ("bayesian",),
    "earlier": ("bayesian",),
}


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
        """The metrics, in the file's order; of a resolved file."""
        return tuple(_metric(name, given) for name, given in self.file.metrics.items())

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The searched parameters, in the file's order; of a resolved file."""
        return tuple(_parameter(name, given) for name, given in self.file.space.items())

    @cached_property
    def space(self) -> SearchSpace:
        """The searched parameters and the rules between them; of a resolved file."""
        return _space(self.file, self.parameters)

    def live(self, parameters: Parameters) -> dict[str, Value]:
        """Return the parameters without those that are searched but have no effect."""
        inert = {name for name, given in self.file.space.items() if given.inert}
        return {name: value for name, value in parameters.items() if name not in inert}

    def student(self, parameters: Parameters) -> StudentSettings:
        """Return the student that ``parameters`` ask for; the rest as the file has it.

        The rest are the parameters that are not searched, or inactive. Widths of single layers
        (``num_heads_0``) are no part of it: see `split_layer`.
        """
        return _override(self.file.student, self.live(parameters))

    def recipe(self, parameters: Parameters) -> Recipe:
        """Return the recipe that ``parameters`` ask for; the rest as the file has it."""
        return _override(self.file.recipe, self.live(parameters))

    def control(self, baseline: Parameters) -> dict[str, Value]:
        """Return the baseline's parameters, but without distillation: hard labels only.

        Raises:
            ConfigError: If the baseline itself is not distilled.
        """
        recipe = self.recipe(baseline)
        off = {name: 0.0 for name in DISTILLING if getattr(recipe, name)}
        if not off:
            raise ConfigError(
                "budget.control needs a baseline that is distilled, but its alpha_ce, alpha_hidden "
                "and alpha_relation are 0; set one in [recipe], or leave the control out"
            )
        return self.space.without_inactive({**baseline, **off})

    def check(self, parameters: Parameters) -> None:
        """Check values for parameters that can be searched, whether they are or not.

        Raises:
            ConfigError: If there is no such parameter, or the value breaks its rule.
        """
        for name, value in parameters.items():
            if searched_table(name) is None:
                raise ConfigError(f"no such parameter: {name}{did_you_mean(name, [*SEARCHABLE])}")
            _check_value(name, value)

    def default(self, name: str) -> Value | None:
        """Return what the file gives a searched parameter by default: the baseline's value.

        None if the file leaves it to the model that students are cut from, or it has no effect and
        no table.

        Raises:
            ConfigError: If the file gives a list, one value for each layer.
        """
        base, layer = split_layer(name)
        table = searched_table(name)
        if table is None:
            return None
        value = getattr(self.file.student if table is StudentSettings else self.file.recipe, base)
        if isinstance(value, list):
            if layer is None or layer >= len(value):
                raise ConfigError(
                    f"student.{base} must be one number, or have one for the layer where "
                    f"space.{name} is searched, but got {value}; change one of them"
                )
            value = value[layer]
        default: Value | None = value
        return default

    def model_path(self, model: str) -> str:
        """Return a model that the file names: a folder, relative to the file, or a hub id."""
        folder = self.folder / Path(model).expanduser()
        return str(folder) if is_folder(folder) else model

    @property
    def identity(self) -> dict[str, object]:
        """What makes two searches the same study: all keys but those of how it is carried out."""
        how = {"budget", "optimizer", "training", "stopping", "artifacts", "mirrors"}
        return self.file.model_dump(mode="json", exclude=how)


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
    except (ValueError, RecursionError) as error:  # No TOML, too long a number, too deep.
        raise ConfigError(f"the study file {path} must be TOML, but: {error}") from error
    config = parse_config(with_preset(table), folder=path.parent.resolve(), name=path.name)
    try:
        _check_optimizer(config)
        _check_runtime(config)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    return config


def parse_config(table: Mapping[str, object], *, folder: Path, name: str) -> StudyConfig:
    """Check a study file's content, in which a preset's tables are in their places already.

    Keys that the optimizer does not heed are allowed, and so is a runtime that is not installed: a
    study that was begun with them stays readable. `load_config` refuses them.

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
        _check_partners(config)
        _check_space(config)
    except ValidationError as error:
        raise ConfigError(f"{name}: {first_error(error)}") from error
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    return config


def split_layer(name: str) -> tuple[str, int | None]:
    """Return ``("num_heads", 2)`` for ``num_heads_2``, the third layer's; else (name, None)."""
    match = re.fullmatch(rf"({'|'.join(PER_LAYER)})_(0|[1-9]\d*)", name)
    return (match[1], int(match[2])) if match else (name, None)


def searched_table(name: str) -> type[Table] | None:
    """Return the table that says what a searched parameter may be; None if there is none."""
    return SEARCHABLE.get(split_layer(name)[0])


def _check_names(config: StudyConfig) -> None:
    for metric, given in config.file.metrics.items():
        if metric not in MEASURED:
            raise ConfigError(
                f"metrics.{metric}: no such metric{did_you_mean(metric, [*MEASURED])}"
            )
        _metric(metric, given if given.threshold != "auto" else given.at(0.0))
    if not any(metric.role == "optimize" for metric in config.file.metrics.values()):
        raise ConfigError('metrics: at least one must have role = "optimize"')
    for name, parameter in config.file.space.items():
        if searched_table(name) is None and not parameter.inert:
            raise ConfigError(f"space.{name}: no such parameter{did_you_mean(name, [*SEARCHABLE])}")


def _metric(name: str, given: MetricSettings) -> Metric:
    assert given.threshold != "auto", f"{name}: the file is not resolved"
    return Metric(
        name=name,
        goal=Goal(given.goal) if given.goal else MEASURED[name].goal,
        role=Role(given.role),
        unit=MEASURED[name].unit,
        threshold=given.threshold,
        known=MEASURED[name].known,
    )


def _check_partners(config: StudyConfig) -> None:
    """Refuse a key without another one that it needs."""
    if config.file.data.score_on == "test" and config.file.data.test is None:
        raise ConfigError('data.score_on = "test" needs data.test; name the questions')
    recipes = {"recipe": config.file.recipe, "teacher.recipe": config.file.teacher.recipe}
    for name, recipe in recipes.items():
        if recipe.keep == "best" and config.file.training.evaluate_every is None:
            raise ConfigError(
                f'{name}.keep = "best" needs training.evaluate_every; set it, or keep = "last"'
            )


def _check_optimizer(config: StudyConfig) -> None:
    """Refuse a key that the sampler does not heed, and a study that starts from itself."""
    given = config.file.optimizer
    for key, samplers in _HEEDED_BY.items():
        is_given = getattr(given, key) != OptimizerSettings.model_fields[key].default
        if is_given and given.sampler not in samplers:
            raise ConfigError(
                f'optimizer.{key} is not for sampler = "{given.sampler}"; remove it, or use '
                f'sampler = "{samplers[0]}"'
            )
    if given.earlier == config.file.name:
        raise ConfigError(
            f"optimizer.earlier must be another study, but got {given.earlier!r}, which is this "
            "one; remove it to go on, or give this one another name"
        )


def _check_runtime(config: StudyConfig) -> None:
    """Refuse a runtime that is not installed."""
    runtime = config.file.latency.runtime
    if runtime != "pytorch":
        try:
            check_onnx()
        except ConfigError as error:
            raise ConfigError(f'latency.runtime = "{runtime}": {error}') from error


def _check_space(config: StudyConfig) -> None:
    """Refuse a range that the parameter itself does not allow, or that leaves its default out."""
    for name, given in config.file.space.items():
        open_end = isinstance(given, IntegerSettings) and given.high is None
        if open_end and split_layer(name)[0] not in TEACHERS:
            raise ConfigError(f"space.{name}.high: this key is missing; add it")
        parameter = _parameter(name, _closed(given))
        if searched_table(name) is not None:
            _check_range(name, given)
        default = config.default(name)
        # Where the teacher says how far it goes, or whether it is active, that is known later.
        if not open_end and not given.when and default is not None:
            _check_default(parameter, default)
    closed = {name: _closed(given) for name, given in config.file.space.items()}
    _space(config.file, tuple(_parameter(name, given) for name, given in closed.items()))


def _closed(given: ParameterSettings) -> ParameterSettings:
    """Return the same, but with an end where the teacher is to say it: one beyond all others."""
    if not isinstance(given, IntegerSettings) or given.high is not None:
        return given
    return given.model_copy(update={"high": given.low + given.step * _BEYOND_TEACHERS})


def _space(file: StudyFile, parameters: tuple[Parameter, ...]) -> SearchSpace:
    constraints = tuple(parse_constraint(text, parameters) for text in file.constraints)
    return SearchSpace(parameters, constraints)


def _check_range(name: str, given: ParameterSettings) -> None:
    ends = given.choices if isinstance(given, ChoiceSettings) else (given.low, given.high)
    for value in ends:
        try:
            if value is not None:
                _check_value(name, value)
        except ConfigError as error:
            raise ConfigError(f"space.{error}") from error


def _check_value(name: str, value: Value) -> None:
    table = searched_table(name)
    assert table is not None, name
    base, _ = split_layer(name)
    try:
        table.model_validate({base: value})
    except ValidationError as error:
        raise ConfigError(f"{name}{first_error(error).removeprefix(base)}") from error


def _check_default(parameter: Parameter, default: Value) -> None:
    try:
        parameter.validate(default)
    except ParameterError as error:
        base, _ = split_layer(parameter.name)
        table = "student" if base in StudentSettings.model_fields else "recipe"
        raise ConfigError(
            f"{table}.{base} is the baseline's value and must lie in the search space: "
            f"{error}; set it, or widen space.{parameter.name}"
        ) from error


def _parameter(name: str, given: ParameterSettings) -> Parameter:
    match given:
        case FloatSettings():
            return Float(
                name=name,
                low=given.low,
                high=given.high,
                log=given.log,
                step=given.step,
                prior=_prior(given.prior),
                inert=given.inert,
                when=_conditions(given.when),
            )
        case IntegerSettings():
            assert given.high is not None, f"{name}: the file is not resolved"
            return Integer(
                name=name,
                low=given.low,
                high=given.high,
                log=given.log,
                step=given.step,
                prior=_prior(given.prior),
                inert=given.inert,
                when=_conditions(given.when),
            )
        case ChoiceSettings():
            return Choice(
                name=name,
                choices=tuple(given.choices),
                ordered=given.ordered,
                inert=given.inert,
                when=_conditions(given.when),
            )


def _prior(given: PriorSettings | None) -> Prior | None:
    return None if given is None else Prior(near=given.near, spread=given.spread)


def _conditions(given: Conditions) -> tuple[When, ...]:
    return tuple(
        When(parameter=name, at_least=asked.at_least, at_most=asked.at_most)
        if isinstance(asked, RangeSettings)
        else When(parameter=name, values=tuple(asked))
        for name, asked in given.items()
    )


def _override(table: AnyTable, parameters: Parameters) -> AnyTable:
    values = {
        name: value for name, value in parameters.items() if name in table.__class__.model_fields
    }
    return table.__class__.model_validate(table.model_dump() | values)
