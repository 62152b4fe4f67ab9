"""Studies that go from store to store in a file, of either kind of database."""

import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from limbeck.errors import ConfigError, DataError, NotFoundError
from limbeck.runs import Forecast, Outcome, RunState
from limbeck.store import Store, schema
from limbeck.store.exchange import Carried, export_study, import_study
from limbeck.store.portable import (
    POINTS_PER_LINE,
    ArtifactLine,
    EventLine,
    ForecastLine,
    RunLine,
    StudyLine,
)
from tests.store.conftest import ME, MODEL, Clock, begin, interrupted_at, point

CONFIG = json.dumps({"folder": "/data/é", "file": {"name": "bert", "seed": 7}})


@pytest.fixture
def full(url: str, clock: Clock) -> Iterator[Store]:
    """A store whose study ``bert`` has runs of all states, and another study besides."""
    with Store(url, clock=clock) as store:
        store.create_study("other", budget=1, seed=1, config="")
        store.add_run("other", {"layers": 9}, values={}, owner=ME)
        store.create_study("bert", budget=9, seed=-(2**63), config=CONFIG)
        store.set_paused("bert", paused=True)
        for outcome in outcomes():
            run = store.add_run("bert", {"layers": 3, "rate": 1e-5}, values={"size": 1.0}, owner=ME)
            assert run is not None
            clock.advance(0.000001)
            store.add_points("bert", run.number, [point(1), point(2, value=math.nan)], owner=ME)
            store.end_run("bert", run.number, outcome, owner=ME)
        running = store.add_run("bert", {"name": "ü\n", "on": True}, values={}, owner=ME)
        assert running is not None
        begin(store, running.number, step=0)
        batch = [point(step, metric) for metric in "bB" for step in range(POINTS_PER_LINE + 1)]
        store.add_points("bert", running.number, batch, owner=ME)
        store.add_run("bert", {"whole": 2.0, "many": 10**30}, values={}, owner=None)
        store.add_event("bert", "resumed", "1 run to go: \N{GRINNING FACE}")
        clock.advance(60)
        store.add_event("bert", "note", "of the second", number=1)
        yield store


def outcomes() -> tuple[Outcome, ...]:
    values = {"exact": 61.5, "loss": math.nan, "up": math.inf, "down": -math.inf, "zero": -0.0}
    return (
        Outcome(
            state=RunState.FINISHED,
            values=values,
            errors={"exact": 0.25},
            artifacts=(MODEL, replace(MODEL, name="log", bytes=0)),
            seconds=1 / 3,
        ),
        Outcome(
            state=RunState.STOPPED,
            reason="no-gain",
            forecasts={"exact": Forecast(mean=60.1, std=0.1)},
        ),
        Outcome(state=RunState.INFEASIBLE, reason="diverged", message="the loss is nan"),
        Outcome(
            state=RunState.FAILED,
            reason="exception",
            error_type="OSError",
            traceback='File "é"\n  OSError\udcff\0',
        ),
    )


def contents(store: Store, study: str = "bert") -> str:
    """All that a store says of a study, as text: NaN equals no NaN."""
    record = replace(store.study(study), name="", config="")
    points = [store.points(study, run.number) for run in store.runs(study)]
    return repr((record, store.runs(study), points, store.events(study)))


def test_a_study_in_another_store_is_the_same(full: Store, url: str, tmp_path: Path) -> None:
    file, there = tmp_path / "bert.jsonl", f"sqlite:///{tmp_path}/there.db"
    carried = export_study(url, "bert", file)
    assert carried == Carried(study="bert", runs=6, points=8 + 2 * (POINTS_PER_LINE + 1), events=2)
    assert import_study(there, file) == carried
    with Store(there) as store:
        assert [study.name for study in store.studies()] == ["bert"]
        assert store.study("bert") == full.study("bert")
        assert contents(store) == contents(full)
        assert store.release_stale("bert", lambda _run, seconds: seconds > 60)


