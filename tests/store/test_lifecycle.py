"""What happens to runs between asking and ending: retries, stops, pauses, and outages."""

import math
import sqlite3
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from limbeck.errors import ConfigError, LimbeckWarning, NotOwnerError, UnavailableError
from limbeck.runs import CurvePoint, Forecast, Outcome, Reason, RunState
from limbeck.store import Store
from tests.store.conftest import ME, MODEL, OTHER, Clock, ask, begin, finished, point

KILLED = Outcome(
    state=RunState.FAILED,
    reason=Reason.KILLED,
    message="the worker ended with signal 9",
    error_type="RuntimeError",
    traceback="line 1\nline 2",
    seconds=3.0,
)


class TestRetries:
    def test_a_run_that_is_tried_again_waits_with_what_went_wrong(self, store: Store) -> None:
        run = ask(store, layers=2)
        store.retry_run("bert", 0, KILLED, owner=ME)
        waiting = store.run("bert", 0)
        assert waiting == replace(
            run,
            state=RunState.WAITING,
            owner="",
            failures=1,
            reason="killed",
            message=KILLED.message,
            error_type="RuntimeError",
            traceback="line 1\nline 2",
        )
        [event] = store.events("bert")
        assert (event.kind, event.number) == ("released", 0)
        assert "killed: the worker ended with signal 9" in event.text

    def test_what_went_wrong_is_forgotten_when_it_ends_well(self, store: Store) -> None:
        ask(store)
        store.retry_run("bert", 0, KILLED, owner=ME)
        store.claim_waiting("bert", owner=OTHER)
        store.end_run("bert", 0, finished(exact=50.0), owner=OTHER)
        run = store.run("bert", 0)
        assert (run.failures, run.attempts) == (1, 2)
        assert (run.reason, run.message, run.error_type, run.traceback) == ("", "", "", "")

    def test_trying_again_counts_once_however_often_it_is_told(self, store: Store) -> None:
        ask(store)
        store.retry_run("bert", 0, KILLED, owner=ME)
        store.retry_run("bert", 0, KILLED, owner=ME)
        assert store.run("bert", 0).failures == 1
        assert len(store.events("bert")) == 1

    def test_only_the_owner_has_a_run_tried_again(self, store: Store) -> None:
        ask(store)
        with pytest.raises(NotOwnerError, match=f"is run by {ME}, not by {OTHER}"):
            store.retry_run("bert", 0, KILLED, owner=OTHER)
        store.release("bert", 0, owner=ME)
        with pytest.raises(NotOwnerError, match="run 0 of 'bert' is waiting"):
            store.retry_run("bert", 0, KILLED, owner=OTHER)


class TestToldTwice:
    """A connection that breaks at a commit leaves nobody knowing: what is told is told again."""

    def test_an_ended_run(self, store: Store, clock: Clock) -> None:
        ask(store)
        outcome = Outcome(
            state=RunState.FINISHED, values={"exact": 50.0, "f1": math.nan}, artifacts=(MODEL,)
        )
        store.end_run("bert", 0, outcome, owner=ME)
        before = repr(store.run("bert", 0))
        clock.advance(5)
        store.end_run("bert", 0, outcome, owner=ME)
        assert repr(store.run("bert", 0)) == before
        with pytest.raises(NotOwnerError, match="run 0 of 'bert' is finished"):
            store.end_run("bert", 0, replace(outcome, values={"exact": 51.0}), owner=ME)

    def test_a_run_given_back(self, store: Store) -> None:
        ask(store)
        waiting = store.release("bert", 0, owner=ME)
        assert store.release("bert", 0, owner=ME) == waiting
        assert len(store.events("bert")) == 1


