"""Presets as tables."""

from pathlib import Path

from rich.markup import escape

from limbeck.cli.tables import OUT, new_table
from limbeck.config import parse_config, preset_summary, with_preset
from limbeck.config.tables import ChoiceSettings, FloatSettings, IntegerSettings

_ANY_STUDY = {
    "name": "preset",
    "task": "question-answering",
    "teacher": {"model": "teacher"},
    "data": {"train": "train.json"},
}


def print_preset(name: str) -> None:
    """Print what a preset is for and what it searches."""
    study = with_preset({**_ANY_STUDY, "preset": name})
    config = parse_config(study, folder=Path(), name=name)
    OUT.print(f"[bold]{name}[/bold]: {escape(preset_summary(name))}", markup=True)
    table = new_table("parameter", "range", "baseline", "note")
    for parameter, given in config.file.space.items():
        default = config.default(parameter)
        table.add_row(
            parameter,
            _range(given),
            ""
            if default is None
            else f"{default:g}"
            if isinstance(default, float)
            else str(default),
            _note(given),
        )
    OUT.print(table)


def _range(given: FloatSettings | IntegerSettings | ChoiceSettings) -> str:
    if isinstance(given, ChoiceSettings):
        return " | ".join(map(str, given.choices))
    end = "the teacher's" if given.high is None else f"{given.high:g}"
    steps = f", step {given.step:g}" if given.step not in (None, 1) else ""
    return f"{given.low:g} to {end}{', log' if given.log else ''}{steps}"


def _note(given: FloatSettings | IntegerSettings | ChoiceSettings) -> str:
    if given.inert:
        return "without effect"
    if isinstance(given, ChoiceSettings) or given.prior is None:
        return ""
    return f"prior near {given.prior.near:g}"
