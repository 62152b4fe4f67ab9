"""Artifacts on this disk and in fsspec's in-memory store, which behaves as an object store does."""

import shutil
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from limbeck.artifacts import (
    artifacts_url,
    check_artifacts_url,
    fetch,
    models_at,
    register,
    register_from_the_start,
    remove,
    with_artifacts,
)
from limbeck.config import StudyConfig
from limbeck.errors import ConfigError, DataError, LimbeckWarning
from limbeck.files import sha256, size
from limbeck.home import Home
from limbeck.runs import Artifact, Outcome, RunState
from tests.artifact_runs import make_config, outcome_of, write_files

NAMES = ["model", "predictions.json", "config.json", "environment.json", "log.txt"]


@pytest.fixture(params=["memory", "file", "folder"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> StudyConfig:
    urls = {
        "memory": f"memory://bucket-{uuid4().hex}/prefix/",
        "file": f"file://{tmp_path}/away",
        "folder": "a folder",
    }
    return make_config(tmp_path, artifacts={"url": urls[request.param]})


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = Home(tmp_path / "home").run("tiny", 7)
    write_files(folder)
    return folder


def by_name(outcome: Outcome) -> dict[str, Artifact]:
    return {artifact.name: artifact for artifact in outcome.artifacts}


def test_without_a_url_all_stays_and_is_registered_as_it_is(
    tmp_path: Path, run_folder: Path
) -> None:
    outcome = with_artifacts(outcome_of(run_folder, {}), run_folder, make_config(tmp_path))
    assert [artifact.name for artifact in outcome.artifacts] == NAMES
    for name, artifact in by_name(outcome).items():
        path = run_folder / name
        assert (artifact.path, artifact.sha256) == (str(path), sha256(path))
        assert artifact.bytes == size(path)
    assert by_name(outcome)["model"].bytes == 102


def test_a_run_that_broke_off_has_what_it_has_written_so_far(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("killed")
    (tmp_path / "predictions.json").write_text("of an earlier attempt")
    assert register_from_the_start(tmp_path) == (register("log.txt", tmp_path / "log.txt"),)
    assert register_from_the_start(tmp_path / "never made") == ()


def test_artifacts_move_to_the_url_and_come_back_equal(
    config: StudyConfig, tmp_path: Path, run_folder: Path
) -> None:
    check_artifacts_url(config)
    before = with_artifacts(outcome_of(run_folder, {}), run_folder, make_config(tmp_path)).artifacts
    contents = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    moved = with_artifacts(outcome_of(run_folder, {}), run_folder, config)
    for old, new in zip(before, moved.artifacts, strict=True):
        assert new == replace(old, path=f"{artifacts_url(config)}/tiny/runs/0007/{old.name}")
    assert [path.name for path in run_folder.iterdir()] == ["log.txt"], "a worker writes it still"

    for path, content in contents.items():
        name, *inside = path.relative_to(run_folder).parts
        copy = fetch(by_name(moved)[name], tmp_path / "copies")
        assert copy.joinpath(*inside).read_bytes() == content


def test_what_an_earlier_attempt_left_at_the_url_is_replaced(
    config: StudyConfig, tmp_path: Path, run_folder: Path
) -> None:
    (run_folder / "model" / "old").write_text("of the first attempt")
    with_artifacts(outcome_of(run_folder, {}), run_folder, config)
    shutil.rmtree(run_folder)
    write_files(run_folder, model=50)
    digest = sha256(run_folder / "model")
    model = by_name(with_artifacts(outcome_of(run_folder, {}), run_folder, config))["model"]
    assert model.sha256 == digest == sha256(fetch(model, tmp_path / "copies"))


def test_what_cannot_be_moved_stays_with_a_warning(tmp_path: Path, run_folder: Path) -> None:
    (tmp_path / "file").write_text("no folder can be here")
    config = make_config(tmp_path, artifacts={"url": "file"})
    outcome = outcome_of(run_folder, {"exact": 70.0})
    with pytest.warns(LimbeckWarning, match=r"^model, .*, log.txt stay in .*: .* must be"):
        kept = with_artifacts(outcome, run_folder, config)
    assert (kept.state, kept.values) == (RunState.FINISHED, {"exact": 70.0})
    assert kept == with_artifacts(outcome, run_folder, make_config(tmp_path))


def test_a_url_that_cannot_be_written_is_met_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be here")
    with pytest.raises(DataError, match=r"^artifacts.url = 'file://.*/file' must be writable, bu"):
        check_artifacts_url(make_config(tmp_path, artifacts={"url": "file"}))


def test_checking_leaves_nothing_behind(config: StudyConfig) -> None:
    check_artifacts_url(config)
    files, root = fsspec.core.url_to_fs(artifacts_url(config))
    assert files.find(root) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oci://bucket/prefix", r"'oci://bucket/prefix' needs a package .* Install ocifs"),
        ("s5://bucket", r"must be a folder or a URL that fsspec reads, but got 's5://bucket': "),
    ],
)
def test_a_url_without_its_package_is_refused(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_artifacts_url(make_config(tmp_path, artifacts={"url": url}))


def test_what_is_here_is_not_copied(tmp_path: Path, run_folder: Path) -> None:
    model = register("model", run_folder / "model")
    assert fetch(model, tmp_path / "copies") == run_folder / "model"
    assert not (tmp_path / "copies").exists()


def test_a_copy_is_made_once_and_again_if_it_is_damaged(tmp_path: Path, run_folder: Path) -> None:
    config = make_config(tmp_path, artifacts={"url": f"memory://{uuid4().hex}"})
    moved = by_name(with_artifacts(outcome_of(run_folder, {}), run_folder, config))
    copy = fetch(moved["model"], tmp_path / "copies")
    made = (copy / "model.safetensors").stat().st_ino
    assert (fetch(moved["model"], tmp_path / "copies") / "model.safetensors").stat().st_ino == made
    (copy / "model.safetensors").write_bytes(b"damaged")
    assert sha256(fetch(moved["model"], tmp_path / "copies")) == moved["model"].sha256


def test_what_is_gone_is_named_in_one_line(config: StudyConfig, run_folder: Path) -> None:
    moved = by_name(with_artifacts(outcome_of(run_folder, {}), run_folder, config))
    for name in ("model", "predictions.json"):
        remove(moved[name], study="tiny", number=7)
        with pytest.raises(DataError, match=rf"^{name} must be at .*/tiny/runs/0007/{name}, but"):
            fetch(moved[name], run_folder / "copies")
        assert not (run_folder / "copies" / name).exists()
    remove(moved["model"], study="tiny", number=7)
    assert fetch(moved["config.json"], run_folder / "copies").exists(), "the others stay"


def test_what_was_changed_is_refused(config: StudyConfig, run_folder: Path) -> None:
    model = by_name(with_artifacts(outcome_of(run_folder, {}), run_folder, config))["model"]
    files, root = fsspec.core.url_to_fs(model.path)
    files.pipe_file(f"{root}/model.safetensors", b"other weights")
    with pytest.raises(DataError, match=r"^model must be as the run left it, sha256 [0-9a-f]{12},"):
        fetch(model, run_folder / "copies")
    assert not (run_folder / "copies" / "model").exists()


@pytest.mark.parametrize(
    "path", ["", "{folder}/0007", "{folder}/0007/model/..", "{folder}/0008/model", "{home}"]
)
def test_nothing_is_removed_that_lies_elsewhere(
    tmp_path: Path, run_folder: Path, path: str
) -> None:
    """A store may have been written by hand, or be from elsewhere."""
    write_files(run_folder.parent / "0008")
    there = path.format(folder=run_folder.parent, home=tmp_path / "home")
    before = sorted(tmp_path.rglob("*"))
    foreign = replace(register("model", run_folder / "model"), path=there)
    with pytest.raises(DataError, match=r"only what lies at ...\/tiny/runs/0007/model is removed"):
        remove(foreign, study="tiny", number=7)
    assert sorted(tmp_path.rglob("*")) == before


def test_models_at_a_url_are_found_with_their_sizes(config: StudyConfig, run_folder: Path) -> None:
    other = run_folder.parent.parent.parent / "other" / "runs" / "0001"
    write_files(other)
    for folder in (run_folder, other):
        with_artifacts(outcome_of(folder, {}), folder, config)
    url = artifacts_url(config)
    assert url is not None
    [(number, (path, count))] = models_at(url, "tiny").items()
    assert (number, count) == (7, 102)
    assert path.endswith("/tiny/runs/0007/model")
    assert models_at(url, "none") == {}
