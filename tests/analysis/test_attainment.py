"""What repetitions attain, against brute force over every repetition."""

import math

from hypothesis import given
from hypothesis import strategies as st

from limbeck.analysis.attainment import Attainment, attainment
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE)
SIZE = Metric(name="size", goal=Goal.MINIMIZE)


def make_run(
    number: int, layers: int, seed: int, size: float, exact: float, *, finished: bool = True
) -> Run:
    return Run(
        number=number,
        parameters={"layers": layers, "seed": seed},
        state=RunState.FINISHED if finished else RunState.FAILED,
        values={"size": size, "exact": exact},
    )


def test_surfaces_worked_by_hand() -> None:
    runs = [
        make_run(0, 1, 0, 10, 50),
        make_run(1, 2, 0, 20, 70),
        make_run(2, 1, 1, 10, 60),
        make_run(3, 2, 1, 20, 65),
        make_run(4, 1, 2, 10, 40),
        make_run(5, 2, 2, 20, 90),
    ]
    assert attainment(runs, SIZE, EXACT) == Attainment(
        sets=3,
        configurations=2,
        best=((10, 60), (20, 90)),
        median=((10, 50), (20, 70)),
        worst=((10, 40), (20, 65)),
    )


def test_only_what_was_repeated_counts_and_as_often_as_all_of_it() -> None:
    runs = [
        make_run(0, 1, 0, 10, 50),
        make_run(1, 1, 1, 10, 60),
        make_run(2, 1, 2, 10, 99),  # The third repetition; the other configuration has two.
        make_run(3, 2, 0, 20, 70),
        make_run(4, 2, 1, 20, 80),
        make_run(5, 3, 0, 5, 99),
        make_run(6, 4, 0, 4, 99),
        make_run(7, 4, 1, 4, math.nan),
        make_run(8, 4, 2, 4, 99, finished=False),
    ]
    found = attainment(runs, SIZE, EXACT)
    assert found is not None
    assert (found.sets, found.configurations) == (2, 2)
    assert (found.best, found.worst) == (((10, 60), (20, 80)), ((10, 50), (20, 70)))
    assert found.median == found.best  # One of two is half of them.


def test_without_repetitions_there_is_none() -> None:
    assert attainment([make_run(0, 1, 0, 10, 50), make_run(1, 2, 0, 10, 50)], SIZE, EXACT) is None
    assert attainment([], SIZE, EXACT) is None


def attained(surface: tuple[tuple[float, float], ...], size: float, exact: float) -> bool:
    return any(size >= x and exact <= y for x, y in surface)


@given(
    st.integers(2, 4).flatmap(
        lambda sets: st.lists(
            st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=sets, max_size=sets),
            min_size=1,
            max_size=3,
        )
    )
)
def test_surfaces_are_what_so_many_repetitions_attain(
    configurations: list[list[tuple[int, int]]],
) -> None:
    count = len(configurations[0])
    runs = [
        make_run(layers * count + seed, layers, seed, size, exact)
        for layers, repeats in enumerate(configurations)
        for seed, (size, exact) in enumerate(repeats)
    ]
    found = attainment(runs, SIZE, EXACT)
    assert found is not None
    for size in range(-1, 6):
        for exact in range(-1, 6):
            by = sum(
                any(
                    repeats[seed][0] <= size and repeats[seed][1] >= exact
                    for repeats in configurations
                )
                for seed in range(count)
            )
            assert attained(found.best, size, exact) == (by >= 1)
            assert attained(found.median, size, exact) == (by >= count / 2)
            assert attained(found.worst, size, exact) == (by == count)
