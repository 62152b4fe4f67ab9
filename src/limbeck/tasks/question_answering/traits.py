"""What questions can be grouped by: article, question word, length of answer and context."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from limbeck.tasks.question_answering.dataset import Question, QuestionSet

NO_TITLE = "(no title)"
"""The topic of questions whose source names no article."""
LONGEST_TOPIC = 200
"""Letters of a topic; a title may have any number."""

OTHER_WORD = "other"
"""The group of questions without an English question word."""

_WORD = re.compile(
    r"\b(?:(how\s+(?:many|much))|(how)|(what)|(when)|(where)|(which)|(who|whom|whose)|(why))\b",
    re.IGNORECASE,
)
_WORDS = ("how many, how much", "how", "what", "when", "where", "which", "who", "why")
_NO_ANSWER, _LONG_ANSWER = "no answer", "over 10 words"
_ANSWER_GROUPS = {"1 word": 1, "2 words": 2, "3 words": 3, "4-5 words": 5, "6-10 words": 10}
_CONTEXT_GROUPS = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Grouping:
    """In which group each of ``n`` questions is.

    Attributes:
        names: Of the groups, in the order in which they are shown; none is empty.
        places: An ``n`` array: places in ``names``.
    """

    names: tuple[str, ...]
    places: NDArray[np.intp]


def topic_of(question: Question) -> str:
    """Return the article that a question's paragraph is from, as groups are named by it."""
    return question.title[:LONGEST_TOPIC] or NO_TITLE


def by_topic(questions: QuestionSet) -> Grouping:
    """Group questions by the article that their paragraph is from, the largest first."""
    return _largest_first([topic_of(question) for question in questions.questions])


def by_question_word(questions: QuestionSet) -> Grouping:
    """Group questions by the first English question word in them, the largest group first."""
    return _largest_first([_question_word(question.question) for question in questions.questions])


def by_answer_length(questions: QuestionSet) -> Grouping:
    """Group questions by the words of the shortest gold answer, the shortest first."""
    labels = [_answer_length(question) for question in questions.questions]
    present = set(labels)
    names = [name for name in (_NO_ANSWER, *_ANSWER_GROUPS, _LONG_ANSWER) if name in present]
    return _grouping(labels, names)


def by_context_length(questions: QuestionSet) -> Grouping:
    """Group questions by the words of their context into at most four groups, the shortest first.

    They end at the quartiles, so that they hold about the same number of questions.
    """
    contexts = {question.context for question in questions.questions}
    words = {context: len(context.split()) for context in contexts}
    lengths = np.array([words[question.context] for question in questions.questions])
    shares = np.arange(1, _CONTEXT_GROUPS + 1) / _CONTEXT_GROUPS
    ends = np.unique(np.quantile(lengths, shares, method="inverted_cdf"))
    starts = [int(lengths.min()), *(end + 1 for end in ends[:-1].tolist())]
    names = [_span(start, end) for start, end in zip(starts, ends.tolist(), strict=True)]
    return Grouping(names=tuple(names), places=np.searchsorted(ends, lengths))


TRAITS: Mapping[str, Callable[[QuestionSet], Grouping]] = MappingProxyType(
    {
        "topic": by_topic,
        "question word": by_question_word,
        "answer length": by_answer_length,
        "context length": by_context_length,
    }
)
"""What questions can be grouped by, and what does it."""


def _largest_first(labels: Sequence[str]) -> Grouping:
    """Return groups by size; equal ones in the order in which they first occur."""
    return _grouping(labels, [name for name, _ in Counter(labels).most_common()])


def _grouping(labels: Sequence[str], names: Sequence[str]) -> Grouping:
    numbers = {name: number for number, name in enumerate(names)}
    return Grouping(names=tuple(names), places=np.array([numbers[label] for label in labels]))


def _question_word(text: str) -> str:
    match = _WORD.search(text)
    return _WORDS[match.lastindex - 1] if match and match.lastindex else OTHER_WORD


def _answer_length(question: Question) -> str:
    if not question.answerable:
        return _NO_ANSWER
    words = min(len(answer.text.split()) for answer in question.answers)
    return next((name for name, most in _ANSWER_GROUPS.items() if words <= most), _LONG_ANSWER)


def _span(start: int, end: int) -> str:
    return f"{end} words" if start == end else f"{start}-{end} words"
