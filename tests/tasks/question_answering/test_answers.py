import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer

from limbeck.errors import ConfigError, DataError, DivergedError
from limbeck.tasks.question_answering.answers import Predictions, best_answers
from limbeck.tasks.question_answering.dataset import Question, QuestionSet
from limbeck.tasks.question_answering.features import Features, load_features
from limbeck.tasks.question_answering.windows import Lengths

QUESTIONS = QuestionSet(
    (
        Question("a", "", "the capital of france is paris", "which city?"),
        Question("b", "", "paris is big", "is paris big?"),
        Question("c", "", "the city is the big city of the capital of france", "is the city big?"),
    )
)
LENGTHS = Lengths(max_length=13, doc_stride=3, max_query_length=5)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Features:
    made = load_features(QUESTIONS, tokenizer, LENGTHS, cache=tmp_path_factory.mktemp("cache"))
    assert len(made) > 4  # the third question has several windows
    return made


def search_by_hand(
    questions: QuestionSet,
    features: Features,
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    *,
    max_answer_length: int,
    n_best: int,
) -> dict[str, tuple[float, list[tuple[str, float, int, int]]]]:
    """Return null score and n-best list of every question, one span after the other."""
    results = {}
    for number, question in enumerate(questions.questions):
        null_score = math.inf
        found = []
        for window in np.flatnonzero(features.question_index == number).tolist():
            origin = int(features.starts[window])
            null_score = min(null_score, float(start[origin]) + float(end[origin]))
            context = range(
                origin + int(features.context_begin[window]),
                origin + int(features.context_end[window]),
            )
            spans = [
                (-(float(start[first]) + float(end[last])), window, first, last)
                for first in context
                for last in context
                if features.is_max_context[first] and 0 <= last - first < max_answer_length
            ]
            found += sorted(spans)[:n_best]
        candidates: dict[str, tuple[str, float, int, int]] = {}
        for negative, _, first, last in sorted(found):
            begin, stop = int(features.offsets[first, 0]), int(features.offsets[last, 1])
            text = question.context[begin:stop]
            candidates.setdefault(text, (text, -negative, begin, stop))
        results[question.id] = (null_score, list(candidates.values())[:n_best])
    return results


def check_against_search_by_hand(
    questions: QuestionSet,
    features: Features,
    logits: NDArray[np.float32],
    *,
    max_answer_length: int,
    n_best: int,
) -> None:
    expected = search_by_hand(
        questions, features, *logits, max_answer_length=max_answer_length, n_best=n_best
    )
    predictions = best_answers(
        questions, features, *logits, max_answer_length=max_answer_length, n_best=n_best
    )
    for question_id, (null_score, candidates) in expected.items():
        given_candidates = [
            (candidate.text, candidate.score, candidate.start_char, candidate.end_char)
            for candidate in predictions.n_best[question_id]
        ]
        assert given_candidates == candidates
        odds = null_score - candidates[0][1]
        assert predictions.null_odds[question_id] == odds
        assert predictions.texts[question_id] == ("" if odds > 0 else candidates[0][0])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    seed=st.integers(0, 2**32),
    ties=st.booleans(),
    max_answer_length=st.integers(1, 15),
    n_best=st.integers(1, 25),
)
def test_the_search_finds_what_looking_at_every_span_finds(
    features: Features, seed: int, ties: bool, max_answer_length: int, n_best: int
) -> None:
    generator = np.random.default_rng(seed)
    shape = (2, int(features.starts[-1]))
    logits = generator.integers(-2, 3, shape) if ties else generator.normal(size=shape)
    check_against_search_by_hand(
        QUESTIONS,
        features,
        logits.astype(np.float32),
        max_answer_length=max_answer_length,
        n_best=n_best,
    )