def test_an_imported_study_goes_on(full: Store, url: str, tmp_path: Path) -> None:
    export_study(url, "bert", tmp_path / "bert.jsonl")
    import_study(url, tmp_path / "bert.jsonl", name="twin")
    before = contents(full)
    assert contents(full, "twin") == before
    full.end_run("twin", 4, Outcome(state=RunState.FINISHED, values={"exact": 1.0}), owner=ME)
    waiting = full.claim_waiting("twin", owner=ME)
    assert waiting is not None
    assert waiting.number == 5
    assert full.add_run("twin", {}, values={}, owner=ME) is not None
    assert contents(full) == before


def test_the_same_study_makes_the_same_bytes(full: Store, url: str, tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("1.jsonl", "2.jsonl", "3.jsonl"))
    there = f"sqlite:///{tmp_path}/there.db"
    export_study(url, "bert", first)
    import_study(there, first)
    export_study(there, "bert", second)
    assert second.read_bytes() == first.read_bytes()
    import_study(url, second, name="back")
    export_study(url, "back", third)
    study, *rest = first.read_bytes().splitlines()
    renamed, *same = third.read_bytes().splitlines()
    assert same == rest
    assert json.loads(renamed)["name"] == "back"
    config = json.loads(json.loads(renamed)["config"])
    assert config == {"folder": "/data/é", "file": {"name": "back", "seed": 7}}
    assert json.loads(study)["config"] == CONFIG


