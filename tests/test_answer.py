"""The answering runtime, beside the code that scores students."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from limbeck.answer import Answerer, AnsweringError, best_spans, cut, main, read_settings
from limbeck.config import DataSettings
from limbeck.export.onnx import write_onnx
from limbeck.students.loading import load_teacher
from limbeck.tasks.question_answering import windows as reference
from limbeck.tasks.question_answering.answers import best_answers
from limbeck.tasks.question_answering.dataset import Question, QuestionSet
from limbeck.tasks.question_answering.features import Features
from tests.tiny import tiny_questions, tiny_student, write_tiny_teacher

DATA = DataSettings(
    train="train.json", max_length=32, doc_stride=16, max_query_length=8, max_answer_length=4
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX export of a student of one head, none and four heads."""
    parent = tmp_path_factory.mktemp("answer")
    teacher = load_teacher(str(write_tiny_teacher(parent / "teacher")))
    student = tiny_student(teacher, layers=3, heads=(1, 0, 4))
    student.save_pretrained(parent / "student")
    for file in (parent / "teacher").glob("tokenizer*"):
        (parent / "student" / file.name).write_bytes(file.read_bytes())
    made = parent / "onnx"
    made.mkdir()
    write_onnx(parent / "student", made, DATA, gives_null=True, int8=False)
    return made


@given(count=st.integers(0, 90), capacity=st.integers(1, 30), stride=st.integers(1, 40))
def test_windows_are_those_that_students_are_scored_on(
    count: int, capacity: int, stride: int
) -> None:
    expected = reference.cut(np.array([count]), np.array([capacity]), stride)
    assert cut(count, capacity, stride) == list(
        zip(expected.begin.tolist(), expected.count.tolist(), strict=True)
    )


def test_no_room_for_the_context_is_refused() -> None:
    with pytest.raises(AnsweringError, match="leaves 0 tokens; ask a shorter question"):
        cut(10, 0, 4)


def scored(
    count: int, capacity: int, stride: int, start: NDArray[np.float32], end: NDArray[np.float32]
) -> Features:
    """Return features of one question without a token around its context, for the reference."""
    made = reference.cut(np.array([count]), np.array([capacity]), stride)
    tokens = reference.ragged_arange(made.count) + np.repeat(made.begin, made.count)
    offsets = np.stack([tokens, tokens + 1], axis=1)
    zeros = np.zeros(len(made.count), np.int32)
    return Features(
        key="",
        starts=reference.running_sum(made.count),
        input_ids=np.zeros(len(tokens), np.int32),
        token_type_ids=np.zeros(len(tokens), np.uint8),
        offsets=offsets.astype(np.int32),
        is_max_context=reference.most_context(made),
        question_index=zeros,
        context_begin=zeros,
        context_end=made.count.astype(np.int32),
        start_position=zeros,
        end_position=zeros,
    )


@settings(max_examples=200)
@given(
    count=st.integers(1, 40),
    capacity=st.integers(2, 20),
    stride=st.integers(1, 20),
    longest=st.integers(1, 6),
    n_best=st.integers(1, 8),
    seed=st.integers(0, 10_000),
)
def test_best_spans_are_those_of_the_scoring_with_ties_in_the_same_order(
    count: int, capacity: int, stride: int, longest: int, n_best: int, seed: int
) -> None:
    windows = cut(count, capacity, stride)
    total = sum(size for _, size in windows)
    generator = np.random.default_rng(seed)
    # Few different values, so that many spans are equally good.
    start, end = generator.integers(-2, 3, (2, total)).astype(np.float32)
    context = "".join(chr(0x4E00 + place) for place in range(count))  # No text comes twice.
    questions = QuestionSet((Question(id="q", title="", context=context, question="?"),))
    features = scored(count, capacity, stride, start, end)
    expected = best_answers(
        questions, features, start, end, max_answer_length=longest, n_best=n_best
    ).n_best["q"]
    edges = reference.running_sum(np.array([size for _, size in windows]))
    logits = [(start[a:b], end[a:b]) for a, b in pairwise(edges.tolist())]
    found = best_spans(windows, logits, max_answer_length=longest, n_best=n_best)
    distinct = list(dict.fromkeys((first, last + 1) for _, first, last in found))[:n_best]
    assert distinct == [(each.start_char, each.end_char) for each in expected]
    assert found[0][0] == expected[0].score


