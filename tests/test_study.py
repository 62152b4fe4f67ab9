"""Asking, telling and resuming, with a plain function in place of training."""

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from typing_extensions import override

from limbeck.config import StudyConfig, load_config
from limbeck.errors import ConfigError, ExhaustedError, StoreError
from limbeck.metrics import Goal, Metric
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import Sampler
from limbeck.runs import CurvePoint, Outcome, Run, RunState
from limbeck.space import Float, Integer, Parameters, SearchSpace, Value
from limbeck.store import Store
from limbeck.study import (
    Study,
    earlier_runs,
    enter,
    missing,
    queue_all,
    stored_config,
    this_process,
)
from tests.tiny import write_tiny_study

SPACE = SearchSpace((Integer(name="depth", low=1, high=6), Float(name="rate", low=0.0, high=1.0)))
METRICS = (
    Metric(name="score", goal=Goal.MAXIMIZE),
    Metric(name="size", goal=Goal.MINIMIZE, known=True),
)
FINISHED = Outcome(state=RunState.FINISHED, values={"score": 1.0})


def known(parameters: Parameters) -> dict[str, float]:
    return {"size": 10.0 * float(parameters["depth"])}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        yield store


def make_study(store: Store, *, budget: int = 5, owner: str | None = None) -> Study:
    if "s" not in [record.name for record in store.studies()]:
        store.create_study("s", budget=budget, seed=0, config="{}")
    sampler = QuasirandomSampler(SPACE, METRICS, known=known, baseline=None, seed=0)
    return Study(
        store=store,
        name="s",
        space=SPACE,
        sampler=sampler,
        known=known,
        owner=owner or this_process(),
    )


def test_a_study_ends_with_its_budget_and_keeps_what_it_was_told(store: Store) -> None:
    study = make_study(store, budget=3)
    while run := study.ask():
        outcome = Outcome(state=RunState.FINISHED, values={"score": float(run.number)})
        study.tell(run, outcome)
    assert [run.values["score"] for run in study.runs] == [0.0, 1.0, 2.0]
    assert all(run.values["size"] == known(run.parameters)["size"] for run in study.runs)


def test_known_values_are_there_before_a_run_ends(store: Store) -> None:
    run = make_study(store).ask()
    assert run is not None
    assert run.state is RunState.RUNNING
    assert run.values == known(run.parameters)


def test_two_owners_never_get_the_same_run_and_share_the_budget(store: Store) -> None:
    one, other = make_study(store, budget=3, owner="a"), make_study(store, owner="b")
    runs = [one.ask(), other.ask(), one.ask(), other.ask()]
    assert [run.number if run else None for run in runs] == [0, 1, 2, None]


def test_no_owner_can_tell_for_another(store: Store) -> None:
    run = make_study(store, owner="a").ask()
    assert run is not None
    with pytest.raises(StoreError, match="run 0"):
        make_study(store, owner="b").tell(run, FINISHED)
    assert store.run("s", 0).state is RunState.RUNNING


def test_a_released_run_comes_next_with_its_parameters(store: Store) -> None:
    study = make_study(store)
    first, second = study.ask(), study.ask()
    assert first is not None
    assert second is not None
    study.tell(second, FINISHED)
    assert [run.number for run in study.release()] == [first.number]
    again = study.ask()
    assert again is not None
    assert (again.number, again.parameters, again.attempts) == (0, first.parameters, 2)


def test_release_leaves_the_runs_of_others(store: Store) -> None:
    make_study(store, owner="a").ask()
    assert make_study(store, owner="b").release() == ()
    assert store.run("s", 0).state is RunState.RUNNING


