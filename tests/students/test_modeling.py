import subprocess
import sys
from pathlib import Path
from shutil import copy

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    BertConfig,
    BertForQuestionAnswering,
    BertTokenizer,
)

import limbeck.students.modeling
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from tests.students.tiny import IDS, MASK, filled, largest_difference, logits, randomize

ARCHITECTURES: dict[str, dict[str, object]] = {
    "uneven": {},
    "no-token-types": {"type_vocab_size": 0},
    "electra": {"embedding_size": 12},
    "wide-embeddings": {"embedding_size": 48},
    "low-rank": {"embedding_rank": 3},
    "electra-low-rank": {"embedding_size": 12, "embedding_rank": 3, "type_vocab_size": 1},
    "no-heads": {"heads_per_layer": [0, 0, 0]},
    "small-vocabulary": {"vocab_size": 40 - IDS.numel(), "embedding_rank": 32},
}
SMALL_IDS = IDS % 26
LOAD = """
import json
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from transformers import AutoModelForQuestionAnswering
sys.path.insert(0, sys.argv[1])
import modeling
modeling.register()
logits = {}
for folder in Path(sys.argv[1]).glob("*/"):
    model = AutoModelForQuestionAnswering.from_pretrained(folder)
    with torch.no_grad():
        output = model(input_ids=torch.tensor(json.loads(sys.argv[2])))
    logits[folder.name] = torch.stack([output.start_logits, output.end_logits])
save_file(logits, sys.argv[3])
assert "limbeck" not in sys.modules
"""


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
    return filled(SlimBertConfig.from_dict(fields), seed=1)


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


@pytest.mark.parametrize("changes", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_saved_student_loads_bit_exact(tmp_path: Path, changes: dict[str, object]) -> None:
    student = uneven(**changes)
    student.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert list(tmp_path.glob("*.bin")) == []
    loaded = AutoModelForQuestionAnswering.from_pretrained(tmp_path)
    assert isinstance(loaded, SlimBertForQuestionAnswering)
    expected = logits(student, ids=SMALL_IDS)
    assert largest_difference(logits(loaded, ids=SMALL_IDS), expected) == 0
    changed = {name: getattr(loaded.config, name) for name in changes}
    assert changed == changes
    assert loaded.config.ffn_per_layer == [7, 24, 1]
    assert loaded.config.head_dim == 8


def test_copy_of_the_module_opens_students_in_a_process_without_limbeck(tmp_path: Path) -> None:
    expected = {}
    for name, changes in ARCHITECTURES.items():
        student = uneven(**changes)
        student.save_pretrained(tmp_path / "students" / name)
        with torch.no_grad():
            output = student(input_ids=SMALL_IDS)
        expected[name] = torch.stack([output.start_logits, output.end_logits])
    copy(limbeck.students.modeling.__file__, tmp_path / "students" / "modeling.py")
    result = tmp_path / "logits.safetensors"
    arguments = [str(tmp_path / "students"), str(SMALL_IDS.tolist()), str(result)]
    subprocess.run([sys.executable, "-W", "error", "-c", LOAD, *arguments], check=True)
    found = load_file(result)
    assert {
        name: largest_difference(found[name], expected[name]) for name in found
    } == dict.fromkeys(ARCHITECTURES, 0.0)


def test_low_rank_embeddings_are_the_product_of_table_and_projection() -> None:
    narrow = uneven(embedding_size=12, embedding_rank=3)
    state = narrow.state_dict()
    name = "bert.embeddings.word_embeddings"
    projection = state.pop(f"{name}.projection.weight")
    assert state[f"{name}.weight"].shape == (40, 3)
    state[f"{name}.weight"] = state[f"{name}.weight"] @ projection.T
    full = uneven(embedding_size=12).config
    product = SlimBertForQuestionAnswering.from_state_dict(full, state)
    torch.testing.assert_close(logits(product), logits(narrow))


def test_new_student_has_weights_of_the_configured_spread() -> None:
    torch.manual_seed(0)
    fields = {"vocab_size": 400, "embedding_size": 24, "embedding_rank": 12}
    config = uneven(**fields, initializer_range=0.5).config
    embeddings = SlimBertForQuestionAnswering(config).bert.embeddings
    weights = dict(embeddings.named_parameters())
    for name in (
        "word_embeddings.weight",
        "word_embeddings.projection.weight",
        "projection.weight",
    ):
        assert float(weights[name].detach().std()) == pytest.approx(0.5, rel=0.15)
    assert not weights["projection.bias"].any()
    assert not weights["word_embeddings.weight"][0].any()


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


@pytest.mark.parametrize("name", ["no-token-types", "electra-low-rank"])
def test_every_weight_that_counts_gets_a_gradient(name: str) -> None:
    student = uneven(**ARCHITECTURES[name])
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
        ({"embedding_size": 8, "embedding_rank": 9}, "0 and embedding_size, but got 9 and 8"),
        ({"embedding_rank": -1}, "0 and embedding_size, but got -1 and 768"),
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
