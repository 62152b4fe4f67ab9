"""The frontier against brute force over Pareto dominance, areas against a grid, shares by hand."""

import itertools
import math
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.frontier import (
    Share,
    Summary,
    compare,
    frontier,
    hypervolume,
    reference_point,
    summarize,
    usable_runs,
)
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=50.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
LATENCY = Metric(name="latency_ms", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=20.0)
METRICS = (EXACT, SIZE)


def make_run(number: int, state: RunState = RunState.FINISHED, /, **values: float) -> Run:
    return Run(number=number, parameters={}, state=state, values=values)


def make_runs(*rows: tuple[float, float]) -> list[Run]:
    return [
        make_run(number, exact=exact, num_parameters=size)
        for number, (exact, size) in enumerate(rows)
    ]


def numbers(runs: Sequence[Run]) -> list[int]:
    return [run.number for run in runs]


@st.composite
def studies(draw: st.DrawFn, max_metrics: int = 4) -> tuple[list[Run], tuple[Metric, ...]]:
    """Draw up to 12 runs on a coarse grid, so that ties and duplicates are common."""
    places = st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.0, math.nan, math.inf, -math.inf])
    metrics = tuple(
        Metric(name=f"metric{index}", goal=goal, threshold=threshold)
        for index, (goal, threshold) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.sampled_from(Goal), st.sampled_from([None, 0.0, 1.0])),
                    min_size=1,
                    max_size=max_metrics,
                )
            )
        )
    )
    rows = draw(st.lists(st.tuples(*[places] * len(metrics)), max_size=12))
    names = [metric.name for metric in metrics]
    runs = [
        make_run(number, **dict(zip(names, row, strict=True))) for number, row in enumerate(rows)
    ]
    return runs, metrics


def dominates(one: Run, other: Run, metrics: tuple[Metric, ...]) -> bool:
    signs = [1 if metric.goal is Goal.MAXIMIZE else -1 for metric in metrics]
    gains = [
        sign * one.values[metric.name] - sign * other.values[metric.name]
        for sign, metric in zip(signs, metrics, strict=True)
    ]
    return min(gains) >= 0 and max(gains) > 0


def is_useful(run: Run, metrics: tuple[Metric, ...]) -> bool:
    for metric in metrics:
        value = run.values[metric.name]
        if not math.isfinite(value):
            return False
        if metric.threshold is not None and (
            value < metric.threshold if metric.goal is Goal.MAXIMIZE else value > metric.threshold
        ):
            return False
    return True


@given(studies())
def test_frontier_is_what_brute_force_finds(study):
    runs, metrics = study
    useful = [run for run in runs if is_useful(run, metrics)]
    expected = {
        run.number for run in useful if not any(dominates(other, run, metrics) for other in useful)
    }
    assert set(numbers(frontier(runs, metrics))) == expected


@given(studies(), st.randoms(use_true_random=False))
def test_frontier_does_not_depend_on_the_order_of_runs(study, random):
    runs, metrics = study
    shuffled = list(runs)
    random.shuffle(shuffled)
    assert frontier(shuffled, metrics) == frontier(runs, metrics)


def test_frontier_is_sorted_by_size_and_then_by_number():
    runs = make_runs((60, 5e6), (70, 9e6), (55, 2e6), (65, 5e6), (65, 5e6), (64, 8e6))
    assert numbers(frontier(runs, METRICS)) == [2, 3, 4, 1]


def test_frontier_of_scores_alone_is_sorted_by_the_first():
    scores = (EXACT, Metric(name="f1", goal=Goal.MAXIMIZE))
    runs = [make_run(0, exact=70, f1=60), make_run(1, exact=60, f1=70)]
    assert numbers(frontier(runs, scores)) == [1, 0]


def test_frontier_keeps_all_runs_with_equal_values():
    runs = make_runs((60, 5e6), (60, 5e6), (60, 6e6), (59, 5e6))
    assert numbers(frontier(runs, METRICS)) == [0, 1]


def test_frontier_of_one_metric_is_every_best_run():
    runs = make_runs((60, 5e6), (70, 9e6), (70, 2e6))
    assert numbers(frontier(runs, (EXACT,))) == [1, 2]


def test_frontier_of_nothing_is_empty():
    assert frontier([], METRICS) == ()


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.FINISHED])
def test_frontier_ignores_runs_that_did_not_finish(state):
    runs = [
        make_run(0, exact=60.0, num_parameters=5e6),
        make_run(1, state, exact=99.0, num_parameters=1e6),
    ]
    assert numbers(frontier(runs, METRICS)) == [0]


