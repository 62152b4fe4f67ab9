import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect

from limbeck.errors import StoreError
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


@pytest.fixture
def interrupted() -> Iterator[None]:
    """The table ``events``, the last one, cannot be created."""

    def fail(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if "CREATE TABLE events" in statement:
            raise KeyboardInterrupt("no events")

    event.listen(Engine, "before_cursor_execute", fail)
    yield
    event.remove(Engine, "before_cursor_execute", fail)


@pytest.mark.usefixtures("interrupted")
def test_a_failing_migration_leaves_an_empty_database(url: str) -> None:
    with pytest.raises(KeyboardInterrupt, match="no events"):
        Store(url)
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