def test_the_search_is_the_same_over_many_windows_of_different_lengths(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    generator = np.random.default_rng(0)
    questions = QuestionSet(
        tuple(
            Question(str(i), "", " ".join(["paris", "is", "big"] * size), "which?")
            for i, size in enumerate(generator.integers(1, 6, size=400).tolist())
        )
    )
    lengths = Lengths(max_length=12, doc_stride=3, max_query_length=5)
    features = load_features(questions, tokenizer, lengths, cache=tmp_path)
    assert len(features) > 512
    logits = generator.normal(size=(2, int(features.starts[-1]))).astype(np.float32)
    check_against_search_by_hand(questions, features, logits, max_answer_length=4, n_best=3)


def peaks(features: Features, **places: float) -> NDArray[np.float32]:
    """Return start and end logits for question b, zero but at its tokens named in ``places``."""
    window = int(np.flatnonzero(features.question_index == 1)[0])
    origin = int(features.starts[window])
    context = origin + int(features.context_begin[window])
    index = {"null": origin, "paris": context, "is": context + 1, "big": context + 2}
    logits = np.zeros((2, int(features.starts[-1])), np.float32)
    for name, value in places.items():
        side, word = name.split("_")
        logits[["start", "end"].index(side), index[word]] = value
    return logits


def answer_b(
    features: Features, logits: NDArray[np.float32], null_threshold: float | None = 0.0
) -> Predictions:
    return best_answers(QUESTIONS, features, *logits, null_threshold=null_threshold)


def test_a_question_by_hand(features: Features) -> None:
    logits = peaks(features, start_paris=4, end_is=3, start_big=1, end_null=6.5)
    predictions = answer_b(features, logits)
    assert predictions.texts["b"] == "paris is"
    assert predictions.null_odds["b"] == -0.5
    best = predictions.n_best["b"]
    assert [(candidate.text, candidate.score) for candidate in best] == [
        ("paris is", 7.0),
        ("paris", 4.0),
        ("paris is big", 4.0),
        ("is", 3.0),
        ("big", 1.0),
        ("is big", 0.0),
    ]
    assert (best[0].start_char, best[0].end_char) == (0, 8)
    total = math.exp(7) + 2 * math.exp(4) + math.exp(3) + math.exp(1) + 1
    assert best[1].probability == pytest.approx(math.exp(4) / total)
    assert sum(candidate.probability for candidate in best) == pytest.approx(1)


@pytest.mark.parametrize(
    ("null_threshold", "text"), [(0.0, ""), (0.999, ""), (1.0, "paris is"), (None, "paris is")]
)
def test_no_answer_needs_null_odds_above_the_threshold(
    features: Features, null_threshold: float | None, text: str
) -> None:
    logits = peaks(features, start_paris=4, end_is=3, start_null=8)
    predictions = answer_b(features, logits, null_threshold)
    assert predictions.null_odds["b"] == 1.0
    assert predictions.texts["b"] == text
    assert predictions.n_best["b"][0].text == "paris is"


def test_equal_texts_are_one_candidate_with_the_best_score(features: Features) -> None:
    logits = np.zeros((2, int(features.starts[-1])), np.float32)
    predictions = best_answers(QUESTIONS, features, *logits, max_answer_length=1)
    texts = [candidate.text for candidate in predictions.n_best["c"]]
    assert texts == ["the", "city", "is", "big", "of", "capital", "france"]
    assert predictions.n_best["c"][0].start_char == 0


def test_a_question_without_any_span_has_no_answer(tmp_path: Path, tokenizer: Tokenizer) -> None:
    questions = QuestionSet(
        (Question("a", "", "\x01", "which?"), Question("b", "", "paris", "which?"))
    )
    features = load_features(questions, tokenizer, LENGTHS, cache=tmp_path)
    logits = np.zeros((2, int(features.starts[-1])), np.float32)
    predictions = best_answers(questions, features, *logits, null_threshold=None)
    assert predictions == Predictions(
        texts={"a": "", "b": "paris"},
        null_odds={"a": math.inf, "b": 0.0},
        n_best={"a": (), "b": predictions.n_best["b"]},
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_logits_that_are_no_numbers_are_a_diverged_model(
    features: Features, value: float, side: int
) -> None:
    logits = np.zeros((2, int(features.starts[-1])), np.float32)
    logits[side, -1] = value
    with pytest.raises(DivergedError, match="logits must be finite numbers, but some are not"):
        best_answers(QUESTIONS, features, *logits)


def test_arguments_of_other_sizes_are_refused(features: Features) -> None:
    logits = np.zeros((2, int(features.starts[-1])), np.float32)
    fewer = QuestionSet(QUESTIONS.questions[:2])
    with pytest.raises(DataError, match="there are 2 questions and features of 3"):
        best_answers(fewer, features, *logits)
    with pytest.raises(DataError, match=r"a logit for every token, but the shapes are \(3,\)"):
        best_answers(QUESTIONS, features, logits[0, :3], logits[1])
    one_less = replace(features, input_ids=features.input_ids[:-1])
    with pytest.raises(DataError, match=r"a logit for every token, but the shapes are"):
        best_answers(QUESTIONS, one_less, *logits)


@pytest.mark.parametrize(("max_answer_length", "n_best"), [(0, 20), (30, 0)])
def test_a_search_for_nothing_is_refused(
    features: Features, max_answer_length: int, n_best: int
) -> None:
    logits = np.zeros((2, int(features.starts[-1])), np.float32)
    with pytest.raises(
        ConfigError, match=f"max_answer_length={max_answer_length}, n_best={n_best}"
    ):
        best_answers(
            QUESTIONS, features, *logits, max_answer_length=max_answer_length, n_best=n_best
        )