class TestStops:
    def test_a_waiting_run_is_stopped_at_once(self, store: Store, clock: Clock) -> None:
        ask(store, owner=None)
        [run] = store.request_stop("bert", 0)
        assert (run.state, run.reason, run.ended) == (RunState.STOPPED, "by-hand", clock.now)
        assert store.claim_waiting("bert", owner=ME) is None

    def test_a_running_run_is_stopped_by_its_owner_who_hears_of_it(self, store: Store) -> None:
        for _ in range(3):
            ask(store)
        store.add_run("bert", {}, values={}, owner=OTHER)
        mine, another = store.request_stop("bert", 2, 3)
        assert mine.state is RunState.RUNNING
        assert another.stop_requested
        assert store.heartbeat("bert", owner=ME) == (2,)
        assert store.heartbeat("bert", owner=OTHER) == (3,)
        stopped = Outcome(state=RunState.STOPPED, reason=Reason.BY_HAND)
        store.end_run("bert", 2, stopped, owner=ME)
        assert store.heartbeat("bert", owner=ME) == ()
        assert not store.run("bert", 2).stop_requested

    def test_a_run_to_be_stopped_does_not_wait_again(self, store: Store) -> None:
        ask(store)
        store.request_stop("bert", 0)
        assert store.release("bert", 0, owner=ME).state is RunState.STOPPED
        assert store.claim_waiting("bert", owner=ME) is None

    def test_an_ended_run_cannot_be_stopped(self, store: Store) -> None:
        ask(store)
        store.end_run("bert", 0, finished(), owner=ME)
        with pytest.raises(ConfigError, match="run 0 of 'bert' is finished; name another"):
            store.request_stop("bert", 0)

    def test_where_one_of_several_has_ended_none_is_stopped(self, store: Store) -> None:
        for _ in range(2):
            ask(store)
        ask(store, owner=None)
        store.end_run("bert", 0, finished(), owner=ME)
        with pytest.raises(ConfigError, match="run 0 of 'bert' is finished"):
            store.request_stop("bert", 2, 1, 0)
        assert store.run("bert", 2).state is RunState.WAITING
        assert store.heartbeat("bert", owner=ME) == ()

    def test_forecasts_of_a_stopped_run_are_kept(self, store: Store) -> None:
        ask(store)
        forecasts = {"exact": Forecast(mean=41.5, std=1.25), "f1": Forecast(mean=44.0, std=0.5)}
        outcome = Outcome(state=RunState.STOPPED, reason=Reason.NO_GAIN, forecasts=forecasts)
        store.end_run("bert", 0, outcome, owner=ME)
        assert store.run("bert", 0).forecasts == forecasts


def test_a_study_is_paused_until_it_is_resumed(store: Store) -> None:
    assert not store.study("bert").paused
    assert store.set_paused("bert", paused=True).paused
    assert store.study("bert").paused
    assert not store.set_paused("bert", paused=False).paused


class TestCurves:
    def test_beginning_again_drops_what_lies_beyond(self, store: Store) -> None:
        ask(store)
        store.begin_run("bert", 0, step=0, total_steps=139, epoch_steps=70, owner=ME)
        store.add_points("bert", 0, [point(1), point(2), point(3)], owner=ME)
        begin(store, 0, step=2)
        assert store.points("bert", 0) == (point(1), point(2))
        store.add_points("bert", 0, [], owner=ME)
        run = store.run("bert", 0)
        assert (run.total_steps, run.epoch_steps) == (139, 139)

    def test_all_curves_of_a_study(self, store: Store) -> None:
        store.create_study("other", budget=1, seed=0, config="")
        store.add_run("other", {}, values={}, owner=ME)
        store.add_points("other", 0, [point(1)], owner=ME)
        for number in range(3):
            ask(store)
            if number != 1:
                store.add_points("bert", number, [point(2), point(1)], owner=ME)
        store.add_points("bert", 2, [point(1, "exact", 40.0)], owner=ME)
        assert store.all_points("bert", metrics=["loss"]) == {
            0: (point(1), point(2)),
            2: (point(1), point(2)),
        }
        exact = CurvePoint(step=1, metric="exact", value=40.0, seconds=0.5)
        assert store.all_points("bert", first=1) == {2: (exact, point(1), point(2))}


def test_runs_from_a_number_on(store: Store) -> None:
    for layers in range(4):
        ask(store, layers=layers)
    assert store.runs("bert", first=2) == store.runs("bert")[2:]
    assert store.runs("bert", first=4) == ()


def test_a_dropped_artifact_is_gone_and_others_stay(store: Store) -> None:
    log = replace(MODEL, name="log.txt")
    ask(store)
    store.end_run("bert", 0, replace(finished(), artifacts=(MODEL, log)), owner=ME)
    store.drop_artifact("bert", 0, "model")
    store.drop_artifact("bert", 0, "model")
    assert store.run("bert", 0).artifacts == (log,)


class TestPatience:
    def test_a_store_without_patience_gives_up_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        with Store(f"sqlite:///{path}?timeout=0") as store:
            store.create_study("bert", budget=1, seed=0, config="")
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError, match="stayed locked"):
                store.add_event("bert", "note", "x")
            holder.execute("ROLLBACK")
            holder.close()

    def test_a_patient_store_says_that_it_waits_and_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "runs.db"
        with Store(f"sqlite:///{path}?timeout=0", patience=60) as store:
            store.create_study("bert", budget=1, seed=0, config="")
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            said: list[str] = []

            def let_go(message: Warning | str, *_rest: object) -> None:
                said.append(str(message))
                holder.execute("ROLLBACK")

            with warnings.catch_warnings():
                warnings.simplefilter("always", LimbeckWarning)
                monkeypatch.setattr(warnings, "showwarning", let_go)
                store.add_event("bert", "note", "x")
            holder.close()
            [words] = said
            assert "stayed locked" in words
            assert words.endswith("; trying for 60 s")
            assert [event.kind for event in store.events("bert")] == ["note"]
