"""Bringing a database to this version's tables: the one module that loads Alembic."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from limbeck.errors import StoreError
from limbeck.store.schema import REVISION


def upgrade(connection: Connection, *, found: str | None, store: str) -> None:
    """Apply the migrations that follow a revision, in the transaction of ``connection``.

    Args:
        connection: In a transaction that the caller ends: all migrations are applied, or none.
        found: The database's revision; None if it is empty.
        store: What messages call the database.

    Raises:
        StoreError: If the revision is none of this version's.
    """
    config = Config()
    config.set_main_option("script_location", "limbeck.store:migrations")
    script = ScriptDirectory.from_config(config)
    if found is not None and found not in {step.revision for step in script.walk_revisions()}:
        raise StoreError(
            f"the store {store} has schema {found!r}, but this Limbeck knows none after "
            f"{REVISION!r}; install the version that wrote it, or name another database"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
