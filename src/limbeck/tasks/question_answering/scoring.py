"""Exact match and F1, to the last digit what the official SQuAD scripts print.

`score` is ``evaluate-v2.0.py``, `score_v1` is ``evaluate-v1.1.py``. The scripts add up the scores
of single questions one after the other in data order; so do these functions (``np.cumsum``),
because pairwise or compensated summation gives other last digits.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import DataError
from limbeck.tasks.question_answering.dataset import Question, QuestionSet, read_json

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)

PairScore = Callable[[str, str], tuple[int, float]]


@dataclass(frozen=True, eq=False)
class QuestionScores:
    """Scores of ``n`` questions, between 0 and 1.

    Attributes:
        exact: An ``n`` array: whether the prediction equals a gold answer, but for case,
            punctuation, articles and white space.
        f1: An ``n`` array: overlap in words with the gold answer that is nearest.
    """

    exact: NDArray[np.float64]
    f1: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """What the SQuAD 2.0 script prints, and how far chance moves it.

    Attributes:
        values: See `score`.
        errors: Standard errors by name of the score, in percentage points: the sample standard
            deviation of the questions' scores over the root of their number ``n``, as if the
            questions had been drawn one by one. For exact match, it is the binomial one with
            ``n - 1`` in the place of ``n``. Those of ``best_exact`` and ``best_f1`` hold at the
            threshold: it was chosen on the same questions, which makes these scores too high by
            something that their errors do not tell. Nothing else has one, and no score of a single
            question.
    """

    values: dict[str, float]
    errors: dict[str, float]


def normalize(text: str) -> str:
    """Return the text in lower case, without punctuation, articles and needless white space."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def per_question(questions: QuestionSet, predictions: Mapping[str, str]) -> QuestionScores:
    """Return the scores of single questions, as the SQuAD 2.0 script has them.

    Args:
        questions: With their gold answers; none means that the empty prediction is right.
        predictions: Answer to each question by its id; empty for "no answer".

    Raises:
        DataError: If a prediction is missing, too many, or no string.
    """
    return _score_questions(questions, predictions, _gold_v2, _score_pair_v2)


def score(
    questions: QuestionSet,
    predictions: Mapping[str, str],
    *,
    na_probs: Mapping[str, float] | None = None,
    na_prob_thresh: float = 1.0,
) -> dict[str, float]:
    """Return what the SQuAD 2.0 script prints, in percent, with its keys in its order.

    Args:
        questions: See `per_question`.
        predictions: See `per_question`.
        na_probs: How likely each question has no answer, in any unit; with it, the best threshold
            on it, and the scores there, are reported too.
        na_prob_thresh: Questions above it count as answered with "no answer".

    Returns:
        ``exact``, ``f1``, ``total``; the same for answerable (``HasAns_``) and unanswerable
        questions (``NoAns_``) if there are any; with ``na_probs`` also ``best_exact``,
        ``best_exact_thresh``, ``best_f1`` and ``best_f1_thresh``, from the predictions as they are
        without ``na_prob_thresh``.

    Raises:
        DataError: See `per_question`; likewise for ``na_probs``.
    """
    scores = score_with_errors(
        questions, predictions, na_probs=na_probs, na_prob_thresh=na_prob_thresh
    )
    return scores.values


def score_with_errors(
    questions: QuestionSet,
    predictions: Mapping[str, str],
    *,
    na_probs: Mapping[str, float] | None = None,
    na_prob_thresh: float = 1.0,
) -> Scores:
    """Return what `score` returns, with standard errors.

    Args:
        questions: See `per_question`.
        predictions: See `per_question`.
        na_probs: See `score`.
        na_prob_thresh: See `score`.

    Raises:
        DataError: See `score`.
    """
    raw = per_question(questions, predictions)
    answerable = np.array([question.answerable for question in questions.questions])
    na_values = np.zeros(len(questions))
    if na_probs is not None:
        _check_ids(questions, na_probs, "no-answer probability")
        na_values = np.array([na_probs[question.id] for question in questions.questions])
    abstains = na_values > na_prob_thresh
    exact = np.where(abstains, ~answerable, raw.exact)
    f1 = np.where(abstains, ~answerable, raw.f1)

    values = _percent(exact, f1, prefix="")
    errors = _errors({"exact": exact, "f1": f1})
    for prefix, group in (("HasAns_", answerable), ("NoAns_", ~answerable)):
        if group.any():
            values |= _percent(exact[group], f1[group], prefix=prefix)
            errors |= _errors({f"{prefix}exact": exact[group], f"{prefix}f1": f1[group]})
    if na_probs is not None:
        for name, scores in (("best_exact", raw.exact), ("best_f1", raw.f1)):
            best = _best_threshold(questions, predictions, scores, na_probs)
            values |= {name: best.percent, f"{name}_thresh": best.threshold}
            errors |= _errors({name: best.scores})
    return Scores(values, errors)


def score_v1(questions: QuestionSet, predictions: Mapping[str, str]) -> dict[str, float]:
    """Return what the SQuAD 1.1 script prints, in percent, and ``total``.

    Raises:
        DataError: See `per_question`; or if a question has no gold answer.
    """
    unanswerable = [question.id for question in questions.questions if not question.answers]
    if unanswerable:
        raise DataError(
            f"SQuAD 1.1 scores need an answer to every question, but {len(unanswerable)} have "
            f"none, the first {unanswerable[0]!r}; use the SQuAD 2.0 scores"
        )
    scores = _score_questions(questions, predictions, _gold_v1, _score_pair_v1)
    percent = _percent(scores.exact, scores.f1, prefix="")
    return {"exact_match": percent["exact"], "f1": percent["f1"], "total": percent["total"]}


