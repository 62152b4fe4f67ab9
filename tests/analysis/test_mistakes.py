"""Answers of runs, teachers and files, graded and looked through."""

import json
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from limbeck.analysis.mistakes import (
    AnsweredQuestion,
    Answers,
    Examination,
    Outcome,
    examine,
    examine_run,
    file_answers,
    run_answers,
    select,
    teacher_answers,
)
from limbeck.analysis.results import StudyResults
from limbeck.artifacts import register
from limbeck.config import parse_config
from limbeck.errors import ConfigError, DataError, NotFoundError
from limbeck.home import Home
from limbeck.questions import Questions
from limbeck.runs import Run, RunState
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet, read_squad
from limbeck.tasks.question_answering.excerpts import Role
from limbeck.tasks.question_answering.mistakes import Kind
from limbeck.tasks.question_answering.scoring import read_predictions, score
from tests.tiny import tiny_study, write_tiny_study


def asked(question_id: str, title: str, text: str, context: str, *gold: str) -> Question:
    answers = tuple(Answer(text, context.index(text)) for text in gold)
    return Question(question_id, title, context, text, answers)


QUESTIONS = QuestionSet(
    (
        asked("n1", "Normans", "Who came?", "The Normans came in 1066.", "Normans", "The Normans"),
        asked("n2", "Normans", "When?", "The Normans came in 1066.", "in 1066"),
        asked("r1", "Rhine", "Where is it?", "The Rhine flows north.", "north"),
        asked("r2", "Rhine", "How long is it?", "The Rhine flows north."),
        asked("x1", "", "What?", "Nothing of note.", "Nothing"),
    )
)
MODEL = {"n1": "Normans", "n2": "in 1066 or so", "r1": "", "r2": "north", "x1": "Nothing"}
OTHER = {"n1": "The Normans", "n2": "in 1066", "r1": "south", "r2": "", "x1": ""}


@pytest.fixture
def examination() -> Examination:
    answers = [Answers(name="run 3", texts=MODEL, run=3), Answers(name="baseline", texts=OTHER)]
    return examine(answers, QUESTIONS)


def test_records_have_what_each_model_made_of_a_question(examination: Examination) -> None:
    first, second, *_ = examination.records
    assert (first.id, first.title, first.question) == ("n1", "Normans", "Who came?")
    assert first.context == "The Normans came in 1066."
    assert first.gold == ("Normans", "The Normans")
    assert (first.prediction, first.kind, first.exact, first.f1) == (
        "Normans",
        Kind.CORRECT,
        True,
        1,
    )
    assert first.start == 4
    assert (second.kind, second.exact) == (Kind.MOSTLY_CORRECT, False)
    assert second.f1 == pytest.approx(2 * 2 / (2 + 4))
    assert second.start is None
    assert second.others == {"baseline": "in 1066"}
    assert second.other_kinds == {"baseline": Kind.CORRECT}
    assert [record.kind for record in examination.records[2:]] == [
        Kind.LABEL_HAS_ANSWER,
        Kind.LABEL_HAS_NO_ANSWER,
        Kind.CORRECT,
    ]
    assert examination.records[4].title == "(no title)"


def test_outcomes_say_what_was_lost_and_gained(examination: Examination) -> None:
    assert [record.outcome("baseline") for record in examination.records] == [
        Outcome.BOTH_RIGHT,
        Outcome.LOST,
        Outcome.BOTH_WRONG,
        Outcome.LOST,
        Outcome.GAINED,
    ]


def test_excerpts_of_records_mark_both_answers(examination: Examination) -> None:
    pieces = examination.records[0].excerpt()
    assert [(piece.text, piece.role) for piece in pieces] == [
        ("The ", Role.GOLD),
        ("Normans", Role.BOTH),
        (" came in 1066.", Role.CONTEXT),
    ]


