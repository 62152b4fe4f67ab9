"""Which runs can be compared, and which are offered."""

import pytest

from limbeck.dashboard.choice import options, read_runs, spread
from limbeck.errors import InputError
from tests.dashboard.studied import FAILED, STUDY, Studied


@pytest.mark.parametrize(
    ("text", "numbers"), [("0,7", [0, 7]), ("7,0,7", [7, 0]), (" 3 , 4,", [3, 4])]
)
def test_two_to_six_different_runs_are_read(
    studied: Studied, text: str, numbers: list[int]
) -> None:
    assert read_runs(studied.results(), text) == numbers


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "choose 2 to 6 runs; there is 0 so far"),
        ("3,3", "choose 2 to 6 runs; there is 1 so far"),
        ("0,1,2,3,4,5,6", "at most 6 runs can be compared, but 7 are chosen; take 1 out"),
        ("0,77", f"study '{STUDY}' has runs 0 to 13, but no run 77"),
        ("0,-1", "runs must be numbers with commas between, but got '-1'"),
        ("0,<b>", "runs must be numbers with commas between, but got '<b>'"),
        ("0,9999999999", "runs must be numbers with commas between, but got '9999999999'"),
        ("0,٣", "runs must be numbers with commas between, but got '٣'"),
        ("0,1.0", "runs must be numbers with commas between, but got '1.0'"),
        (f"0,{'x' * 1_000_000}", "runs must be numbers with commas between, but got 'xxxx"),
    ],
)
def test_others_are_refused_in_one_line(studied: Studied, text: str, reason: str) -> None:
    with pytest.raises(InputError, match="run") as caught:
        read_runs(studied.results(), text)
    assert str(caught.value).startswith(reason)
    assert len(str(caught.value)) < 200


def test_what_was_typed_is_offered_beside_what_is_chosen(studied: Studied) -> None:
    results = studied.results()
    assert [option["value"] for option in options(results, "", [3])] == list(range(14))
    offered = options(results, "run 1", [3])
    assert [option["value"] for option in offered] == [1, 3, 10, FAILED, 12, 13]
    assert offered[3]["label"].startswith(f"run {FAILED} failed (")


def test_the_frontier_is_spread_from_end_to_end(studied: Studied) -> None:
    results = studied.results()
    chosen = spread(results)
    front = [run.number for run in results.frontier if run.number != 0]
    assert chosen[0] == 0
    assert {front[0], front[-1]} <= set(chosen)
    assert len(chosen) == len(set(chosen)) <= 6
