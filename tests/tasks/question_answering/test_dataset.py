import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.errors import ConfigError, DataError
from limbeck.tasks.question_answering.dataset import (
    Answer,
    Question,
    QuestionSet,
    read_json,
    read_squad,
)

CONTEXT = "Paris is the capital of France."


def document() -> dict[str, Any]:
    """Two articles: one answerable question, one unanswerable, one of the second article."""
    return {
        "version": "v2.0",
        "data": [
            {
                "title": "Paris",
                "paragraphs": [
                    {
                        "context": CONTEXT,
                        "qas": [
                            {
                                "id": "a",
                                "question": "Which city?",
                                "answers": [{"text": "Paris", "answer_start": 0}],
                                "is_impossible": False,
                            },
                            {
                                "id": "b",
                                "question": "Which river?",
                                "answers": [],
                                "is_impossible": True,
                            },
                        ],
                    }
                ],
            },
            {
                "title": "Rome",
                "paragraphs": [
                    {
                        "context": "Rome is old.",
                        "qas": [
                            {
                                "id": "c",
                                "question": "How is Rome?",
                                "answers": [{"text": "old", "answer_start": 8}],
                            }
                        ],
                    }
                ],
            },
        ],
    }


def write(folder: Path, content: object) -> Path:
    path = folder / "questions.json"
    path.write_text(json.dumps(content))
    return path


def make_questions(sizes: dict[str, int]) -> QuestionSet:
    return QuestionSet(
        tuple(
            Question(id=f"{title}-{number}", title=title, context=CONTEXT, question="Which?")
            for title, size in sizes.items()
            for number in range(size)
        )
    )


def test_read_squad_keeps_everything_in_data_order(tmp_path: Path) -> None:
    questions = read_squad(write(tmp_path, document()))
    assert questions.questions == (
        Question("a", "Paris", CONTEXT, "Which city?", (Answer("Paris", 0),)),
        Question("b", "Paris", CONTEXT, "Which river?", ()),
        Question("c", "Rome", "Rome is old.", "How is Rome?", (Answer("old", 8),)),
    )
    assert [question.answerable for question in questions.questions] == [True, False, True]
    assert questions.has_unanswerable


def test_a_compressed_file_holds_the_same_questions(tmp_path: Path) -> None:
    path = tmp_path / "questions.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document()).encode()))
    assert read_squad(path) == read_squad(write(tmp_path, document()))


def test_articles_need_no_title(tmp_path: Path) -> None:
    content = document()
    del content["data"][0]["title"]
    assert read_squad(write(tmp_path, content)).questions[0].title == ""


@pytest.mark.parametrize(
    ("name", "count", "unanswerable"),
    [
        ("dev-v1.1.json.gz", 10_570, 0),
        ("dev-v2.0.json.gz", 11_873, 5_945),
        ("train-v2.0.rebuilt.json.gz", 131_097, 43_498),
    ],
)
def test_real_files_load(shared_data: Path, name: str, count: int, unanswerable: int) -> None:
    questions = read_squad(shared_data / "squad" / name)
    assert len(questions) == count
    assert sum(not question.answerable for question in questions.questions) == unanswerable
    assert questions.has_unanswerable is bool(unanswerable)


def drop(*path: str | int) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        del content[path[-1]]

    return change


def put(*path: str | int, value: object) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


