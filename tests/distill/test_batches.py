from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from limbeck.distill.batches import (
    batches_from,
    bucketed_batches,
    length_sorted_batches,
    parts_of,
)


def random_lengths(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(20, 385, size=count)


def padding(lengths: NDArray[np.int64], batches: list[NDArray[np.int64]]) -> int:
    return sum(int((lengths[batch].max() - lengths[batch]).sum()) for batch in batches)


def as_lists(batches: list[NDArray[np.int64]]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=400),
    batch_size=st.integers(1, 5),
    seed=st.integers(0, 100),
    epoch=st.integers(0, 5),
)
def test_epoch_holds_every_window_once_and_at_most_one_short_batch(
    lengths: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    batches = bucketed_batches(np.array(lengths), batch_size=batch_size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    short = [batch for batch in batches if len(batch) != batch_size]
    assert [len(batch) for batch in short] == ([len(lengths) % batch_size] if short else [])


def test_order_follows_from_seed_and_epoch() -> None:
    lengths = random_lengths(500)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return as_lists(bucketed_batches(lengths, batch_size=8, seed=seed, epoch=epoch))

    assert order(3, 1) == order(3, 1)
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_there_is_hardly_any_padding() -> None:
    lengths = random_lengths(5_000)
    order = np.random.default_rng(1).permutation(len(lengths))
    unsorted = np.split(order, np.arange(32, len(lengths), 32))
    bucketed = bucketed_batches(lengths, batch_size=32, seed=0, epoch=0)
    assert padding(lengths, bucketed) < padding(lengths, unsorted) / 20


def test_length_says_nothing_about_the_place_in_an_epoch() -> None:
    # Without the second shuffle every 50 batches would go from short to long.
    lengths = random_lengths(50 * 32)
    batches = bucketed_batches(lengths, batch_size=32, seed=0, epoch=0)
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(50))[0, 1]) < 0.4


def test_company_of_a_window_changes_with_the_epoch() -> None:
    lengths = random_lengths(400)
    first, second = (
        {
            frozenset(batch)
            for batch in as_lists(bucketed_batches(lengths, batch_size=4, seed=0, epoch=epoch))
        }
        for epoch in (0, 1)
    )
    assert len(first & second) < 5


@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 7),
    seed=st.integers(0, 100),
    start=st.integers(0, 100),
)
def test_going_on_leaves_out_what_was_done(
    count: int, batch_size: int, seed: int, start: int
) -> None:
    def first(start: int, number: int) -> list[list[int]]:
        stream = batches_from(random_lengths(count), batch_size=batch_size, seed=seed, start=start)
        return as_lists(list(islice(stream, number)))

    assert first(start, 20) == first(0, start + 20)[start:]


def test_stream_is_one_epoch_after_the_other() -> None:
    lengths = random_lengths(20)
    epochs = [bucketed_batches(lengths, batch_size=8, seed=2, epoch=epoch) for epoch in range(3)]
    stream = islice(batches_from(lengths, batch_size=8, seed=2, start=0), 9)
    assert as_lists(list(stream)) == as_lists([batch for epoch in epochs for batch in epoch])


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=100), tokens=st.integers(1, 2_000)
)
def test_batches_for_prediction_hold_every_window_once_within_the_bound(
    lengths: list[int], tokens: int
) -> None:
    sizes = np.array(lengths)
    batches = length_sorted_batches(sizes, tokens=tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * sizes[batch].max() <= tokens


def test_batches_for_prediction_go_from_long_to_short_and_are_full() -> None:
    lengths = np.array([3, 10, 4, 9, 1, 5])
    batches = length_sorted_batches(lengths, tokens=20)
    assert as_lists(batches) == [[1, 3], [5, 2, 0, 4]]


@given(
    count=st.integers(1, 40),
    micro_batch=st.none() | st.integers(1, 12),
    processes=st.integers(1, 5),
)
def test_parts_of_all_processes_weigh_every_window_alike(
    count: int, micro_batch: int | None, processes: int
) -> None:
    batch = np.random.default_rng(count).permutation(100)[:count]
    weights = dict.fromkeys(batch.tolist(), 0.0)
    for process in range(processes):
        parts = parts_of(batch, micro_batch=micro_batch, process=process, processes=processes)
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        for part in parts:
            assert 1 <= len(part.windows) <= (micro_batch or count)
            for window in part.windows.tolist():
                weights[window] += part.weight / len(part.windows) / processes
    assert list(weights.values()) == pytest.approx([1 / count] * count)


def test_parts_are_even() -> None:
    parts = parts_of(np.arange(32), micro_batch=12, process=0, processes=1)
    assert [len(part.windows) for part in parts] == [11, 11, 10]


def test_every_process_gets_short_and_long_windows() -> None:
    shares = [
        parts_of(np.arange(7), micro_batch=None, process=process, processes=3)
        for process in range(3)
    ]
    assert [part.windows.tolist() for (part,) in shares] == [[0, 3, 6], [1, 4], [2, 5]]
