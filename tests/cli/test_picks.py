"""The table of picks, at the width of a narrow terminal too."""

import json

import pytest

from limbeck.analysis.limits import parse_limit
from limbeck.analysis.picks import make_picks
from limbeck.analysis.results import StudyResults
from limbeck.cli import tables
from limbeck.cli.picks import picks_facts, print_picks
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%")
LATENCY = Metric(name="latency_ms", goal=Goal.MINIMIZE, unit="ms")


def make_run(number: int, exact: float, latency: float) -> Run:
    return Run(
        number=number,
        parameters={},
        state=RunState.FINISHED,
        values={"exact": exact, "latency_ms": latency},
        errors={"exact": 1.5, "latency_ms": 0.6 if number else 0.8},
    )


RESULTS = StudyResults(
    name="study",
    metrics=(EXACT, LATENCY),
    parameters=(),
    runs=(make_run(0, 60, 10), make_run(1, 70, 8), make_run(2, 50, 4)),
)
LIMIT = parse_limit("latency_ms=2", RESULTS.metrics)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.OUT, "width", 160)


def test_differences_have_their_confidence(capsys: pytest.CaptureFixture[str]) -> None:
    print_picks(make_picks(RESULTS))
    out = capsys.readouterr().out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    # 1.96 * sqrt(1.5² + 1.5²), and 1.96 * sqrt(0.8² + 0.6²) in percent of 10 ms.
    assert "smaller and better 1 70.00 % +10.00 ± 4.16 8.00 ms -20.00 ± 19.60 %" in rows
    assert "95 % confidence interval" in out
    assert "limbeck confirm" in out


def test_every_pick_has_its_rule_or_why_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_picks(make_picks(RESULTS, limits=[LIMIT]))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["best", "under", "the", "limit", "none"] for line in lines)
    assert (
        "best under the limit: No usable run has latency_ms at most 2.00 ms; the smallest is "
        "4.00 ms." in lines
    )
    assert any(line.startswith("knee: No run on the frontier lies beyond") for line in lines)
    assert any(line.startswith("smaller and better: Of the runs better") for line in lines)


def test_without_errors_no_confidence_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    runs = tuple(
        Run(number=run.number, parameters={}, state=run.state, values=run.values)
        for run in RESULTS.runs
    )
    bare = StudyResults(name="study", metrics=RESULTS.metrics, parameters=(), runs=runs)
    print_picks(make_picks(bare))
    out = capsys.readouterr().out
    assert "+10.00" in out
    assert "±" not in out


def test_facts_are_json() -> None:
    picks = json.loads(json.dumps(picks_facts(make_picks(RESULTS, limits=[LIMIT]))))
    better, missing = picks[1], picks[-1]
    assert (better["run"], better["missing"]) == (1, "")
    assert better["rule"].startswith("Of the runs better than the baseline")
    latency = better["vs_baseline"]["latency_ms"]
    assert latency["value"] == 8
    assert latency["absolute"] == -2
    assert latency["relative_percent"] == pytest.approx(-20)
    assert latency["standard_error"] == pytest.approx(1)
    assert latency["margin_95"] == pytest.approx(1.959964)
    assert (missing["run"], missing["vs_baseline"]) == (None, {})
