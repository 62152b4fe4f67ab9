"""What would go to the hub; the hub itself is never asked."""

from pathlib import Path

import pytest

from limbeck.errors import ConfigError
from limbeck.export.hub import Upload, check_repository, uploads


def test_all_files_are_listed_with_their_size(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(bytes(7))
    (tmp_path / "README.md").write_text("card")
    assert uploads(tmp_path) == (
        Upload(path="README.md", bytes=4),
        Upload(path="onnx/model.onnx", bytes=7),
    )


def test_a_name_that_cannot_be_a_repository_is_refused() -> None:
    check_repository("me/small-reader")
    with pytest.raises(ConfigError, match="REPO must be USER/NAME on the hub, but got 'a/b/c'"):
        check_repository("a/b/c")
