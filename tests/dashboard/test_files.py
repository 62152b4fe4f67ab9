"""Parts of the files that runs leave."""

from pathlib import Path

import pytest

from limbeck.artifacts import register
from limbeck.dashboard.pages.run.files import LINES, find_file, last_lines, read_environment
from limbeck.errors import DataError
from limbeck.home import Home
from limbeck.runs import Artifact, Run, RunState


def write(folder: Path, content: bytes) -> Path:
    path = folder / "log.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", [""]),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\n\n", ["one", ""]),
        (b"no end", ["no end"]),
        (b"10 %\r50 %\r100 %\nwindows\r\n", ["100 %", "windows"]),
        (b"\xff\xfe\x00\n", ["��\0"]),
    ],
)
def test_lines_are_those_that_stand_there(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert last_lines(write(tmp_path, content)).split("\n") == lines


def test_only_the_last_lines_are_shown_each_cut(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    shown = last_lines(write(tmp_path, text.encode())).split("\n")
    assert shown == [f"line {number}" for number in range(1000 - LINES, 1000)]
    huge = last_lines(write(tmp_path, b"x" * 5_000_000 + b"\nend\n")).split("\n")
    assert huge == ["x" * 500 + "…", "end"]


def test_a_log_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("wb") as file:  # 100 GB, of which nothing is on the disk but the end.
        file.seek(100 * 2**30)
        file.write(b"\nthe end\n")
    assert path.stat().st_size > 100 * 2**30 > 1000 * path.stat().st_blocks * 512
    assert last_lines(path).split("\n")[-1] == "the end"


def test_the_file_that_a_run_writes_is_found_before_it_has_left_any(tmp_path: Path) -> None:
    home = Home(tmp_path)
    run = Run(number=4, parameters={}, state=RunState.RUNNING)
    assert find_file(run, "log.txt", home, "s") is None
    home.run("s", 4).mkdir(parents=True)
    own = write(home.run("s", 4), b"own")
    assert find_file(run, "log.txt", home, "s") == own
    left = write(tmp_path, b"left")
    ended = Run(
        number=4, parameters={}, state=RunState.FAILED, artifacts=(register("log.txt", left),)
    )
    assert find_file(ended, "log.txt", home, "s") == left


def test_a_large_file_elsewhere_is_not_fetched_to_show_its_end(tmp_path: Path) -> None:
    artifact = Artifact(name="log.txt", path="memory://log.txt", sha256="0", bytes=10**9)
    run = Run(number=4, parameters={}, state=RunState.FAILED, artifacts=(artifact,))
    with pytest.raises(DataError, match=r"lies at memory://log.txt and has 1,000,000,000 bytes"):
        find_file(run, "log.txt", Home(tmp_path), "s")


def test_an_environment_is_flat(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_text('{"host": "a", "packages": {"torch": "2", "ray": null}, "command": ["x", "y"]}')
    assert read_environment(path) == {
        "host": "a",
        "packages.torch": "2",
        "packages.ray": "-",
        "command": "x, y",
    }


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100_000, b"{"])
def test_an_environment_that_is_none_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "environment.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^environment\.json must be"):
        read_environment(path)


def test_huge_values_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_text('{"' + "k" * 9_000 + '": "' + "v" * 900_000 + '"}')
    ((name, value),) = read_environment(path).items()
    assert len(name) < 200
    assert len(value) < 700
