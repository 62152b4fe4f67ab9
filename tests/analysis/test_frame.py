"""The table of runs, and that it comes back from every kind of file as it was."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from limbeck.analysis.frame import to_frame, write_frame
from limbeck.analysis.results import StudyResults
from limbeck.errors import ConfigError
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float, Integer

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=50.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
THIRD = 0.1 + 0.2  # Needs all 17 digits.

RESULTS = StudyResults(
    name="study",
    metrics=(EXACT, SIZE),
    parameters=(
        Integer(name="num_layers", low=1, high=12),
        Float(name="rate", low=0, high=1),
        Choice(name="schedule", choices=("linear", "NA")),
        Choice(name="warm", choices=(True, False)),
        Choice(name="mixed", choices=(1, "two")),
    ),
    runs=(
        Run(
            number=0,
            parameters={"num_layers": 6, "rate": THIRD, "schedule": "linear", "warm": True},
            state=RunState.FINISHED,
            values={"exact": 60.0, "num_parameters": 100.0, "latency_ms": 9.5},
            errors={"exact": 1.5},
            seconds=12.5,
            started=NOON,
            ended=NOON.replace(hour=13),
            attempts=2,
        ),
        Run(
            number=1,
            parameters={"rate": 1, "schedule": "NA", "warm": False, "mixed": "two"},
            state=RunState.INFEASIBLE,
            reason="out-of-memory",
            values={"num_parameters": math.inf},
        ),
        Run(
            number=2,
            parameters={"num_layers": 3, "rate": 0.5, "mixed": 1, "seed": 7},
            state=RunState.FINISHED,
            values={"exact": 40.0, "num_parameters": 50.0},
        ),
    ),
)
COLUMNS = [
    *("run", "state", "reason", "num_layers", "rate", "schedule", "warm", "mixed", "seed"),
    *("exact", "num_parameters", "latency_ms", "exact_error"),
    *("seconds", "attempts", "started", "ended", "on_frontier", "within_thresholds"),
]


def test_the_table_has_a_row_for_each_run() -> None:
    frame = to_frame(RESULTS)
    assert list(frame.columns) == COLUMNS
    assert frame["run"].tolist() == [0, 1, 2]
    assert frame["state"].tolist() == ["finished", "infeasible", "finished"]
    assert frame["reason"].tolist() == ["", "out-of-memory", ""]
    assert frame["num_layers"].tolist() == [6, pd.NA, 3]
    assert frame["rate"].tolist() == [THIRD, 1.0, 0.5]
    assert frame["mixed"].tolist()[1:] == ["two", "1"]
    assert frame["warm"].tolist() == [True, False, pd.NA]
    assert frame["num_parameters"].tolist() == [100.0, math.inf, 50.0]
    assert frame["exact_error"].tolist()[0] == 1.5
    assert frame["exact_error"].isna().tolist() == [False, True, True]
    assert frame["started"][0] == pd.Timestamp(NOON)
    assert frame["on_frontier"].tolist() == [True, False, False]
    assert frame["within_thresholds"].tolist() == [True, False, False]


def test_a_name_that_another_column_has_says_what_it_is_of() -> None:
    run = Run(
        number=0,
        parameters={"run": 3, "exact": 0.5, "exact_error": 0.1},
        state=RunState.FINISHED,
        values={"exact": 60.0, "state": 1.0},
        errors={"exact": 1.5},
    )
    state = Metric(name="state", goal=Goal.MAXIMIZE)
    frame = to_frame(replace(RESULTS, metrics=(EXACT, state), parameters=(), runs=(run,)))
    row = frame.iloc[0]
    assert (row["run"], row["parameter.run"]) == (0, 3)
    assert (row["exact"], row["metric.exact"]) == (0.5, 60.0)
    assert (row["exact_error"], row["metric.exact_error"]) == (0.1, 1.5)
    assert (row["state"], row["metric.state"]) == ("finished", 1.0)


def test_a_study_without_runs_has_its_columns() -> None:
    frame = to_frame(replace(RESULTS, runs=()))
    assert len(frame) == 0
    assert list(frame.columns)[:4] == ["run", "state", "reason", "num_layers"]


def test_parquet_keeps_the_table_and_its_types(tmp_path: Path) -> None:
    write_frame(RESULTS, tmp_path / "runs.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "runs.parquet"), to_frame(RESULTS))


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    write_frame(RESULTS, tmp_path / "runs.csv")
    read = pd.read_csv(tmp_path / "runs.csv", keep_default_na=False, na_values=[""])
    assert list(read.columns) == COLUMNS
    assert read["rate"].tolist() == [THIRD, 1.0, 0.5]
    assert read["schedule"].tolist()[:2] == ["linear", "NA"]
    assert read["num_parameters"].tolist() == [100.0, math.inf, 50.0]
    assert read["num_layers"].tolist()[::2] == [6, 3]


def test_json_has_null_for_what_is_missing(tmp_path: Path) -> None:
    write_frame(RESULTS, tmp_path / "runs.json")
    first, second, third = json.loads((tmp_path / "runs.json").read_text())
    assert list(first) == COLUMNS
    assert (first["rate"], first["num_layers"], first["warm"]) == (THIRD, 6, True)
    assert first["started"] == "2026-01-01T12:00:00+00:00"
    assert (second["num_parameters"], second["num_layers"], second["ended"]) == (None, None, None)
    assert (second["on_frontier"], third["schedule"], third["mixed"]) == (False, None, "1")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"must end in \.csv, \.parquet or \.json, but got .*xlsx"
    ):
        write_frame(RESULTS, tmp_path / "runs.xlsx")
    (tmp_path / "runs.csv").mkdir()
    with pytest.raises(ConfigError, match=r"runs\.csv is a folder; name another"):
        write_frame(RESULTS, tmp_path / "runs.csv")
