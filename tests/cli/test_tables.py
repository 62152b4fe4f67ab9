"""What the tables say, at the width of a narrow terminal too."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from limbeck.cli import tables
from limbeck.cli.tables import (
    frontier_facts,
    print_frontier,
    print_runs,
    print_values,
    run_facts,
)
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=20.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
METRICS = (EXACT, SIZE)


def make_run(number: int, exact: float, size: float, *, error: float) -> Run:
    return Run(
        number=number,
        parameters={"num_layers": 4},
        state=RunState.FINISHED,
        values={"exact": exact, "num_parameters": size},
        errors={"exact": error},
    )


RUNS = (make_run(0, 41.25, 45.2e6, error=1.725), make_run(1, 37.2, 31.5e6, error=1.6949))


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setattr(tables.OUT, "width", 80)


def test_values_are_printed_with_the_errors_of_those_that_have_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_values("Values", {"exact": 37.2, "total": 815.0}, {"exact": 1.6949})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["exact", "37.20", "±", "1.69", "%"] in lines
    assert ["total", "815"] in lines
    assert lines[-1] == ["±", "is", "one", "standard", "error"]


def test_values_without_errors_explain_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_values("Values", {"exact": 37.2}, {})
    assert "±" not in capsys.readouterr().out


def test_the_frontier_has_its_errors_where_there_is_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables.OUT, "width", 90)
    print_frontier(RUNS, METRICS)
    out = capsys.readouterr().out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert "1 37.20 ± 1.69 % -4.05 31.50 M -30.31 % 4" in rows
    assert "0 (baseline) 41.25 ± 1.73 % +0.00 45.20 M +0.00 % 4" in rows
    assert "Baseline: run 0, exact 41.25 ± 1.73 %, num_parameters 45.20 M" in out
    assert "± is one standard error" in out


def test_the_list_of_runs_has_its_errors_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_runs(RUNS, METRICS)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["1", "*", "finished", "37.20", "±", "1.69", "%", "31.50", "M", "4"] in rows
    assert ["±", "is", "one", "standard", "error"] in rows


@pytest.mark.parametrize("show", [print_runs, print_frontier])
def test_a_table_that_errors_make_too_wide_does_without(
    show: Callable[[Sequence[Run], tuple[Metric, ...]], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables.OUT, "width", 160)
    show(RUNS, METRICS)
    out = capsys.readouterr().out
    assert "37.20 ± 1.69 %" in out
    width = max(len(line) for line in out.splitlines()[:5])
    monkeypatch.setattr(tables.OUT, "width", width)
    show(RUNS, METRICS)
    assert capsys.readouterr().out == out
    monkeypatch.setattr(tables.OUT, "width", width - 1)
    show(RUNS, METRICS)
    out = capsys.readouterr().out
    assert "37.20 %" in out
    assert "± 1.69" not in out
    assert "standard error" not in out


def test_runs_without_errors_are_listed_without(capsys: pytest.CaptureFixture[str]) -> None:
    print_runs([replace(run, errors={}) for run in RUNS], METRICS)
    out = capsys.readouterr().out
    assert "37.20 %" in out
    assert "±" not in out


def test_facts_have_errors_beside_the_values() -> None:
    facts = json.loads(json.dumps(run_facts(RUNS[1])))
    assert facts["errors"] == {"exact": 1.6949}
    front = json.loads(json.dumps(frontier_facts(RUNS, METRICS)))["frontier"]
    assert {run["run"]: run["errors"] for run in front} == {
        0: {"exact": 1.725},
        1: {"exact": 1.6949},
    }


def test_a_parameter_that_a_run_does_not_have_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    runs = (RUNS[0], replace(RUNS[1], parameters={"num_layers": 2, "width_3": 7}))
    print_runs(runs, METRICS)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    cells = {row[0]: row[-2:] for row in rows if row and row[0] in ("0", "1")}
    assert cells == {"0": ["4", "-"], "1": ["2", "7"]}
