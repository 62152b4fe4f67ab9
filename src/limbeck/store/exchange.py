"""Carrying whole studies from one store to another, of whatever kind, in a file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select
from sqlalchemy.exc import IntegrityError

from limbeck.errors import ConfigError, DataError
from limbeck.files import whole_file
from limbeck.store.connection import opened, parse_url, writing
from limbeck.store.portable import (
    FORMAT,
    POINTS_PER_LINE,
    CurveLine,
    EndLine,
    EventLine,
    InfiniteLine,
    Line,
    RunLine,
    StudyLine,
    curve_line,
    lines_file,
    read_lines,
    run_line,
    write_line,
)
from limbeck.store.refusals import store_errors
from limbeck.store.rows import find_study, insert_rows, load_runs
from limbeck.store.schema import (
    artifacts,
    events,
    forecasts,
    metric_values,
    parameter_values,
    points,
    runs,
    studies,
)

_RUNS_AT_A_TIME = 500


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a file holds.

    Attributes:
        study: Name of the study, in the store.
        runs: Number of its runs.
        points: Number of the points of their curves.
        events: Number of its events.
    """

    study: str
    runs: int
    points: int
    events: int


def export_study(url: str, study: str, path: Path) -> Carried:
    """Write a study with all that belongs to it to a file, which appears whole or not at all.

    The same study makes the same bytes, from whatever store. Of its artifacts, the file says where
    they are; they themselves are not in it.

    Args:
        url: Of the store.
        study: Name of the study.
        path: The file; compressed if its name ends in ``.gz``.

    Raises:
        NotFoundError: If there is no such study.
        ConfigError: If the file cannot be written.
        StoreError: If the store cannot be read.
    """
    with opened(url) as engine, store_errors(parse_url(url)), engine.begin() as connection:
        row = find_study(connection, study)
        try:
            with (
                whole_file(path) as unfinished,
                lines_file(unfinished, packed=path.suffix == ".gz") as file,
            ):
                return _write_study(file, connection, row)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be written: {error.strerror}; name a file in a writable folder"
            ) from error


def import_study(url: str, path: Path, *, name: str | None = None) -> Carried:
    """Add the study of a file to a store, in one transaction.

    Args:
        url: Of the store.
        path: What `export_study` wrote.
        name: Of the study in the store; by default the one that it had.

    Raises:
        ConfigError: If the store has a study of this name.
        DataError: If the file is broken, or was written by a newer version.
        StoreError: If the store cannot be written.
    """
    lines = read_lines(path)
    _, study = next(lines)
    assert isinstance(study, StudyLine), "read_lines sees to it"
    config = study.config if name is None else _renamed(study.config, name, path)
    row = {
        "name": name or study.name,
        "budget": study.budget,
        "seed": study.seed,
        "config": config,
        "created": study.created,
        "paused": study.paused,
    }
    with (
        opened(url) as engine,
        store_errors(parse_url(url)),
        writing(engine).begin() as connection,
    ):
        study_id = _insert_study(connection, row)
        end = _insert_lines(connection, study_id, lines, path)
    return Carried(study=name or study.name, runs=end.runs, points=end.points, events=end.events)


def _write_study(file: IO[str], connection: Connection, study: Row[Any]) -> Carried:
    line = {"type": "study", "format": FORMAT, "name": study.name, "budget": study.budget}
    line |= {"seed": study.seed, "config": study.config}
    write_line(file, line | {"created": study.created, "paused": study.paused})
    counts = {"runs": 0, "points": 0, "events": 0}
    for line in _run_lines(connection, study):
        write_line(file, line)
        counts["runs"] += 1
    for number, metric, batch in _curves(connection, study):
        write_line(file, curve_line(number, metric, batch))
        counts["points"] += len(batch)
    for line in _event_lines(connection, study):
        write_line(file, line)
        counts["events"] += 1
    write_line(file, {"type": "end", **counts})
    return Carried(study=study.name, **counts)


def _run_lines(connection: Connection, study: Row[Any]) -> Iterator[dict[str, object]]:
    mine = runs.c.study_id == study.id
    last = connection.execute(select(func.max(runs.c.number)).where(mine)).scalar_one()
    for first in range(0, 0 if last is None else last + 1, _RUNS_AT_A_TIME):
        some = and_(mine, runs.c.number.between(first, first + _RUNS_AT_A_TIME - 1))
        query = select(runs.c.number, runs.c.heartbeat).where(some)
        heard = {row.number: row.heartbeat for row in connection.execute(query)}
        for run in load_runs(connection, some):
            yield run_line(run, heard[run.number])


