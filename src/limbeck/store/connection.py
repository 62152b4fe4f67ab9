"""Opening the database: URL, transactions, tables."""

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
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from limbeck.errors import StoreError
from limbeck.store.refusals import display_name, store_errors
from limbeck.store.schema import REVISION

BUSY_SECONDS = "30"
"""How long a transaction waits for another process; SQLite: ``?timeout=5`` in the URL overrides."""

_POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    # The second, so that a process that stands still does not hold a study's lock for ever.
    "options": f"-c lock_timeout={BUSY_SECONDS}s -c idle_in_transaction_session_timeout=60s",
}
"""How soon a server or a lock is given up (the fifth in ms); what the URL has, overrides."""

_SHORTEST_PAUSE, _LONGEST_PAUSE, _LONG_WAIT = 0.001, 0.03, 0.8
"""Seconds between two tries to get SQLite's lock: after a long wait, at first; what is long."""

_TABLES_LOCK = int.from_bytes(b"limbeck!")
"""Key of the advisory lock that a process has while it builds or upgrades the tables."""


def parse_url(text: str) -> URL:
    """Return the URL of a store.

    Raises:
        StoreError: If it is no database URL.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        before, at, host = text.rpartition("@")
        shown = f"{before.partition(':')[0]}://...@{host}" if at else text
        raise StoreError(
            f"a store must be a database URL such as sqlite:///limbeck.db, but got {shown!r}"
        ) from error
    if url.get_backend_name() == "sqlite" and "timeout" not in url.query:
        return url.update_query_dict({"timeout": BUSY_SECONDS})
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def open_engine(url: URL) -> Engine:
    """Return an engine for a database that has this version's tables, which are built if need be.

    Raises:
        StoreError: If the database cannot be opened, is another program's, or has tables that this
            version does not know.
    """
    engine = connect(url)
    try:
        bring_up_to_date(engine, url)
    except StoreError:
        engine.dispose()
        raise
    return engine


@contextmanager
def opened(text: str) -> Iterator[Engine]:
    """Yield an engine as `open_engine` returns it, for the time of the block."""
    engine = open_engine(parse_url(text))
    try:
        yield engine
    finally:
        engine.dispose()


def connect(url: URL) -> Engine:
    """Return an engine for a database, whatever it holds.

    Its transactions see one state of the database from their first statement to their last.

    Raises:
        StoreError: If there is no driver for it, or no folder.
    """
    try:
        if url.get_backend_name() == "postgresql":
            engine = _postgresql_engine(url)
        else:
            engine = create_engine(url)
    except (NoSuchModuleError, ImportError) as error:
        if isinstance(error, ImportError) and url.drivername == "postgresql+psycopg":
            way_out = "run: pip install 'limbeck[postgres]'"
        else:
            way_out = "install it, or use sqlite:///limbeck.db"
        raise StoreError(
            f"the store {display_name(url)} needs a driver for {url.drivername!r}, but: {error}; "
            f"{way_out}"
        ) from error
    if engine.dialect.name == "sqlite":
        _create_folder(url)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write: they wait for each other from the start."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    # Each statement must see what the transaction waited for.
    return engine.execution_options(isolation_level="READ COMMITTED")


def bring_up_to_date(engine: Engine, url: URL) -> str | None:
    """Build or upgrade the tables of a database, if they are not this version's.

    Returns:
        The migration at which the database stood; None if it was empty.

    Raises:
        StoreError: If it is another program's, or has tables that this version does not know.
    """
    with store_errors(url), engine.begin() as connection:
        found = _revision(connection, url)
        if found == REVISION:
            return found
    # Loading Alembic takes 0.1 s, which only a new or an older database needs to pay.
    from limbeck.store.migrate import upgrade  # noqa: PLC0415

    with store_errors(url), writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_TABLES_LOCK)))
        found = _revision(connection, url)
        upgrade(connection, found=found, store=display_name(url))
        return found


def _postgresql_engine(url: URL) -> Engine:
    options = {name: value for name, value in _POSTGRESQL_OPTIONS.items() if name not in url.query}
    return create_engine(
        url, connect_args=options, isolation_level="REPEATABLE READ", pool_pre_ping=True
    )


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
    if begin == "BEGIN IMMEDIATE":
        _begin_writing(connection)
    else:
        connection.exec_driver_sql(begin)


def _begin_writing(connection: Connection) -> None:
    """Take the lock of those who write; who has waited long asks for it often, and gets it soon.

    SQLite itself would have the others wait ever longer before they ask again, and so some of many
    writers for seconds.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    [(milliseconds,)] = driver.execute("PRAGMA busy_timeout").fetchall()
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        start = time.monotonic()
        while (waited := time.monotonic() - start) < milliseconds / 1000:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break
            else:
                return
            time.sleep(max(_SHORTEST_PAUSE, _LONGEST_PAUSE * (1 - waited / _LONG_WAIT)))
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout = {milliseconds}")


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
