"""The commands for the chosen model, as a user types them."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Limbeck
from tests.export.conftest import Made, make_study

QUESTION = "who is the mayor of peru ?"
CONTEXT = "it rains and then it snows . the mayor of peru is eve . it rains ."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_study(tmp_path_factory.mktemp("exporting"))


def test_export_writes_a_checked_folder_and_says_what_it_found(
    limbeck: Limbeck, made: Made, tmp_path: Path
) -> None:
    ended = limbeck("export", 0, "--home", made.home, "-o", tmp_path / "hf")
    assert ended.code == 0
    assert ended.err == "writing hf\nchecking the answers to 12 questions\n"
    first, second = ended.out.splitlines()
    assert first.startswith(f"{tmp_path / 'hf'}: hf, ")
    assert second.startswith("Check: All 12 scored questions that were asked got the student's")
    again = limbeck("export", 0, "--home", made.home, "-o", tmp_path / "hf")
    assert (again.code, again.out) == (2, "")
    assert "needs a folder that is new or empty" in again.err


def test_export_is_named_after_study_run_and_format(
    limbeck: Limbeck, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = limbeck("export", 1, "--to", "hf-stock", "--home", made.home, "--json", "--check", 0)
    facts = json.loads(ended.out)
    assert (facts["kind"], facts["folder"]) == ("hf-stock", "tiny-1-hf-stock")
    assert (facts["class_name"], facts["comparison"]) == ("BertForQuestionAnswering", None)
    assert (tmp_path / "tiny-1-hf-stock" / "model.safetensors").is_file()


def test_a_run_is_asked_through_its_export_which_is_made_once(
    limbeck: Limbeck, made: Made, tmp_path: Path
) -> None:
    page = tmp_path / "page.txt"
    page.write_text(CONTEXT)
    first = limbeck("ask", 0, "-q", QUESTION, "--context", CONTEXT, "--home", made.home)
    assert first.code == 0
    assert first.out.splitlines()[0] == "eve"
    assert first.err.startswith("exporting run 0 to ONNX, once\n1 windows, ")
    again = limbeck("ask", 0, "-q", QUESTION, "--context-file", page, "--home", made.home, "--json")
    assert again.err == ""
    answer = json.loads(again.out)
    assert (answer["text"], answer["candidates"][0]["text"]) == ("eve", "eve")
    nothing = limbeck(
        "ask", 0, "-q", QUESTION, "--context", CONTEXT, "--home", made.home, "--threshold", -99
    )
    assert nothing.out.splitlines()[0] == "(no answer)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the text must be given once: --context TEXT or --context-file FILE"),
        (("--context", "a", "--context-file", "b"), "the text must be given once"),
        (("--context-file", "none.txt"), "--context-file must be a text in UTF-8, but"),
        (("--context", " "), "question and context must not be empty"),
    ],
)
def test_ask_needs_one_text(
    arguments: tuple[str, ...], message: str, limbeck: Limbeck, made: Made
) -> None:
    ended = limbeck("ask", 0, "-q", QUESTION, "--home", made.home, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_a_dry_push_lists_what_would_be_uploaded(limbeck: Limbeck, made: Made) -> None:
    ended = limbeck("push", 0, "me/small", "--dry-run", "--check", 2, "--home", made.home)
    assert ended.code == 0
    *files, total = ended.out.splitlines()
    names = [line.split()[-1] for line in files]
    assert {"README.md", "config.json", "model.safetensors", "modeling_slim_bert.py"} < set(names)
    sizes = [int(line.split()[0].replace(",", "")) for line in files]
    assert total.split() == [
        f"{sum(sizes):,}",
        *f"bytes in {len(sizes)} files for me/small would be uploaded; nothing was".split(),
    ]


def test_bench_has_a_row_for_each_model_format_and_size(
    limbeck: Limbeck, made: Made, tmp_path: Path
) -> None:
    arguments = ("--batch", 1, "--length", 8, "--length", 16, "--repeats", 1, "--json")
    picture = tmp_path / "speed.png"
    ended = limbeck("bench", 1, "--home", made.home, *arguments, "-o", picture)
    assert ended.code == 0
    rows = json.loads(ended.out)
    models = ("run 1", "run 0 (baseline)", "teacher")
    assert [(row["model"], row["format"], row["length"]) for row in rows] == [
        (model, kind, length)
        for length in (8, 16)
        for model in models
        for kind in ("PyTorch", "ONNX", "ONNX int8")
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bench_refuses_windows_longer_than_a_model_reads(limbeck: Limbeck, made: Made) -> None:
    ended = limbeck("bench", 1, "--home", made.home, "--length", 16, "--length", 100_000)
    assert ended.code == 2
    assert ended.err.strip() == (
        "Error: --length must not exceed the 32 positions of run 1, but got 100000; lower it"
    )
