"""One run from parameters to outcome, on a teacher small enough for a test."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from typing_extensions import override

from limbeck.config import MEASURED, DataSettings, TrainingSettings, load_config
from limbeck.distill.device import Device
from limbeck.distill.evaluation import Exam, examine
from limbeck.errors import ConfigError, LimbeckWarning, ModelError, StoppedError
from limbeck.files import sha256
from limbeck.home import Home
from limbeck.measure import CLEAR_REFS
from limbeck.objective import Objective
from limbeck.reference import read_reference
from limbeck.runs import Forecast, RunState
from limbeck.space import Integer, Parameters, Value
from limbeck.tasks.question_answering.dataset import read_squad
from limbeck.tasks.question_answering.features import load_features
from limbeck.tasks.question_answering.scoring import read_predictions, score, score_with_errors
from tests.tiny import (
    LENGTHS,
    merged,
    tiny_questions,
    tiny_tokenizer,
    write_squad,
    write_tiny_study,
)


@dataclass
class Listener:
    """Remembers what it was told."""

    begun: list[tuple[int, int]] = field(default_factory=list)
    reported: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)

    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
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


STUDENTS: Mapping[str, dict[str, Any]] = {
    "plain": {"student": {}},
    "uneven, a layer without heads": {"student": {"num_heads": [0, 3], "ffn_size": [5, 48]}},
    # Of 4 questions: most of the words are not in them.
    "few tokens": {"student": {"vocabulary": "train"}, "data": {"train_questions": 4}},
    "few tokens, low rank, another source": {
        "student": {"vocabulary": "train", "embedding_rank": 4, "weights": "encoder"},
        "data": {"train_questions": 4},
    },
    "deeper, taught from inside": {
        "student": {"num_layers": 4},
        "space": {"num_layers": {"high": 4}},
        "recipe": {"alpha_hidden": 0.5, "alpha_relation": 0.5},
    },
}


@pytest.mark.parametrize("study", STUDENTS.values(), ids=STUDENTS)
def test_a_run_leaves_a_model_that_answers_as_it_was_scored(
    tmp_path: Path, study: dict[str, Any]
) -> None:
    objective = make_objective(tmp_path, **study)
    objective.prepare(Listener())
    outcome = objective({}, tmp_path / "run", Listener())

    assert outcome.state is RunState.FINISHED
    answers = json.loads((tmp_path / "run" / "predictions.json").read_text())
    official = score_with_errors(read_squad(tmp_path / "dev.json"), answers)
    assert {name: outcome.values[name] for name in official.values} == official.values
    assert {name: outcome.errors[name] for name in official.errors} == official.errors
    assert answers_of(tmp_path / "run" / "model", tmp_path / "dev.json") == answers
    for artifact in outcome.artifacts:
        assert artifact.sha256 == sha256(Path(artifact.path))


@pytest.mark.parametrize("study", STUDENTS.values(), ids=STUDENTS)
def test_what_is_known_before_a_run_is_true_after_it(tmp_path: Path, study: dict[str, Any]) -> None:
    objective = make_objective(tmp_path, **study)
    known = objective.known({})
    outcome = objective({}, tmp_path / "run", Listener())
    assert {name: outcome.values[name] for name in known} == known
    student = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "run" / "model")
    assert known["num_parameters"] == sum(p.numel() for p in student.parameters())
    assert known["bytes"] == (tmp_path / "run" / "model" / "model.safetensors").stat().st_size


def answers_of(model: Path, questions: Path) -> dict[str, str]:
    """Return the answers of a model and a tokenizer, loaded from their folder by transformers."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    asked = read_squad(questions)
    features = load_features(
        asked, tokenizer.backend_tokenizer, LENGTHS, cache=model.parent / "again"
    )
    return examine(
        AutoModelForQuestionAnswering.from_pretrained(model),
        Exam(asked, features),
        DataSettings(train="none", max_answer_length=4),
        device=Device.choose(TrainingSettings(device="cpu", precision="fp32")),
    ).answers


def test_every_documented_metric_is_measured(tmp_path: Path) -> None:
    outcome = make_objective(tmp_path)({}, tmp_path / "run", Listener())
    offered = os.access(CLEAR_REFS, os.W_OK)
    expected = MEASURED.keys() - (set() if offered else {"train_memory_bytes"})
    values = outcome.values
    assert values.keys() >= expected
    assert all(math.isfinite(value) for value in values.values())
    assert values["memory_bytes"] > 4 * values["num_parameters"]
    assert values["latency_p90_ms"] >= values["latency_ms"] > 0
    assert 0 < values["inference_time"] < outcome.seconds


