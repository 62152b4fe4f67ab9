import copy
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import ArchitectureError
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape, count_parameters
from limbeck.students.slicing import (
    Cut,
    Importance,
    LayerChoice,
    choose_cut,
    choose_layers,
    first,
    magnitude,
    random_order,
    slice_student,
)
from tests.students.tiny import largest_difference, logits

ALL_HEADS = (0, 1, 2, 3)
ALL_NEURONS = tuple(range(24))


def sliced(teacher: SlimBertForQuestionAnswering, cut: Cut) -> SlimBertForQuestionAnswering:
    return slice_student(teacher, cut, hidden_dropout=0.2, attention_dropout=0.3, qa_dropout=0.4)


def weight(model: SlimBertForQuestionAnswering, layer: int, part: str) -> Tensor:
    return model.get_parameter(f"bert.encoder.layer.{layer}.{part}.weight")


def zeroed(teacher: SlimBertForQuestionAnswering, cut: Cut) -> SlimBertForQuestionAnswering:
    """Return the teacher without the dropped layers, what the others drop silenced."""
    silent = copy.deepcopy(teacher)
    silent.bert.encoder.layer = nn.ModuleList(silent.bert.encoder.layer[i] for i in cut.kept_layers)
    with torch.no_grad():
        for layer, heads in enumerate(cut.kept_heads):
            output = weight(silent, layer, "attention.output.dense")
            for head in set(ALL_HEADS) - set(heads):
                output[:, 8 * head : 8 * head + 8] = 0
        for layer, neurons in enumerate(cut.kept_neurons):
            output = weight(silent, layer, "output.dense")
            output[:, sorted(set(ALL_NEURONS) - set(neurons))] = 0
    return silent


def test_full_cut_is_the_teacher(teacher: SlimBertForQuestionAnswering) -> None:
    cut = Cut(
        kept_layers=(0, 1, 2, 3), kept_heads=(ALL_HEADS,) * 4, kept_neurons=(ALL_NEURONS,) * 4
    )
    assert largest_difference(logits(sliced(teacher, cut)), logits(teacher)) == 0


@pytest.mark.parametrize(
    "cut",
    [
        Cut(
            kept_layers=(0, 1, 2, 3),
            kept_heads=((1, 3), (0,), (), (0, 1, 2, 3)),
            kept_neurons=((0, 23), (5,), ALL_NEURONS, tuple(range(1, 24, 2))),
        ),
        Cut(kept_layers=(1, 3), kept_heads=((2,), (0, 3)), kept_neurons=((7, 8, 9), (0,))),
        Cut(kept_layers=(2,), kept_heads=((),), kept_neurons=((11,),)),
    ],
)
def test_slicing_equals_zeroing(teacher: SlimBertForQuestionAnswering, cut: Cut) -> None:
    student = sliced(teacher, cut)
    assert largest_difference(logits(student), logits(zeroed(teacher, cut))) < 1e-5
    assert largest_difference(logits(student), logits(teacher)) > 1e-2


def test_dropped_layers_are_skipped(teacher: SlimBertForQuestionAnswering) -> None:
    cut = Cut(kept_layers=(0, 3), kept_heads=(ALL_HEADS,) * 2, kept_neurons=(ALL_NEURONS,) * 2)
    assert torch.equal(logits(sliced(teacher, cut)), logits(zeroed(teacher, cut)))


