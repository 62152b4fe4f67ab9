from pathlib import Path

from limbeck.analysis.control import find_control
from limbeck.analysis.extract import frontier_runs
from limbeck.config import StudyConfig, parse_config
from limbeck.frontier import frontier, summarize
from limbeck.runs import Artifact, Outcome, Run, RunState
from limbeck.space import Value
from limbeck.store import Store
from limbeck.study import enter
from tests.tiny import tiny_study

LOG = Artifact(name="log.txt", path="log.txt", sha256="", bytes=1)


def add(store: Store, exact: float, size: float, **parameters: Value) -> None:
    run = store.add_run("tiny", {"num_layers": 2, **parameters}, values={}, owner="me")
    assert run is not None
    values = {"exact": exact, "num_parameters": size, "f1": 1.0}
    outcome = Outcome(state=RunState.FINISHED, values=values, artifacts=(LOG,))
    store.end_run("tiny", run.number, outcome, owner="me")


def begin(store: Store) -> StudyConfig:
    config = parse_config(tiny_study(), folder=Path(), name="study")
    enter(store, config, runs=9)
    return config


def test_the_shown_runs_are_whole_and_the_others_have_what_is_counted() -> None:
    with Store("sqlite://") as store:
        config = begin(store)
        add(store, 60.0, 100.0)
        add(store, 50.0, 100.0, alpha_ce=0.0)  # the control
        add(store, 40.0, 200.0, num_layers=3)  # dominated
        add(store, 70.0, 200.0, num_layers=3)
        add(store, 30.0, 300.0, alpha_ce=0.0, dropout=0.0)  # has the control's parameters and more
        store.add_run("tiny", {"num_layers": 1}, values={"num_parameters": 1.0}, owner=None)
        extract, runs = frontier_runs(store, config), store.runs("tiny")

    def bare(run: Run) -> Run:
        values = {name: value for name, value in run.values.items() if name != "f1"}
        return Run(number=run.number, parameters={}, state=run.state, values=values)

    assert extract == (runs[0], runs[1], bare(runs[2]), runs[3], bare(runs[4]), bare(runs[5]))
    assert frontier(extract, config.metrics) == frontier(runs, config.metrics) == (runs[0], runs[3])
    assert find_control(extract, config) == runs[1]
    assert summarize(extract, config.metrics, runs[0]) == summarize(runs, config.metrics, runs[0])


def test_what_else_is_asked_for_is_there_of_every_run() -> None:
    with Store("sqlite://") as store:
        config = begin(store)
        add(store, 60.0, 100.0)
        add(store, 40.0, 200.0)  # dominated
        runs = frontier_runs(store, config, besides=["f1"])
    assert [run.values["f1"] for run in runs] == [1.0, 1.0]


def test_a_study_without_runs() -> None:
    with Store("sqlite://") as store:
        assert frontier_runs(store, begin(store)) == ()
