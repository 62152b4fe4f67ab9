"""Which windows are trained together: alike in length, in an order that only the seed decides."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LENGTH_STEP = 32
"""Batches are as long as a multiple of so many tokens: few shapes are seen again and again, which
saves a CPU an eighth of the time and a third of the memory, for a twentieth more tokens."""

MEGABATCH = 50
"""Batches whose windows are sorted by length together: large enough to leave little padding, small
enough to leave the order random."""


def bucketed_batches(
    lengths: NDArray[np.int64], *, batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the batches of one epoch, each an array of window indices.

    Windows are shuffled, sorted by length within every `MEGABATCH` batches, and the batches are
    shuffled again. Every window is in exactly one batch; the last one cut may be smaller. The order
    depends on nothing but the arguments, so a student's architecture cannot change it.

    Args:
        lengths: An ``n`` array of tokens per window.
        batch_size: Windows per batch.
        seed: Of the shuffles.
        epoch: Counts from 0; every epoch has an order of its own.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(lengths))
    chunk = batch_size * MEGABATCH
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), chunk):
        part = order[start : start + chunk]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def batches_from(
    lengths: NDArray[np.int64], *, batch_size: int, seed: int, start: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the batches of epoch after epoch without end, leaving out the first ``start``.

    Args:
        lengths: An ``n`` array of tokens per window.
        batch_size: Windows per batch.
        seed: See `bucketed_batches`.
        start: Batches already trained on.
    """
    epoch, done = divmod(start, math.ceil(len(lengths) / batch_size))
    while True:
        yield from bucketed_batches(lengths, batch_size=batch_size, seed=seed, epoch=epoch)[done:]
        epoch, done = epoch + 1, 0


@dataclass(frozen=True, eq=False)
class Part:
    """Windows of a batch that one process computes at once.

    Attributes:
        windows: Their indices, at least one.
        weight: Of the mean of their losses. The sum over a process's parts, averaged over the
            processes, is the mean over the batch.
        last: Whether no part of the same process comes after it.
    """

    windows: NDArray[np.int64]
    weight: float
    last: bool


def parts_of(
    batch: NDArray[np.int64], *, micro_batch: int | None, process: int, processes: int
) -> list[Part]:
    """Return this process's share of a batch, in parts that are as even as can be.

    Where there are more processes than windows, some get one that counts for nothing: all have to
    take part.

    Args:
        batch: Indices of the windows, ordered by length: every process gets short and long ones.
        micro_batch: Most windows of a part; None for all at once.
        process: Index of this process, from 0.
        processes: How many there are.
    """
    share = batch[process::processes]
    if not len(share):
        return [Part(batch[:1], 0.0, last=True)]
    number = math.ceil(len(share) / (micro_batch or len(share)))
    pieces = np.array_split(share, number)
    return [
        Part(piece, processes * len(piece) / len(batch), last=index == number)
        for index, piece in enumerate(pieces, start=1)
    ]


def length_sorted_batches(lengths: NDArray[np.int64], *, tokens: int) -> list[NDArray[np.int64]]:
    """Return batches for prediction, longest windows first, none above ``tokens`` with padding.

    Args:
        lengths: An ``n`` array of tokens per window.
        tokens: Largest product of batch size and longest window; one window may exceed it.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        size = max(1, tokens // int(lengths[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches
