"""The commands as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.main import get_command

from limbeck.cli.app import app
from limbeck.config import MEASURED, PRESETS, preset_text
from limbeck.home import Home
from limbeck.runs import Outcome, RunState
from limbeck.space import Parameters
from limbeck.store import Store
from tests.cli.conftest import Limbeck, run_in
from tests.tiny import write_tiny_study

COMMANDS = list(get_command(app).commands)  # type: ignore[attr-defined]  # a group has them


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `limbeck search` has been run, with study.toml, home and picture."""
    folder = tmp_path_factory.mktemp("searched")
    write_tiny_study(folder)
    assert run_in(folder, "search", "study.toml", "--home", "home").code == 0
    return folder


def test_search_ends_with_a_picture_of_the_frontier(searched: Path) -> None:
    assert (searched / "tiny-frontier.png").read_bytes().startswith(b"\x89PNG")


def test_frontier_prints_differences_from_the_baseline_and_the_summary(
    limbeck: Limbeck, searched: Path, tmp_path: Path
) -> None:
    arguments = ("--home", searched / "home", "-o", tmp_path / "front.svg")
    facts = json.loads(limbeck("frontier", "--json", *arguments).out)
    ended = limbeck("frontier", *arguments)
    assert ended.code == 0
    for run in facts["frontier"]:
        size = run["vs_baseline"]["num_parameters"]
        assert f"{size['relative_percent']:+.2f} %" in ended.out
        assert f"{run['vs_baseline']['exact']['absolute']:+.2f}" in ended.out
    assert f"Frontier: {facts['summary']['frontier']} of 4 finished runs" in ended.out
    share = facts["summary"]["frontier_better"]["num_parameters"]
    assert f"baseline: {share['count']} of {share['n']}" in ended.out
    assert (tmp_path / "front.svg").read_text().startswith("<?xml")


def test_frontier_says_which_runs_to_choose(limbeck: Limbeck, searched: Path) -> None:
    arguments = ("--home", searched / "home", "--under", "num_parameters=100M")
    picks = json.loads(limbeck("frontier", "--json", *arguments).out)["picks"]
    names = [
        "keep size, best exact",
        "smaller and better",
        "smallest that keeps exact",
        "knee",
        "best under the limit",
    ]
    assert [pick["pick"] for pick in picks] == names
    out = limbeck("frontier", *arguments).out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    for pick in picks:
        chosen = "none" if pick["run"] is None else str(pick["run"])
        assert any(row.startswith(f"{pick['pick']} {chosen}") for row in rows)
        said = pick["missing"] or pick["rule"]
        assert any(said[1:40] in row for row in rows)
    under = picks[-1]["vs_baseline"]
    assert f"{under['exact']['absolute']:+.2f}" in out


def test_a_limit_may_be_on_what_is_only_recorded(limbeck: Limbeck, searched: Path) -> None:
    home = ("--home", searched / "home", "--json")
    *_, pick = json.loads(limbeck("frontier", *home, "--under", "bytes<=1G").out)["picks"]
    assert pick["run"] is not None
    assert "bytes" in pick["vs_baseline"]
    *_, pick = json.loads(limbeck("frontier", *home, "--under", "bytes<=1").out)["picks"]
    assert pick["run"] is None
    assert pick["missing"].startswith("no usable run has bytes at most 1.00 B; the smallest is")


