"""The full configuration of runs side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from limbeck.analysis.configuration import Row, configuration, setting_text
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.runs import Run, RunState
from limbeck.space import Value
from tests.artifact_runs import make_config

SPACE: dict[str, Any] = {
    "num_layers": {"type": "integer", "low": 1, "high": 12},
    "alpha_ce": {"type": "float", "low": 0.0, "high": 1.0},
    "temperature": {
        "type": "float",
        "low": 1.0,
        "high": 8.0,
        "log": True,
        "when": {"alpha_ce": {"at_least": 0.1}},
    },
    "batch": {"type": "choice", "choices": [8, 16], "inert": True},
}


def study(folder: Path, *parameters: Mapping[str, Value], has_file: bool = True) -> StudyResults:
    config = make_config(folder, space=SPACE, recipe={"weight_decay": 0.01})
    runs = tuple(
        Run(number=number, parameters=given, state=RunState.FINISHED)
        for number, given in enumerate(parameters)
    )
    return StudyResults(
        name="tiny",
        metrics=config.metrics,
        parameters=config.parameters,
        runs=runs,
        config=config if has_file else None,
    )


def rows_of(results: StudyResults, *numbers: int) -> dict[str, Row]:
    rows = configuration(results, numbers)
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    return {row.name: row for row in rows}


BASELINE = {"num_layers": 6, "alpha_ce": 0.5, "temperature": 2.0, "batch": 8}


def test_searched_settings_come_first_with_ranges_then_student_then_recipe(tmp_path: Path) -> None:
    rows = configuration(study(tmp_path, BASELINE), [0])
    assert [row.name for row in rows[:4]] == list(SPACE)
    assert [row.range_text for row in rows[:5]] == [
        "1 to 12",
        "0 to 1",
        "1 to 8, log",
        "8 | 16 (inert)",
        "",
    ]
    groups = [row.group for row in rows]
    assert groups == sorted(groups, key=["searched", "student", "recipe"].index)
    assert {"layers", "vocabulary", "weight_decay", "epochs"} <= {row.name for row in rows}


def test_differences_are_those_from_the_baseline(tmp_path: Path) -> None:
    rows = rows_of(
        study(tmp_path, BASELINE, {**BASELINE, "num_layers": 3}, {**BASELINE, "alpha_ce": 0.9}),
        1,
        2,
        0,
    )
    assert rows["num_layers"].values == (3, 6, 6)
    assert rows["num_layers"].differs == (True, False, False)
    assert rows["alpha_ce"].differs == (False, True, False)
    assert not any(rows["weight_decay"].differs)
    assert rows["weight_decay"].values == (0.01, 0.01, 0.01)


def test_inactive_parameter_has_no_value(tmp_path: Path) -> None:
    rows = rows_of(study(tmp_path, BASELINE, {"num_layers": 6, "alpha_ce": 0.0, "batch": 8}), 1)
    assert rows["temperature"].values == (None,)
    assert rows["temperature"].differs == (True,)
    assert setting_text(rows["temperature"].values[0]) == "-"


def test_setting_that_is_not_searched_but_given_to_a_run_is_its_own(tmp_path: Path) -> None:
    given = {**BASELINE, "weight_decay": 0.2, "num_heads_1": 4}
    rows = rows_of(study(tmp_path, BASELINE, given), 1)
    assert (rows["weight_decay"].group, rows["weight_decay"].values) == ("recipe", (0.2,))
    assert rows["weight_decay"].differs == (True,)
    assert (rows["num_heads_1"].group, rows["num_heads_1"].values) == ("given", (4,))
    assert rows["num_heads_1"].baseline is None


def test_without_a_study_file_there_are_the_parameters_alone(tmp_path: Path) -> None:
    rows = rows_of(study(tmp_path, BASELINE, {**BASELINE, "x": True}, has_file=False), 1)
    assert list(rows) == [*SPACE, "x"]
    assert rows["x"].group == "given"


def test_true_is_not_one(tmp_path: Path) -> None:
    results = study(tmp_path, {**BASELINE, "x": 1}, {**BASELINE, "x": True}, has_file=False)
    assert rows_of(results, 1)["x"].differs == (True,)


def test_unknown_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no run 7"):
        configuration(study(tmp_path, BASELINE), [7])


def test_text_of_settings() -> None:
    assert [setting_text(value) for value in (None, 0.00021567, "first", [4, 8], False)] == [
        "-",
        "0.000216",
        "first",
        "4, 8",
        "False",
    ]
