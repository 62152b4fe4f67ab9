from collections.abc import Callable
from dataclasses import replace

import pytest

from limbeck.errors import NotFoundError
from limbeck.runs import Run
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


def test_unknown_studies_are_refused(store: Store) -> None:
    reads: tuple[Callable[[], object], ...] = (
        lambda: store.results("brt", []),
        lambda: store.some_runs("brt", [0]),
        lambda: store.runs_with("brt", {}),
    )
    for read in reads:
        with pytest.raises(NotFoundError, match="no study 'brt'; did you mean 'bert'"):
            read()
