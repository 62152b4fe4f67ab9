"""The distillation losses for extractive question answering.

Targets: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv
1503.02531), section 2: soft targets at temperature ``T`` are weighted by ``T²`` so that their
gradients keep their size; applied to start and end positions as in DistilBERT's SQuAD script.

What is inside: hidden states as in TinyBERT (arXiv 1909.10351), relations as in MiniLMv2 (arXiv
2012.15828).

Every loss is a mean over the batch's windows, each of which counts alike however long it is: the
mean over equal parts of a batch is that over the batch.
"""

import math

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
    return temperature**2 * _divergence(student / temperature, teacher / temperature, mask).mean()


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


def hidden_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error of hidden states, over the real tokens of each window.

    Source: TinyBERT (arXiv 1909.10351), eq. (8), without the projection between widths.

    Args:
        student: A ``b x L x H`` tensor.
        teacher: A ``b x L x H`` tensor.
        mask: A ``b x L`` boolean tensor, False on padding.
    """
    error = functional.mse_loss(student.float(), teacher.float(), reduction="none")
    return _mean_over_tokens(error.mean(dim=-1), mask)


def relation_loss(student: Tensor, teacher: Tensor, mask: Tensor, *, relation_heads: int) -> Tensor:
    """Return how much the tokens' relations among each other differ from the teacher's.

    A token's relations are the softmax of its scaled dot products with all real tokens. The loss
    is ``KL(teacher ‖ student)``, averaged over relation heads and the real tokens of each window.

    Source: MiniLMv2 (arXiv 2012.15828), section 3.1, eq. (4) to (6).

    Args:
        student: A ``b x L x W`` tensor of queries, keys or values, all heads side by side.
        teacher: A ``b x L x V`` tensor of the teacher's; ``V`` need not be ``W``.
        mask: A ``b x L`` boolean tensor, False on padding.
        relation_heads: Parts that the vectors are split into; divides ``W`` and ``V``.
    """
    ours, theirs = (_dot_products(vectors, relation_heads) for vectors in (student, teacher))
    divergence = _divergence(ours, theirs, mask[:, None, None, :])
    return _mean_over_tokens(divergence.mean(dim=1), mask)


def _divergence(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Return ``KL(teacher ‖ student)`` between logits over the last dimension, without the masked.

    Args:
        student: A ``... x L`` tensor of logits.
        teacher: A ``... x L`` tensor of logits.
        mask: A boolean tensor that broadcasts to them, False on what is left out.
    """
    log_q = functional.log_softmax(student.masked_fill(~mask, -torch.inf), dim=-1)
    log_p = functional.log_softmax(teacher.masked_fill(~mask, -torch.inf), dim=-1)
    # On padding both logarithms are -inf; their difference is no number and is left out.
    gap = (log_p - log_q).masked_fill(~mask, 0.0)
    return (log_p.exp() * gap).sum(dim=-1)


def _dot_products(vectors: Tensor, relation_heads: int) -> Tensor:
    """Return the ``b x relation_heads x L x L`` scaled products between all pairs of tokens."""
    batch, length, width = vectors.shape
    heads = vectors.reshape(batch, length, relation_heads, width // relation_heads).transpose(1, 2)
    return torch.matmul(heads, heads.mT).float() / math.sqrt(heads.shape[-1])


def _mean_over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the batch of each window's mean over its real tokens."""
    return (values.masked_fill(~mask, 0.0).sum(dim=1) / mask.sum(dim=1)).mean()
