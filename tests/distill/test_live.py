"""Students taught by what is inside a live teacher."""

import weakref
from collections.abc import Iterator, Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from limbeck.distill.live import LiveTeacher
from limbeck.distill.losses import hidden_loss, relation_loss
from limbeck.errors import ArchitectureError
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering

LENGTHS = (9, 5, 7, 3)
MASK = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
IDS = torch.randint(5, 30, (4, 9), generator=torch.Generator().manual_seed(0)) * MASK
INPUTS = {"input_ids": IDS, "attention_mask": MASK.long()}


def make(
    seed: int,
    *,
    heads: Sequence[int] = (4, 4, 4),
    head_dim: int = 8,
    hidden_size: int = 32,
    vocab_size: int = 30,
    dropout: float = 0.0,
) -> SlimBertForQuestionAnswering:
    """Return a model with random weights, in training mode."""
    config = SlimBertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        head_dim=head_dim,
        heads_per_layer=list(heads),
        ffn_per_layer=[24] * len(heads),
        max_position_embeddings=16,
        initializer_range=0.2,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SlimBertForQuestionAnswering(config)


def copy_of(model: SlimBertForQuestionAnswering) -> SlimBertForQuestionAnswering:
    return SlimBertForQuestionAnswering.from_state_dict(model.config, model.state_dict())


def live_loss(
    live: LiveTeacher,
    student: SlimBertForQuestionAnswering,
    teacher_inputs: Mapping[str, Tensor] = INPUTS,
) -> Tensor:
    with live.watch(student):
        student(**INPUTS)
        return live.loss(teacher_inputs)


def hooked(model: nn.Module) -> set[str]:
    """Return the names of the modules that have a forward hook."""
    return {name for name, module in model.named_modules() if module._forward_hooks}


def outputs_of_layers(model: SlimBertForQuestionAnswering) -> list[weakref.ref[Tensor]]:
    """Return a list to which each forward pass adds the layers' outputs."""
    outputs: list[weakref.ref[Tensor]] = []

    def note(_module: nn.Module, _arguments: object, output: Tensor) -> None:
        outputs.append(weakref.ref(output))

    for layer in model.bert.encoder.layer:
        layer.register_forward_hook(note)
    return outputs


def states(model: SlimBertForQuestionAnswering) -> tuple[Tensor, ...]:
    """Return the ``4 x 9 x H`` embeddings and output of each layer, as transformers gives them."""
    with torch.no_grad():
        hidden_states: tuple[Tensor, ...] = model(**INPUTS, output_hidden_states=True).hidden_states
    return hidden_states


def projections(model: SlimBertForQuestionAnswering, layer: int) -> Iterator[Tensor]:
    """Yield queries, keys and values of a layer, multiplied out from its weights."""
    for part in ("query", "key", "value"):
        name = f"bert.encoder.layer.{layer}.attention.self.{part}"
        weight, bias = (model.get_parameter(f"{name}.{kind}") for kind in ("weight", "bias"))
        yield states(model)[layer] @ weight.detach().T + bias.detach()


@pytest.mark.parametrize(
    ("student_depth", "teacher_depth", "matched"),
    [(2, 4, (1, 3)), (2, 3, (1, 2)), (3, 2, (0, 1, 1)), (1, 3, (2,)), (3, 3, (0, 1, 2))],
)
def test_hidden_states_are_matched_from_the_last_layer_evenly_down(
    student_depth: int, teacher_depth: int, matched: tuple[int, ...]
) -> None:
    student, teacher = make(1, heads=[2] * student_depth), make(2, heads=[4] * teacher_depth)
    loss = live_loss(LiveTeacher(teacher, alpha_hidden=0.5, alpha_relation=0.0), student)
    ours, theirs = states(student)[1:], states(teacher)[1:]
    per_layer = [
        hidden_loss(ours[index], theirs[layer], MASK).item() for index, layer in enumerate(matched)
    ]
    assert loss.item() == pytest.approx(0.5 * sum(per_layer) / student_depth, rel=1e-5)


