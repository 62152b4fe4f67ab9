"""Real searches by real processes, on students small enough for a test."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from limbeck.config import load_config
from limbeck.errors import LimbeckError
from limbeck.execute.local import search
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
) -> tuple[Run, ...]:
    """Search in a folder, anew or going on, and return the study's runs."""
    config = load_config(write_tiny_study(folder, optimizer={"initial_runs": 2}))
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
        )
        search(study, config, objective.home, workers=workers, watch=watch)
        return study.runs


def stored_runs(folder: Path) -> tuple[Run, ...]:
    with Store(Home(folder / "home").store_url) as store:
        return store.runs("tiny")


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [
        child
        for child in process.children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


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


def test_a_killed_worker_fails_its_run_and_not_the_search(tmp_path: Path) -> None:
    killed: list[int] = []

    names: list[list[str]] = []

    def kill_once(working: Mapping[int, tuple[int, int]]) -> None:
        names.append([process.name for process in multiprocessing.active_children()])
        if not killed and any(step > 0 for step, _ in working.values()):
            killed.extend(working)
            workers_of(psutil.Process())[0].kill()

    runs = run_search(tmp_path, watch=kill_once)
    assert killed == [0]
    # The one that takes its place gets its GPU, too.
    assert names == len(names) * [["worker 0"]]
    assert (runs[0].state, runs[0].reason) == (RunState.FAILED, "killed")
    assert "signal 9" in runs[0].message
    assert [run.state for run in runs[1:]] == [RunState.FINISHED] * 3


def test_runs_that_keep_raising_end_the_search_with_the_reason(tmp_path: Path) -> None:
    for number in range(3):
        (Home(tmp_path / "home").run("tiny", number) / "predictions.json").mkdir(parents=True)
    with pytest.raises(LimbeckError, match="3 runs failed one after the other, the last with Is"):
        run_search(tmp_path, runs=9)
    runs = stored_runs(tmp_path)
    assert [run.state for run in runs] == 3 * [RunState.FAILED]
    assert {run.reason for run in runs} == {"IsADirectoryError"}
    assert "Traceback" in (Home(tmp_path / "home").run("tiny", 0) / "log.txt").read_text()
    assert not workers_of(psutil.Process())


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
