"""Optuna's storages by URL."""

from pathlib import Path

from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from limbeck.errors import ConfigError, StoreError
from limbeck.store.schema import metric_values

_OPTUNAS = "studies", "trials", "alembic_version"
"""Some of the tables of a storage; not all versions have all others."""


def open_storage(url: str, *, create: bool = True) -> BaseStorage:
    """Return Optuna's storage at a database's URL: ``sqlite:///optuna.db``.

    Args:
        url: Of the database.
        create: Whether it is made if need be; otherwise, nothing is written before it is known to
            be a storage.

    Raises:
        ConfigError: If the database holds a store of Limbeck's: both have tables of the same names,
            and Optuna would write into them. Or it is no storage yet, and is not to become one.
        StoreError: If it cannot be opened.
    """
    parsed = _parse(url)
    shown = parsed.render_as_string(hide_password=True)
    if not create and _is_lacking(parsed):
        raise ConfigError(
            f"Optuna's storage {shown} must be there, but there is no file {parsed.database}; name "
            "another"
        )
    try:
        engine = create_engine(parsed)
        tables = inspect(engine).get_table_names()
        engine.dispose()
        if metric_values.name in tables:
            raise ConfigError(
                f"Optuna's storage must be a database of its own, but {shown} is a store of "
                "Limbeck's; name another, such as sqlite:///optuna.db"
            )
        if not create and not {*_OPTUNAS} <= {*tables}:
            raise ConfigError(
                f"Optuna's storage {shown} must hold a study, but the database has no tables of "
                "Optuna's; name another"
            )
        return RDBStorage(url)
    # Optuna's refusal of another version's tables is a RuntimeError.
    except (SQLAlchemyError, ImportError, OptunaError, RuntimeError) as error:
        line = str(error).partition("\n")[0]
        raise StoreError(
            f"Optuna's storage {shown} must be a database that can be opened, but: {line}"
        ) from error


def shown_url(url: str) -> str:
    """Return what messages call a storage: its URL without password.

    Raises:
        ConfigError: If it is none.
    """
    return _parse(url).render_as_string(hide_password=True)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(  # Without the text: it may hold a password all the same.
            "Optuna's storage must be a database URL such as sqlite:///optuna.db, but got none; "
            "mend it"
        ) from error


def _is_lacking(url: URL) -> bool:
    """Whether it is SQLite's of a file that is not there."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return False
    return not url.database.startswith("file:") and not Path(url.database).exists()
