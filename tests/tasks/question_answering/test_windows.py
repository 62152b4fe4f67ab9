import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limbeck.errors import ConfigError
from limbeck.tasks.question_answering.windows import Lengths, Windows, cut, most_context


def run_squad_spans(tokens: int, capacity: int, stride: int) -> list[tuple[int, int]]:
    """Cut a context as the loop of the original run_squad.py does: start and length of spans."""
    spans = []
    start = 0
    while start < tokens:
        length = min(tokens - start, capacity)
        spans.append((start, length))
        if start + length == tokens:
            break
        start += min(length, stride)
    return spans


def run_squad_best_span(spans: list[tuple[int, int]], position: int) -> int:
    """Return the span in which a token has most context, as the original run_squad.py does."""
    best_score, best_span = None, -1
    for number, (start, length) in enumerate(spans):
        end = start + length - 1
        if not start <= position <= end:
            continue
        score = min(position - start, end - position) + 0.01 * length
        if best_score is None or score > best_score:
            best_score, best_span = score, number
    return best_span


CONTEXTS = st.lists(st.tuples(st.integers(1, 120), st.integers(1, 40)), min_size=1, max_size=5)


def cut_contexts(contexts: list[tuple[int, int]], stride: int) -> Windows:
    counts, capacity = np.array(contexts, np.int64).T
    return cut(counts, capacity, stride)


@given(contexts=CONTEXTS, stride=st.integers(1, 50))
def test_contexts_are_cut_as_run_squad_cuts_them(
    contexts: list[tuple[int, int]], stride: int
) -> None:
    windows = cut_contexts(contexts, stride)
    expected = [
        (question, *span)
        for question, (tokens, capacity) in enumerate(contexts)
        for span in run_squad_spans(tokens, capacity, stride)
    ]
    rows = np.stack([windows.question_index, windows.begin, windows.count], axis=1)
    assert rows.tolist() == [list(row) for row in expected]


# The last window is so much shorter that its length outweighs a token of context.
@example(contexts=[(590, 320)], stride=128)
@given(contexts=CONTEXTS, stride=st.integers(1, 50))
def test_the_window_with_most_context_is_that_of_run_squad(
    contexts: list[tuple[int, int]], stride: int
) -> None:
    expected = []
    for tokens, capacity in contexts:
        spans = run_squad_spans(tokens, capacity, stride)
        for number, (start, length) in enumerate(spans):
            positions = range(start, start + length)
            expected += [run_squad_best_span(spans, position) == number for position in positions]
    assert most_context(cut_contexts(contexts, stride)).tolist() == expected


def test_windows_by_hand() -> None:
    windows = cut(np.array([10, 3]), np.array([6, 6]), stride=3)
    assert windows.question_index.tolist() == [0, 0, 0, 1]
    assert windows.begin.tolist() == [0, 3, 6, 0]
    assert windows.count.tolist() == [6, 6, 4, 3]


def test_a_context_without_tokens_has_one_empty_window() -> None:
    windows = cut(np.array([0, 2]), np.array([5, 5]), stride=2)
    assert windows.question_index.tolist() == [0, 1]
    assert windows.count.tolist() == [0, 2]
    assert most_context(windows).tolist() == [True, True]


@pytest.mark.parametrize(
    "lengths",
    [
        {"max_length": 0},
        {"doc_stride": 0},
        {"max_query_length": -1},
    ],
)
def test_lengths_must_be_positive(lengths: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"lengths must be positive, but got Lengths\("):
        Lengths(**lengths)


@pytest.mark.parametrize(
    "lengths", [{"max_length": 64}, {"doc_stride": 384}, {"max_query_length": 384}]
)
def test_parts_must_be_shorter_than_the_window(lengths: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"must be below max_length, but got Lengths\("):
        Lengths(**lengths)
