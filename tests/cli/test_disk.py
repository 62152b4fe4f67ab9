"""The command that shows and frees disk space, against the files themselves."""

import json
import sys
from pathlib import Path

import pytest

from limbeck.cli.app import main
from limbeck.files import size
from limbeck.home import Home
from limbeck.retention import drop_weights
from limbeck.runs import RunState
from limbeck.store import Store
from limbeck.study import enter
from tests.artifact_runs import ME, make_config, outcome_of, write_files


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two studies: ``tiny`` with a frontier run, a dominated one, a crashed and a running one."""
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    for folder, count in ((home.cache, 5), (home.teachers, 7), (home.students, 11)):
        folder.mkdir()
        (folder / "file").write_bytes(bytes(count))
    with Store(home.store_url) as store:
        for name in ("tiny", "other"):
            enter(store, make_config(tmp_path, name=name), runs=10)
            for exact in (70.0, 80.0, 60.0, None):
                run = store.add_run(name, {"num_layers": 3}, values={}, owner=ME)
                assert run is not None
                folder = home.run(name, run.number)
                write_files(folder)
                if exact:
                    outcome = outcome_of(folder, {"exact": exact, "num_parameters": 100.0})
                    store.end_run(name, run.number, outcome, owner=ME)
            (home.run(name, 0) / "checkpoint.safetensors").write_bytes(bytes(20))
            (home.run(name, 3) / "checkpoint.safetensors").write_bytes(bytes(30))
    return home


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> str:
    monkeypatch.setattr(sys, "argv", ["limbeck", "disk", *map(str, arguments)])
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    return capsys.readouterr().out


def test_bytes_are_those_on_the_disk(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads(run(monkeypatch, capsys, "--home", home.folder, "--json"))
    assert [study["study"] for study in facts["studies"]] == ["tiny", "other"]
    for study in facts["studies"]:
        runs = home.run(study["study"], 0).parent
        assert (study["weights"], study["checkpoints"]) == (4 * 102, 50)
        assert study["predictions"] == 4 * size(home.run("tiny", 0) / "predictions.json")
        kinds = ("weights", "predictions", "checkpoints", "records")
        assert sum(study[kind] for kind in kinds) == size(runs)
        # The baseline and run 1 keep theirs; the checkpoint of the running run is needed.
        assert (study["retention"], study["leftovers"], study["elsewhere"]) == (102, 20, 0)
    shared = facts["shared"]
    assert (shared["caches"], shared["teachers"], shared["students"]) == (5, 7, 11)
    assert shared["store"] >= (home.folder / "store.db").stat().st_size
    assert facts["freed"] is None


def test_clean_removes_what_was_announced_of_the_study_that_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--home", home.folder, "tiny")
    assert "limbeck disk --clean would free 122 B." in run(monkeypatch, capsys, *arguments)
    other = sorted(home.run("other", 0).parent.rglob("*"))
    facts = json.loads(run(monkeypatch, capsys, *arguments, "--clean", "--json"))
    assert facts["freed"] == 122
    [study] = facts["studies"]
    assert (study["retention"], study["leftovers"]) == (0, 0)
    assert (study["weights"], study["checkpoints"]) == (3 * 102, 30)
    assert not (home.run("tiny", 2) / "model").exists()
    assert sorted(home.run("other", 0).parent.rglob("*")) == other
    assert "would free" not in run(monkeypatch, capsys, *arguments)


def test_show_says_that_weights_were_dropped(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Store(home.store_url) as store:
        drop_weights(store, make_config(tmp_path), store.runs("tiny"))
        assert store.run("tiny", 2).state is RunState.FINISHED
    monkeypatch.setattr(
        sys, "argv", ["limbeck", "show", "2", "--study", "tiny", "--home", str(home.folder)]
    )
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    text = " ".join(capsys.readouterr().out.split())
    assert "the weights of run 2 were removed: artifacts.keep_weights = " in text
    assert "limbeck distill STUDY.toml --set num_layers=3" in text
