"""Files that are broken are refused with their line, whatever is wrong with them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from limbeck.errors import DataError
from limbeck.store.exchange import import_study
from limbeck.store.portable import read_lines

TIME = "2026-03-29T00:30:00+00:00"
STUDY: dict[str, Any] = {
    "type": "study",
    "format": 1,
    "name": "bert",
    "budget": 4,
    "seed": 7,
    "config": "",
    "created": TIME,
    "paused": False,
}
RUN: dict[str, Any] = {
    "type": "run",
    "number": 0,
    "state": "finished",
    "owner": "",
    "heartbeat": None,
    "created": TIME,
    "started": TIME,
    "ended": TIME,
    "attempts": 1,
    "failures": 0,
    "reason": "",
    "message": "",
    "error_type": "",
    "traceback": "",
    "seconds": 1.5,
    "total_steps": None,
    "epoch_steps": None,
    "stop_requested": False,
    "parameters": {"layers": 3},
    "values": {"exact": 61.5},
    "errors": {},
    "forecasts": {},
    "artifacts": [],
}
RUNNING = RUN | {"state": "running", "ended": None, "owner": "host:1:1", "heartbeat": TIME}
CURVE: dict[str, Any] = {
    "type": "curve",
    "run": 0,
    "metric": "loss",
    "points": [[1, 2.5, 0.5], [2, "NaN", 1.0]],
}
EVENT: dict[str, Any] = {"type": "event", "run": None, "time": TIME, "kind": "note", "text": "x"}
END: dict[str, Any] = {"type": "end", "runs": 1, "points": 2, "events": 1}
WHOLE = [STUDY, RUN, CURVE, EVENT, END]


def write(path: Path, lines: list[Any]) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    read = list(read_lines(write(tmp_path / "bert.jsonl", WHOLE)))
    assert [(number, line.type) for number, line in read] == list(
        enumerate(["study", "run", "curve", "event", "end"], start=1)
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "bert.jsonl was cut off after line 0; export the study again"),
        (WHOLE[:-1], "bert.jsonl was cut off after line 4; export the study again"),
        (["hello"], "line 1: Invalid JSON"),
        (['{"type": "study"'], "line 1: Invalid JSON"),
        (["[]"], "line 1: "),
        ([STUDY, ""], "line 2: Invalid JSON"),
        ([STUDY | {"type": "song"}], "line 1: Input tag 'song'"),
        ([STUDY | {"format": 2}], "line 1: has format 2, but this Limbeck reads none after 1;"),
        ([STUDY | {"format": 2, "new": 1}], "line 1: has format 2, but this Limbeck reads none"),
        ([STUDY | {"name": ""}], "line 1: name: "),
        ([STUDY | {"name": 5}], "line 1: name: "),
        ([STUDY | {"budget": -1}], "line 1: budget: "),
        ([STUDY | {"budget": "4"}], "line 1: budget: "),
        ([STUDY | {"seed": 2**63}], "line 1: seed: "),
        ([STUDY | {"created": "yesterday"}], "line 1: created: "),
        ([STUDY | {"created": "2026-03-29T00:30:00"}], "line 1: created: "),
        ([STUDY | {"colour": "red"}], "line 1: colour: "),
        ([{name: STUDY[name] for name in STUDY if name != "seed"}], "line 1: seed: Field required"),
        ([RUN], "line 1: must be the first line and no other, if of type study, but is a run"),
        ([STUDY, STUDY], "line 2: must be the first line and no other, if of type study"),
        ([STUDY, RUN | {"number": 1}], "line 2: the next run must be number 0, but is 1"),
        ([STUDY, RUN, RUN], "line 3: the next run must be number 1, but is 0"),
        ([STUDY, RUN | {"state": "lost"}], "line 2: state: "),
        ([STUDY, RUN | {"ended": None}], "line 2: Value error, run 0 is finished but has not end"),
        ([STUDY, RUNNING | {"ended": TIME}], "line 2: Value error, run 0 is running but has ended"),
        ([STUDY, RUNNING | {"owner": ""}], "line 2: Value error, run 0 is running but nobody's"),
        ([STUDY, RUNNING | {"heartbeat": None}], "run 0 is running but was never heard of"),
        ([STUDY, RUNNING | {"started": None}], "run 0 is running but has not started"),
        ([STUDY, RUN | {"errors": {"f1": 1.0}}], "has a standard error but no value of f1"),
        ([STUDY, RUN | {"parameters": {"layers": None}}], "line 2: parameters.layers"),
        ([STUDY, RUN | {"parameters": {"layers": {"number": "3"}}}], "line 2: parameters.layers"),
        ([STUDY, RUN | {"values": {"exact": "61.5"}}], "line 2: values.exact: "),
        ([STUDY, RUN | {"values": {"exact": True}}], "line 2: values.exact: "),
        ([STUDY, RUN | {"artifacts": [{"name": "model"}]}], "line 2: artifacts.0.path: "),
        (
            [STUDY, RUN | {"artifacts": [{"name": "a", "path": "", "sha256": "", "bytes": 1}] * 2}],
            "line 2: Value error, run 0 has two artifacts of one name",
        ),
        ([STUDY, CURVE], "line 2: there is no run 0"),
        ([STUDY, RUN, CURVE | {"points": [[2, 1.0, 1.0], [2, 1.0, 1.0]]}], "line 3: steps must ri"),
        ([STUDY, RUN, CURVE | {"points": [[2, 1.0]]}], "line 3: points.0.2: "),
        ([STUDY, RUN, CURVE | {"points": [[-1, 1.0, 1.0]]}], "line 3: points.0.0: "),
        ([STUDY, RUN, CURVE | {"points": [[1.5, 1.0, 1.0]]}], "line 3: points.0.0: "),
        ([STUDY, RUN, CURVE, RUN], "line 4: a run must not come after a curve"),
        ([STUDY, RUN, EVENT, CURVE], "line 4: a curve must not come after a event"),
        ([STUDY, RUN, EVENT | {"run": 1}], "line 3: there is no run 1"),
        ([STUDY, RUN, CURVE, END], "line 4: there must be 1 runs, 2 points and 1 events, but"),
        ([*WHOLE, END], "line 6: nothing must come after the end"),
    ],
)
def test_a_broken_file_is_refused_with_its_line_and_changes_nothing(
    tmp_path: Path, lines: list[Any], message: str
) -> None:
    file = write(tmp_path / "bert.jsonl", lines)
    url = f"sqlite:///{tmp_path}/store.db"
    import_study(url, write(tmp_path / "good.jsonl", [STUDY | {"name": "good"}, *WHOLE[1:]]))
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(DataError, match=r"bert\.jsonl") as refused:
        import_study(url, file)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "store.db").read_bytes() == before


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bert.jsonl"
    file.write_bytes(json.dumps(STUDY | {"config": "x"}).encode().replace(b"x", b"\xff"))
    with pytest.raises(DataError, match="line 1: Invalid JSON: "):
        list(read_lines(file))


def test_a_packed_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.jsonl", WHOLE).read_bytes()
    file = tmp_path / "bert.jsonl.gz"
    file.write_bytes(gzip.compress(whole)[:-30])
    with pytest.raises(DataError, match=r"bert.jsonl.gz is damaged after line \d: .*; export the"):
        list(read_lines(file))


@pytest.mark.parametrize("name", ["", "none.jsonl"])
def test_what_is_no_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataError, match=r"cannot be read: (Is a|No such file or) directory; name a"
    ):
        list(read_lines(tmp_path / name))
