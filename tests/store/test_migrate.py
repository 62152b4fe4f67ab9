import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect

from limbeck.errors import StoreError
from limbeck.runs import CurvePoint, Outcome, RunState
from limbeck.store import Store
from limbeck.store.schema import REVISION, metadata


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/runs.db"


def set_revision(url: str, revision: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
    engine.dispose()


def definitions(url: str) -> dict[str, str]:
    """The statements that build the database, by the name of what they build."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        )
        found = {name: "".join(sql.split()).replace(",", "") for name, sql in rows}
    engine.dispose()
    return found


def test_migrations_build_the_tables_of_the_schema(url: str) -> None:
    Store(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrations_build_the_constraints_of_the_schema(url: str, tmp_path: Path) -> None:
    """Alembic's comparison leaves out primary keys; constraints may stand in another order."""
    other = f"sqlite:///{tmp_path}/models.db"
    engine = create_engine(other)
    metadata.create_all(engine)
    engine.dispose()
    Store(url).close()
    built = definitions(url)
    assert "alembic_version" in built
    del built["alembic_version"]
    assert {name: sorted(sql) for name, sql in built.items()} == {
        name: sorted(sql) for name, sql in definitions(other).items()
    }


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


@contextmanager
def interrupted_at(part: str) -> Iterator[None]:
    """Within, the statement that has this part cannot be executed."""

    def fail(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if part in statement:
            raise KeyboardInterrupt(part)

    event.listen(Engine, "before_cursor_execute", fail)
    with pytest.raises(KeyboardInterrupt, match=part):
        yield
    event.remove(Engine, "before_cursor_execute", fail)


def test_a_failing_migration_leaves_an_empty_database(url: str) -> None:
    with interrupted_at("CREATE TABLE events"):  # the last one
        Store(url)
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.fixture
def oldest(tmp_path: Path, url: str) -> Path:
    """A store of the first version, with a finished run."""
    path = tmp_path / "runs.db"
    script = (Path(__file__).parent / "schema-0001.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


@pytest.mark.usefixtures("oldest")
def test_a_store_of_the_first_version_is_upgraded_with_all_that_it_holds(url: str) -> None:
    with Store(url) as store:
        [study] = store.studies()
        assert (study.name, study.budget, study.seed, study.config) == ("bert", 4, 7, "seed = 7")
        run, running = store.runs("bert")
        assert (run.parameters, run.state, run.attempts) == (
            {"num_layers": 3, "learning_rate": 5e-05},
            RunState.FINISHED,
            1,
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


@pytest.mark.usefixtures("oldest")
def test_an_upgraded_store_has_the_tables_of_a_new_one(url: str, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    Store(new).close()
    Store(url).close()
    assert definitions(url) == definitions(new)


def test_a_failing_upgrade_leaves_the_older_store_as_it_was(oldest: Path, url: str) -> None:
    def dump() -> list[str]:
        with closing(sqlite3.connect(oldest)) as connection:
            return list(connection.iterdump())

    before = dump()
    with interrupted_at("ADD COLUMN standard_error"):
        Store(url)
    assert dump() == before
    with Store(url) as store:
        assert store.run("bert", 0).values["exact"] == 61.5
