"""Opening the database: URL, transactions, tables, and errors as one line."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    String,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from limbeck.errors import StoreError
from limbeck.store.schema import REVISION

BUSY_SECONDS = "30"
"""How long a SQLite transaction waits for another process; ``?timeout=5`` in the URL overrides."""

_WAY_OUT = {
    sqlite3.SQLITE_BUSY: "stayed locked by another process; end that one, or try again later",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full; free some space and resume",
    sqlite3.SQLITE_IOERR: "cannot be read or written; check its disk, and free some space",
    sqlite3.SQLITE_READONLY: "is read-only; make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; give the path of a file in a writable folder",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; name another file",
    sqlite3.SQLITE_CORRUPT: "is damaged; put back a copy of it",
}


def parse_url(text: str) -> URL:
    """Return the URL of a store.

    Raises:
        StoreError: If it is no database URL.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise StoreError(
            f"a store must be a database URL such as sqlite:///limbeck.db, but got {text!r}"
        ) from error
    if url.get_backend_name() == "sqlite" and "timeout" not in url.query:
        return url.update_query_dict({"timeout": BUSY_SECONDS})
    return url


def display_name(url: URL) -> str:
    """Return what messages call the store: the path of its file, or its URL without password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    return url.render_as_string(hide_password=True)


@contextmanager
def store_errors(url: URL) -> Iterator[None]:
    """Raise what the database refuses as one line that names the store and the way out.

    Raises:
        StoreError: If a statement or the connection fails within.
    """
    try:
        yield
    except DBAPIError as error:
        # Errors of the sqlite3 module itself, unlike those of the library, carry no code.
        code = getattr(error.orig, "sqlite_errorcode", None)
        way_out = None if code is None else _WAY_OUT.get(code & 0xFF)
        text = way_out or f"refuses: {str(error.orig).splitlines()[0]}"
        raise StoreError(f"the store {display_name(url)} {text}") from error


def open_engine(url: URL) -> Engine:
    """Return an engine for a database that has this version's tables, which are built if need be.

    Raises:
        StoreError: If the database cannot be opened, is another program's, or has tables that this
            version does not know.
    """
    try:
        engine = create_engine(url)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"the store {display_name(url)} needs a driver for {url.drivername!r}, but: {error}; "
            "install it, or use sqlite:///limbeck.db"
        ) from error
    if engine.dialect.name == "sqlite":
        _create_folder(url)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        _create_tables(engine, url)
    except StoreError:
        engine.dispose()
        raise
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write: they wait for each other from the start."""
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def _create_folder(url: URL) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the store {display_name(url)} needs its folder, but: {error.strerror}; "
            "give the path of a file in a writable folder"
        ) from error


def _set_up_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin transactions late, or not at all: `_begin_sqlite` does it instead, as
    # SQLAlchemy's page on SQLite recommends.
    connection.isolation_level = None
    cursor = connection.cursor()
    _use_write_ahead_log(cursor)
    # With NORMAL, a power cut could take back the last commits: a finished run must stay finished.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _use_write_ahead_log(cursor: DBAPICursor) -> None:
    """Let readers read while a writer writes: a property of the file, set when it is new.

    Here, unlike anywhere else, SQLite does not wait for processes that open the file just now.
    """
    cursor.execute("PRAGMA busy_timeout")
    [(milliseconds,)] = cursor.fetchall()
    deadline = time.monotonic() + milliseconds / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A plain BEGIN takes no lock: two transactions could both read, and then both write.
    begin = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    connection.exec_driver_sql(begin)


def _create_tables(engine: Engine, url: URL) -> None:
    with store_errors(url), engine.begin() as connection:
        if _revision(connection, url) == REVISION:
            return
    # Loading Alembic takes 0.1 s, which only a new or an older database needs to pay.
    from limbeck.store.migrate import upgrade  # noqa: PLC0415

    with store_errors(url), writing(engine).begin() as connection:
        upgrade(connection, found=_revision(connection, url), store=display_name(url))


def _revision(connection: Connection, url: URL) -> str | None:
    """Return the migration at which the database stands; None if it is empty."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        version_table = sql_table("alembic_version", sql_column("version_num", String))
        found = connection.execute(select(version_table.c.version_num))
        revision: str | None = found.scalar_one_or_none()
        return revision
    if tables:
        raise StoreError(
            f"the store {display_name(url)} must be empty or Limbeck's, but has the tables "
            f"{', '.join(tables)}; name another database"
        )
    return None
