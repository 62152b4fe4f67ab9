"""Which windows are trained together: alike in length, in an order that only the seed decides."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

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
