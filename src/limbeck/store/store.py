"""The store: every transaction that Limbeck makes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from limbeck.errors import ConfigError, StoreError
from limbeck.runs import CurvePoint, Outcome, Run, RunState
from limbeck.space import Parameters
from limbeck.store.connection import open_engine, parse_url, store_errors, writing
from limbeck.store.records import Event, StudyRecord
from limbeck.store.rows import (
    count_runs,
    find_owned_run,
    find_run,
    find_study,
    insert_rows,
    insert_run,
    insert_values,
    load_runs,
    to_study,
)
from limbeck.store.schema import artifacts, events, points, runs, studies


def utc_now() -> datetime:
    """Return the time of the system's clock."""
    return datetime.now(UTC)


class Store:
    """Studies, their runs, and all that the runs report.

    Each method is one transaction: it is kept as a whole or not at all, whenever the process dies,
    and is on disk when the method returns. Any number of threads and processes may use a store at
    once; with SQLite all of them on one machine, the file on a local disk. Writers wait for each
    other. What a method returns is a copy.

    Every method may raise `StoreError` (the database is locked for long, full, read-only, damaged),
    and every one that takes a study or a run `NotFoundError`.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Open a database; build or upgrade its tables if they are not this version's.

        Args:
            url: ``sqlite:///runs.db`` (a file, made with its folder if need be), ``sqlite://`` (in
                memory, for one thread), or any other URL that SQLAlchemy has a driver for.
            clock: Tells the time, with its zone.

        Raises:
            StoreError: If the database cannot be opened, belongs to another program, or was written
                by a newer version.
        """
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

    def create_study(self, name: str, *, budget: int, seed: int, config: str) -> StudyRecord:
        """Create a study.

        Raises:
            ConfigError: If there is one of this name.
        """
        row = {"name": name, "budget": budget, "seed": seed, "config": config}
        with store_errors(self._url), writing(self._engine).begin() as connection:
            try:
                connection.execute(studies.insert().values(**row, created=self._clock()))
            except IntegrityError as error:
                raise ConfigError(
                    f"study names must differ, but {name!r} is there already; resume it, or choose "
                    "another name"
                ) from error
            return to_study(find_study(connection, name))

    def update_study(self, name: str, *, budget: int, config: str) -> StudyRecord:
        """Give a study another budget and study file; its runs stay as they are."""
        with self._writing(name) as (connection, study_row):
            connection.execute(
                studies.update()
                .where(studies.c.id == study_row.id)
                .values(budget=budget, config=config)
            )
            return to_study(find_study(connection, name))

    def study(self, name: str) -> StudyRecord:
        """Return one study."""
        with self._reading() as connection:
            return to_study(find_study(connection, name))

    def studies(self) -> tuple[StudyRecord, ...]:
        """Return all studies, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(select(studies).order_by(studies.c.id))
            return tuple(to_study(row) for row in rows)

    def runs(self, study: str) -> tuple[Run, ...]:
        """Return all runs of a study in number order."""
        with self._reading() as connection:
            return load_runs(connection, runs.c.study_id == find_study(connection, study).id)

    def run(self, study: str, number: int) -> Run:
        """Return one run."""
        with self._reading() as connection:
            row = find_run(connection, find_study(connection, study), number)
            return load_runs(connection, runs.c.id == row.id)[0]

    def claim_waiting(self, study: str, *, owner: str) -> Run | None:
        """Start the waiting run of the lowest number, with the parameters that it has.

        Args:
            study: Name of the study.
            owner: Who runs it: ``host:pid:start-time``.

        Returns:
            The run, now running; None if none waits.
        """
        with self._writing(study) as (connection, study_row):
            waiting = (
                select(runs.c.id)
                .where(runs.c.study_id == study_row.id, runs.c.state == RunState.WAITING)
                .order_by(runs.c.number)
                .limit(1)
            )
            run_id = connection.execute(waiting).scalar_one_or_none()
            if run_id is None:
                return None
            now = self._clock()
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id)
                .values(
                    state=RunState.RUNNING,
                    owner=owner,
                    heartbeat=now,
                    started=now,
                    attempts=runs.c.attempts + 1,
                )
            )
            return load_runs(connection, runs.c.id == run_id)[0]

    def add_run(
        self,
        study: str,
        parameters: Parameters,
        *,
        values: Mapping[str, float],
        owner: str | None,
        outcome: Outcome | None = None,
    ) -> Run | None:
        """Add a run with the next number, if the budget is not used up.

        Args:
            study: Name of the study.
            parameters: Value of every searched parameter.
            values: Known metrics.
            owner: Who runs it: ``host:pid:start-time``. With None, it waits.
            outcome: How it ended, if it has an owner and was carried out elsewhere.

        Returns:
            The run; None if the study has as many runs as its budget allows.
        """
        with self._writing(study) as (connection, study_row):
            number = count_runs(connection, study_row)
            if number >= study_row.budget:
                return None
            run_id = insert_run(
                connection,
                study_row,
                number=number,
                parameters=parameters,
                owner=owner,
                now=self._clock(),
            )
            insert_values(connection, run_id, values, errors={})
            if outcome is not None:
                self._end(connection, run_id, outcome)
            return load_runs(connection, runs.c.id == run_id)[0]

    def end_run(self, study: str, number: int, outcome: Outcome, *, owner: str) -> None:
        """Write how a run ended. Nothing else ends a run, and an ended run never changes again.

        Values of the outcome replace known ones of the same name; the other known ones stay.

        Raises:
            StoreError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            self._end(connection, find_owned_run(connection, study_row, number, owner).id, outcome)

    def _end(self, connection: Connection, run_id: int, outcome: Outcome) -> None:
        connection.execute(
            runs.update()
            .where(runs.c.id == run_id)
            .values(
                state=outcome.state,
                owner="",
                ended=self._clock(),
                reason=outcome.reason,
                message=outcome.message,
                seconds=outcome.seconds,
            )
        )
        insert_values(connection, run_id, outcome.values, errors=outcome.errors)
        insert_rows(
            connection,
            artifacts,
            [{"run_id": run_id} | asdict(artifact) for artifact in outcome.artifacts],
        )

    def heartbeat(self, study: str, *, owner: str) -> None:
        """Note that the owner is alive, on all of its running runs."""
        with self._writing(study) as (connection, study_row):
            connection.execute(
                runs.update()
                .where(runs.c.study_id == study_row.id, runs.c.owner == owner)
                .values(heartbeat=self._clock())
            )

    def release(self, study: str, number: int, *, owner: str) -> Run:
        """Put one's own running run back to *waiting*, and return it.

        Raises:
            StoreError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            run = find_owned_run(connection, study_row, number, owner)
            return self._release(connection, run, f"{owner} gave it back")

    def release_stale(self, study: str, is_stale: Callable[[Run, float], bool]) -> tuple[Run, ...]:
        """Put running runs whose owners are gone back to *waiting*, and return them.

        Args:
            study: Name of the study.
            is_stale: Given a running run and the seconds since its last heartbeat, whether its
                owner is gone. It is called outside of any transaction; a run that ended, changed
                hands or was heard of in the meantime is left alone.
        """
        with self._reading() as connection:
            running = (
                select(runs)
                .where(
                    runs.c.study_id == find_study(connection, study).id,
                    runs.c.state == RunState.RUNNING,
                )
                .order_by(runs.c.number)
            )
            rows = connection.execute(running).all()
            found = load_runs(connection, runs.c.id.in_([row.id for row in rows]))
        now = self._clock()
        silent = {row.id: (now - row.heartbeat).total_seconds() for row in rows}
        stale = [row for run, row in zip(found, rows, strict=True) if is_stale(run, silent[row.id])]
        if not stale:
            return ()
        with self._writing(study) as (connection, _):
            return tuple(
                self._release(connection, row, f"no sign of {row.owner} for {silent[row.id]:.0f} s")
                for row in stale
                if connection.execute(select(runs).where(runs.c.id == row.id)).one() == row
            )

    def _release(self, connection: Connection, run: Row[Any], why: str) -> Run:
        connection.execute(
            runs.update().where(runs.c.id == run.id).values(state=RunState.WAITING, owner="")
        )
        connection.execute(
            events.insert().values(
                study_id=run.study_id,
                run_id=run.id,
                time=self._clock(),
                kind="released",
                text=f"run {run.number} waits again: {why}",
            )
        )
        return load_runs(connection, runs.c.id == run.id)[0]

    def add_points(
        self, study: str, number: int, curve_points: Sequence[CurvePoint], *, owner: str
    ) -> None:
        """Add to the curves of a running run.

        Raises:
            StoreError: If the run is not running, ``owner`` is not who runs it, or it has a value
                of the same metric at the same step: then none of the points is added.
        """
        with self._writing(study) as (connection, study_row):
            run_id = find_owned_run(connection, study_row, number, owner).id
            rows = [{"run_id": run_id} | asdict(point) for point in curve_points]
            try:
                insert_rows(connection, points, rows)
            except IntegrityError as error:
                raise StoreError(
                    f"a metric has one value at a step, but run {number} of {study!r} has one of "
                    f"{len(rows)} given already; drop the points after the checkpoint first"
                ) from error

    def drop_points(self, study: str, number: int, *, after_step: int, owner: str) -> None:
        """Drop the curve points beyond a step, for a run that goes on from its checkpoint there.

        After step -1 means all of them.

        Raises:
            StoreError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            run_id = find_owned_run(connection, study_row, number, owner).id
            connection.execute(
                points.delete().where(points.c.run_id == run_id, points.c.step > after_step)
            )

    def points(
        self, study: str, number: int, *, metric: str | None = None
    ) -> tuple[CurvePoint, ...]:
        """Return the curve points of a run, or of one of its metrics, in step order."""
        with self._reading() as connection:
            run = find_run(connection, find_study(connection, study), number)
            query = (
                select(points.c.step, points.c.metric, points.c.value, points.c.seconds)
                .where(points.c.run_id == run.id)
                .order_by(points.c.step, points.c.metric)
            )
            if metric is not None:
                query = query.where(points.c.metric == metric)
            return tuple(CurvePoint(**row) for row in connection.execute(query).mappings())

    def add_event(self, study: str, kind: str, text: str, *, number: int | None = None) -> None:
        """Write down what happened to a study, or to one of its runs."""
        with self._writing(study) as (connection, study_row):
            run_id = None if number is None else find_run(connection, study_row, number).id
            connection.execute(
                events.insert().values(
                    study_id=study_row.id, run_id=run_id, time=self._clock(), kind=kind, text=text
                )
            )

    def events(self, study: str) -> tuple[Event, ...]:
        """Return the events of a study and of its runs in the order they were written."""
        with self._reading() as connection:
            query = (
                select(events.c.time, events.c.kind, events.c.text, runs.c.number)
                .outerjoin(runs, runs.c.id == events.c.run_id)
                .where(events.c.study_id == find_study(connection, study).id)
                .order_by(events.c.id)
            )
            return tuple(Event(**row) for row in connection.execute(query).mappings())
