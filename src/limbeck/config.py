"""The study file: TOML, read once, checked whole, typed and trusted after.

Errors name the key, the rule and the nearest valid name.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limbeck.errors import ConfigError, ParameterError
from limbeck.metrics import Goal, Metric, Role
from limbeck.space import Choice, Float, Integer, Parameter, Parameters, Value, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is true of a metric in every study."""

    goal: Goal
    unit: str = ""
    known: bool = False


_UP = Measured(goal=Goal.MAXIMIZE, unit="%")
_DOWN = Goal.MINIMIZE
MEASURED: Mapping[str, Measured] = {
    "exact": _UP,
    "f1": _UP,
    "HasAns_exact": _UP,
    "HasAns_f1": _UP,
    "NoAns_exact": _UP,
    "NoAns_f1": _UP,
    "best_exact": _UP,
    "best_f1": _UP,
    "num_parameters": Measured(goal=_DOWN, known=True),
    "num_encoder_parameters": Measured(goal=_DOWN, known=True),
    "bytes": Measured(goal=_DOWN, unit="B"),
    "latency_ms": Measured(goal=_DOWN, unit="ms"),
    "train_seconds": Measured(goal=_DOWN, unit="s"),
}
"""Every metric a run of the question-answering task can have, with its natural goal."""


class _Table(BaseModel):
    """A TOML table: no unknown keys, no coercion from text to number, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_AnyTable = TypeVar("_AnyTable", bound=_Table)


class Recipe(_Table):
    """The training hyperparameters that make a student; defaults are DistilBERT's for SQuAD."""

    learning_rate: float = Field(default=5e-5, gt=0, description="peak learning rate of AdamW")
    beta_1: float = Field(default=0.9, ge=0, lt=1, description="AdamW's decay of the first moment")
    beta_2: float = Field(
        default=0.999, ge=0, lt=1, description="AdamW's decay of the second moment"
    )
    adam_epsilon: float = Field(default=1e-8, gt=0, description="AdamW's epsilon")
    weight_decay: float = Field(
        default=0.0, ge=0, description="on matrices only, not on biases and norms"
    )
    warmup_steps: float = Field(
        default=0.1, ge=0, description="linear warm-up; below 1 a share of all steps"
    )
    alpha_ce: float = Field(
        default=0.5, ge=0, le=1, description="weight of the teacher's soft targets"
    )
    temperature: float = Field(default=2.0, gt=0, description="softens teacher and student alike")
    dropout: float = Field(default=0.1, ge=0, le=1, description="of hidden states")
    attention_dropout: float = Field(default=0.1, ge=0, le=1, description="of attention weights")
    qa_dropout: float = Field(default=0.0, ge=0, le=1, description="before the answer head")
    batch_size: int = Field(default=32, ge=1, description="windows per optimizer step")
    epochs: float = Field(default=3.0, gt=0, description="passes over the training windows")
    gradient_clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    seed: int = Field(default=0, ge=0, description="of data order, dropout and new weights")


class StudentSettings(_Table):
    """The student's architecture; what is left out is the teacher's."""

    num_layers: int | None = Field(default=None, ge=1, description="half the teacher's if left out")
    num_heads: int | None = Field(default=None, ge=0, description="attention heads in every layer")
    ffn_size: int | None = Field(
        default=None, ge=1, description="feed-forward neurons in every layer"
    )
    layers: Literal["first", "last", "spread"] = Field(
        default="first", description="which layers are kept"
    )
    importance: Literal["magnitude", "random", "first"] = Field(
        default="magnitude", description="which heads and neurons are kept"
    )
    pruning_seed: int = Field(default=0, ge=0, description='for importance = "random"')


class TeacherRecipe(Recipe):
    """How `limbeck teach` fine-tunes a plain encoder: hard labels only."""

    alpha_ce: Literal[0] = Field(default=0, description="a teacher has no teacher")
    epochs: float = Field(default=2.0, gt=0, description="passes over the training windows")


class TeacherSettings(_Table):
    """The fine-tuned model that students are cut from and taught by."""

    model: str = Field(
        min_length=1, description="hub id or folder; a plain encoder is taught first"
    )
    recipe: TeacherRecipe = Field(default_factory=TeacherRecipe, description="for `limbeck teach`")


class DataSettings(_Table):
    """Questions, and how they are cut into windows."""

    train: str = Field(min_length=1, description="hub dataset:split, or a SQuAD .json or .json.gz")
    dev: str = Field(min_length=1, description="the questions that score the students")
    train_questions: int | None = Field(
        default=None, ge=1, description="a random subset; all if left out"
    )
    dev_questions: int | None = Field(
        default=None, ge=1, description="a random subset; all if left out"
    )
    max_length: int = Field(default=384, ge=16, description="tokens in a window")
    doc_stride: int = Field(
        default=128, ge=1, description="tokens between the starts of two windows"
    )
    max_query_length: int = Field(default=64, ge=1, description="tokens of a question")
    max_answer_length: int = Field(default=30, ge=1, description="tokens of an answer")
    seed: int = Field(default=0, ge=0, description="of the subsets")


