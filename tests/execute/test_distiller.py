"""A worker of a cluster that trains a student in two processes, without the cluster."""

import json
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import psutil
import pytest

from limbeck.config import load_config
from limbeck.execute.distiller import Distiller
from limbeck.execute.worker import Answer, Began, Message, Reported, Task
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import CurvePoint, Outcome, RunState
from limbeck.space import Parameters
from tests.test_objective import Listener
from tests.tiny import write_tiny_study

# Without dropout, what two processes train is what one does.
STEADY = {
    "recipe": {"learning_rate": 2e-3, "epochs": 4.0, "dropout": 0.0, "attention_dropout": 0.0},
    "training": {"checkpoint_every": 3},
}


def processes_of_a_run() -> list[psutil.Process]:
    """Return the processes that this one has started to train, the main one first."""
    ours = [child for child in active_children() if child.name.startswith("process ")]
    return sorted((psutil.Process(child.pid) for child in ours), key=psutil.Process.create_time)


class Search:
    """Begins tasks, and hears what is said of them; lets runs go on unless told otherwise."""

    def __init__(self, distiller: Distiller) -> None:
        self._distiller = distiller
        self._turn = -1

    def carry_out(
        self,
        parameters: Parameters,
        folder: Path,
        when_scored: Callable[[int], bool] = lambda _: True,
    ) -> tuple[list[Message], Outcome]:
        self._turn += 1
        self._distiller.begin(self._turn, Task(parameters, folder))
        said: list[Message] = []
        while True:
            for message in self._distiller.hear(self._turn, len(said)):
                said.append(message)
                if isinstance(message, Outcome):
                    return said, message
                if isinstance(message, Reported) and message.scored:
                    go_on = when_scored(message.points[0].step)
                    self._distiller.answer(self._turn, Answer(go_on))


def losses(said: list[Message]) -> dict[int, float]:
    points: list[CurvePoint] = [
        point for message in said if isinstance(message, Reported) for point in message.points
    ]
    return {point.step: point.value for point in points if point.metric == "loss"}


@pytest.mark.timeout(300)
def test_two_processes_train_together_and_none_outlives_an_early_end(tmp_path: Path) -> None:
    config = load_config(write_tiny_study(tmp_path, **STEADY))
    objective = Objective(config, Home(tmp_path / "home"))
    objective.prepare(Listener())
    parameters, alone = objective.baseline, Listener()
    expected = objective(parameters, tmp_path / "alone", alone)
    search = Search(Distiller(config, objective.home, processes=2, threads=1))

    # 1. The one that only helps is killed: the run fails, and says so.
    def kill_the_helper(step: int) -> bool:
        processes_of_a_run()[1].kill()
        return True

    said, outcome = search.carry_out(parameters, tmp_path / "run", kill_the_helper)
    assert (outcome.state, outcome.reason) == (RunState.FAILED, "killed")
    assert "signal 9" in outcome.message
    assert not processes_of_a_run()
    before = losses(said)
    assert 2 in before

    # 2. The next attempt goes on from the checkpoint, and comes to what one process makes.
    said, outcome = search.carry_out(parameters, tmp_path / "run")
    assert said[0] == Began(step=3, total_steps=28, epoch_steps=7)
    assert outcome.state is RunState.FINISHED
    assert outcome.values["exact"] == pytest.approx(expected.values["exact"])
    losses_alone = {step: told["loss"] for step, told in alone.reported if "loss" in told}
    assert {**before, **losses(said)} == pytest.approx(losses_alone, rel=1e-3)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["processes"] == 2
    assert {artifact.name for artifact in outcome.artifacts} >= {"model", "environment.json"}
    pair = processes_of_a_run()
    assert len(pair) == 2

    # 3. They carry out the next task, too, and are gone when the search ends it early.
    def stop(step: int) -> bool:
        assert processes_of_a_run() == pair
        return False

    said, outcome = search.carry_out(parameters, tmp_path / "stopped", stop)
    assert outcome.state is RunState.STOPPED
    assert max(losses(said)) < 28
    assert not any(process.is_running() for process in pair)


def test_what_goes_wrong_around_a_run_is_said(tmp_path: Path) -> None:
    """Else the search would wait for a worker that has nothing more to say."""
    config = load_config(write_tiny_study(tmp_path, artifacts={"url": "nowhere://at/all"}))
    search = Search(Distiller(config, Home(tmp_path / "home"), processes=1, threads=1))
    _, outcome = search.carry_out({}, tmp_path / "run")
    assert (outcome.state, outcome.error_type) == (RunState.FAILED, "ValueError")
    assert "nowhere" in outcome.message
