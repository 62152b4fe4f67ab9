"""A study as a table of runs: for pandas, and as CSV, Parquet or JSON.

It is a module of its own, not a method of the results, so that what only looks at a study does not
wait for pandas.
"""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from limbeck.analysis.named import recorded_metrics
from limbeck.analysis.results import StudyResults
from limbeck.errors import ConfigError
from limbeck.files import whole_file
from limbeck.space import Value

SUFFIXES = (".csv", ".parquet", ".json")
_FIRST = ("run", "state", "reason")
_LAST = (
    "seconds",
    "attempts",
    "started",
    "ended",
    "on_frontier",
    "within_thresholds",
)


def to_frame(results: StudyResults) -> pd.DataFrame:
    """Return a study as a table with a row for each run, in number order.

    The columns are ``run``, ``state`` and ``reason``; the parameters; the values of all metrics,
    those that the study names first; their standard errors as ``METRIC_error``; ``seconds`` (of
    training), ``attempts``, ``started`` and ``ended`` (UTC), ``on_frontier`` and
    ``within_thresholds``, both false for a run that did not finish.

    A parameter whose name another column has is ``parameter.NAME``, and a metric ``metric.NAME``:
    the columns that every study has keep their names, then the parameters.

    What a run does not have is missing. A parameter with values of text and of numbers is a column
    of text.
    """
    runs = results.runs
    taken = {*_FIRST, *_LAST}
    searched = [parameter.name for parameter in results.parameters]
    parameters = _columns(
        (*searched, *(name for run in runs for name in run.parameters)), "parameter", taken
    )
    values = _columns((metric.name for metric in recorded_metrics(results)), "metric", taken)
    with_error = [name for name in values if any(name in run.errors for run in runs)]
    front = {run.number for run in results.frontier}
    usable = {run.number for run in results.usable}
    columns: dict[str, pd.Series] = {
        "run": pd.Series([run.number for run in runs], dtype="int64"),
        "state": pd.Series([str(run.state) for run in runs], dtype="str"),
        "reason": pd.Series([run.reason for run in runs], dtype="str"),
    }
    for name, column in parameters.items():
        columns[column] = _parameter([run.parameters.get(name) for run in runs])
    for name, column in values.items():
        numbers = [run.values.get(name, math.nan) for run in runs]
        columns[column] = pd.Series(numbers, dtype="float64")
    for name, column in _columns((f"{name}_error" for name in with_error), "metric", taken).items():
        numbers = [run.errors.get(name.removesuffix("_error"), math.nan) for run in runs]
        columns[column] = pd.Series(numbers, dtype="float64")
    columns |= {
        "seconds": pd.Series([run.seconds for run in runs], dtype="float64"),
        "attempts": pd.Series([run.attempts for run in runs], dtype="int64"),
        "started": pd.Series([run.started for run in runs], dtype="datetime64[us, UTC]"),
        "ended": pd.Series([run.ended for run in runs], dtype="datetime64[us, UTC]"),
        "on_frontier": pd.Series([run.number in front for run in runs], dtype="bool"),
        "within_thresholds": pd.Series([run.number in usable for run in runs], dtype="bool"),
    }
    return pd.DataFrame(columns)


def write_frame(results: StudyResults, path: Path) -> None:
    """Write the table of `to_frame` to a file, whole or not at all.

    Args:
        results: The study.
        path: Ends in ``.csv``, ``.parquet``, or ``.json``: then an array with an object for each
            run, in which null stands for what is missing or not finite. Replaced if it is there.

    Raises:
        ConfigError: If the path ends otherwise.
    """
    check_data_name(path)
    frame = to_frame(results)
    with whole_file(path) as unfinished:
        match path.suffix:
            case ".csv":
                frame.to_csv(unfinished, index=False)
            case ".parquet":
                frame.to_parquet(unfinished, index=False)
            case _:
                unfinished.write_text(json.dumps(_records(frame), indent=1), encoding="utf-8")


def check_data_name(path: Path) -> None:
    """Check that a study can be written to a file of this name.

    Raises:
        ConfigError: If the name ends in anything but ``.csv``, ``.parquet`` or ``.json``, or is a
            folder's.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"a data file's name must end in .csv, .parquet or .json, but got {path}")
    if path.is_dir():
        raise ConfigError(f"data needs a file's name, but {path} is a folder; name another")


def _columns(names: Iterable[str], kind: str, taken: set[str]) -> dict[str, str]:
    """Return a column for each different name, and add it to those that are taken."""
    columns: dict[str, str] = {}
    for name in dict.fromkeys(names):
        column = name
        while column in taken:
            column = f"{kind}.{column}"
        columns[name] = column
        taken.add(column)
    return columns


def _parameter(values: Sequence[Value | None]) -> pd.Series:
    """Return a column of the narrowest type that has all values and can miss some."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int}:
        return pd.Series(values, dtype="Int64")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    texts = [None if value is None else str(value) for value in values]
    return pd.Series(texts, dtype="str")


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows as JSON-ready objects."""
    columns = {str(name): [_plain(value) for value in frame[name].tolist()] for name in frame}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: object) -> object:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if value is pd.NaT or value is pd.NA:
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value
