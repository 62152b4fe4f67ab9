import json
from pathlib import Path

import numpy as np
import pytest

from limbeck.config import parse_config
from limbeck.home import Home
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.study import enter
from tests.cli.conftest import Limbeck
from tests.tiny import tiny_study


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a study of 16 runs, of which the number of layers decides the score."""
    rng = np.random.default_rng(0)
    with Store(Home(tmp_path).store_url) as store:
        enter(store, parse_config(tiny_study(), folder=tmp_path, name="study"), runs=16)
        for number in range(16):
            parameters = {
                "num_layers": number % 3 + 1,
                "learning_rate": float(10 ** rng.uniform(-3, -1)),
            }
            run = store.add_run("tiny", parameters, values={}, owner="me")
            assert run is not None
            size = 1e6 * parameters["num_layers"]
            values = {"exact": 40.0 + 10 * parameters["num_layers"], "num_parameters": size}
            outcome = Outcome(state=RunState.FINISHED, values=values)
            store.end_run("tiny", run.number, outcome, owner="me")
    return tmp_path


def test_a_table_for_each_metric_and_the_frontier(limbeck: Limbeck, home: Path) -> None:
    ended = limbeck("importance", "tiny", "--home", home)
    assert ended.code == 0
    assert "exact: forest, n = 16, R² 0.9" in ended.out
    assert "num_parameters: forest, n = 16" in ended.out
    assert "distance from the frontier: forest, n = 16" in ended.out
    assert ended.out.index("num_layers") < ended.out.index("learning_rate")
    assert "no effect seen" in ended.out
    assert "all 16 runs have the same value" in ended.out  # All are on the frontier.


def test_json_has_every_index(limbeck: Limbeck, home: Path) -> None:
    ended = limbeck("importance", "--home", home, "--metric", "exact", "--json", "--seed", 3)
    (found,) = json.loads(ended.out)
    assert (found["metric"], found["source"], found["n"]) == ("exact", "forest", 16)
    assert found["parameters"][0]["parameter"] == "num_layers"
    assert found["parameters"][0]["first"] > 0.95
    assert found["inert"] == ["learning_rate"]
    assert found["interactions"][0]["parameters"] == ["num_layers", "learning_rate"]


def test_the_optimizers_own_surrogate(limbeck: Limbeck, home: Path) -> None:
    ended = limbeck("importance", "--home", home, "--surrogate", "--json")
    (found,) = json.loads(ended.out)
    assert (found["metric"], found["source"], found["n"]) == ("exact", "surrogate", 16)
    assert found["parameters"][0]["parameter"] == "num_layers"
    assert found["parameters"][0]["total"] > 0.9
    refused = limbeck("importance", "--home", home, "--surrogate", "-m", "frontier")
    assert refused.code == 2
    assert refused.err == (
        "Error: --surrogate knows the metrics exact, but got 'frontier'; leave out --surrogate\n"
    )


def test_a_figure_that_opens_without_a_network(limbeck: Limbeck, home: Path) -> None:
    page = home / "new" / "importance.html"
    ended = limbeck("importance", "--home", home, "-m", "exact", "-o", page)
    assert ended.err == f"Figure: {page}\n"
    text = page.read_text()
    assert "What matters" in text
    assert "<script src=" not in text


@pytest.mark.parametrize(
    ("figure", "title"),
    [
        ("dependence", "What to expect of exact along each parameter"),
        ("slices", "Runs along each parameter: exact"),
    ],
)
def test_the_first_metric_along_each_parameter(
    limbeck: Limbeck, home: Path, figure: str, title: str
) -> None:
    page = home / "figure.html"
    ended = limbeck("importance", "--home", home, "-m", "exact", "--figure", figure, "-o", page)
    assert (ended.code, ended.err) == (0, f"Figure: {page}\n")
    assert title in page.read_text()


def test_figures_of_the_forest_are_not_of_the_surrogate(limbeck: Limbeck, home: Path) -> None:
    for figure in ("dependence", "slices"):
        page = home / "figure.html"
        ended = limbeck("importance", "--home", home, "--surrogate", "--figure", figure, "-o", page)
        assert (ended.code, ended.out) == (2, "")
        assert f"--figure {figure} goes with the forest; leave out --surrogate" in ended.err
    ended = limbeck("importance", "--home", home, "--figure", "slices")
    assert ended.err == "Error: --figure needs -o: the file to draw it to\n"


def test_what_is_wrong_is_said_before_the_work(limbeck: Limbeck, home: Path) -> None:
    ended = limbeck("importance", "--home", home, "-o", home / "importance.jpg")
    assert (ended.code, ended.out) == (2, "")
    assert "must end in .png, .svg, .html" in ended.err
    ended = limbeck("importance", "--home", home, "-m", "accuracy")
    assert ended.code == 2
    assert "but no 'accuracy'; 'frontier' is there, too" in ended.err
