import hashlib
from pathlib import Path

import pytest

from limbeck.files import sha256, size, whole_file, whole_folder


class Failure(Exception):
    """Something went wrong in the middle."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folder_appears_whole_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder"
    with whole_folder(path) as unfinished:
        (unfinished / "one").write_text("1")
        assert not path.exists()
    assert names(path.parent) == ["folder"]
    assert (path / "one").read_text() == "1"


def test_folder_is_as_open_to_others_as_any(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with whole_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_failure_leaves_no_folder(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        with whole_folder(path) as unfinished:
            (unfinished / "one").write_text("1")
            raise Failure("half way")

    with pytest.raises(Failure, match="half way"):
        write(tmp_path / "folder")
    assert names(tmp_path) == []


def test_folder_of_a_faster_process_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with whole_folder(path) as unfinished:
        (unfinished / "slow").write_text("1")
        with whole_folder(path) as faster:
            (faster / "fast").write_text("2")
    assert names(tmp_path) == ["folder"]
    assert names(path) == ["fast"]


def test_file_in_the_folders_place_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(NotADirectoryError, match="folder"), whole_folder(tmp_path / "folder"):
        pass
    assert names(tmp_path) == ["folder"]
    assert (tmp_path / "folder").read_text() == "a file"


def test_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    for content in ("first", "second"):
        with whole_file(path) as unfinished:
            unfinished.write_text(content)
            assert content == "first" or path.read_text() == "first"
        assert path.read_text() == content
    assert names(path.parent) == ["file.json"]


def test_unfinished_file_has_the_ending_of_the_finished_one(tmp_path: Path) -> None:
    # Some writers go by it.
    with whole_file(tmp_path / "figure.png") as unfinished:
        assert unfinished.suffix == ".png"
        unfinished.write_bytes(b"")


def test_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        with whole_file(path) as unfinished:
            unfinished.write_text("sec")
            raise Failure("half way")

    path = tmp_path / "file.json"
    path.write_text("first")
    with pytest.raises(Failure, match="half way"):
        write(path)
    assert names(tmp_path) == ["file.json"]
    assert path.read_text() == "first"


def test_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="file-"), whole_file(tmp_path / "file.json"):
        pass
    assert names(tmp_path) == []


def test_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    # The digest of "abc" in FIPS 180-2, appendix B.1.
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "file") == expected


def test_digest_of_a_folder_is_that_of_what_sha256sum_prints(tmp_path: Path) -> None:
    # In that folder: find -type f | sort | xargs sha256sum | sed 's|[.]/||' | sha256sum
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    (folder / "a").write_bytes(b"abc")
    (folder / "b" / "c").write_bytes(b"")
    printed = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("a", b"abc"), ("b/c", b""))
    )
    assert sha256(folder) == hashlib.sha256(printed.encode()).hexdigest()


def test_digest_of_a_folder_follows_names_and_contents_only(tmp_path: Path) -> None:
    def digest(folder: str, files: dict[str, str]) -> str:
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return sha256(tmp_path / folder)

    first = digest("first", {"a": "1", "b/c": "2"})
    assert first == digest("same", {"b/c": "2", "a": "1"})
    assert first != digest("content", {"a": "1", "b/c": "3"})
    assert first != digest("swapped", {"a": "2", "b/c": "1"})
    assert first != digest("name", {"a": "1", "b/d": "2"})
    assert first != digest("place", {"a": "1", "c": "2"})
    assert first != digest("more", {"a": "1", "b/c": "2", "d": ""})


def test_size_is_that_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b" / "c").write_bytes(b"12345")
    assert size(tmp_path / "a") == 3
    assert size(tmp_path) == 8
