"""What is wrong with a study file, in one line for people."""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from limbeck.config.tables import (
    ArtifactSettings,
    BudgetSettings,
    ChoiceSettings,
    DataSettings,
    FloatSettings,
    IntegerSettings,
    LatencySettings,
    MetricSettings,
    OptimizerSettings,
    PriorSettings,
    RangeSettings,
    Recipe,
    StoppingSettings,
    StudentSettings,
    StudyFile,
    TeacherRecipe,
    TeacherSettings,
    TrainingSettings,
)
from limbeck.space import did_you_mean

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "teacher": TeacherSettings,
    "data": DataSettings,
    "student": StudentSettings,
    "recipe": Recipe,
    "training": TrainingSettings,
    "latency": LatencySettings,
    "optimizer": OptimizerSettings,
    "budget": BudgetSettings,
    "stopping": StoppingSettings,
    "artifacts": ArtifactSettings,
}
_LAYERS = ("first", "last", "spread")
_TAGS = ("one", "each", "number", "text")
_KINDS: Mapping[str, type[BaseModel]] = {
    "float": FloatSettings,
    "integer": IntegerSettings,
    "choice": ChoiceSettings,
}
# Pydantic speaks of Python's types; a study file has TOML's.
_RULES: Mapping[str, str] = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "list_type": "must be an array",
    "model_attributes_type": "must be a table",
    "model_type": "must be a table",
    "string_pattern_mismatch": (
        "must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"
    ),
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_short": "must not be empty",
}


def first_error(error: ValidationError) -> str:
    """Return the first thing wrong in one line: key, rule, value, nearest valid name.

    A misspelt key comes before all else: what is missing is often missing because of it.
    """
    first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    kind, place, path = first["type"], first["loc"], _path(first["loc"])
    shown = repr(first["input"])
    got = f"but got {shown if len(shown) < 80 else '...'}"
    match kind, place:
        case "extra_forbidden", _:
            valid = [*_table_at(place[:-1]).model_fields]
            return f"{path}: no such key{did_you_mean(str(place[-1]), valid)}"
        case "missing", _:
            return f"{path}: this key is missing; add it"
        case "union_tag_not_found", _:
            return f'{path}.type: this key is missing; add "float", "integer" or "choice"'
        case "union_tag_invalid", _:
            tag = first["ctx"]["tag"]
            rule = "must be 'float', 'integer' or 'choice'"
            return f"{path}.type: {rule}, but got {tag!r}{_nearest(tag, [*_KINDS])}"
        case "literal_error", _:
            expected: str = first["ctx"]["expected"]
            choices = re.findall("'([^']+)'", expected)
            return f"{path}: must be {expected}, {got}{_nearest(str(first['input']), choices)}"
        case "string_pattern_mismatch", ("student", "layers") | ("layers",):
            near = _nearest(str(first["input"]), [*_LAYERS])
            rule = "must be 'first', 'last', 'spread' or a list like '0,2,5'"
            return f"{path}: {rule}, {got}{near}"
        case "string_pattern_mismatch", ("mirrors", _):
            rule = "must be 'mlflow:URI', 'tensorboard:FOLDER' or 'wandb:PROJECT'"
            return f"{path}: {rule}, {got}"
        case _, ("space", _, *_, "choices" | "values", int(), _):
            return f"{path}: must be text, a finite number, true or false, {got}"
        case "model_type" | "model_attributes_type", ("space", _, _, "when", _, "range"):
            return f"{path}: must be an array of values, or a table with at_least, at_most, {got}"
        case _:
            rule = _RULES.get(kind) or first["msg"].replace("Input should be", "must be")
            return f"{path}: {rule}, {got}"


def _path(place: tuple[int | str, ...]) -> str:
    """Return the keys as a study file has them, without the types that pydantic tried."""
    match place:
        case ("space", name, "choice", "choices", index, _):
            return f"space.{name}.choices[{index}]"
        case ("space", name, _, "when", other, "values", index, _):
            return f"space.{name}.when.{other}[{index}]"
        case ("space", name, _, "when", other, "range", *keys):
            return ".".join(["space", str(name), "when", str(other), *map(str, keys)])
        case ("constraints" | "mirrors" as key, index):
            return f"{key}[{index}]"
        case ("space", name, _, *rest):
            return ".".join(["space", str(name), *map(str, rest)])
        case (*table, "each", int(index)):
            return f"{_path(tuple(table))}[{index}]"
        case (*table, str(tag)) if tag in _TAGS:
            return _path(tuple(table))
        case _:
            return ".".join(map(str, place))


def _nearest(value: str, choices: list[str]) -> str:
    near = get_close_matches(value, choices, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _table_at(path: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the class of the table at a path of keys."""
    match path:
        case ():
            return StudyFile
        case ("teacher", "recipe"):
            return TeacherRecipe
        case ("metrics", _):
            return MetricSettings
        case ("space", _, _, "prior"):
            return PriorSettings
        case ("space", _, _, "when", _, "range"):
            return RangeSettings
        case ("space", _, kind):
            return _KINDS[str(kind)]
        case _:
            return _SECTIONS[str(path[0])]
