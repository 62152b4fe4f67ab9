"""Searches on real Ray clusters of several nodes, all of them on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray.cluster_utils import Cluster

from limbeck.artifacts import fault_of
from limbeck.config import load_config
from limbeck.errors import ConfigError, StoreError
from limbeck.execute import ray as on_ray
from limbeck.frontier import frontier
from limbeck.home import Home
from limbeck.runs import Run, RunState
from limbeck.store import Store
from tests.execute.test_local import run_search
from tests.tiny import write_tiny_study

# A cluster of several nodes takes a while to come up on two cores.
pytestmark = pytest.mark.timeout(400)

RUNS = 6
MEMORY: dict[str, Any] = {"object_store_memory": 80_000_000}
STUDY: dict[str, Any] = {
    "recipe": {"epochs": 30.0},
    "training": {"evaluate_every": 50, "checkpoint_every": 10},
    "optimizer": {"sampler": "quasirandom"},
    "stopping": {"chance": 0.0},
    "budget": {"runs": RUNS},
}
SHORT = {**STUDY, "recipe": {"epochs": 4.0}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without cores; tests add nodes, and remove them."""
    soon = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon, **MEMORY}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()  # type: ignore[no-untyped-call]  # ray's


@contextmanager
def searching(
    folder: Path,
    cluster: Cluster,
    *,
    workers: int,
    runs: int = RUNS,
    resources: str = "CPU=1",
) -> Iterator[subprocess.Popen[str]]:
    """Start a search on the cluster, and end it if it does not end by itself."""
    command = [sys.executable, "-m", "limbeck.cli", "search", "study.toml", "--home", "home"]
    options = ["--ray", cluster.address, "--workers", str(workers)]
    options += ["--resources", resources, "--runs", str(runs)]
    with (folder / "search.log").open("a") as log:
        process = subprocess.Popen(
            [*command, *options], cwd=folder, stdout=log, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stored_runs(folder: Path) -> tuple[Run, ...]:
    try:
        with Store(Home(folder / "home").store_url) as store:
            return store.runs("tiny") if store.has_study("tiny") else ()
    except StoreError:
        return ()


def wait_for(
    process: subprocess.Popen[str], folder: Path, seen: Callable[[tuple[Run, ...]], bool]
) -> tuple[Run, ...]:
    """Return the runs of a search as soon as they are so."""
    while process.poll() is None:
        runs = stored_runs(folder)
        if seen(runs):
            return runs
        time.sleep(0.1)
    raise AssertionError((folder / "search.log").read_text())


def finished(runs: tuple[Run, ...]) -> dict[int, Run]:
    return {run.number: run for run in runs if run.state is RunState.FINISHED}


def training(runs: tuple[Run, ...]) -> list[Run]:
    return [run for run in runs if run.state is RunState.RUNNING and run.total_steps]


def has_lost_one(folder: Path) -> bool:
    with Store(Home(folder / "home").store_url) as store:
        return any(event.kind == "lost-worker" for event in store.events("tiny"))


def results(runs: tuple[Run, ...]) -> dict[str, dict[str, float]]:
    """Return what the runs came to, by their parameters."""
    names = ("exact", "f1", "num_parameters")
    return {
        str(sorted(run.parameters.items())): {name: run.values[name] for name in names}
        for run in runs
    }


def test_nodes_go_and_come_and_the_search_is_killed_but_nothing_is_lost_or_done_twice(
    tmp_path: Path, cluster: Cluster
) -> None:
    write_tiny_study(tmp_path, **STUDY)
    nodes = [cluster.add_node(num_cpus=1, **MEMORY) for _ in range(3)]
    with searching(tmp_path, cluster, workers=3) as process:
        before = wait_for(process, tmp_path, lambda runs: len(training(runs)) == 3)
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        nodes.append(cluster.add_node(num_cpus=1, **MEMORY))
        wait_for(
            process, tmp_path, lambda runs: len(finished(runs)) >= 3 and has_lost_one(tmp_path)
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = finished(stored_runs(tmp_path))
    assert len(done) >= 3
    with searching(tmp_path, cluster, workers=2) as process:
        assert process.wait() == 0, (tmp_path / "search.log").read_text()
    for node in nodes:
        cluster.remove_node(node)

    runs = stored_runs(tmp_path)
    assert [run.state for run in runs] == [RunState.FINISHED] * RUNS
    assert [runs[number] for number in done] == list(done.values())
    assert sum(run.attempts for run in runs) > RUNS
    assert [run.failures for run in runs] == [0] * RUNS
    assert len(before) >= 3
    metrics = load_config(tmp_path / "study.toml").metrics
    here = run_search(tmp_path / "here", runs=RUNS, workers=2, **STUDY)
    assert results(runs) == results(here)
    assert results(frontier(runs, metrics)) == results(frontier(here, metrics))


@contextmanager
def node_with_another_disk(cluster: Cluster, hidden: Path) -> Iterator[None]:
    """Start a node that does not see a folder of this machine, but an empty one there."""
    start = f"{Path(sys.executable).with_name('ray')} start --block --num-cpus 1"
    options = f"--address {cluster.address} --object-store-memory 80000000"
    script = f"mount -t tmpfs limbeck-test {hidden} && exec {start} {options}"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_node_with_another_disk_gets_what_it_needs_and_sends_what_it_makes(
    tmp_path: Path, cluster: Cluster
) -> None:
    folder, shared = tmp_path / "driver", tmp_path / "shared"
    write_tiny_study(folder, **SHORT, artifacts={"url": str(shared)})
    with (
        node_with_another_disk(cluster, folder),
        searching(folder, cluster, workers=1, runs=2) as process,
    ):
        assert process.wait() == 0, (folder / "search.log").read_text()
    runs = stored_runs(folder)
    assert [run.state for run in runs] == [RunState.FINISHED] * 2
    for run in runs:
        told = next(each for each in run.artifacts if each.name == "predictions.json")
        assert told.path == f"file://{shared}/tiny/runs/{run.number:04d}/predictions.json"
        assert fault_of(told, hashes=True) is None
    assert not list(shared.rglob("*checkpoint*"))
    assert not list(shared.rglob(".limbeck-*"))
    assert not (folder / "home" / "studies" / "tiny" / "runs").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_node_that_shares_no_place_with_the_search_is_refused(
    tmp_path: Path, cluster: Cluster
) -> None:
    write_tiny_study(tmp_path, **SHORT)
    with (
        node_with_another_disk(cluster, tmp_path),
        searching(tmp_path, cluster, workers=1, runs=2) as process,
    ):
        assert process.wait() == 1
    assert "does not see the home folder" in (tmp_path / "search.log").read_text()
    assert not finished(stored_runs(tmp_path))


def processes_of_runs() -> list[psutil.Process]:
    """Return the processes that workers on this machine have started to train together."""
    workers = [each for each in psutil.process_iter() if each.name().startswith("ray::Placed")]
    children = [child for worker in workers for child in worker.children()]
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_a_run_that_takes_two_gpus_trains_in_two_processes_which_end_with_the_search(
    tmp_path: Path, cluster: Cluster
) -> None:
    """Ray believes in the GPUs; torch finds none, and computes on the CPU."""
    write_tiny_study(tmp_path, **SHORT)
    node = cluster.add_node(num_cpus=1, num_gpus=2, **MEMORY)
    with searching(tmp_path, cluster, workers=1, runs=1, resources="GPU=2") as process:
        wait_for(process, tmp_path, lambda runs: bool(training(runs)))
        pair = processes_of_runs()
        assert process.wait() == 0, (tmp_path / "search.log").read_text()
    assert len(pair) == 2
    _, alive = psutil.wait_procs(pair, timeout=60)
    assert not alive
    cluster.remove_node(node)
    (run,) = stored_runs(tmp_path)
    assert (run.state, run.attempts) == (RunState.FINISHED, 1)
    folder = Home(tmp_path / "home").run("tiny", run.number)
    assert json.loads((folder / "environment.json").read_text())["processes"] == 2


def test_without_a_cluster_a_search_says_how_to_start_one(tmp_path: Path) -> None:
    for address, said in (
        ("ray://head:10001", "must be auto or the HOST:PORT"),
        ("nonsense", "must name a running cluster"),
    ):
        with pytest.raises(ConfigError, match=said), on_ray.cluster(address):
            pass
