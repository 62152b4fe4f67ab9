"""Real searches by real processes, on students small enough for a test."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from limbeck.config import BudgetSettings, load_config
from limbeck.errors import LimbeckError
from limbeck.execute import carry_out
from limbeck.execute.local import Process, search
from limbeck.execute.worker import is_full
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.optimize.configured import make_sampler
from limbeck.runs import Run, RunState
from limbeck.store import Store
from limbeck.study import Study, enter, this_process
from tests.test_objective import Listener
from tests.tiny import write_tiny_study

Watch = Callable[[Mapping[int, tuple[int, int]]], object]


def run_search(
    folder: Path,
    *,
    runs: int = 4,
    workers: int = 1,
    watch: Watch = len,
    **overrides: object,
) -> tuple[Run, ...]:
    """Search in a folder, anew or going on, and return the study's runs.

    Unless a test asks for it, no run is stopped.
    """
    keys = {"optimizer": {"initial_runs": 2}, "stopping": {"chance": 0.0}, **overrides}
    config = load_config(write_tiny_study(folder, **keys))
    objective = Objective(config, Home(folder / "home"))
    objective.prepare(Listener())
    with Store(objective.home.store_url) as store:
        enter(store, config, runs=runs)
        study = Study(
            store=store,
            name="tiny",
            space=objective.space,
            sampler=make_sampler(
                config.file.optimizer,
                objective.space,
                config.metrics,
                known=objective.known,
                baseline=objective.baseline,
                seed=config.file.seed,
                budget=runs,
            ),
            known=objective.known,
            owner=this_process(),
            retries=config.file.budget.retries,
        )
        search(study, config, objective.home, workers=workers, watch=watch)
        return study.runs


def stored_runs(folder: Path) -> tuple[Run, ...]:
    with Store(Home(folder / "home").store_url) as store:
        return store.runs("tiny")


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    servers = [child for child in process.children() if "forkserver" in " ".join(child.cmdline())]
    return [worker for server in servers for worker in server.children()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ...]:
    """Four runs, the last two of them chosen by what the first two taught."""
    return run_search(tmp_path_factory.mktemp("uninterrupted"))


def assert_same(runs: Sequence[Run], others: Sequence[Run]) -> None:
    assert [run.state for run in runs] == [RunState.FINISHED] * 4
    for run, other in zip(runs, others, strict=True):
        assert run.parameters == other.parameters
        for name in ("exact", "f1", "best_exact_thresh", "num_parameters"):
            assert run.values[name] == other.values[name]


def test_a_search_in_two_parts_does_what_one_in_one_part_does(
    tmp_path: Path, uninterrupted: tuple[Run, ...]
) -> None:
    first = run_search(tmp_path, runs=2)
    assert first[0].parameters == {"num_layers": 2, "learning_rate": 0.01}
    runs = run_search(tmp_path)
    assert runs[:2] == first
    assert_same(runs, uninterrupted)
    folder = Home(tmp_path / "home").run("tiny", 3)
    assert (folder / "log.txt").exists()
    assert not list(folder.glob("*checkpoint*"))


def test_two_workers_spend_one_budget(tmp_path: Path) -> None:
    at_once: list[int] = []
    names: set[str] = set()

    def note(working: Mapping[int, tuple[int, int]]) -> None:
        at_once.append(len(working))
        names.update(process.name for process in multiprocessing.active_children())

    runs = run_search(tmp_path, workers=2, watch=note)
    assert max(at_once) == 2
    assert names == {"worker 0", "worker 1"}
    assert [run.state for run in runs] == [RunState.FINISHED] * 4
    assert [run.attempts for run in runs] == [1, 1, 1, 1]


class KillsOnce:
    """Kills the worker once its run has gone some steps, and remembers who worked."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.names: list[list[str]] = []

    def __call__(self, working: Mapping[int, tuple[int, int]]) -> None:
        self.names.append([process.name for process in multiprocessing.active_children()])
        if not self.killed and any(step >= 8 for step, _ in working.values()):
            self.killed.extend(working)
            workers_of(psutil.Process())[0].kill()


