"""Answers of an export beside those of its student."""

import math

import pytest

from limbeck.export.check import Given, compare
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet

CONTEXT = "bob and eve"
QUESTIONS = QuestionSet(
    tuple(
        Question(id=key, title="", context=CONTEXT, question="who ?", answers=(Answer("bob", 0),))
        for key in "abcd"
    )
)


def given(texts: str, *, scores: float | dict[str, float] = 1.0, null_odds: float = -1.0) -> Given:
    named = {"b": "bob", "e": "eve", "-": ""}
    values = scores if isinstance(scores, dict) else dict.fromkeys("abcd", scores)
    return Given(
        texts={key: named[letter] for key, letter in zip("abcd", texts, strict=True)},
        scores=values,
        null_odds=dict.fromkeys("abcd", null_odds),
    )


def test_equal_answers_and_scores_within_rounding_are_equal() -> None:
    found = compare(QUESTIONS, given("bbe-"), given("bbe-", scores=1.0005))
    assert found.is_equal
    assert (found.questions, found.different, found.ties) == (4, (), 0)
    assert found.largest_difference == pytest.approx(5e-4)
    assert (found.student_exact, found.exact, found.drop, found.error) == (50, 50, 0, 0)


def test_another_answer_with_another_score_is_no_equal_export() -> None:
    export = given("beeb", scores={"a": 1.0, "b": 1.5, "c": 1.0, "d": 1.0})
    found = compare(QUESTIONS, given("bbeb"), export)
    assert (found.different, found.ties, found.is_equal) == (("b",), 0, False)
    # One of four: 75 against 50. The differences 0, 1, 0, 0 have a deviation of 1/2.
    assert (found.student_exact, found.exact, found.drop, found.error) == (75, 50, 25, 25)


def test_equal_answers_with_another_score_are_no_equal_export() -> None:
    found = compare(QUESTIONS, given("bbbb"), given("bbbb", null_odds=-0.9))
    assert found.largest_difference == pytest.approx(0.1)
    assert not found.is_equal


def test_another_answer_with_the_same_score_is_a_tie() -> None:
    found = compare(QUESTIONS, given("bbbb"), given("bbbe", scores=1.0001))
    assert (found.different, found.ties, found.is_equal) == ((), 1, True)


def test_questions_without_any_span_are_equal_not_nan() -> None:
    nothing = given("----", scores=-math.inf, null_odds=math.inf)
    found = compare(QUESTIONS, nothing, nothing)
    assert (found.largest_difference, found.is_equal) == (0.0, True)


def test_a_single_question_has_no_spread() -> None:
    alone = QuestionSet(QUESTIONS.questions[:1])
    one = Given(texts={"a": "bob"}, scores={"a": 1.0}, null_odds={"a": 0.0})
    assert compare(alone, one, one).error is None
