import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from limbeck.errors import (
    ConfigError,
    ExhaustedError,
    InfeasibleError,
    NotFoundError,
    ParameterError,
)
from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.optimizer import MakeSampler, Optimizer, load_runs
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import identity
from limbeck.optimize.sigopt import SigOptSampler
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Constraint, Float, Integer, Parameters, SearchSpace
from tests.optimize.problems import MIXED, accuracy, mixed_size

README = Path(__file__).parents[2] / "README.md"
DEPTH = Integer(name="depth", low=1, high=4)
TIED = Choice(name="tied", choices=(False, True))
ACCURACY = Metric(name="accuracy", goal=Goal.MAXIMIZE)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
LOSS = Metric(name="loss", goal=Goal.MINIMIZE, role=Role.STORE)
KNOWN: Mapping[str, Callable[[Parameters], float]] = {"size": lambda p: mixed_size(p)["size"]}
LEARNING: MakeSampler = partial(BayesianSampler, initial_runs=3)
EVENLY: MakeSampler = QuasirandomSampler


def _learning(**others: Any) -> Optimizer:
    return Optimizer(MIXED, (ACCURACY, SIZE), known=KNOWN, sampler=LEARNING, **others)


def _small(*metrics: Metric, **others: Any) -> Optimizer:
    return Optimizer([DEPTH, TIED], metrics or [ACCURACY, LOSS], sampler=EVENLY, **others)


def _told(optimizer: Optimizer, count: int) -> Optimizer:
    for _ in range(count):
        run = optimizer.ask()
        optimizer.tell(run, {"accuracy": accuracy(run.parameters)})
    return optimizer


def test_the_example_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    section = README.read_text(encoding="utf-8").partition("## Any function")[2]
    match = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert match is not None
    names: dict[str, Any] = {}
    exec(match[1], names)
    optimizer = names["optimizer"]
    assert len(optimizer.runs) == 20
    assert capsys.readouterr().out == "".join(f"{run.values}\n" for run in optimizer.frontier)
    assert len(optimizer.frontier) >= 4
    for run in optimizer.runs:
        assert run.values["accuracy"] == names["accuracy"](**run.parameters)
        assert run.values["size"] == 5 + 7 * run.parameters["depth"]


def test_a_run_has_parameters_and_known_values_and_then_all_of_them() -> None:
    optimizer = _small(ACCURACY, LOSS, SIZE, known={"size": lambda p: 10.0 * int(p["depth"])})
    run = optimizer.ask()
    size = 10.0 * int(run.parameters["depth"])
    assert (run.number, run.state, run.values) == (0, RunState.RUNNING, {"size": size})
    assert [run.number for run in optimizer.pending] == [0]
    done = optimizer.tell(run, {"accuracy": 3, "loss": math.nan}, errors={"accuracy": 1}, seconds=2)
    assert done.parameters == run.parameters
    assert (done.state, done.errors, done.seconds) == (RunState.FINISHED, {"accuracy": 1.0}, 2)
    assert done.values == pytest.approx(
        {"size": size, "accuracy": 3.0, "loss": math.nan}, nan_ok=True
    )
    assert len(optimizer.pending) == 0
    assert [run.number for run in optimizer.runs] == [0]


@pytest.mark.parametrize(
    "sampler", [LEARNING, partial(SigOptSampler, budget=12, initial_runs=3)], ids=["ours", "sigopt"]
)
def test_going_on_from_saved_runs_is_as_if_never_interrupted(
    sampler: MakeSampler, tmp_path: Path
) -> None:
    def optimizer(**others: Any) -> Optimizer:
        return Optimizer(MIXED, (ACCURACY, SIZE), known=KNOWN, sampler=sampler, **others)

    first = _told(optimizer(), 5)
    pending = first.ask()
    first.tell_infeasible(first.ask(), "diverged", seconds=1.5)
    first.tell_failed(first.ask(), "killed")
    first.save(tmp_path / "runs.json")
    second = optimizer(runs=load_runs(tmp_path / "runs.json"))
    assert second.runs == first.runs
    assert second.pending == (pending,)
    for each in (first, second):
        each.tell(pending, {"accuracy": accuracy(pending.parameters)})
        _told(each, 3)
    assert second.runs == first.runs
    assert [run.number for run in second.runs] == list(range(11))