PARAGRAPH = ("data", 0, "paragraphs", 0)
FIRST = (*PARAGRAPH, "qas", 0)
ANSWER = (*FIRST, "answers", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("data"), r"the file must have 'data', but has only \['version'\]"),
        (put("data", value={}), r"the file: 'data' must be list, but got dict"),
        (put("data", 1, value=3), r"the file, data\[1\] must be an object, but got int"),
        (drop("data", 1, "paragraphs"), r"data\[1\] must have 'paragraphs'"),
        (put("data", 1, "title", value=7), r"data\[1\]: 'title' must be str, but got int"),
        (drop(*PARAGRAPH, "context"), r"data\[0\], paragraphs\[0\] must have 'context'"),
        (drop(*PARAGRAPH, "qas"), r"data\[0\], paragraphs\[0\] must have 'qas'"),
        (drop(*FIRST, "id"), r"paragraphs\[0\], qas\[0\] must have 'id', but has only"),
        (put(*FIRST, "id", value=5), r"qas\[0\]: 'id' must be str, but got int"),
        (drop(*FIRST, "question"), r"qas\[0\] must have 'question'"),
        (drop(*FIRST, "answers"), r"qas\[0\] must have 'answers'"),
        (drop(*ANSWER, "text"), r"qas\[0\], answers\[0\] must have 'text'"),
        (drop(*ANSWER, "answer_start"), r"answers\[0\] must have 'answer_start'"),
        (put(*ANSWER, "answer_start", value=True), r"'answer_start' must be int, but got bool"),
        (
            put(*ANSWER, "answer_start", value=1),
            r"question 'a': the answer 'Paris' must stand in the context at character 1, "
            r"but 'aris ' stands there",
        ),
        (put(*ANSWER, "answer_start", value=-31), r"at character -31, but '' stands there"),
        (put(*ANSWER, "text", value=" "), r"question 'a': the answer text must not be empty"),
        (put(*PARAGRAPH, "context", value=" \n"), r"question 'a': the context must not be empty"),
        (put(*FIRST, "question", value=""), r"question 'a': the question must not be empty"),
        (put(*FIRST, "question", value="\ud800"), r"question must be valid Unicode.* character 0"),
        (put(*FIRST, "id", value="b"), r"ids must differ, but 'b' occurs more than once"),
        (
            put(*FIRST, "is_impossible", value=True),
            r"'a': is_impossible must be .* True with 1 answers",
        ),
        (
            put(*FIRST, "answers", value=[]),
            r"'a': is_impossible must be .* got False with 0 answers",
        ),
        (put("data", value=[]), r"at least one question, but there is none"),
    ],
)
def test_broken_questions_are_refused_with_file_place_and_reason(
    tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    content = document()
    change(content)
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_squad(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_of_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the file must hold an object, but got list"):
        read_squad(write(tmp_path, [document()]))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: no such file"):
        read_json(tmp_path / "nowhere.json")


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "questions.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document()).encode())[:-20])
    with pytest.raises(DataError, match=r"must be a whole gzip file, but .*; fetch it anew"):
        read_json(path)


@pytest.mark.parametrize("content", [b'{"data": [}', b"", b"\xff\xfe\xfd", b"<html>"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "questions.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"questions\.json: must be JSON, but "):
        read_json(path)


def test_what_is_no_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "questions.json.gz"
    path.write_text(json.dumps(document()))
    with pytest.raises(DataError, match=r"must be a whole gzip file, but Not a gzipped file"):
        read_json(path)


def test_the_fingerprint_is_the_same_for_the_same_questions_only() -> None:
    question = Question("a", "Paris", CONTEXT, "Which city?", (Answer("Paris", 0),))
    other = Question("b", "Paris", CONTEXT, "Which river?")
    fingerprint = QuestionSet((question, other)).fingerprint
    assert QuestionSet((question, other)).fingerprint == fingerprint
    different = [
        (other, question),
        (question,),
        (Question("x", "Paris", CONTEXT, "Which city?", question.answers), other),
        (Question("a", "Rome", CONTEXT, "Which city?", question.answers), other),
        (Question("a", "Paris", CONTEXT + " ", "Which city?", question.answers), other),
        (Question("a", "Paris", CONTEXT, "Which town?", question.answers), other),
        (Question("a", "Paris", CONTEXT, "Which city?", (Answer("is", 6),)), other),
        (Question("a", "Paris", CONTEXT, "Which city?", (Answer("is", 3 + 3),) * 2), other),
    ]
    fingerprints = {QuestionSet(questions).fingerprint for questions in different}
    assert len(fingerprints | {fingerprint}) == len(different) + 1


@given(count=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_a_sample_keeps_data_order_and_depends_on_the_seed_alone(count: int, seed: int) -> None:
    questions = make_questions({"Paris": 20, "Rome": 10})
    sample = questions.sample(count, seed)
    places = [questions.questions.index(question) for question in sample.questions]
    assert len(places) == min(count, 30)
    assert places == sorted(set(places))
    assert sample == questions.sample(count, seed)


def test_samples_of_different_seeds_differ() -> None:
    questions = make_questions({"Paris": 1_000})
    assert questions.sample(100, seed=0) != questions.sample(100, seed=1)


def test_a_sample_of_everything_is_the_set_itself() -> None:
    questions = make_questions({"Paris": 3})
    assert questions.sample(3, seed=0) is questions


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 question, but got 0"):
        make_questions({"Paris": 3}).sample(0, seed=0)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=12),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_articles_stay_whole_when_split(sizes: list[int], share: float, seed: int) -> None:
    questions = make_questions({f"article {i}": size for i, size in enumerate(sizes)})
    first, second = questions.split_by_article(share, seed)
    titles = [{question.title for question in side.questions} for side in (first, second)]
    assert titles[0].isdisjoint(titles[1])
    assert sorted(q.id for side in (first, second) for q in side.questions) == sorted(
        q.id for q in questions.questions
    )
    assert (first, second) == questions.split_by_article(share, seed)
    # Taking articles in turn, one side can be off by no more than half of the largest article,
    # unless it must keep one article.
    kept_one = min(len(titles[0]), len(titles[1])) == 1
    assert kept_one or abs(len(first) - share * len(questions)) <= max(sizes) / 2


def test_a_split_meets_the_share_of_equal_articles_exactly() -> None:
    questions = make_questions({f"article {i}": 5 for i in range(20)})
    first, second = questions.split_by_article(0.1, seed=3)
    assert (len(first), len(second)) == (10, 90)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="share must be between 0 and 1, but got"):
        make_questions({"Paris": 3, "Rome": 3}).split_by_article(share, seed=0)


def test_one_article_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"at least 2 different titles, but got \['Paris'\]"):
        make_questions({"Paris": 3}).split_by_article(0.5, seed=0)
