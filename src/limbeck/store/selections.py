"""Reading a part of what a study has, where all of it would take too long."""

from collections.abc import Collection
from hashlib import sha256

from sqlalchemy import and_, exists, func, select

from limbeck.runs import Run, RunState
from limbeck.space import Parameters
from limbeck.store.database import Database, patient
from limbeck.store.records import Progress
from limbeck.store.rows import find_study, load_runs
from limbeck.store.schema import events, parameter_values, points, runs, studies


class Selections(Database):
    """The part of a store that reads parts; see `limbeck.store.Store`."""

    @patient
    def has_study(self, name: str) -> bool:
        """Whether there is a study of this name."""
        with self._reading() as connection:
            query = select(studies.c.id).where(studies.c.name == name)
            return connection.execute(query).one_or_none() is not None

    @patient
    def results(self, study: str, metrics: Collection[str]) -> tuple[Run, ...]:
        """Return all runs of a study with number, state and values of some metrics alone.

        These with their standard errors. It takes a quarter of the time that all of it does.
        """
        with self._reading() as connection:
            mine = runs.c.study_id == find_study(connection, study).id
            return load_runs(connection, mine, metrics=metrics)

    @patient
    def some_runs(self, study: str, numbers: Collection[int]) -> tuple[Run, ...]:
        """Return those runs of a study that have one of the numbers, in number order."""
        with self._reading() as connection:
            mine = runs.c.study_id == find_study(connection, study).id
            return load_runs(connection, and_(mine, runs.c.number.in_(numbers)))

    @patient
    def runs_with(self, study: str, parameters: Parameters) -> tuple[Run, ...]:
        """Return the runs of a study that have these parameters and no others, in number order."""
        with self._reading() as connection:
            has_each = (
                exists(select(parameter_values.c.id)).where(
                    parameter_values.c.run_id == runs.c.id,
                    parameter_values.c.name == name,
                    parameter_values.c.value == value,
                )
                for name, value in parameters.items()
            )
            mine = runs.c.study_id == find_study(connection, study).id
            ids = connection.scalars(select(runs.c.id).where(mine, *has_each)).all()
            found = load_runs(connection, runs.c.id.in_(ids))
            return tuple(run for run in found if run.parameters.keys() == parameters.keys())

    @patient
    def pulse(self, study: str) -> str:
        """Return a text that is another one once anything of a study but its curves has changed."""
        with self._reading() as connection:
            row = find_study(connection, study)
            facts = select(
                func.count(),
                func.sum(runs.c.attempts + runs.c.failures),
                func.count(runs.c.ended),
                func.max(runs.c.ended),
                func.count().filter(runs.c.state == RunState.WAITING),
                func.count().filter(runs.c.stop_requested),
                func.max(runs.c.total_steps),
                func.count(runs.c.total_steps),
            ).where(runs.c.study_id == row.id)
            last_event = select(func.max(events.c.id)).where(events.c.study_id == row.id)
            counts = connection.execute(facts).one()
            seen = (*row, *counts, connection.scalar(last_event))
            return sha256(repr(seen).encode()).hexdigest()

    @patient
    def progress(self, study: str) -> tuple[Progress, ...]:
        """Return how far the running runs of a study are, in number order."""
        with self._reading() as connection:
            study_id = find_study(connection, study).id
            step = (
                select(func.max(points.c.step))
                .where(points.c.run_id == runs.c.id)
                .scalar_subquery()
            )
            query = (
                select(
                    runs.c.number,
                    runs.c.owner,
                    runs.c.started,
                    runs.c.heartbeat,
                    func.coalesce(step, 0).label("step"),
                    runs.c.total_steps,
                )
                .where(runs.c.study_id == study_id, runs.c.state == RunState.RUNNING)
                .order_by(runs.c.number)
            )
            return tuple(Progress(**row) for row in connection.execute(query).mappings())
