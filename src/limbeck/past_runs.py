"""Runs that were made elsewhere, in a CSV or JSON file: read and checked whole, then added.

A row has a column for every searched parameter and for metrics, and perhaps these::

    state           finished (if left out) or infeasible: no such student can be made
    seconds         training and measuring time
    error:METRIC    standard error of the value of METRIC

An empty cell of a CSV file, or null in JSON, is as good as none.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from limbeck.config import MEASURED, StudyConfig
from limbeck.errors import ArchitectureError, ConfigError, DataError, InputError
from limbeck.metrics import Role
from limbeck.optimize.sampler import KnownMetrics
from limbeck.runs import Outcome, Run, RunState
from limbeck.space import Choice, Float, Integer, Parameter, Parameters, Value, did_you_mean
from limbeck.store import Store

STATES = (RunState.FINISHED, RunState.INFEASIBLE)
"""How a run that was made elsewhere may have ended; others teach nothing."""

_ERROR = "error:"
_WORDS = ("state", "seconds")
_SUFFIXES = (".csv", ".json")
_IS_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII).fullmatch

_Cells: TypeAlias = Mapping[str, Value]
"""What stands in a row by the name of its column: text if it is from CSV; no empty cells."""

_Rows: TypeAlias = list[tuple[str, Mapping[str, Value | None]]]
"""The place and the cells of every row; None stands for an empty cell."""


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """A run that was made elsewhere, checked against a study.

    Attributes:
        place: Where it stands in its file: ``line 3``.
        parameters: Of the study's search space.
        known: Metrics that follow from the parameters.
        outcome: How it ended.
    """

    place: str
    parameters: Parameters
    known: Mapping[str, float]
    outcome: Outcome


def read_past_runs(path: Path, config: StudyConfig, known: KnownMetrics) -> tuple[PastRun, ...]:
    """Read runs and check all of them against a study.

    Args:
        path: Ends in ``.csv`` (with a line of names first) or ``.json`` (an array of objects).
        config: The study's, resolved.
        known: Values that follow from the parameters.

    Raises:
        DataError: With the file, the line or row and the column, if the file cannot be read, or a
            row does not fit the study, lacks a value, or has the parameters of another row.
    """
    try:
        rows = _read_csv(path) if _suffix(path) == ".csv" else _read_json(path)
        if not rows:
            raise DataError("must hold at least one run, but is empty")
        _check_columns(rows, config)
        past = []
        for place, cells in rows:
            try:
                filled = {name: cell for name, cell in cells.items() if cell is not None}
                past.append(_past_run(place, filled, config, known))
            except (InputError, ArchitectureError) as error:
                raise DataError(f"{place}: {error}") from error
        _check_different(past)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return tuple(past)


def new_among(past: Sequence[PastRun], runs: Sequence[Run]) -> tuple[PastRun, ...]:
    """Return the past runs whose parameters none of a study's runs has, in their order."""
    there = {_key(run.parameters) for run in runs}
    return tuple(each for each in past if _key(each.parameters) not in there)


def add_past_runs(
    store: Store, name: str, past: Sequence[PastRun], *, owner: str
) -> tuple[Run, ...]:
    """Add runs that were made elsewhere to a study, each in a transaction of its own.

    Interrupted, what is not there yet can be added later: see `new_among`.

    Args:
        store: Where the study is.
        name: Its name.
        past: Checked, and none of them there already.
        owner: Who adds them: see `limbeck.study.this_process`.

    Raises:
        ConfigError: If the budget does not allow all of them; then none is added, unless another
            process spent it meanwhile.
    """
    count, budget = len(store.runs(name)), store.study(name).budget
    if count + len(past) > budget:
        raise ConfigError(
            f"study {name!r} must have room for {len(past)} more runs, but has {count} of "
            f"{budget}; first: limbeck extend {name} --runs {count + len(past)}"
        )
    added: list[Run] = []
    for each in past:
        run = store.add_run(
            name, each.parameters, values=each.known, owner=owner, outcome=each.outcome
        )
        if run is None:
            raise ConfigError(
                f"study {name!r} must have room for {len(past) - len(added)} more runs, but "
                "another process has spent its budget meanwhile; limbeck extend, and add the file "
                "again"
            )
        added.append(run)
    return tuple(added)


def _suffix(path: Path) -> str:
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError("the file's name must end in .csv or .json")
    return path.suffix.lower()


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"must be readable, but: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise DataError(
            f"line {line}: must be UTF-8 text, but byte {error.object[error.start]:#04x} is not; "
            "save it as UTF-8"
        ) from error


def _read_csv(path: Path) -> _Rows:
    """Return the rows, by the lines in which they begin.

    Raises:
        DataError: If the file is no CSV, or a row has more or fewer cells than there are names.
    """
    lines = _csv_lines(_read_text(path))
    first, names = next(lines, (1, []))
    columns = [name.strip() for name in names]
    for name in columns:
        if not name or columns.count(name) > 1:
            raise DataError(
                f"line {first}: columns must have names, all different, but one is {name!r}"
            )
    rows: _Rows = []
    for line, row in lines:
        if len(row) != len(columns):
            raise DataError(
                f"line {line}: must have a cell for each of the {len(columns)} columns, but has "
                f"{len(row)}"
            )
        texts = zip(columns, map(str.strip, row), strict=True)
        rows.append((f"line {line}", {name: text or None for name, text in texts}))
    return rows


