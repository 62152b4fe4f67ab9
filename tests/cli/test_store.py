"""The commands that look after the store."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from limbeck.artifacts import register
from limbeck.cli.app import main
from limbeck.config import parse_config
from limbeck.home import Home
from limbeck.runs import Artifact, CurvePoint, Outcome, RunState
from limbeck.store import Store
from limbeck.store.schema import REVISION
from limbeck.study import enter, stored_config
from tests.tiny import tiny_study

OLDEST = Path(__file__).parents[1] / "store" / "schema-0001.sql"
Limbeck = Callable[..., tuple[int, str, str]]


@pytest.fixture
def limbeck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Limbeck:
    """The command line in an empty folder: returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["limbeck", "store", *arguments])
        with pytest.raises(SystemExit, match=r"^[0-9]+$") as ended:
            main()
        assert isinstance(ended.value.code, int)
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The default store's file: the study ``tiny`` has one finished run with a log."""
    home = Home(tmp_path / ".limbeck")
    log = tmp_path / "log.txt"
    log.write_text("hello")
    with Store(home.store_url) as store:
        enter(store, parse_config(tiny_study(), folder=tmp_path, name="study"), runs=2)
        store.add_run("tiny", {"num_layers": 3}, values={}, owner="host:1:1")
        point = CurvePoint(step=1, metric="loss", value=2.0, seconds=1.0)
        store.add_points("tiny", 0, [point], owner="host:1:1")
        outcome = Outcome(state=RunState.FINISHED, artifacts=(register("log.txt", log),))
        store.end_run("tiny", 0, outcome, owner="host:1:1")
    return home.folder / "store.db"


def test_upgrade_says_what_it_did(limbeck: Limbeck, tmp_path: Path) -> None:
    assert limbeck("upgrade", "--store", "sqlite:///new.db") == (
        0,
        f"new.db was empty: it has schema {REVISION} now.\n",
        "",
    )
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(OLDEST.read_text(encoding="utf-8"))
    old = ("upgrade", "--store", "sqlite:///old.db")
    assert limbeck(*old) == (0, f"old.db had schema 0001: it has {REVISION} now.\n", "")
    code, out, _ = limbeck(*old)
    assert (code, out) == (
        0,
        f"old.db has schema {REVISION}, the newest that this version knows.\n",
    )
    assert json.loads(limbeck(*old, "--json")[1]) == {"from": REVISION, "to": REVISION}


def test_a_sound_store(limbeck: Limbeck, store: Path) -> None:
    sound = (0, ".limbeck/store.db is sound: 1 runs, 1 artifacts.\n", "")
    assert limbeck("check") == sound
    assert limbeck("check", "--hashes") == sound
    assert json.loads(limbeck("check", "--json")[1]) == {"faults": []}