def _curves(
    connection: Connection, study: Row[Any]
) -> Iterator[tuple[int, str, list[tuple[int, float, float]]]]:
    """Yield the points by run and metric, in batches of those that fit on a line."""
    metric: ColumnElement[str] = points.c.metric
    if connection.dialect.name == "postgresql":
        # Else, the order would be that of the database's language; SQLite's is always this one.
        metric = metric.collate("C")
    query = (
        select(runs.c.number, points.c.metric, points.c.step, points.c.value, points.c.seconds)
        .join(points)
        .where(runs.c.study_id == study.id)
        .order_by(runs.c.number, metric, points.c.step)
    )
    streamed = {"stream_results": True, "yield_per": 2 * POINTS_PER_LINE}
    rows = connection.execute(query, execution_options=streamed)
    for (number, name), group in groupby(rows, key=itemgetter(0, 1)):
        while batch := [tuple(row[2:]) for row in islice(group, POINTS_PER_LINE)]:
            yield number, name, batch


def _event_lines(connection: Connection, study: Row[Any]) -> Iterator[dict[str, object]]:
    query = (
        select(runs.c.number.label("run"), events.c.time, events.c.kind, events.c.text)
        .select_from(events)
        .outerjoin(runs, runs.c.id == events.c.run_id)
        .where(events.c.study_id == study.id)
        .order_by(events.c.id)
    )
    for row in connection.execute(query).mappings():
        yield {"type": "event", **row}


def _renamed(config: str, name: str, path: Path) -> str:
    """Return the text that a study keeps of its study file, with another name of the study."""
    try:
        stored = json.loads(config)
        stored["file"]["name"] = name
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}, line 1: config: must be JSON with a file that has a name, for the study to "
            "get another; import it without one"
        ) from error
    return json.dumps(stored)


def _insert_study(connection: Connection, row: Mapping[str, object]) -> int:
    try:
        query = studies.insert().values(**row).returning(studies.c.id)
        study_id: int = connection.execute(query).scalar_one()
    except IntegrityError as error:
        raise ConfigError(
            f"study names must differ, but {row['name']!r} is there already; give the imported one "
            "another with --name"
        ) from error
    return study_id


def _insert_lines(
    connection: Connection, study_id: int, lines: Iterator[tuple[int, Line]], path: Path
) -> EndLine:
    run_ids: list[int] = []
    waiting: list[RunLine] = []
    end: EndLine | None = None
    for number, line in lines:
        if waiting and (len(waiting) == _RUNS_AT_A_TIME or not isinstance(line, RunLine)):
            run_ids += _insert_runs(connection, study_id, waiting)
            waiting = []
        match line:
            case RunLine():
                waiting.append(line)
            case CurveLine():
                _insert_points(connection, run_ids[line.run], line, f"{path}, line {number}")
            case EventLine():
                run_id = None if line.run is None else run_ids[line.run]
                row = {"run_id": run_id, "time": line.time, "kind": line.kind, "text": line.text}
                connection.execute(events.insert().values(study_id=study_id, **row))
            case EndLine():
                end = line
    assert end is not None, "read_lines sees to it"
    return end


def _insert_runs(connection: Connection, study_id: int, lines: Sequence[RunLine]) -> list[int]:
    """Insert runs of successive numbers, and return their ids in this order."""
    columns = runs.c.keys() & RunLine.model_fields.keys()
    rows = [{"study_id": study_id} | line.model_dump(include=columns) for line in lines]
    inserted = connection.execute(runs.insert().returning(runs.c.number, runs.c.id), rows)
    ids: dict[int, int] = {row.number: row.id for row in inserted}
    named: dict[str, list[dict[str, object]]] = {
        "parameters": [],
        "metric_values": [],
        "forecasts": [],
        "artifacts": [],
    }
    for line in lines:
        run_id = {"run_id": ids[line.number]}
        named["parameters"] += (
            run_id | {"name": name, "value": _parameter(value)}
            for name, value in line.parameters.items()
        )
        named["metric_values"] += (
            run_id | {"name": name, "value": value, "standard_error": line.errors.get(name)}
            for name, value in line.values.items()
        )
        named["forecasts"] += (
            run_id | {"name": name, "mean": forecast.mean, "std": forecast.std}
            for name, forecast in line.forecasts.items()
        )
        named["artifacts"] += (run_id | artifact.model_dump() for artifact in line.artifacts)
    for table in (parameter_values, metric_values, forecasts, artifacts):
        insert_rows(connection, table, named[table.name])
    return [ids[line.number] for line in lines]


def _parameter(value: bool | int | float | str | InfiniteLine) -> bool | int | float | str:
    return float(value.number) if isinstance(value, InfiniteLine) else value


def _insert_points(connection: Connection, run_id: int, line: CurveLine, place: str) -> None:
    rows = [
        {"run_id": run_id, "metric": line.metric, "step": step, "value": value, "seconds": seconds}
        for step, value, seconds in line.points
    ]
    try:
        insert_rows(connection, points, rows)
    except IntegrityError as error:
        raise DataError(
            f"{place}: run {line.run} has a value of metric {line.metric!r} at one of these steps "
            "already; export the study again"
        ) from error
