import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import ArchitectureError
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape, count_parameters
from limbeck.students.slicing import (
    Cut,
    Dropouts,
    Importance,
    Scores,
    Width,
    choose_cut,
    first,
    magnitude,
    random_order,
    slice_student,
)
from tests.students.tiny import largest_difference, logits

ALL_HEADS = (0, 1, 2, 3)
ALL_NEURONS = tuple(range(24))


def sliced(teacher: SlimBertForQuestionAnswering, cut: Cut) -> SlimBertForQuestionAnswering:
    return slice_student(teacher, cut, dropouts=Dropouts(hidden=0.2, attention=0.3, qa=0.4))


def shape_of(
    teacher: SlimBertForQuestionAnswering, heads: Sequence[int], neurons: Sequence[int]
) -> Shape:
    """Return the teacher's shape with other layers."""
    shape = Shape.from_config(teacher.config.to_dict())
    return replace(shape, heads_per_layer=tuple(heads), ffn_per_layer=tuple(neurons))


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


def test_sorting_changes_nothing(teacher: SlimBertForQuestionAnswering) -> None:
    cut = choose_cut(
        teacher,
        shape_of(teacher, [4] * 4, [24] * 4),
        kept_layers=range(4),
        importance=random_order(1),
    )
    assert ALL_HEADS not in cut.kept_heads
    assert ALL_NEURONS not in cut.kept_neurons
    assert largest_difference(logits(sliced(teacher, cut)), logits(teacher)) < 1e-5


