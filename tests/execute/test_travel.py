"""Checkpoints that go from machine to machine."""

import os
from pathlib import Path

from limbeck.execute.travel import Traveller, exists, put_mark, remove

RUN = Path("study") / "runs" / "0003"


def make(folder: Path, content: bytes) -> Path:
    """Write a checkpoint as training does: another file takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / "unfinished"
    unfinished.write_bytes(content)
    unfinished.replace(folder / "checkpoint.safetensors")
    return folder / "checkpoint.safetensors"


def wait_until_copied(url: str, content: bytes) -> None:
    path = Path(url.removeprefix("file://")) / RUN / "checkpoint.safetensors"
    while not (path.exists() and path.read_bytes() == content):
        os.sched_yield()


def test_a_checkpoint_goes_where_the_run_goes_on(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'shared'}"
    first, second = tmp_path / "first" / RUN, tmp_path / "second" / RUN
    with Traveller(first, url, goes=True):
        make(first, b"step 10")
        wait_until_copied(url, b"step 10")
        make(first, b"step 20")
        wait_until_copied(url, b"step 20")
    make(second, b"step 5, of an earlier attempt here")
    with Traveller(second, url, goes=True):
        assert (second / "checkpoint.safetensors").read_bytes() == b"step 20"
    assert {path.name for path in first.iterdir()} == {"checkpoint.safetensors"}


def test_where_the_home_is_shared_its_own_checkpoint_counts(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'shared'}"
    elsewhere, here = tmp_path / "elsewhere" / RUN, tmp_path / "here" / RUN
    with Traveller(elsewhere, url, goes=True):
        make(elsewhere, b"step 10")
        wait_until_copied(url, b"step 10")
    make(here, b"step 30")
    with Traveller(here, url, goes=False):
        assert (here / "checkpoint.safetensors").read_bytes() == b"step 30"
    (here / "checkpoint.safetensors").unlink()
    with Traveller(here, url, goes=False):
        assert (here / "checkpoint.safetensors").read_bytes() == b"step 10"


def test_a_mark_is_there_until_it_is_removed(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/new/.mark"
    assert not exists(url)
    put_mark(url)
    assert exists(url)
    remove(url)
    remove(url)
    assert not exists(url)
