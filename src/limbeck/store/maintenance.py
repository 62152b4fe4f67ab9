"""Looking after a store: upgrading, checking and shrinking it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, RowMapping, String, func, select, type_coerce

from limbeck.runs import RunState
from limbeck.store.connection import bring_up_to_date, connect, opened, parse_url
from limbeck.store.portable import state_faults
from limbeck.store.refusals import store_errors
from limbeck.store.schema import REVISION, metadata, runs, studies


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What an upgrade did.

    Attributes:
        before: The schema that the store had; None if it was empty.
        after: The schema that it has now.
    """

    before: str | None
    after: str


def upgrade_store(url: str) -> Upgrade:
    """Build the tables of a store, or bring them to this version's; opening it does so, too.

    Raises:
        StoreError: If it is no store, or a newer version's.
    """
    parsed = parse_url(url)
    engine = connect(parsed)
    try:
        return Upgrade(before=bring_up_to_date(engine, parsed), after=REVISION)
    finally:
        engine.dispose()


def check_store(url: str) -> tuple[str, ...]:
    """Return what is wrong with a store, a line for each fault.

    Raises:
        StoreError: If it cannot be read at all.
    """
    with opened(url) as engine, store_errors(parse_url(url)), engine.begin() as connection:
        own = _sqlite_faults(connection) if engine.dialect.name == "sqlite" else ()
        return (*own, *_number_faults(connection), *_run_faults(connection))


def vacuum_store(url: str) -> tuple[int, int]:
    """Give the space of what was deleted back to the disk; return bytes on disk before and after.

    Nobody can read or write the store meanwhile.

    Raises:
        UnavailableError: If somebody reads or writes the store for long.
        StoreError: If it cannot be written.
    """
    parsed = parse_url(url)
    with opened(url) as engine, store_errors(parsed):
        before = _bytes(engine, parsed)
        if engine.dialect.name == "sqlite":
            statements = ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"]
        else:
            statements = [f"VACUUM (FULL, ANALYZE) {name}" for name in metadata.tables]
        # Neither database does this in a transaction.
        alone = engine.execution_options(isolation_level="AUTOCOMMIT", sqlite_begin="SELECT 1")
        with alone.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        return before, _bytes(engine, parsed)


def _sqlite_faults(connection: Connection) -> Iterator[str]:
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
        if line != "ok":
            yield f"the file is damaged: {line}"
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a row of {parent} that is not there"


def _number_faults(connection: Connection) -> Iterator[str]:
    number = runs.c.number
    query = (
        select(studies.c.name, func.count(), func.min(number), func.max(number))
        .join(runs)
        .group_by(studies.c.id, studies.c.name)
        .order_by(studies.c.id)
    )
    for name, count, first, last in connection.execute(query):
        if (first, last) != (0, count - 1):
            yield (
                f"study {name!r}: its {count} runs must be numbers 0 to {count - 1}, but are "
                f"{first} to {last}"
            )


def _run_faults(connection: Connection) -> Iterator[str]:
    query = (
        select(
            studies.c.name,
            runs.c.number,
            type_coerce(runs.c.state, String).label("state"),
            runs.c.owner,
            runs.c.heartbeat,
            runs.c.started,
            runs.c.ended,
        )
        .join(runs)
        .order_by(studies.c.id, runs.c.number)
    )
    for row in connection.execute(query):
        for fault in _faults(row.state, row._mapping):
            yield f"study {row.name!r}: run {row.number} {fault}"


def _faults(state: str, row: RowMapping) -> tuple[str, ...]:
    if state not in list(RunState):
        return (f"is {state}, which is no state",)
    return state_faults(
        RunState(state),
        owner=row["owner"],
        heartbeat=row["heartbeat"],
        started=row["started"],
        ended=row["ended"],
    )


def _bytes(engine: Engine, url: URL) -> int:
    """Return the bytes that a store takes on disk."""
    if engine.dialect.name == "sqlite":
        path = Path(url.database or "")
        files = (path, path.with_name(f"{path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())
    with engine.begin() as connection:
        sizes = (
            connection.execute(select(func.pg_total_relation_size(name))).scalar_one()
            for name in metadata.tables
        )
        return sum(sizes)
