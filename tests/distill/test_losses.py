import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from limbeck.distill.losses import hard_loss, soft_loss, span_loss

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
