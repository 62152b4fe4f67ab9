"""From a run in a store to a checked folder."""

import dataclasses
import json
import re
import resource
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from limbeck.answer import Answerer
from limbeck.config import parse_config
from limbeck.errors import ConfigError, DataError, LimbeckWarning, ModelError, NotFoundError
from limbeck.export.card import Licenses, public_name, study_toml
from limbeck.export.check import Comparison
from limbeck.export.exporting import KINDS, Kind, _judge, export_run
from limbeck.export.source import find_source
from limbeck.store import Store
from limbeck.study import stored_config
from tests.export.conftest import Made, make_study
from tests.tiny import tiny_study

FILES = {
    "hf": {"config.json", "model.safetensors", "modeling_slim_bert.py", "tokenizer.json"},
    "hf-stock": {"config.json", "model.safetensors", "tokenizer.json"},
    "onnx": {"model.onnx", "tokenizer.json", "answering.json", "answer.py", "requirements.txt"},
    "onnx-int8": {"model.onnx", "tokenizer.json", "answering.json", "answer.py"},
}


@pytest.mark.filterwarnings("ignore:int8 costs:limbeck.errors.LimbeckWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_answers_as_the_odd_student(kind: Kind, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    exported = export_run(store, "tiny", 0, folder, to=kind)
    names = {path.name for path in folder.iterdir()}
    assert names >= FILES[kind] | {"README.md", "frontier.png", "study.toml"}
    assert exported.comparison is not None
    assert exported.comparison.questions == 12
    if kind != "onnx-int8":
        assert exported.comparison.different == ()
        assert exported.comparison.drop == 0
    assert exported.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert list(tmp_path.iterdir()) == [folder]


def test_a_whole_student_needs_no_code_of_its_own(store: Store, tmp_path: Path) -> None:
    exported = export_run(store, "tiny", 1, tmp_path / "hf", to="hf", check=3)
    assert exported.class_name == "BertForQuestionAnswering"
    assert exported.comparison is not None
    assert exported.comparison.questions == 3


def test_the_answering_settings_are_the_studys(store: Store, tmp_path: Path) -> None:
    export_run(store, "tiny", 0, tmp_path / "onnx", to="onnx", check=0)
    assert json.loads((tmp_path / "onnx" / "answering.json").read_text()) == {
        "max_length": 32,
        "doc_stride": 16,
        "max_query_length": 8,
        "max_answer_length": 4,
        "null_threshold": 0.0,
        "pad_token_id": 0,
    }
    assert Answerer(tmp_path / "onnx")("who is the king ?", "the king is ada .").text == "ada"


def test_the_card_says_where_the_student_comes_from(store: Store, tmp_path: Path) -> None:
    licenses = Licenses(data="cc-by-sa-4.0")
    export_run(store, "tiny", 0, tmp_path / "hf", to="hf", licenses=licenses)
    card = (tmp_path / "hf" / "README.md").read_text()
    for line in (
        "license: unknown",
        "| teacher | teacher |",
        "| licence of the teacher | not known |",
        "| licence of the data | cc-by-sa-4.0 |",
        "| learned from | train.json |",
        "| scored on | dev.json |",
        "| heads of each layer | 1, 0, 3 |",
        "| feed-forward neurons of each layer | 24, 24, 24 |",
        "| exact | 75.00 ± 13.06 % |",
        "On 12 questions. ± is one standard error.",
        "1.2 ms (median), 2.5 ms (90th percentile) for 1 window of 32 tokens",
        "All 12 scored questions that were asked got the student's answer",
        "(frontier.png)",
        "trust_remote_code=True",
        "$ limbeck distill study.toml --set num_layers=3 --set learning_rate=0.01",
    ):
        assert line in card
    assert str(tmp_path) not in card


def test_without_a_check_the_card_says_so(store: Store, tmp_path: Path) -> None:
    exported = export_run(store, "tiny", 0, tmp_path / "hf", to="hf", check=0)
    assert exported.comparison is None
    assert "nobody knows that it answers alike" in (tmp_path / "hf" / "README.md").read_text()


def test_the_study_file_of_the_card_is_the_study(store: Store, made: Made) -> None:
    config = stored_config(store, "tiny")
    table = tomllib.loads(study_toml(config))
    assert parse_config(table, folder=made.folder, name="tiny").file == config.file


def test_a_study_file_with_all_kinds_of_keys_survives() -> None:
    table = tiny_study()
    table["space"] = {
        "num_layers": {"type": "integer", "low": 1, "high": 3},
        "alpha_ce": {"type": "float", "low": 0.0, "high": 1.0, "when": {"num_layers": [2, 3]}},
        "importance": {"type": "choice", "choices": ["magnitude", "random"]},
    }
    table["student"] = {"num_heads": [4, 2], "num_layers": 2}
    table["constraints"] = ["num_layers < 3 or alpha_ce < 0.5"]
    config = parse_config(table, folder=Path(), name="tiny")
    again = parse_config(tomllib.loads(study_toml(config)), folder=Path(), name="tiny")
    assert again.file == config.file


def test_paths_are_not_told() -> None:
    assert public_name("deepset/bert-base-uncased-squad2") == "deepset/bert-base-uncased-squad2"
    assert public_name("rajpurkar/squad_v2:train") == "rajpurkar/squad_v2:train"
    assert public_name("/home/me/dev.json.gz") == "dev.json.gz"
    assert public_name("../../shared/train.json") == "train.json"
    for gone in ("../teachers/bert", "/gone/bert", "models/teachers/bert"):
        assert public_name(gone) == "bert"


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (2, ConfigError, "only a finished run has a student, but run 2 .* is failed"),
        (3, ConfigError, "run 3 .* was made elsewhere and has no weights here"),
        (9, NotFoundError, "no run 9"),
    ],
)
def test_a_run_without_a_student_is_refused(
    number: int, error: type[Exception], message: str, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        export_run(store, "tiny", number, tmp_path / "hf", to="hf")
    assert list(tmp_path.iterdir()) == []


def test_dropped_weights_are_refused_with_the_way_back(tmp_path: Path) -> None:
    made = make_study(tmp_path)
    with Store(made.url) as store:
        store.drop_artifact("tiny", 0, "model")
        with pytest.raises(ConfigError, match=r"were removed: .*limbeck distill STUDY\.toml --set"):
            find_source(store, "tiny", 0)


def test_what_is_in_the_way_is_left_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="needs a folder that is new or empty"):
        export_run(store, "tiny", 0, tmp_path, to="hf")
    with pytest.raises(ConfigError, match="needs a folder that is new or empty"):
        export_run(store, "tiny", 0, tmp_path / "file", to="hf")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_filled(store: Store, tmp_path: Path) -> None:
    export_run(store, "tiny", 0, tmp_path, to="hf", check=0)
    assert (tmp_path / "README.md").is_file()


