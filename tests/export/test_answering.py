"""Exports that answer: made once for the same model and settings, and found again."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from limbeck.answer import Answerer
from limbeck.config import StudyConfig, load_config
from limbeck.errors import ModelError
from limbeck.export.answering import answering_folder, serve, teacher_folder
from limbeck.export.source import find_source
from limbeck.home import Home
from limbeck.store import Store
from limbeck.study import enter
from tests.export.conftest import Made
from tests.tiny import write_tiny_study

QUESTION = "who is the mayor of peru ?"
CONTEXT = "it rains and then it snows . the mayor of peru is eve . it rains ."


def with_max_answer_length(config: StudyConfig, length: int) -> StudyConfig:
    data = config.file.data.model_copy(update={"max_answer_length": length})
    return replace(config, file=config.file.model_copy(update={"data": data}))


def test_another_setting_is_another_export(store: Store, tmp_path: Path) -> None:
    source, home, said = find_source(store, "tiny", 0), Home(tmp_path), list[str]()
    first = answering_folder(source, home, say=said.append)
    assert answering_folder(source, home, say=said.append) == first
    assert said == ["exporting run 0 to ONNX, once"]
    other = replace(source, config=with_max_answer_length(source.config, 1))
    second = answering_folder(other, home, say=said.append)
    assert len(said) == 2
    assert [Answerer(each).settings.max_answer_length for each in (first, second)] == [4, 1]


def test_a_teacher_answers(store: Store, tmp_path: Path) -> None:
    said: list[str] = []
    folder = teacher_folder(store, "tiny", Home(tmp_path), say=said.append)
    assert Answerer(folder)(QUESTION, CONTEXT).text == "eve"
    assert Answerer(folder).settings.null_threshold == 0.0
    assert teacher_folder(store, "tiny", Home(tmp_path), say=said.append) == folder
    assert said == ["exporting the teacher to ONNX, once"]


def test_a_teacher_that_is_not_taught_yet_says_so(tmp_path: Path) -> None:
    path = write_tiny_study(tmp_path / "files", teacher={"model": "encoder"})
    home = Home(tmp_path / "home")
    with Store(home.store_url) as store:
        enter(store, load_config(path), runs=4)
        with pytest.raises(ModelError, match="must be fine-tuned before it is asked"):
            teacher_folder(store, "tiny", home, say=print)


def test_every_line_is_answered_in_turn(made: Made) -> None:
    requests = [
        {"store": made.url, "home": str(made.home)},
        {"study": "tiny", "model": 0, "question": QUESTION, "context": CONTEXT},
        {"study": "tiny", "model": 9, "question": QUESTION, "context": CONTEXT},
        {"study": "none", "model": "teacher", "question": QUESTION, "context": CONTEXT},
        {"study": "tiny", "model": 0, "question": QUESTION, "context": " "},
    ]
    answers = StringIO()
    serve(StringIO("".join(json.dumps(each) + "\n" for each in requests)), answers)
    lines = [json.loads(line) for line in answers.getvalue().splitlines()]
    answered, *refused = [line for line in lines if "note" not in line]
    assert (answered["answer"]["text"], answered["answer"]["threshold"]) == ("eve", 0.0)
    messages = ("has no run 9", "no study 'none'", "question and context must not be empty")
    for line, message in zip(refused, messages, strict=True):
        assert message in line["error"]
