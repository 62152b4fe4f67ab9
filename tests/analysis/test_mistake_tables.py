"""Mistakes by group, and paired comparisons, against counts by hand and scipy."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from limbeck.analysis.mistake_tables import (
    Comparison,
    Group,
    chosen,
    compare,
    compare_by,
    groups_by,
    overall,
    worst_first,
)
from limbeck.analysis.mistakes import Answers, Examination, Outcome, examine
from limbeck.errors import NotFoundError
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet
from limbeck.tasks.question_answering.mistakes import KINDS, Kind

# Title, answerable, what the model and the other say; "x y" is the gold answer.
ROWS = (
    ("a", True, "x y", "x y"),
    ("a", True, "x y", "z"),
    ("a", True, "x", "x y"),
    ("a", True, "z", ""),
    ("b", True, "", "x y"),
    ("b", False, "z", ""),
    ("b", False, "", "z"),
)


def examined(rows: Sequence[tuple[str, bool, str, str]]) -> Examination:
    questions = tuple(
        Question(str(n), title, "x y", "who?", (Answer("x y", 0),) if answerable else ())
        for n, (title, answerable, _, _) in enumerate(rows)
    )
    mine = {str(n): row[2] for n, row in enumerate(rows)}
    theirs = {str(n): row[3] for n, row in enumerate(rows)}
    answers = [Answers(name="mine", texts=mine), Answers(name="theirs", texts=theirs)]
    return examine(answers, QuestionSet(questions))


def group(name: str, right: int, wrong: int) -> Group:
    counts = dict.fromkeys(KINDS, 0)
    return Group(name=name, counts=counts | {Kind.CORRECT: right, Kind.MOSTLY_WRONG: wrong})


def comparison(*, lost: int, gained: int, right: int = 0, wrong: int = 0) -> Comparison:
    counts = {Outcome.LOST: lost, Outcome.GAINED: gained}
    rest = {Outcome.BOTH_RIGHT: right, Outcome.BOTH_WRONG: wrong}
    return Comparison(name="all", counts=counts | rest)


def test_kinds_are_counted_by_topic() -> None:
    examination = examined(ROWS)
    a, b = groups_by(examination, "topic")
    assert (a.name, list(a.counts.values())) == ("a", [2, 1, 1, 0, 0])
    assert (b.name, list(b.counts.values())) == ("b", [1, 0, 0, 1, 1])
    assert (a.n, a.right, a.share(Kind.MOSTLY_CORRECT)) == (4, 50.0, 25.0)
    assert list(overall(examination.model).counts.values()) == [3, 1, 1, 1, 1]


def test_kinds_of_the_other_model_are_counted_in_the_same_groups() -> None:
    examination = examined(ROWS)
    a, b = groups_by(examination, "topic", graded=examination.other("theirs"))
    assert list(a.counts.values()) == [2, 0, 1, 1, 0]
    assert list(b.counts.values()) == [2, 0, 0, 0, 1]


def test_outcomes_are_counted_in_all_and_by_topic() -> None:
    examination = examined(ROWS)
    every = {"lost": 3, "gained": 2, "both right": 1, "both wrong": 1}
    assert compare(examination, "theirs").counts == every
    a, b = compare_by(examination, "theirs", "topic")
    assert (a.name, a.counts) == (
        "a",
        {"lost": 1, "gained": 1, "both right": 1, "both wrong": 1},
    )
    assert b.counts == {"lost": 2, "gained": 1, "both right": 0, "both wrong": 0}


TEXTS = st.sampled_from(["", "x", "x y", "z", "the"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), TEXTS, TEXTS), min_size=1))
def test_groups_add_up_to_all(rows: list[tuple[str, bool, str, str]]) -> None:
    examination = examined(rows)
    every = compare(examination, "theirs")
    for trait in ("topic", "question word", "answer length", "context length"):
        groups = groups_by(examination, trait)
        changes = compare_by(examination, "theirs", trait)
        assert [group.name for group in groups] == [change.name for change in changes]
        for kind, count in overall(examination.model).counts.items():
            assert sum(group.counts[kind] for group in groups) == count
        for outcome, count in every.counts.items():
            assert sum(change.counts[outcome] for change in changes) == count
    # By definition of the outcomes, record by record.
    for outcome, count in every.counts.items():
        assert count == sum(record.outcome("theirs") is outcome for record in examination.records)


@given(st.integers(0, 60), st.integers(0, 60))
def test_intervals_are_wilsons(right: int, wrong: int) -> None:
    if right + wrong == 0:
        return
    expected = binomtest(right, right + wrong).proportion_ci(method="wilson")
    low, high = group("a", right, wrong).interval
    assert low == pytest.approx(100 * expected.low, abs=1e-9)
    assert high == pytest.approx(100 * expected.high, abs=1e-9)


def test_a_few_questions_do_not_make_a_topic_the_worst() -> None:
    few, many, good = group("few", 0, 2), group("many", 60, 140), group("good", 90, 10)
    assert [each.name for each in worst_first([good, few, many])] == ["many", "few", "good"]


@pytest.mark.parametrize(
    ("lost", "gained", "p_value"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 5, 2 / 2**5),
        (1, 5, 2 * (1 + 6) / 2**6),
        (6, 2, 2 * (1 + 8 + 28) / 2**8),
    ],
)
def test_p_values_by_hand(lost: int, gained: int, p_value: float) -> None:
    found = comparison(lost=lost, gained=gained, right=7, wrong=9)
    assert found.p_value == pytest.approx(p_value)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_differences_are_means_of_paired_differences(
    lost: int, gained: int, right: int, wrong: int
) -> None:
    if lost + gained + right + wrong < 2:
        return
    found = comparison(lost=lost, gained=gained, right=right, wrong=wrong)
    each = np.array([-1] * lost + [1] * gained + [0] * (right + wrong))
    assert found.difference == pytest.approx(100 * each.mean())
    assert found.error == pytest.approx(100 * each.std(ddof=1) / math.sqrt(len(each)))


def test_one_question_has_no_standard_error() -> None:
    assert math.isnan(comparison(lost=0, gained=1).error)


def test_groups_are_chosen_by_name_in_any_writing() -> None:
    groups = [group("Fresno,_California", 1, 1), group("Rhine", 1, 1), group("rhine", 2, 1)]
    names = ["fresno, california", "rhine", "Rhine", "Fresno,_California"]
    assert [each.name for each in chosen(groups, names)] == ["Fresno,_California", "rhine", "Rhine"]


def test_an_unknown_group_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="no question of 'Rhin'; did you mean 'Rhine'"):
        chosen([group("Rhine", 1, 1)], ["Rhin"])