def test_how_it_was_measured_is_written_down(tmp_path: Path) -> None:
    values = make_objective(tmp_path)({}, tmp_path / "run", Listener()).values
    latency, memory = (
        json.loads((tmp_path / "run" / name).read_text())
        for name in ("latency.json", "memory.json")
    )
    assert (latency["p50_ms"], latency["p90_ms"]) == (
        values["latency_ms"],
        values["latency_p90_ms"],
    )
    assert memory["bytes"] == values["memory_bytes"]
    assert (latency["device"], latency["length"], memory["length"]) == ("cpu", 32, 32)
    assert latency["runtime"] == "pytorch"


def test_latency_is_measured_where_students_serve(tmp_path: Path) -> None:
    served = {"runtime": "onnx-int8", "threads": 2}
    objective = make_objective(tmp_path, latency=served)
    objective.prepare(Listener())
    values = objective({}, tmp_path / "run", Listener()).values
    teacher = objective.home.teacher("tiny")
    for folder in (tmp_path / "run", teacher):
        latency = json.loads((folder / "latency.json").read_text())
        conditions = [latency[key] for key in ("runtime", "device", "threads")]
        assert conditions == ["onnx-int8", "cpu", 2]
    own = json.loads((tmp_path / "run" / "latency.json").read_text())
    assert own["p50_ms"] == values["latency_ms"]


@pytest.mark.gpu
def test_on_a_gpu_latency_can_be_that_of_the_cpu(tmp_path: Path) -> None:
    objective = make_objective(tmp_path, latency={"device": "cpu"}, training={"device": "cuda"})
    objective({}, tmp_path / "run", Listener())
    latency, memory = (
        json.loads((tmp_path / "run" / name).read_text())
        for name in ("latency.json", "memory.json")
    )
    assert (latency["device"], memory["device"]) == ("cpu", "cuda")


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


ALL_LAYERS = {"type": "integer", "low": 1, "high": 4}
CHOICE = {"type": "choice", "choices": ["other", "teacher", "encoder"]}


@pytest.mark.parametrize(
    ("name", "settings", "student", "value"),
    [
        ("num_heads", ALL_LAYERS, {}, 4),
        ("num_heads", ALL_LAYERS, {"num_heads": 3}, 3),
        ("num_heads_1", ALL_LAYERS, {}, 4),
        ("num_heads_1", ALL_LAYERS, {"num_heads": [4, 2]}, 2),
        ("ffn_size_1", {**ALL_LAYERS, "high": 48}, {}, 48),
        # A layer that only deeper students have.
        ("ffn_size_2", {**ALL_LAYERS, "high": 48}, {}, 48),
        ("num_layers", ALL_LAYERS, {"layers": "0,1,2"}, 3),
        ("weights", CHOICE, {}, "teacher"),
        ("weights", CHOICE, {"weights": "encoder"}, "encoder"),
        ("vocabulary", {"type": "choice", "choices": ["train", "full"]}, {}, "full"),
        ("embedding_rank", ALL_LAYERS, {"embedding_rank": 3}, 3),
        ("pruning_seed", {**ALL_LAYERS, "low": 0, "inert": True}, {}, 0),
        ("log_every", {**ALL_LAYERS, "inert": True}, {}, 1),
    ],
)
def test_the_baseline_has_what_the_file_says_and_else_what_the_teacher_has(
    tmp_path: Path, name: str, settings: Mapping[str, object], student: dict[str, Any], value: Value
) -> None:
    # A table takes the place of nothing: that of num_layers must be taken away.
    space = {"num_layers": None, "learning_rate": None, name: settings}
    objective = make_objective(tmp_path, space=space, student=student)
    assert objective.baseline == {name: value}


def test_a_baseline_without_a_value_is_refused(tmp_path: Path) -> None:
    objective = make_objective(tmp_path, space={"embedding_rank": ALL_LAYERS})
    with pytest.raises(
        ConfigError, match=r"^the baseline needs a value .* embedding_rank .*nt\] or"
    ):
        _ = objective.baseline


def test_the_baseline_has_no_value_of_what_is_inactive(tmp_path: Path) -> None:
    """Nothing says what rank the embeddings of the baseline have, which are not factorized."""
    space = {
        "embedding_rank": {**ALL_LAYERS, "when": {"vocabulary": ["train"]}},
        "vocabulary": {"type": "choice", "choices": ["full", "train"]},
        "num_heads_1": {**ALL_LAYERS, "when": {"num_layers": {"at_least": 2}}},
    }
    objective = make_objective(tmp_path, space=space)
    assert objective.baseline == {
        "num_layers": 2, "learning_rate": 0.01, "vocabulary": "full", "num_heads_1": 4,
    }  # fmt: skip