def test_usable_runs_are_within_every_threshold_the_threshold_included():
    metrics = (*METRICS, LATENCY)
    runs = [
        make_run(0, exact=50.0, num_parameters=5e6, latency_ms=20.0),
        make_run(1, exact=49.9, num_parameters=5e6, latency_ms=20.0),
        make_run(2, exact=90.0, num_parameters=5e6, latency_ms=20.1),
        make_run(3, exact=90.0, num_parameters=5e6),
        make_run(4, exact=90.0, num_parameters=5e6, latency_ms=math.nan),
        make_run(5, exact=51.0, num_parameters=6e6, latency_ms=1.0),
    ]
    assert numbers(usable_runs(runs, metrics)) == [0, 5]
    assert numbers(frontier(runs, metrics)) == [0, 5]


def area_on_a_grid(runs: Sequence[Run], metrics: tuple[Metric, ...], corner: int) -> int:
    """Count the unit squares between ``corner`` and the best that some run dominates."""
    first, second = metrics
    count = 0
    for column, row in itertools.product(range(-4, 4), repeat=2):
        middle = make_run(-1, **{first.name: column + 0.5, second.name: row + 0.5})
        reference = make_run(-2, **{first.name: corner, second.name: corner})
        count += dominates(middle, reference, metrics) and any(
            dominates(run, middle, metrics) for run in runs
        )
    return count


@given(
    st.lists(st.tuples(*[st.integers(min_value=-4, max_value=4)] * 2), max_size=8),
    st.sampled_from(Goal),
    st.sampled_from(Goal),
    st.integers(min_value=-3, max_value=3),
)
def test_hypervolume_is_the_dominated_area(rows, first_goal, second_goal, corner):
    metrics = (Metric(name="a", goal=first_goal), Metric(name="b", goal=second_goal))
    runs = [make_run(number, a=a, b=b) for number, (a, b) in enumerate(rows)]
    assert hypervolume(runs, metrics, {"b": corner, "a": corner}) == area_on_a_grid(
        runs, metrics, corner
    )


def test_hypervolume_worked_by_hand():
    # From (50 %, 10 M): (60, 2 M) covers 10 x 8 M, and (70, 6 M) adds 10 x 4 M.
    runs = make_runs((60, 2e6), (70, 6e6), (65, 7e6), (80, 11e6), (49, 1e6), (math.nan, 1e6))
    assert hypervolume(runs, METRICS, {"exact": 50.0, "num_parameters": 1e7}) == 120e6


@pytest.mark.parametrize(
    ("goal", "reference", "expected"), [(Goal.MAXIMIZE, 1.0, 4.0), (Goal.MINIMIZE, 4.0, 2.0)]
)
def test_hypervolume_of_one_metric_is_a_length(goal, reference, expected):
    runs = [make_run(0, a=2.0), make_run(1, a=5.0)]
    assert hypervolume(runs, (Metric(name="a", goal=goal),), {"a": reference}) == expected


def test_hypervolume_of_three_metrics_worked_by_hand():
    metrics = tuple(Metric(name=name, goal=Goal.MINIMIZE) for name in "abc")
    runs = [make_run(0, a=1, b=1, c=1), make_run(1, a=0, b=2, c=2)]
    # 2 x 2 x 2 and 3 x 1 x 1, of which 2 x 1 x 1 is in both.
    assert hypervolume(runs, metrics, {"a": 3, "b": 3, "c": 3}) == 9.0


def test_hypervolume_without_usable_runs_is_zero():
    assert hypervolume([], METRICS, {}) == 0.0
    assert hypervolume(make_runs((40, 1e6)), METRICS, {}) == 0.0


def test_reference_point_is_threshold_then_worst_of_all_runs_if_known_else_of_usable_ones():
    metrics = (
        EXACT,
        SIZE,
        Metric(name="loss", goal=Goal.MINIMIZE),
        Metric(name="speed", goal=Goal.MAXIMIZE, known=True),
    )
    runs = [
        make_run(3, exact=80.0, num_parameters=3e6, loss=2.0, speed=3.0),
        make_run(0, RunState.STOPPED, num_parameters=6e6, loss=0.5, speed=4.0),
        make_run(1, exact=70.0, num_parameters=2e6, loss=1.0, speed=5.0),
        make_run(2, exact=40.0, num_parameters=math.inf, loss=9.0, speed=1.0),
    ]
    assert reference_point(runs, metrics) == {
        "exact": 50.0,
        "num_parameters": 6e6,
        "loss": 2.0,
        "speed": 1.0,
    }


def test_reference_point_leaves_out_what_has_no_value_yet():
    assert reference_point([], METRICS) == {"exact": 50.0}


@given(studies(max_metrics=3))
def test_hypervolume_never_falls_as_runs_come_in(study):
    runs, metrics = study
    volumes = [
        hypervolume(runs[:count], metrics, reference_point(runs[:count], metrics))
        for count in range(len(runs) + 1)
    ]
    assert volumes == sorted(volumes)


