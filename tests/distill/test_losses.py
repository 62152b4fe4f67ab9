import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from limbeck.distill.losses import hard_loss, hidden_loss, relation_loss, soft_loss, span_loss

Vectors: TypeAlias = list[list[list[float]]]

TWO_LN_3 = 2 * math.log(3)
EVERYTHING = torch.ones(1, 2, dtype=torch.bool)
LENGTHS = (6, 4, 1)
MASK = torch.arange(6) < torch.tensor(LENGTHS)[:, None]

# At temperature 2, logits (0, 0) and (0, 2 ln 3) are the distributions (1/2, 1/2) and (1/4, 3/4).
KL_FLAT_STEEP = math.log(4 / 3) / 2
KL_STEEP_FLAT = math.log(1 / 2) / 4 + 3 * math.log(3 / 2) / 4


def random_logits(seed: int) -> tuple[Tensor, Tensor]:
    """Return ``3 x 6 x 2`` logits of a student, with gradient, and of its teacher."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(3, 6, 2, generator=generator) * 5 for _ in range(2))
    return student.requires_grad_(), teacher


def reference(student: Tensor, teacher: Tensor, *, alpha_ce: float, temperature: float) -> Tensor:
    """Return the loss that torch's own functions give row after row, without the padding."""
    total = torch.zeros(())
    for row, length in enumerate(LENGTHS):
        for side in (0, 1):
            ours, theirs = student[row, :length, side], teacher[row, :length, side]
            soft = functional.kl_div(
                functional.log_softmax(ours / temperature, dim=0),
                functional.softmax(theirs / temperature, dim=0),
                reduction="sum",
            )
            hard = functional.cross_entropy(ours, torch.tensor(length - 1))
            total = total + alpha_ce * temperature**2 * soft + (1 - alpha_ce) * hard
    return total / (2 * len(LENGTHS))


def test_soft_loss_worked_by_hand() -> None:
    flat, steep = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, TWO_LN_3]])
    loss = soft_loss(steep, flat, EVERYTHING, temperature=2.0)
    assert loss.item() == pytest.approx(4 * KL_FLAT_STEEP)


def test_soft_loss_is_not_symmetric() -> None:
    flat, steep = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, TWO_LN_3]])
    loss = soft_loss(flat, steep, EVERYTHING, temperature=2.0)
    assert loss.item() == pytest.approx(4 * KL_STEEP_FLAT)


def test_hard_loss_worked_by_hand() -> None:
    student = torch.tensor([[0.0, TWO_LN_3], [0.0, 0.0]])
    loss = hard_loss(student, torch.tensor([1, 0]), EVERYTHING.expand(2, 2))
    assert loss.item() == pytest.approx((math.log(10 / 9) + math.log(2)) / 2)


def test_span_loss_worked_by_hand() -> None:
    student = torch.tensor([[[0.0, 0.0], [TWO_LN_3, 0.0]]])
    teacher = torch.tensor([[[0.0, 0.0], [0.0, TWO_LN_3]]])
    loss = span_loss(
        student,
        torch.tensor([[1, 0]]),
        EVERYTHING,
        teacher=teacher,
        alpha_ce=0.25,
        temperature=2.0,
    )
    soft = 4 * (KL_FLAT_STEEP + KL_STEEP_FLAT) / 2
    hard = (math.log(10 / 9) + math.log(2)) / 2
    assert loss.item() == pytest.approx(0.25 * soft + 0.75 * hard)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    temperature=st.floats(0.5, 10.0),
    alpha_ce=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_loss_and_gradient_are_those_without_padding(
    seed: int, temperature: float, alpha_ce: float
) -> None:
    student, teacher = random_logits(seed)
    last = torch.tensor(LENGTHS) - 1
    loss = span_loss(
        student,
        torch.stack([last, last], dim=1),
        MASK,
        teacher=teacher,
        alpha_ce=alpha_ce,
        temperature=temperature,
    )
    expected = reference(student, teacher, alpha_ce=alpha_ce, temperature=temperature)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, student)
    (expected_gradient,) = torch.autograd.grad(expected, student)
    assert gradient.isfinite().all()
    assert (gradient[~MASK] == 0).all()
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-3, atol=1e-5)


