"""Runs with files, for the tests of what becomes of these."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.artifacts import FROM_THE_START, WEIGHTS, register
from limbeck.config import StudyConfig, parse_config
from limbeck.runs import Outcome, RunState

ME = "host:1:100"


def make_config(folder: Path, **overrides: Any) -> StudyConfig:
    table: dict[str, Any] = {
        "name": "tiny",
        "task": "question-answering",
        "teacher": {"model": "teacher"},
        "data": {"train": "train.json", "dev": "dev.json"},
        "metrics": {"exact": {"threshold": 30.0}, "num_parameters": {}},
        "space": {"num_layers": {"type": "integer", "low": 1, "high": 12}},
        "student": {"num_layers": 6},
    }
    return parse_config({**table, **overrides}, folder=folder, name="study.toml")


def write_files(folder: Path, *, model: int = 100) -> None:
    """Write what a run leaves: a model of so many bytes and a few more, and small files."""
    (folder / WEIGHTS / "onnx").mkdir(parents=True)
    (folder / WEIGHTS / "model.safetensors").write_bytes(bytes(model))
    (folder / WEIGHTS / "onnx" / "config.json").write_text("{}")
    for name in ("predictions.json", *FROM_THE_START):
        (folder / name).write_text(f'{{"file": "{name}"}}')


def outcome_of(folder: Path, values: Mapping[str, float]) -> Outcome:
    """Return the outcome of a finished run with files in a folder."""
    names = (WEIGHTS, "predictions.json")
    return Outcome(
        state=RunState.FINISHED,
        values=values,
        artifacts=tuple(register(name, folder / name) for name in names),
    )
