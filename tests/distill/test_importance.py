import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from limbeck.distill.device import Device
from limbeck.distill.importance import (
    TOKENS_PER_BATCH,
    GradientScores,
    choose_cut_in_rounds,
    gradient_scores,
)
from limbeck.errors import ArchitectureError, DataError, DivergedError
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape
from limbeck.students.slicing import (
    Cut,
    Dropouts,
    Importance,
    Scores,
    choose_cut,
    magnitude,
    slice_student,
)
from limbeck.tasks.question_answering.features import Features, pad
from tests.tiny import tiny_features, tiny_questions, tiny_student

CPU = Device(torch.device("cpu"), torch.float32)
LAYER = "bert.encoder.layer."
HEADS_0 = "0.attention.output.dense"
HEADS_2 = "2.attention.output.dense"


@pytest.fixture
def student(teacher: SlimBertForQuestionAnswering) -> SlimBertForQuestionAnswering:
    """Three layers of 4, 0 and 2 heads; the weights are large enough for derivatives to matter."""
    student = tiny_student(teacher, layers=3, heads=(4, 0, 2))
    with torch.no_grad():
        for name, weight in student.named_parameters():
            if ".encoder." in name and weight.ndim == 2:
                weight.mul_(5)
    return student


def window_loss(model: SlimBertForQuestionAnswering, features: Features, window: int) -> Tensor:
    """Return the loss of one window, alone in its batch, as transformers computes it."""
    batch = pad(features, [window], pad_token_id=0)
    arrays = {
        name: torch.from_numpy(getattr(batch, name))
        for name in (
            "input_ids",
            "attention_mask",
            "token_type_ids",
            "start_positions",
            "end_positions",
        )
    }
    loss: Tensor = model(**arrays).loss
    return loss


def derivatives(
    model: SlimBertForQuestionAnswering, features: Features, windows: range
) -> dict[str, Tensor]:
    """Return ``windows x parts`` derivatives of the loss by masks, found in the weights.

    A mask on a part of a matrix's input scales its columns, so that the derivative by the mask is
    the sum over the columns of each weight times its derivative.
    """
    weights = {
        name: model.get_parameter(f"{LAYER}{name}.weight")
        for name in (HEADS_0, HEADS_2, *(f"{layer}.output.dense" for layer in range(3)))
    }
    rows: dict[str, list[Tensor]] = {name: [] for name in weights}
    for window in windows:
        loss = window_loss(model, features, window)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            units = 8 if "attention" in name else 1
            columns = (gradient * weight.detach()).sum(dim=0)
            rows[name].append(columns.reshape(-1, units).sum(dim=1).double())
    return {name: torch.stack(tensors) for name, tensors in rows.items()}


def measured(
    model: SlimBertForQuestionAnswering, features: Features, cache: Path, *, windows: int = 512
) -> GradientScores:
    return gradient_scores(model, features, device=CPU, cache=cache, windows=windows)


def test_scores_are_means_over_windows_of_each_windows_derivatives(
    student: SlimBertForQuestionAnswering, tmp_path: Path
) -> None:
    many = tiny_features(tiny_questions(45, seed=4), cache=tmp_path)
    assert len(many.input_ids) > TOKENS_PER_BATCH  # more than one batch, that is
    scores = measured(student, many, tmp_path)
    for name, found in derivatives(student, many, range(len(many))).items():
        layer, part = int(name[0]), "heads" if "attention" in name else "neurons"
        assert found.abs().mean() > 1e-4
        torch.testing.assert_close(
            getattr(scores.first_order[layer], part), found.abs().mean(dim=0), rtol=1e-3, atol=1e-7
        )
        torch.testing.assert_close(
            getattr(scores.fisher[layer], part), (found**2).mean(dim=0), rtol=1e-3, atol=1e-9
        )


@pytest.mark.parametrize(("name", "part", "units"), [(HEADS_2, 1, 8), ("2.output.dense", 7, 1)])
def test_derivatives_are_those_of_finite_differences(
    student: SlimBertForQuestionAnswering, features: Features, name: str, part: int, units: int
) -> None:
    """What the oracle above finds in the weights is what scaling a head or a neuron does."""
    precise = student.double()
    expected = derivatives(precise, features, range(3))[name][:, part]
    weight = precise.get_parameter(f"{LAYER}{name}.weight")
    original = weight.detach().clone()
    step = 1e-4
    losses = []
    for mask in (1 + step, 1 - step):
        with torch.no_grad():
            weight.copy_(original)
            weight[:, part * units : (part + 1) * units] *= mask
            losses.append(torch.stack([window_loss(precise, features, i) for i in range(3)]))
    found = (losses[0] - losses[1]) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-9)