def test_student_like_its_teacher_has_no_soft_loss_and_no_gradient() -> None:
    student, _ = random_logits(0)
    loss = span_loss(
        student,
        torch.zeros(3, 2, dtype=torch.long),
        MASK,
        teacher=student.detach().clone(),
        alpha_ce=1.0,
        temperature=3.0,
    )
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0.0
    assert gradient.abs().max() < 1e-6


def test_hard_labels_alone_need_no_teacher() -> None:
    student, teacher = random_logits(0)
    labels = torch.zeros(3, 2, dtype=torch.long)
    alone, beside = (
        span_loss(student, labels, MASK, teacher=given, alpha_ce=0.0, temperature=2.0)
        for given in (None, teacher)
    )
    assert alone.item() == beside.item() > 0


def test_soft_targets_alone_look_at_no_label() -> None:
    student, teacher = random_logits(0)
    one, other = (
        span_loss(student, labels, MASK, teacher=teacher, alpha_ce=1.0, temperature=2.0)
        for labels in (torch.zeros(3, 2, dtype=torch.long), torch.full((3, 2), 5))
    )
    assert one.item() == other.item()


def random_vectors(seed: int, width: int, *, length: int = 6) -> Tensor:
    """Return ``3 x length x width`` vectors with gradient; more tokens leave the first the same."""
    vectors = torch.randn(length, 3, width, generator=torch.Generator().manual_seed(seed)) * 2
    return vectors.transpose(0, 1).clone().requires_grad_()


def hidden_reference(student: Vectors, teacher: Vectors) -> float:
    """Return the mean over windows of that over real tokens and hidden units, in plain loops."""
    rows = [
        sum(
            (ours - theirs) ** 2 / len(student[row][token])
            for token in range(length)
            for ours, theirs in zip(student[row][token], teacher[row][token], strict=True)
        )
        / length
        for row, length in enumerate(LENGTHS)
    ]
    return sum(rows) / len(rows)


def relations(window: list[list[float]], token: int, *, length: int, units: range) -> list[float]:
    """Return one token's relations to a window's real tokens in one head, in plain loops."""
    scores = [
        sum(window[token][unit] * window[other][unit] for unit in units) / math.sqrt(len(units))
        for other in range(length)
    ]
    exponentials = [math.exp(score - max(scores)) for score in scores]
    return [value / sum(exponentials) for value in exponentials]


