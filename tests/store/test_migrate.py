import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, column, create_engine, inspect, table

from limbeck.errors import StoreError
from limbeck.runs import CurvePoint, Outcome, RunState
from limbeck.store import Store
from limbeck.store.connection import parse_url
from limbeck.store.schema import REVISION, metadata
from tests.store.conftest import database, interrupted_at
from tests.store.test_concurrency import FRESH, open_in_process, run_processes

HERE = Path(__file__).parent

POSTGRESQL_DEFINITIONS = """
    SELECT table_name || '.' || column_name AS name,
        data_type || is_nullable || coalesce(column_default, '')
        || coalesce(character_maximum_length::text, '') AS text
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""


def engine_of(url: str) -> Engine:
    return create_engine(parse_url(url))


def set_revision(url: str, revision: str) -> None:
    engine = engine_of(url)
    with engine.begin() as connection:
        version = table("alembic_version", column("version_num"))
        connection.execute(version.update().values(version_num=revision))
    engine.dispose()


def definitions(url: str) -> dict[str, str]:
    """What the database is made of, by name; columns may stand in any order."""
    engine = engine_of(url)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            found = {
                row.name: row.text for row in connection.exec_driver_sql(POSTGRESQL_DEFINITIONS)
            }
        else:
            rows = connection.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            )
            found = {
                name: "".join(sorted("".join(sql.split()).replace(",", ""))) for name, sql in rows
            }
    engine.dispose()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """URLs of two databases of one kind, both without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/other.db"
    else:
        server = request.getfixturevalue("postgres")
        with database(server, "template1") as one, database(server, "template1") as other:
            yield one, other


def test_migrations_build_the_tables_of_the_schema(new_url: str) -> None:
    Store(new_url).close()
    engine = engine_of(new_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrations_build_the_constraints_of_the_schema(databases: tuple[str, str]) -> None:
    """Alembic's comparison leaves out primary keys; constraints may stand in another order."""
    migrated, created = databases
    engine = engine_of(created)
    metadata.create_all(engine)
    engine.dispose()
    Store(migrated).close()
    built = definitions(migrated)
    version = {name for name in built if name.startswith("alembic_version")}
    assert version
    assert {name: text for name, text in built.items() if name not in version} == definitions(
        created
    )


def test_the_schema_names_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "limbeck.store:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_opening_again_changes_nothing(url: str) -> None:
    with Store(url) as store:
        study = store.create_study("bert", budget=1, seed=1, config="")
    built = definitions(url)
    with Store(url) as store:
        assert store.studies() == (study,)
    assert definitions(url) == built


def test_a_store_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    with Store(url) as store:
        study = store.create_study("bert", budget=1, seed=1, config="")
    set_revision(url, "9999")
    text = re.escape(f"has schema '9999', but this Limbeck knows none after {REVISION!r}; install")
    with pytest.raises(StoreError, match=text):
        Store(url)
    set_revision(url, REVISION)
    with Store(url) as store:
        assert store.studies() == (study,)


def test_a_failing_migration_leaves_an_empty_database(new_url: str) -> None:
    with interrupted_at("CREATE TABLE events"):  # the last one
        Store(new_url)
    engine = engine_of(new_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.fixture
def oldest(new_url: str) -> str:
    """URL of a store of the first version, with a finished run."""
    build_oldest(new_url)
    return new_url


def build_oldest(text: str) -> None:
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        script = (HERE / "schema-0001.sql").read_text(encoding="utf-8")
        assert url.database is not None
        with closing(sqlite3.connect(url.database)) as sqlite:
            sqlite.executescript(script)
    else:
        script = (HERE / "schema-0001-postgresql.sql").read_text(encoding="utf-8")
        with psycopg.connect(text) as postgres:
            postgres.execute(script.encode())


def test_a_store_of_the_first_version_is_upgraded_with_all_that_it_holds(oldest: str) -> None:
    with Store(oldest) as store:
        [study] = store.studies()
        assert (study.name, study.budget, study.seed, study.config) == ("bert", 4, 7, "seed = 7")
        assert study.created == datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
        run, running = store.runs("bert")
        assert (run.parameters, run.state, run.attempts, run.failures, run.seconds) == (
            {"num_layers": 3, "learning_rate": 5e-05},
            RunState.FINISHED,
            1,
            0,
            88.25,
        )
        assert (run.values, run.errors) == ({"num_parameters": 45e6, "exact": 61.5}, {})
        assert [artifact.name for artifact in run.artifacts] == ["model"]
        assert store.points("bert", 0) == (
            CurvePoint(step=10, metric="loss", value=2.5, seconds=4.0),
        )
        assert [noted.kind for noted in store.events("bert")] == ["resumed"]
        outcome = Outcome(state=RunState.FINISHED, values={"exact": 60.0}, errors={"exact": 1.5})
        store.end_run("bert", 1, outcome, owner=running.owner)
        assert store.run("bert", 1).errors == {"exact": 1.5}
        added = store.add_run("bert", {"num_layers": 2}, values={}, owner=None)
        assert added is not None
        assert added.number == 2


def test_an_upgraded_store_has_the_tables_of_a_new_one(databases: tuple[str, str]) -> None:
    oldest, new = databases
    build_oldest(oldest)
    Store(oldest).close()
    Store(new).close()
    assert definitions(oldest) == definitions(new)


def test_a_failing_upgrade_leaves_the_older_store_as_it_was(oldest: str) -> None:
    def contents() -> object:
        engine = engine_of(oldest)
        with engine.connect() as connection:
            rows = {
                name: connection.exec_driver_sql(f"SELECT * FROM {name}").all()
                for name in sorted(inspect(connection).get_table_names())
            }
        engine.dispose()
        return definitions(oldest), rows

    before = contents()
    with interrupted_at("CREATE TABLE forecasts"):  # the last statement of the last migration
        Store(oldest)
    assert contents() == before
    with Store(oldest) as store:
        assert store.run("bert", 0).values["exact"] == 61.5


def test_processes_may_open_an_old_database_at_once(oldest: str) -> None:
    barrier = FRESH.Barrier(3)
    assert run_processes(open_in_process, [(oldest, barrier)] * 3) == [1, 1, 1]