def test_a_layer_that_is_not_searched_is_as_wide_as_all(tmp_path: Path) -> None:
    space = {"num_heads_1": {**ALL_LAYERS, "when": {"num_layers": {"at_least": 2}}}}
    objective = make_objective(tmp_path, space=space, student={"num_heads": 3})
    sizes = [
        objective.known(parameters)["num_parameters"]
        for parameters in (
            {"num_layers": 1},
            {"num_layers": 2},
            {"num_layers": 2, "num_heads_1": 3},
        )
    ]
    assert sizes[0] < sizes[1] == sizes[2]


def test_a_baseline_that_breaks_a_constraint_is_refused(tmp_path: Path) -> None:
    objective = make_objective(tmp_path, constraints=["num_layers != 2"])
    with pytest.raises(ConfigError, match=r"'num_layers': 2, .* breaks 'num_layers != 2'; set its"):
        _ = objective.baseline


def test_the_baseline_of_a_trimmed_vocabulary_needs_no_data(tmp_path: Path) -> None:
    objective = make_objective(tmp_path, student={"vocabulary": "train"})
    (tmp_path / "train.json").unlink()
    assert objective.baseline["num_layers"] == 2


def test_the_largest_values_are_the_teachers_if_left_out(tmp_path: Path) -> None:
    opened = {"type": "integer", "low": 1}
    space = {"num_layers": {"high": None}, "num_heads": opened, "num_heads_1": opened}
    objective = make_objective(tmp_path, space={**space, "ffn_size": {**opened, "step": 10}})
    highs = {p.name: p.high for p in objective.space.parameters if isinstance(p, Integer)}
    assert highs == {"num_layers": 3, "num_heads": 4, "num_heads_1": 4, "ffn_size": 41}


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
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_device_without_memory_makes_a_run_infeasible(tmp_path: Path) -> None:
    outcome = make_objective(tmp_path)({}, tmp_path / "run", _DeviceWithoutMemory())
    assert (outcome.state, outcome.reason) == (RunState.INFEASIBLE, "out-of-memory")


class _StopsAtFive(Listener):
    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        super().report(step, values, seconds=seconds)
        if step >= 5:
            raise StoppedError("enough")


def test_a_run_ends_where_its_listener_ends_it(tmp_path: Path) -> None:
    listener = _StopsAtFive()
    outcome = make_objective(tmp_path)({}, tmp_path / "run", listener)
    assert outcome.state is RunState.STOPPED
    assert outcome.seconds > 0
    assert [step for step, _ in listener.reported] == [2, 4, 5]
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize("needs_all", [True, False])
def test_the_first_questions_decide_whether_all_are_answered(
    tmp_path: Path, needs_all: bool
) -> None:
    asked: list[Mapping[str, Forecast]] = []

    def decide(forecasts: Mapping[str, Forecast]) -> bool:
        asked.append(forecasts)
        return needs_all

    objective = make_objective(tmp_path, data={"first_questions": 9}, recipe={"learning_rate": 0.1})
    outcome = objective({}, tmp_path / "run", Listener(), needs_all=decide)
    [forecasts] = asked
    assert outcome.state is RunState.FINISHED
    answers = json.loads((tmp_path / "run" / "predictions.json").read_text())
    if needs_all:
        assert (outcome.values["total"], len(answers), outcome.forecasts) == (12.0, 12, {})
        return
    assert (outcome.values["total"], len(answers)) == (9.0, 9)
    assert outcome.forecasts == forecasts
    # A quarter of the questions is left: sqrt(1/4) of the standard error of nine.
    assert forecasts["exact"].mean == outcome.values["exact"]
    assert forecasts["exact"].std == pytest.approx(outcome.errors["exact"] / 2)


def test_a_run_replaces_what_lies_in_its_folder(tmp_path: Path) -> None:
    first = make_objective(tmp_path)({}, tmp_path / "run", Listener())
    again = make_objective(tmp_path, recipe={"seed": 1})({}, tmp_path / "run", Listener())
    weights = {outcome.artifacts[0].sha256 for outcome in (first, again)}
    assert len(weights) == 2
    assert again.artifacts[0].sha256 == sha256(tmp_path / "run" / "model")


def test_windows_longer_than_the_teacher_reads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.max_length must not exceed the 32 positions"):
        make_objective(tmp_path, data={"max_length": 64})


