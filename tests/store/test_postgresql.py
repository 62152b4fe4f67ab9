"""PostgreSQL: how it is set up, and what is said when it cannot be used."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import psycopg
import pytest
from benchmarks._postgres import Databases, Server
from sqlalchemy import func, select, text

from limbeck.errors import StoreError, UnavailableError
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.store.connection import open_engine, parse_url, writing
from limbeck.store.refusals import store_errors
from limbeck.store.schema import runs, studies
from tests.store.conftest import ME, ask, database, finished


@pytest.fixture
def url(postgres: Databases, postgres_with_tables: str) -> Iterator[str]:
    with database(postgres, postgres_with_tables) as made:
        yield made


@contextmanager
def study_locked(url: str) -> Iterator[None]:
    """Another transaction writes to the study ``bert``."""
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM studies WHERE name = 'bert' FOR UPDATE")
        yield


def test_both_ways_to_name_it_open_the_same_store(store: Store, url: str) -> None:
    assert parse_url(url).drivername == "postgresql+psycopg"
    for scheme in ("postgresql+psycopg://", "postgres://"):
        with Store(url.replace("postgresql://", scheme)) as other:
            assert other.studies() == store.studies()


def test_a_transaction_that_reads_sees_one_state(store: Store, url: str) -> None:
    """As with SQLite: the five queries that read runs must not have a write between them."""
    ask(store)
    count = select(func.count()).select_from(runs)
    engine = open_engine(parse_url(url))
    with engine.begin() as connection:
        assert connection.execute(count).scalar_one() == 1
        ask(store)
        assert connection.execute(count).scalar_one() == 1
    engine.dispose()


def test_a_transaction_that_writes_sees_what_it_waited_for(store: Store, url: str) -> None:
    engine = open_engine(parse_url(url))
    lock = select(studies.c.id).where(studies.c.name == "bert").with_for_update()
    with writing(engine).begin() as connection:
        connection.execute(select(1))
        ask(store)
        connection.execute(lock)
        assert connection.execute(select(func.count()).select_from(runs)).scalar_one() == 1
    engine.dispose()


def test_writers_of_a_study_wait_and_readers_and_other_studies_do_not(
    store: Store, url: str
) -> None:
    store.create_study("tiny", budget=1, seed=1, config="")
    told: list[str] = []

    def write() -> None:
        ask(store)
        told.append("bert")

    with study_locked(url):
        writer = Thread(target=write)
        writer.start()
        store.add_event("tiny", "note", "x")
        assert store.runs("bert") == ()
        wait_for_a_waiting_lock(url)
        assert told == []
    writer.join()
    assert told == ["bert"]


def wait_for_a_waiting_lock(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            pass


def test_a_study_that_stays_locked_is_unavailable(store: Store, url: str) -> None:
    ask(store)
    before = store.runs("bert")
    with Store(f"{url}&options=-c%20lock_timeout%3D10ms") as other:
        with (
            study_locked(url),
            pytest.raises(UnavailableError, match="stayed locked by another process"),
        ):
            other.end_run("bert", 0, finished(exact=1.0), owner=ME)
        assert store.runs("bert") == before
        other.end_run("bert", 0, finished(exact=1.0), owner=ME)


def test_locks_and_transactions_that_stand_still_are_given_up(url: str) -> None:
    engine = open_engine(parse_url(url))
    with engine.begin() as connection:
        settings = ("lock_timeout", "idle_in_transaction_session_timeout")
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in settings]
    engine.dispose()
    assert found == ["30s", "1min"]


def test_a_server_that_was_restarted_is_used_again(postgres: Databases, store: Store) -> None:
    if not isinstance(postgres, Server):
        pytest.skip("needs a server that may be stopped")
    run = ask(store)
    postgres.stop()
    away = r"\Athe store postgresql\S+ cannot be reached: .*; check its URL, and that its [^\n]*\Z"
    try:
        with pytest.raises(UnavailableError, match=away):
            store.end_run("bert", 0, finished(exact=1.0), owner=ME)
    finally:
        postgres.start()
    assert store.runs("bert") == (run,)
    store.end_run("bert", 0, finished(exact=1.0), owner=ME)


def test_a_connection_that_is_lost_in_a_transaction_changes_nothing(store: Store, url: str) -> None:
    ask(store)
    before = store.runs("bert")
    engine = open_engine(parse_url(url))

    def write_and_be_cut_off() -> None:
        with store_errors(parse_url(url)), writing(engine).begin() as connection:
            connection.execute(runs.update().values(state=RunState.FAILED))
            me = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (me,))
            connection.execute(select(1))

    with pytest.raises(UnavailableError, match=r"shuts down; start it again|lost the connection"):
        write_and_be_cut_off()
    engine.dispose()
    assert store.runs("bert") == before


@pytest.mark.parametrize(
    ("sqlstate", "passes"),
    [
        ("08006", True),
        ("53100", True),
        ("53300", True),
        ("57P01", True),
        ("57P03", True),
        ("55P03", True),
        ("40001", True),
        ("40P01", True),
        ("58030", True),
        ("25006", False),
        ("42501", False),
        ("42P01", False),
        ("22003", False),
        ("57P04", False),
    ],
)
def test_the_code_of_an_error_says_whether_it_may_pass(
    store: Store, url: str, sqlstate: str, passes: bool
) -> None:
    """Each is raised by the server itself, which lets one choose."""
    engine = open_engine(parse_url(url))
    raising = f"DO $$ BEGIN RAISE EXCEPTION E'a\nb' USING ERRCODE = '{sqlstate}'; END $$"
    with (
        pytest.raises(StoreError, match=r"\Athe store [^\n]*\Z") as refused,
        store_errors(parse_url(url)),
        engine.begin() as connection,
    ):
        connection.exec_driver_sql(raising)
    engine.dispose()
    assert isinstance(refused.value, UnavailableError) == passes


def test_a_database_that_is_not_there(url: str) -> None:
    name = parse_url(url).database or ""
    with pytest.raises(
        StoreError, match=f'cannot be reached: .* database "no{name}" does not exist'
    ):
        Store(url.replace(name, f"no{name}"))


@pytest.mark.parametrize("query", ["", "?connect_timeout=1&sslpassword=secret"])
def test_a_server_that_is_not_there_is_named_without_password(query: str) -> None:
    with pytest.raises(UnavailableError, match=r"cannot be reached: .*refused") as refused:
        Store(f"postgresql://me:secret@127.0.0.1:1/runs{query}")
    assert "secret" not in str(refused.value)


def test_a_database_of_another_program_stays_as_it_is(postgres: Databases) -> None:
    with database(postgres, "template1") as url:
        with psycopg.connect(url) as other:
            other.execute("CREATE TABLE songs (title text)")
        with pytest.raises(
            StoreError, match="must be empty or Limbeck's, but has the tables songs"
        ):
            Store(url)
        with psycopg.connect(url) as other:
            assert other.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone() == (1,)


def test_text_that_it_cannot_keep_is_replaced(store: Store) -> None:
    """An outcome that it refused would be a run lost."""
    ask(store)
    outcome = Outcome(state=RunState.FAILED, message="a\0b", traceback="caf\udce9")
    store.end_run("bert", 0, outcome, owner=ME)
    run = store.run("bert", 0)
    assert (run.message, run.traceback) == ("a\N{REPLACEMENT CHARACTER}b", "caf?")


def test_without_the_driver_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None; from limbeck.store import Store\n"
        "Store('postgresql://me:secret@host/runs')"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("run: pip install 'limbeck[postgres]'")
    assert "secret" not in done.stderr