def test_layer_without_heads_has_no_scores_of_heads(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    scores = measured(student, features, tmp_path, windows=5)
    for kind in (scores.first_order, scores.fisher):
        assert [len(layer.heads) for layer in kind] == [4, 0, 2]
        assert [len(layer.neurons) for layer in kind] == [24, 24, 24]


def test_importance_is_that_of_the_kind_asked_for(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    scores = measured(student, features, tmp_path, windows=5)
    assert scores.importance("fisher")(student, 2) is scores.fisher[2]
    assert scores.importance("first_order")(student, 0) is scores.first_order[0]


def test_model_is_left_as_it_was(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    before = {name: weight.clone() for name, weight in student.state_dict().items()}
    student.qa_outputs.bias.requires_grad = False
    measured(student, features, tmp_path, windows=5)
    assert all(torch.equal(before[name], w) for name, w in student.state_dict().items())
    frozen = [name for name, w in student.named_parameters() if not w.requires_grad]
    assert frozen == ["qa_outputs.bias"]
    assert all(weight.grad is None for weight in student.parameters())
    assert not any(module._forward_pre_hooks for module in student.modules())


def test_second_call_reads_what_the_first_one_wrote(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    measure = partial(gradient_scores, features=features, device=CPU, cache=tmp_path)
    once = measure(student, progress=progress)
    assert calls[-1] == (49, 49)
    calls.clear()
    again = measure(student, progress=progress)
    assert calls == []
    for layer in range(3):
        assert torch.equal(once.fisher[layer].neurons, again.fisher[layer].neurons)


def test_other_models_windows_seeds_or_precision_have_scores_of_their_own(
    student: SlimBertForQuestionAnswering,
    teacher: SlimBertForQuestionAnswering,
    features: Features,
    tmp_path: Path,
) -> None:
    bf16 = Device(torch.device("cpu"), torch.bfloat16)
    for model, windows, seed, device in (
        (student, 5, 0, CPU),
        (copy.deepcopy(student), 5, 0, CPU),
        (teacher, 5, 0, CPU),
        (student, 6, 0, CPU),
        (student, 5, 1, CPU),
        (student, 5, 0, bf16),
    ):
        gradient_scores(model, features, device=device, cache=tmp_path, windows=windows, seed=seed)
    assert len(list(tmp_path.iterdir())) == 5


def test_seed_decides_which_windows_are_looked_at(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    found = derivatives(student, features, range(len(features)))["2.output.dense"]
    for seed in (0, 1):
        scores = gradient_scores(
            student, features, device=CPU, cache=tmp_path, windows=1, seed=seed
        )
        gaps = (found.abs() - scores.first_order[2].neurons).abs().sum(dim=1)
        assert float(gaps.min()) < 1e-5
        assert int((gaps < 1e-5).sum()) < 5
    assert len({p.read_bytes() for p in tmp_path.iterdir()}) == 2


def test_damaged_file_is_named(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    measured(student, features, tmp_path, windows=2)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cached scores must be whole, but .*; delete it$"):
        measured(student, features, tmp_path, windows=2)


def test_scores_that_are_no_numbers_are_not_kept(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    with torch.no_grad():
        student.qa_outputs.bias[0] = float("nan")
    with pytest.raises(DivergedError, match="importance of every part must be finite"):
        measured(student, features, tmp_path, windows=2)
    assert list(tmp_path.iterdir()) == []


def test_float16_is_measured_in_float32(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    fp16 = Device(torch.device("cpu"), torch.float16)
    narrow = gradient_scores(student, features, device=fp16, cache=tmp_path, windows=5)
    wide = measured(student, features, tmp_path, windows=5)
    assert torch.equal(narrow.fisher[0].heads, wide.fisher[0].heads)


def shape_of(
    model: SlimBertForQuestionAnswering, heads: tuple[int, ...], neurons: tuple[int, ...]
) -> Shape:
    shape = Shape.from_config(model.config.to_dict())
    return replace(shape, heads_per_layer=heads, ffn_per_layer=neurons)


def test_one_round_is_the_cut_at_once(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    importance = measured(student, features, tmp_path).importance("fisher")
    shape = replace(shape_of(student, (2, 1, 3), (5, 7, 9)), vocab_size=3, embedding_rank=2)
    cut = choose_cut_in_rounds(
        student,
        shape,
        kept_layers=[0, 2],
        measure=lambda _: importance,
        rounds=1,
        kept_tokens=[0, 4, 9],
    )
    assert cut == choose_cut(
        student, shape, kept_layers=[0, 2], importance=importance, kept_tokens=[0, 4, 9]
    )


def test_rounds_measure_what_is_left(teacher: SlimBertForQuestionAnswering) -> None:
    """Three rounds by hand: each part's importance depends on how many are left."""
    seen: list[tuple[list[int], list[int]]] = []

    def measure(model: SlimBertForQuestionAnswering) -> Importance:
        config = model.config
        seen.append((config.heads_per_layer, config.ffn_per_layer))
        sign = 1 if len(seen) % 2 else -1

        def score(model: SlimBertForQuestionAnswering, layer: int) -> Scores:
            heads, neurons = config.heads_per_layer[layer], config.ffn_per_layer[layer]
            return Scores(heads=sign * torch.arange(heads), neurons=sign * torch.arange(neurons))

        return score

    cut = choose_cut_in_rounds(
        teacher,
        replace(shape_of(teacher, (1, 4, 2), (12, 48, 5)), embedding_rank=3),
        kept_layers=[0, 2],
        measure=measure,
        rounds=3,
    )
    assert seen == [([4, 4, 4], [48, 48, 48]), ([3, 4], [36, 48]), ([2, 4], [24, 48])]
    # The last heads of layer 0 are 3, 2, 1; the first of these 3, 2; the last of these is 2.
    assert cut.kept_layers == (0, 2)
    assert cut.kept_heads == ((2,), (0, 1, 2, 3))
    assert cut.kept_neurons == (tuple(range(24, 36)), tuple(range(48)))
    assert [(width.heads, width.neurons) for width in cut.new_layers] == [(2, 5)]
    assert cut.embedding_rank == 3


@pytest.mark.parametrize("rounds", [2, 4])
def test_cut_in_rounds_is_the_student_cut_again_and_again(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path, rounds: int
) -> None:
    goal = shape_of(student, (1, 1), (3, 6))
    models: list[SlimBertForQuestionAnswering] = []

    def measure(model: SlimBertForQuestionAnswering) -> Importance:
        models.append(model)
        return measured(model, features, tmp_path, windows=8).importance("first_order")

    cut = choose_cut_in_rounds(student, goal, kept_layers=[0, 2], measure=measure, rounds=rounds)
    assert len(models) == rounds
    last = choose_cut(models[-1], goal, kept_layers=[0, 1], importance=measure(models[-1]))
    stepwise = slice_student(models[-1], last, dropouts=Dropouts())
    at_once = slice_student(student, cut, dropouts=Dropouts())
    expected = stepwise.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in at_once.state_dict().items())


def test_equal_importance_in_every_round_is_the_cut_at_once(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    """A part's magnitude does not change when others go."""
    goal = shape_of(teacher, (1, 2), (10, 17))
    cuts = [
        choose_cut_in_rounds(
            teacher, goal, kept_layers=[1, 2], measure=lambda _: magnitude, rounds=rounds
        )
        for rounds in (1, 2, 5, 60)
    ]
    assert cuts == [cuts[0]] * 4


def test_impossible_cut_is_refused_before_anything_is_measured(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    def measure(_: SlimBertForQuestionAnswering) -> Importance:
        pytest.fail("nothing is to be measured")

    with pytest.raises(ArchitectureError, match="heads must be between 0 and the 4 of layer 1"):
        choose_cut_in_rounds(
            teacher,
            shape_of(teacher, (5,), (1,)),
            kept_layers=[1],
            measure=measure,
            rounds=3,
        )


@pytest.mark.parametrize("kind", ["fisher", "first_order"])
def test_what_matters_is_kept(
    student: SlimBertForQuestionAnswering, features: Features, tmp_path: Path, kind: str
) -> None:
    """Heads and neurons whose output is nothing come last."""
    with torch.no_grad():
        student.get_parameter(f"{LAYER}0.attention.output.dense.weight")[:, 8:24] = 0
        student.get_parameter(f"{LAYER}2.output.dense.weight")[:, 3:20] = 0
    importance = measured(student, features, tmp_path).importance(kind)  # type: ignore[arg-type]
    cut: Cut = choose_cut(
        student,
        shape_of(student, (4, 2), (24, 24)),
        kept_layers=[0, 2],
        importance=importance,
    )
    assert sorted(cut.kept_heads[0][:2]) == [0, 3]
    assert sorted(cut.kept_neurons[1][:7]) == [0, 1, 2, 20, 21, 22, 23]
