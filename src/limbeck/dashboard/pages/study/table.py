"""All runs of a study in a table: a row for each, with the columns that a visitor chose."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State
from dash.development.base_component import Component

from limbeck.analysis.named import find_metric, recorded_metrics
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.components import grid
from limbeck.dashboard.pages.study.choices import column_names, metric_names, parameter_names
from limbeck.dashboard.site import Site, address
from limbeck.runs import Run, RunState

_LONGEST = 300
"""Letters of a text in a cell."""

Cell = str | int | float | bool | None


def runs_table(study: str) -> Component:
    """Return the table, whose rows come later."""
    return grid(
        "study-runs",
        columns=(),
        height=520,
        rowSelection={
            "mode": "multiRow",
            "enableClickSelection": False,
            "selectAll": "filtered",
        },
        selectionColumnDef={"width": 48, "maxWidth": 48, "pinned": "left"},
        isExternalFilterPresent={"function": "true"},
        doesExternalFilterPass={"function": "limbeckPasses(params)"},
        tooltipShowDelay=300,
        context={"runs": address("run", study=study, number=0).removesuffix("0")},
    )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks that fill, filter and save the table."""

    @app.callback(
        Output("study-runs", "columnDefs"),
        Output("study-runs", "rowData"),
        Input("study-later", "data"),
        Input("study-columns", "value"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )
    def fill(
        _pulse: str, columns: Sequence[str] | None, study: str
    ) -> tuple[list[dict[str, Any]], list[dict[str, Cell]]]:
        return site.reader.made(_filled, study, tuple(columns or ()))

    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "showInRows"),
        Output("study-runs-note", "children"),
        Input("selection", "data"),
        Input("study-runs", "rowData"),
        prevent_initial_call=True,
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash's
        ClientsideFunction("limbeck", "saveRows"),
        Output("study-runs", "exportDataAsCsv"),
        Output("study-runs", "csvExportParams"),
        Input("study-csv", "n_clicks"),
        State("study-name", "data"),
        prevent_initial_call=True,
    )


def _filled(
    results: StudyResults, columns: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Cell]]]:
    names = [name for name in column_names(results) if name in columns]
    return column_definitions(results, names), rows_of(results, names)


def column_definitions(results: StudyResults, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return AG Grid's definitions of the columns of these names, the run's number first."""
    metrics = recorded_metrics(results)
    run = {
        "field": "run",
        "headerName": "run",
        "pinned": "left",
        "width": 110,
        "filter": "agNumberColumnFilter",
        "cellRenderer": "LimbeckRunLink",
        "sort": "desc",
    }
    columns: list[dict[str, Any]] = [run]
    for name in names:
        column: dict[str, Any] = {"field": name, "headerName": name}
        if name in metric_names(results):
            unit = find_metric(metrics, name).unit
            column |= _NUMBER | {"headerName": f"{name} ({unit})" if unit else name}
        elif name in ("seconds", "attempts") or _is_number(results, name):
            column |= _NUMBER
        elif name == "reason":
            column |= {"width": 260, "tooltipField": name}
        columns.append(column)
    return columns


_NUMBER = {
    "filter": "agNumberColumnFilter",
    "type": "rightAligned",
    "width": 150,
    "valueFormatter": {"function": "limbeckNumber(params.value)"},
    "useValueFormatterForExport": False,
}


def _is_number(results: StudyResults, name: str) -> bool:
    """Whether all values of a parameter are numbers."""
    values = [run.parameters[name] for run in results.runs if name in run.parameters]
    return bool(values) and not any(isinstance(value, str | bool) for value in values)


def rows_of(results: StudyResults, names: Sequence[str]) -> list[dict[str, Cell]]:
    """Return a row for each run, by the names of columns; what a run does not have is left out.

    Args:
        results: The study.
        names: Of `limbeck.dashboard.pages.study.choices.column_names`.
    """
    readers = {name: _reader(results, name) for name in names}
    return [_row(run, readers) for run in results.runs]


def _row(run: Run, readers: Mapping[str, Callable[[Run], Cell]]) -> dict[str, Cell]:
    row: dict[str, Cell] = {"run": run.number}
    for name, read in readers.items():
        value = read(run)
        if value is not None and value != "":
            row[name] = value
    return row


def _reader(results: StudyResults, name: str) -> Callable[[Run], Cell]:
    """Return what reads the value of a column."""
    if name in _READERS:
        return _READERS[name]
    if name in parameter_names(results):
        return lambda run: _short(run.parameters.get(name))
    return lambda run: _finite(run.values.get(name))


def _state(run: Run) -> str:
    wanted = run.state is RunState.RUNNING and run.stop_requested
    return "running, to be stopped" if wanted else str(run.state)


def _reason(run: Run) -> Cell:
    return _short(": ".join(part for part in (run.reason, run.message) if part))


_READERS: Mapping[str, Callable[[Run], Cell]] = {
    "state": _state,
    "reason": _reason,
    "seconds": lambda run: round(run.seconds, 1) or None,
    "attempts": lambda run: run.attempts,
    "started": lambda run: f"{run.started:%Y-%m-%d %H:%M:%S}" if run.started else None,
    "ended": lambda run: f"{run.ended:%Y-%m-%d %H:%M:%S}" if run.ended else None,
}


def _short(value: Cell) -> Cell:
    if not isinstance(value, str) or len(value) <= _LONGEST:
        return value
    return f"{value[: _LONGEST - 1]}…"


def _finite(value: float | None) -> Cell:
    """Return a value as JSON can have it: NaN and infinity as text."""
    return value if value is None or math.isfinite(value) else str(value)