def test_facts_are_json_and_say_the_same(examination: Examination) -> None:
    facts = json.loads(json.dumps(examination.records[1].facts()))
    assert facts == {
        "id": "n2",
        "title": "Normans",
        "question": "When?",
        "gold": ["in 1066"],
        "prediction": "in 1066 or so",
        "start": None,
        "kind": "mostly correct",
        "exact": False,
        "f1": pytest.approx(2 / 3),
        "others": {"baseline": {"prediction": "in 1066", "kind": "correct"}},
    }


def ids(records: tuple[AnsweredQuestion, ...]) -> list[str]:
    return [record.id for record in records]


def test_records_are_selected_by_all_that_is_asked_for(examination: Examination) -> None:
    records = examination.records
    assert ids(select(records)) == ["n1", "n2", "r1", "r2", "x1"]
    assert ids(select(records, kinds=[Kind.CORRECT, Kind.LABEL_HAS_ANSWER])) == ["n1", "r1", "x1"]
    assert ids(select(records, topics=["Rhine", "(no title)"])) == ["r1", "r2", "x1"]
    assert ids(select(records, against=("baseline", Outcome.LOST))) == ["n2", "r2"]
    assert ids(select(records, kinds=[Kind.CORRECT], topics=["Normans"])) == ["n1"]
    assert select(records, kinds=[]) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RHINE", ["r1", "r2"]),  # title and context
        ("so 1066", ["n2"]),  # the model's answer
        ("south", ["r1"]),  # the other's
        ("came who", ["n1"]),  # in any order
        ("how rhine 1066", []),
        ("   ", ["n1", "n2", "r1", "r2", "x1"]),
    ],
)
def test_text_is_searched_in_all_that_is_said(
    examination: Examination, text: str, found: list[str]
) -> None:
    assert ids(select(examination.records, text=text)) == found


def test_only_what_all_models_answered_is_compared() -> None:
    few = {key: OTHER[key] for key in ("n2", "r1")}
    found = examine([Answers(name="a", texts=MODEL), Answers(name="b", texts=few)], QUESTIONS)
    assert ids(found.records) == ["n2", "r1"]
    assert found.left_out == 3


