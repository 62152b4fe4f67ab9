"""The optimizer benchmark, but for the peers: problems, simulation, journal and summary."""

import importlib
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from limbeck.metrics import Goal, Metric
from limbeck.space import Integer, Parameters, SearchSpace

FOLDER = Path(__file__).parents[2] / "benchmarks" / "optimizer"
SHARED = Path(__file__).parents[3] / "shared" / "bench"


class Modules:
    """The benchmark's modules, by name; they find each other beside the script."""

    def __getattr__(self, name: str) -> ModuleType:
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    yield Modules()
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").is_file():
            del sys.modules[name]


@pytest.fixture
def shared() -> None:
    if not SHARED.is_dir():
        if os.environ.get("LIMBECK_REQUIRE_SHARED"):
            pytest.fail(f"{SHARED} must be there in this run")
        pytest.skip(f"needs {SHARED}")


REAL = (
    "fcnet/naval_propulsion",
    "fcnet/protein_structure",
    "hpobench_mlp/segment",
    "nb201/cifar10",
    "hwgpt/s",
)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.usefixtures("shared")
def test_the_true_frontier_has_all_of_the_hypervolume(bench: Any, name: str) -> None:
    problem = bench.real.load(name)
    assert problem.share(bench.real.front(name)) == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("shared")
def test_a_real_problem_gives_what_the_table_says(bench: Any) -> None:
    problem = bench.real.load("hpobench_mlp/segment")
    parameters = {
        "alpha": 1e-8,
        "batch_size": 4,
        "depth": 2,
        "learning_rate_init": 1e-5,
        "width": 16,
    }
    values = problem.evaluate(problem.space.validate(parameters))
    # 19 features, two hidden layers of 16 and 7 classes, all with biases.
    weights = 20 * 16 + 17 * 16 + 17 * 7
    assert values["log10_n_params"] == pytest.approx(math.log10(weights))
    assert problem.known(parameters) == {"log10_n_params": values["log10_n_params"]}
    accuracy, size = problem.metrics
    assert (accuracy.goal, accuracy.threshold) == (Goal.MAXIMIZE, pytest.approx(0.909, abs=1e-3))
    assert (size.goal, size.known) == (Goal.MINIMIZE, True)


def test_analytic_frontiers_have_all_of_their_hypervolume(bench: Any) -> None:
    for name, frontier in bench.analytic.FRONTIERS.items():
        assert bench.analytic.LOADERS[name]().share(frontier()) == pytest.approx(1, abs=1e-5), name


def test_no_run_of_an_analytic_problem_beats_its_frontier(bench: Any) -> None:
    for name, frontier in bench.analytic.FRONTIERS.items():
        problem = bench.analytic.LOADERS[name]()
        random = bench.simulation.simulate(
            problem, RandomRuns(problem.space), runs=300, pending=1, seed=0
        )
        finished = [run.values for run in random if run.values is not None]
        beside = [*finished, *frontier()]
        assert problem.share(beside) == pytest.approx(1, abs=1e-5), name


class RandomRuns:
    """Suggests points of a space at random."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._rng = np.random.default_rng(1)

    def ask(self) -> tuple[int, Parameters]:
        return 0, self._space.decode(self._rng.random(self._space.dimension))

    def tell(self, ticket: int, values: object) -> None:
        pass


class Counting:
    """Suggests 0, 1, 2, …, and remembers what it heard, and what was out when it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.told: dict[int, object] = {}
        self.out: list[int] = []

    def ask(self) -> tuple[int, Parameters]:
        self.out.append(self.asked - len(self.told))
        self.asked += 1
        return self.asked - 1, {"x": self.asked - 1}

    def tell(self, ticket: int, values: object) -> None:
        self.told[ticket] = values


def line_problem(bench: Any) -> Any:
    """Values (x, 10 - x) of a box of 10 x 10, where larger is better; x = 3 diverges."""

    def evaluate(parameters: Parameters) -> dict[str, float] | None:
        x = int(parameters["x"])
        return None if x == 3 else {"up": float(x), "down": float(x)}

    return bench.problem.Problem(
        name="line",
        group="analytic",
        space=SearchSpace((Integer(name="x", low=0, high=10),)),
        metrics=(
            Metric(name="up", goal=Goal.MAXIMIZE, threshold=0.0),
            Metric(name="down", goal=Goal.MINIMIZE, threshold=10.0),
        ),
        evaluate=evaluate,
        known=None,
        ideal={"up": 10.0, "down": 0.0},
        best=0.5,
    )


def test_shares_grow_by_what_each_run_adds(bench: Any) -> None:
    ended = bench.simulation.simulate(line_problem(bench), Counting(), runs=5, pending=1, seed=0)
    # Run x adds a box from (x - 1, 0) to (x, 10 - x), but for the third, whose box the next has.
    areas = [0, 1 * 9, 9 + 1 * 8, 9 + 8, 9 + 8 + 2 * 6]
    assert [run.share for run in ended] == pytest.approx([area / 100 / 0.5 for area in areas])
    assert ended[3].values is None


def test_eight_pending_runs_end_out_of_order_and_all_end(bench: Any) -> None:
    optimizer, again = Counting(), Counting()
    ended, same = (
        bench.simulation.simulate(line_problem(bench), each, runs=11, pending=8, seed=4)
        for each in (optimizer, again)
    )
    order = [run.parameters["x"] for run in ended]
    assert sorted(order) == list(range(11))
    assert order != sorted(order)
    assert order == [run.parameters["x"] for run in same]
    assert optimizer.out == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7]
    assert optimizer.told[3] is None
    assert optimizer.told[5] == {"up": 5.0, "down": 5.0}