def relation_reference(student: Vectors, teacher: Vectors, relation_heads: int) -> float:
    """Return the relation loss of MiniLMv2 window by window, head by head and token by token."""
    total = 0.0
    for row, length in enumerate(LENGTHS):
        for head, token in itertools.product(range(relation_heads), range(length)):
            ours, theirs = (
                relations(window, token, length=length, units=range(head * part, (head + 1) * part))
                for window in (student[row], teacher[row])
                for part in [len(window[0]) // relation_heads]
            )
            divergence = sum(p * math.log(p / q) for p, q in zip(theirs, ours, strict=True))
            total += divergence / (relation_heads * length)
    return total / len(LENGTHS)


def test_hidden_loss_worked_by_hand() -> None:
    student = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [7.0, 7.0]]])
    teacher = torch.tensor([[[0.0, 2.0], [3.0, 2.0]], [[0.0, 4.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    # Tokens: 1/2 and 4/2 in the first window, 9/2 in the second, whose other token is padding.
    assert hidden_loss(student, teacher, mask).item() == pytest.approx((1.25 + 4.5) / 2)


def test_relation_loss_worked_by_hand() -> None:
    # Products of the second token with both are 0 and 2 ln 3; a width of 4 halves them.
    steep = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [0.0, math.sqrt(TWO_LN_3), 0.0, 0.0]]])
    flat = torch.zeros(1, 2, 1)
    loss = relation_loss(flat, steep, EVERYTHING, relation_heads=1)
    assert loss.item() == pytest.approx(KL_STEEP_FLAT / 2)
    loss = relation_loss(steep, flat, EVERYTHING, relation_heads=1)
    assert loss.item() == pytest.approx(KL_FLAT_STEEP / 2)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    relation_heads=st.sampled_from([1, 2, 4]),
    widths=st.tuples(st.sampled_from([4, 8, 12]), st.sampled_from([4, 8, 12])),
)
def test_relation_loss_is_that_of_plain_loops(
    seed: int, relation_heads: int, widths: tuple[int, int]
) -> None:
    student, teacher = (random_vectors(seed + i, width).detach() for i, width in enumerate(widths))
    loss = relation_loss(student, teacher, MASK, relation_heads=relation_heads)
    expected = relation_reference(student.tolist(), teacher.tolist(), relation_heads)
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_hidden_loss_is_that_of_plain_loops() -> None:
    student, teacher = random_vectors(1, 8).detach(), random_vectors(2, 8).detach()
    expected = hidden_reference(student.tolist(), teacher.tolist())
    assert hidden_loss(student, teacher, MASK).item() == pytest.approx(expected, rel=1e-5)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    extra=st.integers(1, 5),
    rubbish=st.sampled_from([0.0, -3.0, 1e4]),
    loss_of=st.sampled_from([hidden_loss, partial(relation_loss, relation_heads=4)]),
)
def test_inner_losses_do_not_see_padding(
    seed: int, extra: int, rubbish: float, loss_of: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> None:
    short = [random_vectors(seed + teacher, 8) for teacher in (0, 1)]
    longer = [random_vectors(seed + teacher, 8, length=6 + extra) for teacher in (0, 1)]
    mask = torch.arange(6 + extra) < torch.tensor(LENGTHS)[:, None]
    for vectors in longer:
        vectors.data[~mask] += rubbish
    loss, longer_loss = loss_of(short[0], short[1], MASK), loss_of(longer[0], longer[1], mask)
    assert longer_loss.item() == pytest.approx(loss.item(), rel=1e-5, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, short[0])
    (longer_gradient,) = torch.autograd.grad(longer_loss, longer[0])
    assert (longer_gradient[~mask] == 0).all()
    torch.testing.assert_close(longer_gradient[mask], gradient[MASK], rtol=1e-4, atol=1e-6)


def test_losses_of_a_batch_are_means_over_its_windows() -> None:
    student, teacher = random_vectors(3, 8).detach(), random_vectors(4, 8).detach()
    for loss_of in (hidden_loss, partial(relation_loss, relation_heads=2)):
        windows = [
            loss_of(student[row : row + 1], teacher[row : row + 1], MASK[row : row + 1]).item()
            for row in range(3)
        ]
        assert loss_of(student, teacher, MASK).item() == pytest.approx(sum(windows) / 3)


def test_student_like_its_teacher_has_no_inner_loss_and_no_gradient() -> None:
    student = random_vectors(5, 8)
    for loss_of in (hidden_loss, partial(relation_loss, relation_heads=2)):
        loss = loss_of(student, student.detach().clone(), MASK)
        (gradient,) = torch.autograd.grad(loss, student)
        assert loss.item() == 0.0
        assert gradient.abs().max() < 1e-6


def test_relations_of_a_wider_student_can_be_those_of_its_teacher() -> None:
    # Twice the same vector has twice the products, which √2 times the width's root halves by √2.
    teacher = random_vectors(6, 4).detach()
    student = torch.cat([teacher, teacher], dim=-1) / 2**0.25
    loss = relation_loss(student, teacher, MASK, relation_heads=1)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


def test_inner_losses_are_float32_whatever_comes_in() -> None:
    student, teacher = (random_vectors(seed, 8).detach().bfloat16() for seed in (7, 8))
    for loss_of in (hidden_loss, partial(relation_loss, relation_heads=2)):
        assert loss_of(student, teacher, MASK).dtype is torch.float32
