import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet
from limbeck.tasks.question_answering.traits import (
    NO_TITLE,
    TRAITS,
    Grouping,
    by_answer_length,
    by_context_length,
    by_question_word,
    by_topic,
)


def asked(
    number: int, *, text: str = "who?", title: str = "", context: str = "c", gold: int = 0
) -> Question:
    """A question with a gold answer of so many words."""
    answer = " ".join(["w"] * gold)
    answers = (Answer(answer, 0), Answer(f"{answer} w", 0)) if gold else ()
    return Question(str(number), title, f"{answer} w {context}", text, answers)


def groups(grouping: Grouping) -> list[str]:
    return [grouping.names[place] for place in grouping.places.tolist()]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Who was first?", "who"),
        ("To whom did it go?", "who"),
        ("Whose was it?", "who"),
        ("In what year did it end?", "what"),
        ("What's that?", "what"),
        ("Where is the town in which he died?", "where"),
        ("How  many are there?", "how many, how much"),
        ("HOW MUCH is it?", "how many, how much"),
        ("How did they do it?", "how"),
        ("Why?", "why"),
        ("When?", "when"),
        ("Of these, which?", "which"),
        ("Name the show.", "other"),
        ("Somewhat whoever, whatever", "other"),
        ("¿Dónde está?", "other"),
    ],
)
def test_the_first_question_word_counts(text: str, word: str) -> None:
    assert groups(by_question_word(QuestionSet((asked(0, text=text),)))) == [word]


def test_topics_go_by_size_and_then_by_their_first_question() -> None:
    titles = ["b", "", "c", "c", "a"]
    questions = QuestionSet(tuple(asked(n, title=title) for n, title in enumerate(titles)))
    grouping = by_topic(questions)
    assert grouping.names == ("c", "b", NO_TITLE, "a")
    assert groups(grouping) == ["b", NO_TITLE, "c", "c", "a"]


def test_answer_lengths_are_those_of_the_shortest_gold_answer() -> None:
    lengths = [11, 10, 6, 5, 4, 3, 2, 1, 0]
    questions = QuestionSet(tuple(asked(n, gold=length) for n, length in enumerate(lengths)))
    assert groups(by_answer_length(questions)) == [
        "over 10 words",
        *["6-10 words"] * 2,
        *["4-5 words"] * 2,
        "3 words",
        "2 words",
        "1 word",
        "no answer",
    ]
    assert by_answer_length(questions).names[:2] == ("no answer", "1 word")


def test_context_lengths_end_at_the_quartiles() -> None:
    words = [3, 5, 7, 9, 11, 13, 15, 17]  # with the one word that each context begins with
    questions = QuestionSet(
        tuple(asked(n, context="c " * (count - 1)) for n, count in enumerate(words))
    )
    grouping = by_context_length(questions)
    assert grouping.names == ("3-5 words", "6-9 words", "10-13 words", "14-17 words")
    assert grouping.places.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_contexts_of_one_length_are_one_group() -> None:
    questions = QuestionSet(tuple(asked(n) for n in range(3)))
    assert by_context_length(questions).names == ("2 words",)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.integers(0, 12)),
        min_size=1,
        max_size=20,
    )
)
def test_every_question_is_in_a_group_and_no_group_is_empty(
    rows: list[tuple[str, int, int]],
) -> None:
    questions = QuestionSet(
        tuple(
            asked(n, title=title, context="c " * words, gold=gold)
            for n, (title, words, gold) in enumerate(rows)
        )
    )
    for group in TRAITS.values():
        grouping = group(questions)
        counts = np.bincount(grouping.places, minlength=len(grouping.names))
        assert len(counts) == len(grouping.names)
        assert counts.sum() == len(questions)
        assert counts.min() > 0
