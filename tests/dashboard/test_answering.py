"""The process that answers: started when asked, ended when idle, replaced when it breaks off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from limbeck.dashboard.answering import (
    LONGEST_CONTEXT,
    LONGEST_QUESTION,
    TEACHER,
    Answering,
    Asked,
    Patience,
    Reply,
)
from limbeck.errors import ConfigError, UnavailableError
from limbeck.home import Home
from tests.dashboard.studied import FAILED, STUDY, WITH_MODEL, Studied

QUESTION = "who is the mayor of peru ?"
CONTEXT = "it rains and then it snows . the mayor of peru is eve . it rains ."
STUDENT = WITH_MODEL[0]

ECHO = """
import json, sys
place = json.loads(sys.stdin.readline())
for line in sys.stdin:
    asked = json.loads(line)
    if asked["question"] == "die":
        sys.exit(7)
    if asked["question"] == "sleep":
        print(json.dumps({"note": "sleeping"}), flush=True)
        sys.stdin.read()
    said = f"{place['store']} {asked['model']} {asked['question']}"
    print(json.dumps({"error": said}), flush=True)
"""


def echo(**patience: float) -> Answering:
    """Answers from a program that loads nothing."""
    patience = {"idle_seconds": 1.0, **patience}
    return Answering(
        "store",
        Home(Path("home")),
        patience=Patience(**patience),  # type: ignore[arg-type]
        program=(sys.executable, "-c", ECHO),
    )


def wait(condition: Callable[[], bool], *, seconds: float = 90.0) -> None:
    """Wait until a condition holds, of another process or thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def answered(answering: Answering, ticket: str) -> Asked:
    """Return a question when all models have answered it."""
    wait(lambda: (answering.look(ticket) or pytest.fail("forgotten")).done)
    asked = answering.look(ticket)
    assert asked is not None
    return asked


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.fixture(scope="module")
def answering(studied: Studied) -> Answering:
    """Answers with the models of the study."""
    return Answering(studied.home.store_url, studied.home, patience=Patience(idle_seconds=1e6))


def test_students_and_the_teacher_answer_as_they_do_in_the_study(
    answering: Answering, studied: Studied
) -> None:
    asked = answered(answering, answering.ask(STUDY, [TEACHER, STUDENT], QUESTION, CONTEXT))
    assert list(asked.replies) == [TEACHER, STUDENT]
    for reply in asked.replies.values():
        assert isinstance(reply, Reply)
        assert reply.text == "eve"
        assert reply.null_odds is not None
        assert reply.null_odds < 0
        assert reply.threshold == 0.0, "some questions of the study have no answer"
        best = reply.candidates[0]
        assert CONTEXT[best.start : best.end] == best.text == "eve"
        assert reply.milliseconds > 0
    # The tiny student is a copy of the teacher: both get the same export but for its settings.
    teacher, student = asked.replies.values()
    assert isinstance(teacher, Reply)
    assert isinstance(student, Reply)
    assert teacher.candidates == student.candidates


def test_what_cannot_be_asked_says_why_and_the_others_answer(answering: Answering) -> None:
    asked = answered(answering, answering.ask(STUDY, [FAILED, 77, STUDENT], QUESTION, CONTEXT))
    assert f"only a finished run has a student, but run {FAILED}" in str(asked.replies[FAILED])
    assert str(asked.replies[77]).startswith("study 'tiny' has no run 77")
    assert isinstance(asked.replies[STUDENT], Reply)


def test_the_dashboard_itself_loads_no_model(studied: Studied) -> None:
    code = (
        "import sys; import limbeck.dashboard.app; "
        "print([n for n in ('torch', 'onnxruntime', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_process_that_breaks_off_costs_one_answer(answering: Answering) -> None:
    before = children()
    broken = echo()
    asked = answered(broken, broken.ask("s", [1], "die", "x"))
    assert "broke off (exit code 7)" in str(asked.replies[1])
    again = answered(broken, broken.ask("s", [1, 2], "well", "x"))
    assert dict(again.replies) == {1: "store 1 well", 2: "store 2 well"}
    (started,) = children() - before
    os.kill(started, signal.SIGKILL)
    lost = answered(broken, broken.ask("s", [1, 2], "well", "x"))
    assert "broke off (exit code -9)" in str(lost.replies[1])
    assert lost.replies[2] == "store 2 well"


def test_one_that_takes_too_long_is_ended() -> None:
    before = children()
    slow = echo(answer_seconds=0.5)
    asked = answered(slow, slow.ask("s", [1], "sleep", "x"))
    assert "run 1 must answer within 0 seconds" in str(asked.replies[1])
    assert children() <= before


def test_it_ends_when_idle_and_starts_again() -> None:
    before = children()
    idle = echo(idle_seconds=0.1)
    for _ in range(2):
        assert answered(idle, idle.ask("s", [1], "well", "x")).replies[1] == "store 1 well"
        wait(lambda: children() <= before)


def test_questions_wait_for_their_turn_but_not_too_many_nor_too_long() -> None:
    busy = echo(waiting=2, turn_seconds=1.0, answer_seconds=2.0)
    first = busy.ask("s", [1], "sleep", "x")
    wait(lambda: (busy.look(first) or pytest.fail("forgotten")).note == "sleeping")
    waiting = [busy.ask("s", [1], "well", "x") for _ in range(2)]
    with pytest.raises(UnavailableError, match="at most 2 questions wait"):
        busy.ask("s", [1], "well", "x")
    for ticket in waiting:
        reply = answered(busy, ticket).replies[1]
        assert reply == "others asked for more than 1 seconds; ask again"


@pytest.mark.parametrize(
    ("models", "question", "context", "message"),
    [
        ([], "q", "c", "at least one model"),
        ([1, 2, 3, 4, 5], "q", "c", "at most 4 students are asked at once, but 5"),
        ([1], " ", "c", "the question must not be empty"),
        ([1], "q", "\n", "the paragraph must not be empty"),
        ([1], "q" * (LONGEST_QUESTION + 1), "c", "at most 1,000 characters, but has 1,001"),
        ([1], "q", "c" * (LONGEST_CONTEXT + 1), "at most 20,000 characters, but has 20,001"),
    ],
)
def test_what_nobody_can_answer_is_refused(
    models: list[int], question: str, context: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        echo().ask("s", models, question, context)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.dashboard.answering._PACKAGES", ("limbeck_has_no_such",))
    with pytest.raises(ConfigError, match=r"limbeck_has_no_such.*pip install 'limbeck\[onnx\]'"):
        echo().ask("s", [1], "q", "c")


def test_a_ticket_that_nobody_gave_shows_nothing() -> None:
    assert echo().look("x") is None


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", "{}", '"', "ü" * 500])
def test_any_text_comes_through(text: str) -> None:
    every = echo()
    assert answered(every, every.ask("s", [1], text, text)).replies[1] == f"store 1 {text}"
