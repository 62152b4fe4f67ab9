from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from limbeck.errors import ArchitectureError
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import (
    Shape,
    count_embedding_parameters,
    count_encoder_parameters,
    count_flops,
    count_parameters,
    safetensors_bytes,
)
from tests.students.tiny import config_of

BERT_BASE = Shape(
    heads_per_layer=(12,) * 12,
    ffn_per_layer=(3072,) * 12,
    hidden_size=768,
    head_dim=64,
    embedding_size=768,
    embedding_rank=0,
    vocab_size=30522,
    max_position_embeddings=512,
    type_vocab_size=2,
)
DISTILBERT = replace(
    BERT_BASE, heads_per_layer=(12,) * 6, ffn_per_layer=(3072,) * 6, type_vocab_size=0
)


# Twelve layers, so that the alphabetical order of the names is not that of the layers.
DEEP = Shape(
    heads_per_layer=(1, 0, 2, 1, 1, 1, 1, 1, 0, 1, 1, 2),
    ffn_per_layer=(9, 8, 7, 6, 5, 4, 3, 2, 1, 40, 100, 12),
    hidden_size=12,
    head_dim=4,
    embedding_size=6,
    embedding_rank=2,
    vocab_size=1_000,
    max_position_embeddings=33,
    type_vocab_size=1,
)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Every layer has widths of its own, perhaps no heads; embeddings are of all kinds."""
    head_dim = draw(st.integers(1, 6))
    layers = draw(st.integers(1, 4))
    heads = st.lists(st.integers(0, 5), min_size=layers, max_size=layers)
    neurons = st.lists(st.integers(1, 30), min_size=layers, max_size=layers)
    hidden_size = head_dim * draw(st.integers(1, 5))
    embedding_size = draw(st.just(hidden_size) | st.integers(1, 30))
    return Shape(
        heads_per_layer=tuple(draw(heads)),
        ffn_per_layer=tuple(draw(neurons)),
        hidden_size=hidden_size,
        head_dim=head_dim,
        embedding_size=embedding_size,
        embedding_rank=draw(st.just(0) | st.integers(1, embedding_size)),
        vocab_size=draw(st.integers(1, 50)),
        max_position_embeddings=draw(st.integers(1, 20)),
        type_vocab_size=draw(st.integers(0, 3)),
    )


def built(shape: Shape) -> SlimBertForQuestionAnswering:
    """Return a model without memory for its weights."""
    config = config_of(shape)
    config._attn_implementation = "eager"
    with torch.device("meta"):
        return SlimBertForQuestionAnswering(config)


@settings(max_examples=500)
@given(shapes())
@example(DEEP)
def test_counts_are_those_of_the_built_model(shape: Shape) -> None:
    model = built(shape)
    assert count_parameters(shape) == model.num_parameters()
    parts = {"encoder": model.bert.encoder, "embeddings": model.bert.embeddings}
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    assert count_encoder_parameters(shape) == counts["encoder"]
    assert count_embedding_parameters(shape) == counts["embeddings"]
    assert Shape.from_config(model.config.to_dict()) == shape


@settings(max_examples=50)
@given(shapes(), st.data())
@example(DEEP, None)
def test_flops_are_those_that_torch_counts(shape: Shape, data: st.DataObject | None) -> None:
    longest = shape.max_position_embeddings
    length = data.draw(st.integers(1, longest)) if data else longest
    window = torch.zeros((1, length), dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as counter:
        built(shape)(input_ids=window)
    assert count_flops(shape, length) == counter.get_total_flops()


@settings(max_examples=50)
@given(shapes())
@example(DEEP)
def test_size_on_disk_is_that_of_the_saved_weights(shape: Shape) -> None:
    with TemporaryDirectory() as folder:
        SlimBertForQuestionAnswering(config_of(shape)).save_pretrained(folder)
        assert safetensors_bytes(shape) == (Path(folder) / "model.safetensors").stat().st_size


@pytest.mark.parametrize("layers", range(1, 7))
@pytest.mark.parametrize("heads", range(1, 13))
def test_count_follows_the_original_experiments_formula(layers: int, heads: int) -> None:
    student = DISTILBERT.student(heads_per_layer=(heads,) * layers, ffn_per_layer=(3072,) * layers)
    assert count_parameters(student) == 23_837_186 + layers * (4_726_272 + 196_800 * heads)


def test_counts_of_well_known_models() -> None:
    assert count_parameters(DISTILBERT) == 66_364_418
    # BertForQuestionAnswering of bert-base-uncased, which has no pooler.
    assert count_parameters(BERT_BASE) == 108_893_186


def test_flops_of_bert_base_by_hand() -> None:
    # Per layer and token: 4 matrices of 768 x 768, 2 of 768 x 3072, and for each of 384 tokens
    # 768 products for the scores and as many for the weighted sum. The head: 768 x 2.
    layer = 4 * 768 * 768 + 2 * 768 * 3072 + 2 * 384 * 768
    assert count_flops(BERT_BASE, 384) == 2 * 384 * (12 * layer + 2 * 768)


def test_student_keeps_the_rest_of_the_teachers_shape() -> None:
    student = BERT_BASE.student(heads_per_layer=[0, 12], ffn_per_layer=[1, 3072])
    assert student == replace(BERT_BASE, heads_per_layer=(0, 12), ffn_per_layer=(1, 3072))
    assert student.student(heads_per_layer=[3], ffn_per_layer=[7]) == replace(
        student, heads_per_layer=(3,), ffn_per_layer=(7,)
    )


def test_student_may_be_deeper_than_its_teacher() -> None:
    student = DISTILBERT.student(heads_per_layer=(12,) * 9, ffn_per_layer=(3072,) * 9)
    assert count_parameters(student) == 66_364_418 + 3 * (4_726_272 + 196_800 * 12)


def test_student_may_have_low_rank_embeddings_and_fewer_tokens() -> None:
    student = DISTILBERT.student(
        heads_per_layer=[12] * 6,
        ffn_per_layer=[3072] * 6,
        embedding_rank=128,
        vocab_size=20_000,
    )
    assert student == replace(DISTILBERT, embedding_rank=128, vocab_size=20_000)
    saved = 30_522 * 768 - 128 * (20_000 + 768)
    assert count_parameters(student) == 66_364_418 - saved
    assert student.student(heads_per_layer=[12] * 6, ffn_per_layer=[3072] * 6) == student


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads_per_layer": [], "ffn_per_layer": []}, "a model needs at least 1 layer"),
        ({"heads_per_layer": [1]}, "one entry for each layer, but got 1 and 2"),
        (
            {"heads_per_layer": [9, 10]},
            "heads of layer 1 must be between 0 and the teacher's 9, but got 10",
        ),
        (
            {"heads_per_layer": [-1, 9]},
            "heads of layer 0 must be between 0 and the teacher's 9, but got -1",
        ),
        (
            {"ffn_per_layer": [8, 9]},
            "ffn_size of layer 1 must be between 1 and the teacher's 8, but got 9",
        ),
        (
            {"ffn_per_layer": [0, 8]},
            "ffn_size of layer 0 must be between 1 and the teacher's 8, but got 0",
        ),
        ({"embedding_rank": 0}, "embedding_rank must be between 1 and the teacher's 768, but"),
        ({"embedding_rank": 769}, "embedding_rank must be between 1 and the teacher's 768, but"),
        ({"vocab_size": 0}, "vocab_size must be between 1 and the teacher's 30522, but got 0"),
        ({"vocab_size": 30523}, "vocab_size must be between 1 and the teacher's 30522, but got"),
    ],
)
def test_impossible_students_are_refused(change: dict[str, list[int]], message: str) -> None:
    teacher = replace(BERT_BASE, heads_per_layer=(2, 9), ffn_per_layer=(8, 4))
    sizes = {"heads_per_layer": [9, 0], "ffn_per_layer": [1, 8], **change}
    with pytest.raises(ArchitectureError, match=message) as caught:
        teacher.student(**sizes)  # type: ignore[arg-type]  # one of them is a number
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads_per_layer": (), "ffn_per_layer": ()}, "at least 1 layer, but got 0"),
        ({"heads_per_layer": (12,)}, "one entry for each layer, but got 1 and 12"),
        ({"heads_per_layer": (12,) * 11 + (-1,)}, "at least 0 heads and 1 feed-forward neuron"),
        ({"ffn_per_layer": (0,) * 12}, "at least 0 heads and 1 feed-forward neuron"),
    ],
)
def test_impossible_shapes_are_refused(change: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        replace(BERT_BASE, **change)  # type: ignore[arg-type]  # only the widths change


def test_a_kept_layer_is_no_wider_than_it_is_in_the_source():
    uneven = replace(BERT_BASE, heads_per_layer=(12, 4, 12), ffn_per_layer=(3072, 64, 3072))
    student = uneven.student(heads_per_layer=(4, 12), ffn_per_layer=(64, 3072), kept_layers=(1,))
    assert student.heads_per_layer == (4, 12)
    with pytest.raises(ArchitectureError, match=r"heads of layer 0 must .* 4, but got 5"):
        uneven.student(heads_per_layer=(5,), ffn_per_layer=(64,), kept_layers=(1,))
    with pytest.raises(ArchitectureError, match=r"ffn_size of layer 1 must .* 64, but got 65"):
        uneven.student(heads_per_layer=(4, 4), ffn_per_layer=(64, 65), kept_layers=(0, 1))