@pytest.mark.parametrize(
    ("answers", "error", "match"),
    [
        ([Answers(name="a", texts={"n1": "x", "z": "y"})], DataError, "1 of 2 are not, .*'z'"),
        ([Answers(name="a", texts={})], DataError, "at least one question .* by a, but there is"),
        ([Answers(name="a", texts=MODEL)] * 2, ConfigError, "different names, but got a, a"),
    ],
)
def test_answers_that_fit_no_question_are_refused(
    answers: list[Answers], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        examine(answers, QUESTIONS)


def test_an_absent_model_is_named(examination: Examination) -> None:
    with pytest.raises(NotFoundError, match="run 3 is compared with baseline, but not with 'x'"):
        examination.other("x")


@pytest.fixture
def results(tmp_path: Path) -> StudyResults:
    """A study whose questions lie in ``tmp_path``; runs 0 and 2 answered, run 1 failed."""
    write_tiny_study(tmp_path)
    config = parse_config(tiny_study(), folder=tmp_path, name="study")
    questions, home = Questions(config).scored, Home(tmp_path / "home")
    runs = []
    for number in range(3):
        folder = home.run("tiny", number)
        folder.mkdir(parents=True)
        answers = {q.id: "ada" if number else "" for q in questions.questions}
        (folder / "predictions.json").write_text(json.dumps(answers))
        artifact = register("predictions.json", folder / "predictions.json")
        run = Run(number=number, state=RunState.FINISHED, parameters={}, artifacts=(artifact,))
        runs.append(run)
    runs[1] = replace(runs[1], state=RunState.FAILED, artifacts=())
    return StudyResults(
        name="tiny",
        metrics=config.metrics,
        parameters=config.parameters,
        runs=tuple(runs),
        config=config,
    )


def test_a_run_is_examined_against_baseline_and_teacher(
    results: StudyResults, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    assert results.config
    questions = Questions(results.config).scored
    texts = {question.id: "bob" for question in questions.questions}
    folder = home.teacher("tiny")
    folder.mkdir(parents=True)
    (folder / "predictions.json").write_text(json.dumps(texts))
    found = examine_run(results, 2, home=home)
    assert found.model.name == "run 2"
    assert found.model.run == 2
    assert [other.name for other in found.others] == ["baseline", "teacher"]
    assert found.questions == questions
    right = 100.0 * float(found.model.grades.right.mean())
    assert right == pytest.approx(score(questions, dict.fromkeys(texts, "ada"))["exact"])
    assert set(found.other("teacher").texts) == {"bob"}
    assert [other.name for other in examine_run(results, 0, home=home).others] == ["teacher"]


def test_a_run_is_examined_alone_where_nobody_else_answered(
    results: StudyResults, tmp_path: Path
) -> None:
    runs = (replace(results.runs[0], artifacts=()), *results.runs[1:])
    found = examine_run(replace(results, runs=runs), 2, home=Home(tmp_path / "home"), limit=0.9)
    assert found.others == ()
    assert found.limit == 0.9


def test_questions_that_were_read_before_are_not_read_again(
    results: StudyResults, tmp_path: Path
) -> None:
    assert results.config
    questions = Questions(results.config).scored
    (tmp_path / "dev.json").unlink()
    found = examine_run(results, 2, home=Home(tmp_path / "home"), questions=questions)
    assert found.questions is questions


def test_a_run_without_answers_is_named(results: StudyResults, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"run 1 of study 'tiny' .* it is failed; name a fin"):
        examine_run(results, 1, home=Home(tmp_path / "home"))


def test_a_study_of_any_function_has_no_questions(results: StudyResults, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="'tiny' has no study file, and so no questions"):
        examine_run(replace(results, config=None), 2, home=Home(tmp_path / "home"))


def test_answers_that_were_changed_are_refused(results: StudyResults, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (home.run("tiny", 2) / "predictions.json").write_text("{}")
    with pytest.raises(DataError, match="must be as the run left it"):
        run_answers("tiny", results.runs[2], home)


def test_answers_are_read_from_where_the_store_says(results: StudyResults, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (artifact,) = results.runs[2].artifacts
    files = fsspec.filesystem("memory")
    files.put_file(artifact.path, "/mistakes/predictions.json")
    (home.run("tiny", 2) / "predictions.json").unlink()
    away = replace(artifact, path="memory://mistakes/predictions.json")
    texts = run_answers("tiny", replace(results.runs[2], artifacts=(away,)), home).texts
    assert set(texts.values()) == {"ada"}


def test_a_teacher_that_was_not_examined_has_no_answers(tmp_path: Path) -> None:
    assert teacher_answers("tiny", Home(tmp_path)) is None


def test_answers_of_a_file_are_silenced_by_their_no_answer_scores(tmp_path: Path) -> None:
    path, odds = tmp_path / "mine.json", tmp_path / "odds.json"
    path.write_text(json.dumps({"a": "x", "b": "y"}))
    odds.write_text(json.dumps({"a": 3, "b": 1}))
    assert file_answers(path) == Answers(name="mine.json", texts={"a": "x", "b": "y"})
    assert file_answers(path, na_probs=odds, threshold=2).texts == {"a": "", "b": "y"}


def test_published_answers_are_all_graded(shared_data: Path) -> None:
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz")
    folder = shared_data / "squad" / "predictions"
    texts = {name: read_predictions(folder / f"{name}-v2.0.json") for name in ("bert", "skim-read")}
    found = examine([Answers(name=name, texts=text) for name, text in texts.items()], questions)
    lost = select(found.records, against=("skim-read", Outcome.LOST))
    gained = select(found.records, against=("skim-read", Outcome.GAINED))
    official = {
        name: json.loads((folder / f"{name}-v2.0.official.json").read_text())["exact"]
        for name in texts
    }
    difference = 100 * (len(gained) - len(lost)) / 11_873
    assert difference == pytest.approx(official["bert"] - official["skim-read"], abs=1e-9)
