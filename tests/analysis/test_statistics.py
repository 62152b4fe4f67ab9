"""A study in numbers: by hand, and the growth of its frontier against brute force."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.analysis.results import StudyResults
from limbeck.analysis.statistics import hypervolume_history, statistics_of
from limbeck.frontier import Share, frontier, hypervolume, reference_point
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=50.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def make_run(
    number: int,
    exact: float,
    size: float,
    *,
    state: RunState = RunState.FINISHED,
    ended: float | None = None,
) -> Run:
    return Run(
        number=number,
        parameters={},
        state=state,
        values={"exact": exact, "num_parameters": size},
        seconds=10.0 * (number + 1),
        created=None if ended is None else BEGUN + timedelta(seconds=number),
        ended=None if ended is None else BEGUN + timedelta(seconds=ended),
    )


def study(*runs: Run, metrics: tuple[Metric, ...] = (EXACT, SIZE)) -> StudyResults:
    return StudyResults(name="study", metrics=metrics, parameters=(), runs=runs)


RUNS = (
    make_run(0, 60, 100, ended=300),
    make_run(1, 70, 80, ended=200),  # Ends before the baseline, and dominates it.
    make_run(2, 90, 10, ended=400, state=RunState.STOPPED),
    make_run(3, 40, 5, ended=500),  # Beyond the threshold.
    make_run(4, 55, 60, ended=600),
    make_run(5, 80, 120, ended=700),
)


def test_statistics_of_a_study_worked_by_hand() -> None:
    waiting = Run(number=6, parameters={}, state=RunState.WAITING, values={"num_parameters": 150.0})
    statistics = statistics_of(study(*RUNS, waiting))
    assert dict(statistics.states) == {
        RunState.WAITING: 1,
        RunState.FINISHED: 5,
        RunState.STOPPED: 1,
    }
    assert statistics.training_seconds == 10 + 20 + 30 + 40 + 50 + 60
    assert statistics.summary.frontier == 3
    assert statistics.summary.better_in_any == Share(count=4, n=4)
    assert statistics.summary.better_in_all == Share(count=1, n=4)
    assert statistics.summary.frontier_better == {"num_parameters": Share(count=2, n=3)}
    # From (50 %, 150), the largest size of all runs: 90 * 5, then 70 * 15, then 30 * 10.
    assert statistics.reference == {"exact": 50.0, "num_parameters": 150.0}
    assert statistics.hypervolume == 90 * 5 + 70 * 15 + 30 * 10


def test_the_history_follows_the_order_of_ending() -> None:
    history = hypervolume_history(study(*RUNS))
    assert [point.run for point in history] == [1, 0, 2, 3, 4, 5]
    assert [point.ended for point in history] == [1, 2, 3, 4, 5, 6]
    assert [point.cost_seconds for point in history] == [20, 30, 60, 100, 150, 210]
    assert [point.wall_seconds for point in history] == [200, 300, 400, 500, 600, 700]
    assert [point.joined for point in history] == [True, False, False, False, True, True]
    # From (50 %, 120): run 1 alone, then run 4 before it; run 5 lies at the reference point's edge.
    grown = 20 * 40 + 5 * 20
    assert [point.hypervolume for point in history] == [800, 800, 800, 800, grown, grown]


def test_runs_that_go_on_are_no_part_of_the_history() -> None:
    running = make_run(6, 99, 1, state=RunState.RUNNING)
    assert [point.run for point in hypervolume_history(study(RUNS[0], running))] == [0]


def test_runs_without_times_are_taken_in_number_order() -> None:
    runs = (replace(RUNS[0], ended=None, created=None), *RUNS[1:])
    assert [point.run for point in hypervolume_history(study(*runs))] == [0, 1, 2, 3, 4, 5]
    bare = [replace(run, ended=None, created=None) for run in RUNS]
    assert {point.wall_seconds for point in hypervolume_history(study(*bare))} == {None}


def test_an_empty_study() -> None:
    assert hypervolume_history(study()) == ()
    statistics = statistics_of(study())
    assert (dict(statistics.states), statistics.hypervolume) == ({}, 0.0)
    assert dict(statistics.reference) == {"exact": 50.0}


@st.composite
def studies(draw: st.DrawFn) -> StudyResults:
    """Draw up to 12 runs on a coarse grid: ties, duplicates, and values that are none."""
    places = st.sampled_from([-1.0, 0.0, 1.0, 2.0, math.nan, math.inf])
    metrics = tuple(
        Metric(name=f"m{index}", goal=goal, threshold=threshold)
        for index, (goal, threshold) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.sampled_from(Goal), st.sampled_from([None, 0.0])),
                    min_size=1,
                    max_size=4,
                )
            )
        )
    )
    runs = tuple(
        Run(
            number=number,
            parameters={},
            state=draw(st.sampled_from([RunState.FINISHED, RunState.FINISHED, RunState.STOPPED])),
            values={metric.name: draw(places) for metric in metrics},
            ended=BEGUN + timedelta(seconds=draw(st.integers(0, 5))),
        )
        for number in range(draw(st.integers(0, 12)))
    )
    return study(*runs, metrics=metrics)


@given(studies())
def test_the_history_is_what_brute_force_finds(results: StudyResults) -> None:
    reference = reference_point(results.runs, results.metrics)
    history = hypervolume_history(results)
    by_number = {run.number: run for run in results.runs}
    before: list[Run] = []
    for point in history:
        before.append(by_number[point.run])
        front = frontier(before, results.metrics)
        assert point.joined == (by_number[point.run] in front)
        assert point.hypervolume == pytest.approx(hypervolume(before, results.metrics, reference))
    volumes = [point.hypervolume for point in history]
    assert volumes == sorted(volumes)


def test_rounding_never_makes_the_history_fall() -> None:
    generator = random.Random(0)
    metrics = tuple(Metric(name=f"m{index}", goal=Goal.MAXIMIZE) for index in range(3))
    runs = [
        Run(
            number=number,
            parameters={},
            state=RunState.FINISHED,
            values={metric.name: generator.random() for metric in metrics},
        )
        for number in range(300)
    ]
    volumes = [point.hypervolume for point in hypervolume_history(study(*runs, metrics=metrics))]
    assert volumes == sorted(volumes)
    reference = reference_point(runs, metrics)
    assert volumes[-1] == pytest.approx(hypervolume(runs, metrics, reference))
