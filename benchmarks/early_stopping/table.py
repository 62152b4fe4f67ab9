"""The table of real training curves: read from a store once, committed, and replayed."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, select

from limbeck.runs import CurvePoint, Run, RunState
from limbeck.store.schema import metric_values, parameter_values, points, runs, studies

FOLDER = Path(__file__).parent
SCORES = ("f1", "exact", "loss", "learning_rate")
"""The curves that are kept; the other scores follow from these or repeat them."""
FINAL = ("f1", "num_parameters")
_POINT = ("run", "step", "seconds", *SCORES)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished run and its curve.

    Attributes:
        run: With its final values and their standard errors.
        curve: Its points, by step.
    """

    run: Run
    curve: tuple[CurvePoint, ...]


def read(folder: Path = FOLDER) -> list[Record]:
    """Return the committed runs in the order of their numbers."""
    curves: dict[int, list[CurvePoint]] = {}
    for row in _rows(folder / "curves.csv"):
        curves.setdefault(int(row["run"]), []).extend(
            CurvePoint(
                step=int(row["step"]),
                metric=name,
                value=float(row[name]),
                seconds=float(row["seconds"]),
            )
            for name in SCORES
            if row[name]
        )
    return [
        Record(run=_run(row), curve=tuple(curves[int(row["run"])]))
        for row in _rows(folder / "runs.csv")
    ]


def _run(row: Mapping[str, str]) -> Run:
    prefix = "parameters."
    return Run(
        number=int(row["run"]),
        state=RunState.FINISHED,
        parameters={
            name.removeprefix(prefix): json.loads(value)
            for name, value in row.items()
            if name.startswith(prefix) and value
        },
        values={name: float(row[name]) for name in FINAL},
        errors={"f1": float(row["f1_error"])},
        total_steps=int(row["total_steps"]),
        seconds=float(row["seconds"]),
    )


def write(store: Path, folder: Path = FOLDER, *, study: str = "early-stopping") -> int:
    """Write the tables from the finished runs of a study; return how many runs there are.

    The store is only read, and may be of an earlier revision: nothing is taken from it that was not
    in the first one.
    """
    engine = create_engine(f"sqlite:///file:{store}?mode=ro&uri=true")
    of_study = (
        runs.c.study_id == select(studies.c.id).where(studies.c.name == study).scalar_subquery()
    )
    with engine.connect() as connection:
        found = connection.execute(
            select(runs.c.id, runs.c.number, runs.c.seconds)
            .where(of_study, runs.c.state == RunState.FINISHED)
            .order_by(runs.c.number)
        ).all()
        rows, curve_rows = [], []
        for identity, number, seconds in found:
            parameters = connection.execute(
                select(parameter_values.c.name, parameter_values.c.value)
                .where(parameter_values.c.run_id == identity)
                .order_by(parameter_values.c.id)
            )
            values = connection.execute(
                select(
                    metric_values.c.name, metric_values.c.value, metric_values.c.standard_error
                ).where(metric_values.c.run_id == identity)
            ).all()
            finals = {name: value for name, value, _ in values}
            errors = {name: error for name, _, error in values}
            taken = connection.execute(
                select(points.c.step, points.c.metric, points.c.value, points.c.seconds)
                .where(points.c.run_id == identity, points.c.metric.in_(SCORES))
                .order_by(points.c.step)
            ).all()
            rows.append(
                {
                    "run": number,
                    **{f"parameters.{name}": json.dumps(value) for name, value in parameters},
                    **{name: _digits(finals[name]) for name in FINAL},
                    "f1_error": _digits(errors["f1"]),
                    "total_steps": max(step for step, *_ in taken),
                    "seconds": round(seconds, 1),
                }
            )
            curve_rows += _by_step(number, taken)
    _write(folder / "runs.csv", rows, rows[0])
    _write(folder / "curves.csv", curve_rows, _POINT)
    return len(rows)


def _by_step(
    number: int, taken: Sequence[tuple[int, str, float, float]]
) -> Iterable[Mapping[str, object]]:
    steps: dict[int, dict[str, object]] = {}
    for step, name, value, seconds in taken:
        if math.isfinite(value):
            row = steps.setdefault(step, {"run": number, "step": step})
            row["seconds"] = round(seconds, 1)
            row[name] = _digits(value)
    return steps.values()


def _digits(value: float) -> str:
    return f"{value:.10g}" if value == round(value) else f"{value:.5g}"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Iterable[Mapping[str, object]], columns: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