def test_the_run_of_a_killed_worker_goes_on_with_another(
    tmp_path: Path, uninterrupted: tuple[Run, ...]
) -> None:
    kill = KillsOnce()
    runs = run_search(tmp_path, watch=kill)
    assert kill.killed == [0]
    # The one that takes its place gets its GPU, too.
    assert kill.names == len(kill.names) * [["worker 0"]]
    assert [(run.failures, run.attempts) for run in runs] == [(1, 2), (0, 1), (0, 1), (0, 1)]
    assert (runs[0].reason, runs[0].message) == ("", "")
    assert_same(runs, uninterrupted)
    with Store(Home(tmp_path / "home").store_url) as store:
        assert any("signal 9" in event.text for event in store.events("tiny"))
        steps = [point.step for point in store.points("tiny", 0, metric="loss")]
    assert steps == [2, 4, 6, 8, 10, 12, 14]


def test_a_run_that_failed_too_often_ends_with_what_it_had(tmp_path: Path) -> None:
    runs = run_search(tmp_path, runs=2, watch=KillsOnce(), budget={"retries": 0})
    assert (runs[0].state, runs[0].reason) == (RunState.FAILED, "killed")
    assert "signal 9" in runs[0].message
    assert runs[0].values.keys() >= {"exact", "f1", "num_parameters"}
    assert runs[0].seconds > 0
    assert not list(Home(tmp_path / "home").run("tiny", 0).glob("*checkpoint*"))
    assert runs[1].state is RunState.FINISHED


def test_runs_that_keep_raising_end_the_search_with_the_reason(tmp_path: Path) -> None:
    for number in range(3):
        (Home(tmp_path / "home").run("tiny", number) / "predictions.json").mkdir(parents=True)
    with pytest.raises(LimbeckError, match="3 runs failed one after the other, the last with Is"):
        run_search(tmp_path, runs=9, budget={"retries": 0})
    runs = stored_runs(tmp_path)
    assert [run.state for run in runs] == 3 * [RunState.FAILED]
    assert {(run.reason, run.error_type) for run in runs} == {("exception", "IsADirectoryError")}
    assert runs[0].traceback.splitlines()[-1].startswith("IsADirectoryError: ")
    assert "Traceback" in (Home(tmp_path / "home").run("tiny", 0) / "log.txt").read_text()
    assert not workers_of(psutil.Process())


def test_a_run_is_stopped_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry_out, "HEARTBEAT_SECONDS", 0.0)

    def stop_run_one(working: Mapping[int, tuple[int, int]]) -> None:
        if working.get(1, (0, 0))[1]:
            with Store(Home(tmp_path / "home").store_url) as store:
                store.request_stop("tiny", 1)

    runs = run_search(tmp_path, runs=3, watch=stop_run_one)
    assert [run.state.value for run in runs] == ["finished", "stopped", "finished"]
    assert runs[1].reason == "by-hand"
    assert re.fullmatch(r"stopped by hand at step \d+ of 14", runs[1].message)
    assert (runs[1].total_steps, runs[1].epoch_steps) == (14, 7)


def test_a_paused_study_starts_nothing_until_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carry_out, "HEARTBEAT_SECONDS", 0.01)
    told: list[str] = []

    def pause_and_resume(working: Mapping[int, tuple[int, int]]) -> None:
        with Store(Home(tmp_path / "home").store_url) as store:
            if 1 in working and not told:
                store.set_paused("tiny", paused=True)
                told.append("paused")
            elif not working and told == ["paused"]:
                assert len(store.runs("tiny")) == 2
                store.set_paused("tiny", paused=False)
                told.append("resumed")

    runs = run_search(tmp_path, watch=pause_and_resume)
    assert told == ["paused", "resumed"]
    assert [run.state for run in runs] == [RunState.FINISHED] * 4