def test_runs_asked_for_together_are_all_different() -> None:
    optimizer = _told(_learning(), 4)
    runs = optimizer.ask_many(6)
    assert [run.number for run in runs] == [4, 5, 6, 7, 8, 9]
    assert len({identity(MIXED, run.parameters) for run in optimizer.runs}) == 10
    assert optimizer.pending == runs
    depths = {run.parameters["depth"] for run in runs}
    assert len(depths) > 1


def test_the_order_of_finishing_does_not_matter() -> None:
    """Would fail if values were paired with runs by the order in which they were told."""
    suggestions = []
    for order in ([0, 1, 2, 3, 4, 5], [3, 5, 0, 4, 2, 1]):
        optimizer = _learning()
        optimizer.ask_many(6)
        for number in order:
            parameters = optimizer.runs[number].parameters
            if number == 4:
                optimizer.tell_infeasible(4)
            else:
                optimizer.tell(number, {"accuracy": accuracy(parameters)})
        assert [run.number for run in optimizer.runs] == [0, 1, 2, 3, 4, 5]
        suggestions.append(optimizer.ask())
    assert suggestions[0] == suggestions[1]


def test_failures_are_no_part_of_the_frontier() -> None:
    optimizer = _small(ACCURACY, SIZE, known={"size": lambda p: float(p["depth"])})
    runs = optimizer.ask_many(8)
    optimizer.tell_infeasible(runs[3], "diverged")
    optimizer.tell_failed(runs[5], "killed", seconds=4.0)
    for run in (runs[7], runs[0], runs[1], runs[2], runs[4], runs[6]):
        optimizer.tell(run, {"accuracy": float(run.parameters["depth"])})
    states = [run.state for run in optimizer.runs]
    assert states[3] is RunState.INFEASIBLE
    assert (states[5], optimizer.runs[5].reason) == (RunState.FAILED, "killed")
    assert optimizer.runs[5].seconds == 4.0
    assert {run.number for run in optimizer.frontier} == {0, 1, 2, 4, 6, 7}


def test_asking_for_more_than_there_is() -> None:
    optimizer = _small(constraints=[Constraint(name="odd", holds=lambda p: p["depth"] != 2)])
    assert len(optimizer.ask_many(9)) == 6
    with pytest.raises(ExhaustedError, match="none are left after 6 runs"):
        optimizer.ask_many(2)
    assert len(optimizer.pending) == 6


def test_constraints_join_those_of_a_space() -> None:
    space = SearchSpace((DEPTH, TIED), (Constraint(name="odd", holds=lambda p: p["depth"] != 2),))
    bare = Constraint(name="bare", holds=lambda p: not p["tied"])
    optimizer = Optimizer(space, [ACCURACY], sampler=EVENLY, constraints=[bare])
    depths = [run.parameters["depth"] for run in optimizer.ask_many(4)]
    assert sorted(map(int, depths)) == [1, 3, 4]


def test_the_baseline_comes_first() -> None:
    baseline: Parameters = {"depth": 3, "tied": True}
    assert _small(baseline=baseline).ask().parameters == baseline


def test_seeds_differ() -> None:
    first, second, again = (_small(seed=seed).ask_many(5) for seed in (1, 2, 1))
    assert first == again
    assert first != second


