from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    BertConfig,
    BertForQuestionAnswering,
    BertTokenizer,
)

from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from tests.students.tiny import IDS, MASK, fill, largest_difference, logits, randomize


def uneven(**changes: object) -> SlimBertForQuestionAnswering:
    """Return a student of three unlike layers, the second without heads."""
    fields: dict[str, object] = {
        "vocab_size": 40,
        "hidden_size": 32,
        "head_dim": 8,
        "heads_per_layer": [3, 0, 1],
        "ffn_per_layer": [7, 24, 1],
        "max_position_embeddings": 20,
        **changes,
    }
    config = SlimBertConfig.from_dict(fields)
    with torch.device("meta"):
        shapes = SlimBertForQuestionAnswering(config).state_dict()
    return SlimBertForQuestionAnswering.from_state_dict(config, fill(shapes, seed=1))


def test_full_widths_compute_what_bert_computes() -> None:
    fields = {
        "vocab_size": 40,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "max_position_embeddings": 20,
    }
    stock = randomize(BertForQuestionAnswering(BertConfig.from_dict(fields)), seed=2)
    slim = SlimBertForQuestionAnswering.from_state_dict(
        SlimBertConfig.from_dict(fields), stock.state_dict()
    )
    types = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0]])
    assert torch.equal(logits(slim, token_types=types), logits(stock, token_types=types))


@pytest.mark.parametrize("type_vocab_size", [0, 2])
def test_saved_student_loads_bit_exact(tmp_path: Path, type_vocab_size: int) -> None:
    student = uneven(type_vocab_size=type_vocab_size)
    student.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert list(tmp_path.glob("*.bin")) == []
    loaded = SlimBertForQuestionAnswering.from_pretrained(tmp_path)
    assert largest_difference(logits(loaded), logits(student)) == 0
    assert loaded.config.heads_per_layer == [3, 0, 1]
    assert loaded.config.ffn_per_layer == [7, 24, 1]
    assert loaded.config.head_dim == 8


def test_layer_without_heads_adds_the_output_bias_only() -> None:
    student = uneven()
    name = "bert.encoder.layer.1.attention"
    hidden = torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(3))
    output, _ = student.get_submodule(name)(hidden)
    bias = student.get_parameter(f"{name}.output.dense.bias")
    expected = student.get_submodule(f"{name}.output.LayerNorm")(hidden + bias)
    torch.testing.assert_close(output, expected)


def test_eager_and_sdpa_attention_agree(tmp_path: Path) -> None:
    student = uneven()
    assert student.config._attn_implementation == "sdpa"
    student.save_pretrained(tmp_path)
    eager = SlimBertForQuestionAnswering.from_pretrained(tmp_path, attn_implementation="eager")
    torch.testing.assert_close(logits(eager), logits(student))
    with torch.no_grad():
        attentions = eager(input_ids=IDS, output_attentions=True).attentions
    assert [tuple(a.shape) for a in attentions] == [(2, 3, 7, 7), (2, 0, 7, 7), (2, 1, 7, 7)]


def test_every_weight_that_counts_gets_a_gradient() -> None:
    student = uneven(type_vocab_size=0)
    start = torch.tensor([1, 2])
    loss = student(input_ids=IDS, attention_mask=MASK, start_positions=start, end_positions=start)
    loss.loss.backward()
    idle = [name for name, p in student.named_parameters() if p.numel() and p.grad is None]
    assert idle == []


def test_token_types_are_ignored_by_a_model_without_them() -> None:
    student = uneven(type_vocab_size=0)
    assert torch.equal(logits(student, token_types=MASK), logits(student))
    assert not any("token_type" in name for name in student.state_dict())


def test_dropout_before_the_head_is_qa_dropout() -> None:
    student = uneven(qa_dropout=1.0, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    answering = logits(student)
    student.train()
    bias = student.qa_outputs.bias.detach()
    assert torch.equal(logits(student), bias[:, None, None].expand(2, 2, 7))
    student.train(mode=False)
    assert torch.equal(logits(student), answering)


def test_hidden_and_attention_dropout_are_the_usual_fields() -> None:
    student = uneven(hidden_dropout_prob=0.25, attention_probs_dropout_prob=0.5)
    rates = {name: m.p for name, m in student.named_modules() if isinstance(m, torch.nn.Dropout)}
    assert {rate for name, rate in rates.items() if name.endswith("self.dropout")} == {0.5}
    assert {rate for name, rate in rates.items() if name.endswith("output.dropout")} == {0.25}
    assert rates["bert.embeddings.dropout"] == 0.25
    assert rates["qa_outputs.dropout"] == 0.0


def test_from_state_dict_draws_no_random_numbers_and_copies() -> None:
    student = uneven()
    state = student.state_dict()
    before = torch.get_rng_state()
    twin = SlimBertForQuestionAnswering.from_state_dict(student.config, state)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        twin.qa_outputs.bias.zero_()
    assert state["qa_outputs.bias"].abs().min() > 0


def test_auto_model_finds_the_class(tmp_path: Path) -> None:
    student = uneven()
    student.save_pretrained(tmp_path)
    loaded = AutoModelForQuestionAnswering.from_pretrained(tmp_path)
    assert isinstance(loaded, SlimBertForQuestionAnswering)
    assert largest_difference(logits(loaded), logits(student)) == 0


def test_auto_config_and_tokenizer_open_a_students_folder(tmp_path: Path) -> None:
    uneven().save_pretrained(tmp_path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heads"]
    vocabulary = {word: index for index, word in enumerate(words)}
    BertTokenizer(vocab=vocabulary).save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).heads_per_layer == [3, 0, 1]
    assert AutoTokenizer.from_pretrained(tmp_path)("heads").input_ids == [2, 5, 3]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"heads_per_layer": [1, 2], "ffn_per_layer": [3]}, "but got 2 and 1"),
        ({"hidden_size": 32, "head_dim": 7}, "head_dim must divide hidden_size, but got 7 and 32"),
    ],
)
def test_widths_that_do_not_fit_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlimBertConfig.from_dict(fields)


def test_output_hidden_states_are_those_of_each_layer() -> None:
    student = uneven()
    with torch.no_grad():
        output = student(input_ids=IDS, attention_mask=MASK, output_hidden_states=True)
    assert [tuple(state.shape) for state in output.hidden_states] == [(2, 7, 32)] * 4
    head = student.qa_outputs(output.hidden_states[-1])[..., 0]
    assert torch.equal(head, output.start_logits)