def test_runs_that_can_hardly_matter_are_stopped_and_taught(tmp_path: Path) -> None:
    """So cautious a rule lets nothing pass that is not sure to be the best."""
    settings = {"chance": 0.999, "after": 0.1, "runs": 2, "spare": 0.0}
    runs = run_search(tmp_path, runs=5, stopping=settings)
    assert [run.state for run in runs[:2]] == [RunState.FINISHED] * 2
    stopped = [run for run in runs if run.state is RunState.STOPPED]
    assert stopped
    for run in stopped:
        assert run.reason == "no-gain"
        assert run.message.startswith("chance of mattering ")
        assert run.forecasts["exact"].std > 0
        assert "exact" in run.values
    with Store(Home(tmp_path / "home").store_url) as store:
        last = max(point.step for point in store.points("tiny", stopped[0].number))
    assert last < 14


def test_students_that_can_hardly_matter_answer_the_first_questions_only(tmp_path: Path) -> None:
    runs = run_search(
        tmp_path,
        data={"first_questions": 8},
        stopping={"chance": 0.999, "after": 1.0, "runs": 9, "spare": 0.0},
    )
    assert [run.state for run in runs] == [RunState.FINISHED] * 4
    assert runs[0].values["total"] == 12.0
    assert 8.0 in {run.values["total"] for run in runs[1:]}


def make_worker(*, silent: float, taken: float) -> Process:
    now = time.monotonic()
    ours, _ = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process()
    return Process(
        0, process, ours, step=3, total_steps=14, began=now - 60 * taken, heard=now - 60 * silent
    )


@pytest.mark.parametrize(
    ("silent", "taken", "said"),
    [
        (4.0, 4.0, None),
        (6.0, 6.0, "it told nothing for 6.0 minutes (budget.silent_minutes)"),
        (1.0, 61.0, "it took 61.0 minutes (budget.run_minutes)"),
    ],
)
def test_a_run_that_takes_too_long_is_overdue(
    silent: float, taken: float, said: str | None
) -> None:
    budget = BudgetSettings(silent_minutes=5.0, run_minutes=60.0)
    outcome = make_worker(silent=silent, taken=taken).overdue(budget)
    if said is None:
        assert outcome is None
    else:
        assert outcome is not None
        assert (outcome.state, outcome.reason) == (RunState.FAILED, "timed-out")
        assert outcome.message == f"{said}, at step 3 of 14"


def test_a_disk_with_room_is_not_full(tmp_path: Path) -> None:
    assert not is_full(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.execute.test_local import run_search

def kill_in_the_middle(working):
    if any(number == 1 and step >= 6 for number, (step, total) in working.items()):
        os.kill(os.getpid(), signal.{signal})

if __name__ == "__main__":
    run_search(Path(sys.argv[1]), watch=kill_in_the_middle)
"""


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT"])
def test_an_interrupted_search_loses_nothing_and_runs_nothing_twice(
    tmp_path: Path, kind: str, uninterrupted: tuple[Run, ...]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(signal=kind))
    ended = subprocess.run(
        [sys.executable, script, tmp_path / "study"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == -getattr(signal, kind), ended.stderr.decode()
    before = stored_runs(tmp_path / "study")
    assert before[0].state is RunState.FINISHED
    checkpoint = Home(tmp_path / "study" / "home").run("tiny", 1) / "checkpoint.safetensors"
    assert checkpoint.exists()

    runs = run_search(tmp_path / "study")
    assert runs[0] == before[0]
    assert [run.attempts for run in runs] == [1, 2, 1, 1]
    assert_same(runs, uninterrupted)


def test_workers_end_with_a_search_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(signal="SIGSTOP"))
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "study"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    ) as process:
        os.waitpid(process.pid, os.WUNTRACED)
        workers = workers_of(psutil.Process(process.pid))
        process.kill()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