def test_what_was_returned_may_be_changed() -> None:
    optimizer = _small()
    run = optimizer.ask()
    for mapping in (run.parameters, optimizer.runs[0].values, optimizer.pending[0].parameters):
        assert isinstance(mapping, dict)
        mapping["depth"] = 99
    assert optimizer.ask().parameters != run.parameters
    assert optimizer.runs[0].parameters["depth"] != 99
    assert optimizer.runs[0].values == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs a finite accuracy, but got None; use tell_infeasible"),
        ({"accuracy": math.nan}, "needs a finite accuracy, but got nan; use tell_infeasible"),
        ({"accuracy": -math.inf}, "needs a finite accuracy, but got -inf; use tell_infeasible"),
        ({"acuracy": 1.0}, "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ({"accuracy": 1.0, "size": 3.0}, "size is a known metric, which is computed; leave it out"),
        ({"accuracy": "good"}, "accuracy must be a number, but got 'good'"),
        ({"accuracy": None}, "accuracy must be a number, but got None"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, float], message: str) -> None:
    optimizer = _small(ACCURACY, LOSS, SIZE, known={"size": lambda _: 1.0})
    run = optimizer.ask()
    with pytest.raises(ConfigError, match=re.escape(message)):
        optimizer.tell(run, values)
    assert optimizer.runs == (run,)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({"acuracy": 1.0}, "got one of 'acuracy'; did you mean 'accuracy'?"),
        ({"loss": 1.0}, "a standard error needs its value, but got one of 'loss'"),
        ({"accuracy": -1.0}, "must be finite and not negative, but got accuracy = -1.0"),
        ({"accuracy": math.nan}, "must be finite and not negative, but got accuracy = nan"),
    ],
)
def test_errors_that_do_not_fit_are_refused(errors: dict[str, float], message: str) -> None:
    optimizer = _small()
    run = optimizer.ask()
    with pytest.raises(ConfigError, match=re.escape(message)):
        optimizer.tell(run, {"accuracy": 1.0}, errors=errors)
    assert optimizer.runs == (run,)


def test_a_run_is_told_of_once() -> None:
    optimizer = _small()
    run = optimizer.ask()
    done = optimizer.tell(run, {"accuracy": 1.0})
    with pytest.raises(ConfigError, match="run 0 is finished already"):
        optimizer.tell(run, {"accuracy": 2.0})
    with pytest.raises(ConfigError, match="run 0 is finished already"):
        optimizer.tell_failed(0)
    assert optimizer.runs == (done,)


def test_a_run_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(NotFoundError, match="asked for first, but there is no run 3"):
        _small().tell(3, {"accuracy": 1.0})


def test_one_function_computes_all_known_metrics() -> None:
    flops = Metric(name="flops", goal=Goal.MINIMIZE, known=True)
    optimizer = _small(ACCURACY, SIZE, flops, known=lambda _: {"flops": 2, "size": 1})
    assert optimizer.ask().values == {"size": 1.0, "flops": 2.0}


def test_parameters_that_known_refuses_are_not_suggested() -> None:
    def size(parameters: Parameters) -> float:
        if parameters["depth"] == 2:
            raise InfeasibleError("no depth of 2")
        return 1.0

    runs = _small(ACCURACY, SIZE, known={"size": size}).ask_many(9)
    assert {run.parameters["depth"] for run in runs} == {1, 3, 4}