def read_predictions(path: Path) -> dict[str, str]:
    """Return the answers of a predictions file: a JSON object of question id and text.

    Raises:
        DataError: If the file cannot be read, or holds anything else.
    """
    texts: dict[str, str] = {}
    for key, value in _read_object(path).items():
        if not isinstance(value, str):
            raise DataError(f"{path}: the answer to {key!r} must be a string, but got {value!r}")
        texts[key] = value
    return texts


def read_na_probs(path: Path) -> dict[str, float]:
    """Return the values of a no-answer file: a JSON object of question id and number.

    Raises:
        DataError: If the file cannot be read, or holds anything else.
    """
    numbers: dict[str, float] = {}
    for key, value in _read_object(path).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise DataError(
                f"{path}: the no-answer value of {key!r} must be a number, but got {value!r}"
            )
        numbers[key] = value
    return numbers


def _read_object(path: Path) -> dict[str, object]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise DataError(
            f"{path}: must be a JSON object with question ids as keys, "
            f"but got {type(document).__name__}"
        )
    return document


def _score_questions(
    questions: QuestionSet,
    predictions: Mapping[str, str],
    gold: Callable[[Question], Sequence[str]],
    score_pair: PairScore,
) -> QuestionScores:
    _check_ids(questions, predictions, "prediction")
    _check_strings(predictions)
    exact = np.empty(len(questions))
    f1 = np.empty(len(questions))
    for index, question in enumerate(questions.questions):
        normalized = normalize(predictions[question.id])
        pairs = [score_pair(text, normalized) for text in gold(question)]
        exact[index] = max(pair[0] for pair in pairs)
        f1[index] = max(pair[1] for pair in pairs)
    return QuestionScores(exact, f1)


def _gold_v1(question: Question) -> Sequence[str]:
    return tuple(dict.fromkeys(normalize(answer.text) for answer in question.answers))


def _gold_v2(question: Question) -> Sequence[str]:
    return [text for text in _gold_v1(question) if text] or [""]


def _score_pair_v1(gold: str, predicted: str) -> tuple[int, float]:
    return int(gold == predicted), _f1(gold.split(), predicted.split())


def _score_pair_v2(gold: str, predicted: str) -> tuple[int, float]:
    exact = int(gold == predicted)
    # Without words on one side there is no overlap to measure; two empty answers agree.
    return exact, _f1(gold.split(), predicted.split()) if gold and predicted else exact


def _f1(gold: list[str], predicted: list[str]) -> float:
    common = sum((Counter(gold) & Counter(predicted)).values())
    if common == 0:
        return 0.0
    precision = 1.0 * common / len(predicted)
    recall = 1.0 * common / len(gold)
    return (2 * precision * recall) / (precision + recall)


def _percent(
    exact: NDArray[np.float64], f1: NDArray[np.float64], *, prefix: str
) -> dict[str, float]:
    total = len(exact)
    return {
        f"{prefix}exact": 100.0 * _sum_in_order(exact) / total,
        f"{prefix}f1": 100.0 * _sum_in_order(f1) / total,
        f"{prefix}total": total,
    }


def _errors(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return standard errors in percentage points, from ``n`` arrays of questions' scores."""
    return {
        name: 100.0 * float(np.std(array, ddof=1)) / math.sqrt(len(array))
        for name, array in scores.items()
        if len(array) > 1
    }


def _sum_in_order(values: NDArray[np.float64]) -> float:
    return float(np.cumsum(values)[-1])


@dataclass(frozen=True, eq=False)
class _Best:
    """The best score over all thresholds, the lowest of these, and the ``n`` scores there."""

    percent: float
    threshold: float
    scores: NDArray[np.float64]


def _best_threshold(
    questions: QuestionSet,
    predictions: Mapping[str, str],
    scores: NDArray[np.float64],
    na_probs: Mapping[str, float],
) -> _Best:
    """Return the best score over all thresholds, and the lowest threshold that reaches it.

    From "no answer" to everything, questions are answered one by one, the surest first; of equally
    sure ones, the one that ``na_probs`` names first.
    """
    gains = {
        question.id: gain if question.answerable else -float(bool(predictions[question.id]))
        for question, gain in zip(questions.questions, scores.tolist(), strict=True)
    }
    order = sorted(na_probs, key=na_probs.__getitem__)
    silence = {question.id: not question.answerable for question in questions.questions}
    running = np.cumsum([sum(silence.values()), *(gains[question_id] for question_id in order)])
    best = int(np.argmax(running))
    answered = set(order[:best])
    return _Best(
        percent=100.0 * float(running[best]) / len(questions),
        threshold=na_probs[order[best - 1]] if best else 0.0,
        scores=np.array([right + gains[key] * (key in answered) for key, right in silence.items()]),
    )


def _check_ids(questions: QuestionSet, given: Mapping[str, object], what: str) -> None:
    ids = [question.id for question in questions.questions]
    missing = [question_id for question_id in ids if question_id not in given]
    if missing:
        raise DataError(
            f"every question needs a {what}, but {len(missing)} of {len(ids)} have none, "
            f"the first {missing[0]!r}"
        )
    known = set(ids)
    extra = [question_id for question_id in given if question_id not in known]
    if extra:
        raise DataError(
            f"every {what} needs a question, but {len(extra)} of {len(given)} have none, "
            f"the first {extra[0]!r}; score with the questions that were answered"
        )


def _check_strings(predictions: Mapping[str, object]) -> None:
    wrong = [key for key, value in predictions.items() if not isinstance(value, str)]
    if wrong:
        raise DataError(
            f"predictions must be strings, but {len(wrong)} of {len(predictions)} are not, "
            f"the first that of {wrong[0]!r}; use '' for no answer"
        )
