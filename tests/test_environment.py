"""What is written down of the program and the machine, against git and the machine itself."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from typing_extensions import override

import limbeck
from limbeck.artifacts import with_artifacts
from limbeck.config import load_config
from limbeck.distill.training import Reporter
from limbeck.environment import describe_environment, without_passwords, write_origin
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import Run, RunState
from limbeck.space import Value
from tests.artifact_runs import make_config
from tests.tiny import write_tiny_study


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=me", "-c", "user.email=me@here"]
    return subprocess.run(
        ["git", *settings, "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def describe() -> dict[str, object]:
    return describe_environment(device=torch.device("cpu"), dtype=torch.bfloat16)


def test_program_and_machine_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["limbeck", "search", "--store", "postgresql://me:word@db/x"])
    facts = describe()
    assert isinstance(facts["packages"], dict)
    assert facts["packages"]["torch"] == version("torch")
    assert facts["packages"]["limbeck"] == limbeck.__version__
    assert facts["host"] == socket.gethostname()
    assert facts["command"] == ["limbeck", "search", "--store", "postgresql://me:***@db/x"]
    assert (facts["device"], facts["precision"]) == ("cpu", "bfloat16")
    assert facts["threads"] == torch.get_num_threads()
    assert facts["cores"] == os.cpu_count()


def test_the_commit_of_the_current_folder_says_whether_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert describe()["folder_commit"] is None
    git(tmp_path, "init", "-q")
    (tmp_path / "study.toml").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    git(tmp_path, "tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert describe()["folder_commit"] == head
    (tmp_path / "study.toml").write_text("two")
    assert describe()["folder_commit"] == f"{head}-dirty"


def test_limbecks_own_commit_is_that_of_its_checkout_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed into somebody's checkout, it is not of their commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "other").write_text("theirs")
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-qm", "theirs")
    installed = tmp_path / "site-packages" / "environment.py"
    installed.parent.mkdir()
    installed.touch()
    monkeypatch.setattr("limbeck.environment.__file__", str(installed))
    assert describe()["limbeck_commit"] is None
    git(tmp_path, "add", "-f", "site-packages")
    git(tmp_path, "commit", "-qm", "now it is")
    assert describe()["limbeck_commit"] == git(tmp_path, "rev-parse", "HEAD")


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = describe()
    assert (facts["limbeck_commit"], facts["folder_commit"]) == (None, None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:wo:rd@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
        ("mlflow:https://me:word@host/path", "mlflow:https://me:***@host/path"),
        (
            "postgresql://db/x?user=me&password=word&a=b",
            "postgresql://db/x?user=me&password=***&a=b",
        ),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("--set=num_layers=3", "--set=num_layers=3"),
    ],
)
def test_passwords_are_not_written_down(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_what_a_run_is_made_from_is_written_whole(tmp_path: Path) -> None:
    config = make_config(
        tmp_path,
        mirrors=["mlflow:https://me:word@host"],
        seed=11,
        data={"train": "train.json", "dev": "dev.json", "seed": 12},
        recipe={"seed": 13},
    )
    run = Run(number=7, parameters={"num_layers": 3, "alpha_ce": 0.9}, state=RunState.RUNNING)
    write_origin(
        tmp_path,
        config,
        run.parameters,
        baseline={"num_layers": 6},
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    facts = json.loads((tmp_path / "config.json").read_text())
    assert facts["parameters"] == {"num_layers": 3, "alpha_ce": 0.9}
    assert facts["baseline"] == {"num_layers": 6}
    assert (facts["student"]["num_layers"], facts["recipe"]["alpha_ce"]) == (3, 0.9)
    assert facts["recipe"]["temperature"] == config.file.recipe.temperature
    expected = config.file.model_dump(mode="json")
    assert facts["study_file"] == {**expected, "mirrors": ["mlflow:https://me:***@host"]}
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["seeds"] == {
        "seed": 11, "data.seed": 12, "student.pruning_seed": 0, "recipe.seed": 13,
    }  # fmt: skip


class Silent(Reporter):
    """Hears nothing."""

    @override
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        pass

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        pass


def test_every_run_leaves_what_it_was_made_from_however_it_ends(tmp_path: Path) -> None:
    config = load_config(write_tiny_study(tmp_path, recipe={"steps": 2}))
    objective = Objective(config, Home(tmp_path / "home"))
    cases: list[tuple[str, dict[str, Value], RunState]] = [
        ("finished", {"num_layers": 1}, RunState.FINISHED),
        ("infeasible", {"num_layers": 1, "learning_rate": 1e30}, RunState.INFEASIBLE),
    ]
    for name, parameters, state in cases:
        folder = tmp_path / name
        outcome = with_artifacts(objective(parameters, folder, Silent()), folder, config)
        assert outcome.state is state
        assert json.loads((folder / "config.json").read_text())["parameters"] == parameters
        left = {artifact.name for artifact in outcome.artifacts}
        assert left >= {"config.json", "environment.json"}
        assert ("model" in left) == (state is RunState.FINISHED)