@pytest.mark.parametrize(
    "student",
    [{}, {"importance": "fisher", "num_heads": 2}, {"vocabulary": "train"}],
    ids=["plain", "importance", "vocabulary"],
)
def test_preparing_twice_computes_nothing_again(tmp_path: Path, student: dict[str, Any]) -> None:
    first, second, run = Listener(), Listener(), Listener()
    make_objective(tmp_path, first, student=student).prepare(first)
    make_objective(tmp_path, second, student=student).prepare(second)
    assert first.prepared
    assert second.prepared == []
    # Nor does a run, but for the few questions that score it on the way.
    make_objective(tmp_path, run, student=student)({}, tmp_path / "run", run)
    assert set(run.prepared) <= {"cutting sampled questions into windows"}


def test_the_teacher_is_scored_once_as_its_students_are(tmp_path: Path) -> None:
    objective = make_objective(tmp_path)
    objective.prepare(Listener())
    name = objective.config.file.name
    found = read_reference(objective.home, name)
    assert found is not None
    predictions = read_predictions(objective.home.teacher(name) / "predictions.json")
    scores = score(objective.questions.scored, predictions)
    assert {key: found.values[key] for key in scores} == scores
    assert found.errors["exact"] > 0
    weights = sum(parameter.numel() for parameter in objective.teacher.parameters())
    assert found.values["num_parameters"] == weights
    assert read_reference(objective.home, "another study") is None


def test_a_source_of_other_words_is_met_before_any_training(tmp_path: Path) -> None:
    objective = make_objective(
        tmp_path, teacher={"model": "encoder"}, student={"weights": "teacher"}
    )
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["zoe"])
    tokenizer.save_pretrained(tmp_path / "teacher")
    listener = Listener()
    with pytest.raises(ModelError, match=r"vocabulary, but 'teacher' has another; [^\n]*$"):
        objective.prepare(listener)
    assert listener.begun == []


def test_a_plain_encoder_is_taught_once_and_then_teaches(tmp_path: Path) -> None:
    teacher = {"model": "encoder"}
    first, second = Listener(), Listener()
    path = make_objective(tmp_path, teacher=teacher).teach(first)
    assert first.begun == [(0, first.begun[0][1])]
    objective = make_objective(tmp_path, teacher=teacher)
    assert objective.teach(second) == path
    assert second.begun == []
    assert objective.examine(objective.teacher).scores["total"] == 12


def test_a_taught_teacher_follows_from_its_questions_not_from_what_scores(tmp_path: Path) -> None:
    def folder(**data: object) -> str:
        return make_objective(tmp_path, teacher={"model": "encoder"}, data=data).teacher_path

    write_squad(tmp_path / "test.json", tiny_questions(8, seed=3))
    assert folder(test="test.json", score_on="test") == folder()
    assert folder(train_questions=12) != folder()
    before = folder()
    other = make_objective(
        tmp_path / "elsewhere", teacher={"model": str(tmp_path / "encoder")}
    ).config
    write_squad(tmp_path / "elsewhere" / "train.json", tiny_questions(24, seed=4))
    assert Path(Objective(other, Home(tmp_path / "home")).teacher_path) != Path(before)


def test_a_threshold_that_answering_nothing_reaches_is_warned_of(tmp_path: Path) -> None:
    objective = make_objective(tmp_path, metrics={"exact": {"threshold": 25.0}})
    with pytest.warns(LimbeckWarning, match=r"answering nothing scores 25\.00 .* \(it is 25\.0\)"):
        objective.prepare(Listener())


def test_an_automatic_threshold_is_settled_before_the_study_starts(tmp_path: Path) -> None:
    objective = make_objective(tmp_path, metrics={"exact": {"threshold": "auto"}})
    # 3 of 12 questions have no answer: 25 % and 2 standard errors of sqrt(3/16 / 12) = 1/8.
    assert {m.name: m.threshold for m in objective.config.metrics}["exact"] == 50.0


@pytest.mark.parametrize("how", ["magnitude", "random", "first", "fisher", "first_order"])
def test_what_is_kept_follows_the_study_file(tmp_path: Path, how: str) -> None:
    objective = make_objective(tmp_path, student={"importance": how, "num_heads": 2})
    outcome = objective({}, tmp_path / "run", Listener())
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert outcome.state is RunState.FINISHED
    assert config["heads_per_layer"] == [2, 2]
    assert (config["kept_heads"] == [[0, 1], [0, 1]]) == (how == "first")