@pytest.mark.parametrize(
    ("student_heads", "teacher_heads", "layers", "relation_heads"),
    [
        ((4, 4), (4, 4, 4), (1, 2), 4),
        # 8 divides both 16 and 32, but the teacher has 4 heads only.
        ((4, 2, 0), (4, 4, 4), (1, 2), 4),
        # 8 divides 24 and 16, but the teacher's layer has 2 heads only.
        ((4, 3), (4, 2, 0, 0), (1, 1), 2),
        ((3,), (4,), (0, 0), 4),
    ],
)
def test_relations_are_those_of_the_last_layers_with_heads(
    student_heads: tuple[int, ...],
    teacher_heads: tuple[int, ...],
    layers: tuple[int, int],
    relation_heads: int,
) -> None:
    student, teacher = make(1, heads=student_heads), make(2, heads=teacher_heads)
    loss = live_loss(LiveTeacher(teacher, alpha_hidden=0.0, alpha_relation=3.0), student)
    parts = zip(projections(student, layers[0]), projections(teacher, layers[1]), strict=True)
    expected = sum(
        relation_loss(ours, theirs, MASK, relation_heads=relation_heads).item()
        for ours, theirs in parts
    )
    assert loss.item() == pytest.approx(3.0 * expected, rel=1e-4)


def test_relations_with_a_narrower_student() -> None:
    # Of 6 and 32 units in the last layers, the largest common divisor is 2.
    student = make(1, heads=(2,), hidden_size=12, head_dim=3)
    teacher = make(2)
    loss = live_loss(LiveTeacher(teacher, alpha_hidden=0.0, alpha_relation=1.0), student)
    parts = zip(projections(student, 0), projections(teacher, 2), strict=True)
    expected = sum(relation_loss(*part, MASK, relation_heads=2).item() for part in parts)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_both_parts_add_up() -> None:
    student, teacher = make(1, heads=(4, 2)), make(2)
    hidden, relation, both = (
        live_loss(LiveTeacher(teacher, alpha_hidden=one, alpha_relation=other), student).item()
        for one, other in ((0.3, 0.0), (0.0, 0.7), (0.3, 0.7))
    )
    assert both == pytest.approx(hidden + relation)
    assert min(hidden, relation) > 0


def test_copy_of_the_teacher_has_nothing_to_learn() -> None:
    teacher = make(2)
    live = LiveTeacher(teacher, alpha_hidden=1.0, alpha_relation=1.0)
    assert live_loss(live, copy_of(teacher)).item() == pytest.approx(0.0, abs=1e-9)


def test_teacher_has_no_dropout_and_gets_no_gradient() -> None:
    student, teacher = make(1, dropout=0.5), make(2, dropout=0.5)
    live = LiveTeacher(teacher, alpha_hidden=1.0, alpha_relation=1.0)
    student.train(mode=False)
    once, again = live_loss(live, student), live_loss(live, student)
    once.backward()  # type: ignore[no-untyped-call]  # torch's
    assert once.item() == again.item()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_gradients_of_parts_of_a_batch_are_accumulated_to_that_of_the_batch() -> None:
    student = make(1, heads=(4, 2))
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=1.0)
    parameters = list(student.bert.encoder.parameters())
    whole = torch.autograd.grad(live_loss(live, student), parameters)
    with live.watch(student):
        for rows in (slice(0, 2), slice(2, 4)):
            part = {name: tensor[rows] for name, tensor in INPUTS.items()}
            student(**part)
            (live.loss(part) / 2).backward()  # type: ignore[no-untyped-call]  # torch's
    for parameter, expected in zip(parameters, whole, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-6)


def test_an_evaluation_between_forward_pass_and_loss_changes_nothing() -> None:
    student = make(1)
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=1.0)
    expected = live_loss(live, student).item()
    with live.watch(student):
        student(**INPUTS)
        with torch.inference_mode():
            student(input_ids=IDS.flip(0), attention_mask=MASK.long().flip(0))
        assert live.loss(INPUTS).item() == expected


@pytest.mark.parametrize(
    ("alpha_hidden", "alpha_relation", "expected"),
    [
        (1.0, 0.0, {"bert.encoder.layer.0", "bert.encoder.layer.1"}),
        (
            0.0,
            1.0,
            {f"bert.encoder.layer.1.attention.self.{part}" for part in ("query", "key", "value")},
        ),
    ],
)
def test_what_has_no_weight_is_not_kept(
    alpha_hidden: float, alpha_relation: float, expected: set[str]
) -> None:
    student = make(1, heads=(4, 2))
    live = LiveTeacher(make(2), alpha_hidden=alpha_hidden, alpha_relation=alpha_relation)
    before = hooked(student)
    with live.watch(student):
        assert hooked(student) - before == expected