@pytest.mark.parametrize(
    "cut",
    [
        Cut(
            kept_layers=(0, 1, 2, 3),
            kept_heads=((3, 1), (0,), (), (2, 0, 1, 3)),
            kept_neurons=((23, 0), (5,), ALL_NEURONS, tuple(range(1, 24, 2))),
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
        embedding_size=32,
        embedding_rank=0,
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
    cut = Cut(kept_layers=(1, 3), kept_heads=((2,), (3, 0)), kept_neurons=((7, 8, 9), (0,)))
    config = sliced(teacher, cut).config
    assert config.kept_layers == [1, 3]
    assert config.kept_heads == [[2], [3, 0]]
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
    once = Cut(kept_layers=(1, 3), kept_heads=((1, 2), (3, 0)), kept_neurons=((7, 8), (9, 0, 5)))
    twice = Cut(kept_layers=(1,), kept_heads=((0,),), kept_neurons=((2, 0),))
    direct = Cut(kept_layers=(3,), kept_heads=((3,),), kept_neurons=((5, 9),))
    again = sliced(sliced(teacher, once), twice)
    assert torch.equal(logits(again), logits(sliced(teacher, direct)))


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
        weight(teacher, 1, "output.dense")[:, [4]] *= 5
        weight(teacher, 1, "output.dense")[:, [20]] *= 10
    cut = choose_cut(teacher, shape_of(teacher, [1], [2]), kept_layers=[1], importance=magnitude)
    assert cut == Cut(kept_layers=(1,), kept_heads=((1,),), kept_neurons=((20, 4),))


def test_first_keeps_the_first(teacher: SlimBertForQuestionAnswering) -> None:
    cut = choose_cut(
        teacher, shape_of(teacher, [2, 0], [3, 1]), kept_layers=[0, 2], importance=first
    )
    assert cut == Cut(kept_layers=(0, 2), kept_heads=((0, 1), ()), kept_neurons=((0, 1, 2), (0,)))


def test_of_equally_important_ones_the_earlier_comes_first(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    def equal(teacher: SlimBertForQuestionAnswering, layer: int) -> Scores:
        return Scores(heads=torch.tensor([0.0, 1.0, 0.0, 1.0]), neurons=torch.ones(24))

    cut = choose_cut(teacher, shape_of(teacher, [3], [4]), kept_layers=[3], importance=equal)
    assert cut == Cut(kept_layers=(3,), kept_heads=((1, 3, 0),), kept_neurons=((0, 1, 2, 3),))


@pytest.mark.parametrize("importance", [magnitude, first, random_order(7)])
def test_narrower_students_have_the_first_parts_of_wider_ones(
    teacher: SlimBertForQuestionAnswering, importance: Importance
) -> None:
    cuts = [
        choose_cut(
            teacher,
            shape_of(teacher, [heads] * 2, [6 * heads] * 2),
            kept_layers=[0, 3],
            importance=importance,
        )
        for heads in range(1, 5)
    ]
    for small, large in pairwise(cuts):
        for layer in range(2):
            heads, neurons = small.kept_heads[layer], small.kept_neurons[layer]
            assert heads == large.kept_heads[layer][: len(heads)]
            assert neurons == large.kept_neurons[layer][: len(neurons)]
    assert [sorted(heads) for heads in cuts[-1].kept_heads] == [list(ALL_HEADS)] * 2
    assert [sorted(neurons) for neurons in cuts[-1].kept_neurons] == [list(ALL_NEURONS)] * 2


def test_random_order_depends_on_seed_and_layer_alone(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    def neurons(seed: int, layers: Sequence[int]) -> dict[int, tuple[int, ...]]:
        shape = shape_of(teacher, [2] * len(layers), [12] * len(layers))
        cut = choose_cut(teacher, shape, kept_layers=layers, importance=random_order(seed))
        return dict(zip(cut.kept_layers, cut.kept_neurons, strict=True))

    chosen = neurons(1, [0, 1, 2])
    assert neurons(1, [1, 2]) == {1: chosen[1], 2: chosen[2]}
    assert len({*chosen.values(), *neurons(2, [0, 1, 2]).values()}) == 6


@pytest.mark.parametrize(
    ("layers", "heads", "neurons", "message"),
    [
        ([4], [1], [1], "kept layers must be between 0 and 3, the last one .*, but got 4; keep"),
        ([0, 1], [4, 5], [1, 1], "heads must be between 0 and the 4 of layer 1 .* but got 5"),
        ([2], [1], [25], "ffn size must be between 1 and the 24 of layer 2 .*, but got 25"),
        ([0, 1], [1], [1], r"student of 1 layers must not keep more, but got \[0, 1\]; leave"),
        ([], [1], [1], "at least 1 layer, but got 0"),
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
    shape = shape_of(teacher, heads, neurons)
    with pytest.raises(ArchitectureError, match=message):
        choose_cut(teacher, shape, kept_layers=layers, importance=first)


@pytest.mark.parametrize(
    ("change", "tokens", "message"),
    [
        ({"hidden_size": 64}, None, "hidden_size must be 32, as in .*, but got 64"),
        ({"type_vocab_size": 0}, None, "type_vocab_size must be 2, as in .*, but got 0"),
        ({"vocab_size": 30}, None, "vocab_size must be 40, as in .*, but got 30"),
        ({"vocab_size": 3}, [0, 1, 2, 3], "vocab_size must be 4, as in .*, but got 3"),
    ],
)
def test_choose_cut_refuses_what_does_not_come_from_the_teacher(
    teacher: SlimBertForQuestionAnswering,
    change: dict[str, int],
    tokens: list[int] | None,
    message: str,
) -> None:
    shape = replace(shape_of(teacher, [1], [1]), **change)  # type: ignore[arg-type]  # all ints
    with pytest.raises(ArchitectureError, match=message):
        choose_cut(teacher, shape, kept_layers=[0], importance=first, kept_tokens=tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept_layers": (4,)}, "kept layers must be between 0 and 3, .*, but got 4"),
        ({"kept_heads": ((4,),)}, "heads must be between 0 and the 4 of layer 0"),
        ({"kept_neurons": ((24, 0),)}, "ffn size must be between 1 and the 24 of layer 0"),
        ({"kept_tokens": (0, 40, 7)}, "kept tokens must be below 40, .* but got 40; leave it out"),
        ({"kept_tokens": (1, 2)}, "kept tokens must hold the padding, token 0, but do not"),
        ({"kept_tokens": ()}, "kept tokens must hold the padding, token 0, but do not"),
    ],
)
def test_slice_student_refuses_what_the_teacher_does_not_have(
    teacher: SlimBertForQuestionAnswering, change: dict[str, Any], message: str
) -> None:
    cut = Cut(kept_layers=(0,), kept_heads=((0,),), kept_neurons=((0,),))
    with pytest.raises(ArchitectureError, match=message):
        sliced(teacher, replace(cut, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept_neurons": ((),)}, "at least 1 neuron, but got 0"),
        ({"new_layers": (Width(1, 0),)}, "at least 1 neuron, but got 0"),
        ({"kept_layers": (0, 1)}, "2 layers, heads of 1 and neurons of 1"),
        ({"kept_heads": ((1, 1),)}, r"must be distinct and 0 or more, but got \[1, 1\]"),
        ({"kept_heads": ((-1,),)}, r"must be distinct and 0 or more, but got \[-1\]"),
        ({"kept_tokens": (0, 2, 0)}, r"must be distinct and 0 or more, but got \[0, 2, 0\]"),
        ({"kept_layers": (-1,)}, r"kept layers must ascend from 0 or more, but got \[-1\]"),
    ],
)
def test_cuts_that_contradict_themselves_are_refused(change: dict[str, Any], message: str) -> None:
    cut = Cut(kept_layers=(0,), kept_heads=((0,),), kept_neurons=((0,),))
    with pytest.raises(ArchitectureError, match=message):
        replace(cut, **change)