WHOLE = {"num_layers": 3, "importance": "first"}
STILL = {"dropout": 0.0, "attention_dropout": 0.0}


def losses(folder: Path, parameters: Parameters | None = None, **overrides: object) -> list[float]:
    """Return the losses of a run, step by step."""
    listener = Listener()
    study = merged({"training": {"log_every": 1}, "recipe": STILL}, overrides)
    objective = make_objective(folder, listener, **study)
    outcome = objective(parameters or {}, folder / "run", listener)
    assert outcome.state is RunState.FINISHED, outcome.message
    return [values["loss"] for _, values in listener.reported if "loss" in values]


@pytest.mark.parametrize("vocabulary", ["full", "train"])
@pytest.mark.parametrize("alpha", ["alpha_ce", "alpha_hidden", "alpha_relation"])
def test_a_copy_of_the_teacher_has_nothing_to_learn_from_it(
    tmp_path: Path, alpha: str, vocabulary: str
) -> None:
    # The teacher's logits are those of the student's tokens, although it reads them as others.
    loss = losses(
        tmp_path,
        student={**WHOLE, "vocabulary": vocabulary},
        data={"train_questions": 4},
        recipe={"alpha_ce": 1.0, alpha: 1.0},
    )[0]
    assert loss == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("alpha", ["alpha_hidden", "alpha_relation"])
def test_what_is_inside_the_teacher_is_learned(tmp_path: Path, alpha: str) -> None:
    # So large a weight that it alone counts: all else is below 3.
    taught = losses(tmp_path, {alpha: 1e6, "learning_rate": 1e-4})
    assert taught[0] > 20
    assert taught[-1] < 0.9 * taught[0]


@pytest.mark.parametrize("setting", [{"precision": "bf16"}, {"micro_batch": 3}])
def test_how_runs_are_computed_follows_the_study_file(
    tmp_path: Path, setting: dict[str, object]
) -> None:
    plain = losses(tmp_path / "plain")
    other = losses(tmp_path / "other", training=setting)
    assert other != plain
    assert other[0] == pytest.approx(plain[0], rel=0.02)


@pytest.mark.parametrize("metric", ["exact", "NoAns_exact"])
def test_the_best_weights_are_those_of_the_best_first_optimized_score(
    tmp_path: Path, metric: str
) -> None:
    listener = Listener()
    objective = make_objective(
        tmp_path,
        recipe={"keep": "best", "learning_rate": 0.1},
        training={"evaluate_every": 1, "evaluate_questions": 12},
        metrics={"exact": None, metric: {"threshold": 0.0}, "f1": {}},
    )
    outcome = objective({}, tmp_path / "run", listener)
    on_the_way = [values for _, values in listener.reported if metric in values]
    best = max(on_the_way, key=lambda values: values[metric])  # the earliest of several
    assert {name: outcome.values[name] for name in best} == best
    assert best != on_the_way[-1], "else the last weights would do"


def test_test_questions_score_where_the_file_says_so(tmp_path: Path) -> None:
    write_squad(tmp_path / "test.json", tiny_questions(8, seed=3))
    objective = make_objective(
        tmp_path, data={"test": "test.json", "test_questions": 6, "score_on": "test"}
    )
    outcome = objective({}, tmp_path / "run", Listener())
    answers = json.loads((tmp_path / "run" / "predictions.json").read_text())
    chosen = read_squad(tmp_path / "test.json").sample(6, seed=0)
    official = score_with_errors(chosen, answers)
    assert {name: outcome.values[name] for name in official.values} == official.values
    assert {name: outcome.errors[name] for name in official.errors} == official.errors


def test_a_trimmed_vocabulary_that_reads_the_questions_otherwise_is_refused(
    tmp_path: Path,
) -> None:
    objective = make_objective(
        tmp_path, student={"vocabulary": "train"}, data={"train_questions": 4}
    )
    # "xyzzy" begins with "xy", and the rest is no token: the teacher cannot spell it. Without "xy",
    # which is in no question, it can.
    replace_words(tmp_path / "train.json", {"rains": "xyzzy", "snows": "wyzzy"})
    pieces = {'"nepal"': '"xy"', '"peru"': '"x"', '"chad"': '"w"', '"spain"': '"##yzzy"'}
    replace_words(tmp_path / "teacher" / "tokenizer.json", pieces)
    with pytest.raises(ModelError, match=r'set vocabulary = "full"$'):
        objective.prepare(Listener())


def replace_words(path: Path, words: Mapping[str, str]) -> None:
    text = path.read_text()
    for old, new in words.items():
        text = text.replace(old, new)
    path.write_text(text)
