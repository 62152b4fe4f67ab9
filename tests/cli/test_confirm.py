"""A search with a control, and its finalists trained again."""

import json
from pathlib import Path

import pytest

from limbeck.home import Home
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from tests.cli.conftest import Limbeck, run_in
from tests.tiny import tiny_questions, write_squad, write_tiny_study

CONFIRM = ("confirm", "tiny", "--seeds", "2", "--data", "test.json", "--home", "home")


def done(folder: Path, *arguments: str) -> str:
    ended = run_in(folder, *arguments)
    assert ended.code == 0, ended.err
    return ended.out


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a search of three runs has been carried out, and confirmed."""
    folder = tmp_path_factory.mktemp("confirmed")
    write_tiny_study(folder, budget={"runs": 3, "control": True})
    write_squad(folder / "test.json", tiny_questions(16, seed=3))
    done(folder, "search", "study.toml", "--home", "home")
    done(folder, *CONFIRM)
    return folder


def test_the_second_run_is_the_baseline_without_distillation(confirmed: Path) -> None:
    with Store(Home(confirmed / "home").store_url) as store:
        baseline, control, chosen = store.runs("tiny")
    assert control.parameters == {**baseline.parameters, "alpha_ce": 0.0}
    assert chosen.parameters.keys() == baseline.parameters.keys()
    out = done(confirmed, "frontier", "--home", "home", "-o", "front.png", "tiny")
    shown = (
        f"Control: run 1, the baseline without distillation, exact {control.values['exact']:.2f}"
    )
    assert shown in out
    assert "alpha_ce" in done(confirmed, "status", "tiny", "--home", "home")


def test_finalists_are_trained_with_new_seeds_and_scored_on_other_questions(
    confirmed: Path,
) -> None:
    with Store(Home(confirmed / "home").store_url) as store:
        runs, repeats = store.runs("tiny"), store.runs("tiny.confirm")
    assert all(run.state is RunState.FINISHED for run in repeats)
    assert {run.values["total"] for run in runs} == {12.0}
    assert {run.values["total"] for run in repeats} == {16.0}
    of_baseline = [
        r for r in repeats if {**r.parameters, "seed": 0} == {**runs[0].parameters, "seed": 0}
    ]
    assert [run.parameters["seed"] for run in of_baseline] == [1, 2]
    facts = json.loads(done(confirmed, *CONFIRM, "--json"))
    assert {fact["metric"] for fact in facts} == {"exact"}
    (baseline,) = (fact for fact in facts if fact["run"] == 0)
    assert baseline["selected"] == runs[0].values["exact"]
    assert baseline["values"] == [run.values["exact"] for run in of_baseline]
    assert baseline["luck"] == 0.0


def test_confirming_again_goes_on_with_what_is_missing(confirmed: Path) -> None:
    url = Home(confirmed / "home").store_url
    with Store(url) as store:
        before = store.runs("tiny.confirm")
    done(confirmed, *CONFIRM, "--run", "0", "--seeds", "3")
    with Store(url) as store:
        after = store.runs("tiny.confirm")
    assert after[: len(before)] == before
    (added,) = after[len(before) :]
    assert added.parameters["seed"] == 3


def test_a_repetition_that_failed_is_made_again(confirmed: Path) -> None:
    url = Home(confirmed / "home").store_url
    failed = Outcome(state=RunState.FAILED, reason="outage")
    with Store(url) as store:
        before = len(store.runs("tiny.confirm"))
        store.update_study(
            "tiny.confirm", budget=before + 1, config=store.study("tiny.confirm").config
        )
        repeated = {**store.run("tiny", 0).parameters, "seed": 4}
        run = store.add_run("tiny.confirm", repeated, values={}, owner="somebody")
        assert run is not None
        store.end_run("tiny.confirm", run.number, failed, owner="somebody")
    done(confirmed, *CONFIRM, "--run", "0", "--seeds", "4")
    with Store(url) as store:
        fourth = [run for run in store.runs("tiny.confirm") if run.parameters == repeated]
    assert [run.state for run in fourth] == [RunState.FAILED, RunState.FINISHED]


def test_the_study_last_begun_is_the_one_that_was_searched(
    confirmed: Path, limbeck: Limbeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = Home(confirmed / "home").store_url
    with Store(url) as store:
        before = store.runs("tiny.confirm")
    monkeypatch.chdir(confirmed)
    assert limbeck(*(argument for argument in CONFIRM if argument != "tiny")).code == 0
    with Store(url) as store:
        assert store.runs("tiny.confirm") == before
        assert [study.name for study in store.studies()] == ["tiny", "tiny.confirm"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny", "--data", "more.json"), "'tiny.confirm' must go on with what it was begun with"),
        (("tiny", "--data", "dev.json"), "12 of 12 are among those of data.dev; name others"),
        (("tiny", "--data", "train.json"), "24 of 24 are among those of data.train; name others"),
        (("tiny.confirm", "--data", "more.json"), "tiny.confirm confirms another study already"),
        (("tiny",), "set data.test, or give --data"),
        (("tiny", "--data", "test.json", "--name", "a b"), "name: must be 1 to 100 letters"),
    ],
)
def test_what_would_not_confirm_is_refused(
    confirmed: Path,
    limbeck: Limbeck,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    write_squad(confirmed / "more.json", tiny_questions(8, seed=4))
    monkeypatch.chdir(confirmed)
    ended = limbeck("confirm", *arguments, "--home", "home")
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("Error:") == 1