def test_the_journal_keeps_studies_and_knows_what_is_missing(bench: Any, tmp_path: Path) -> None:
    studies = [study(bench, seed=seed) for seed in range(3)]
    ended = bench.simulation.simulate(line_problem(bench), Counting(), runs=5, pending=1, seed=1)
    assert bench.journal.missing(studies, tmp_path) == studies
    bench.journal.write(studies[1], ended, tmp_path)
    assert bench.journal.missing(studies, tmp_path) == [studies[0], studies[2]]
    assert bench.journal.read(studies[1], tmp_path) == ended
    (curve,) = bench.curves.read_journal(studies, tmp_path)
    assert (curve.study, curve.shares) == (studies[1], (0.0, 0.18, 0.34, 0.34, 0.58))


def test_the_table_brings_all_curves_back(bench: Any, tmp_path: Path) -> None:
    curves = [
        curve(bench, (0.0, 0.1234, 0.1234, 1.02), seed=1),
        curve(bench, (0.5, 0.5, 0.5, 0.5), method="ax", mode="parallel"),
    ]
    bench.curves.write_table(curves, tmp_path / "results.csv")
    assert set(bench.curves.read_table(tmp_path / "results.csv")) == set(curves)


def test_runs_ratio_where_we_get_there(bench: Any) -> None:
    ours = [curve(bench, (0.1, 0.7, 0.8, 0.9)), curve(bench, (0.1, 0.2, 0.7, 0.7))]
    theirs = [curve(bench, (0.1, 0.2, 0.3, 0.6)), curve(bench, (0.1, 0.2, 0.3, 0.8))]
    # Theirs end at 0.7 in the median, which we have after 2 and 3 runs of 4.
    assert bench.summary.runs_ratio(ours, theirs) == pytest.approx(2.5 / 4)
    # Ours end at 0.8, which half of theirs never have: turned round, of all runs, 3 are needed.
    assert bench.summary.runs_ratio([theirs[0]], [ours[0]]) == pytest.approx(4 / 2)


def test_lines_compare_with_the_best_peer_of_each_problem(bench: Any) -> None:
    curves = [
        curve(bench, (0.5, 0.6), method="limbeck"),
        curve(bench, (0.4, 0.5), method="ax"),
        curve(bench, (0.1, 0.9), method="random"),
        curve(bench, (0.1, 0.7), method="random", seed=1),
        curve(bench, (0.1, 0.6), method="limbeck", mode="parallel"),
        curve(bench, (0.9, 0.9), method="ax", mode="parallel"),
        curve(bench, (0.5, 0.6), method="limbeck", problem="nobody else"),
    ]
    (line,) = bench.summary.lines(curves, method="limbeck", peers=("ax", "random"))
    assert (line.problem, line.best_peer, line.seeds) == ("line", "random", 1)
    assert line.peer_share == pytest.approx(0.8)
    assert line.peer_range == pytest.approx(0.1)
    assert line.is_worse
    assert line.runs_ratio == pytest.approx(2 / 2)
    # Both end at 0.6, each after its second run.
    assert line.efficiency == pytest.approx(1)


def test_parallel_efficiency_is_below_one_where_pending_runs_cost_runs(bench: Any) -> None:
    alone, parallel = curve(bench, (0.2, 0.5, 0.6, 0.7)), curve(bench, (0.1, 0.2, 0.4, 0.5))
    assert bench.summary.parallel_efficiency([alone], [parallel]) == pytest.approx(2 / 4)
    assert bench.summary.parallel_efficiency([parallel], [alone]) == pytest.approx(4 / 2)


def test_the_result_counts_held_out_problems_only(bench: Any) -> None:
    curves = [
        *both(bench, "analytic/cliff", ours=(0.1, 0.2, 0.3, 0.9)),
        *both(bench, "analytic/mixed", ours=(0.9, 0.9, 0.9, 0.9)),
        *both(bench, "yahpo/iaml_glmnet/1489", ours=(0.1, 0.2, 0.3, 0.9)),
    ]
    result = bench.report.result_line(
        curves, ours=("limbeck", "sigopt"), peers=("ax",), known={"analytic/mixed"}
    )
    assert result == (
        "RESULT runs_ratio=0.5 runs_ratio_known=0.25 peers_own_ratio=1.0 best_peer=ax problems=2 "
        "seeds=1 worse=0 tuning_runs_ratio=1.0"
    )


def both(bench: Any, problem: str, *, ours: tuple[float, ...]) -> list[Any]:
    theirs = (0.1, 0.2, 0.3, 0.8)
    return [
        curve(bench, ours, problem=problem, method="limbeck"),
        curve(bench, theirs, problem=problem, method="ax"),
    ]


def study(bench: Any, **given: Any) -> Any:
    known = {"problem": "line", "method": "limbeck", "mode": "sequential", "seed": 0, "runs": 5}
    return bench.journal.Study(**(known | given))


def curve(bench: Any, shares: tuple[float, ...], **given: Any) -> Any:
    its = study(bench, runs=len(shares), **given)
    return bench.curves.Curve(study=its, shares=shares, seconds=0.5)
