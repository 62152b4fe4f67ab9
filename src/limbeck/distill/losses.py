"""The distillation loss for extractive question answering.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network"
(arXiv 1503.02531), section 2: soft targets at temperature ``T`` are weighted by ``T²`` so that
their gradients keep their size; applied to start and end positions as in DistilBERT's SQuAD script.
"""

import torch
from torch import Tensor
from torch.nn import functional


def soft_loss(student: Tensor, teacher: Tensor, mask: Tensor, *, temperature: float) -> Tensor:
    """Return ``T² · KL(teacher ‖ student)``, averaged over the batch; padding counts for nothing.

    Args:
        student: A ``b x L`` tensor of logits over positions.
        teacher: A ``b x L`` tensor of the teacher's logits over the same positions.
        mask: A ``b x L`` boolean tensor, False on padding.
        temperature: ``T``; both distributions are softened by it.
    """
    log_q = functional.log_softmax(student.masked_fill(~mask, -torch.inf) / temperature, dim=-1)
    log_p = functional.log_softmax(teacher.masked_fill(~mask, -torch.inf) / temperature, dim=-1)
    # On padding both logarithms are -inf; their difference is no number and is left out.
    gap = (log_p - log_q).masked_fill(~mask, 0.0)
    return temperature**2 * (log_p.exp() * gap).sum(dim=-1).mean()


def hard_loss(student: Tensor, position: Tensor, mask: Tensor) -> Tensor:
    """Return the cross entropy of the labelled positions, averaged over the batch.

    Args:
        student: A ``b x L`` tensor of logits over positions.
        position: A ``b`` tensor of indices below ``L``.
        mask: A ``b x L`` boolean tensor, False on padding.
    """
    return functional.cross_entropy(student.masked_fill(~mask, -torch.inf), position)


def span_loss(
    student: Tensor,
    positions: Tensor,
    mask: Tensor,
    *,
    teacher: Tensor | None,
    alpha_ce: float,
    temperature: float,
) -> Tensor:
    """Return ``alpha_ce · T² · ½[KL(start) + KL(end)] + (1 - alpha_ce) · ½[CE(start) + CE(end)]``.

    Args:
        student: A ``b x L x 2`` tensor of start and end logits.
        positions: A ``b x 2`` tensor of start and end labels.
        mask: A ``b x L`` boolean tensor, False on padding.
        teacher: A ``b x L x 2`` tensor of the teacher's logits; None where ``alpha_ce`` is 0.
        alpha_ce: Weight of the soft targets, between 0 and 1.
        temperature: See `soft_loss`.
    """
    loss = student.new_zeros(())
    for side in (0, 1):
        if alpha_ce < 1:
            hard = hard_loss(student[..., side], positions[:, side], mask)
            loss = loss + (1 - alpha_ce) * hard / 2
        if alpha_ce > 0:
            assert teacher is not None, "soft targets need the teacher's logits"
            soft = soft_loss(student[..., side], teacher[..., side], mask, temperature=temperature)
            loss = loss + alpha_ce * soft / 2
    return loss
