"""What the winners share, against numbers worked by hand and tests counted by brute force."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.analysis.results import StudyResults
from limbeck.analysis.winners import (
    FEWEST,
    Shares,
    Spread,
    at_least_the_baseline,
    find_winners,
    holm,
    in_words,
    leading_score,
    sentence,
)
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float, Integer, Parameter, Value

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=10.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
ALPHA = Float(name="alpha", low=0.0, high=1.0)
RATE = Float(name="rate", low=1e-4, high=1.0, log=True)
LAYERS = Choice(name="layers", choices=("first", "last", "spread"))
Scored = Sequence[tuple[Mapping[str, Value], float]]
FLAG = Choice(name="flag", choices=(True, False))


def make(
    parameters: Sequence[Parameter],
    scored: Scored,
    *,
    baseline: float = 50.0,
    state: RunState = RunState.FINISHED,
) -> StudyResults:
    """Return a study: run 0 with the baseline's score, then runs with parameters and scores."""
    first = Run(
        number=0, parameters={}, state=state, values={"exact": baseline, "num_parameters": 100.0}
    )
    others = [
        Run(
            number=number,
            parameters=given,
            state=RunState.FINISHED,
            values={"exact": score, "num_parameters": 100.0},
        )
        for number, (given, score) in enumerate(scored, start=1)
    ]
    return StudyResults(
        name="s", metrics=(EXACT, SIZE), parameters=tuple(parameters), runs=(first, *others)
    )


def test_at_least_the_baseline_counts_ties_but_neither_breaches_nor_missing_scores() -> None:
    scored: Scored = [({}, 50.0), ({}, 49.9), ({}, math.nan), ({}, 70.0)]
    assert [run.number for run in at_least_the_baseline(make([], scored))] == [0, 1, 4]
    weak = make([], [({}, 9.0), ({}, 11.0)], baseline=5.0)
    assert [run.number for run in at_least_the_baseline(weak)] == [2]


def test_nothing_is_at_least_a_baseline_that_is_not_finished_or_has_no_score() -> None:
    scored: Scored = [({}, 60.0)]
    assert at_least_the_baseline(make([], scored, state=RunState.RUNNING)) == ()
    assert at_least_the_baseline(make([], scored, baseline=math.nan)) == ()


def test_the_leading_score_is_the_first_to_be_maximized_else_the_first_that_must_be_measured() -> (
    None
):
    slow = Metric(name="ms", goal=Goal.MINIMIZE)
    assert leading_score((SIZE, EXACT)) == EXACT
    assert leading_score((SIZE, slow)) == slow
    assert leading_score((SIZE,)) == SIZE


def test_spread_is_that_of_winners_and_of_all_other_than_the_baseline() -> None:
    alphas = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    results = make([ALPHA], [({"alpha": a}, 60.0 if a >= 0.5 else 40.0) for a in alphas])
    (trait,) = find_winners(results).traits
    assert isinstance(trait.winners, Spread)
    assert isinstance(trait.everyone, Spread)
    assert (trait.winners.n, trait.everyone.n) == (5, 10)
    assert trait.winners.median == pytest.approx(0.7)
    assert trait.winners.low == pytest.approx(0.6)
    assert trait.winners.high == pytest.approx(0.8)
    assert trait.everyone.median == pytest.approx(0.45)
    # Of the 252 ways to choose 5 of 10 ranks, 2 are as far apart as complete separation.
    assert trait.p_value == pytest.approx(2 / 252)


def test_rank_test_equals_counting_all_ways_to_choose_the_winners() -> None:
    alphas = [0.1, 0.5, 0.6, 0.7, 0.9, 0.2, 0.3, 0.4, 0.05, 0.55]
    results = make([ALPHA], [({"alpha": a}, 60.0 if i < 5 else 40.0) for i, a in enumerate(alphas)])
    (trait,) = find_winners(results).traits
    sums = [sum(sorted(alphas).index(a) for a in some) for some in combinations(alphas, 5)]
    seen = sum(sorted(alphas).index(a) for a in alphas[:5])
    middle = sum(range(10)) / 2
    extreme = sum(abs(each - middle) >= abs(seen - middle) for each in sums)
    assert trait.p_value == pytest.approx(extreme / len(sums))


def test_median_of_a_log_parameter_is_the_geometric_middle() -> None:
    rates = [1e-4, 1e-2, 1e-4, 1e-2, 1e-4, 1e-2]
    (trait,) = find_winners(make([RATE], [({"rate": r}, 60.0) for r in rates])).traits
    assert isinstance(trait.winners, Spread)
    assert trait.winners.median == pytest.approx(1e-3)
    assert trait.p_value is None


def test_choice_of_two_values_is_tested_with_fisher() -> None:
    # 5 of 5 winners and 1 of 6 others are True. Of tables with these margins, that probability is
    # C(6,5) * C(5,0) / C(11,5) = 6/462; the other end, 0 of 5 and 6 of 6, has 1/462.
    scored = [({"flag": True}, 60.0)] * 5 + [({"flag": True}, 40.0)] + [({"flag": False}, 40.0)] * 5
    (trait,) = find_winners(make([FLAG], scored)).traits
    assert trait.winners == Shares(n=5, counts=((True, 5), (False, 0)))
    assert trait.everyone == Shares(n=11, counts=((True, 6), (False, 5)))
    assert trait.p_value == pytest.approx(7 / 462)


def test_choice_of_three_values_is_near_the_exact_probability_and_the_same_every_time() -> None:
    scored = [({"layers": "spread"}, 60.0)] * 5
    scored += [({"layers": "first"}, 40.0)] * 4 + [({"layers": "last"}, 40.0)] * 3
    results = make([LAYERS], scored)
    (trait,) = find_winners(results).traits
    # All 792 ways to choose 5 of 12: only one takes every "spread"; none other is as unlikely.
    assert trait.p_value == pytest.approx(1 / 792, abs=2e-3)
    assert find_winners(results).traits[0].p_value == trait.p_value


