"""`limbeck compare`, and the figure of `limbeck show`, as a user types them."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from limbeck.home import Home
from limbeck.runs import CurvePoint, Outcome, RunState
from limbeck.space import Value
from limbeck.store import Store
from limbeck.study import enter
from tests.artifact_runs import ME, make_config
from tests.cli.conftest import Limbeck

SPACE = {
    "num_layers": {"type": "integer", "low": 1, "high": 12},
    "alpha_ce": {"type": "float", "low": 0.0, "high": 1.0},
}


def add(store: Store, parameters: Mapping[str, Value], exact: float) -> None:
    """Add a finished run with a curve of two points."""
    size = 1e6 * float(parameters["num_layers"])
    run = store.add_run("tiny", parameters, values={"num_parameters": size}, owner=ME)
    assert run is not None
    store.begin_run("tiny", run.number, step=0, total_steps=20, epoch_steps=10, owner=ME)
    points = [CurvePoint(step=s, metric="loss", value=9.0 / s, seconds=s) for s in (10, 20)]
    store.add_points("tiny", run.number, points, owner=ME)
    values = {"exact": exact, "num_parameters": size}
    store.end_run("tiny", run.number, Outcome(state=RunState.FINISHED, values=values), owner=ME)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose study has a baseline, a better run and a smaller one, and one that is worse."""
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    with Store(home.store_url) as store:
        enter(store, make_config(tmp_path, space=SPACE), runs=9)
        add(store, {"num_layers": 6, "alpha_ce": 0.5}, 50.0)
        add(store, {"num_layers": 8, "alpha_ce": 0.5}, 60.0)
        add(store, {"num_layers": 2, "alpha_ce": 0.9}, 40.0)
        add(store, {"num_layers": 7, "alpha_ce": 0.1}, 35.0)
    return home.folder


def test_compare_puts_settings_beside_the_baselines_and_marks_what_differs(
    limbeck: Limbeck, home: Path
) -> None:
    ended = limbeck("compare", "3", "1", "--home", home)
    assert (ended.code, ended.err) == (0, "")
    lines = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.strip()}
    assert lines["setting"][2:] == ["run", "0", "(baseline)", "run", "3", "run", "1"]
    assert lines["num_layers"][1:] == ["1", "to", "12", "6", "7", "*", "8", "*"]
    assert lines["alpha_ce"][1:] == ["0", "to", "1", "0.5", "0.1", "*", "0.5"]
    assert lines["exact"][1:] == ["50.00", "%", "35.00", "%", "60.00", "%"]
    assert "weight_decay" not in ended.out
    assert "are the same in all of these: --all" in ended.out
    every = limbeck("compare", "3", "--all", "--home", home).out
    assert "weight_decay" in every
    assert "--all" not in every


def test_compare_takes_the_best_and_the_smallest_by_itself(limbeck: Limbeck, home: Path) -> None:
    facts = json.loads(limbeck("compare", "--json", "--home", home).out)
    assert [run["run"] for run in facts["runs"]] == [0, 1, 2]
    layers = next(row for row in facts["settings"] if row["name"] == "num_layers")
    assert (layers["values"], layers["baseline"], layers["range"]) == ([6, 8, 2], 6, "1 to 12")
    assert layers["differs"] == [False, True, True]


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "1"),
        ("compare", "1", "--across", "epochs"),
        ("compare", "1", "--figure", "layers"),
        ("show", "1"),
    ],
)
def test_figures_are_pages_that_need_no_network(
    limbeck: Limbeck, home: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    page = tmp_path / "new" / "figure.html"
    ended = limbeck(*arguments, "--home", home, "-o", page)
    assert (ended.code, ended.err) == (0, f"Figure: {page}\n")
    text = page.read_text(encoding="utf-8")
    assert "Plotly.newPlot" in text
    assert 'src="http' not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "1", "2", "3", "4", "5", "6"), "at most 6 runs"),
        (("compare", "99"), "no run 99"),
        (("compare", "1", "-o", "curves.gif"), "must end in .png, .svg, .html"),
        (("show", "1", "-o", "curves.gif"), "must end in .png, .svg, .html"),
    ],
)
def test_what_cannot_be_compared_or_drawn_is_refused_in_a_line(
    limbeck: Limbeck, home: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = limbeck(*arguments, "--home", home)
    assert ended.code in (1, 2)
    assert message in ended.err
    assert (ended.out, ended.err.count("\n")) == ("", 1)


def test_compare_of_a_study_without_a_finished_run_asks_for_numbers(
    limbeck: Limbeck, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    with Store(home.store_url) as store:
        enter(store, make_config(tmp_path, space=SPACE), runs=9)
    ended = limbeck("compare", "--home", tmp_path)
    assert ended.code == 2
    assert "no run is finished yet; name the runs to compare" in ended.err