def test_questions_that_are_gone_stop_a_checked_export_only(tmp_path: Path) -> None:
    made = make_study(tmp_path / "study")
    (made.folder / "dev.json").unlink()
    folder = tmp_path / "out" / "hf"
    with Store(made.url) as store:
        with pytest.raises(DataError, match=r"no such file; put them back, or .* --check 0"):
            export_run(store, "tiny", 0, folder, to="hf")
        assert not folder.parent.exists()
        export_run(store, "tiny", 0, folder, to="hf", check=0)


def test_a_student_that_was_changed_is_refused(tmp_path: Path) -> None:
    made = make_study(tmp_path / "study")
    weights = made.home / "studies" / "tiny" / "runs" / "0000" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with Store(made.url) as store, pytest.raises(DataError, match="must be as the run left it"):
        export_run(store, "tiny", 0, tmp_path / "hf", to="hf")
    shutil.rmtree(made.home)


EQUAL = Comparison(
    questions=100,
    different=(),
    ties=0,
    largest_difference=1e-5,
    student_exact=60.0,
    exact=60.0,
    error=0.0,
)


def test_an_export_that_answers_otherwise_is_refused() -> None:
    other = dataclasses.replace(EQUAL, different=("q1",), largest_difference=0.5)
    _judge(EQUAL, "onnx")
    _judge(other, "onnx-int8")
    with pytest.raises(ModelError, match="of 100 questions 1 get another answer"):
        _judge(other, "onnx")


def test_int8_beyond_the_margin_is_warned_of() -> None:
    _judge(dataclasses.replace(EQUAL, exact=59.0), "onnx-int8")
    with pytest.warns(LimbeckWarning, match=r"int8 costs 1\.50 points of exact match on 100"):
        _judge(dataclasses.replace(EQUAL, exact=58.5), "onnx-int8")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"to": "ONNX"}, "must be to hf, hf-stock, onnx, onnx-int8, but got 'ONNX'"),
        ({"check": -1}, "check must be a number of questions, but got -1"),
    ],
)
def test_what_the_types_do_not_say_is_checked(
    wanted: dict[str, Any], message: str, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_run(store, "tiny", 0, tmp_path / "hf", **wanted)
    assert list(tmp_path.iterdir()) == []


def test_the_working_directory_is_not_replaced(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path(), Path("away", "..")):
        with pytest.raises(ConfigError, match="cannot be the working directory"):
            export_run(store, "tiny", 0, folder, check=0)
    exported = export_run(store, "tiny", 0, check=0)
    assert exported.folder == tmp_path / "tiny-0-hf"


@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_stays_and_its_target_is_filled(
    is_there: bool, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    if is_there:
        (tmp_path / "target").mkdir()
    export_run(store, "tiny", 0, tmp_path / "link", check=0)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target" / "README.md").is_file()


def test_what_comes_into_the_folder_meanwhile_stays(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "hf"

    def disturb(_: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "mine").touch()

    with pytest.raises(ConfigError, match="meanwhile something came into"):
        export_run(store, "tiny", 0, folder, check=0, progress=disturb)
    assert [path.name for path in tmp_path.rglob("*")] == ["hf", "mine"]


@pytest.mark.parametrize("to", ["hf", "onnx"])
def test_a_file_that_cannot_be_written_is_one_line(to: Kind, store: Store, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    try:
        with pytest.raises(ConfigError, match=r"must be written to .*: .*File too large"):
            export_run(store, "tiny", 0, tmp_path / "out", to=to, check=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    example = next(
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "limbeck" in block
    )
    made = make_study(tmp_path)
    (tmp_path / ".limbeck").symlink_to(made.home)
    monkeypatch.chdir(tmp_path)
    exec(example.replace('"squad2", 7', '"tiny", 1'))
    assert capsys.readouterr().out == "12 0\n"
    assert Answerer(tmp_path / "answers")("who is the king ?", "the king is ada .").text == "ada"
