import json
import math
import random
import statistics
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.errors import DataError
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet, read_squad
from limbeck.tasks.question_answering.scoring import (
    normalize,
    per_question,
    read_na_probs,
    read_predictions,
    score,
    score_v1,
    score_with_errors,
)


def question(question_id: str, *answers: str) -> Question:
    """A question whose context is its answers, one after the other."""
    context = "".join(answers) or "nothing"
    starts = [sum(map(len, answers[:i])) for i in range(len(answers))]
    gold = tuple(Answer(text, start) for text, start in zip(answers, starts, strict=True))
    return Question(question_id, "", context, "which?", gold)


def official_words(text: str) -> list[str]:
    """Return the words that the official scripts compare."""
    letters = "".join(c for c in text.lower() if c not in string.punctuation)
    separated, word = [], ""
    for character in letters + " ":
        if character.isalnum() or character == "_":
            word += character
        else:
            separated.append(" " if word in ("a", "an", "the") else word)
            separated.append(character)
            word = ""
    return "".join(separated).split()


def official_pair(gold: str, predicted: str) -> tuple[int, float]:
    """Return exact and F1 of one gold answer, in the manner of evaluate-v2.0.py."""
    expected, given_words = official_words(gold), official_words(predicted)
    exact = int(expected == given_words)
    if not expected or not given_words:
        return exact, float(exact)
    rest = list(expected)
    common = 0
    for word in given_words:
        if word in rest:
            rest.remove(word)
            common += 1
    if common == 0:
        return exact, 0.0
    precision, recall = common / len(given_words), common / len(expected)
    return exact, 2 * precision * recall / (precision + recall)


