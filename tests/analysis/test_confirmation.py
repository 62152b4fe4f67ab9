import math
from dataclasses import replace

import pytest

from limbeck.analysis.confirmation import confirm_runs, confirmed_frontier
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Run, RunState
from limbeck.space import Value

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%")
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
LATENCY = Metric(name="latency", goal=Goal.MINIMIZE)
STORED = Metric(name="f1", goal=Goal.MAXIMIZE, role=Role.STORE)


def run(number: int, *, depth: Value, seed: int | None = None, **values: float) -> Run:
    parameters: dict[str, Value] = {"depth": depth}
    if seed is not None:
        parameters["seed"] = seed
    return Run(number=number, parameters=parameters, state=RunState.FINISHED, values=values)


BASELINE = run(0, depth=3, exact=50.0, size=30.0)
WINNER = run(7, depth=2, exact=56.0, size=20.0)
REPEATS = (
    run(0, depth=3, seed=1, exact=49.0, size=30.0),
    run(1, depth=2, seed=1, exact=50.0, size=20.0),
    run(2, depth=3, seed=2, exact=47.0, size=30.0),
    run(3, depth=2, seed=2, exact=54.0, size=20.0),
)


def test_luck_is_what_a_finalist_loses_beyond_the_baseline() -> None:
    baseline, winner = confirm_runs((BASELINE, WINNER), REPEATS, (EXACT, SIZE, STORED))
    # The baseline falls from 50 to 48, the winner from 56 to 52: 2 points more.
    assert (baseline.mean, winner.mean) == (48.0, 52.0)
    assert (baseline.luck, winner.luck) == (0.0, 2.0)
    assert winner.selected == 56.0
    assert winner.values == (50.0, 54.0)
    assert winner.spread == pytest.approx(math.sqrt(8.0))  # ((50 - 52)² + (54 - 52)²) / (2 - 1)


def test_a_cost_that_grows_is_lost_too() -> None:
    baseline = run(0, depth=3, latency=10.0)
    quick = run(1, depth=2, latency=5.0)
    repeats = (run(0, depth=3, seed=1, latency=11.0), run(1, depth=2, seed=1, latency=9.0))
    _, confirmed = confirm_runs((baseline, quick), repeats, (LATENCY,))
    assert confirmed.luck == 3.0
    assert math.isnan(confirmed.spread)


def test_without_a_repeated_baseline_luck_is_unknown() -> None:
    (confirmed,) = confirm_runs((WINNER,), REPEATS, (EXACT,))
    assert confirmed.luck is None
    (confirmed,) = confirm_runs((BASELINE, WINNER), REPEATS[1::2], (EXACT,))
    assert (confirmed.number, confirmed.luck) == (7, None)


def test_what_is_not_finished_does_not_count() -> None:
    broken = [replace(REPEATS[3], state=RunState.FAILED, values={}), *REPEATS[:3]]
    confirmed = confirm_runs((BASELINE, WINNER), broken, (EXACT,))
    assert [len(c.values) for c in confirmed] == [2, 1]
    assert confirm_runs((BASELINE, WINNER), (), (EXACT,)) == ()


def test_the_confirmed_frontier_is_that_of_the_means() -> None:
    # Chosen, both are on the frontier; again, the larger one is no better than the smaller.
    larger, smaller = run(1, depth=6, exact=60.0, size=60.0), run(2, depth=1, exact=55.0, size=10.0)
    repeats = (
        run(0, depth=6, seed=1, exact=50.0, size=60.0),
        run(1, depth=6, seed=2, exact=56.0, size=60.0),
        run(2, depth=1, seed=1, exact=54.0, size=10.0),
    )
    (kept,) = confirmed_frontier((larger, smaller), repeats, (EXACT, SIZE))
    assert (kept.number, kept.values["exact"]) == (2, 54.0)
