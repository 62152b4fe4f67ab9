"""One run from parameters to outcome, on a teacher small enough for a test."""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForQuestionAnswering
from typing_extensions import override

from limbeck.config import MEASURED, load_config
from limbeck.errors import ConfigError, LimbeckWarning
from limbeck.files import sha256
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import RunState
from limbeck.tasks.question_answering.dataset import read_squad
from limbeck.tasks.question_answering.scoring import score
from tests.tiny import write_tiny_study


@dataclass
class Listener:
    """Remembers what it was told."""

    begun: list[tuple[int, int]] = field(default_factory=list)
    reported: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)

    def begin(self, step: int, total_steps: int) -> None:
        self.begun.append((step, total_steps))

    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        self.reported.append((step, values))

    def prepare(self, label: str, done: int, total: int) -> None:
        self.prepared.append(label)


def make_objective(
    folder: Path, listener: Listener | None = None, **overrides: object
) -> Objective:
    config = load_config(write_tiny_study(folder, **overrides))
    progress = listener.prepare if listener else None
    return Objective(config, Home(folder / "home"), progress=progress)


def test_a_run_leaves_a_model_that_answers_as_it_was_scored(tmp_path: Path) -> None:
    objective = make_objective(tmp_path)
    listener = Listener()
    objective.prepare(listener)
    parameters = {"num_layers": 2, "learning_rate": 0.02}
    outcome = objective(parameters, tmp_path / "run", listener)

    assert outcome.state is RunState.FINISHED
    answers = json.loads((tmp_path / "run" / "predictions.json").read_text())
    official = score(read_squad(tmp_path / "dev.json"), answers)
    assert {name: outcome.values[name] for name in official} == official
    student = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "run" / "model")
    assert sum(p.numel() for p in student.parameters()) == outcome.values["num_parameters"]
    assert objective.examine(student).answers == answers
    for artifact in outcome.artifacts:
        path = Path(artifact.path)
        assert artifact.sha256 == sha256(path)
    weights = tmp_path / "run" / "model" / "model.safetensors"
    assert outcome.values["bytes"] == weights.stat().st_size


def test_every_documented_metric_is_measured(tmp_path: Path) -> None:
    outcome = make_objective(tmp_path)({}, tmp_path / "run", Listener())
    assert outcome.values.keys() >= MEASURED.keys()
    assert all(math.isfinite(value) for value in outcome.values.values())


def test_curves_hold_loss_learning_rate_and_scores_on_the_way(tmp_path: Path) -> None:
    listener = Listener()
    make_objective(tmp_path)({}, tmp_path / "run", listener)
    names = {name for _, values in listener.reported for name in values}
    assert names == {
        *("loss", "learning_rate", "exact", "f1", "best_exact", "best_f1"),
        *("HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1"),
    }


def test_the_baseline_is_half_as_deep_as_the_teacher_and_otherwise_as_the_file_says(
    tmp_path: Path,
) -> None:
    objective = make_objective(tmp_path)
    assert objective.baseline == {"num_layers": 2, "learning_rate": 0.01}
    assert objective.known(objective.baseline) == objective.known({})


def test_a_baseline_outside_of_the_space_is_refused(tmp_path: Path) -> None:
    space = {"num_layers": {"type": "integer", "low": 3, "high": 3}}
    objective = make_objective(tmp_path, space=space)
    with pytest.raises(ConfigError, match=r"the baseline must lie .* num_layers .* \[student\]"):
        _ = objective.baseline


def test_known_values_are_those_of_the_student_that_is_built(tmp_path: Path) -> None:
    objective = make_objective(tmp_path)
    parameters = {"num_layers": 1, "learning_rate": 0.02}
    outcome = objective(parameters, tmp_path / "run", Listener())
    for name, value in objective.known(parameters).items():
        assert outcome.values[name] == value


def test_a_diverged_run_is_infeasible_and_says_why(tmp_path: Path) -> None:
    objective = make_objective(tmp_path)
    outcome = objective({"learning_rate": 1e30}, tmp_path / "run", Listener())
    assert (outcome.state, outcome.reason) == (RunState.INFEASIBLE, "diverged")
    assert "e+29" in outcome.message


def test_an_impossible_student_is_infeasible(tmp_path: Path) -> None:
    outcome = make_objective(tmp_path)({"num_heads": 5}, tmp_path / "run", Listener())
    assert (outcome.state, outcome.reason) == (RunState.INFEASIBLE, "architecture")


class _DeviceWithoutMemory(Listener):
    @override
    def begin(self, step: int, total_steps: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_device_without_memory_makes_a_run_infeasible(tmp_path: Path) -> None:
    outcome = make_objective(tmp_path)({}, tmp_path / "run", _DeviceWithoutMemory())
    assert (outcome.state, outcome.reason) == (RunState.INFEASIBLE, "out-of-memory")


def test_a_run_replaces_what_lies_in_its_folder(tmp_path: Path) -> None:
    first = make_objective(tmp_path)({}, tmp_path / "run", Listener())
    again = make_objective(tmp_path, recipe={"seed": 1})({}, tmp_path / "run", Listener())
    weights = {outcome.artifacts[0].sha256 for outcome in (first, again)}
    assert len(weights) == 2
    assert again.artifacts[0].sha256 == sha256(tmp_path / "run" / "model")


def test_windows_longer_than_the_teacher_reads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.max_length must not exceed the 32 positions"):
        make_objective(tmp_path, data={"max_length": 64})


def test_preparing_twice_computes_nothing_again(tmp_path: Path) -> None:
    first, second = Listener(), Listener()
    make_objective(tmp_path, first).prepare(first)
    make_objective(tmp_path, second).prepare(second)
    assert first.prepared
    assert second.prepared == []


def test_a_plain_encoder_is_taught_once_and_then_teaches(tmp_path: Path) -> None:
    teacher = {"model": "encoder"}
    first, second = Listener(), Listener()
    path = make_objective(tmp_path, teacher=teacher).teach(first)
    assert first.begun == [(0, first.begun[0][1])]
    objective = make_objective(tmp_path, teacher=teacher)
    assert objective.teach(second) == path
    assert second.begun == []
    assert objective.examine(objective.teacher).scores["total"] == 12


def test_a_threshold_that_answering_nothing_reaches_is_warned_of(tmp_path: Path) -> None:
    objective = make_objective(tmp_path, metrics={"exact": {"threshold": 25.0}})
    with pytest.warns(LimbeckWarning, match=r"answering nothing scores 25\.00 .* \(it is 25\.0\)"):
        objective.prepare(Listener())


def test_a_threshold_above_that_and_a_stored_score_are_not_warned_of(tmp_path: Path) -> None:
    metrics = {"exact": {"threshold": 25.1}, "f1": {"role": "store"}}
    objective = make_objective(tmp_path, metrics=metrics)
    with warnings.catch_warnings(action="error"):
        objective.prepare(Listener())


@pytest.mark.parametrize("how", ["magnitude", "random", "first"])
def test_what_is_kept_follows_the_study_file(tmp_path: Path, how: str) -> None:
    objective = make_objective(tmp_path, student={"importance": how, "num_heads": 2})
    outcome = objective({}, tmp_path / "run", Listener())
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert outcome.state is RunState.FINISHED
    assert config["heads_per_layer"] == [2, 2]
    assert (config["kept_heads"] == [[0, 1], [0, 1]]) == (how == "first")
