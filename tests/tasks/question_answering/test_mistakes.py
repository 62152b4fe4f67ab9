"""The kinds of answers: the worked rule, the official scores, and 40 real answers by hand."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.errors import ConfigError, DataError
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet, read_squad
from limbeck.tasks.question_answering.mistakes import KINDS, Grades, Kind, grade, silenced
from limbeck.tasks.question_answering.scoring import (
    read_na_probs,
    read_predictions,
    score,
    score_v1,
)

CORRECT, MOSTLY_CORRECT, MOSTLY_WRONG, HAS_ANSWER, HAS_NO_ANSWER = KINDS

# Answers of the published BERT, sorted by reading question, gold answers and answer. Beside those
# that were counted: words in common, words of the gold answer and of the given one (without
# articles), and twice the first over the sum of the others.
BY_HAND = {
    # Unanswerable, and nothing said.
    "5ad4d0ca5b96ef001a10a198": CORRECT,
    "5a25b668ef59cd001a623c78": CORRECT,
    "5ad02a9777cf76001a686c5f": CORRECT,
    # Unanswerable, but something said.
    "5a38cd93a4b263001a8c192c": HAS_NO_ANSWER,
    "5a38a8d2a4b263001a8c1879": HAS_NO_ANSWER,
    "5ad2772cd7d075001a42953f": HAS_NO_ANSWER,
    "5ad3cc47604f3c001a3ff147": HAS_NO_ANSWER,
    "5ad02a9777cf76001a686c5e": HAS_NO_ANSWER,
    "5a564c956349e2001acdcd1a": HAS_NO_ANSWER,
    # Answerable, but nothing said.
    "57283c464b864d19001647cc": HAS_ANSWER,
    "5705fb7f52bb891400689752": HAS_ANSWER,
    "5727d3843acd2414000ded6b": HAS_ANSWER,
    "5737a7351c456719005744f1": HAS_ANSWER,
    "57286951ff5b5019007da20e": HAS_ANSWER,
    "57283adcff5b5019007d9f94": HAS_ANSWER,
    # A gold answer, word by word, or all but its article.
    "5730131c947a6a140053d054": CORRECT,
    "57339dd94776f41900660ecd": CORRECT,
    "57107e6ca58dae1900cd69f4": CORRECT,
    "56e19724cd28a01900c679f6": CORRECT,
    "57332f81d058e614000b5778": CORRECT,
    # Too long or too short, but most of it.
    "5726472bdd62a815002e8042": MOSTLY_CORRECT,  # 6 of 6 and 8: 0.86
    "572647e2dd62a815002e805d": MOSTLY_CORRECT,  # 8 of 8 and 10: 0.89
    "572faf74b2c2fd1400568348": MOSTLY_CORRECT,  # 4 of 4 and 5: 0.89
    "572fd264b2c2fd14005684ab": MOSTLY_CORRECT,  # 1 of 2 and 1: 0.67
    "572ffc0f947a6a140053cef2": MOSTLY_CORRECT,  # 2 of 2 and 4: 0.67
    "5733266d4776f41900660715": MOSTLY_CORRECT,  # 5 of 5 and 12: 0.59
    "572fbea404bcaa1900d76c5b": MOSTLY_CORRECT,  # 1 of 1 and 2: 0.67
    "57287e512ca10214002da3fa": MOSTLY_CORRECT,  # 5 of 11 and 5: 0.63
    "5727d1c93acd2414000ded41": MOSTLY_CORRECT,  # 8 of 8 and 14: 0.73
    # Just at the limit.
    "572a0d21af94a219006aa783": MOSTLY_CORRECT,  # 1 of 1 and 3: 0.50
    "57274b35f1498d1400e8f5d6": MOSTLY_CORRECT,  # 2 of 2 and 6: 0.50
    "5730088e947a6a140053cfb0": MOSTLY_CORRECT,  # 1 of 1 and 3: 0.50
    "56e190bce3433e1400422fc9": MOSTLY_CORRECT,  # 3 of 3 and 9: 0.50
    # Something else, or the gold answer among too much else.
    "5726f2375951b619008f8312": MOSTLY_WRONG,
    "5726deed5951b619008f80c5": MOSTLY_WRONG,
    "5705f36452bb89140068971b": MOSTLY_WRONG,
    "5737aafd1c456719005744fd": MOSTLY_WRONG,
    "5728fb6a1d04691400778ef9": MOSTLY_WRONG,
    "57263dcd89a1e219009ac5a2": MOSTLY_WRONG,  # 4 of 4 and 14: 0.44
    "572a0d21af94a219006aa787": MOSTLY_WRONG,  # 2 of 2 and 14: 0.25
}


def asked(question_id: str, *answers: str) -> Question:
    context = " ".join(answers) or "nothing"
    gold = tuple(Answer(text, context.index(text)) for text in answers)
    return Question(question_id, "", context, "which?", gold)


def kinds(grades: Grades) -> list[Kind]:
    return [KINDS[place] for place in grades.kinds.tolist()]


def test_forty_real_answers_are_sorted_as_by_hand(shared_data: Path) -> None:
    assert len(BY_HAND) == 40
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    predictions = read_predictions(shared_data / "squad" / "predictions" / "bert-v2.0.json")
    found = kinds(grade(questions, predictions))
    by_id = {each.id: kind for each, kind in zip(questions.questions, found, strict=True)}
    assert {key: by_id[key] for key in BY_HAND} == BY_HAND


def test_kinds_of_bert_add_up_to_the_official_scores(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    folder = shared_data / "squad" / "predictions"
    official = json.loads((folder / "bert-v2.0.official.json").read_text())
    grades = grade(questions, read_predictions(folder / "bert-v2.0.json"))
    check_official(questions, grades, official)


def test_kinds_of_thresholded_answers_add_up_to_the_official_scores(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    folder = shared_data / "squad" / "predictions"
    official = json.loads((folder / "skim-read-v2.0.official.json").read_text())
    na_probs = read_na_probs(folder / "skim-read-v2.0.null-odds.json")
    predictions = read_predictions(folder / "skim-read-v2.0.json")
    grades = grade(questions, silenced(predictions, na_probs, threshold=1.0))
    check_official(questions, grades, official)


def check_official(questions: QuestionSet, grades: Grades, official: dict[str, float]) -> None:
    found = kinds(grades)
    counts = Counter(found)
    answerable = [question.answerable for question in questions.questions]
    with_answer = Counter(
        kind for kind, has_answer in zip(found, answerable, strict=True) if has_answer
    )
    assert counts.total() == official["total"]
    assert 100.0 * counts[CORRECT] / counts.total() == official["exact"]
    assert with_answer.total() == official["HasAns_total"]
    assert 100.0 * with_answer[CORRECT] / official["HasAns_total"] == official["HasAns_exact"]
    assert 100.0 * counts[HAS_NO_ANSWER] / official["NoAns_total"] == pytest.approx(
        100 - official["NoAns_exact"], abs=1e-12
    )
    assert with_answer[HAS_NO_ANSWER] == 0
    assert counts[HAS_ANSWER] == with_answer[HAS_ANSWER]


def test_kinds_of_version_1_answers_add_up_to_the_official_score(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v1.1.json.gz")
    folder = shared_data / "squad" / "predictions"
    official = json.loads((folder / "match-lstm-v1.1.official.json").read_text())
    predictions = read_predictions(folder / "match-lstm-v1.1.json")
    counts = Counter(kinds(grade(questions, predictions)))
    assert counts.total() == 10_570
    assert 100.0 * counts[CORRECT] / counts.total() == official["exact_match"]
    assert score_v1(questions, predictions)["exact_match"] == official["exact_match"]
    assert counts[HAS_ANSWER] == counts[HAS_NO_ANSWER] == 0


def test_each_rule_by_hand() -> None:
    questions = QuestionSet(
        (
            asked("right", "Eiffel Tower"),
            asked("half", "the big red dog"),
            asked("less", "the big red dog"),
            asked("order", "north west"),
            asked("silent", "Rome"),
            asked("article", "Rome"),
            asked("none"),
            asked("none, article"),
            asked("none, said"),
        )
    )
    predictions = {
        "right": "the eiffel tower!",
        "half": "red",  # 1 of 3 and 1: 0.5
        "less": "red cat by",  # 1 of 3 and 3: 0.33
        "order": "west north",  # every word, and still not exact
        "silent": "",
        "article": "The.",
        "none": "",
        "none, article": "a",
        "none, said": "Rome",
    }
    found = grade(questions, predictions)
    expected = [
        *(CORRECT, MOSTLY_CORRECT, MOSTLY_WRONG, MOSTLY_CORRECT, HAS_ANSWER, HAS_ANSWER),
        *(CORRECT, CORRECT, HAS_NO_ANSWER),
    ]
    assert kinds(found) == expected
    assert found.right.tolist() == [kind is CORRECT for kind in expected]


@pytest.mark.parametrize(("limit", "kind"), [(0.3, MOSTLY_CORRECT), (0.34, MOSTLY_WRONG)])
def test_the_limit_decides_between_mostly_correct_and_mostly_wrong(
    limit: float, kind: Kind
) -> None:
    questions = QuestionSet((asked("a", "one two three"),))
    assert kinds(grade(questions, {"a": "one four five"}, limit=limit)) == [kind]  # 0.33


def test_rounding_does_not_decide() -> None:
    gold = " ".join(f"w{number}" for number in range(11))
    given_words = " ".join([*(f"w{number}" for number in range(6)), *"bcdefgh"])
    found = grade(QuestionSet((asked("a", gold),)), {"a": given_words})
    assert found.f1[0] < 0.5  # 6 of 11 and 13, which is one half
    assert kinds(found) == [MOSTLY_CORRECT]


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.01, float("nan")])
def test_a_limit_out_of_range_is_refused(limit: float) -> None:
    with pytest.raises(ConfigError, match="F1 limit must be above 0 and at most 1"):
        grade(QuestionSet((asked("a", "x"),)), {"a": "x"}, limit=limit)


WORDS = st.lists(st.sampled_from(["a", "the", "x", "y", "z", "."]), max_size=4).map(" ".join)
GOLD = st.lists(WORDS.filter(lambda text: bool(text.strip())), max_size=2)


@given(st.lists(st.tuples(GOLD, WORDS), min_size=1, max_size=6))
def test_right_and_wrong_are_what_the_script_counts(pairs: list[tuple[list[str], str]]) -> None:
    questions = QuestionSet(tuple(asked(str(i), *gold) for i, (gold, _) in enumerate(pairs)))
    predictions = {str(i): text for i, (_, text) in enumerate(pairs)}
    counts = Counter(kinds(grade(questions, predictions)))
    assert 100.0 * counts[CORRECT] / len(pairs) == score(questions, predictions)["exact"]
    assert counts[HAS_NO_ANSWER] <= sum(not gold for gold, _ in pairs)


def test_silence_begins_above_the_threshold() -> None:
    na_probs = {"a": 0.1, "b": 0.5, "c": 0.9}
    given_texts = {"a": "x", "b": "y", "c": "z"}
    assert silenced(given_texts, na_probs, threshold=0.5) == {"a": "x", "b": "y", "c": ""}


def test_a_prediction_without_a_no_answer_score_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 have none, the first 'b'"):
        silenced({"a": "x", "b": "y"}, {"a": 0.1}, threshold=0.5)