def test_ordered_choice_is_tested_by_rank_and_one_value_is_no_difference() -> None:
    sizes = Choice(name="size", choices=("s", "m", "l"), ordered=True)
    scored = [({"size": "l"}, 60.0)] * 5 + [({"size": s}, 40.0) for s in "smsmsm"]
    ranks = find_winners(make([sizes], scored)).traits[0].p_value
    numbers = Integer(name="size", low=0, high=2)
    coded = [({"size": "sml".index(str(given["size"]))}, score) for given, score in scored]
    assert ranks == find_winners(make([numbers], coded)).traits[0].p_value
    for parameter, value in ((sizes, "m"), (FLAG, True), (ALPHA, 0.5)):
        same = [({parameter.name: value}, 60.0)] * 6 + [({parameter.name: value}, 40.0)] * 6
        assert find_winners(make([parameter], same)).traits[0].p_value == 1.0


def test_sentence_of_a_choice_names_the_value_that_winners_have_more_often_than_all() -> None:
    scored = [({"layers": "first"}, 60.0)] * 3 + [({"layers": "spread"}, 60.0)] * 2
    scored += [({"layers": "first"}, 40.0)] * 5
    (trait,) = find_winners(make([LAYERS], scored)).traits
    assert sentence(trait) == (
        "layers: spread in 40 % of the winners (n = 5) against 20 % of all (n = 10), p = 0.44."
    )


def test_sentence_of_a_parameter_that_no_winner_has() -> None:
    scored: Scored = [({}, 60.0)] * 6 + [({"alpha": 0.1}, 40.0)] * 6
    (trait,) = find_winners(make([ALPHA], scored)).traits
    assert sentence(trait) == "alpha: no winner has it."


def test_baseline_without_a_score_is_said_to_have_none() -> None:
    found = find_winners(make([ALPHA], [({"alpha": 0.1}, 40.0)], state=RunState.FAILED))
    assert "the baseline's exact (it has none)" in in_words(found)[0]


def test_holm_on_the_worked_example() -> None:
    # m = 4: 0.005 * 4, 0.01 * 3, 0.03 * 2, then not below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=12))
def test_holm_keeps_the_order_and_lies_between_the_value_and_bonferroni(
    values: list[float],
) -> None:
    corrected = holm(values)
    for value, after in zip(values, corrected, strict=True):
        assert value <= after <= 1
        assert after <= max(1.0 * len(values) * max(values), value)
    order = sorted(range(len(values)), key=lambda i: values[i])
    assert [corrected[i] for i in order] == sorted(corrected)


def test_in_words_says_only_what_the_data_support() -> None:
    alphas = [i / 40 for i in range(40)]
    scored = [
        ({"alpha": a, "rate": 0.01 if i % 2 else 0.1}, 60.0 if a >= 0.5 else 40.0)
        for i, a in enumerate(alphas)
    ]
    who, alpha, rest = in_words(find_winners(make([RATE, ALPHA], scored)))
    assert who == (
        "Winners are the runs within every threshold, with at least the baseline's exact of "
        "50.00 %, other than the baseline: 20 of 40."
    )
    assert alpha == (
        "alpha: winners near 0.738 (0.619 to 0.856, n = 20) against 0.487 of all (n = 40), "
        "p < 0.001."
    )
    assert rest == "No difference shown (p at least 0.05): rate."


def test_in_words_says_when_winners_or_the_rest_are_too_few() -> None:
    few = make([ALPHA], [({"alpha": 0.5}, 60.0)] * (FEWEST - 1) + [({"alpha": 0.1}, 40.0)] * 20)
    assert (
        in_words(find_winners(few))[1] == "These are too few to say what they share: 5 are needed."
    )
    all_win = make([ALPHA], [({"alpha": 0.5}, 60.0)] * 9)
    assert "Too few are left" in in_words(find_winners(all_win))[1]


def test_parameter_that_few_winners_have_is_described_but_not_tested() -> None:
    deep = Integer(name="deep", low=1, high=9)
    scored = [({"alpha": 0.9, **({"deep": 2} if i < 2 else {})}, 60.0) for i in range(6)]
    scored += [({"alpha": 0.1 + i / 100, "deep": 3}, 40.0) for i in range(8)]
    found = find_winners(make([ALPHA, deep], scored))
    trait = found.traits[1]
    assert isinstance(trait.winners, Spread)
    assert (trait.winners.n, trait.p_value) == (2, None)
    # The other is corrected for itself alone: it is the only one tested.
    assert found.traits[0].p_value is not None
    assert in_words(found)[-1] == "Too few runs that have it: deep."


def test_frontier_rule_leaves_the_baseline_out_of_both_groups() -> None:
    results = make([ALPHA], [({"alpha": 0.5}, 40.0), ({"alpha": 0.6}, 70.0)])
    found = find_winners(results, "frontier")
    assert [run.number for run in found.runs] == [2]
    assert [run.number for run in found.everyone] == [1, 2]


def test_constrained_metrics_bound_the_winners() -> None:
    slow = Metric(name="ms", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=10.0)
    runs = [
        Run(number=n, parameters={}, state=RunState.FINISHED, values={"exact": 60.0, "ms": ms})
        for n, ms in enumerate([5.0, 11.0, 9.0])
    ]
    results = StudyResults(name="s", metrics=(EXACT, slow), parameters=(), runs=tuple(runs))
    assert [run.number for run in at_least_the_baseline(results)] == [0, 2]
