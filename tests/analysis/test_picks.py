"""Each rule on frontiers that are small enough to see the pick."""

import math
from dataclasses import replace

import pytest

from limbeck.analysis.limits import parse_limit
from limbeck.analysis.picks import (
    Pick,
    best_under,
    keep_score,
    keep_size,
    knee,
    make_picks,
    smaller_and_better,
)
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=50.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
LATENCY = Metric(name="latency_ms", goal=Goal.MINIMIZE, unit="ms")


def study(
    *rows: tuple[float, ...], metrics: tuple[Metric, ...] = (EXACT, SIZE), **changes: float
) -> StudyResults:
    """Return a study with a run for each row of values, the first the baseline."""
    names = [metric.name for metric in metrics]
    runs = tuple(
        Run(
            number=number,
            parameters={},
            state=RunState.FINISHED,
            values=dict(zip(names, row, strict=True)),
        )
        for number, row in enumerate(rows)
    )
    return StudyResults(name="study", metrics=metrics, parameters=(), runs=runs)


def number(pick: Pick) -> int | None:
    return None if pick.run is None else pick.run.number


def test_the_best_score_at_the_baseline_s_size_may_be_one_percent_larger() -> None:
    results = study((60, 100), (70, 101), (75, 101.01), (65, 90), (69, 100))
    pick = keep_size(results)
    assert number(pick) == 1
    assert pick.rule == (
        "The best exact of the runs that are better in it than the baseline and whose "
        "num_parameters is at most 1 % above the baseline's."
    )
    assert number(keep_size(results, tolerance=0)) == 4
    assert number(keep_size(results, tolerance=2)) == 2


def test_the_baseline_is_no_pick_against_itself() -> None:
    results = study((60, 100), (60, 90), (58, 100), (70, 200))
    assert keep_size(results).run is None
    assert keep_size(results).missing == "no run of at most 101 has a better exact"
    assert smaller_and_better(results).run is None
    assert "no run is better" in smaller_and_better(results).missing
    results = study((60, 100), (59.5, 100), (58.9, 50))
    assert keep_score(results).missing == "no smaller run has exact of at least 59.00 %"


def test_smaller_and_better_has_the_largest_product_of_improvements() -> None:
    # Products: 1 * 50, 10 * 10, 20 * 4; the last two are beyond these, but worse in one metric.
    rows = [(60, 100), (61, 50), (70, 90), (80, 96), (60, 10), (90, 100)]
    results = study(*rows)
    assert number(smaller_and_better(results)) == 2
    in_thousands = study(*[(exact, size * 1000) for exact, size in rows])
    assert number(smaller_and_better(in_thousands)) == 2
    assert smaller_and_better(results).name == "smaller and better"


def test_a_run_beyond_a_threshold_is_never_picked() -> None:
    # Run 1 is better than the baseline in both, but below 50 % exact; so is the baseline.
    results = study((40, 100), (49, 10), (51, 99))
    assert [number(pick) for pick in make_picks(results)] == [2, 2, 2, None]


def test_the_smallest_that_keeps_the_score_may_lose_one_point() -> None:
    results = study((60, 100), (59, 80), (58.99, 70), (65, 90))
    pick = keep_score(results)
    assert number(pick) == 1
    assert pick.rule.endswith("whose exact is at most 1 point worse.")
    assert number(keep_score(results, tolerance=0)) == 3
    assert number(keep_score(results, tolerance=1.5)) == 2
    assert "1.5 points" in keep_score(results, tolerance=1.5).rule


def test_a_score_without_percent_may_lose_one_percent_of_itself() -> None:
    score = Metric(name="accuracy", goal=Goal.MAXIMIZE)
    results = study((0.5, 100), (0.495, 80), (0.494, 70), metrics=(score, SIZE))
    assert number(keep_score(results)) == 1
    assert "at most 0.005 worse" in keep_score(results).rule


def test_the_knee_is_farthest_from_the_line_through_the_ends() -> None:
    results = study((60, 100), (50, 0), (55, 0), (80, 30), (98, 80), (100, 100))
    # On the frontier, scaled so that 1 is the best: 0 + 1, 25/45 + 0.7, 43/45 + 0.2, 1 + 0.
    assert number(knee(results)) == 3


def test_a_straight_or_hollow_frontier_has_no_knee() -> None:
    straight = study((50, 0), (60, 20), (70, 40), (100, 100))
    hollow = study((50, 0), (60, 40), (100, 100))
    for results in (straight, hollow, study((60, 10)), study((60, 10), (60, 10))):
        assert knee(results).missing == (
            "no run on the frontier lies beyond the straight line between its ends"
        )


@pytest.mark.parametrize(
    ("texts", "picked"),
    [
        (("num_parameters=70",), 2),
        (("num_parameters<=90",), 1),
        (("latency_ms=5",), 3),
        (("latency_ms=8 ms", "num_parameters=70"), 2),
        (("exact>=61",), 2),  # The score is limited, so the smallest is best.
        (("exact=60", "num_parameters=90"), 1),
        (("num_parameters>=95",), 0),
    ],
)
def test_the_best_under_limits(texts: tuple[str, ...], picked: int) -> None:
    results = study((60, 100, 9), (70, 80, 9), (62, 50, 8), (55, 40, 5), metrics=_three())
    limits = [parse_limit(text, results.metrics) for text in texts]
    assert number(best_under(results, limits)) == picked


