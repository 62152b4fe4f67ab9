"""Questions of visitors, answered by models in a process of their own, one after the other.

The process runs `limbeck.export.answering`: it is started when somebody asks, and ends when nobody
has for a while, or with the dashboard. This one loads no model.
"""

import json
import subprocess
import sys
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from queue import Empty, Queue
from secrets import token_urlsafe
from threading import Lock, Thread
from typing import IO, Any

from limbeck.errors import ConfigError, UnavailableError
from limbeck.home import Home

TEACHER = "teacher"
MOST_STUDENTS = 4
LONGEST_CONTEXT = 20_000
LONGEST_QUESTION = 1_000
"""Characters, as those of a context."""

PROGRAM = (sys.executable, "-m", "limbeck.export.answering")
_PACKAGES = ("onnxruntime", "onnx", "onnxscript")
_GRACE_SECONDS = 5.0
"""How long a process that has closed its output may take to end."""
_REMEMBERED = 100
"""Questions whose answers can still be looked at."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long is waited for what.

    Attributes:
        waiting: Most questions that wait for their turn.
        turn_seconds: Most that one waits for it.
        answer_seconds: Most that a model takes to be exported, loaded and asked.
        idle_seconds: After which the process ends unless somebody asks.
    """

    waiting: int = 10
    turn_seconds: float = 120.0
    answer_seconds: float = 180.0
    idle_seconds: float = 300.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A part of the context that may be the answer; see `limbeck.answer.Candidate`."""

    text: str
    start: int
    end: int
    score: float
    probability: float


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model answered; see `limbeck.answer.Answer`.

    Attributes:
        text: The answer; empty for "no answer".
        null_odds: Score of "no answer" minus that of the best candidate; None without any.
        threshold: The model answers nothing if the null odds are above it; never if None.
        no_answer_probability: Between 0 and 1; 0 if "no answer" is never given.
        candidates: Best first.
        milliseconds: Wall time of the answer, without loading the model.
    """

    text: str
    null_odds: float | None
    threshold: float | None
    no_answer_probability: float
    candidates: tuple[Candidate, ...]
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, and how far it is answered.

    Attributes:
        study: Whose models are asked.
        models: `TEACHER`, or numbers of runs.
        question: What is asked.
        context: The text that is to answer it.
        replies: What the models that are done answered, or in one line why they did not.
        note: What is being done now.
        begun: Seconds of the monotonic clock when it was asked.
    """

    study: str
    models: tuple[str | int, ...]
    question: str
    context: str
    replies: Mapping[str | int, Reply | str] = field(default_factory=dict)
    note: str = "waiting for other questions"
    begun: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> bool:
        """Whether all models have answered, or failed to."""
        return len(self.replies) == len(self.models)


class Answering:
    """Takes questions from any number of threads.

    Args:
        store_url: Where the studies are.
        home: Where their files are; gets the exports.
        patience: How long is waited for what.
        program: What answers; see `limbeck.export.answering`.
    """

    def __init__(
        self,
        store_url: str,
        home: Home,
        *,
        patience: Patience | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._place = {"store": store_url, "home": str(home.folder)}
        self._patience = patience or Patience()
        self._program = tuple(program)
        self._lock = Lock()
        self._asked: OrderedDict[str, Asked] = OrderedDict()
        self._tickets: Queue[str] = Queue()
        self._thread: Thread | None = None
        self._process: _Process | None = None

    def ask(self, study: str, models: Sequence[str | int], question: str, context: str) -> str:
        """Have a question answered; return the ticket to look at it with, which cannot be guessed.

        Raises:
            ConfigError: If it is empty or too long, it is for nobody or too many, or a package is
                missing.
            UnavailableError: If too many others wait.
        """
        check_packages()
        _check(models, question, context)
        asked = Asked(study=study, models=tuple(models), question=question, context=context)
        with self._lock:
            if self._tickets.qsize() >= self._patience.waiting:
                raise UnavailableError(
                    f"at most {self._patience.waiting} questions wait for their turn, and that "
                    "many do; ask again in a minute"
                )
            ticket = token_urlsafe(16)
            self._asked[ticket] = asked
            if len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
            self._tickets.put(ticket)
            if self._thread is None:
                self._thread = Thread(target=self._work, name="answering", daemon=True)
                self._thread.start()
        return ticket

    def look(self, ticket: str) -> Asked | None:
        """Return a question with its answers so far; None if it is no longer remembered."""
        with self._lock:
            return self._asked.get(ticket)

    def _work(self) -> None:
        """Answer what waits; end when nothing has for long."""
        while True:
            try:
                ticket = self._tickets.get(timeout=self._patience.idle_seconds)
            except Empty:
                with self._lock:
                    if self._tickets.empty():
                        self._end_process()
                        self._thread = None
                        return
                continue
            self._answer(ticket)

    def _answer(self, ticket: str) -> None:
        asked = self.look(ticket)
        if asked is None:
            return
        waited = time.monotonic() - asked.begun
        for model in asked.models:
            if waited > self._patience.turn_seconds:
                reply: Reply | str = (
                    f"others asked for more than {self._patience.turn_seconds:.0f} seconds; "
                    "ask again"
                )
            else:
                reply = self._reply(ticket, asked, model)
            self._note(ticket, replies={model: reply})

    def _reply(self, ticket: str, asked: Asked, model: str | int) -> Reply | str:
        """Return what a model answers, or why it does not."""
        name = name_of(model)
        self._note(ticket, note=f"asking {name}")
        if self._process is None:
            self._note(ticket, note="starting the process that answers")
            self._process = _Process(self._program, self._place)
        request = {
            "study": asked.study,
            "model": model,
            "question": asked.question,
            "context": asked.context,
        }
        deadline = time.monotonic() + self._patience.answer_seconds
        try:
            self._process.write(request)
            while True:
                line = self._process.read(deadline - time.monotonic())
                if "note" not in line:
                    break
                self._note(ticket, note=line["note"])
        except Empty:
            self._end_process()
            return (
                f"{name} must answer within {self._patience.answer_seconds:.0f} seconds, "
                "but did not; ask again, or ask a smaller model"
            )
        except (BrokenPipeError, EOFError):
            code = self._end_process()
            return (
                f"the process that answers broke off (exit code {code}), and said why where the "
                "dashboard runs; ask again"
            )
        return str(line["error"]) if "error" in line else _read(line["answer"])

    def _note(
        self, ticket: str, *, note: str = "", replies: Mapping[str | int, Reply | str] | None = None
    ) -> None:
        with self._lock:
            asked = self._asked.get(ticket)
            if asked is not None:
                now = {**asked.replies, **(replies or {})}
                self._asked[ticket] = replace(asked, note=note, replies=now)

    def _end_process(self) -> int | None:
        """End the process; return its exit code if it had ended by itself."""
        process, self._process = self._process, None
        return process.end() if process else None


class _Process:
    """A process that is asked in lines, and answers in lines.

    Args:
        program: What to run.
        place: The first line that it reads.
    """

    def __init__(self, program: Sequence[str], place: Mapping[str, str]) -> None:
        # In a session of its own, so that Ctrl-C is for the dashboard alone.
        self._process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._end = weakref.finalize(self, self._process.kill)  # At the end of ours, too.
        self._lines: Queue[str | None] = Queue()
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._input = self._process.stdin
        self._reader = Thread(
            target=_read_lines, args=(self._process.stdout, self._lines), daemon=True
        )
        self._reader.start()
        self._first: Mapping[str, str] | None = place
        self._lines_ended = False

    def write(self, request: Mapping[str, object]) -> None:
        """Ask.

        Raises:
            BrokenPipeError: If the process has ended.
        """
        lines = [request] if self._first is None else [self._first, request]
        self._first = None
        try:
            self._input.write("".join(json.dumps(line) + "\n" for line in lines))
            self._input.flush()
        except BrokenPipeError:
            self._lines_ended = True
            raise

    def read(self, seconds: float) -> dict[str, Any]:
        """Return the next line.

        Raises:
            Empty: If none comes in time.
            EOFError: If the process has ended.
        """
        line = self._lines.get(timeout=max(seconds, 0.0))
        if line is None:
            self._lines_ended = True
            raise EOFError
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> int | None:
        """Kill the process unless it ends by itself at once; return its exit code if it does."""
        try:
            code = self._process.wait(timeout=_GRACE_SECONDS if self._lines_ended else 0)
        except subprocess.TimeoutExpired:
            code = None
        self._end()
        self._process.wait()
        self._reader.join()
        with suppress(BrokenPipeError):  # What it was to read last, nobody will.
            self._input.close()
        return code


def check_packages() -> None:
    """Check that models can be exported and asked.

    Raises:
        ConfigError: If a package is missing.
    """
    for name in _PACKAGES:
        if find_spec(name) is None:
            raise ConfigError(
                f"this needs {name}, which is not installed; run: pip install 'limbeck[onnx]'"
            )


def name_of(model: str | int) -> str:
    """Return what a model is called in texts."""
    return f"run {model}" if isinstance(model, int) else "the teacher"


def _check(models: Sequence[str | int], question: str, context: str) -> None:
    students = [model for model in models if model != TEACHER]
    if not models:
        raise ConfigError("at least one model must be asked; choose a run, or the teacher")
    if len(students) > MOST_STUDENTS:
        raise ConfigError(
            f"at most {MOST_STUDENTS} students are asked at once, but {len(students)} are chosen"
        )
    for name, text, most in (
        ("the question", question, LONGEST_QUESTION),
        ("the paragraph", context, LONGEST_CONTEXT),
    ):
        if not text.strip():
            raise ConfigError(f"{name} must not be empty")
        if len(text) > most:
            raise ConfigError(
                f"{name} must have at most {most:,} characters, but has {len(text):,}; shorten it"
            )


def _read(answer: Mapping[str, Any]) -> Reply:
    candidates = tuple(Candidate(**each) for each in answer["candidates"])
    names = ("text", "null_odds", "threshold", "no_answer_probability", "milliseconds")
    return Reply(candidates=candidates, **{name: answer[name] for name in names})


def _read_lines(output: IO[str], lines: "Queue[str | None]") -> None:
    with output:
        for line in output:
            lines.put(line)
    lines.put(None)
