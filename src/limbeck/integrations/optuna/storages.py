"""Optuna's storages by URL."""

from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from limbeck.errors import ConfigError, StoreError
from limbeck.store.schema import metric_values


def open_storage(url: str) -> BaseStorage:
    """Return Optuna's storage at a database's URL: ``sqlite:///optuna.db``.

    Raises:
        ConfigError: If the database holds a store of Limbeck's. Both have tables of the same names,
            and Optuna would write into them.
        StoreError: If it cannot be opened.
    """
    try:
        engine = create_engine(url)
        tables = inspect(engine).get_table_names()
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        line = str(error).partition("\n")[0]
        raise StoreError(
            f"Optuna's storage {url} must be a database that can be opened, but: {line}"
        ) from error
    if metric_values.name in tables:
        raise ConfigError(
            f"Optuna's storage must be a database of its own, but {url} is a store of Limbeck's; "
            "name another, such as sqlite:///optuna.db"
        )
    return RDBStorage(url)
