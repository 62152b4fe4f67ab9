"""Students as a study file and parameters ask for them, before any training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast

from limbeck.config import load_config
from limbeck.distill.device import Device
from limbeck.distill.students import Students
from limbeck.errors import ArchitectureError, ConfigError, ModelError
from limbeck.space import Parameters
from limbeck.students.loading import load_teacher
from limbeck.tasks.question_answering.features import Features
from tests.tiny import LENGTHS, tiny_tokenizer, write_tiny_study

FEW_WORDS = "who is the king of france ? the king of france is ada ."


@dataclass
class Listener:
    """Remembers what was being prepared."""

    prepared: list[str] = field(default_factory=list)

    def prepare(self, label: str, done: int, total: int) -> None:
        self.prepared.append(label)


@pytest.fixture
def few_features(features: Features) -> Features:
    """Windows in which most of the tokenizer's words do not occur."""
    ids = tiny_tokenizer()(FEW_WORDS)["input_ids"]
    used = np.resize(np.array(ids, np.int32), len(features.input_ids))
    return Features(**{**vars(features), "key": "few", "input_ids": used})


def make_students(
    folder: Path, features: Features, listener: Listener | None = None, **overrides: object
) -> Students:
    config = load_config(write_tiny_study(folder, **overrides))
    write_other(folder / "other")
    return Students(
        config,
        tiny_tokenizer(),
        teacher=lambda: load_teacher(str(folder / "teacher")),
        features=lambda: features,
        device=Device.choose(config.file.training),
        cache=folder / "cache",
        progress=listener.prepare if listener else None,
    )


