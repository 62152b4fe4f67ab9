"""A study with runs of every kind, as a search would have left them, made in a second."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from limbeck.analysis.results import StudyResults, load_results
from limbeck.artifacts import register
from limbeck.config import StudyConfig, load_config
from limbeck.files import write_json
from limbeck.home import Home
from limbeck.questions import Questions
from limbeck.reference import Reference, write_reference
from limbeck.runs import Artifact, CurvePoint, Forecast, Outcome, Reason, RunState
from limbeck.store import Store
from limbeck.study import enter, this_process
from limbeck.tasks.question_answering.scoring import score_with_errors
from tests.tiny import write_tiny_study

STUDY = "tiny"
STEPS = (2, 4, 6, 8, 10, 12, 14)
BASELINE, STOPPED, INFEASIBLE, FAILED, RUNNING, WAITING = 0, 9, 10, 11, 12, 13
"""Numbers of runs of these kinds; 0 to 8 are finished."""
WITH_MODEL = (0, 3)
"""Numbers of runs that have kept their weights."""


@dataclass(frozen=True, kw_only=True)
class Studied:
    """A home with a study in its store."""

    home: Home
    config: StudyConfig

    def open(self) -> Store:
        return Store(self.home.store_url)

    def results(self) -> StudyResults:
        with self.open() as store:
            return load_results(store, STUDY, home=self.home)


def write_studied(folder: Path) -> Studied:
    """Write a home with the study and all that its study file names."""
    config = load_config(write_tiny_study(folder / "files", budget={"runs": 20}))
    home = Home(folder / "home")
    made = Studied(home=home, config=config)
    _answer(made, home.teacher(STUDY), right=0.9, seed=99)
    with made.open() as store:
        enter(store, config, runs=20)
        for number in range(WAITING + 1):
            _add_run(made, store, number)
        store.add_event(STUDY, "note", "Look at **run 3**.")
    return made


def _add_run(made: Studied, store: Store, number: int) -> None:
    parameters = {"num_layers": 1 + number % 3, "learning_rate": 0.001 * 1.4**number}
    known = {"num_parameters": 20_000.0 + 9_000.0 * (number % 3) + 100.0 * number}
    owner = None if number == WAITING else this_process()
    run = store.add_run(STUDY, parameters, values=known, owner=owner)
    assert run is not None
    if owner is None or number == INFEASIBLE:
        if number == INFEASIBLE:
            store.end_run(STUDY, number, _infeasible(), owner=this_process())
        return
    store.begin_run(STUDY, number, step=0, total_steps=14, epoch_steps=7, owner=owner)
    done = STEPS if number <= BASELINE + 8 else STEPS[:4]
    store.add_points(STUDY, number, [point for s in done for point in _points(s)], owner=owner)
    if number == STOPPED:
        store.end_run(STUDY, number, _stopped(), owner=owner)
    elif number == FAILED:
        store.end_run(STUDY, number, _failed(), owner=owner)
    elif number < STOPPED:
        store.end_run(STUDY, number, _finished(made, number), owner=owner)


def _points(step: int) -> list[CurvePoint]:
    values = {"loss": 3.0 / step, "learning_rate": 0.01 * (1 - step / 15), "exact": 4.0 * step}
    return [
        CurvePoint(step=step, metric=metric, value=value, seconds=step / 10)
        for metric, value in values.items()
    ]


def _finished(made: Studied, number: int) -> Outcome:
    folder = made.home.run(STUDY, number)
    values, errors = _answer(made, folder, right=0.35 + 0.06 * number, seed=number)
    artifacts = [register(name, folder / name) for name in ("predictions.json", "null_odds.json")]
    (folder / "log.txt").write_text("step 14 of 14\n")
    artifacts.append(register("log.txt", folder / "log.txt"))
    if number in WITH_MODEL:
        shutil.copytree(made.config.folder / "teacher", folder / "model")
        artifacts.append(register("model", folder / "model"))
    return Outcome(
        state=RunState.FINISHED,
        values={**values, "latency_ms": 3.0 + number % 3},
        errors=errors,
        artifacts=tuple(artifacts),
        seconds=30.0 + number,
    )


def _answer(
    made: Studied, folder: Path, *, right: float, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Write answers of which about a share is right; return their scores and standard errors."""
    draw = random.Random(seed)
    questions = Questions(made.config).scored
    predictions = {
        question.id: (question.answers[0].text if question.answers else "")
        if draw.random() < right
        else draw.choice(["", question.context.split()[0], " ".join(question.context.split()[:3])])
        for question in questions.questions
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "predictions.json", predictions)
    write_json(folder / "null_odds.json", {key: draw.uniform(-9, 9) for key in predictions})
    scores = score_with_errors(questions, predictions)
    if seed == 99:
        values = {**scores.values, "num_parameters": 52_000.0}
        write_reference(folder, Reference(values=values, errors=scores.errors))
    return scores.values, scores.errors


def _stopped() -> Outcome:
    return Outcome(
        state=RunState.STOPPED,
        values={"exact": 32.0},
        forecasts={"exact": Forecast(mean=36.0, std=5.0)},
        reason=Reason.NO_GAIN,
        message="exact would come to 36 ± 5, and matters from 60 on",
        seconds=12.0,
    )


def _infeasible() -> Outcome:
    return Outcome(state=RunState.INFEASIBLE, reason=Reason.DIVERGED, message="loss is not finite")


def _failed() -> Outcome:
    return Outcome(
        state=RunState.FAILED,
        values={"exact": 16.0},
        reason=Reason.EXCEPTION,
        message="the disk said no",
        error_type="OSError",
        traceback='File "train.py", line 7, in train\nOSError: the disk said no',
        artifacts=(Artifact(name="log.txt", path="/nowhere/log.txt", sha256="0" * 64, bytes=1),),
        seconds=5.0,
    )