class TrainingSettings(_Table):
    """How runs are carried out."""

    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 where the device computes in it"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto: the fastest"
    )
    log_every: int = Field(
        default=10, ge=1, description="steps between points of loss and learning rate"
    )
    evaluate_every: int | None = Field(
        default=None, ge=1, description="steps between scores on the way"
    )
    evaluate_questions: int = Field(
        default=200, ge=1, description="questions of the scores on the way"
    )
    checkpoint_every: int = Field(default=100, ge=1, description="steps between checkpoints")


class MetricSettings(_Table):
    """What a metric is for."""

    goal: Literal["maximize", "minimize"] | None = None
    role: Literal["optimize", "constrain", "store"] = "optimize"
    threshold: float | None = None


class FloatSettings(_Table):
    """A searched real number."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    step: float | None = None


class IntegerSettings(_Table):
    """A searched whole number."""

    type: Literal["integer"]
    low: int
    high: int
    log: bool = False
    step: int = 1


class ChoiceSettings(_Table):
    """A searched value out of a few."""

    type: Literal["choice"]
    choices: list[bool | int | float | str]
    ordered: bool = False


ParameterSettings = Annotated[
    FloatSettings | IntegerSettings | ChoiceSettings, Field(discriminator="type")
]


class OptimizerSettings(_Table):
    """Who chooses the next student."""

    sampler: Literal["bayesian", "quasirandom"] = "bayesian"
    initial_runs: int | None = Field(
        default=None, ge=1, description="runs before the model is asked"
    )


class BudgetSettings(_Table):
    """How much is spent."""

    runs: int = Field(default=24, ge=1)
    workers: int = Field(default=1, ge=1)


SEARCHABLE: Mapping[str, type[_Table]] = {  # every parameter a space may hold
    **dict.fromkeys(set(Recipe.model_fields) - {"seed", "gradient_clip"}, Recipe),
    **dict.fromkeys(StudentSettings.model_fields, StudentSettings),
}


_KINDS: Mapping[str, type[BaseModel]] = {
    "float": FloatSettings,
    "integer": IntegerSettings,
    "choice": ChoiceSettings,
}
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "teacher": TeacherSettings,
    "data": DataSettings,
    "student": StudentSettings,
    "recipe": Recipe,
    "training": TrainingSettings,
    "optimizer": OptimizerSettings,
    "budget": BudgetSettings,
}


class StudyFile(_Table):
    """The study file's keys, as written."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    task: Literal["question-answering"]
    seed: int = Field(default=0, ge=0, description="of the sampler")
    teacher: TeacherSettings
    data: DataSettings
    student: StudentSettings = StudentSettings()
    recipe: Recipe = Recipe()
    training: TrainingSettings = TrainingSettings()
    metrics: dict[str, MetricSettings] = {
        "exact": MetricSettings(),
        "num_parameters": MetricSettings(),
    }
    space: dict[str, ParameterSettings] = Field(min_length=1)
    optimizer: OptimizerSettings = OptimizerSettings()
    budget: BudgetSettings = BudgetSettings()


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
                raise ConfigError(_first_error(error)) from error

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
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the study file {path} must be a readable text file: {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the study file {path} must be TOML: {error}") from error
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
        raise ConfigError(f"{name}: {_first_error(error)}") from error
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
                raise ConfigError(f"space.{_first_error(error)} (searched: {value!r})") from error
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


def _override(table: _AnyTable, parameters: Parameters) -> _AnyTable:
    values = {
        name: value for name, value in parameters.items() if name in table.__class__.model_fields
    }
    return table.__class__.model_validate(table.model_dump() | values)


def _first_error(error: ValidationError) -> str:
    """Return the first thing wrong in one line: key, rule, value, nearest valid name."""
    first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    keys = [str(key) for key in first["loc"] if key not in ("float", "integer", "choice")]
    path = ".".join(keys)
    match first["type"]:
        case "extra_forbidden":
            valid = [*_table_at(first["loc"][:-1]).model_fields]
            return f"{path}: no such key{did_you_mean(keys[-1], valid)}"
        case "missing":
            return f"{path}: this key is missing; add it"
        case "union_tag_invalid" | "union_tag_not_found":
            kind = first["input"].get("type") if isinstance(first["input"], dict) else None
            return f"{path}.type: must be float, integer or choice, but got {kind!r}"
        case _:
            shown = repr(first["input"])
            return f"{path}: {first['msg']}, but got {shown if len(shown) < 80 else '...'}"


def _table_at(path: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the class of the table at a path of keys."""
    match path:
        case ():
            return StudyFile
        case ("teacher", "recipe"):
            return TeacherRecipe
        case ("metrics", _):
            return MetricSettings
        case ("space", _, kind):
            return _KINDS[str(kind)]
        case _:
            return _SECTIONS[str(path[0])]