def test_frontier_writes_a_page_that_needs_no_network(
    limbeck: Limbeck, searched: Path, tmp_path: Path
) -> None:
    page = tmp_path / "figures" / "frontier.html"
    ended = limbeck("frontier", "--home", searched / "home", "-o", page)
    assert ended.code == 0
    text = page.read_text()
    assert "frontier (n = " in text
    assert 'src="http' not in text


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_data_writes_all_runs(
    limbeck: Limbeck, searched: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"runs.{suffix}"
    ended = limbeck("data", "tiny", "-o", path, "--home", searched / "home")
    assert (ended.code, ended.out, ended.err) == (0, "", f"Data: {path} (4 runs)\n")
    frame = getattr(pd, f"read_{suffix}")(path)
    facts = json.loads(limbeck("status", "tiny", "--json", "--home", searched / "home").out)
    assert frame["run"].tolist() == [run["number"] for run in facts]
    assert frame["exact"].tolist() == [run["values"]["exact"] for run in facts]


def test_frontier_draws_no_picture_unasked(
    limbeck: Limbeck, searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = limbeck("frontier", "--home", searched / "home")
    assert (ended.code, ended.err) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_status_counts_the_runs_of_every_study(limbeck: Limbeck, searched: Path) -> None:
    home = ("--home", searched / "home")
    assert "4 finished" in limbeck("status", *home).out
    (study,) = json.loads(limbeck("status", "--json", *home).out)
    assert (study["study"], study["budget"]) == ("tiny", 4)
    runs = json.loads(limbeck("status", "tiny", "--json", *home).out)
    assert [run["number"] for run in runs] == [0, 1, 2, 3]
    assert limbeck("status", "tiny", *home).out.count("finished") == 4


def test_show_prints_parameters_values_curves_and_artifacts(
    limbeck: Limbeck, searched: Path
) -> None:
    home = ("--home", searched / "home")
    facts = json.loads(limbeck("show", 1, "--json", *home).out)
    shown = limbeck("show", 1, *home).out
    assert facts["parameters"].keys() == {"num_layers", "learning_rate"}
    assert MEASURED.keys() <= facts["values"].keys()
    assert {metric for _, metric, _, _ in facts["curves"]} >= {"loss", "learning_rate", "exact"}
    for artifact in facts["artifacts"]:
        assert artifact["path"] in shown.replace("\n", "")


def test_a_search_that_is_done_is_not_done_again(searched: Path) -> None:
    ended = run_in(searched, "search", "study.toml", "--home", "home")
    assert ended.code == 0
    assert "run 0" not in ended.err
    assert "Frontier:" in ended.out


def test_a_search_starts_from_the_best_of_an_earlier_study(tmp_path: Path) -> None:
    best: Parameters = {"num_layers": 1, "learning_rate": 0.05}
    write_tiny_study(tmp_path, optimizer={"earlier": "before"}, budget={"runs": 2})
    with Store(Home(tmp_path / "home").store_url) as store:
        store.create_study("before", budget=3, seed=0, config="{}")
        for exact, parameters in enumerate([{**best, "learning_rate": 0.02}, best, {}]):
            run = store.add_run("before", parameters, values={"num_parameters": 9.0}, owner="a")
            assert run is not None
            outcome = Outcome(state=RunState.FINISHED, values={"exact": float(exact)})
            store.end_run("before", run.number, outcome, owner="a")
    ended = run_in(tmp_path, "search", "study.toml", "--home", "home")
    assert ended.code == 0
    first_line = "Starting from 2 of the 3 runs of study 'before'.\n"
    assert ended.err.startswith(first_line)
    with Store(Home(tmp_path / "home").store_url) as store:
        assert store.run("tiny", 1).parameters == best


def test_distil_makes_the_student_that_is_asked_for(limbeck: Limbeck, tmp_path: Path) -> None:
    study, student = write_tiny_study(tmp_path), tmp_path / "student"
    home = ("--home", tmp_path / "home", "-o", student, "--json")
    sets = ("--set", "num_layers=1", "--set", "layers=last", "--set", "epochs=1")
    facts = json.loads(limbeck("distill", study, *sets, *home).out)
    config = json.loads((student / "model" / "config.json").read_text())
    assert config["kept_layers"] == [2]
    assert facts["values"]["num_parameters"] > 0
    assert not (student / "checkpoint.safetensors").exists()


def test_teach_prints_what_the_teacher_scores(limbeck: Limbeck, tmp_path: Path) -> None:
    study = write_tiny_study(tmp_path, teacher={"model": "encoder"})
    ended = limbeck("teach", study, "--home", tmp_path / "home")
    assert ended.code == 0
    assert str(tmp_path / "home" / "teachers") in ended.out.replace("\n", "")
    assert "best_exact" in ended.out


@pytest.mark.parametrize(
    ("data", "predictions", "options"),
    [
        ("dev-v2.0", "bert-v2.0", ()),
        ("dev-v1.1", "match-lstm-v1.1", ()),
        ("dev-v2.0", "skim-read-v2.0", ("--na-prob-file", "skim-read-v2.0.null-odds.json")),
    ],
)
def test_score_prints_what_the_official_script_prints(
    limbeck: Limbeck, shared_data: Path, data: str, predictions: str, options: tuple[str, ...]
) -> None:
    folder = shared_data / "squad" / "predictions"
    official = json.loads((folder / f"{predictions}.official.json").read_text())
    ended = limbeck(
        "score",
        shared_data / "squad" / f"{data}.json.gz",
        folder / f"{predictions}.json",
        *(folder / option if option.endswith(".json") else option for option in options),
    )
    assert json.loads(ended.out) == official


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "no.toml"), "the study file no.toml must be readable, but"),
        (("status", "nothing"), "no study 'nothing'"),
        (("frontier",), "the store holds no study; begin one with limbeck search STUDY.toml"),
        (("show", "0"), "the store holds no study; begin one with limbeck search STUDY.toml"),
        (("score", "no.json", "no.json"), "no.json"),
        (
            ("distill", "study.toml", "--set", "layers"),
            "--set must be NAME=VALUE, but got 'layers'",
        ),
        (("distill", "study.toml", "--set", "layer=1"), "no such parameter: layer; did you mean"),
        (("distill", "study.toml", "--set", "alpha_ce=2"), "alpha_ce"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    limbeck: Limbeck,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    write_tiny_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    ended = limbeck(*arguments)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("Error: ")
    assert message in ended.err


def test_presets_are_listed_with_what_they_search_and_printed_whole(limbeck: Limbeck) -> None:
    shown = limbeck("presets").out
    assert sum(line.rstrip().endswith("  without effect") for line in shown.splitlines()) == 3
    assert "prior near 0.8" in shown
    assert json.loads(limbeck("presets", "--json").out).keys() == set(PRESETS)
    assert limbeck("presets", "efficient-bert").out == preset_text("efficient-bert")
    ended = limbeck("presets", "efficent-bert")
    assert (ended.code, ended.err) == (
        2,
        "Error: no such preset: efficent-bert; did you mean 'efficient-bert'?\n",
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(limbeck: Limbeck, command: str) -> None:
    assert f"Example: limbeck {command}" in limbeck(command, "--help").out


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["search", "--help"]])
def test_looking_loads_no_torch(tmp_path: Path, arguments: list[str]) -> None:
    slow = {"torch", "transformers", "pandas", "plotly"}
    code = (
        "import sys; from limbeck.cli.app import main; sys.argv[0] = 'limbeck'\n"
        "try: main()\n"
        f"finally: print(sorted({slow} & sys.modules.keys()), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr.strip().endswith("[]")
