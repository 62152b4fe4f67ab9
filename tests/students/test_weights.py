"""What a student has besides copies: fewer tokens, embeddings of low rank, new layers."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape, count_parameters
from limbeck.students.slicing import Cut, Dropouts, Width, choose_cut, random_order, slice_student
from tests.students.tiny import IDS, config_of, filled, largest_difference, logits

WORDS = "bert.embeddings.word_embeddings.weight"
WHOLE = Cut(
    kept_layers=(0, 1, 2, 3),
    kept_heads=(tuple(range(4)),) * 4,
    kept_neurons=(tuple(range(24)),) * 4,
)
SHAPE = Shape(
    heads_per_layer=(3, 0, 2),
    ffn_per_layer=(5, 9, 2),
    hidden_size=24,
    head_dim=8,
    embedding_size=16,
    embedding_rank=0,
    vocab_size=40,
    max_position_embeddings=20,
    type_vocab_size=2,
)


def student_of(
    source: SlimBertForQuestionAnswering, cut: Cut, *, seed: int = 0
) -> SlimBertForQuestionAnswering:
    return slice_student(source, cut, dropouts=Dropouts(), initializer_range=0.5, seed=seed)


def words_of(model: SlimBertForQuestionAnswering) -> Tensor:
    """Return the ``V x E`` word embeddings, multiplied out."""
    with torch.no_grad():
        return model.get_input_embeddings()(torch.arange(model.config.vocab_size))  # type: ignore[no-any-return]


def layer_of(model: SlimBertForQuestionAnswering, layer: int) -> dict[str, Tensor]:
    return model.get_submodule(f"bert.encoder.layer.{layer}").state_dict()


def test_trimmed_vocabulary_gives_equal_logits(teacher: SlimBertForQuestionAnswering) -> None:
    tokens = (39, *sorted(set(IDS.flatten().tolist()) - {39}))
    student = student_of(teacher, replace(WHOLE, kept_tokens=tokens))
    assert student.config.vocab_size == len(tokens) == 10
    assert student.config.pad_token_id == 1
    assert student.get_input_embeddings().padding_idx == 1
    ids = torch.tensor([[tokens.index(token) for token in row] for row in IDS.tolist()])
    assert torch.equal(logits(student, ids=ids), logits(teacher))


def test_full_rank_gives_equal_logits(teacher: SlimBertForQuestionAnswering) -> None:
    student = student_of(teacher, replace(WHOLE, embedding_rank=32))
    assert student.config.embedding_rank == 32
    assert largest_difference(logits(student), logits(teacher)) < 1e-5


@pytest.mark.parametrize("rank", [1, 5, 31])
def test_low_rank_is_as_near_as_a_rank_can_be(
    teacher: SlimBertForQuestionAnswering, rank: int
) -> None:
    words = words_of(teacher)
    near = words_of(student_of(teacher, replace(WHOLE, embedding_rank=rank)))
    # Eckart and Young: the squared error is the sum of the squared singular values left out.
    singular = torch.linalg.svdvals(words.double())
    error = (near.double() - words.double()).square().sum()
    assert float(error) == pytest.approx(float(singular[rank:].square().sum()), rel=1e-5)
    assert int(torch.linalg.matrix_rank(near, rtol=1e-5)) == rank


def test_rank_is_spent_on_kept_tokens_alone(teacher: SlimBertForQuestionAnswering) -> None:
    kept = (0, 3, 8, 9)
    student = student_of(teacher, replace(WHOLE, kept_tokens=kept, embedding_rank=4))
    expected = words_of(teacher)[list(kept)]
    torch.testing.assert_close(words_of(student), expected, rtol=0, atol=1e-6)


def test_rank_beyond_the_number_of_tokens_loses_nothing(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    student = student_of(teacher, replace(WHOLE, kept_tokens=(7, 0), embedding_rank=20))
    torch.testing.assert_close(words_of(student), words_of(teacher)[[7, 0]], rtol=0, atol=1e-6)


def test_low_rank_source_is_copied_multiplied_out_or_cut_further(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    source = student_of(teacher, replace(WHOLE, embedding_rank=6))
    same = student_of(source, replace(WHOLE, embedding_rank=6, kept_tokens=(0, 5)))
    assert torch.equal(words_of(same), words_of(source)[[0, 5]])
    table = student_of(source, WHOLE)
    assert torch.equal(table.get_parameter(WORDS), words_of(table))
    torch.testing.assert_close(words_of(table), words_of(source))
    lower = student_of(source, replace(WHOLE, embedding_rank=2))
    directly = student_of(teacher, replace(WHOLE, embedding_rank=2))
    torch.testing.assert_close(words_of(lower), words_of(directly), rtol=0, atol=1e-5)


def test_new_layers_are_initialized_as_berts_are(teacher: SlimBertForQuestionAnswering) -> None:
    student = student_of(teacher, replace(WHOLE, new_layers=(Width(40, 4000),)))
    new = layer_of(student, 4)
    assert student.config.initializer_range == 0.5
    matrices = {name: tensor for name, tensor in new.items() if tensor.ndim == 2}
    assert len(matrices) == 6
    for tensor in matrices.values():
        assert float(tensor.std()) == pytest.approx(0.5, rel=0.05)
        assert abs(float(tensor.mean())) < 0.02
    for name, tensor in new.items():
        if name not in matrices:
            expected = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            assert torch.equal(tensor, torch.full_like(tensor, expected))


def test_initializer_range_is_the_sources_if_left_out(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    teacher.config.initializer_range = 0.125
    cut = replace(WHOLE, new_layers=(Width(4, 2000),))
    student = slice_student(teacher, cut, dropouts=Dropouts())
    assert float(layer_of(student, 4)["output.dense.weight"].std()) == pytest.approx(0.125, rel=0.1)


def test_new_layers_depend_on_seed_layer_and_width_alone(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    wide = student_of(teacher, replace(WHOLE, new_layers=(Width(3, 7), Width(1, 2))), seed=5)
    short = Cut(kept_layers=(0, 3), kept_heads=((1,), ()), kept_neurons=((2,), (1, 3)))
    other = student_of(
        teacher,
        replace(short, new_layers=(Width(0, 1),) * 3 + (Width(1, 2),), kept_tokens=(0,)),
        seed=5,
    )
    mine, theirs = layer_of(wide, 5), layer_of(other, 5)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    again = student_of(teacher, replace(WHOLE, new_layers=(Width(1, 2),) * 2), seed=6)
    name = "intermediate.dense.weight"
    distinct = [mine[name], layer_of(again, 4)[name], layer_of(again, 5)[name]]
    assert all(largest_difference(distinct[i], distinct[i - 1]) > 0.1 for i in range(3))


def test_nothing_random_is_drawn_from_torch(teacher: SlimBertForQuestionAnswering) -> None:
    before = torch.get_rng_state()
    student_of(teacher, replace(WHOLE, new_layers=(Width(1, 2),), embedding_rank=3))
    assert torch.equal(torch.get_rng_state(), before)


def test_layers_of_the_source_stay_what_they_are_under_new_ones(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    student = student_of(teacher, replace(WHOLE, new_layers=(Width(2, 3),)))
    mask = (IDS != 0).long()
    with torch.no_grad():
        hidden = student.bert(input_ids=IDS, attention_mask=mask, output_hidden_states=True)
        expected = teacher.bert(input_ids=IDS, attention_mask=mask)
    assert torch.equal(hidden.hidden_states[4], expected.last_hidden_state)


@pytest.fixture(scope="module")
def uneven() -> SlimBertForQuestionAnswering:
    """A model whose layers differ, with embeddings narrower than they are."""
    return filled(config_of(SHAPE), seed=1)


@settings(max_examples=30)
@given(data=st.data())
def test_any_student_has_the_size_it_is_said_to_have_and_survives_saving(
    uneven: SlimBertForQuestionAnswering, data: st.DataObject
) -> None:
    kept = sorted(data.draw(st.sets(st.integers(0, 2), min_size=1)))
    heads = [data.draw(st.integers(0, SHAPE.heads_per_layer[layer])) for layer in kept]
    neurons = [data.draw(st.integers(1, SHAPE.ffn_per_layer[layer])) for layer in kept]
    new = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=2))
    others = st.lists(st.integers(1, 39), unique=True)
    tokens = data.draw(st.none() | others.map(lambda tokens: [0, *tokens]))
    shape = replace(
        SHAPE,
        heads_per_layer=(*heads, *(width[0] for width in new)),
        ffn_per_layer=(*neurons, *(width[1] for width in new)),
        vocab_size=40 if tokens is None else len(tokens),
        embedding_rank=data.draw(st.integers(0, SHAPE.embedding_size)),
    )
    cut = choose_cut(
        uneven, shape, kept_layers=kept, importance=random_order(2), kept_tokens=tokens
    )
    student = student_of(uneven, cut)
    assert Shape.from_config(student.config.to_dict()) == shape
    assert sum(weight.numel() for weight in student.parameters()) == count_parameters(shape)
    with TemporaryDirectory() as folder:
        student.save_pretrained(folder)
        loaded = SlimBertForQuestionAnswering.from_pretrained(Path(folder))
    ids = IDS % shape.vocab_size
    assert torch.equal(logits(loaded, ids=ids), logits(student, ids=ids))
