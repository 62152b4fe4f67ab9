"""How contexts are cut into overlapping windows, as in BERT's original ``run_squad.py``."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError


@dataclass(frozen=True)
class Lengths:
    """How windows are cut, in tokens.

    Attributes:
        max_length: Of a window, special tokens included.
        doc_stride: Distance between the starts of neighbouring windows (not their overlap).
        max_query_length: What is kept of a question: its first tokens.
    """

    max_length: int = 384
    doc_stride: int = 128
    max_query_length: int = 64

    def __post_init__(self) -> None:
        """Check the lengths against each other.

        Raises:
            ConfigError: If one is not positive, or leaves no room for the context.
        """
        if min(self.max_length, self.doc_stride, self.max_query_length) < 1:
            raise ConfigError(f"lengths must be positive, but got {self}")
        if max(self.doc_stride, self.max_query_length) >= self.max_length:
            raise ConfigError(
                f"doc_stride and max_query_length must be below max_length, but got {self}"
            )


@dataclass(frozen=True, eq=False)
class Windows:
    """Which part of which context each of ``w`` windows shows.

    Attributes:
        question_index: A ``w`` array of positions in the question set, ascending.
        begin: A ``w`` array: the first shown token of the context.
        count: A ``w`` array of shown tokens.
    """

    question_index: NDArray[np.int64]
    begin: NDArray[np.int64]
    count: NDArray[np.int64]


def cut(context_counts: NDArray[np.int64], capacity: NDArray[np.int64], stride: int) -> Windows:
    """Cut the context of every question; even one without tokens gets a window.

    Args:
        context_counts: An ``n`` array of tokens in each question's context.
        capacity: An ``n`` array of context tokens that fit behind each question.
        stride: See `Lengths.doc_stride`; windows lie closer where that would leave a gap.
    """
    step = np.minimum(capacity, stride)
    unseen = np.maximum(context_counts - capacity, 0)
    per_question = 1 + (unseen + step - 1) // step
    question_index = np.repeat(np.arange(len(context_counts)), per_question)
    number = ragged_arange(per_question)
    begin = number * step[question_index]
    count = np.minimum(capacity[question_index], context_counts[question_index] - begin)
    return Windows(question_index, begin, count)


def most_context(windows: Windows) -> NDArray[np.bool_]:
    """Return for each shown token, window after window, whether this window is its best.

    A token that several windows of a question show belongs to the one in which the smaller of its
    distances to both ends is largest (``_check_is_max_context`` of the original; a longer window
    before a shorter, the first of equally good ones).
    """
    best = np.ones(int(windows.count.sum()), np.bool_)
    token_starts = running_sum(windows.count)
    groups = np.flatnonzero(np.diff(windows.question_index, prepend=-1, append=-1))
    for first, end in pairwise(groups.tolist()):
        if end - first > 1:
            best[token_starts[first] : token_starts[end]] = _most_context_of_one(
                windows.begin[first:end], windows.count[first:end]
            )
    return best


def _most_context_of_one(begin: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.bool_]:
    within, size = ragged_arange(count), np.repeat(count, count)
    token = np.repeat(begin, count) + within
    score = np.minimum(within, size - 1 - within) + 0.01 * size
    highest = np.full(int(begin[-1] + count[-1]), -np.inf)
    np.maximum.at(highest, token, score)
    # Of several assignments to a token the last one stays; in reverse, that of the first window.
    equally_good = np.flatnonzero(score == highest[token])[::-1]
    place = np.empty(len(highest), np.int64)
    place[token[equally_good]] = equally_good
    is_best = np.zeros(len(token), np.bool_)
    is_best[place] = True
    return is_best


def ragged_arange(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, … ``counts[0]`` - 1, 0, 1, … ``counts[1]`` - 1, and so on."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)


def running_sum(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, ``counts[0]``, ``counts[0] + counts[1]``, and so on: one more than counts."""
    return np.concatenate([[0], np.cumsum(counts)])