def write_other(
    folder: Path, *, tokenizer: PreTrainedTokenizerFast | None = None, length: int = 32
) -> BertForQuestionAnswering:
    """Write a fine-tuned model that is narrower and shallower than the teacher; return it."""
    tokenizer = tokenizer or tiny_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = BertForQuestionAnswering(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=20,
                max_position_embeddings=length,
                pad_token_id=0,
            )
        )
    model.train(mode=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


SHAPES: Mapping[str, tuple[dict[str, Any], Parameters, list[int], list[int], list[int]]] = {
    # [student], parameters, then heads, neurons and the source's layers.
    "half as deep": ({}, {}, [4, 4], [48, 48], [0, 1]),
    "the same everywhere": ({"num_heads": 2, "ffn_size": 9}, {}, [2, 2], [9, 9], [0, 1]),
    "a list": ({"num_heads": [3, 1], "ffn_size": [48, 7]}, {}, [3, 1], [48, 7], [0, 1]),
    "searched layers": (
        {"num_heads": 2},
        {"num_layers": 3, "num_heads_0": 1, "ffn_size_2": 5, "num_heads_7": 3},
        [1, 2, 2],
        [48, 48, 5],
        [0, 1, 2],
    ),
    "a searched layer of a list": (
        {"num_heads": [3, 1]},
        {"num_heads_1": 4},
        [3, 4],
        [48, 48],
        [0, 1],
    ),
    "listed layers": ({"layers": "0,2"}, {}, [4, 4], [48, 48], [0, 2]),
    "the last layer": ({"layers": "last"}, {"num_layers": 1}, [4], [48], [2]),
    "deeper": ({}, {"num_layers": 5, "ffn_size_4": 6}, [4] * 5, [48] * 4 + [6], [0, 1, 2]),
    "no heads": ({"num_heads": [0, 4]}, {}, [0, 4], [48, 48], [0, 1]),
    "few tokens": ({"vocabulary": "train"}, {}, [4, 4], [48, 48], [0, 1]),
    "low rank": ({"embedding_rank": 3}, {}, [4, 4], [48, 48], [0, 1]),
    "of an encoder": ({"weights": "encoder"}, {}, [4, 4], [48, 48], [0, 1]),
    "of another model": ({"weights": "other", "num_layers": 3}, {}, [2] * 3, [20] * 3, [0, 1]),
    "in rounds": (
        {"importance_rounds": 2, "vocabulary": "train"},
        {"num_heads": 1, "ffn_size": 5},
        [1, 1],
        [5, 5],
        [0, 1],
    ),
    "all at once": (
        {"layers": "spread", "vocabulary": "train", "embedding_rank": 2, "importance": "fisher"},
        {"num_heads_0": 0, "num_heads_1": 2, "ffn_size": 8},
        [0, 2],
        [8, 8],
        [0, 2],
    ),
}


@pytest.mark.parametrize(
    ("student", "parameters", "heads", "neurons", "layers"), SHAPES.values(), ids=SHAPES
)
def test_a_student_is_what_was_asked_for_and_as_large_as_was_said(
    tmp_path: Path,
    few_features: Features,
    student: dict[str, Any],
    parameters: Parameters,
    heads: list[int],
    neurons: list[int],
    layers: list[int],
) -> None:
    students = make_students(tmp_path, few_features, student=student)
    known = students.known(parameters)
    built = students.build(parameters)

    assert built.config.heads_per_layer == heads
    assert built.config.ffn_per_layer == neurons
    assert built.config.kept_layers == layers
    assert known["num_parameters"] == sum(p.numel() for p in built.parameters())
    encoder = built.bert.encoder
    assert known["num_encoder_parameters"] == sum(p.numel() for p in encoder.parameters())
    built.save_pretrained(tmp_path / "saved")
    assert known["bytes"] == (tmp_path / "saved" / "model.safetensors").stat().st_size
    # On the meta device attention is counted too.
    built.to(torch.device("meta"))  # type: ignore[arg-type]  # transformers' wrapper
    window = torch.zeros((1, LENGTHS.max_length), dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as counter:
        built(input_ids=window)
    assert known["flops"] == counter.get_total_flops()


@pytest.mark.parametrize(
    ("student", "parameters", "message"),
    [
        ({"num_heads": [4, 2]}, {"num_layers": 3}, r"num_heads must be one number or 3, .*\[4, 2"),
        ({"layers": "0,2"}, {"num_layers": 3}, r"num_layers must be the number of the listed"),
        ({"layers": "0,3"}, {}, r"listed layers must be between 0 and 2"),
        ({"weights": "other"}, {"num_heads": 4}, r"heads of layer 0 must be between 0 and .* 2"),
        ({}, {"embedding_rank": 33}, r"embedding_rank must be between 1 and the teacher's 32"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_made(
    tmp_path: Path,
    features: Features,
    student: dict[str, Any],
    parameters: Parameters,
    message: str,
) -> None:
    students = make_students(tmp_path, features, student=student)
    for make in (students.known, students.build):
        with pytest.raises(ArchitectureError, match=message):
            make(parameters)


def test_a_parameter_without_effect_changes_no_layer(tmp_path: Path, features: Features) -> None:
    space = {"num_heads_0": {"type": "integer", "low": 0, "high": 4, "inert": True}}
    students = make_students(tmp_path, features, space=space)
    assert students.known({"num_heads_0": 0}) == students.known({})


def test_a_whole_student_of_another_model_answers_as_it_does(
    tmp_path: Path, features: Features
) -> None:
    students = make_students(tmp_path, features, student={"weights": "other", "num_layers": 2})
    ids = torch.arange(12)[None]
    with torch.no_grad():
        expected = write_other(tmp_path / "again")(input_ids=ids)
        answer = students.build({})(input_ids=ids)
    assert torch.allclose(answer.start_logits, expected.start_logits, atol=1e-6)
    assert torch.allclose(answer.end_logits, expected.end_logits, atol=1e-6)


def test_the_model_to_cut_from_can_be_searched(tmp_path: Path, features: Features) -> None:
    space = {"weights": {"type": "choice", "choices": ["teacher", "encoder", "other"]}}
    students = make_students(tmp_path, features, space=space)

    def words(weights: str) -> Tensor:
        built = students.build({"weights": weights, "num_layers": 1})
        return built.bert.embeddings.word_embeddings.weight

    assert torch.equal(words("teacher"), students.build({}).bert.embeddings.word_embeddings.weight)
    assert words("teacher").shape == words("encoder").shape
    assert not torch.equal(words("teacher"), words("encoder"))
    assert words("other").shape == (len(tiny_tokenizer()), 16)


@pytest.mark.parametrize("part", ["qa_outputs", "bert.encoder.layer.3.output.dense"])
def test_what_no_model_has_is_drawn_from_the_seed(
    tmp_path: Path, features: Features, part: str
) -> None:
    def drawn(*, seed: int, **student: object) -> Tensor:
        students = make_students(
            tmp_path, features, student={"weights": "encoder", **student}, recipe={"seed": seed}
        )
        return students.build({"num_layers": 4}).get_parameter(f"{part}.weight").detach()

    assert torch.equal(drawn(seed=1), drawn(seed=1))
    assert not torch.equal(drawn(seed=1), drawn(seed=2))
    assert torch.allclose(drawn(seed=1, initializer_range=0.2), 10 * drawn(seed=1))


@pytest.mark.parametrize("name", ["magnitude", "random", "first", "fisher", "first_order"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_what_is_kept_is_the_same_every_time(
    tmp_path: Path, features: Features, name: str, rounds: int
) -> None:
    student = {"importance": name, "importance_rounds": rounds, "num_heads": 2, "ffn_size": 5}
    one = make_students(tmp_path, features, student=student).build({})
    other = make_students(tmp_path, features, student=student).build({})
    assert (one.config.kept_heads == [[0, 1], [0, 1]]) == (name == "first")
    for weight, same in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(weight, same)


def test_another_pruning_seed_keeps_others(tmp_path: Path, features: Features) -> None:
    students = make_students(tmp_path, features, student={"importance": "random", "num_heads": 2})
    kept = {str(students.build({"pruning_seed": seed}).config.kept_heads) for seed in range(4)}
    assert len(kept) > 1


def test_importance_is_measured_once_for_each_model_that_is_cut(
    tmp_path: Path, features: Features
) -> None:
    listener = Listener()
    study = {
        "student": {"importance": "fisher"},
        "space": {"weights": {"type": "choice", "choices": ["teacher", "encoder"]}},
    }
    make_students(tmp_path, features, listener, **study).measure()
    assert set(listener.prepared) == {"measuring importance"}
    assert len(list((tmp_path / "cache").iterdir())) == 2

    listener.prepared.clear()
    students = make_students(tmp_path, features, listener, **study)
    for weights in ("teacher", "encoder"):
        students.build({"weights": weights, "ffn_size": 5})
    assert listener.prepared == []


def test_importance_that_nobody_asks_for_is_not_measured(
    tmp_path: Path, features: Features
) -> None:
    listener = Listener()
    make_students(tmp_path, features, listener).measure()
    assert listener.prepared == []


def test_the_trimmed_tokenizer_has_the_tokens_of_the_students_embeddings(
    tmp_path: Path, few_features: Features
) -> None:
    students = make_students(tmp_path, few_features, student={"vocabulary": "train"})
    trimmed, built, teacher = (
        students.tokenizer({}),
        students.build({}),
        students.build({"vocabulary": "full"}),
    )
    assert len(trimmed) < len(tiny_tokenizer()) / 2
    assert len(trimmed) == built.config.vocab_size
    ours, theirs = trimmed(FEW_WORDS)["input_ids"], tiny_tokenizer()(FEW_WORDS)["input_ids"]
    assert ours != theirs
    with torch.no_grad():
        answer = built(input_ids=torch.tensor([ours]))
        expected = teacher(input_ids=torch.tensor([theirs]))
    assert torch.equal(answer.start_logits, expected.start_logits)


def test_a_full_vocabulary_has_the_teachers_tokenizer(tmp_path: Path, features: Features) -> None:
    tokenizer = make_students(tmp_path, features).tokenizer({})
    assert tokenizer.get_vocab() == tiny_tokenizer().get_vocab()


def live_loss(students: Students, parameters: Parameters) -> float:
    student, live = students.build(parameters), students.live_teacher(parameters)
    assert live is not None
    inputs = dict(students.tokenizer(parameters)(FEW_WORDS, return_tensors="pt"))
    with live.watch(student):
        student(**inputs)
        return live.loss(inputs).item()


@pytest.mark.parametrize("vocabulary", ["full", "train"])
@pytest.mark.parametrize("loss", ["alpha_hidden", "alpha_relation"])
def test_a_live_teacher_reads_what_its_student_reads(
    tmp_path: Path, few_features: Features, loss: str, vocabulary: str
) -> None:
    students = make_students(
        tmp_path,
        few_features,
        student={"vocabulary": vocabulary, "importance": "first", "num_layers": 3},
    )
    # The whole teacher has nothing to learn from it, a third of it has.
    assert live_loss(students, {loss: 1.0}) == pytest.approx(0, abs=1e-9)
    third = live_loss(students, {loss: 1.0, "num_layers": 1})
    assert third > 1e-4
    assert live_loss(students, {loss: 2.0, "num_layers": 1}) == pytest.approx(2 * third)


def test_without_a_loss_for_it_there_is_no_live_teacher(tmp_path: Path, features: Features) -> None:
    assert make_students(tmp_path, features).live_teacher({}) is None


@pytest.mark.parametrize(
    "study",
    [
        {"student": {"weights": "foreign"}},
        {"space": {"weights": {"type": "choice", "choices": ["teacher", "foreign"]}}},
    ],
    ids=["set", "searched"],
)
def test_a_model_with_another_vocabulary_is_refused(
    tmp_path: Path, features: Features, study: dict[str, Any]
) -> None:
    students = make_students(tmp_path, features, **study)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["zoe"])
    write_other(tmp_path / "foreign", tokenizer=tokenizer)
    for refuse in (students.check_sources, lambda: students.build({"weights": "foreign"})):
        with pytest.raises(ModelError, match=r"the teacher's vocabulary, but 'foreign' has anothe"):
            refuse()


def test_a_model_that_reads_shorter_windows_is_refused(tmp_path: Path, features: Features) -> None:
    students = make_students(tmp_path, features, student={"weights": "short"})
    write_other(tmp_path / "short", length=31)
    with pytest.raises(
        ConfigError, match=r"max_length must not exceed the 31 positions of .*short"
    ):
        students.check_sources()


def test_models_with_the_teachers_vocabulary_are_accepted(
    tmp_path: Path, features: Features
) -> None:
    space = {"weights": {"type": "choice", "choices": ["teacher", "encoder", "other"]}}
    make_students(tmp_path, features, space=space).check_sources()


def test_values_that_a_setting_may_have(tmp_path: Path, features: Features) -> None:
    space = {"vocabulary": {"type": "choice", "choices": ["full", "train"]}}
    students = make_students(tmp_path, features, student={"importance": "first"}, space=space)
    assert students.possible("vocabulary") == {"full", "train"}
    assert students.possible("importance") == {"first"}


def test_a_setting_that_is_not_always_searched_may_be_what_the_file_says(
    tmp_path: Path, features: Features
) -> None:
    space = {
        "importance": {
            "type": "choice", "choices": ["first", "random"], "when": {"num_layers": [1]}
        }
    }  # fmt: skip
    students = make_students(tmp_path, features, student={"importance": "fisher"}, space=space)
    assert students.possible("importance") == {"first", "random", "fisher"}
