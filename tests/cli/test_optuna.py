"""The commands that exchange studies with Optuna."""

import json
import sys
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from limbeck.cli.app import main
from limbeck.config import parse_config
from limbeck.home import Home
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.study import enter
from tests.tiny import tiny_study

VALUES = {"exact": 70.0, "num_parameters": 3000.0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is: the study ``tiny`` has one finished run."""
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / ".limbeck")
    home.folder.mkdir()
    with Store(home.store_url) as store:
        enter(store, parse_config(tiny_study(), folder=tmp_path, name="study"), runs=2)
        parameters = {"num_layers": 3, "learning_rate": 0.01}
        store.add_run("tiny", parameters, values={}, owner="host:1:1")
        outcome = Outcome(state=RunState.FINISHED, values=VALUES)
        store.end_run("tiny", 0, outcome, owner="host:1:1")
    return tmp_path


def limbeck(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["limbeck", *arguments])
    with pytest.raises(SystemExit, match=r"^[0-9]+$") as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_study_goes_to_optuna_and_trials_come_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert limbeck(monkeypatch, "optuna", "export", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == {"study_name": "tiny", "trials": 1, "added": 1, "ended": 0}
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{folder}/optuna.db")
    assert study.trials[0].values == [70.0, 3000.0]
    space = {
        "num_layers": IntDistribution(1, 3),
        "learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
    }
    study.enqueue_trial({"num_layers": 1, "learning_rate": 0.05})
    study.tell(study.ask(space), (50.0, 1000.0))
    assert limbeck(monkeypatch, "optuna", "import", "--study-name", "tiny") == 0
    shown = capsys.readouterr()
    assert shown.err.endswith("Left out trial 0: run 0 has its parameters\n")
    assert shown.out == ("1 runs added to study 'tiny', 1 trials left out. It has 2 of 2 runs.\n")
    assert limbeck(monkeypatch, "optuna", "import", "tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "added": [],
        "skipped": [
            {"trial": 0, "reason": "run 0 has its parameters"},
            {"trial": 1, "reason": "run 1 has its parameters"},
        ],
    }
    # The trial of Optuna's own is there as such, and now as run 1 too.
    assert limbeck(monkeypatch, "optuna", "export", "tiny", "--study-name", "again") == 0
    shown = capsys.readouterr()
    assert "study 'again' with 2 trials: 2 added, 0 ended since" in shown.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("export", "none"), 2, "no study 'none'"),
        (("export", "--to", "sqlite:///.limbeck/store.db"), 2, "a database of its own"),
        (("import", "--from", "sqlite:///empty.db"), 2, "there is no file empty.db; name another"),
        (("import", "--from", "nothing://"), 1, "must be a database that can be opened"),
    ],
)
def test_bad_input_is_one_line_and_makes_no_file(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    assert limbeck(monkeypatch, "optuna", *arguments) == code
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    assert shown.count("\n") == 1
    assert message in shown
    assert [path.name for path in folder.iterdir()] == [".limbeck"]


@pytest.mark.parametrize("command", ["export", "import"])
def test_help_has_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert limbeck(monkeypatch, "optuna", command, "--help") == 0
    assert f"Example: limbeck optuna {command} squad2" in capsys.readouterr().out


def test_without_optuna_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert limbeck(monkeypatch, "optuna", "export") == 2
    assert "pip install 'limbeck[optuna]'" in capsys.readouterr().err
