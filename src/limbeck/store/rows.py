"""Rows of the tables as records, and the look-ups that several transactions share."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, func, select

from limbeck.errors import NotFoundError, NotOwnerError
from limbeck.runs import Artifact, Forecast, Run, RunState
from limbeck.space import Parameters, Value, did_you_mean
from limbeck.store.records import StudyRecord
from limbeck.store.schema import (
    artifacts,
    forecasts,
    metric_values,
    parameter_values,
    runs,
    studies,
)

_FACTS = (
    "number",
    "state",
    "owner",
    "reason",
    "message",
    "error_type",
    "traceback",
    "seconds",
    "created",
    "started",
    "ended",
    "attempts",
    "failures",
    "total_steps",
    "epoch_steps",
    "stop_requested",
)
"""Columns of `runs` that are fields of a `Run` as they are."""


def find_study(connection: Connection, name: str, *, lock: bool = False) -> Row[Any]:
    """Return the row of a study.

    Args:
        connection: In a transaction.
        name: Name of the study.
        lock: Whether other transactions that lock it have to wait for the end of this one. Every
            transaction that writes does, so what it has read stays true until it ends. (SQLite
            locks the whole file at the start and ignores this.)

    Raises:
        NotFoundError: If there is no such study.
    """
    query = select(studies).where(studies.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        names = connection.scalars(select(studies.c.name)).all()
        hint = did_you_mean(name, names) if names else "; the store is empty"
        raise NotFoundError(f"no study {name!r}{hint}")
    return row


def find_run(connection: Connection, study: Row[Any], number: int) -> Row[Any]:
    """Return the row of a run.

    Raises:
        NotFoundError: If the study has no run of this number.
    """
    query = select(runs).where(runs.c.study_id == study.id, runs.c.number == number)
    row = connection.execute(query).one_or_none()
    if row is None:
        count = count_runs(connection, study)
        known = f"its runs are 0 to {count - 1}" if count else "it has no runs yet"
        raise NotFoundError(f"study {study.name!r} has no run {number}; {known}")
    return row


def find_owned_run(connection: Connection, study: Row[Any], number: int, owner: str) -> Row[Any]:
    """Return the row of a run that ``owner`` may write to.

    Raises:
        NotFoundError: If the study has no run of this number.
        NotOwnerError: If the run does not run, or runs elsewhere.
    """
    row = find_run(connection, study, number)
    if row.state is not RunState.RUNNING:
        raise NotOwnerError(
            f"only a running run can be written to, but run {number} of {study.name!r} is "
            f"{row.state}; drop this result, or ask for another run"
        )
    if row.owner != owner:
        raise NotOwnerError(
            f"only its owner can write to a run, but run {number} of {study.name!r} is run by "
            f"{row.owner}, not by {owner}; drop this result, or ask for another run"
        )
    return row


def count_runs(connection: Connection, study: Row[Any]) -> int:
    """Return the number of runs of a study, which is also the number of its next run."""
    query = select(func.count()).select_from(runs).where(runs.c.study_id == study.id)
    return connection.execute(query).scalar_one()


def to_study(row: Row[Any]) -> StudyRecord:
    """Return the record of a row of `studies`."""
    return StudyRecord(
        name=row.name,
        budget=row.budget,
        seed=row.seed,
        config=row.config,
        created=row.created,
        paused=row.paused,
    )


def load_runs(
    connection: Connection, which: ColumnElement[bool], *, metrics: Collection[str] | None = None
) -> tuple[Run, ...]:
    """Return the runs for which ``which``, a condition on `runs`, holds, in number order.

    It takes five queries, however many runs there are.

    Args:
        connection: In a transaction.
        which: Of the runs.
        metrics: If given, the runs have nothing but number, state and values of these; then it
            takes two queries.
    """
    parameters: dict[int, dict[str, Value]] = defaultdict(dict)
    values: dict[int, dict[str, float]] = defaultdict(dict)
    errors: dict[int, dict[str, float]] = defaultdict(dict)
    expected: dict[int, dict[str, Forecast]] = defaultdict(dict)
    left: dict[int, list[Artifact]] = defaultdict(list)
    wanted = which if metrics is None else and_(which, metric_values.c.name.in_(metrics))
    for run_id, name, value, error in _named(connection, metric_values, wanted):
        values[run_id][name] = value
        if error is not None:
            errors[run_id][name] = error
    if metrics is None:
        for run_id, name, value in _named(connection, parameter_values, which):
            parameters[run_id][name] = value
        for run_id, name, mean, std in _named(connection, forecasts, which):
            expected[run_id][name] = Forecast(mean=mean, std=std)
        for run_id, name, path, sha256, size in _named(connection, artifacts, which):
            left[run_id].append(Artifact(name=name, path=path, sha256=sha256, bytes=size))
    names = _FACTS if metrics is None else ("number", "state")
    query = select(runs.c.id, *(runs.c[name] for name in names))
    found = []
    for run_id, *row in _rows(connection, query.where(which).order_by(runs.c.number)):
        facts = dict(zip(names, row, strict=True))
        if facts["state"] is not RunState.RUNNING:
            facts["owner"] = ""
        found.append(
            Run(
                **facts,
                parameters=parameters[run_id],
                values=values[run_id],
                errors=errors[run_id],
                forecasts=expected[run_id],
                artifacts=tuple(left[run_id]),
            )
        )
    return tuple(found)


def _named(connection: Connection, table: Table, which: ColumnElement[bool]) -> Iterator[Any]:
    """Yield the rows of ``table`` in the order they were given: id of the run, name, the rest."""
    columns = [column for column in table.c if column is not table.c.id]
    return _rows(connection, select(*columns).join(runs).where(which).order_by(table.c.id))


def _rows(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    """Yield the rows of a query, however many, without having them all at once.

    In batches: SQLAlchemy takes twice the time to hand out one after the other. And not all at
    once, since Python's garbage collection would look through them again and again.
    """
    for batch in connection.execute(query).partitions(1000):
        yield from batch


def insert_run(
    connection: Connection,
    study: Row[Any],
    *,
    number: int,
    parameters: Parameters,
    owner: str | None,
    now: datetime,
) -> int:
    """Insert a run, *running* if it has an owner and *waiting* if not, and return its id."""
    running = owner is not None
    query = runs.insert().values(
        study_id=study.id,
        number=number,
        state=RunState.RUNNING if running else RunState.WAITING,
        owner=owner or "",
        heartbeat=now if running else None,
        created=now,
        started=now if running else None,
        attempts=1 if running else 0,
        reason="",
        message="",
        seconds=0.0,
    )
    run_id: int = connection.execute(query.returning(runs.c.id)).scalar_one()
    rows = [{"run_id": run_id, "name": name, "value": value} for name, value in parameters.items()]
    insert_rows(connection, parameter_values, rows)
    return run_id


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert any number of rows, none included, with one statement."""
    if rows:
        connection.execute(table.insert(), rows)


def insert_values(
    connection: Connection,
    run_id: int,
    values: Mapping[str, float],
    *,
    errors: Mapping[str, float],
) -> None:
    """Insert metric values of a run, in the place of those that have the same names.

    Args:
        connection: In a transaction.
        run_id: Id of the run.
        values: The values by name of the metric.
        errors: Standard errors of those that have one.
    """
    connection.execute(
        metric_values.delete().where(
            metric_values.c.run_id == run_id, metric_values.c.name.in_(values)
        )
    )
    rows = [
        {"run_id": run_id, "name": name, "value": value, "standard_error": errors.get(name)}
        for name, value in values.items()
    ]
    insert_rows(connection, metric_values, rows)
