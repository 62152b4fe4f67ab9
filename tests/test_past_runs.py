"""Reading runs that were made elsewhere, without teacher and command line."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.config import StudyConfig, parse_config
from limbeck.errors import ArchitectureError, ConfigError, DataError
from limbeck.past_runs import add_past_runs, new_among, read_past_runs
from limbeck.runs import RunState
from limbeck.space import Parameters
from limbeck.store import Store
from limbeck.study import enter
from tests.tiny import merged, tiny_study

SPACE = {
    "num_layers": {"type": "integer", "low": 1, "high": 12},
    "learning_rate": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
    "layers": {"type": "choice", "choices": ["first", "spread"]},
    # Only spread students have it.
    "temperature": {"type": "float", "low": 1.0, "high": 4.0, "when": {"layers": ["spread"]}},
}
HEADER = "num_layers,learning_rate,layers,temperature,exact"
ROW = "2,0.01,first,,50.0"

Write = Callable[[str], Path]


def known(parameters: Parameters) -> dict[str, float]:
    """A thousand parameters a layer; no student of 12 layers can be made."""
    if parameters["num_layers"] == 12:
        raise ArchitectureError("a student may have 11 layers, but got 12; take fewer")
    return {"num_parameters": 1000.0 * float(parameters["num_layers"])}


@pytest.fixture(scope="module")
def config() -> StudyConfig:
    table = merged(tiny_study(), {"space": SPACE, "constraints": ["num_layers != 7"]})
    return parse_config(table, folder=Path(), name="study")


@pytest.fixture
def csv(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "runs.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def in_json(path: Path, rows: object) -> Path:
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


def test_a_row_is_a_finished_run_with_errors_seconds_and_known_metrics(
    csv: Write, config: StudyConfig
) -> None:
    path = csv(
        "exact,num_layers,learning_rate,layers,temperature,error:exact,seconds,latency_ms\n"
        "51.5, 3 ,1e-3,spread,2,1.25,600,\n"
        "\n"
        '0,4,.5e-1,"first",,,,7.5\n'
    )
    spread, first = read_past_runs(path, config, known)
    assert spread.parameters == {
        "num_layers": 3,
        "learning_rate": 0.001,
        "layers": "spread",
        "temperature": 2.0,
    }
    assert [type(value) for value in spread.parameters.values()] == [int, float, str, float]
    assert (spread.outcome.state, spread.outcome.seconds) == (RunState.FINISHED, 600.0)
    assert (spread.outcome.values, spread.outcome.errors) == ({"exact": 51.5}, {"exact": 1.25})
    assert spread.known == {"num_parameters": 3000.0}
    assert (spread.place, first.place) == ("line 2", "line 4")
    assert first.parameters == {"num_layers": 4, "learning_rate": 0.05, "layers": "first"}
    assert (first.outcome.values, first.outcome.errors, first.outcome.seconds) == (
        {"exact": 0.0, "latency_ms": 7.5},
        {},
        0.0,
    )


def test_json_says_the_same_as_csv(csv: Write, config: StudyConfig, tmp_path: Path) -> None:
    path = csv(f"{HEADER},num_parameters,state\n{ROW},2000,finished\n3,0.1,first,,,,infeasible\n")
    rows = [
        {
            "num_layers": 2,
            "learning_rate": 0.01,
            "layers": "first",
            "temperature": None,
            "exact": 50,
            "num_parameters": 2e3,
            "state": "finished",
        },
        {"num_layers": 3.0, "learning_rate": 0.1, "layers": "first", "state": "infeasible"},
    ]
    from_csv = read_past_runs(path, config, known)
    from_json = read_past_runs(in_json(tmp_path / "runs.json", rows), config, known)
    assert [(run.parameters, run.outcome, run.known) for run in from_csv] == [
        (run.parameters, run.outcome, run.known) for run in from_json
    ]
    assert [run.place for run in from_json] == ["row 1", "row 2"]


def test_a_student_that_cannot_be_may_be_told_as_infeasible(
    csv: Write, config: StudyConfig
) -> None:
    text = f"{HEADER},state\n12,0.01,first,,,"
    (run,) = read_past_runs(csv(f"{text}infeasible\n"), config, known)
    assert (run.outcome.state, run.known) == (RunState.INFEASIBLE, {})
    with pytest.raises(DataError, match="line 2: a student may have 11 layers, but got 12"):
        read_past_runs(csv(f"{text}finished\n"), config, known)


def test_truth_is_written_in_csv_as_in_the_study_file(csv: Write) -> None:
    space = {"flag": {"type": "choice", "choices": [True, False, 1, "True"], "inert": True}}
    config = parse_config(merged(tiny_study(), {"space": space}), folder=Path(), name="study")
    text = "num_layers,learning_rate,flag,exact\n" + "".join(
        f"{layers},0.01,{flag},50\n" for layers, flag in [(1, "true"), (2, "1"), (3, "True")]
    )
    flags = [run.parameters["flag"] for run in read_past_runs(csv(text), config, known)]
    assert [(flag, type(flag)) for flag in flags] == [(True, bool), (1, int), ("True", str)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold at least one run, but is empty"),
        (f"{HEADER}\n", "must hold at least one run, but is empty"),
        ("num_layers,,exact\n1,2,3\n", "line 1: columns must have names, all different"),
        (f"{HEADER},exact\n{ROW},1\n", "line 1: columns must have .* but one is 'exact'"),
        (f"{HEADER}\n{ROW}\n\n2,0.01\n", "line 4: must have a cell for each of the 5 .* has 2"),
        (f"{HEADER}\n{ROW},9\n", "line 2: must have a cell for each of the 5 columns, but has 6"),
        (f'{HEADER}\n{ROW}\n2,"0.01\n', "line 3: must be CSV, but: unexpected end of data"),
        (f"{HEADER},learning_rat\n{ROW},\n", "line 2: .*'learning_rat'; did you mean 'learning_r"),
        (f"{HEADER},dropout\n{ROW},0.1\n", "a column must be a searched parameter, a metric, .*"),
        (HEADER.replace(",", ";") + "\n", "empty"),
        (
            f"{HEADER}\n13,0.01,first,,50\n",
            "line 2: num_layers must be between 1 and 12, but got 1",
        ),
        (f"{HEADER}\n1.5,0.01,first,,50\n", "line 2: num_layers must be .*1.5"),
        (
            f"{HEADER}\nthree,0.01,first,,50\n",
            "line 2: num_layers must be a finite number.*'three'",
        ),
        (f"{HEADER}\n1_0,0.01,first,,50\n", "line 2: num_layers must be a finite number, .*'1_0'"),
        (f"{HEADER}\n1,nan,first,,50\n", "line 2: learning_rate must be a finite number.*'nan'"),
        (f'{HEADER}\n1,"0,01",first,,50\n', "line 2: learning_rate must be a finite.*'0,01'"),
        (f"{HEADER}\n1,,first,,50\n", r"line 2: parameters must be complete, but \['learning_rate"),
        (f"{HEADER}\n1,0.01,last,,50\n", "line 2: layers must be one of .* but got 'last'"),
        (f"{HEADER}\n1,0.01,first,2,50\n", "line 2: temperature must be left out unless layers is"),
        (f"{HEADER}\n7,0.01,first,,50\n", "line 2: the parameters must keep .*'num_layers != 7'"),
        (f"{HEADER}\n1,0.01,first,,\n", "line 2: exact must have a value"),
        (f"{HEADER}\n1,0.01,first,,inf\n", "line 2: exact must be a finite number, but got 'inf'"),
        (f"{HEADER}\n1,0.01,first,,1e999\n", "line 2: exact must be a finite number.*'1e999'"),
        (f"{HEADER},seconds\n{ROW},-1\n", "line 2: seconds must be at least 0, but got '-1'"),
        (f"{HEADER},error:exact\n{ROW},-1\n", "line 2: error:exact must be at least 0"),
        (f"{HEADER},error:f1\n{ROW},1\n", "line 2: error:f1 needs the value itself; fill in f1"),
        (f"{HEADER},state\n{ROW},failed\n", "line 2: state must be 'finished' or 'infeasible', bu"),
        (
            f"{HEADER},num_parameters\n{ROW},2001\n",
            "line 2: num_parameters follows from the parameters and must be 2000, but got 2001;",
        ),
        (
            f"{HEADER}\n{ROW}\n3,0.01,first,,50\n2,1e-2,first,,9\n",
            "line 4: runs must have different parameters, but line 2 has the same",
        ),
    ],
)
def test_a_wrong_row_is_named(csv: Write, config: StudyConfig, text: str, message: str) -> None:
    path = csv(text)
    with pytest.raises(DataError, match=message) as raised:
        read_past_runs(path, config, known)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("[{", "must be JSON, but: Expecting property name"),
        ("[" * 100_000, "must be JSON, but: "),
        ({"num_layers": 1}, "must be an array of objects, but is an object"),
        ([], "must hold at least one run, but is empty"),
        ([[1, 2]], "row 1: must be an object, but is an array"),
        ([{"num_layers": [1]}], "row 1: num_layers must be a number, text, .* but is an array"),
        ('[{"exact": 1, "exact": 2}]', "an object must have one value of a name.*'exact'"),
        ([{"layer": 1}], "row 1: a column must be .*'layer'; did you mean 'layers'"),
        ('[{"num_layers": NaN}]', "row 1: num_layers must be .* but got nan"),
        ([{"num_layers": True}], "row 1: num_layers must be .* but got True"),
        ([{"num_layers": 1, "learning_rate": "0.01x"}], "row 1: learning_rate must be a finite"),
    ],
)
def test_wrong_json_is_named(
    config: StudyConfig, tmp_path: Path, rows: object, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_past_runs(in_json(tmp_path / "runs.json", rows), config, known)


def test_a_file_that_cannot_be_read_is_named(config: StudyConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: must be readable, but: No such file"):
        read_past_runs(tmp_path / "none.csv", config, known)
    with pytest.raises(DataError, match=r"runs\.xlsx: the file's name must end in \.csv or \.json"):
        read_past_runs(tmp_path / "runs.xlsx", config, known)
    path = tmp_path / "latin.csv"
    path.write_bytes(b"num_layers\n1\n\xe4\n")
    with pytest.raises(DataError, match="line 3: must be UTF-8 text, but byte 0xe4 is not"):
        read_past_runs(path, config, known)


def test_a_mark_at_the_start_is_no_part_of_the_first_name(csv: Write, config: StudyConfig) -> None:
    assert len(read_past_runs(csv(f"\ufeff{HEADER}\n{ROW}\n"), config, known)) == 1


ROWS = st.fixed_dictionaries(
    {
        "num_layers": st.integers(1, 6),
        "learning_rate": st.floats(1e-6, 1e-1),
        "layers": st.just("first"),
        "exact": st.floats(0, 100),
        "seconds": st.floats(0, 1e6),
    }
)


@settings(max_examples=30)
@given(rows=st.lists(ROWS, min_size=1, max_size=20))
def test_csv_keeps_every_digit(
    rows: list[Mapping[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = merged(tiny_study(), {"space": {**SPACE, "temperature": None}})
    config = parse_config(table, folder=Path(), name="study")
    different = {(row["num_layers"], row["learning_rate"]): row for row in rows}
    names = [*rows[0]]
    cells = [[str(row[name]) for name in names] for row in different.values()]
    lines = [",".join(each) for each in [names, *cells]]
    path = tmp_path_factory.mktemp("rows") / "runs.csv"
    path.write_text("\n".join(lines))
    for past, row in zip(read_past_runs(path, config, known), different.values(), strict=True):
        said = {**past.parameters, **past.outcome.values, "seconds": past.outcome.seconds}
        assert said == dict(row)


def test_what_was_added_is_not_added_again(csv: Write, config: StudyConfig) -> None:
    lines = [HEADER, *(f"{layers},0.01,first,,{40 + layers}" for layers in range(1, 6))]
    with Store("sqlite://") as store:
        enter(store, config, runs=4)
        past = read_past_runs(csv("\n".join(lines)), config, known)
        with pytest.raises(ConfigError, match=r"room for 5 more runs, but has 0 of 4; .*--runs 5"):
            add_past_runs(store, "tiny", past, owner="host:1:1")
        assert store.runs("tiny") == ()
        # As if the first command had been killed after three runs.
        add_past_runs(store, "tiny", past[:3], owner="host:1:1")
        store.update_study("tiny", budget=9, config=store.study("tiny").config)
        rest = new_among(past, store.runs("tiny"))
        assert [run.place for run in rest] == ["line 5", "line 6"]
        add_past_runs(store, "tiny", rest, owner="host:1:1")
        runs = store.runs("tiny")
    assert [run.parameters["num_layers"] for run in runs] == [1, 2, 3, 4, 5]
    assert [run.values["exact"] for run in runs] == [41.0, 42.0, 43.0, 44.0, 45.0]
    assert [run.values["num_parameters"] for run in runs] == [1e3, 2e3, 3e3, 4e3, 5e3]
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert not any(math.isnan(run.seconds) for run in runs)