def _three() -> tuple[Metric, ...]:
    return (EXACT, SIZE, replace(LATENCY, role=Role.STORE))


def test_what_is_missing_for_a_limit_is_said() -> None:
    results = study((60, 100, 9), (70, 80, math.nan), metrics=_three())

    def missing(*texts: str) -> str:
        limits = [parse_limit(text, results.metrics, ["bytes"]) for text in texts]
        return best_under(results, limits).missing

    assert missing("latency_ms=8") == (
        "no usable run has latency_ms at most 8.00 ms; the smallest is 9.00 ms"
    )
    assert (
        missing("exact>=80") == "no usable run has exact at least 80.00 %; the largest is 70.00 %"
    )
    assert missing("bytes=1M") == "no usable run has a value of bytes"
    assert missing("latency_ms=9", "num_parameters=80") == (
        "no usable run keeps all of these limits"
    )


def test_a_pick_is_compared_in_the_limited_metrics_too() -> None:
    results = study((60, 100, 9), (70, 80, 6), metrics=_three())
    pick = best_under(results, [parse_limit("latency_ms=8", results.metrics)])
    assert [each.difference.metric.name for each in pick.compared] == [
        "exact",
        "num_parameters",
        "latency_ms",
    ]
    assert pick.compared[2].difference.absolute == -3
    assert pick.compared[2].difference.relative == pytest.approx(-100 / 3)


def test_errors_of_differences_are_the_root_of_the_sum_of_squares() -> None:
    results = study((60, 100), (70, 80))
    with_errors = replace(
        results,
        runs=tuple(
            replace(run, errors={"exact": error})
            for run, error in zip(results.runs, (3.0, 4.0), strict=True)
        ),
    )
    exact, size = keep_size(with_errors).compared
    assert exact.difference.absolute == 10
    assert exact.error == 5
    assert exact.margin == pytest.approx(1.959964 * 5)
    assert size.error == size.margin == 0  # It is known, so there is none.
    exact, _ = keep_size(results).compared
    assert exact.error is exact.margin is None


def test_equal_runs_are_decided_by_the_other_metrics_and_then_by_number() -> None:
    results = study((60, 100), (70, 90), (70, 80), (70, 80))
    assert [number(pick) for pick in make_picks(results)[:3]] == [2, 2, 2]


def test_with_several_sizes_and_scores_the_first_of_each_counts() -> None:
    f1 = Metric(name="f1", goal=Goal.MAXIMIZE)
    metrics = (SIZE, LATENCY, f1, EXACT)
    results = study((100, 9, 50, 60), (90, 99, 60, 51), (80, 8, 51, 61), metrics=metrics)
    assert number(keep_size(results)) == 1
    assert "best f1" in keep_size(results).name
    assert number(keep_score(results)) == 2
    assert number(smaller_and_better(results)) == 2


def test_scores_alone_have_no_size_to_keep() -> None:
    f1 = Metric(name="f1", goal=Goal.MAXIMIZE)
    results = study((60, 60), (70, 61), (80, 55), (78, 59), metrics=(EXACT, f1))
    size, better, score, bend = make_picks(results)
    reason = "it needs an optimized metric to be minimized and one to be maximized"
    assert size.missing == score.missing == reason
    assert (number(better), better.name) == (1, "better in all")
    assert number(bend) == 3  # Scaled between (70, 61) and (80, 55): 8/10 + 4/6.


def test_one_metric_has_no_knee() -> None:
    results = study((60,), (70,), metrics=(EXACT,))
    assert knee(results).missing == "it needs two optimized metrics"
    assert number(smaller_and_better(results)) == 1


def test_without_a_finished_baseline_only_the_others_are_picked() -> None:
    results = study((60, 100), (55, 10), (90, 20), (95, 90))
    unfinished = replace(results.runs[0], state=RunState.RUNNING, values={})
    picks = make_picks(
        replace(results, runs=(unfinished, *results.runs[1:])),
        limits=[parse_limit("num_parameters=50", results.metrics)],
    )
    assert [number(pick) for pick in picks] == [None, None, None, 2, 2]
    assert {pick.missing for pick in picks[:3]} == {"the baseline (run 0) is not finished"}
    assert all(pick.compared == () for pick in picks)


def test_a_baseline_without_a_finite_score_keeps_nothing() -> None:
    for bad in (math.nan, math.inf, -math.inf):
        results = study((bad, 100), (60, 90))
        assert keep_size(results).missing == "the baseline (run 0) has no finite exact"
        assert keep_score(results).run is None
        assert smaller_and_better(results).run is None


def test_an_empty_study_has_no_picks() -> None:
    limits = [parse_limit("exact=60", (EXACT, SIZE))]
    picks = make_picks(study(), limits=limits)
    assert all(pick.run is None and pick.missing for pick in picks)
