"""From logits to answers: the best spans of every question."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError, DataError, DivergedError
from limbeck.tasks.question_answering.dataset import Question, QuestionSet
from limbeck.tasks.question_answering.features import Features

WINDOWS_PER_CHUNK = 512
"""Searched at once; bounds memory whatever the number of windows."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of the context that may be the answer.

    Attributes:
        text: Its characters.
        score: Start logit of its first token plus end logit of its last one.
        start_char: Its first character in the context.
        end_char: The character behind its last one.
        probability: Softmax of the scores over the candidates of the same question.
    """

    text: str
    score: float
    start_char: int
    end_char: int
    probability: float


@dataclass(frozen=True)
class Predictions:
    """Answers by question id.

    Attributes:
        texts: The answer; empty for "no answer".
        null_odds: Score of "no answer" minus that of the best span: above 0, "no answer" is the
            likelier. What the official script takes as ``na_probs``.
        n_best: The best spans with different texts, best first, "no answer" not among them.
    """

    texts: dict[str, str]
    null_odds: dict[str, float]
    n_best: dict[str, tuple[Candidate, ...]]


@dataclass(frozen=True, eq=False)
class _Spans:
    """Spans of several windows: ``m`` arrays of window, first and last token, and score.

    Tokens are places in the flat arrays of the features.
    """

    window: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    score: NDArray[np.float64]


def best_answers(
    questions: QuestionSet,
    features: Features,
    start_logits: NDArray[np.float32],
    end_logits: NDArray[np.float32],
    *,
    max_answer_length: int = 30,
    n_best: int = 20,
    null_threshold: float | None = 0.0,
) -> Predictions:
    """Return the answers with the highest scores.

    A span lies within the context of one window, and its first token has the most context in that
    window. The search is exact. Equally good spans are ordered by window, first and last token.

    Args:
        questions: ``n`` questions.
        features: Their windows.
        start_logits: A ``total`` array, aligned with the features' tokens.
        end_logits: A ``total`` array, likewise.
        max_answer_length: Most tokens of a span.
        n_best: Spans kept of a window, and candidates of a question.
        null_threshold: Above these null odds, the answer is "no answer"; never if None. It is "no
            answer" in any case, with infinite null odds, where there is no span at all.

    Raises:
        ConfigError: If ``max_answer_length`` or ``n_best`` is not positive.
        DataError: If the sizes of the arguments do not fit together.
        DivergedError: If a logit is not a finite number.
    """
    if min(max_answer_length, n_best) < 1:
        raise ConfigError(
            "max_answer_length and n_best must be positive, but got "
            f"(max_answer_length={max_answer_length}, n_best={n_best})"
        )
    _check(questions, features, start_logits, end_logits)
    spans = _concatenate(
        _search(features, windows, start_logits, end_logits, max_answer_length, n_best)
        for windows in _chunks(features)
    )
    null_scores = _null_scores(len(questions), features, start_logits, end_logits)
    texts, null_odds, candidates = {}, {}, {}
    for question, null_score, rows in zip(
        questions.questions, null_scores, _by_question(len(questions), features, spans), strict=True
    ):
        best = _candidates(question, rows, n_best)
        odds = null_score - best[0].score if best else math.inf
        says_null = not best or (null_threshold is not None and odds > null_threshold)
        texts[question.id] = "" if says_null else best[0].text
        null_odds[question.id] = odds
        candidates[question.id] = best
    return Predictions(texts, null_odds, candidates)


def _check(
    questions: QuestionSet,
    features: Features,
    start_logits: NDArray[np.float32],
    end_logits: NDArray[np.float32],
) -> None:
    asked = int(features.question_index[-1]) + 1
    if asked != len(questions):
        raise DataError(
            f"the features must be those of the questions, but there are {len(questions)} "
            f"questions and features of {asked}"
        )
    expected = features.input_ids.shape
    if start_logits.shape != expected or end_logits.shape != expected:
        raise DataError(
            f"there must be a logit for every token, but the shapes are {start_logits.shape} and "
            f"{end_logits.shape} for tokens of shape {expected}"
        )
    if not (np.isfinite(start_logits).all() and np.isfinite(end_logits).all()):
        raise DivergedError("logits must be finite numbers, but some are not; the model diverged")


def _chunks(features: Features) -> Iterator[NDArray[np.int64]]:
    """Yield window indices, together those of similar length."""
    order = np.argsort(features.lengths, kind="stable")
    for start in range(0, len(order), WINDOWS_PER_CHUNK):
        yield order[start : start + WINDOWS_PER_CHUNK]


def _search(
    features: Features,
    windows: NDArray[np.int64],
    start_logits: NDArray[np.float32],
    end_logits: NDArray[np.float32],
    max_answer_length: int,
    n_best: int,
) -> _Spans:
    """Return the best ``n_best`` spans of each of ``c`` windows, in no particular order.

    The best spans start at the tokens whose own best spans are best: all spans from any other start
    are no better than ``n_best`` spans that are ordered before them. So only ``n_best`` starts need
    all their ends looked at.
    """
    origin = features.starts[windows]
    start, end = _padded(features, windows, start_logits, end_logits, max_answer_length)
    length = start.shape[1]

    # 1. The best end of every start, and with it the best starts, in order of place.
    reach = end[:, :length].copy()
    for distance in range(1, max_answer_length):
        np.maximum(reach, end[:, distance : distance + length], out=reach)
    starts = np.sort(_largest(start + reach, n_best), axis=1)

    # 2. All spans from these starts: c x starts x ends.
    row = np.arange(len(windows))[:, None]
    ends = starts[:, :, None] + np.arange(max_answer_length)
    scores = start[row, starts][:, :, None] + end[row[:, :, None], ends]

    # 3. The best of them.
    scores = scores.reshape(len(windows), -1)
    chosen = _largest(scores, n_best)
    score = np.take_along_axis(scores, chosen, axis=1)
    first = np.take_along_axis(starts, chosen // max_answer_length, axis=1)
    last = first + chosen % max_answer_length
    valid = score > -np.inf
    return _Spans(
        window=np.broadcast_to(windows[:, None], valid.shape)[valid],
        first=(origin[:, None] + first)[valid],
        last=(origin[:, None] + last)[valid],
        score=score[valid],
    )


def _padded(
    features: Features,
    windows: NDArray[np.int64],
    start_logits: NDArray[np.float32],
    end_logits: NDArray[np.float32],
    max_answer_length: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``c x L`` start logits and ``c x (L + max_answer_length - 1)`` end logits.

    Logits where no span may start or end are minus infinity.
    """
    column = np.arange(int(features.lengths[windows].max()))
    in_context = (column >= features.context_begin[windows, None]) & (
        column < features.context_end[windows, None]
    )
    place = np.where(in_context, features.starts[windows, None] + column, 0)
    start = np.where(in_context & features.is_max_context[place], start_logits[place], -np.inf)
    end = np.full((len(windows), len(column) + max_answer_length - 1), -np.inf)
    end[:, : len(column)] = np.where(in_context, end_logits[place], -np.inf)
    return start.astype(np.float64), end