def test_runs_of_a_dead_process_are_released_and_those_of_a_living_one_are_not(
    store: Store,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = psutil.Process(process.pid).create_time()
        owner = f"{socket.gethostname()}:{process.pid}:{started:.2f}"
        make_study(store, owner=owner).ask()
        study = make_study(store)
        study.ask()
        assert study.release_lost() == ()
        process.kill()
    assert [run.number for run in study.release_lost()] == [0]
    assert [run.state for run in study.runs] == [RunState.WAITING, RunState.RUNNING]


def test_a_recycled_process_number_is_not_the_owner(store: Store) -> None:
    make_study(store, owner=f"{socket.gethostname()}:{os.getpid()}:1.00").ask()
    assert len(make_study(store).release_lost()) == 1


def test_an_owner_elsewhere_is_given_up_only_after_a_silence(store: Store) -> None:
    make_study(store, owner="another-machine:1:1.00").ask()
    assert make_study(store).release_lost() == ()


def test_curves_go_on_from_the_checkpoint(store: Store) -> None:
    study = make_study(store)
    assert study.ask()
    points = [CurvePoint(step=s, metric="loss", value=1.0, seconds=1.0) for s in (1, 2, 3)]
    study.report(0, points)
    study.begin(0, step=2, total_steps=9, epoch_steps=3)
    study.report(0, [replace(points[2], value=0.5)])
    assert [(p.step, p.value) for p in store.points("s", 0)] == [(1, 1.0), (2, 1.0), (3, 0.5)]


def test_a_queued_run_comes_before_the_samplers_and_counts_for_the_budget(store: Store) -> None:
    study = make_study(store, budget=2)
    queued = study.queue({"depth": 2, "rate": 0.25, "seed": 7})
    assert queued is not None
    assert queued.values == {"size": 20.0}
    first, second, third = study.ask(), study.ask(), study.ask()
    assert first is not None
    assert first.parameters == {"depth": 2, "rate": 0.25, "seed": 7}
    assert second is not None
    assert second.parameters.keys() == {"depth", "rate"}
    assert third is None
    assert study.queue({"depth": 3, "rate": 0.5}) is None


def test_the_sampler_learns_from_runs_of_the_space_only(store: Store) -> None:
    class Listening(Sampler):
        heard: tuple[int, ...] = ()

        @override
        def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
            self.heard = tuple(run.number for run in runs)
            return {"depth": 1, "rate": 0.5}

    sampler = Listening()
    study = replace(make_study(store), sampler=sampler)
    study.queue({"depth": 2, "rate": 0.25})
    study.queue({"depth": 2, "rate": 0.25, "alpha_ce": 0.0})
    study.queue({"depth": 9, "rate": 0.25})
    for _ in range(4):
        study.ask()
    assert sampler.heard == (0,)


def _before(store: Store, *ended: tuple[Parameters, Outcome]) -> None:
    """A study ``before`` with runs that have ended."""
    store.create_study("before", budget=len(ended) + 1, seed=0, config="{}")
    for parameters, outcome in ended:
        run = store.add_run("before", parameters, values={"num_parameters": 9.0}, owner="a")
        assert run is not None
        store.end_run("before", run.number, outcome, owner="a")


def _tiny_config(folder: Path) -> StudyConfig:
    """A search in num_layers from 1 to 3 and learning_rate, for exact and num_parameters."""
    return load_config(write_tiny_study(folder, optimizer={"earlier": "before"}))


def test_a_search_starts_from_runs_that_have_its_parameters_and_a_value(
    store: Store, tmp_path: Path
) -> None:
    exact = Outcome(state=RunState.FINISHED, values={"exact": 50.0})
    parameters: Parameters = {"num_layers": 2, "learning_rate": 0.01}
    _before(
        store,
        (parameters, Outcome(state=RunState.INFEASIBLE, values={"exact": 50.0})),
        (parameters, Outcome(state=RunState.FINISHED, values={"exact": math.nan})),
        ({**parameters, "num_layers": 4}, exact),
        ({**parameters, "dropout": 0.1}, exact),
        ({"num_layers": 2}, exact),
        (parameters, exact),
        (parameters, Outcome(state=RunState.STOPPED, values={"exact": 50.0})),
    )
    store.add_run("before", parameters, values={"num_parameters": 9.0}, owner="a")
    runs = earlier_runs(store, "before", config=_tiny_config(tmp_path))
    assert [run.number for run in runs] == [5, 6]
    assert runs[0].values == {"num_parameters": 9.0, "exact": 50.0}


def test_a_search_cannot_start_from_a_study_that_teaches_it_nothing(
    store: Store, tmp_path: Path
) -> None:
    config = _tiny_config(tmp_path)

    def refused(name: str = "before") -> str:
        with pytest.raises(ConfigError, match=r"^optimizer\.earlier: ") as caught:
            earlier_runs(store, name, config=config)
        return str(caught.value)

    assert refused().endswith("no study 'before' in the store, which is empty")
    store.create_study("before", budget=9, seed=0, config="{}")
    assert refused("befor").endswith("no study 'befor' in the store; did you mean 'before'?")
    assert "study 'before' must have finished runs to learn from, but has no runs; " in refused()
    outcome = Outcome(state=RunState.FINISHED, values={"f1": 50.0, "num_parameters": 9.0})
    for rate in (0.01, 0.02):
        run = store.add_run(
            "before", {"num_layers": 4, "learning_rate": rate}, values={}, owner="a"
        )
        assert run is not None
        store.end_run("before", run.number, outcome, owner="a")
        outcome = replace(outcome, values={"exact": 50.0})
        if rate == 0.01:
            assert "finished runs to learn from, but none of its 1 is one; " in refused()
    assert refused() == (
        "optimizer.earlier: study 'before' must have runs with parameters of this search, but none "
        "of its 1 finished runs has: of run 1, num_layers must be between 1 and 3, but got 4; "
        "search the same, or remove the key"
    )


def test_without_a_sampler_only_queued_runs_are_made(store: Store) -> None:
    study = replace(make_study(store), sampler=None)
    study.queue({"depth": 2, "rate": 0.25})
    assert study.ask()
    assert study.ask() is None


def test_what_no_run_has_is_missing_and_is_queued_within_the_budget(store: Store) -> None:
    study = replace(make_study(store, budget=2), sampler=None)
    wanted: list[Parameters] = [{"depth": 2, "rate": 0.25}, {"depth": 3, "rate": 0.5}]
    queue_all(study, missing(wanted, study.runs))
    assert [run.parameters for run in study.runs] == wanted
    assert missing(wanted, study.runs) == []
    assert missing(wanted, study.runs[1:]) == wanted[:1]
    with pytest.raises(ConfigError, match="budget is spent; raise the number of runs"):
        queue_all(study, wanted)


class _Exhausted(Sampler):
    @override
    def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
        raise ExhaustedError("nothing left")


def test_an_exhausted_space_ends_the_study_and_is_written_down(store: Store) -> None:
    study = replace(make_study(store), sampler=_Exhausted())
    assert study.ask() is None
    assert [(event.kind, event.text) for event in store.events("s")] == [
        ("exhausted", "nothing left")
    ]


@pytest.fixture
def config(tmp_path: Path) -> StudyConfig:
    return load_config(write_tiny_study(tmp_path / "study"))


def test_a_study_is_entered_once_and_then_gone_on_with(store: Store, config: StudyConfig) -> None:
    enter(store, config, runs=4)
    enter(store, config, runs=9)
    assert [(record.name, record.budget) for record in store.studies()] == [("tiny", 9)]
    stored = stored_config(store, "tiny")
    assert stored == config


def test_another_space_cannot_go_on_with_a_study(
    store: Store, config: StudyConfig, tmp_path: Path
) -> None:
    enter(store, config, runs=4)
    space = {"num_layers": {"type": "integer", "low": 1, "high": 2}}
    other = load_config(write_tiny_study(tmp_path / "other", space=space, seed=1))
    with pytest.raises(ConfigError, match=r"study 'tiny' must go on .* but seed, space changed"):
        enter(store, other, runs=9)
    assert store.study("tiny").budget == 4
    assert json.loads(store.study("tiny").config)["file"]["seed"] == 0


def test_other_constraints_or_conditions_cannot_go_on_with_a_study(
    store: Store, config: StudyConfig, tmp_path: Path
) -> None:
    enter(store, config, runs=4)
    changes: dict[str, Any] = {
        "constraints": ["num_layers < 3"],
        "space": {"learning_rate": {"when": {"num_layers": [2]}}},
    }
    for changed, value in changes.items():
        other = load_config(write_tiny_study(tmp_path / changed, **{changed: value}))
        with pytest.raises(ConfigError, match=rf"study 'tiny' must go on .* but {changed} changed"):
            enter(store, other, runs=9)


def test_a_study_begun_before_a_rule_goes_on_with_the_mended_file(
    store: Store, config: StudyConfig
) -> None:
    enter(store, config, runs=4)
    stored = json.loads(store.study("tiny").config)
    stored["file"]["optimizer"] |= {"sampler": "quasirandom", "initial_runs": 3}
    store.update_study("tiny", budget=4, config=json.dumps(stored))
    assert stored_config(store, "tiny").file.optimizer.initial_runs == 3
    enter(store, config, runs=9)
    assert stored_config(store, "tiny") == config


def test_budget_workers_and_device_may_change(
    store: Store, config: StudyConfig, tmp_path: Path
) -> None:
    enter(store, config, runs=4)
    changed = {"budget": {"runs": 9, "workers": 2}, "training": {"log_every": 1}}
    enter(store, load_config(write_tiny_study(tmp_path / "other", **changed)), runs=9)
    assert store.study("tiny").budget == 9


FAILED = Outcome(state=RunState.FAILED, reason="killed", message="signal 9")


def test_a_failed_run_is_tried_again_so_often_and_not_more(store: Store) -> None:
    study = replace(make_study(store, budget=1), retries=2)
    told = []
    for _ in range(3):
        run = study.ask()
        assert run is not None
        assert run.number == 0
        told.append(study.tell(run, FAILED))
    assert told == [False, False, True]
    assert study.ask() is None
    [run] = study.runs
    assert (run.state, run.reason, run.failures, run.attempts) == (
        RunState.FAILED,
        "killed",
        2,
        3,
    )


def test_a_run_that_an_outage_ended_is_tried_again_without_end(store: Store) -> None:
    study = make_study(store, budget=1)
    full = replace(FAILED, reason="disk-full", message="no space")
    for _ in range(3):
        run = study.ask()
        assert run is not None
        study.wait_again(run, full)
    assert study.runs[0].failures == 0
    assert [event.kind for event in store.events("s")] == 3 * ["released", "disk-full"]


def test_only_runs_that_may_change_are_read_again(store: Store) -> None:
    study = make_study(store, budget=9)
    queued = study.queue({"depth": 2, "rate": 0.5, "other": 1})
    asked = [study.ask() for _ in range(5)]
    assert queued is not None
    for run in (asked[0], asked[1], asked[3]):
        assert run is not None
        study.tell(run, FINISHED)
        fitting = [each for each in study.runs if each.number != queued.number]
        assert study.history.update() == (fitting, 5)
    assert study.history.settled == 2
    assert study.history.update() == (
        [run for run in store.runs("s") if run.number != queued.number],
        5,
    )


def test_a_study_is_spent_when_nothing_waits_and_nothing_may_be_added(store: Store) -> None:
    study = make_study(store, budget=2)
    study.ask()
    assert not study.is_spent
    study.queue({"depth": 1, "rate": 0.0})
    assert not study.is_spent
    study.ask()
    assert study.is_spent


def test_what_was_asked_for_and_never_heard_of_is_free_again(store: Store) -> None:
    study = make_study(store)
    first, second = study.ask(), study.ask()
    assert first is not None
    assert second is not None
    assert [run.number for run in study.release(but=[first.number])] == [second.number]
    assert study.release(but=[first.number]) == ()
