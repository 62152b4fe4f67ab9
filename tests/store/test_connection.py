"""How a database is set up, and what is said when it cannot be used."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Pool, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from limbeck.errors import StoreError, UnavailableError
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.store.connection import open_engine, parse_url, writing

FINISHED = Outcome(state=RunState.FINISHED, values={"exact": 60.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A SQLite store with one running run of ``me`` in the study ``bert``."""
    path = tmp_path / "runs.db"
    with Store(f"sqlite:///{path}") as store:
        store.create_study("bert", budget=9, seed=1, config="")
        store.add_run("bert", {"layers": 3}, values={}, owner="me")
    return path


@pytest.fixture
def full_disk(path: Path) -> Iterator[None]:
    """The store is there, and no SQLite database opened from now on can grow."""

    def limit(connection: DBAPIConnection, _entry: object) -> None:
        connection.cursor().execute("PRAGMA max_page_count = 1")

    event.listen(Pool, "connect", limit)
    yield
    event.remove(Pool, "connect", limit)


def one_line(text: str) -> str:
    """A pattern for an error text that has ``text`` and is one line."""
    return rf"\A.*{re.escape(text)}.*\Z"


def test_every_connection_is_durable_and_checks_foreign_keys(tmp_path: Path) -> None:
    engine = open_engine(parse_url(f"sqlite:///{tmp_path}/runs.db"))
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert pragmas == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "busy_timeout": 30_000,
            }
    engine.dispose()


def test_the_folder_is_made(tmp_path: Path) -> None:
    Store(f"sqlite:///{tmp_path}/new/folder/runs.db").close()
    assert (tmp_path / "new/folder/runs.db").is_file()


def test_a_locked_store_is_readable_and_says_so_when_written(path: Path) -> None:
    with Store(f"sqlite:///{path}?timeout=0") as store:
        before = store.runs("bert")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            locked = one_line(f"the store {path} stayed locked by another process; end that one")
            with pytest.raises(UnavailableError, match=locked):
                store.end_run("bert", 0, FINISHED, owner="me")
            with pytest.raises(UnavailableError, match=locked):
                store.create_study("tiny", budget=1, seed=1, config="")
            assert store.runs("bert") == before
        store.end_run("bert", 0, FINISHED, owner="me")
        assert store.run("bert", 0).state is RunState.FINISHED


def test_opening_waits_for_a_process_that_builds_the_same_store(path: Path) -> None:
    """Another holds the lock at the first try to set the write-ahead log, not at the second."""
    url = f"sqlite:///{path}"
    tries: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")

        def release_at_second_try(statement: str) -> None:
            if statement == "PRAGMA journal_mode = WAL":
                tries.append(statement)
                if len(tries) == 2:
                    other.rollback()

        def trace(connection: sqlite3.Connection, _entry: object) -> None:
            connection.set_trace_callback(release_at_second_try)

        event.listen(Pool, "connect", trace)
        with Store(url) as store:
            assert [study.name for study in store.studies()] == ["bert"]
        event.remove(Pool, "connect", trace)
    assert len(tries) == 2
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_writer_waits_for_another_and_goes_on(path: Path) -> None:
    """Another holds the lock at the first try to begin, not at the second."""
    tries: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def release_at_second_try(statement: str) -> None:
            if statement == "BEGIN IMMEDIATE":
                tries.append(statement)
                if len(tries) == 2:
                    other.rollback()

        engine = open_engine(parse_url(f"sqlite:///{path}"))
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.set_trace_callback(release_at_second_try)
        other.execute("BEGIN IMMEDIATE")
        with writing(engine).begin() as connection:
            assert len(tries) == 2
            timeout = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
            assert timeout == 30_000
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("PRAGMA busy_timeout = 0").execute("BEGIN IMMEDIATE")
        engine.dispose()


def test_opening_does_not_wait_for_ever(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=one_line("stayed locked by another process")):
            Store(f"sqlite:///{path}?timeout=0")


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_run_as_it_was(path: Path) -> None:
    with Store(f"sqlite:///{path}") as store:
        before = store.runs("bert")
        full = one_line(f"the store {path} cannot grow: the disk is full; free some space")
        too_much = Outcome(state=RunState.FAILED, values={"exact": 1.0}, message="x" * 100_000)
        with pytest.raises(UnavailableError, match=full):
            store.end_run("bert", 0, too_much, owner="me")
        assert store.runs("bert") == before
        store.end_run("bert", 0, FINISHED, owner="me")
        assert store.run("bert", 0).values == {"exact": 60.0}


def test_a_read_only_store_can_be_read(path: Path) -> None:
    with Store(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        before = store.runs("bert")
        with pytest.raises(
            StoreError, match=one_line("is read-only; make the file and its folder")
        ) as refused:
            store.end_run("bert", 0, FINISHED, owner="me")
        assert not isinstance(refused.value, UnavailableError)
        assert store.runs("bert") == before


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('name = "bert"\n' * 100)
    text = one_line(f"the store {path} is not a SQLite database; name another file")
    with pytest.raises(StoreError, match=text):
        Store(f"sqlite:///{path}")
    assert path.read_text() == 'name = "bert"\n' * 100


def test_a_database_of_another_program_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "music.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    text = one_line(f"the store {path} must be empty or Limbeck's, but has the tables songs")
    with pytest.raises(StoreError, match=text):
        Store(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=one_line(f"the store {tmp_path} cannot be opened; give")):
        Store(f"sqlite:///{tmp_path}")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=one_line("runs.db needs its folder, but: File exists;")):
        Store(f"sqlite:///{tmp_path}/file/runs.db")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:/me:secret@host/runs",
        "postgresql://me:se/cret@host:port/runs",
        "postgresql://me:secret@host:0x1/runs",
    ],
)
def test_a_broken_url_shows_no_password(url: str) -> None:
    with pytest.raises(StoreError, match=r"got 'postgresql://\.\.\.@host[^ ]*'\Z"):
        Store(url)


@pytest.mark.parametrize("url", ["runs.db", "", "sqlite:/runs.db"])
def test_a_path_is_no_url(url: str) -> None:
    text = one_line(f"must be a database URL such as sqlite:///limbeck.db, but got {url!r}")
    with pytest.raises(StoreError, match=text):
        Store(url)


def test_a_database_without_driver_names_it_but_no_password() -> None:
    url = "nosuch://me:secret@host/runs"
    with pytest.raises(StoreError, match=r"nosuch://me:\*\*\*@host/runs needs a driver for"):
        Store(url)


def test_opening_a_store_loads_neither_torch_nor_alembic(path: Path) -> None:
    """Nor does a command that only reads wait for them."""
    program = (
        "import sys; from limbeck.store import Store; Store(sys.argv[1]).runs('bert'); "
        "print({'torch', 'transformers', 'botorch', 'alembic'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