def _largest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the columns of the ``count`` largest values of each row; of equal ones, the first."""
    return np.argsort(-values, axis=1, kind="stable")[:, :count]


def _concatenate(parts: Iterator[_Spans]) -> _Spans:
    spans = list(parts)
    return _Spans(
        window=np.concatenate([part.window for part in spans]),
        first=np.concatenate([part.first for part in spans]),
        last=np.concatenate([part.last for part in spans]),
        score=np.concatenate([part.score for part in spans]),
    )


def _null_scores(
    count: int,
    features: Features,
    start_logits: NDArray[np.float32],
    end_logits: NDArray[np.float32],
) -> list[float]:
    """Return for each question the lowest score of "no answer" in any of its windows."""
    first = features.starts[:-1]
    scores = start_logits[first].astype(np.float64) + end_logits[first]
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, features.question_index, scores)
    return lowest.tolist()


def _by_question(
    count: int, features: Features, spans: _Spans
) -> Iterator[list[tuple[float, int, int]]]:
    """Yield for each question the score, first and end character of its spans, best first."""
    question = features.question_index[spans.window]
    order = np.lexsort((spans.last, spans.first, -spans.score, question))
    rows = list(
        zip(
            spans.score[order].tolist(),
            features.offsets[spans.first[order], 0].tolist(),
            features.offsets[spans.last[order], 1].tolist(),
            strict=True,
        )
    )
    for begin, end in pairwise(np.searchsorted(question[order], np.arange(count + 1)).tolist()):
        yield rows[begin:end]


def _candidates(
    question: Question, rows: list[tuple[float, int, int]], n_best: int
) -> tuple[Candidate, ...]:
    kept: dict[str, tuple[float, int, int]] = {}
    for row in rows:
        if len(kept) == n_best:
            break
        kept.setdefault(question.context[row[1] : row[2]], row)
    weights = [math.exp(row[0] - rows[0][0]) for row in kept.values()]
    total = math.fsum(weights)
    return tuple(
        Candidate(text, *row, probability=weight / total)
        for (text, row), weight in zip(kept.items(), weights, strict=True)
    )