def test_scores_of_bert_are_the_official_ones(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    folder = shared_data / "squad" / "predictions"
    expected = json.loads((folder / "bert-v2.0.official.json").read_text())
    scores = score(questions, read_predictions(folder / "bert-v2.0.json"))
    assert scores == expected
    assert list(scores) == list(expected)


def test_scores_with_thresholds_are_the_official_ones(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    folder = shared_data / "squad" / "predictions"
    expected = json.loads((folder / "skim-read-v2.0.official.json").read_text())
    scores = score(
        questions,
        read_predictions(folder / "skim-read-v2.0.json"),
        na_probs=read_na_probs(folder / "skim-read-v2.0.null-odds.json"),
    )
    assert scores == expected
    assert list(scores) == list(expected)


def test_version_1_scores_are_the_official_ones(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v1.1.json.gz")
    folder = shared_data / "squad" / "predictions"
    expected = json.loads((folder / "match-lstm-v1.1.official.json").read_text())
    scores = score_v1(questions, read_predictions(folder / "match-lstm-v1.1.json"))
    assert scores == expected
    assert list(scores) == list(expected)


def test_answering_nothing_scores_the_share_of_unanswerable_questions(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    scores = score(questions, {q.id: "" for q in questions.questions})
    assert scores["exact"] == scores["f1"] == 100.0 * 5_945 / 11_873
    assert (scores["HasAns_exact"], scores["NoAns_exact"]) == (0.0, 100.0)


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The  Eiffel Tower.", "eiffel tower"),
        ("an apple, a pear", "apple pear"),
        ("theatre of Athens", "theatre of athens"),
        ("U.S.A.", "usa"),
        ("a-b", "ab"),
        ("the", ""),
        ("\u2014the\u2014", "\u2014 \u2014"),  # a dash beyond ASCII stays, and ends a word
        ("\u201cThe\u201d Who", "\u201c \u201d who"),
        ("Caf\u00e9\u00a0Noir", "caf\u00e9 noir"),
        ("\u00c9A", "\u00e9a"),
        ("STRASSE \u00df", "strasse \u00df"),
        ("1,000", "1000"),
        ("\t\n", ""),
    ],
)
def test_normalize_by_hand(text: str, normalized: str) -> None:
    assert normalize(text) == normalized


def test_scores_by_hand() -> None:
    questions = QuestionSet(
        (
            question("exact", "Eiffel Tower", "tower"),
            question("half", "the big red dog"),
            question("wrong", "Paris"),
            question("silent", "Rome"),
            question("none"),
            question("spoke"),
            question("article", "the"),
        )
    )
    predictions = {
        "exact": "the Eiffel tower!",
        "half": "red dog dog",  # 2 of 3 words right, 2 of 3 words found
        "wrong": "London",
        "silent": "",
        "none": " the ",  # nothing but an article is no answer
        "spoke": "Paris",
        "article": "",  # nothing is left of the gold answer either
    }
    scores = per_question(questions, predictions)
    assert scores.exact.tolist() == [1, 0, 0, 0, 1, 0, 1]
    assert scores.f1.tolist() == pytest.approx([1, 2 / 3, 0, 0, 1, 0, 1])
    assert score(questions, predictions) == pytest.approx(
        {
            "exact": 300 / 7,
            "f1": 100 * (3 + 2 / 3) / 7,
            "total": 7,
            "HasAns_exact": 200 / 5,
            "HasAns_f1": 100 * (2 + 2 / 3) / 5,
            "HasAns_total": 5,
            "NoAns_exact": 50.0,
            "NoAns_f1": 50.0,
            "NoAns_total": 2,
        }
    )


def test_errors_by_hand() -> None:
    questions = QuestionSet(
        (question("a", "red dog"), question("b", "Rome"), question("c"), question("d"))
    )
    predictions = {"a": "dog", "b": "Rome", "c": "", "d": "Oslo"}
    # Exact is 0, 1, 1, 0 and F1 2/3, 1, 1, 0: squared distances from 2/3 of 0, 1/9, 1/9 and 4/9.
    assert score_with_errors(questions, predictions).errors == pytest.approx(
        {
            "exact": 100 * math.sqrt(1 / 3 / 4),
            "f1": 100 * math.sqrt(6 / 9 / 3 / 4),
            "HasAns_exact": 50.0,
            "HasAns_f1": 100 / 6,
            "NoAns_exact": 50.0,
            "NoAns_f1": 50.0,
        }
    )


def test_errors_of_exact_match_on_real_predictions_are_binomial(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    predictions = read_predictions(shared_data / "squad" / "predictions" / "bert-v2.0.json")
    scores = score_with_errors(questions, predictions)
    assert scores.values == score(questions, predictions)
    for prefix in ("", "HasAns_", "NoAns_"):
        share, count = (scores.values[f"{prefix}{name}"] for name in ("exact", "total"))
        binomial = math.sqrt(share * (100 - share) / (count - 1))
        assert scores.errors[f"{prefix}exact"] == pytest.approx(binomial)
    assert scores.errors["exact"] == pytest.approx(0.4, abs=0.1)
    assert scores.errors.keys() == scores.values.keys() - {"total", "HasAns_total", "NoAns_total"}


def test_errors_are_how_far_scores_of_other_questions_lie_apart() -> None:
    """Sets of 50 questions are drawn 400 times from one world."""
    generator = np.random.default_rng(0)
    kinds = [(("red dog is big",), "dog"), (("Rome",), "Rome"), (("Rome",), "Oslo"), ((), "")]
    f1, errors = [], []
    for _ in range(400):
        drawn = [kinds[kind] for kind in generator.choice(4, size=50, p=[0.3, 0.3, 0.2, 0.2])]
        scores = score_with_errors(
            QuestionSet(tuple(question(str(i), *gold) for i, (gold, _) in enumerate(drawn))),
            {str(i): predicted for i, (_, predicted) in enumerate(drawn)},
        )
        f1.append(scores.values["f1"])
        errors.append(scores.errors["f1"])
    # Of 400 numbers, the standard deviation is known to 3.5 %.
    assert statistics.mean(errors) == pytest.approx(statistics.stdev(f1), rel=0.1)


def test_a_single_question_of_its_kind_has_no_error() -> None:
    questions = QuestionSet((question("a", "Paris"), question("b", "Rome"), question("c")))
    scores = score_with_errors(questions, {"a": "Paris", "b": "Paris", "c": ""})
    assert list(scores.errors) == ["exact", "f1", "HasAns_exact", "HasAns_f1"]


def test_errors_at_the_best_threshold_by_hand() -> None:
    questions = QuestionSet(
        (question("a", "Paris"), question("b"), question("c", "Rome"), question("d"))
    )
    predictions = {"a": "Paris", "b": "London", "c": "Rome", "d": "Oslo"}
    na_probs = {"d": 0.9, "c": 0.4, "b": 0.3, "a": 0.1}
    # Only a is answered: it, b and d are right.
    scores = score_with_errors(questions, predictions, na_probs=na_probs)
    assert scores.errors["best_exact"] == scores.errors["best_f1"] == 25.0
    assert "best_exact_thresh" not in scores.errors


ANSWERS = st.lists(st.sampled_from(["red", "dog", "big"]), min_size=1, max_size=3).map(" ".join)


@given(st.lists(st.tuples(ANSWERS | st.none(), ANSWERS), min_size=2, max_size=9), st.randoms())
def test_errors_at_the_best_threshold_are_those_of_scoring_with_it(
    cases: list[tuple[str | None, str]], chance: random.Random
) -> None:
    questions = QuestionSet(
        tuple(question(str(i), *([gold] if gold else [])) for i, (gold, _) in enumerate(cases))
    )
    predictions = {str(i): predicted for i, (_, predicted) in enumerate(cases)}
    na_probs = dict(zip(predictions, chance.sample(range(1, 99), len(cases)), strict=True))
    best = score_with_errors(questions, predictions, na_probs=na_probs)
    for name in ("exact", "f1"):
        limit = best.values[f"best_{name}_thresh"]
        there = score_with_errors(questions, predictions, na_probs=na_probs, na_prob_thresh=limit)
        assert there.values[name] == pytest.approx(best.values[f"best_{name}"])
        assert there.errors[name] == pytest.approx(best.errors[f"best_{name}"])


def test_version_1_scores_by_hand() -> None:
    questions = QuestionSet(
        (question("a", "Paris", "the"), question("b", "the"), question("c", "red dog"))
    )
    # Unlike version 2.0, version 1.1 keeps a gold answer that is only an article, and finds no F1
    # without common words even where both sides are empty.
    assert score_v1(questions, {"a": "", "b": "a", "c": "dog"}) == {
        "exact_match": 100 * 2 / 3,
        "f1": 100 * (2 / 3) / 3,
        "total": 3,
    }


def test_groups_without_questions_are_left_out() -> None:
    assert list(score(QuestionSet((question("a", "Paris"),)), {"a": "Paris"})) == [
        *("exact", "f1", "total", "HasAns_exact", "HasAns_f1", "HasAns_total")
    ]
    assert list(score(QuestionSet((question("a"),)), {"a": "Paris"})) == [
        *("exact", "f1", "total", "NoAns_exact", "NoAns_f1", "NoAns_total")
    ]


def test_thresholds_by_hand() -> None:
    questions = QuestionSet(
        (question("a", "Paris"), question("b"), question("c", "Rome"), question("d"))
    )
    predictions = {"a": "Paris", "b": "London", "c": "Rome", "d": "Oslo"}
    na_probs = {"a": 0.1, "b": 0.3, "c": 0.4, "d": 0.9}
    # From two right by silence: a makes 3, b makes 2, c makes 3 again: the first is kept.
    scores = score(questions, predictions, na_probs=na_probs)
    assert scores["exact"] == 50.0
    assert (scores["best_exact"], scores["best_exact_thresh"]) == (75.0, 0.1)
    assert (scores["best_f1"], scores["best_f1_thresh"]) == (75.0, 0.1)
    strict = score(questions, predictions, na_probs=na_probs, na_prob_thresh=0.3)
    assert strict["exact"] == 50.0  # a is right, b wrong, c silenced, d rightly silenced
    assert (strict["HasAns_exact"], strict["NoAns_exact"]) == (50.0, 50.0)
    assert strict["best_exact"] == 75.0


def test_silence_may_be_best() -> None:
    questions = QuestionSet((question("a", "Paris"), question("b")))
    scores = score(questions, {"a": "Rome", "b": "Oslo"}, na_probs={"a": -3.0, "b": -2.0})
    assert (scores["best_exact"], scores["best_exact_thresh"]) == (50.0, 0.0)


WORDS = st.lists(
    st.sampled_from(
        ["the", "a", "Tower", "tower,", "red", "\u2014", "An", ".", "caf\u00e9", "_the"]
    ),
    max_size=5,
).map(" ".join)
GOLD = st.lists(WORDS.filter(lambda text: bool(text.strip())), max_size=3)
CASES = st.lists(st.tuples(GOLD, WORDS, st.integers(-2, 2)), min_size=1, max_size=12)


@given(st.text())
def test_normalize_of_any_text_is_what_the_official_scripts_compare(text: str) -> None:
    assert normalize(text).split() == official_words(text)


@given(CASES)
def test_scores_are_those_of_an_official_loop(cases: list[tuple[list[str], str, int]]) -> None:
    questions = QuestionSet(tuple(question(str(i), *case[0]) for i, case in enumerate(cases)))
    predictions = {str(i): case[1] for i, case in enumerate(cases)}
    na_probs = {str(i): case[2] for i, case in enumerate(cases)}
    raw = {}
    for i, (gold, predicted, _) in enumerate(cases):
        kept = [text for text in gold if official_words(text)] or [""]
        pairs = [official_pair(text, predicted) for text in kept]
        raw[str(i)] = (max(pair[0] for pair in pairs), max(pair[1] for pair in pairs))
    scores = score(questions, predictions, na_probs=na_probs)
    for column, name in enumerate(("exact", "f1")):
        total: float = 0
        best: float = sum(not gold for gold, _, _ in cases)
        current, threshold = best, 0.0
        for key, pair in raw.items():
            right_by_silence = not cases[int(key)][0]
            total += float(right_by_silence) if na_probs[key] > 1 else pair[column]
        for key in sorted(na_probs, key=lambda key: na_probs[key]):
            answerable = bool(cases[int(key)][0])
            current += raw[key][column] if answerable else -int(bool(predictions[key]))
            if current > best:
                best, threshold = current, na_probs[key]
        assert scores[name] == 100.0 * total / len(cases)
        assert scores[f"best_{name}"] == 100.0 * best / len(cases)
        assert scores[f"best_{name}_thresh"] == threshold


def test_f1_is_added_up_in_data_order() -> None:
    # Pairwise or compensated summation would give the double nearest to the sum; the scripts add
    # one by one, which does not.
    questions = QuestionSet(tuple(question(str(i), "red dog is very big") for i in range(10)))
    f1 = official_pair("red dog is very big", "dog")[1]
    one_by_one = 0.0
    for _ in range(10):
        one_by_one += f1
    assert one_by_one != math.fsum([f1] * 10)
    scores = score(questions, {str(i): "dog" for i in range(10)})
    assert scores["f1"] == 100.0 * one_by_one / 10


def test_predictions_must_be_those_of_the_questions() -> None:
    questions = QuestionSet((question("a", "Paris"), question("b"), question("c")))
    with pytest.raises(DataError, match="needs a prediction, but 2 of 3 have none, the first 'b'"):
        score(questions, {"a": "Paris"})
    complete = {"a": "Paris", "b": "", "c": ""}
    with pytest.raises(DataError, match=r"prediction needs a question, but 1 of 4 .* first 'x'"):
        score(questions, {**complete, "x": ""})
    broken: dict[str, str] = {**complete, "b": None}  # type: ignore[dict-item]  # as JSON may
    with pytest.raises(DataError, match=r"must be strings, but 1 of 3 are not, .* that of 'b'"):
        per_question(questions, broken)
    with pytest.raises(DataError, match="needs a no-answer probability, but 3 of 3 have none"):
        score(questions, complete, na_probs={})


def test_version_1_scores_need_answerable_questions() -> None:
    with pytest.raises(DataError, match=r"1 have none, the first 'b'; use the SQuAD 2\.0 scores"):
        score_v1(QuestionSet((question("a", "Paris"), question("b"))), {"a": "", "b": ""})


def test_prediction_files_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text('{"b": "Caf\\u00e9", "a": ""}')
    assert list(read_predictions(path).items()) == [("b", "Caf\u00e9"), ("a", "")]
    path.write_text('{"b": -1.5, "a": 2, "c": Infinity}')
    assert list(read_na_probs(path).items()) == [("b", -1.5), ("a", 2), ("c", math.inf)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "must be a JSON object with question ids as keys, but got list"),
        ('{"a": "x", "b": 3}', "the answer to 'b' must be a string, but got 3"),
        ('{"a"', "must be JSON, but "),
    ],
)
def test_broken_prediction_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "answers.json"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"answers\.json: {message}"):
        read_predictions(path)


@pytest.mark.parametrize("value", ['"x"', "true", "NaN", "null"])
def test_broken_no_answer_files_are_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "odds.json"
    path.write_text(f'{{"a": 1.0, "b": {value}}}')
    with pytest.raises(DataError, match=r"odds\.json: the no-answer value of 'b' must be a number"):
        read_na_probs(path)