def test_compare_gives_percent_for_costs_and_points_for_scores():
    baseline = make_run(0, exact=67.07, num_parameters=66_364_418)
    exact, size = compare(
        make_run(8, exact=66.82, num_parameters=51_404_546), baseline, (*METRICS, LATENCY)
    )
    assert (exact.metric, exact.value, exact.relative, exact.better) == (EXACT, 66.82, None, False)
    assert exact.absolute == pytest.approx(-0.25)
    assert (size.metric, size.value, size.absolute) == (SIZE, 51_404_546, -14_959_872)
    # The original's 5 layers x 4 heads against its 6 x 12.
    assert size.relative == pytest.approx(-22.54, abs=0.005)
    assert size.better


def test_compare_is_relative_to_the_magnitude_of_a_negative_baseline():
    metric = Metric(name="log_likelihood", goal=Goal.MINIMIZE)
    (difference,) = compare(
        make_run(1, log_likelihood=-3.0), make_run(0, log_likelihood=-2.0), (metric,)
    )
    assert (difference.relative, difference.better) == (-50.0, True)


def test_compare_has_no_percent_of_zero():
    (difference,) = compare(
        make_run(1, num_parameters=1.0), make_run(0, num_parameters=0.0), (SIZE,)
    )
    assert (difference.absolute, difference.relative) == (1.0, None)


@pytest.mark.parametrize("values", [{}, {"exact": math.nan}, {"exact": math.inf}])
def test_compare_finds_nothing_better_without_a_finite_value(values):
    run, baseline = make_run(1, **values), make_run(0, exact=60.0)
    (forth,) = compare(run, baseline, (EXACT,))
    (back,) = compare(baseline, run, (EXACT,))
    assert (forth.better, back.better) == (False, False)
    assert not math.isfinite(forth.absolute)


def test_summary_worked_by_hand():
    metrics = (
        *METRICS,
        LATENCY,
        Metric(name="flops", goal=Goal.MINIMIZE, role=Role.STORE, known=True),
    )
    rows = [
        (0, 67.0, 66.0, 10.0, 8.0),  # the baseline: dominated by 1
        (1, 68.0, 60.0, 10.0, 8.0),  # frontier; better in both; as many flops
        (2, 71.0, 66.1, 10.0, 9.0),  # frontier; better, larger
        (3, 60.0, 40.0, 10.0, 4.0),  # frontier; smaller
        (4, 66.0, 70.0, 10.0, 9.0),  # worse in both
        (5, 67.0, 66.0, 10.0, 8.0),  # equal
        (6, 45.0, 30.0, 10.0, 3.0),  # smaller, but beyond the threshold of exact
        (7, 69.0, 50.0, 21.0, 5.0),  # better in both, but too slow to be of use
    ]
    runs = [
        make_run(number, exact=exact, num_parameters=size, latency_ms=latency, flops=flops)
        for number, exact, size, latency, flops in rows
    ]
    runs += [
        make_run(8, RunState.FAILED, exact=99.0, num_parameters=1.0, latency_ms=1.0),
        make_run(9, RunState.RUNNING, num_parameters=1.0),
    ]
    assert summarize(runs, metrics, runs[0]) == Summary(
        frontier=3,
        better_in_any=Share(count=5, n=7),
        better_in_all=Share(count=1, n=7),
        frontier_better={
            "num_parameters": Share(count=2, n=3),
            "flops": Share(count=1, n=3),
        },
    )


@pytest.mark.parametrize(
    "baseline", [None, make_run(0, RunState.FAILED, exact=60.0, num_parameters=1e6)]
)
def test_summary_without_a_finished_baseline_has_no_shares(baseline):
    runs = make_runs((60, 2e6), (70, 1e6))
    assert summarize(runs, METRICS, baseline) == Summary(
        frontier=1, better_in_any=None, better_in_all=None, frontier_better=None
    )


def test_summary_of_the_baseline_alone():
    runs = make_runs((60, 2e6))
    summary = summarize(runs, METRICS, runs[0])
    assert summary == Summary(
        frontier=1,
        better_in_any=Share(count=0, n=0),
        better_in_all=Share(count=0, n=0),
        frontier_better={"num_parameters": Share(count=0, n=1)},
    )


def test_share_in_percent():
    assert Share(count=23, n=24).percent == pytest.approx(95.8333, abs=1e-4)
    assert Share(count=0, n=0).percent is None


def test_importing_the_frontier_loads_no_heavy_package():
    script = (
        "import sys, limbeck.frontier; "
        "sys.stdout.write(repr({'torch', 'botorch', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "set()"