def test_it_answers_every_question_as_the_scoring_would(folder: Path) -> None:
    """Contexts of several windows, questions without an answer; see also tests/export."""
    questions = tiny_questions(30, seed=5)
    answerer = Answerer(folder, threads=1)
    answers = [answerer(each.question, each.context) for each in questions.questions]
    right = [
        answer.text == (each.answers[0].text if each.answers else "")
        for answer, each in zip(answers, questions.questions, strict=True)
        if "finn" not in each.context  # The teacher does not know him.
    ]
    assert len(right) > 15
    assert all(right)
    assert max(answer.windows for answer in answers) > 1


def test_probabilities_of_candidates_and_no_answer_sum_to_one(folder: Path) -> None:
    answer = Answerer(folder)("who is the king of chad ?", "the king of chad is bob .", n_best=3)
    shares = [each.probability for each in answer.candidates] + [answer.no_answer_probability]
    assert sum(shares) == pytest.approx(1.0)
    first, second, _ = answer.candidates
    assert (first.text, first.start, first.end) == ("bob", 20, 23)
    # Probabilities are softmax: their logarithms differ as the scores do.
    assert np.log(first.probability / second.probability) == pytest.approx(
        first.score - second.score
    )
    assert answer.null_odds is not None
    assert np.log(answer.no_answer_probability / first.probability) == pytest.approx(
        answer.null_odds
    )


def test_the_threshold_decides_when_there_is_no_answer(folder: Path) -> None:
    answerer = Answerer(folder)
    question, context = "who is the king of chad ?", "the king of chad is bob ."
    odds = answerer(question, context).null_odds
    assert odds is not None
    assert odds < 0
    assert answerer(question, context, threshold=odds - 0.01).text == ""
    assert answerer(question, context, threshold=odds + 0.01).text == "bob"


def test_without_a_threshold_some_answer_is_always_given(folder: Path) -> None:
    answerer = Answerer(folder)
    context = "the king of chad is not known ."
    assert answerer("who is the king of chad ?", context).text == ""
    answerer.settings = replace(answerer.settings, null_threshold=None)
    answer = answerer("who is the king of chad ?", context)
    assert answer.text != ""
    assert answer.no_answer_probability == 0.0
    assert sum(each.probability for each in answer.candidates) == pytest.approx(1.0)


def test_what_cannot_be_asked_is_refused(folder: Path, tmp_path: Path) -> None:
    answerer = Answerer(folder)
    with pytest.raises(AnsweringError, match="must not be empty"):
        answerer(" ", "the king .")
    with pytest.raises(AnsweringError, match="n_best must be at least 1"):
        answerer("who ?", "the king .", n_best=0)
    with pytest.raises(AnsweringError, match=r"must hold model\.onnx, but does not"):
        Answerer(tmp_path)
    (tmp_path / "answering.json").write_text('{"max_length": 3}')
    with pytest.raises(AnsweringError, match="must hold the settings of an export"):
        read_settings(tmp_path / "answering.json")


def test_command_line_refuses_a_missing_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["--folder", str(folder), "--question", "who ?", "--context-file", "none.txt"])
    assert "No such file" in capsys.readouterr().err


def test_the_folder_answers_alone_without_torch_or_limbeck(folder: Path, tmp_path: Path) -> None:
    """In a fresh process that may import neither."""
    (tmp_path / "page.txt").write_text("it rains . the mayor of peru is eve .")
    code = (
        "import runpy, sys\n"
        "for name in ('torch', 'transformers', 'limbeck'): sys.modules[name] = None\n"
        "sys.argv = ['answer.py', '--question', 'who is the mayor of peru ?',"
        " '--context-file', 'page.txt', '--threads', '1']\n"
        f"runpy.run_path({str(folder / 'answer.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["text"], answer["windows"]) == ("eve", 1)


def test_importing_it_loads_no_torch() -> None:
    code = (
        "import sys, limbeck.answer\n"
        "print(sorted({'torch', 'transformers', 'onnx', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
