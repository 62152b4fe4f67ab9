"""The commands that manage a study, as a user types them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from limbeck.config import load_config
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.study import enter
from tests.cli.conftest import Limbeck
from tests.tiny import write_tiny_study


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny study in which the dropout counts only for students of two layers or more."""
    dropout = {"type": "float", "low": 0.0, "high": 0.5, "when": {"num_layers": {"at_least": 2}}}
    return write_tiny_study(
        tmp_path_factory.mktemp("study"),
        space={"dropout": dropout},
        constraints=["num_layers < 3 or learning_rate < 0.05"],
        budget={"runs": 3},
    )


@pytest.fixture
def store(study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store of the folder where the user is: the study has its baseline, which is finished."""
    monkeypatch.chdir(tmp_path)
    home = Home(Path(".limbeck"))
    config = load_config(study_file)
    with Store(home.store_url) as store:
        enter(store, config, runs=3)
        store.add_run(
            "tiny",
            {"num_layers": 2, "learning_rate": 0.01, "dropout": 0.1},
            values={},
            owner="host:1:1",
            outcome=Outcome(state=RunState.FINISHED, values={"exact": 75.0}),
        )
        yield store


@pytest.fixture(scope="module")
def sizes(study_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """Number of parameters of a student by number of layers."""
    objective = Objective(load_config(study_file), Home(tmp_path_factory.mktemp("home")))
    return {n: objective.known({"num_layers": n})["num_parameters"] for n in (1, 2, 3)}


def test_a_queued_run_is_the_baseline_but_for_what_is_set(
    limbeck: Limbeck, store: Store, sizes: dict[int, float]
) -> None:
    ended = limbeck("queue", "tiny", "--set", "num_layers=3")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "Run 1 of study 'tiny' waits; a search takes it up first.\n"
    run = store.run("tiny", 1)
    assert run.state is RunState.WAITING
    assert run.parameters == {"num_layers": 3, "learning_rate": 0.01, "dropout": 0.1}
    assert run.values["num_parameters"] == sizes[3]
    assert store.claim_waiting("tiny", owner="host:2:2") == store.run("tiny", 1)


def test_what_is_inactive_is_left_out_and_what_is_not_searched_is_said(
    limbeck: Limbeck, store: Store
) -> None:
    ended = limbeck("queue", "--set", "num_layers=1", "--set", "layers=last", "--json")
    assert ended.err == "Note: layers is not searched, so the search learns nothing of this run.\n"
    facts = json.loads(ended.out)
    assert (facts["number"], facts["state"]) == (1, "waiting")
    assert facts["parameters"] == {"num_layers": 1, "learning_rate": 0.01, "layers": "last"}


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["num_layers=4"], "num_layers must be between 1 and 3, but got 4"),
        (["num_layers=1", "dropout=0.2"], "dropout must be left out unless num_layers is at least"),
        (["num_layers=3", "learning_rate=0.1"], "breaks 'num_layers < 3 or learning_rate < 0.05'"),
        (["num_layers=2"], "run 0 of study 'tiny' has the same and is finished"),
        (["num_heads=[4,2]"], "num_heads must be one number, text, true or false"),
        (["num_layers=1", "num_layers=3"], "--set must name a parameter once"),
        (["layer=1"], "no such parameter: layer; did you mean 'layers'"),
        (["layers=0,7", "num_layers=2"], "7"),
    ],
)
def test_a_run_that_cannot_be_is_not_queued(
    limbeck: Limbeck, store: Store, sets: list[str], message: str
) -> None:
    ended = limbeck("queue", *(part for each in sets for part in ("--set", each)))
    assert (ended.code, ended.err.count("\n"), message in ended.err) == (2, 1, True), ended.err
    assert len(store.runs("tiny")) == 1


def test_a_stopped_run_may_be_queued_again(limbeck: Limbeck, store: Store) -> None:
    for number in (1, 2):
        assert limbeck("queue", "--set", "num_layers=1").code == 0
        stopped = limbeck("stop", number)
        assert stopped.out == f"Run {number} of study 'tiny' is stopped: it waited.\n"
    assert [run.state for run in store.runs("tiny")][1:] == [RunState.STOPPED] * 2


def test_a_spent_budget_is_said_and_can_be_extended(limbeck: Limbeck, store: Store) -> None:
    for layers in (1, 3):
        assert limbeck("queue", "--set", f"num_layers={layers}").code == 0
    again = ("queue", "--set", "learning_rate=0.02")
    ended = limbeck(*again)
    assert (ended.code, ended.err) == (
        2,
        "Error: study 'tiny' must have room for another run, but has 3 of 3; first: "
        "limbeck extend tiny --runs 4\n",
    )
    assert limbeck("extend", "tiny", "--runs", 4).out == (
        "Study 'tiny' has 3 of 4 runs; before, its budget was 3.\n"
    )
    assert limbeck(*again).code == 0
    ended = limbeck("extend", "--runs", 3)
    assert (ended.code, store.study("tiny").budget) == (2, 4)
    assert ended.err.startswith("Error: --runs must be at least the 4 runs that study 'tiny' has")
    assert json.loads(limbeck("extend", "--runs", 9, "--json").out) == {
        "study": "tiny",
        "runs": 4,
        "budget": 9,
    }


def test_a_paused_study_is_shown_as_such_until_it_is_resumed(
    limbeck: Limbeck, store: Store
) -> None:
    store.add_run("tiny", {"num_layers": 1}, values={}, owner="host:1:1")
    assert limbeck("pause").out.startswith("Study 'tiny' is paused; 1 running runs go on to their")
    assert store.study("tiny").paused
    assert "tiny (paused)" in limbeck("status").out
    assert json.loads(limbeck("status", "--json").out)[0]["paused"] is True
    assert limbeck("status", "tiny").out.endswith(
        "Paused: no run is started until limbeck resume tiny.\n"
    )
    assert limbeck("resume").out == "Study 'tiny' is not paused.\n"
    assert not store.study("tiny").paused
    assert "paused" not in limbeck("status").out + limbeck("status", "tiny").out
    assert json.loads(limbeck("pause", "tiny", "--json").out) == {
        "study": "tiny",
        "paused": True,
        "running": 1,
    }
    assert json.loads(limbeck("resume", "--json").out) == {"study": "tiny", "paused": False}


def test_a_running_run_stops_later_and_none_if_one_cannot(limbeck: Limbeck, store: Store) -> None:
    store.add_run("tiny", {"num_layers": 1}, values={}, owner="host:1:1")
    store.add_run("tiny", {"num_layers": 3}, values={}, owner=None)
    for wrong, message in ((0, "run 0 of 'tiny' is finished"), (3, "has no run 3")):
        ended = limbeck("stop", 1, 2, wrong)
        assert (ended.code, message in ended.err) == (2, True)
        assert not store.run("tiny", 1).stop_requested
        assert store.run("tiny", 2).state is RunState.WAITING
    assert json.loads(limbeck("stop", 1, 2, 1, "--study", "tiny", "--json").out) == [
        {"run": 1, "state": "running", "stop_requested": True},
        {"run": 2, "state": "stopped", "stop_requested": False},
    ]
    assert "running, to be stopped" in limbeck("status", "tiny").out
    assert limbeck("stop", 1).out == "Run 1 of study 'tiny' stops at its next report.\n"


def test_added_runs_are_finished_ones_of_the_study(
    limbeck: Limbeck, store: Store, tmp_path: Path, sizes: dict[int, float]
) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(
        "num_layers,learning_rate,dropout,exact,error:exact,num_parameters,seconds\n"
        "2,0.01,0.1,1,,,\n"
        f"1,0.02,,60,2.5,{sizes[1]:.0f},30\n"
        "3,0.02,0,70,,,\n"
    )
    checked = limbeck("add", file, "--dry-run")
    assert (checked.code, len(store.runs("tiny"))) == (0, 1)
    assert checked.out == (
        "2 runs can be added to study 'tiny'; 1 rows left out, whose parameters it has. "
        "It has 1 of 3 runs.\n"
    )
    assert limbeck("add", file).out == (
        "2 runs added to study 'tiny'; 1 rows left out, whose parameters it has. "
        "It has 3 of 3 runs.\n"
    )
    baseline, shallow, deep = store.runs("tiny")
    assert baseline.values["exact"] == 75.0
    assert (shallow.state, shallow.values["num_parameters"]) == (RunState.FINISHED, sizes[1])
    assert (shallow.errors, shallow.seconds) == ({"exact": 2.5}, 30.0)
    assert deep.values["num_parameters"] == sizes[3]
    (event,) = store.events("tiny")
    assert (event.kind, event.text) == ("added", f"2 runs from {file}")
    again = json.loads(limbeck("add", file, "--study", "tiny", "--json").out)
    assert again == {"study": "tiny", "added": [], "new": 0, "rows": 3}
    assert len(store.runs("tiny")) == 3
    facts = json.loads(limbeck("frontier", "--json").out)
    assert [run["run"] for run in facts["frontier"]] == [1, 2]


def test_a_file_with_more_runs_than_the_budget_is_not_begun(
    limbeck: Limbeck, store: Store, tmp_path: Path
) -> None:
    rates = (0.02, 0.03, 0.04)
    rows = [{"num_layers": 1, "learning_rate": rate, "exact": 60} for rate in rates]
    (tmp_path / "runs.json").write_text(json.dumps(rows))
    ended = limbeck("add", "runs.json")
    assert (ended.code, len(store.runs("tiny"))) == (2, 1)
    assert ended.err == (
        "Error: study 'tiny' must have room for 3 more runs, but has 1 of 3; first: "
        "limbeck extend tiny --runs 4\n"
    )


def test_a_study_that_has_not_begun_takes_no_runs_by_hand(
    limbeck: Limbeck, store: Store, study_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs.csv").write_text("num_layers,learning_rate,exact\n1,0.02,60\n")
    config = load_config(study_file)
    store.create_study("new", budget=2, seed=0, config=store.study("tiny").config)
    confirming = config.file.model_copy(
        update={"data": config.file.data.model_copy(update={"score_on": "test", "test": "t.json"})}
    )
    text = json.dumps({"folder": ".", "file": confirming.model_dump(mode="json")})
    store.create_study("tiny.confirm", budget=2, seed=0, config=text)
    for arguments in (("queue", "new"), ("add", "runs.csv", "--study", "new")):
        ended = limbeck(*arguments)
        assert (ended.code, "needs its baseline first" in ended.err) == (2, True)
        ended = limbeck(*arguments[:-1], "tiny.confirm")
        assert (ended.code, "confirms another" in ended.err) == (2, True)
    assert store.runs("new") == store.runs("tiny.confirm") == ()


def test_a_search_keeps_an_extended_budget_and_says_why_it_starts_no_run(
    limbeck: Limbeck, store: Store, study_file: Path
) -> None:
    outcome = Outcome(state=RunState.FINISHED, values={"exact": 60.0})
    store.update_study("tiny", budget=4, config=store.study("tiny").config)
    for rate in (0.02, 0.03, 0.04):
        parameters = {"num_layers": 1, "learning_rate": rate}
        store.add_run("tiny", parameters, values={}, owner="host:1:1", outcome=outcome)
    ended = limbeck("search", study_file)
    assert (ended.code, store.study("tiny").budget) == (0, 4)
    assert "paused" not in ended.err
    assert "more than" not in ended.err
    ended = limbeck("search", study_file, "--runs", 2)
    assert (ended.code, store.study("tiny").budget) == (0, 2)
    assert "Study 'tiny' has 4 runs already, more than the 2 asked for: no new one" in ended.err
    assert len(store.runs("tiny")) == 4
