"""What the study page computes itself: time left, limits, rows, what an address chooses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from limbeck.dashboard.pages.study.choices import read_choices
from limbeck.dashboard.pages.study.standing import read_limits, seconds_left
from limbeck.dashboard.pages.study.table import column_definitions, rows_of
from limbeck.errors import ConfigError
from limbeck.store import Progress
from tests.dashboard.studied import FAILED, INFEASIBLE, RUNNING, STUDY, WAITING, Studied

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def running(number: int, *, spent: float, step: int, silent: float = 0.0) -> Progress:
    return Progress(
        number=number,
        owner="host:1:1.0",
        started=NOW - timedelta(seconds=spent),
        heartbeat=NOW - timedelta(seconds=silent),
        step=step,
        total_steps=100,
    )


def test_time_left_counts_what_is_to_come_and_what_is_running(studied: Studied) -> None:
    with studied.open() as store:
        record = store.study(STUDY)
    results = studied.results()
    # Ended runs took 30 to 38, 12 and 5 s, 323 s in all: 29.36 s on average. 6 runs of the budget
    # of 20 are not there yet, and one waits. The second worker did 60 of 100 steps in 15 s.
    mean = (sum(range(30, 39)) + 12 + 5) / 11
    one = running(RUNNING, spent=10, step=0)
    two = running(RUNNING, spent=15, step=60)
    left = seconds_left(results, record, [one, two], NOW)
    assert left == pytest.approx((7 * mean + (mean - 10) + 15 * 40 / 60) / 2)
    paused = replace(record, paused=True)
    assert seconds_left(results, paused, [two], NOW) == pytest.approx(10)
    assert (
        seconds_left(results, record, [running(RUNNING, spent=9, step=1, silent=999)], NOW) is None
    )
    assert seconds_left(results, record, [], NOW) is None
    assert seconds_left(replace(results, runs=()), record, [one], NOW) is None


def test_limits_are_separated_by_commas(studied: Studied) -> None:
    found = read_limits("num_parameters=30k, latency_ms<=4 ms,", studied.results())
    assert [limit.text for limit in found] == [
        "num_parameters at most 30.00 k",
        "latency_ms at most 4.00 ms",
    ]
    with pytest.raises(ConfigError, match="a limit must be"):
        read_limits("20M", studied.results())


def test_an_address_chooses_only_what_the_study_has(studied: Studied) -> None:
    results = studied.results()
    query = {"across": "latency_ms", "up": "nothing", "over": "time", "lines": "some",
             "columns": "exact,nothing,seconds", "color": "num_layers"}  # fmt: skip
    chosen = read_choices(query, results)
    assert (chosen.across, chosen.up, chosen.color) == ("latency_ms", None, "num_layers")
    assert (chosen.over, chosen.lines) == ("time", "all")
    assert chosen.columns == ("exact", "seconds")


def test_a_large_study_is_tabled_with_fewer_columns(studied: Studied) -> None:
    results = studied.results()
    names = read_choices({}, results).columns
    assert names == ("state", "exact", "num_parameters", "num_layers", "learning_rate", "reason")
    large = replace(results, runs=results.runs[:1] * 20_000)
    assert read_choices({}, large).columns == (
        "state", "exact", "num_parameters", "num_layers", "reason"
    )  # fmt: skip
    assert read_choices({}, large).lines == "frontier"


def test_rows_have_what_a_run_has(studied: Studied) -> None:
    results = studied.results()
    rows = rows_of(results, ("state", "exact", "num_layers", "reason", "seconds"))
    assert rows[FAILED] == {
        "run": FAILED, "state": "failed", "exact": 16.0, "num_layers": 3,
        "reason": "exception: the disk said no", "seconds": 5.0,
    }  # fmt: skip
    assert rows[WAITING] == {"run": WAITING, "state": "waiting", "num_layers": 2}
    assert rows[INFEASIBLE]["reason"] == "diverged: loss is not finite"
    odd = replace(results.runs[0], values={"exact": float("nan")}, message="x" * 10**6)
    [row] = rows_of(replace(results, runs=(odd,)), ("exact", "reason"))
    assert row == {"run": 0, "exact": "nan", "reason": "x" * 299 + "…"}


def test_numbers_have_numeric_columns_with_units(studied: Studied) -> None:
    columns = column_definitions(studied.results(), ("state", "exact", "num_layers"))
    assert [column["headerName"] for column in columns] == [
        "run",
        "state",
        "exact (%)",
        "num_layers",
    ]
    assert [column.get("filter") for column in columns] == [
        "agNumberColumnFilter", None, "agNumberColumnFilter", "agNumberColumnFilter"
    ]  # fmt: skip