def _csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of every row that is not blank, and the line in which it begins.

    Raises:
        DataError: If the text is no CSV.
    """
    reader, line = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"line {line}: must be CSV, but: {error}") from error


def _read_json(path: Path) -> _Rows:
    """Return the rows, counted from 1.

    Raises:
        DataError: If the file is no JSON, or anything but an array of objects of plain values.
    """
    try:
        rows = json.loads(_read_text(path), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise DataError(f"must be JSON, but: {error}") from error
    if not isinstance(rows, list):
        raise DataError(f"must be an array of objects, but is {_kind(rows)}")
    places: _Rows = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError(f"row {number}: must be an object, but is {_kind(row)}")
        for name, value in row.items():
            if not isinstance(value, bool | int | float | str | None):
                raise DataError(
                    f"row {number}: {name} must be a number, text, true or false, but is "
                    f"{_kind(value)}"
                )
        places.append((f"row {number}", row))
    return places


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON.

    Raises:
        DataError: If it has two values of one name, of which only one would stay.
    """
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"an object must have one value of a name, but has two of {name!r}")
    return dict(pairs)


def _kind(value: object) -> str:
    return {dict: "an object", list: "an array", str: "text", type(None): "null"}.get(
        type(value), "a single value"
    )


def _check_columns(rows: _Rows, config: StudyConfig) -> None:
    """Refuse a column that is nothing of the study's."""
    metrics = [*MEASURED]
    valid = [*config.space.names, *metrics, *_WORDS, *(f"{_ERROR}{name}" for name in metrics)]
    for place, cells in rows:
        for name in cells:
            if name not in valid:
                raise DataError(
                    f"{place}: a column must be a searched parameter, a metric, state, seconds or "
                    f"{_ERROR}METRIC, but got {name!r}{did_you_mean(name, valid)}"
                )


def _past_run(place: str, cells: _Cells, config: StudyConfig, known: KnownMetrics) -> PastRun:
    """Check a row, whose columns are known ones."""
    given = {
        parameter.name: _parameter_value(parameter, cells[parameter.name])
        for parameter in config.parameters
        if parameter.name in cells
    }
    parameters = config.space.validate(given)
    broken = config.space.violated(parameters)
    if broken is not None:
        raise DataError(f"the parameters must keep the constraint {broken!r}")
    values = {name: _number(name, cells[name]) for name in MEASURED if name in cells}
    errors = {
        name: _number(f"{_ERROR}{name}", cells[f"{_ERROR}{name}"], low=0.0)
        for name in MEASURED
        if f"{_ERROR}{name}" in cells
    }
    for name in errors:
        if name not in values:
            raise DataError(f"{_ERROR}{name} needs the value itself; fill in {name}")
    state = _state(cells)
    computed = _computed(state, parameters, known)
    for name in [name for name in computed if values.get(name, computed[name]) != computed[name]]:
        raise DataError(
            f"{name} follows from the parameters and must be {computed[name]:.17g}, but got "
            f"{values[name]:.17g}; correct one of them, or leave the column out"
        )
    if state is RunState.FINISHED:
        _check_complete({**computed, **values}, config)
    seconds = _number("seconds", cells.get("seconds", 0.0), low=0.0)
    outcome = Outcome(state=state, values=values, errors=errors, seconds=seconds)
    return PastRun(place=place, parameters=parameters, known=computed, outcome=outcome)


def _computed(state: RunState, parameters: Parameters, known: KnownMetrics) -> dict[str, float]:
    """Return the known metrics; none for a student that cannot be, if the file says the same."""
    try:
        return dict(known(parameters))
    except ArchitectureError:
        if state is RunState.INFEASIBLE:
            return {}
        raise


def _check_complete(values: Mapping[str, float], config: StudyConfig) -> None:
    for metric in config.metrics:
        if metric.role is not Role.STORE and metric.name not in values:
            raise DataError(
                f"{metric.name} must have a value, since the study is judged by it; fill it in, or "
                'say in a column state that the run is "infeasible"'
            )


def _state(cells: _Cells) -> RunState:
    given = cells.get("state", RunState.FINISHED)
    for state in STATES:
        if given == state:
            return state
    raise DataError(
        f"state must be {' or '.join(map(repr, map(str, STATES)))}, but got {given!r}; other runs "
        "teach nothing, leave them out"
    )


def _parameter_value(parameter: Parameter, cell: Value) -> Value:
    """Return a cell as the parameter's values are, for it to be validated."""
    if not isinstance(cell, str):
        return cell
    match parameter:
        case Choice():
            texts = {_text(choice): choice for choice in parameter.choices}
            return texts.get(cell, cell)
        case Float() | Integer():
            number = _number(parameter.name, cell)
            return int(number) if number.is_integer() else number


def _text(choice: Value) -> str:
    """Return what stands for a choice in CSV: true and false as in the study file."""
    return json.dumps(choice) if isinstance(choice, bool) else str(choice)


def _number(name: str, cell: Value, *, low: float = -math.inf) -> float:
    """Return a cell as a finite number.

    Raises:
        DataError: If it is none, or less than ``low``.
    """
    # Python's own spellings, 1_000 among them, are no numbers to others.
    foreign = isinstance(cell, bool) or (isinstance(cell, str) and not _IS_NUMBER(cell))
    try:
        number = math.nan if foreign else float(cell)
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{name} must be a finite number, but got {cell!r}")
    if number < low:
        raise DataError(f"{name} must be at least {low:g}, but got {cell!r}")
    return number


def _check_different(past: Sequence[PastRun]) -> None:
    first: dict[frozenset[tuple[str, bool, Value]], str] = {}
    for each in past:
        place = first.setdefault(_key(each.parameters), each.place)
        if place != each.place:
            raise DataError(
                f"{each.place}: runs must have different parameters, but {place} has the same; "
                "keep one of them"
            )


def _key(parameters: Parameters) -> frozenset[tuple[str, bool, Value]]:
    return frozenset((name, isinstance(value, bool), value) for name, value in parameters.items())
