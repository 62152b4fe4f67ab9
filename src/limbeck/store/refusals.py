"""What a database refuses, as one line that names the store and the way out."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from limbeck.errors import StoreError, UnavailableError

_SQLITE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        UnavailableError,
        "stayed locked by another process; end that one, or try again later",
    ),
    sqlite3.SQLITE_LOCKED: (
        UnavailableError,
        "stayed locked by another thread; end that one, or try again later",
    ),
    sqlite3.SQLITE_FULL: (
        UnavailableError,
        "cannot grow: the disk is full; free some space and resume",
    ),
    sqlite3.SQLITE_IOERR: (
        UnavailableError,
        "cannot be read or written; check its disk, and free some space",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        UnavailableError,
        "cannot be opened; give the path of a file in a writable folder",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreError,
        "is read-only; make the file and its folder writable",
    ),
    sqlite3.SQLITE_NOTADB: (StoreError, "is not a SQLite database; name another file"),
    sqlite3.SQLITE_CORRUPT: (StoreError, "is damaged; put back a copy of it"),
}
"""What SQLite refuses, by its primary result code."""

_POSTGRESQL: dict[str, tuple[type[StoreError], str]] = {
    "08": (UnavailableError, "lost the connection to its server; check the network, and resume"),
    "25006": (StoreError, "is read-only; name the server that is written to"),
    "25P03": (UnavailableError, "gave up a transaction that stood still; resume"),
    "40": (UnavailableError, "gave way to another process that it had crossed; try again"),
    "53100": (
        UnavailableError,
        "cannot grow: the disk of its server is full; free some space and resume",
    ),
    "53200": (UnavailableError, "has a server without free memory; free some and resume"),
    "53300": (
        UnavailableError,
        "takes no more connections; end some programs, or raise its max_connections",
    ),
    "55P03": (
        UnavailableError,
        "stayed locked by another process; end that one, or try again later",
    ),
    "57P01": (UnavailableError, "has a server that shuts down; start it again and resume"),
    "57P02": (UnavailableError, "has a server that crashed; start it again and resume"),
    "57P03": (UnavailableError, "has a server that starts or shuts down; try again later"),
    "58": (
        UnavailableError,
        "cannot be read or written; check the disk of its server, and free some space",
    ),
}
"""What PostgreSQL refuses, by SQLSTATE (Appendix A of its manual), or by the class: two letters."""


def display_name(url: URL) -> str:
    """Return what messages call the store: the path of its file, or its URL without password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    shown = url.difference_update_query([name for name in url.query if "password" in name])
    return shown.render_as_string(hide_password=True)


@contextmanager
def store_errors(url: URL) -> Iterator[None]:
    """Raise what the database refuses as one line that names the store and the way out.

    Raises:
        UnavailableError: If a statement or the connection fails within, but may not later.
        StoreError: If it fails for another reason.
    """
    try:
        yield
    except DBAPIError as error:
        kind, text = _refusal(error)
        raise kind(f"the store {display_name(url)} {text}") from error


def _refusal(error: DBAPIError) -> tuple[type[StoreError], str]:
    # Both are missing where a driver itself refuses, and not its database.
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    other = (StoreError, f"refuses: {str(error.orig).splitlines()[0]}")
    if code is not None:
        return _SQLITE.get(code & 0xFF, other)
    if sqlstate is not None:
        return _POSTGRESQL.get(sqlstate) or _POSTGRESQL.get(sqlstate[:2]) or other
    if error.connection_invalidated:
        return _POSTGRESQL["08"]
    if isinstance(error, OperationalError) and error.statement is None:
        why = " ".join(str(error.orig).split())
        return (
            UnavailableError,
            f"cannot be reached: {why}; check its URL, and that its server runs",
        )
    return other
