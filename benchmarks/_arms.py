"""The arms of the throughput benchmark: each a process that works only when it is its turn."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import _original
import _setting
import _trainer
import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from limbeck.distill.device import Device
from limbeck.distill.evaluation import examine
from limbeck.distill.training import Reporter, train
from limbeck.objective import Objective
from limbeck.students.loading import load_teacher
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.scoring import per_question

BLOCK = 10
"""Steps of a turn."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What an arm is told.

    Attributes:
        study: The study file.
        home: Where its caches are.
        student: Folder of the untrained student.
        scale: How much smaller this is than the real thing.
        folder: Where the arm may write.
    """

    study: Path
    home: Path
    student: Path
    scale: _setting.Scale
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a turn took.

    Attributes:
        seconds: By the clock.
        processor_seconds: Of all threads.
        last: Whether the student is made.
    """

    seconds: float
    processor_seconds: float
    last: bool


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What became of the student.

    Attributes:
        exact: An ``n`` array: whether each held-out question is answered right.
        evaluating: Seconds of the evaluations on the way and at the end, within the turns.
        evaluated_windows: Windows of all these evaluations.
    """

    exact: NDArray[np.float64]
    evaluating: float
    evaluated_windows: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an arm did.

    Attributes:
        turns: What each of its turns took.
        marks: What became of its student.
    """

    turns: Sequence[Turn]
    marks: Marks

    @property
    def seconds(self) -> float:
        """By the clock, in all."""
        return sum(turn.seconds for turn in self.turns)

    @property
    def processor_seconds(self) -> float:
        """Of all threads, in all."""
        return sum(turn.processor_seconds for turn in self.turns)


class Turns:
    """An arm's side of the taking of turns."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._began = (0.0, 0.0)

    def start(self) -> None:
        """Say that everything is loaded, and wait for the first turn."""
        self._connection.send(None)
        self._wait()

    def after_step(self, step: int) -> None:
        """Let the others work after every `BLOCK` steps."""
        if step % BLOCK == 0:
            self.end(last=False)
            self._wait()

    def end(self, *, last: bool) -> None:
        """Say that the turn is over, and what it took."""
        seconds, processor_seconds = self._began
        turn = Turn(
            seconds=time.perf_counter() - seconds,
            processor_seconds=time.process_time() - processor_seconds,
            last=last,
        )
        self._connection.send(turn)

    def _wait(self) -> None:
        self._connection.recv()
        self._began = (time.perf_counter(), time.process_time())


class TurnTaker(Reporter):
    """Takes turns where limbeck's training reports."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    @override
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        """Do nothing."""

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        """Let the others work."""
        self._turns.after_step(step)


Arm = Callable[[Objective, SlimBertForQuestionAnswering, Job, Turns], tuple[float, int]]


def ours(
    objective: Objective,
    student: SlimBertForQuestionAnswering,
    job: Job,
    turns: Turns,
    *,
    precision: str,
) -> tuple[float, int]:
    """Distil the way limbeck does; return seconds and windows of its one evaluation."""
    file = objective.config.file
    settings = file.training.model_copy(update={"precision": precision, "log_every": BLOCK})
    lesson, sample = _setting.lesson(objective), objective.exams.sample
    turns.start()
    train(
        student,
        lesson,
        file.recipe,
        settings,
        checkpoint=job.folder / "checkpoint.safetensors",
        reporter=TurnTaker(turns),
    )
    start = time.perf_counter()
    examine(student, sample, file.data, device=Device.choose(settings))
    return time.perf_counter() - start, len(sample.features)


def original(
    objective: Objective, student: SlimBertForQuestionAnswering, job: Job, turns: Turns
) -> tuple[float, int]:
    """Distil as in 2020; return seconds and windows of all its evaluations."""
    features, sample = objective.exams.train, objective.exams.sample
    recipe, teacher = objective.config.file.recipe, objective.teacher
    turns.start()
    return _original.distil(
        student,
        teacher,
        features,
        sample,
        recipe,
        max_length=objective.config.file.data.max_length,
        evaluations_after=job.scale.evaluations_after,
        after_step=turns.after_step,
    )


def trainer(
    objective: Objective, student: SlimBertForQuestionAnswering, job: Job, turns: Turns
) -> tuple[float, int]:
    """Distil with a Trainer; return seconds and windows of its one evaluation, that of limbeck."""
    file = objective.config.file
    features, sample = objective.exams.train, objective.exams.sample
    recipe, teacher = file.recipe, objective.teacher
    turns.start()
    _trainer.distil(
        student, teacher, features, recipe, folder=job.folder, after_step=turns.after_step
    )
    start = time.perf_counter()
    fp32 = file.training.model_copy(update={"precision": "fp32"})
    examine(student, sample, file.data, device=Device.choose(fp32))
    return time.perf_counter() - start, len(sample.features)


ARMS: Mapping[str, Arm] = {
    "ours": partial(ours, precision="auto"),
    "original": original,
    "ours fp32": partial(ours, precision="fp32"),
    "Trainer": trainer,
}


def work(name: str, job: Job, connection: Connection) -> None:
    """Be an arm: load, train in turns, and score the student on the held-out questions."""
    objective = _setting.make_objective(job.study, job.home)
    student = load_teacher(str(job.student))
    turns = Turns(connection)
    evaluating, evaluated_windows = ARMS[name](objective, student, job, turns)
    turns.end(last=True)
    answers = objective.examine(student).answers
    exact = per_question(objective.exams.scored.questions, answers).exact
    marks = Marks(exact=exact, evaluating=evaluating, evaluated_windows=evaluated_windows)
    connection.send(marks)


def race(names: Sequence[str], job: Job, *, show: Callable[[str], None]) -> dict[str, Outcome]:
    """Let arms train in turns, so that whatever else the machine does befalls all of them alike.

    Args:
        names: Which of `ARMS`.
        job: What they are told; each writes to a folder of its own in the job's.
        show: Told how it goes.
    """
    context = multiprocessing.get_context("spawn")
    connections: dict[str, Connection] = {}
    for name in names:
        connections[name], theirs = context.Pipe()
        its_job = replace(job, folder=job.folder / name.replace(" ", "-"))
        context.Process(target=work, args=(name, its_job, theirs), daemon=True).start()
        theirs.close()
    for name, connection in connections.items():
        _receive(connection, name)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    marks: dict[str, Marks] = {}
    while len(marks) < len(names):
        for name in (name for name in names if name not in marks):
            connections[name].send(None)
            turns[name].append(_receive(connections[name], name))
            if turns[name][-1].last:
                marks[name] = _receive(connections[name], name)
        done = max(map(len, turns.values())) * BLOCK
        so_far = (f"{name} {sum(t.seconds for t in turns[name]):.0f} s" for name in names)
        show(f"about {done} steps: {', '.join(so_far)}")
    return {name: Outcome(turns=turns[name], marks=marks[name]) for name in names}


def _receive(connection: Connection, name: str) -> Any:
    try:
        return connection.recv()
    except EOFError:
        sys.exit(f"Error: the arm {name!r} ended early; what went wrong stands above")
