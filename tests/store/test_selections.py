from collections.abc import Callable
from dataclasses import replace

import pytest

from limbeck.errors import NotFoundError
from limbeck.runs import CurvePoint, Run
from limbeck.store import Store
from tests.store.conftest import ME, MODEL, ask, finished


@pytest.fixture
def filled(store: Store) -> Store:
    """Four runs, of which the third differs from the second in a type alone; and other studies'."""
    store.create_study("tiny", budget=1, seed=1, config="")
    store.add_run("tiny", {"layers": 2, "rate": 1.0}, values={}, owner=ME)
    for parameters in ({"layers": 1}, {"layers": 2, "rate": 1.0}, {"layers": 2, "rate": "1.0"}, {}):
        number = ask(store, **parameters).number
        outcome = replace(finished(exact=float(number), f1=2.0), artifacts=(MODEL,))
        store.end_run("bert", number, replace(outcome, errors={"exact": 0.5}), owner=ME)
    return store


def test_results_have_the_values_of_the_metrics_asked_for(filled: Store) -> None:
    runs = filled.runs("bert")
    assert filled.results("bert", ["exact", "size"]) == tuple(
        Run(
            number=run.number,
            parameters={},
            state=run.state,
            values={"exact": run.values["exact"]},
            errors={"exact": 0.5},
        )
        for run in runs
    )
    assert [run.values for run in filled.results("bert", [])] == [{}] * 4


def test_some_runs_come_whole_and_in_order(filled: Store) -> None:
    runs = filled.runs("bert")
    assert filled.some_runs("bert", {3, 1, 7}) == (runs[1], runs[3])
    assert filled.some_runs("bert", []) == ()


def test_runs_with_parameters_have_these_and_no_others(filled: Store) -> None:
    runs = filled.runs("bert")
    assert filled.runs_with("bert", {"rate": 1.0, "layers": 2}) == (runs[1],)
    assert filled.runs_with("bert", {"rate": "1.0", "layers": 2}) == (runs[2],)
    assert filled.runs_with("bert", {"layers": 2}) == ()
    assert filled.runs_with("bert", {}) == (runs[3],)


def test_the_pulse_tells_of_every_change_but_those_of_curves(store: Store) -> None:
    seen = [store.pulse("bert")]

    def changed() -> bool:
        seen.append(store.pulse("bert"))
        return seen[-1] != seen[-2]

    assert not changed()
    run = ask(store, layers=1)
    assert changed()
    store.begin_run("bert", run.number, step=0, total_steps=9, epoch_steps=3, owner=ME)
    assert changed()
    point = CurvePoint(step=3, metric="loss", value=1.0, seconds=1.0)
    store.add_points("bert", run.number, [point], owner=ME)
    store.heartbeat("bert", owner=ME)
    assert not changed()
    store.request_stop("bert", run.number)
    assert changed()
    store.end_run("bert", run.number, finished(exact=1.0), owner=ME)
    assert changed()
    store.add_run("bert", {"layers": 2}, values={}, owner=None)
    assert changed()
    store.claim_waiting("bert", owner=ME)
    assert changed()
    store.release("bert", 1, owner=ME)
    assert changed()
    store.set_paused("bert", paused=True)
    assert changed()
    store.add_event("bert", "note", "seen")
    assert changed()


def test_progress_is_that_of_running_runs_alone(store: Store) -> None:
    first, second = ask(store, layers=1), ask(store, layers=2)
    ask(store, layers=3)
    store.add_run("bert", {"layers": 4}, values={}, owner=None)
    store.end_run("bert", 2, finished(exact=1.0), owner=ME)
    store.begin_run("bert", second.number, step=0, total_steps=9, epoch_steps=3, owner=ME)
    points = [
        CurvePoint(step=step, metric=metric, value=1.0, seconds=1.0)
        for step, metric in ((3, "loss"), (6, "loss"), (3, "exact"))
    ]
    store.add_points("bert", second.number, points, owner=ME)
    one, two = store.progress("bert")
    assert (one.number, one.step, one.total_steps) == (0, 0, None)
    assert (two.number, two.step, two.total_steps) == (1, 6, 9)
    assert (one.owner, one.started) == (ME, first.started)
    assert two.heartbeat >= one.started


def test_unknown_studies_are_refused(store: Store) -> None:
    reads: tuple[Callable[[], object], ...] = (
        lambda: store.results("brt", []),
        lambda: store.some_runs("brt", [0]),
        lambda: store.runs_with("brt", {}),
        lambda: store.pulse("brt"),
        lambda: store.progress("brt"),
    )
    for read in reads:
        with pytest.raises(NotFoundError, match="no study 'brt'; did you mean 'bert'"):
            read()
