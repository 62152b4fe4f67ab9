from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.errors import ArchitectureError
from limbeck.space import Value
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from limbeck.students.shape import (
    Shape,
    count_encoder_parameters,
    count_parameters,
    shape_constraints,
)

BERT_BASE = Shape(
    heads_per_layer=(12,) * 12,
    ffn_per_layer=(3072,) * 12,
    hidden_size=768,
    head_dim=64,
    vocab_size=30522,
    max_position_embeddings=512,
    type_vocab_size=2,
)
DISTILBERT = replace(
    BERT_BASE, heads_per_layer=(12,) * 6, ffn_per_layer=(3072,) * 6, type_vocab_size=0
)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    head_dim = draw(st.integers(1, 6))
    layers = draw(st.integers(1, 4))
    heads = st.lists(st.integers(0, 5), min_size=layers, max_size=layers)
    neurons = st.lists(st.integers(1, 30), min_size=layers, max_size=layers)
    return Shape(
        heads_per_layer=tuple(draw(heads)),
        ffn_per_layer=tuple(draw(neurons)),
        hidden_size=head_dim * draw(st.integers(1, 5)),
        head_dim=head_dim,
        vocab_size=draw(st.integers(1, 50)),
        max_position_embeddings=draw(st.integers(1, 20)),
        type_vocab_size=draw(st.integers(0, 3)),
    )


@settings(max_examples=300, deadline=None)
@given(shapes())
def test_count_is_that_of_the_built_model(shape: Shape) -> None:
    config = SlimBertConfig(
        heads_per_layer=list(shape.heads_per_layer),
        ffn_per_layer=list(shape.ffn_per_layer),
        hidden_size=shape.hidden_size,
        head_dim=shape.head_dim,
        vocab_size=shape.vocab_size,
        max_position_embeddings=shape.max_position_embeddings,
        type_vocab_size=shape.type_vocab_size,
        pad_token_id=0,
    )
    with torch.device("meta"):
        model = SlimBertForQuestionAnswering(config)
    assert count_parameters(shape) == model.num_parameters()
    assert count_encoder_parameters(shape) == sum(
        parameter.numel() for parameter in model.bert.encoder.parameters()
    )
    assert Shape.from_config(config.to_dict()) == shape


@pytest.mark.parametrize("layers", range(1, 7))
@pytest.mark.parametrize("heads", range(1, 13))
def test_count_follows_the_original_experiments_formula(layers: int, heads: int) -> None:
    student = DISTILBERT.student(num_layers=layers, num_heads=heads, ffn_size=3072)
    assert count_parameters(student) == 23_837_186 + layers * (4_726_272 + 196_800 * heads)


def test_counts_of_well_known_models() -> None:
    assert count_parameters(DISTILBERT) == 66_364_418
    # BertForQuestionAnswering of bert-base-uncased, which has no pooler.
    assert count_parameters(BERT_BASE) == 108_893_186


def test_student_keeps_the_rest_of_the_teachers_shape() -> None:
    student = BERT_BASE.student(num_layers=2, num_heads=0, ffn_size=1)
    assert student == replace(BERT_BASE, heads_per_layer=(0, 0), ffn_per_layer=(1, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_layers": 13}, "num_layers must be between 1 and the teacher's 12, but got 13"),
        ({"num_layers": 0}, "num_layers must be between 1 and the teacher's 12, but got 0"),
        ({"num_heads": 13}, "num_heads must be between 0 and the teacher's 12, but got 13"),
        ({"num_heads": -1}, "num_heads must be between 0 and the teacher's 12, but got -1"),
        ({"ffn_size": 3073}, "ffn_size must be between 1 and the teacher's 3072, but got 3073"),
        ({"ffn_size": 0}, "ffn_size must be between 1 and the teacher's 3072, but got 0"),
    ],
)
def test_impossible_students_are_refused(change: dict[str, int], message: str) -> None:
    sizes = {"num_layers": 6, "num_heads": 12, "ffn_size": 3072, **change}
    with pytest.raises(ArchitectureError, match=message):
        BERT_BASE.student(**sizes)


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


@pytest.mark.parametrize(
    ("parameters", "broken"),
    [
        ({"num_layers": 12, "num_heads": 12, "ffn_size": 3072, "learning_rate": 1e-4}, []),
        ({"num_layers": 1, "num_heads": 0, "ffn_size": 1}, []),
        ({"learning_rate": 1e-4}, []),
        ({"num_heads": 13}, ["num_heads must be between 0 and the teacher's 12"]),
        (
            {"num_layers": 13, "ffn_size": 0},
            [
                "num_layers must be between 1 and the teacher's 12",
                "ffn_size must be between 1 and the teacher's 3072",
            ],
        ),
    ],
)
def test_constraints_name_what_a_student_breaks(
    parameters: dict[str, Value], broken: list[str]
) -> None:
    constraints = shape_constraints(BERT_BASE)
    assert [c.name for c in constraints if not c.holds(parameters)] == broken


def test_constraints_of_an_uneven_teacher_allow_its_widest_layer() -> None:
    teacher = replace(BERT_BASE, heads_per_layer=(2, 9), ffn_per_layer=(8, 4))
    (heads,) = [c for c in shape_constraints(teacher) if c.name.startswith("num_heads")]
    assert heads.holds({"num_heads": 9})
    assert not heads.holds({"num_heads": 10})