def test_hooks_are_gone_when_the_context_ends_even_after_an_exception() -> None:
    student, teacher = make(1), make(2)
    live = LiveTeacher(teacher, alpha_hidden=1.0, alpha_relation=1.0)
    before = hooked(student), hooked(teacher)
    live_loss(live, student)
    assert (hooked(student), hooked(teacher)) == before
    with pytest.raises(IndexError, match="out of range"):
        live_loss(live, student, {**INPUTS, "input_ids": IDS + 100})
    assert (hooked(student), hooked(teacher)) == before


def test_nothing_is_kept_between_steps() -> None:
    student = make(1)
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=1.0)
    outputs = outputs_of_layers(student)
    with live.watch(student):
        student(**INPUTS)
        assert all(output() is not None for output in outputs)
        live.loss(INPUTS).backward()  # type: ignore[no-untyped-call]  # torch's
        assert all(output() is None for output in outputs)


def test_nothing_is_kept_of_a_step_without_loss() -> None:
    student = make(1)
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=1.0)
    outputs = outputs_of_layers(student)
    with live.watch(student):
        student(**INPUTS)
    assert [output() for output in outputs] == [None, None, None]


def test_training_brings_hidden_states_and_relations_closer() -> None:
    student = make(1, heads=(4, 2), dropout=0.1)
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=1.0)
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)

    def distances() -> list[float]:
        student.train(mode=False)
        return [
            live_loss(LiveTeacher(make(2), alpha_hidden=hidden, alpha_relation=1 - hidden), student)
            .detach()
            .item()
            for hidden in (1, 0)
        ]

    before = distances()
    student.train()
    with torch.random.fork_rng(), live.watch(student):
        torch.manual_seed(0)
        for _ in range(40):
            student(**INPUTS)
            live.loss(INPUTS).backward()  # type: ignore[no-untyped-call]  # torch's
            optimizer.step()
            optimizer.zero_grad()
    after = distances()
    assert all(now < 0.5 * then for now, then in zip(after, before, strict=True))


def test_loss_under_autocast_is_float32_and_close() -> None:
    student = make(1)
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=1.0)
    exact = live_loss(live, student).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = live_loss(live, student)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(exact, rel=0.05)


def test_hidden_states_of_another_width_cannot_be_matched() -> None:
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=0.0)
    with (
        pytest.raises(ArchitectureError, match=r"hidden_size .* got 16 and 32; set alpha_hidden"),
        live.watch(make(1, hidden_size=16, heads=(2,))),
    ):
        pass


@pytest.mark.parametrize(
    ("student_heads", "teacher_heads", "whose"),
    [((0, 0), (4,), "student"), ((4,), (0, 0), "teacher")],
)
def test_without_heads_there_are_no_relations(
    student_heads: tuple[int, ...], teacher_heads: tuple[int, ...], whose: str
) -> None:
    student = make(1, heads=student_heads)
    live = LiveTeacher(make(2, heads=teacher_heads), alpha_hidden=0.0, alpha_relation=1.0)
    with (
        pytest.raises(ArchitectureError, match=rf"{whose} with at least 1 head.* \[0, 0\]"),
        live.watch(student),
    ):
        pass
    live = LiveTeacher(make(2, heads=teacher_heads), alpha_hidden=1.0, alpha_relation=0.0)
    assert live_loss(live, student).isfinite()


def test_another_vocabulary_is_refused() -> None:
    live = LiveTeacher(make(2), alpha_hidden=1.0, alpha_relation=0.0)
    with (
        pytest.raises(ArchitectureError, match="vocabulary has 40 and the teacher's 30; keep"),
        live.watch(make(1, vocab_size=40)),
    ):
        pass


def test_key_is_that_of_equal_teachers_with_equal_weights() -> None:
    teachers = (make(2), make(2), make(3), make(2), make(2))
    weights = ((1.0, 0.5), (1.0, 0.5), (1.0, 0.5), (0.5, 1.0), (1.0, 0.0))
    key, again, *others = (
        LiveTeacher(teacher, alpha_hidden=hidden, alpha_relation=relation).key
        for teacher, (hidden, relation) in zip(teachers, weights, strict=True)
    )
    assert key == again
    assert len({key, *others}) == 4
