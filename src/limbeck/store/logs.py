"""What runs and studies tell on their way: curve points and events."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from limbeck.runs import CurvePoint
from limbeck.store.database import Database, patient
from limbeck.store.records import Event
from limbeck.store.rows import find_owned_run, find_run, find_study
from limbeck.store.schema import events, points, runs


class Logs(Database):
    """The part of a store that only grows; see `limbeck.store.Store`."""

    @patient
    def begin_run(
        self, study: str, number: int, *, step: int, total_steps: int, epoch_steps: int, owner: str
    ) -> None:
        """Note that training begins, and drop the curve points beyond where it goes on from.

        Args:
            study: Name of the study.
            number: Of the run.
            step: Optimizer steps done: of its checkpoint, or 0.
            total_steps: Optimizer steps of the whole run.
            epoch_steps: Optimizer steps in a pass over the training windows.
            owner: Who runs it.

        Raises:
            NotOwnerError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            run_id = find_owned_run(connection, study_row, number, owner).id
            connection.execute(
                points.delete().where(points.c.run_id == run_id, points.c.step > step)
            )
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id)
                .values(total_steps=total_steps, epoch_steps=epoch_steps)
            )

    @patient
    def add_points(
        self, study: str, number: int, curve_points: Sequence[CurvePoint], *, owner: str
    ) -> None:
        """Add to the curves of a running run; a point that is there already stays as it is.

        Raises:
            NotOwnerError: If the run is not running, or ``owner`` is not who runs it.
        """
        with self._writing(study) as (connection, study_row):
            run_id = find_owned_run(connection, study_row, number, owner).id
            if not curve_points:
                return
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(
                dialect.insert(points).on_conflict_do_nothing(),
                [{"run_id": run_id} | asdict(point) for point in curve_points],
            )

    @patient
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

    @patient
    def all_points(
        self, study: str, *, metrics: Sequence[str] | None = None, first: int = 0
    ) -> dict[int, tuple[CurvePoint, ...]]:
        """Return the curve points of all runs that have some, in step order, by run number.

        Args:
            study: Name of the study.
            metrics: Those to return; all by default.
            first: Number of the first run to return.
        """
        with self._reading() as connection:
            query = (
                select(
                    runs.c.number, points.c.step, points.c.metric, points.c.value, points.c.seconds
                )
                .join(runs)
                .where(runs.c.study_id == find_study(connection, study).id, runs.c.number >= first)
                .order_by(runs.c.number, points.c.step, points.c.metric)
            )
            if metrics is not None:
                query = query.where(points.c.metric.in_(metrics))
            found: dict[int, list[CurvePoint]] = defaultdict(list)
            for number, step, metric, value, seconds in connection.execute(query):
                point = CurvePoint(step=step, metric=metric, value=value, seconds=seconds)
                found[number].append(point)
            return {number: tuple(listed) for number, listed in found.items()}

    @patient
    def add_event(self, study: str, kind: str, text: str, *, number: int | None = None) -> None:
        """Write down what happened to a study, or to one of its runs."""
        with self._writing(study) as (connection, study_row):
            run_id = None if number is None else find_run(connection, study_row, number).id
            connection.execute(
                events.insert().values(
                    study_id=study_row.id, run_id=run_id, time=self._clock(), kind=kind, text=text
                )
            )

    @patient
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