def test_artifacts_that_are_gone_or_changed_are_found(
    limbeck: Limbeck, store: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    log.write_text("hallo")
    assert limbeck("check")[0] == 0
    code, out, _ = limbeck("check", "--hashes")
    assert code == 1
    assert out.startswith("study 'tiny': run 0: log.txt must be as the run left it, sha256 2cf24db")
    log.write_text("hello!")
    assert limbeck("check")[:2] == (
        1,
        f"study 'tiny': run 0: log.txt must have 5 bytes, but {log} has 6\n",
    )
    log.unlink()
    code, out, _ = limbeck("check", "--json")
    assert code == 1
    assert json.loads(out) == {"faults": [f"study 'tiny': run 0: log.txt is gone from {log}"]}


def test_artifacts_at_a_url_are_checked(limbeck: Limbeck, store: Path, tmp_path: Path) -> None:
    away = tmp_path / "away" / "model"
    away.mkdir(parents=True)
    (away / "weights").write_bytes(b"12345")
    here = register("model", away)
    url = f"local://{away}"
    artifact = Artifact(name="model", path=url, sha256=here.sha256, bytes=5)
    with Store(f"sqlite:///{store}") as opened:
        opened.add_run("tiny", {}, values={}, owner="host:1:1")
        opened.end_run(
            "tiny", 1, Outcome(state=RunState.FINISHED, artifacts=(artifact,)), owner="host:1:1"
        )
    assert limbeck("check", "--hashes")[0] == 0
    (away / "weights").write_bytes(b"123")
    assert f"run 1: model must have 5 bytes, but {url} has 3" in limbeck("check")[1]
    (away / "weights").unlink()
    away.rmdir()
    assert f"run 1: model is gone from {url}" in limbeck("check")[1]


def test_faults_of_the_database_are_found(limbeck: Limbeck, store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE runs SET ended = NULL")
    assert limbeck("check") == (1, "study 'tiny': run 0 is finished but has not ended\n", "")


def test_vacuum_says_how_much_it_freed(limbeck: Limbeck, store: Path) -> None:
    with Store(f"sqlite:///{store}") as opened:
        opened.add_event("tiny", "note", "x" * 300_000)
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DELETE FROM events")
    code, out, _ = limbeck("vacuum", "--json")
    freed = json.loads(out)
    assert code == 0
    assert freed["bytes_before"] - freed["bytes_after"] > 290_000
    assert freed["bytes_after"] == store.stat().st_size
    _, out, _ = limbeck("vacuum")
    assert out.endswith(f" bytes, and takes {store.stat().st_size:,} now.\n")


def test_a_study_goes_to_another_store(limbeck: Limbeck, store: Path, tmp_path: Path) -> None:
    assert limbeck("export") == (
        0,
        "tiny.jsonl.gz has study 'tiny': 1 runs, 1 curve points.\n",
        "",
    )
    there = ("--store", "sqlite:///there.db")
    assert limbeck("import", "tiny.jsonl.gz", *there) == (
        0,
        "there.db has study 'tiny' now: 1 runs, 1 curve points.\n",
        "",
    )
    _, out, _ = limbeck("import", "tiny.jsonl.gz", "--name", "twin", "--json", *there)
    assert json.loads(out) == {"study": "twin", "runs": 1, "points": 1}
    with Store(f"sqlite:///{store}") as one, Store("sqlite:///there.db") as other:
        assert other.runs("tiny") == other.runs("twin") == one.runs("tiny")
        assert stored_config(other, "twin").file.name == "twin"
    _, out, _ = limbeck("export", "twin", "-o", "out/twin.jsonl", "--json", *there)
    assert json.loads(out) == {"file": "out/twin.jsonl", "runs": 1, "points": 1}
    assert (tmp_path / "out" / "twin.jsonl").read_text().startswith('{"type":"study","format":1,')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "--home", "none"), "none has no store; name another with --store or --home"),
        (("vacuum", "--store", "sqlite:///none.db"), "there is no file none.db"),
        (("export", "--store", "none"), "must be a database URL such as sqlite:///limbeck.db"),
        (("export", "none"), "no study 'none'; valid names are tiny"),
        (("export", "-o", "log.txt/tiny.jsonl"), "--output must name a folder that can be written"),
        (("import", "none.jsonl"), "none.jsonl cannot be read: No such file or directory"),
        (("import", "log.txt"), "log.txt, line 1: Invalid JSON"),
        (("upgrade", "--store", "sqlite:///log.txt"), "log.txt is not a SQLite database"),
        (("check", "--store", "sqlite:///log.txt"), "log.txt is not a SQLite database"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    limbeck: Limbeck, store: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "log.txt").write_text("hello\n" * 100)
    before = store.read_bytes()
    code, out, error = limbeck(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert message in error
    assert store.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".limbeck", "log.txt"]


def test_a_study_that_is_there_stays(limbeck: Limbeck, store: Path) -> None:
    limbeck("export", "-o", "tiny.jsonl")
    before = store.read_bytes()
    code, _, error = limbeck("import", "tiny.jsonl")
    assert (code, error) == (
        2,
        "Error: study names must differ, but 'tiny' is there already; give the imported one "
        "another with --name\n",
    )
    assert store.read_bytes() == before


@pytest.mark.parametrize("command", ["upgrade", "check", "vacuum", "export", "import"])
def test_help_has_an_example(limbeck: Limbeck, command: str) -> None:
    code, out, _ = limbeck(command, "--help")
    assert code == 0
    assert f"Example: limbeck store {command}" in out