@pytest.mark.parametrize(
    ("metrics", "known", "message"),
    [
        ((ACCURACY, SIZE), None, "known metrics must be computed, but ['size'] are not"),
        ((ACCURACY, SIZE), {}, "known metrics must be computed, but ['size'] are not"),
        ((ACCURACY, SIZE), {"sise": len}, "unknown metric 'sise' in known; did you mean 'size'?"),
        ((ACCURACY,), lambda _: {"size": 1.0}, "but no metric is known; give one known=True"),
        ((ACCURACY, ACCURACY), None, "metric names must differ, but got ['accuracy', 'accuracy']"),
        ((LOSS,), None, "needs a metric to optimize"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(
    metrics: tuple[Metric, ...], known: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Optimizer([DEPTH], metrics, known=known)


@pytest.mark.parametrize(
    ("computed", "message"),
    [
        ({}, "but ['size'] are missing"),
        ({"sise": 1.0, "size": 1.0}, "unknown metric 'sise' from known; did you mean 'size'?"),
        ({"size": "small"}, "size must be a number, but got 'small'"),
    ],
)
def test_known_values_that_do_not_fit_are_refused(computed: Any, message: str) -> None:
    optimizer = _small(ACCURACY, SIZE, known=lambda _: computed)
    with pytest.raises(ConfigError, match=re.escape(message)):
        optimizer.ask()
    assert optimizer.runs == ()


def test_standard_errors_are_heeded_where_no_other_sampler_is_made() -> None:
    optimizer = Optimizer(MIXED, (ACCURACY, SIZE), known=KNOWN)
    for run in optimizer.ask_many(6):
        error = 0.0 if run.number % 2 else 20.0
        optimizer.tell(run, {"accuracy": accuracy(run.parameters)}, errors={"accuracy": error})
    make = partial(BayesianSampler, MIXED, (ACCURACY, SIZE), known=mixed_size, baseline=None)
    runs = optimizer.runs
    suggested = optimizer.ask().parameters
    assert suggested == make(seed=0, given_noise=True).suggest(runs)
    assert suggested != make(seed=0, given_noise=False).suggest(runs)


def test_a_search_may_start_from_what_an_earlier_one_saved(tmp_path: Path) -> None:
    """Its runs are no runs of the new search, but the best of them is tried first."""
    first = _told(_learning(), 6)
    first.save(tmp_path / "before.json")
    sampler = partial(BayesianSampler, earlier=load_runs(tmp_path / "before.json"), per_cost=True)
    second = Optimizer(MIXED, (ACCURACY, SIZE), known=KNOWN, sampler=sampler, seed=9)
    run = second.ask()
    assert run.number == 0
    assert run.parameters in [best.parameters for best in first.frontier]


def test_earlier_runs_get_the_known_values_they_lack() -> None:
    runs = [
        Run(number=7, parameters={"depth": 2, "tied": True}, state=RunState.FINISHED),
        Run(number=3, parameters={"depth": 4.0, "tied": True}, state=RunState.WAITING),
    ]
    optimizer = _small(ACCURACY, SIZE, runs=runs, known={"size": lambda p: float(p["depth"])})
    assert [(run.number, run.values) for run in optimizer.runs] == [
        (3, {"size": 4.0}),
        (7, {"size": 2.0}),
    ]
    assert optimizer.ask().number == 8
    assert optimizer.tell(3, {"accuracy": 1.0}).state is RunState.FINISHED


def test_earlier_runs_of_one_number_or_of_another_space_are_refused() -> None:
    run = Run(number=7, parameters={"depth": 2, "tied": True}, state=RunState.FINISHED)
    with pytest.raises(ConfigError, match="two have number 7"):
        _small(runs=[run, run])
    with pytest.raises(ParameterError, match="unknown parameter 'tied'"):
        Optimizer([DEPTH], [ACCURACY], runs=[run])


def test_saved_runs_are_the_same_to_the_last_digit(tmp_path: Path) -> None:
    values = {"a": 0.1 + 0.2, "b": 1e-300, "nan": math.nan, "inf": -math.inf}
    parameters: Parameters = {"flag": True, "one": 1, "real": 1.0, "text": "1"}
    run = Run(number=0, parameters=parameters, state=RunState.FINISHED, values=values)
    space = SearchSpace(
        (
            Choice(name="flag", choices=(True, False)),
            Choice(name="one", choices=(1, 2)),
            Float(name="real", low=0.0, high=1.0),
            Choice(name="text", choices=("1", "2")),
        )
    )
    Optimizer(space, [ACCURACY], runs=[run]).save(tmp_path / "new" / "runs.json")
    (loaded,) = load_runs(tmp_path / "new" / "runs.json")
    assert repr(loaded) == repr(run)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["runs.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "runs.json must hold runs that an optimizer saved, but Invalid JSON"),
        ('{"a": 1}', "runs.json must hold runs that an optimizer saved, but Input should be"),
        ('[{"number": 0}]', "but Field required at 0.parameters"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "runs.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_runs(tmp_path / "runs.json")
    assert "\n" not in str(caught.value)