def test_the_lines_are_plain_json(full: Store, url: str, tmp_path: Path) -> None:
    """As docs/store.md has them."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    export_study(url, "bert", tmp_path / "bert.jsonl")
    text = (tmp_path / "bert.jsonl").read_text(encoding="ascii")
    lines = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    assert lines[0] == {
        "type": "study",
        "format": 1,
        "name": "bert",
        "budget": 9,
        "seed": -(2**63),
        "config": CONFIG,
        "created": "2026-03-29T00:30:00+00:00",
        "paused": True,
    }
    assert lines[1]["values"] == {
        "size": 1.0,
        "exact": 61.5,
        "loss": "NaN",
        "up": "Infinity",
        "down": "-Infinity",
        "zero": 0.0,
    }
    assert lines[1]["ended"] == "2026-03-29T00:30:00.000001+00:00"
    assert lines[2]["forecasts"] == {"exact": {"mean": 60.1, "std": 0.1}}
    assert lines[7] == {
        "type": "curve",
        "run": 0,
        "metric": "loss",
        "points": [[1, 1.0, 0.5], [2, "NaN", 1.0]],
    }
    shapes = [(line["run"], line["metric"], len(line["points"])) for line in lines[11:15]]
    assert shapes == [(4, "B", 1000), (4, "B", 1), (4, "b", 1000), (4, "b", 1)]
    assert lines[-1] == {"type": "end", "runs": 6, "points": 2010, "events": 2}


def test_a_packed_file_is_the_same_for_the_same_study(
    full: Store, url: str, tmp_path: Path
) -> None:
    plain, packed, again = (tmp_path / name for name in ("a.jsonl", "a.jsonl.gz", "b.jsonl.gz"))
    for file in (plain, packed, again):
        export_study(url, "bert", file)
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert again.read_bytes() == packed.read_bytes()
    assert import_study(url, packed.rename(tmp_path / "nameless"), name="twin").runs == 6
    assert contents(full, "twin") == contents(full)


def test_a_name_is_given_once(full: Store, url: str, tmp_path: Path) -> None:
    export_study(url, "bert", tmp_path / "bert.jsonl")
    before = contents(full)
    with pytest.raises(ConfigError, match="'bert' is there already; give the imported one another"):
        import_study(url, tmp_path / "bert.jsonl")
    assert contents(full) == before


def test_what_cannot_be_exported_leaves_the_file_as_it_was(url: str, tmp_path: Path) -> None:
    file = tmp_path / "bert.jsonl"
    file.write_text("before")
    with pytest.raises(NotFoundError, match="no study 'bert'"):
        export_study(url, "bert", file)
    with Store(url) as store:
        store.create_study("bert", budget=1, seed=1, config="")
    with interrupted_at("FROM events"):
        export_study(url, "bert", file)
    assert file.read_text() == "before"
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix != ".db") == [".jsonl"]


def test_a_file_that_cannot_be_written_is_named(url: str, tmp_path: Path) -> None:
    with Store(url) as store:
        store.create_study("bert", budget=1, seed=1, config="")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/bert.jsonl cannot be written: .*; name a file in"):
        export_study(url, "bert", tmp_path / "file" / "bert.jsonl")


def test_an_interrupted_import_leaves_nothing(full: Store, url: str, tmp_path: Path) -> None:
    export_study(url, "bert", tmp_path / "bert.jsonl")
    before = contents(full)
    with interrupted_at("INSERT INTO events"):
        import_study(url, tmp_path / "bert.jsonl", name="twin")
    assert [study.name for study in full.studies()] == ["other", "bert"]
    assert contents(full) == before
    import_study(url, tmp_path / "bert.jsonl", name="twin")
    assert contents(full, "twin") == before


def test_a_point_that_comes_twice_is_refused_with_its_line(url: str, tmp_path: Path) -> None:
    with Store(url) as store:
        store.create_study("bert", budget=1, seed=1, config="")
        store.add_run("bert", {}, values={}, owner=ME)
        store.add_points("bert", 0, [point(1), point(2)], owner=ME)
    file = tmp_path / "bert.jsonl"
    export_study(url, "bert", file)
    lines = file.read_text().splitlines()
    end = lines[-1].replace('"points":2', '"points":4')
    file.write_text("\n".join([*lines[:2], lines[2], lines[2], end]) + "\n")
    with pytest.raises(DataError, match=r"bert.jsonl, line 4: run 0 has a value of metric 'loss'"):
        import_study(f"sqlite:///{tmp_path}/there.db", file)
    with Store(f"sqlite:///{tmp_path}/there.db") as store:
        assert store.studies() == ()


def test_a_study_file_without_name_cannot_be_renamed(url: str, tmp_path: Path) -> None:
    with Store(url) as store:
        store.create_study("bert", budget=1, seed=1, config="seed = 7")
    export_study(url, "bert", tmp_path / "bert.jsonl")
    with pytest.raises(DataError, match="line 1: config: must be JSON with a file that has a name"):
        import_study(url, tmp_path / "bert.jsonl", name="twin")


NUMBERS = st.floats().map(lambda value: value + 0.0)  # no negative zero
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SMALL = st.integers(0, 2**31 - 1)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone


def number(value: float) -> float | str:
    return value if math.isfinite(value) else json.dumps(value)


def parameter(value: object) -> object:
    infinite = isinstance(value, float) and not math.isfinite(value)
    return {"number": json.dumps(value)} if infinite else value


@st.composite
def run_lines(draw: st.DrawFn, index: int) -> dict[str, object]:
    state = draw(st.sampled_from(RunState))
    running = state is RunState.RUNNING
    time = TIMES.map(datetime.isoformat)
    values = draw(st.dictionaries(TEXT, NUMBERS.map(number), max_size=3))
    erring = draw(st.sets(st.sampled_from(sorted(values)))) if values else set()
    return {
        "type": "run",
        "number": index,
        "state": str(state),
        "owner": draw(TEXT.filter(bool)) if running else "",
        "heartbeat": draw(time if running else time | st.none()),
        "created": draw(time),
        "started": draw(time if running else time | st.none()),
        "ended": draw(time) if state.ended else None,
        **{name: draw(SMALL) for name in ("attempts", "failures")},
        **{name: draw(TEXT) for name in ("reason", "message", "error_type", "traceback")},
        "seconds": draw(NUMBERS.map(number)),
        **{name: draw(SMALL | st.none()) for name in ("total_steps", "epoch_steps")},
        "stop_requested": draw(st.booleans()),
        "parameters": draw(
            st.dictionaries(
                TEXT,
                (st.booleans() | st.integers() | st.floats() | TEXT).map(parameter),
                max_size=4,
            )
        ),
        "values": values,
        "errors": {
            name: draw(st.floats(0, allow_nan=False, allow_infinity=False))
            for name in values
            if name in erring
        },
        "forecasts": draw(
            st.dictionaries(
                TEXT,
                st.builds(
                    lambda mean, std: {"mean": mean + 0.0, "std": std},
                    st.floats(-1e9, 1e9),
                    st.floats(0, 1e9),
                ),
                max_size=2,
            )
        ),
        "artifacts": draw(
            st.lists(
                st.builds(
                    lambda *facts: dict(
                        zip(("name", "path", "sha256", "bytes"), facts, strict=True)
                    ),
                    *(TEXT, TEXT, TEXT),
                    st.integers(0, 2**63 - 1),
                ),
                max_size=2,
                unique_by=lambda artifact: artifact["name"],
            )
        ),
    }


@st.composite
def studies(draw: st.DrawFn) -> list[dict[str, object]]:
    count = draw(st.integers(0, 3))
    runs = [draw(run_lines(index)) for index in range(count)]
    points = st.dictionaries(SMALL, st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3)
    curves = [
        (index, metric, [[step, *map(number, pair)] for step, pair in sorted(draw(points).items())])
        for index in range(count)
        for metric in sorted(draw(st.sets(TEXT, max_size=2)))
    ]
    curve_lines: list[dict[str, object]] = [
        {"type": "curve", "run": index, "metric": metric, "points": listed}
        for index, metric, listed in curves
    ]
    whose = st.none() | st.integers(0, count - 1) if count else st.none()
    events: list[dict[str, object]] = [
        {
            "type": "event",
            "run": draw(whose),
            "time": draw(TIMES).isoformat(),
            **{name: draw(TEXT) for name in ("kind", "text")},
        }
        for _ in range(draw(st.integers(0, 2)))
    ]
    head: dict[str, object] = {"type": "study", "format": 1, "name": "", "budget": draw(SMALL)}
    head |= {"seed": draw(st.integers(-(2**63), 2**63 - 1)), "config": draw(TEXT)}
    head |= {"created": draw(TIMES).isoformat(), "paused": draw(st.booleans())}
    point_count = sum(len(listed) for _, _, listed in curves)
    end: dict[str, object] = {
        "type": "end",
        "runs": count,
        "points": point_count,
        "events": len(events),
    }
    return [head, *runs, *curve_lines, *events, end]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=studies())
def test_whatever_is_imported_is_exported_to_the_byte(
    lines: list[dict[str, object]], url: str, tmp_path: Path
) -> None:
    """The file is written here, as docs/store.md says, not by the code that is tested."""
    with Store(url) as store:
        lines[0]["name"] = name = f"study-{len(store.studies())}"
    given_file, file = tmp_path / "given.jsonl", tmp_path / "again.jsonl"
    given_file.write_text(
        "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), encoding="ascii"
    )
    import_study(url, given_file)
    export_study(url, name, file)
    assert file.read_bytes() == given_file.read_bytes()


def test_a_file_has_a_field_for_every_column_of_the_tables() -> None:
    """Whoever adds a column has to say what becomes of it in a file."""

    def columns(table: Table) -> set[str]:
        return set(table.c.keys()) - {"id", "study_id", "run_id"}

    assert columns(schema.studies) == StudyLine.model_fields.keys() - {"type", "format"}
    named = {"parameters", "values", "errors", "forecasts", "artifacts"}
    assert columns(schema.runs) == RunLine.model_fields.keys() - {"type"} - named
    assert columns(schema.parameter_values) == {"name", "value"}
    assert columns(schema.metric_values) == {"name", "value", "standard_error"}
    assert columns(schema.forecasts) == {"name"} | ForecastLine.model_fields.keys()
    assert columns(schema.artifacts) == ArtifactLine.model_fields.keys()
    assert columns(schema.points) == {"metric", "step", "value", "seconds"}
    assert columns(schema.events) == EventLine.model_fields.keys() - {"type", "run"}
