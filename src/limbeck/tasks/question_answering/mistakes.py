"""In which way answers are wrong: every answer is of one kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError, DataError
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.scoring import normalize, per_question

LIMIT = 0.5
"""Token F1 from which on an answer that is not right is mostly correct."""

_ROUNDING = 1e-9
"""The F1 of 6 common words of 11 and 13 is one half, but computed it is a little less."""


class Kind(StrEnum):
    """What an answer is, as `grade` sorts them; all but the first are wrong."""

    CORRECT = "correct"
    MOSTLY_CORRECT = "mostly correct"
    MOSTLY_WRONG = "mostly wrong"
    LABEL_HAS_ANSWER = "label has answer"
    LABEL_HAS_NO_ANSWER = "label has no answer"


KINDS = tuple(Kind)
WRONG_KINDS = KINDS[1:]


@dataclass(frozen=True, eq=False, kw_only=True)
class Grades:
    """What the answers to ``n`` questions are worth, in the order of the questions.

    Attributes:
        kinds: An ``n`` array: places in `KINDS`.
        f1: An ``n`` array: see `limbeck.tasks.question_answering.scoring.QuestionScores`.
    """

    kinds: NDArray[np.intp]
    f1: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """An ``n`` array: whether the answer is correct."""
        right: NDArray[np.bool_] = self.kinds == KINDS.index(Kind.CORRECT)
        return right


def grade(
    questions: QuestionSet, predictions: Mapping[str, str], *, limit: float = LIMIT
) -> Grades:
    """Sort the answers to all questions into kinds.

    *Correct* is what the official SQuAD 2.0 script counts as exact. Of all else, *label has no
    answer* is an answer to an unanswerable question, *label has answer* no answer to an answerable
    one. What remains are answers to answerable questions: *mostly correct* if the token F1 with the
    nearest gold answer is at least the limit, else *mostly wrong*. As for the script, an answer of
    nothing but articles and punctuation is none.

    Args:
        questions: With their gold answers.
        predictions: Answer to each question by its id; empty for "no answer".
        limit: Token F1, above 0 and at most 1.

    Raises:
        ConfigError: If the limit is out of its range.
        DataError: If a prediction is missing, too many, or no string.
    """
    if not 0 < limit <= 1:
        raise ConfigError(f"the F1 limit must be above 0 and at most 1, but got {limit}")
    scores = per_question(questions, predictions)
    answerable = np.array([question.answerable for question in questions.questions])
    silent = np.array([not normalize(predictions[each.id]) for each in questions.questions])
    # The first that holds decides.
    rules = {
        Kind.CORRECT: scores.exact == 1,
        Kind.LABEL_HAS_NO_ANSWER: ~answerable,
        Kind.LABEL_HAS_ANSWER: silent,
        Kind.MOSTLY_CORRECT: scores.f1 > limit - _ROUNDING,
    }
    kinds = np.select(
        list(rules.values()),
        [KINDS.index(kind) for kind in rules],
        default=KINDS.index(Kind.MOSTLY_WRONG),
    )
    return Grades(kinds=kinds.astype(np.intp), f1=scores.f1)


def silenced(
    predictions: Mapping[str, str], na_probs: Mapping[str, float], *, threshold: float
) -> dict[str, str]:
    """Return the predictions, but none where a no-answer score is above the threshold.

    Args:
        predictions: Answer to each question by its id.
        na_probs: How likely each question has no answer, in any unit, by its id.
        threshold: In the same unit.

    Raises:
        DataError: If a prediction has no such score.
    """
    missing = [key for key in predictions if key not in na_probs]
    if missing:
        raise DataError(
            f"every prediction needs a no-answer score, but {len(missing)} of {len(predictions)} "
            f"have none, the first {missing[0]!r}"
        )
    return {key: "" if na_probs[key] > threshold else answer for key, answer in predictions.items()}
