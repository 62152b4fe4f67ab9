"""Which weights are kept, against brute force, and what a crash in between leaves."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.artifacts import with_artifacts
from limbeck.config import StudyConfig
from limbeck.errors import LimbeckWarning
from limbeck.home import Home
from limbeck.metrics import Goal, Metric
from limbeck.retention import (
    clean,
    drop_weights,
    dropped_weights,
    leftovers,
    retain,
    superfluous,
)
from limbeck.runs import Artifact, Run, RunState
from limbeck.space import Value
from limbeck.store import Store
from tests.artifact_runs import ME, make_config, outcome_of, write_files

METRICS = (
    Metric(name="exact", goal=Goal.MAXIMIZE, threshold=30.0),
    Metric(name="num_parameters", goal=Goal.MINIMIZE),
)
MODEL = Artifact(name="model", path="model", sha256="0", bytes=10)
ANSWERS = Artifact(name="predictions.json", path="predictions.json", sha256="0", bytes=1)

GRID = st.sampled_from([20.0, 30.0, 40.0, 50.0])


@st.composite
def runs(draw: st.DrawFn) -> list[Run]:
    rows = draw(st.lists(st.tuples(st.sampled_from(RunState), GRID, GRID, st.booleans())))
    return [
        Run(
            number=number,
            parameters={},
            state=state,
            values={"exact": exact, "num_parameters": size},
            artifacts=(MODEL, ANSWERS) if has_model else (ANSWERS,),
        )
        for number, (state, exact, size, has_model) in enumerate(rows)
    ]


def is_beaten(run: Run, others: list[Run]) -> bool:
    """Whether a finished run is of no use, or another is nowhere worse and somewhere better."""
    mine = (run.values["exact"], -run.values["num_parameters"])
    theirs = [
        (other.values["exact"], -other.values["num_parameters"])
        for other in others
        if other.state is RunState.FINISHED and other.values["exact"] >= 30.0
    ]
    return (
        run.state is not RunState.FINISHED
        or mine[0] < 30.0
        or any(o[0] >= mine[0] and o[1] >= mine[1] and o != mine for o in theirs)
    )


@given(runs())
def test_all_but_the_frontier_and_the_baseline_lose_their_weights(study: list[Run]) -> None:
    dropped = retain(study, METRICS, "frontier")
    assert dropped == tuple(
        (run.number, MODEL)
        for run in study
        if run.number and run.state.ended and MODEL in run.artifacts and is_beaten(run, study)
    )


@given(runs())
def test_all_keeps_all_and_none_keeps_those_of_no_ended_run(study: list[Run]) -> None:
    assert retain(study, METRICS, "all") == ()
    ended = [run for run in study if run.state.ended and MODEL in run.artifacts]
    assert retain(study, METRICS, "none") == tuple((run.number, MODEL) for run in ended)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store("sqlite://") as opened:
        opened.create_study("tiny", budget=100, seed=0, config="")
        opened.create_study("other", budget=100, seed=0, config="")
        yield opened


def end(
    store: Store,
    home: Home,
    values: tuple[float, float] | None,
    *,
    config: StudyConfig,
    study: str = "tiny",
) -> None:
    """Add a run with its files; without values it goes on running."""
    run = store.add_run(study, {"num_layers": 3}, values={}, owner=ME)
    assert run is not None
    folder = home.run(study, run.number)
    write_files(folder)
    if values:
        exact, count = values
        outcome = outcome_of(folder, {"exact": exact, "num_parameters": count})
        store.end_run(study, run.number, with_artifacts(outcome, folder, config), owner=ME)


def with_model(home: Home, study: str = "tiny") -> list[int]:
    return sorted(int(path.parent.name) for path in home.run(study, 0).parent.glob("[0-9]*/model"))


def registered(store: Store, study: str = "tiny") -> list[int]:
    return [run.number for run in store.runs(study) if "model" in {a.name for a in run.artifacts}]


def test_a_run_loses_its_weights_when_another_beats_it(
    tmp_path: Path, store: Store, home: Home
) -> None:
    config = make_config(tmp_path)
    kept = []
    # Baseline, a smaller one, a better one that beats it, one too bad to be used, an equal one.
    for values in [(40.0, 100.0), (50.0, 80.0), (60.0, 70.0), (20.0, 10.0), (60.0, 70.0)]:
        end(store, home, values, config=config)
        drop_weights(store, config, store.runs("tiny"))
        assert with_model(home) == registered(store)
        kept.append(with_model(home))
    assert kept == [[0], [0, 1], [0, 2], [0, 2], [0, 2, 4]]
    left = {artifact.name for artifact in store.run("tiny", 1).artifacts}
    assert left == {"predictions.json", "config.json", "environment.json", "log.txt"}
    assert (home.run("tiny", 1) / "predictions.json").exists()


def test_other_studies_running_runs_and_confirmations_keep_theirs(
    tmp_path: Path, store: Store, home: Home
) -> None:
    config = make_config(tmp_path, artifacts={"keep_weights": "none"})
    for study in ("tiny", "other"):
        end(store, home, (40.0, 100.0), config=config, study=study)
    end(store, home, None, config=config)
    drop_weights(store, config, store.runs("tiny"))
    assert (with_model(home), with_model(home, "other")) == ([1], [0])

    confirming = make_config(
        tmp_path,
        name="other",
        data={"train": "train.json", "test": "test.json", "score_on": "test"},
        artifacts={"keep_weights": "none"},
    )
    assert drop_weights(store, confirming, store.runs("other")) == ()
    assert registered(store, "other") == [0]


def test_weights_on_another_machine_are_left_to_its_search(
    tmp_path: Path, store: Store, home: Home
) -> None:
    config = make_config(tmp_path, artifacts={"keep_weights": "none"})
    end(store, home, (40.0, 100.0), config=config)
    home.folder.rename(tmp_path / "not here")
    assert drop_weights(store, config, store.runs("tiny")) == ()
    assert registered(store) == [0]


def test_weights_that_cannot_be_removed_are_forgotten_with_a_warning(
    tmp_path: Path, store: Store
) -> None:
    """A search goes on; what stays is not the run's any more."""
    folder = tmp_path / "by hand"
    write_files(folder)
    outcome = outcome_of(folder, {"exact": 40.0, "num_parameters": 1.0})
    store.add_run("tiny", {}, values={}, owner=ME, outcome=outcome)
    config = make_config(tmp_path, artifacts={"keep_weights": "none"})
    with pytest.warns(LimbeckWarning, match=r"^weights of run 0 stay: only what lies at \.\.\./t"):
        drop_weights(store, config, store.runs("tiny"))
    assert (folder / "model" / "model.safetensors").exists()
    assert registered(store) == []