def test_student_has_the_size_and_the_dropouts_asked_for(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    cut = Cut(kept_layers=(1, 3), kept_heads=((2,), (0, 3)), kept_neurons=((7, 8, 9), (0,)))
    student = sliced(teacher, cut)
    teacher_shape = Shape.from_config(teacher.config.to_dict())
    student_shape = Shape.from_config(student.config.to_dict())
    assert student_shape == Shape(
        heads_per_layer=(1, 2),
        ffn_per_layer=(3, 1),
        hidden_size=32,
        head_dim=8,
        vocab_size=40,
        max_position_embeddings=20,
        type_vocab_size=2,
    )
    assert student.num_parameters() == count_parameters(student_shape)
    assert count_parameters(student_shape) < count_parameters(teacher_shape)
    assert student.config.hidden_dropout_prob == 0.2
    assert student.config.attention_probs_dropout_prob == 0.3
    assert student.config.qa_dropout == 0.4


def test_student_records_where_it_comes_from(teacher: SlimBertForQuestionAnswering) -> None:
    cut = Cut(kept_layers=(1, 3), kept_heads=((2,), (0, 3)), kept_neurons=((7, 8, 9), (0,)))
    config = sliced(teacher, cut).config
    assert config.kept_layers == [1, 3]
    assert config.kept_heads == [[2], [0, 3]]
    assert config.teacher == "the-teacher"
    assert config.name_or_path != "the-teacher"


def test_training_a_student_leaves_the_teacher_alone(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    before = logits(teacher)
    cut = Cut(kept_layers=(0, 1), kept_heads=(ALL_HEADS,) * 2, kept_neurons=(ALL_NEURONS,) * 2)
    with torch.no_grad():
        for parameter in sliced(teacher, cut).parameters():
            parameter.zero_()
    assert torch.equal(logits(teacher), before)
    assert teacher.config.num_hidden_layers == 4


def test_a_student_can_be_cut_again(teacher: SlimBertForQuestionAnswering) -> None:
    once = Cut(kept_layers=(1, 3), kept_heads=((1, 2), (0, 3)), kept_neurons=((7, 8), (0, 5)))
    twice = Cut(kept_layers=(1,), kept_heads=((1,),), kept_neurons=((0,),))
    direct = Cut(kept_layers=(3,), kept_heads=((3,),), kept_neurons=((0,),))
    again = sliced(sliced(teacher, once), twice)
    assert torch.equal(logits(again), logits(sliced(teacher, direct)))


@pytest.mark.parametrize(
    ("depth", "num_layers", "how", "kept"),
    [
        (12, 6, LayerChoice.SPREAD, (0, 2, 4, 7, 9, 11)),
        (6, 4, LayerChoice.SPREAD, (0, 2, 3, 5)),
        (4, 3, LayerChoice.SPREAD, (0, 2, 3)),
        (5, 2, LayerChoice.SPREAD, (0, 4)),
        (5, 1, LayerChoice.SPREAD, (0,)),
        (5, 2, LayerChoice.FIRST, (0, 1)),
        (5, 2, LayerChoice.LAST, (3, 4)),
        (5, 1, LayerChoice.LAST, (4,)),
    ],
)
def test_choose_layers(depth: int, num_layers: int, how: LayerChoice, kept: Sequence[int]) -> None:
    assert choose_layers(depth, num_layers, how) == kept


@pytest.mark.parametrize("how", list(LayerChoice))
def test_chosen_layers_are_as_many_as_asked_for_and_ascend(how: LayerChoice) -> None:
    for depth in range(1, 25):
        for num_layers in range(1, depth + 1):
            kept = choose_layers(depth, num_layers, how)
            assert len(kept) == num_layers
            assert list(kept) == sorted(set(kept))
            assert set(kept) <= set(range(depth))


@pytest.mark.parametrize("num_layers", [0, 5])
def test_choose_layers_refuses_what_the_teacher_does_not_have(num_layers: int) -> None:
    message = f"num_layers must be between 1 and the teacher's 4, but got {num_layers}"
    with pytest.raises(ArchitectureError, match=message):
        choose_layers(4, num_layers, LayerChoice.FIRST)


def test_magnitude_is_the_norm_of_all_weights_that_go_with_a_part(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    state = teacher.state_dict()
    prefix = "bert.encoder.layer.2."
    scores = magnitude(teacher, 2)
    for head in range(4):
        rows = slice(8 * head, 8 * head + 8)
        squares = sum(
            float(state[f"{prefix}attention.self.{name}.weight"][rows].square().sum())
            for name in ("query", "key", "value")
        )
        output = state[f"{prefix}attention.output.dense.weight"]
        squares += float(output[:, rows].square().sum())
        assert float(scores.heads[head]) == pytest.approx(squares**0.5, rel=1e-5)
    for neuron in range(24):
        row = state[f"{prefix}intermediate.dense.weight"][neuron]
        column = state[f"{prefix}output.dense.weight"][:, neuron]
        norm = float(torch.cat([row, column]).norm())
        assert float(scores.neurons[neuron]) == pytest.approx(norm, rel=1e-5)


def test_magnitude_keeps_the_heaviest(teacher: SlimBertForQuestionAnswering) -> None:
    with torch.no_grad():
        weight(teacher, 1, "attention.self.value")[8:16] *= 10
        weight(teacher, 1, "output.dense")[:, [4, 20]] *= 10
    cut = choose_cut(
        teacher, kept_layers=[1], heads_per_layer=[1], ffn_per_layer=[2], importance=magnitude
    )
    assert cut == Cut(kept_layers=(1,), kept_heads=((1,),), kept_neurons=((4, 20),))


def test_first_keeps_the_first(teacher: SlimBertForQuestionAnswering) -> None:
    cut = choose_cut(
        teacher,
        kept_layers=[0, 2],
        heads_per_layer=[2, 0],
        ffn_per_layer=[3, 1],
        importance=first,
    )
    assert cut == Cut(kept_layers=(0, 2), kept_heads=((0, 1), ()), kept_neurons=((0, 1, 2), (0,)))


@pytest.mark.parametrize("importance", [magnitude, first, random_order(7)])
def test_what_fewer_keep_more_keep_too(
    teacher: SlimBertForQuestionAnswering, importance: Importance
) -> None:
    cuts = [
        choose_cut(
            teacher,
            kept_layers=[0, 3],
            heads_per_layer=[heads, heads],
            ffn_per_layer=[6 * heads, 6 * heads],
            importance=importance,
        )
        for heads in range(1, 5)
    ]
    for small, large in pairwise(cuts):
        for layer in range(2):
            assert set(small.kept_heads[layer]) < set(large.kept_heads[layer])
            assert set(small.kept_neurons[layer]) < set(large.kept_neurons[layer])
    assert cuts[-1].kept_heads == (ALL_HEADS, ALL_HEADS)


def test_random_order_depends_on_seed_and_layer_alone(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    def neurons(seed: int, layers: Sequence[int]) -> dict[int, tuple[int, ...]]:
        count = len(layers)
        cut = choose_cut(
            teacher,
            kept_layers=layers,
            heads_per_layer=[2] * count,
            ffn_per_layer=[12] * count,
            importance=random_order(seed),
        )
        return dict(zip(cut.kept_layers, cut.kept_neurons, strict=True))

    chosen = neurons(1, [0, 1, 2])
    assert neurons(1, [1, 2]) == {1: chosen[1], 2: chosen[2]}
    assert len({*chosen.values(), *neurons(2, [0, 1, 2]).values()}) == 6


@pytest.mark.parametrize(
    ("layers", "heads", "neurons", "message"),
    [
        ([4], [1], [1], "kept layers must be between 0 and the teacher's 3, but got 4"),
        ([0, 1], [4, 5], [1, 1], "heads must be between 0 and the 4 of the teacher's layer 1"),
        ([2], [-1], [1], "heads must be between 0 and the 4 of the teacher's layer 2, but got -1"),
        ([2], [1], [25], "ffn size must be between 1 and the 24 of .* layer 2, but got 25"),
        ([2], [1], [0], "ffn size must be between 1 and the 24 of .* layer 2, but got 0"),
        ([], [], [], "at least 1 layer, but got 0"),
        ([1, 0], [1, 1], [1, 1], r"must ascend from 0 or more, but got \[1, 0\]"),
    ],
)
def test_choose_cut_refuses_what_cannot_be(
    teacher: SlimBertForQuestionAnswering,
    layers: list[int],
    heads: list[int],
    neurons: list[int],
    message: str,
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        choose_cut(
            teacher,
            kept_layers=layers,
            heads_per_layer=heads,
            ffn_per_layer=neurons,
            importance=first,
        )


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (((4,), ((0,),), ((0,),)), "kept layers must be between 0 and the teacher's 3, but got 4"),
        (((0,), ((4,),), ((0,),)), "heads must be between 0 and the 4 of the teacher's layer 0"),
        (((0,), ((0,),), ((24,),)), "ffn size must be between 1 and the 24 of the teacher's"),
    ],
)
def test_slice_student_refuses_what_the_teacher_does_not_have(
    teacher: SlimBertForQuestionAnswering,
    cut: tuple[tuple[int, ...], tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]],
    message: str,
) -> None:
    layers, heads, neurons = cut
    with pytest.raises(ArchitectureError, match=message):
        sliced(teacher, Cut(kept_layers=layers, kept_heads=heads, kept_neurons=neurons))


@pytest.mark.parametrize(
    ("layers", "heads", "neurons", "message"),
    [
        ((0,), ((0,),), ((),), "at least 1 neuron, but got 0"),
        ((0, 1), ((0,),), ((0,),), "2 layers, heads of 1 and neurons of 1"),
        ((0,), ((1, 1),), ((0,),), r"must ascend from 0 or more, but got \[1, 1\]"),
        ((0,), ((-1,),), ((0,),), r"must ascend from 0 or more, but got \[-1\]"),
    ],
)
def test_cuts_that_contradict_themselves_are_refused(
    layers: tuple[int, ...],
    heads: tuple[tuple[int, ...], ...],
    neurons: tuple[tuple[int, ...], ...],
    message: str,
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Cut(kept_layers=layers, kept_heads=heads, kept_neurons=neurons)
