"""The store: every transaction that Limbeck makes."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, and_, select
from sqlalchemy.exc import IntegrityError

from limbeck.errors import ConfigError
from limbeck.runs import Outcome, Reason, Run, RunState
from limbeck.space import Parameters
from limbeck.store.connection import writing
from limbeck.store.database import patient
from limbeck.store.logs import Logs
from limbeck.store.records import StudyRecord
from limbeck.store.refusals import store_errors
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
from limbeck.store.schema import artifacts, events, forecasts, runs, studies
from limbeck.store.selections import Selections


class Store(Logs, Selections):
    """Studies, their runs, and all that the runs report.

    Each method is one transaction: it is kept as a whole or not at all, whenever the process dies,
    and is on disk when the method returns. Any number of threads and processes may use a store at
    once; with SQLite all of them on one machine, the file on a local disk. Writers wait for each
    other. What a method returns is a copy.

    Every method may raise `StoreError` (the database is locked for long, full, read-only, damaged),
    and every one that takes a study or a run `NotFoundError`.
    """

    @patient
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

    @patient
    def update_study(self, name: str, *, budget: int, config: str) -> StudyRecord:
        """Give a study another budget and study file; its runs stay as they are."""
        with self._writing(name) as (connection, study_row):
            connection.execute(
                studies.update()
                .where(studies.c.id == study_row.id)
                .values(budget=budget, config=config)
            )
            return to_study(find_study(connection, name))

    @patient
    def set_paused(self, name: str, *, paused: bool) -> StudyRecord:
        """Let no more runs of a study be started for now, or let them again."""
        with self._writing(name) as (connection, study_row):
            connection.execute(
                studies.update().where(studies.c.id == study_row.id).values(paused=paused)
            )
            return to_study(find_study(connection, name))

    @patient
    def study(self, name: str) -> StudyRecord:
        """Return one study."""
        with self._reading() as connection:
            return to_study(find_study(connection, name))

    @patient
    def studies(self) -> tuple[StudyRecord, ...]:
        """Return all studies, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(select(studies).order_by(studies.c.id))
            return tuple(to_study(row) for row in rows)

    @patient
    def runs(self, study: str, *, first: int = 0) -> tuple[Run, ...]:
        """Return the runs of a study, those from number ``first`` on, in number order."""
        with self._reading() as connection:
            study_id = find_study(connection, study).id
            which = runs.c.study_id == study_id
            return load_runs(connection, and_(which, runs.c.number >= first) if first else which)

    @patient
    def run(self, study: str, number: int) -> Run:
        """Return one run."""
        with self._reading() as connection:
            row = find_run(connection, find_study(connection, study), number)
            return load_runs(connection, runs.c.id == row.id)[0]

    @patient
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

    @patient
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

    @patient
    def end_run(self, study: str, number: int, outcome: Outcome, *, owner: str) -> None:
        """Write how a run ended. An ended run never changes again.

        Values of the outcome replace known ones of the same name; the other known ones stay. To
        tell the same twice is to tell it once.

        Raises:
            NotOwnerError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            row = find_run(connection, study_row, number)
            if row.state.ended and row.owner == owner:
                run = load_runs(connection, runs.c.id == row.id)[0]
                if _is_told(run, outcome):
                    return
            find_owned_run(connection, study_row, number, owner)
            self._end(connection, row.id, outcome)

    @patient
    def retry_run(self, study: str, number: int, outcome: Outcome, *, owner: str) -> None:
        """Put one's own running run that failed back to *waiting*, to be tried again.

        What went wrong stays with it until it ends.

        Raises:
            NotOwnerError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            row = find_run(connection, study_row, number)
            if _is_released(row, owner):
                return
            run = find_owned_run(connection, study_row, number, owner)
            connection.execute(
                runs.update()
                .where(runs.c.id == run.id)
                .values(
                    failures=runs.c.failures + 1,
                    reason=outcome.reason,
                    message=outcome.message,
                    error_type=outcome.error_type,
                    traceback=outcome.traceback,
                )
            )
            self._release(connection, run, f"{outcome.reason}: {outcome.message}")

    @patient
    def request_stop(self, study: str, *numbers: int) -> tuple[Run, ...]:
        """Ask for runs to be stopped: those that wait are, those that run will be told.

        Returns:
            The runs.

        Raises:
            ConfigError: If one has ended; then none is stopped.
        """
        with self._writing(study) as (connection, study_row):
            rows = [find_run(connection, study_row, number) for number in dict.fromkeys(numbers)]
            for row in rows:
                if row.state.ended:
                    raise ConfigError(
                        f"only a run that waits or runs can be stopped, but run {row.number} of "
                        f"{study!r} is {row.state}; name another"
                    )
            for row in rows:
                if row.state is RunState.WAITING:
                    self._end(connection, row.id, _stopped_by_hand("while it waited"))
                else:
                    wanted = runs.update().where(runs.c.id == row.id).values(stop_requested=True)
                    connection.execute(wanted)
            return tuple(load_runs(connection, runs.c.id == row.id)[0] for row in rows)

    @patient
    def drop_artifact(self, study: str, number: int, name: str) -> None:
        """Forget one of a run's artifacts; its files are the caller's to remove."""
        with self._writing(study) as (connection, study_row):
            run_id = find_run(connection, study_row, number).id
            connection.execute(
                artifacts.delete().where(artifacts.c.run_id == run_id, artifacts.c.name == name)
            )

    def _end(self, connection: Connection, run_id: int, outcome: Outcome) -> None:
        connection.execute(
            runs.update()
            .where(runs.c.id == run_id)
            .values(
                state=outcome.state,
                ended=self._clock(),
                reason=outcome.reason,
                message=outcome.message,
                error_type=outcome.error_type,
                traceback=outcome.traceback,
                stop_requested=False,
                seconds=outcome.seconds,
            )
        )
        insert_values(connection, run_id, outcome.values, errors=outcome.errors)
        insert_rows(
            connection,
            forecasts,
            [
                {"run_id": run_id, "name": name} | asdict(forecast)
                for name, forecast in outcome.forecasts.items()
            ],
        )
        insert_rows(
            connection,
            artifacts,
            [{"run_id": run_id} | asdict(artifact) for artifact in outcome.artifacts],
        )

    @patient
    def heartbeat(self, study: str, *, owner: str) -> tuple[int, ...]:
        """Note that the owner is alive, on all of its running runs.

        Returns:
            The numbers of those that somebody wants stopped.
        """
        with self._writing(study) as (connection, study_row):
            mine = and_(
                runs.c.study_id == study_row.id,
                runs.c.owner == owner,
                runs.c.state == RunState.RUNNING,
            )
            connection.execute(runs.update().where(mine).values(heartbeat=self._clock()))
            wanted = select(runs.c.number).where(mine, runs.c.stop_requested)
            return tuple(connection.scalars(wanted.order_by(runs.c.number)))

    @patient
    def release(self, study: str, number: int, *, owner: str) -> Run:
        """Put one's own running run back to *waiting*, and return it.

        Raises:
            NotOwnerError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            row = find_run(connection, study_row, number)
            if _is_released(row, owner):
                return load_runs(connection, runs.c.id == row.id)[0]
            run = find_owned_run(connection, study_row, number, owner)
            return self._release(connection, run, f"{owner} gave it back")

    @patient
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
        """Let a run wait again; one that was to be stopped is."""
        if run.stop_requested:
            self._end(connection, run.id, _stopped_by_hand("while nobody ran it"))
        else:
            waiting = runs.update().where(runs.c.id == run.id).values(state=RunState.WAITING)
            connection.execute(waiting)
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


def _is_released(row: Row[Any], owner: str) -> bool:
    """Whether a run waits that ``owner`` had last."""
    return row.state is RunState.WAITING and row.owner == owner


def _is_told(run: Run, outcome: Outcome) -> bool:
    """Whether a run ended so; values are compared as text, since NaN equals no NaN."""
    ended = (run.state, run.reason, run.message, run.seconds)
    values = {name: repr(run.values.get(name)) for name in outcome.values}
    return ended == (outcome.state, outcome.reason, outcome.message, outcome.seconds) and (
        values == {name: repr(value) for name, value in outcome.values.items()}
    )


def _stopped_by_hand(when: str) -> Outcome:
    return Outcome(state=RunState.STOPPED, reason=Reason.BY_HAND, message=f"stopped by hand {when}")