@pytest.mark.parametrize("url", [None, "away", "memory"])
def test_what_a_crash_leaves_is_found_and_removed(
    tmp_path: Path, store: Store, home: Home, url: str | None
) -> None:
    url = f"memory://{uuid4().hex}" if url == "memory" else url
    config = make_config(tmp_path, artifacts={"url": url} if url else {})
    for values in [(40.0, 100.0), (50.0, 80.0), (60.0, 70.0), None]:
        end(store, home, values, config=config)
    for number in range(4):
        (home.run("tiny", number) / "checkpoint.safetensors").write_bytes(bytes(20))
        (home.run("tiny", number) / ".model-4f").mkdir()
    write_files(home.run("other", 0))
    store.drop_artifact("tiny", 1, "model")  # The process died before the files were removed.

    found = leftovers(store.runs("tiny"), config, home)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert sum(leftover.bytes for leftover in found) == 3 * 20 + 102
    clean(found)
    gone = before - {path for path in tmp_path.rglob("*") if path.is_file()}
    there = {path.parent.name for path in gone if path.name == "checkpoint.safetensors"}
    assert there == {"0000", "0001", "0002"}, "a running run goes on from its own"
    assert all("0001" in path.parts or path.suffix == ".safetensors" for path in gone)
    assert leftovers(store.runs("tiny"), config, home) == ()
    assert with_model(home) == ([3] if url else [0, 2, 3])
    assert with_model(home, "other") == [0]


def test_a_moved_home_holds_no_leftovers(tmp_path: Path, store: Store, home: Home) -> None:
    config = make_config(tmp_path)
    end(store, home, (40.0, 100.0), config=config)
    home.folder.rename(tmp_path / "moved")
    moved = Home(tmp_path / "moved")
    assert leftovers(store.runs("tiny"), config, moved) == ()
    # A copy beside the registered one is another matter.
    shutil.copytree(moved.folder, home.folder)
    [leftover] = leftovers(store.runs("tiny"), config, moved)
    assert leftover.path == str(moved.run("tiny", 0) / "model")


def test_superfluous_is_what_will_be_dropped(tmp_path: Path, store: Store, home: Home) -> None:
    config = make_config(tmp_path)
    for values in [(40.0, 100.0), (35.0, 110.0)]:
        end(store, home, values, config=config)
    announced = superfluous(store.runs("tiny"), config)
    assert announced == drop_weights(store, config, store.runs("tiny"))
    assert [number for number, _ in announced] == [1]


def test_a_run_without_weights_says_why_and_how_to_get_them(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    facts: dict[str, Value] = {"num_layers": 3, "layers": "first", "alpha_ce": 0.5, "inert": True}
    run = Run(number=7, parameters=facts, state=RunState.FINISHED, artifacts=(ANSWERS,))
    assert dropped_weights(run, config) == (
        'the weights of run 7 were removed: artifacts.keep_weights = "frontier"; make them again: '
        "limbeck distill STUDY.toml --set num_layers=3 --set layers=first --set alpha_ce=0.5 "
        "--set inert=true"
    )
    for other in (
        Run(number=7, parameters=facts, state=RunState.FINISHED, artifacts=(MODEL, ANSWERS)),
        Run(number=7, parameters=facts, state=RunState.FINISHED),
        Run(number=7, parameters=facts, state=RunState.FAILED, artifacts=(ANSWERS,)),
    ):
        assert dropped_weights(other, config) is None
