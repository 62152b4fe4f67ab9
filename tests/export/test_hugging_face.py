"""Folders that transformers loads, with and without Limbeck."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForQuestionAnswering

from limbeck.export.hugging_face import (
    CODE,
    is_stock,
    stock_model,
    write_hugging_face,
    write_stock,
)
from limbeck.students.loading import load_teacher
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from tests.students.tiny import IDS, MASK, filled, largest_difference, logits
from tests.tiny import tiny_tokenizer

ODD = SlimBertConfig(
    vocab_size=40,
    hidden_size=32,
    head_dim=8,
    heads_per_layer=[3, 0, 4],
    ffn_per_layer=[7, 24, 1],
    max_position_embeddings=20,
)
LOAD = """
import sys, torch
sys.modules["limbeck"] = None  # It cannot be imported.
from safetensors.torch import save_file
from transformers import AutoModelForQuestionAnswering
model = AutoModelForQuestionAnswering.from_pretrained(sys.argv[1], trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules."), type(model)
ids = torch.tensor(eval(sys.argv[2]))
with torch.no_grad():
    output = model(input_ids=ids, attention_mask=(ids != 0).long())
save_file({"logits": torch.stack([output.start_logits, output.end_logits])}, sys.argv[3])
"""


def save(model: SlimBertForQuestionAnswering, folder: Path) -> Path:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """The folder of a student of odd widths, every weight random."""
    return save(filled(ODD, seed=3), tmp_path / "student")


def test_a_fresh_process_without_limbeck_loads_it_with_identical_logits(
    student: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "hf"
    assert write_hugging_face(student, folder, teacher="t") == "SlimBertForQuestionAnswering"
    assert (folder / CODE).is_file()
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(IDS.tolist()), str(tmp_path / "logits")],
        env={"HF_HOME": str(tmp_path / "cache"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = load_file(tmp_path / "logits")["logits"]
    assert torch.equal(found, logits(load_teacher(str(student))))


def test_with_limbeck_it_loads_without_trust(student: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    write_hugging_face(student, folder, teacher="hub/teacher")
    model = AutoModelForQuestionAnswering.from_pretrained(folder)
    assert type(model) is SlimBertForQuestionAnswering
    assert torch.equal(logits(model), logits(load_teacher(str(student))))
    assert AutoConfig.from_pretrained(folder).teacher == "hub/teacher"


WHOLE = SlimBertConfig(
    vocab_size=40,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=20,
)


@pytest.mark.parametrize(
    ("changes", "stock"),
    [
        ({}, True),
        ({"embedding_size": 16}, True),
        ({"heads_per_layer": [4, 3]}, False),
        ({"ffn_per_layer": [24, 23]}, False),
        ({"embedding_rank": 8}, False),
        ({"type_vocab_size": 0}, False),
        ({"heads_per_layer": [3, 3]}, False),
    ],
)
def test_a_whole_student_is_saved_as_a_stock_one(
    changes: dict[str, object], stock: bool, tmp_path: Path
) -> None:
    config = SlimBertConfig.from_dict({**WHOLE.to_dict(), **changes})
    assert is_stock(config) is stock
    model = filled(config, seed=1)
    name = write_hugging_face(save(model, tmp_path / "student"), tmp_path / "hf", teacher="t")
    assert name.startswith("Slim") is not stock
    assert (tmp_path / "hf" / CODE).exists() is not stock
    found = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "hf")
    assert type(found).__name__ == name
    assert largest_difference(logits(found), logits(model)) < 1e-6


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"embedding_rank": 8},
        {"embedding_size": 16},
        {"embedding_size": 16, "embedding_rank": 5},
        {"type_vocab_size": 0},
        {"hidden_act": "relu"},
        {"pad_token_id": 1},
    ],
)
def test_a_stock_class_filled_up_with_zeros_has_equal_logits(
    changes: dict[str, object], tmp_path: Path
) -> None:
    model = filled(SlimBertConfig.from_dict({**ODD.to_dict(), **changes}), seed=2)
    name = write_stock(save(model, tmp_path / "student"), tmp_path / "stock")
    narrow = "embedding_size" in changes
    assert name == ("ElectraForQuestionAnswering" if narrow else "BertForQuestionAnswering")
    found = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "stock")
    assert type(found).__module__.startswith("transformers.models.")
    types = (IDS > 10).long() if changes.get("type_vocab_size", 2) else None
    difference = largest_difference(
        logits(found, token_types=types), logits(model, token_types=types)
    )
    assert difference < 1e-4  # Logits of random weights are around 10.
    config = found.config
    assert (config.num_attention_heads, config.intermediate_size) == (4, 24)


def test_what_is_filled_up_is_zero_and_the_rest_is_the_students() -> None:
    model = filled(ODD, seed=2)
    weights, own = stock_model(model).state_dict(), model.state_dict()
    query = weights["bert.encoder.layer.0.attention.self.query.weight"]
    assert torch.equal(query[:24], own["bert.encoder.layer.0.attention.self.query.weight"])
    assert int(query[24:].count_nonzero()) == 0
    output = weights["bert.encoder.layer.1.attention.output.dense.weight"]
    assert output.shape == (32, 32)
    assert int(output.count_nonzero()) == 0
    assert torch.equal(
        weights["bert.encoder.layer.1.attention.output.dense.bias"],
        own["bert.encoder.layer.1.attention.output.dense.bias"],
    )


def test_masks_reach_the_stock_class() -> None:
    """Padded positions must not change the logits of the others."""
    stock = stock_model(filled(ODD, seed=2))
    with torch.no_grad():
        padded = stock(input_ids=IDS, attention_mask=MASK).start_logits[1, :4]
        alone = stock(input_ids=IDS[1:, :4]).start_logits[0]
    assert float((padded - alone).abs().max()) < 1e-4
