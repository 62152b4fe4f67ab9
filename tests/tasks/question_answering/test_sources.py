import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import datasets
import pytest
from huggingface_hub import constants
from typing_extensions import override

from limbeck.errors import DataError
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet
from limbeck.tasks.question_answering.sources import load_questions

CONTEXT = "Paris is the capital of France."
QUESTIONS = QuestionSet(
    (
        Question("a", "Paris", CONTEXT, "Which city?", (Answer("Paris", 0), Answer("is", 6))),
        Question("b", "Paris", CONTEXT, "Which river?", ()),
    )
)
ROWS: dict[str, list[Any]] = {
    "id": ["a", "b"],
    "title": ["Paris", "Paris"],
    "context": [CONTEXT, CONTEXT],
    "question": ["Which city?", "Which river?"],
    "answers": [
        {"text": ["Paris", "is"], "answer_start": [0, 6]},
        {"text": [], "answer_start": []},
    ],
}


class SquadV2(datasets.GeneratorBasedBuilder):  # type: ignore[misc]  # datasets has no types
    """Fills the local cache of `datasets` as loading from the hub does."""

    VERSION = datasets.Version("0.0.0")

    @override
    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=datasets.Dataset.from_dict(ROWS).features)

    @override
    def _split_generators(self, dl_manager: object) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator(name="validation")]

    @override
    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(datasets.Dataset.from_dict(ROWS))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of `datasets`, and a hub that refuses connections."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "datasets"


def test_a_file_is_found_from_the_base_folder(tmp_path: Path) -> None:
    qas = [{"id": "a", "question": "Which?", "answers": []}]
    content = {"data": [{"title": "Paris", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev.json").write_text(json.dumps(content))
    expected = QuestionSet((Question("a", "Paris", CONTEXT, "Which?"),))
    assert load_questions("data/dev.json", base=tmp_path) == expected
    assert load_questions(str(tmp_path / "data/dev.json"), base=Path("/")) == expected


def test_a_folder_of_one_data_set_loads(tmp_path: Path) -> None:
    datasets.Dataset.from_dict(ROWS).save_to_disk(tmp_path / "saved")
    assert load_questions("saved", base=tmp_path) == QUESTIONS
    assert load_questions("saved", base=tmp_path).fingerprint == QUESTIONS.fingerprint


def test_a_folder_of_splits_loads_the_named_one(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict(ROWS)
    both = datasets.DatasetDict({"train": rows.select([1]), "validation": rows})
    both.save_to_disk(tmp_path / "saved")
    assert load_questions("saved:validation", base=tmp_path) == QUESTIONS
    assert [q.id for q in load_questions("saved:train", base=tmp_path).questions] == ["b"]
    for source in ("saved", "saved:test"):
        with pytest.raises(DataError, match=r"one of the splits \['train', 'validation'\]"):
            load_questions(source, base=tmp_path)


def test_a_split_of_a_folder_without_splits_is_refused(tmp_path: Path) -> None:
    datasets.Dataset.from_dict(ROWS).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match="holds no splits, but got 'train'; name the folder alone"):
        load_questions("saved:train", base=tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a folder that save_to_disk of `datasets` wrote"):
        load_questions(".", base=tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": None}, r"\['answers'\] are missing from \['id', 'title',"),
        ({"answers": ["Paris", ""]}, r"row 0: 'answers' must be dict, but got str"),
        ({"answers": [{"text": ["is"]}] * 2}, r"row 0 must have 'answer_start'"),
        (
            {"answers": [{"text": ["is"], "answer_start": []}] * 2},
            r"row 0: answers must have as many texts as starts",
        ),
        ({"context": [CONTEXT, None]}, r"row 1: 'context' must be str, but got NoneType"),
        ({"context": ["Rome is old."] * 2}, r"question 'a': the answer 'Paris' must stand"),
        ({"id": ["a", "a"]}, r"ids must differ, but 'a'"),
    ],
)
def test_rows_that_are_no_questions_are_refused(
    tmp_path: Path, changes: dict[str, list[Any] | None], message: str
) -> None:
    rows = {name: column for name, column in (ROWS | changes).items() if column is not None}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=message):
        load_questions("saved", base=tmp_path)


def test_an_unreachable_hub_is_named_in_one_line_with_the_way_out(
    tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(
        DataError, match=r"squad_v2:validation: the hub cannot be reached \(.*use a local SQuAD"
    ) as caught:
        load_questions("rajpurkar/squad_v2:validation", base=tmp_path)
    assert "\n" not in str(caught.value)


class KnowsNothing(BaseHTTPRequestHandler):
    """Answers as the hub does where there is no such data set."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def test_a_data_set_that_the_hub_does_not_have_is_named(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HTTPServer(("127.0.0.1", 0), KnowsNothing) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{hub.server_port}")
        thread = Thread(target=hub.serve_forever)
        thread.start()
        try:
            with pytest.raises(DataError, match=r"nobody/squadd: no such data set on the hub, or"):
                load_questions("nobody/squadd:train", base=tmp_path)
        finally:
            hub.shutdown()
            thread.join()


@pytest.mark.parametrize("offline", [False, True])
def test_a_hub_data_set_in_the_local_cache_loads_without_the_hub(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    SquadV2(
        cache_dir=str(cache), repo_id="rajpurkar/squad_v2", dataset_name="squad_v2", hash="0"
    ).download_and_prepare()
    assert load_questions("rajpurkar/squad_v2:validation", base=tmp_path) == QUESTIONS
    first = load_questions("rajpurkar/squad_v2:validation[:1]", base=tmp_path)
    assert first.questions == QUESTIONS.questions[:1]
    with pytest.raises(DataError, match=r"squad_v2:test: the hub cannot be reached .*test"):
        load_questions("rajpurkar/squad_v2:test", base=tmp_path)


@pytest.mark.parametrize("source", ["rajpurkar/squad_v2", "data/dev.jsonl", "/no/such/folder:dev"])
def test_what_can_be_no_source_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError, match=rf"hub data set ID:SPLIT, but got '{source}', and "):
        load_questions(source, base=tmp_path)
