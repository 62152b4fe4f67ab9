"""One database: its connections, its transactions, and patience while it is away."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Row

from limbeck.errors import LimbeckWarning, UnavailableError
from limbeck.store.connection import open_engine, parse_url, writing
from limbeck.store.refusals import store_errors
from limbeck.store.rows import find_study

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="Database")


def utc_now() -> datetime:
    """Return the time of the system's clock."""
    return datetime.now(UTC)


def patient(method: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
    """Let a method try again while the database is away, for as long as it has patience.

    The method must be one transaction, and one that may be carried out twice: when a connection
    breaks while a transaction is committed, nobody knows whether it was.
    """

    @wraps(method)
    def trying(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        deadline, pause = time.monotonic() + self.patience, _FIRST_PAUSE
        while True:
            try:
                return method(self, *args, **kwargs)
            except UnavailableError as error:
                if time.monotonic() + pause > deadline:
                    raise
                if pause == _FIRST_PAUSE:
                    warnings.warn(
                        f"{error}; trying for {self.patience:.0f} s", LimbeckWarning, stacklevel=2
                    )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    return trying


class Database:
    """A database that is opened, read and written; see `limbeck.store.Store`.

    Attributes:
        patience: Seconds for which each method tries again while the database is away.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], datetime] = utc_now, patience: float = 0.0
    ) -> None:
        """Open a database; build or upgrade its tables if they are not this version's.

        Args:
            url: ``sqlite:///runs.db`` (a file, made with its folder if need be), ``sqlite://`` (in
                memory, for one thread), ``postgresql://user@host/name``, or any other URL that
                SQLAlchemy has a driver for.
            clock: Tells the time, with its zone.
            patience: Seconds for which each method, but not this one, tries again while the
                database is away.

        Raises:
            StoreError: If the database cannot be opened, belongs to another program, or was written
                by a newer version.
        """
        self.patience = patience
        self._url = parse_url(url)
        self._clock = clock
        self._engine = open_engine(self._url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the database is, with the password if it needs one: for our own processes alone."""
        return self._url.render_as_string(hide_password=False)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with store_errors(self._url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self, study: str) -> Iterator[tuple[Connection, Row[Any]]]:
        """Begin a transaction that no other one of this study can come between."""
        with store_errors(self._url), writing(self._engine).begin() as connection:
            yield connection, find_study(connection, study, lock=True)
