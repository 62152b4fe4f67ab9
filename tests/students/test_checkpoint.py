"""Models of a hub: a server on this machine that speaks as much of its language as we need."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import huggingface_hub.constants
import pytest
from transformers import BertConfig, BertForQuestionAnswering
from typing_extensions import override

from limbeck.errors import ModelError
from limbeck.students.checkpoint import find_folder, is_fine_tuned, read_shape

REVISION = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """Serves one repository, ``someone/bert``, from a folder, and notes what was fetched."""

    def __init__(self, *arguments: Any, folder: Path, fetched: list[str]) -> None:
        self.folder = folder
        self.fetched = fetched
        super().__init__(*arguments)

    @override
    def log_message(self, *_: object) -> None:
        """Keep silent."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        names = sorted(path.name for path in self.folder.iterdir())
        path = self.path.split("?")[0]
        if path.startswith(f"/api/models/someone/bert/tree/{REVISION}"):
            self.send_json(
                [{"type": "file", "path": name, "size": 1, "oid": name} for name in names]
            )
        elif path in ("/api/models/someone/bert", "/api/models/someone/bert/revision/main"):
            siblings = [{"rfilename": name} for name in names]
            self.send_json({"id": "someone/bert", "sha": REVISION, "siblings": siblings})
        elif path.startswith(f"/someone/bert/resolve/{REVISION}/"):
            self.send_file(self.folder / path.rsplit("/", 1)[1])
        else:
            self.send_error(404)

    def send_json(self, content: object) -> None:
        self.send(json.dumps(content).encode(), {"Content-Type": "application/json"})

    def send_file(self, path: Path) -> None:
        if self.command == "GET":
            self.fetched.append(path.name)
        self.send(path.read_bytes(), {"ETag": f'"{path.name}"', "X-Repo-Commit": REVISION})

    def send(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextmanager
def serving(folder: Path, fetched: list[str]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder=folder, fetched=fetched))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What lies in ``someone/bert``."""
    config = BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=20,
    )
    folder = tmp_path / "repository"
    BertForQuestionAnswering(config).save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"not to be fetched")
    (folder / "modeling_bert.py").write_text("raise SystemExit('not to be fetched')")
    return folder


@pytest.fixture
def fetched(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """The names of the files that were fetched from the hub."""
    names: list[str] = []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serving(repository, names) as address:
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield names


def test_hub_model_is_fetched_once_without_pickle_and_code(
    repository: Path, fetched: list[str]
) -> None:
    folder = find_folder("someone/bert")
    assert sorted(fetched) == ["config.json", "model.safetensors"]
    for name in fetched:
        assert (folder / name).read_bytes() == (repository / name).read_bytes()
    assert find_folder("someone/bert") == folder
    assert len(fetched) == 2


def test_shape_of_a_hub_model_needs_the_configuration_only(fetched: list[str]) -> None:
    assert read_shape("someone/bert").heads_per_layer == (4, 4)
    assert is_fine_tuned("someone/bert")
    assert fetched == ["config.json"]
    find_folder("someone/bert")
    assert sorted(fetched) == ["config.json", "model.safetensors"]


def test_hub_model_of_pickles_is_refused_before_it_is_fetched(
    repository: Path, fetched: list[str]
) -> None:
    (repository / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has only pytorch_model.bin; .* convert it once"):
        find_folder("someone/bert")
    assert fetched == []


def test_hub_model_that_is_not_there_is_refused_in_one_line(fetched: list[str]) -> None:
    with pytest.raises(ModelError, match="'someone/else' is no folder and the hub") as caught:
        find_folder("someone/else")
    assert "\n" not in str(caught.value)
    assert fetched == []
