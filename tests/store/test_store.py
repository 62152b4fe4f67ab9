from dataclasses import replace

import pytest

from limbeck.errors import ConfigError, NotFoundError, StoreError
from limbeck.runs import Artifact, Outcome, Run, RunState
from limbeck.space import Value
from limbeck.store import Event, Store, StudyRecord
from tests.store.conftest import ME, MODEL, OTHER, Clock, ask, begin, finished, point

LOG = Artifact(name="log", path="runs/0/log.txt", sha256="cd" * 32, bytes=0)


class TestStudies:
    def test_are_read_back_as_created(self, store: Store, clock: Clock) -> None:
        created = clock.advance(5)
        record = store.create_study("tiny", budget=10, seed=2**40, config="# é\n")
        assert record == StudyRecord(
            name="tiny", budget=10, seed=2**40, config="# é\n", created=created
        )
        assert store.study("tiny") == record
        assert [study.name for study in store.studies()] == ["bert", "tiny"]

    def test_a_name_is_given_once(self, store: Store) -> None:
        before = store.studies()
        with pytest.raises(ConfigError, match="'bert' is there already; resume it"):
            store.create_study("bert", budget=99, seed=1, config="other")
        assert store.studies() == before

    def test_update_changes_budget_and_config_of_one_study(self, store: Store) -> None:
        other = store.create_study("tiny", budget=1, seed=1, config="")
        run = ask(store, layers=2)
        record = store.update_study("bert", budget=9, config="new")
        assert record == replace(store.study("bert"), budget=9, config="new", seed=7)
        assert store.study("tiny") == other
        assert store.runs("bert") == (run,)

    def test_unknown_study_names_the_nearest(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="no study 'brt'; did you mean 'bert'"):
            store.runs("brt")
        with pytest.raises(NotFoundError, match="no study 'brt'; did you mean 'bert'"):
            store.add_run("brt", {}, values={}, owner=ME)

    def test_unknown_study_of_an_empty_store(self, url: str) -> None:
        with Store(url) as empty, pytest.raises(NotFoundError, match="the store is empty"):
            empty.study("bert")

    def test_runs_of_two_studies_are_numbered_and_listed_apart(self, store: Store) -> None:
        store.create_study("tiny", budget=1, seed=1, config="")
        mine = ask(store, layers=1)
        theirs = store.add_run("tiny", {"layers": 2}, values={}, owner=ME)
        assert theirs is not None
        assert (mine.number, theirs.number) == (0, 0)
        assert store.runs("bert") == (mine,)
        assert store.runs("tiny") == (theirs,)

    def test_runs_of_another_study_are_left_alone(self, store: Store, clock: Clock) -> None:
        store.create_study("tiny", budget=2, seed=1, config="")
        store.add_run("tiny", {}, values={}, owner=None)
        store.add_run("tiny", {}, values={}, owner=ME)
        before = store.runs("tiny")
        assert store.claim_waiting("bert", owner=ME) is None
        assert store.release_stale("bert", lambda _run, _seconds: True) == ()
        clock.advance(100)
        store.heartbeat("bert", owner=ME)
        assert store.runs("tiny") == before
        [released] = store.release_stale("tiny", lambda _run, seconds: seconds == 100)
        assert released.number == 1


class TestAsking:
    def test_a_new_run_has_what_was_given(self, store: Store, clock: Clock) -> None:
        parameters: dict[str, Value] = {"layers": 3, "dropout": 0.0, "share": False, "act": "gelu"}
        run = store.add_run("bert", parameters, values={"num_parameters": 66e6}, owner=ME)
        assert run == Run(
            number=0,
            parameters=parameters,
            state=RunState.RUNNING,
            owner=ME,
            values={"num_parameters": 66e6},
            created=clock.now,
            started=clock.now,
            attempts=1,
        )
        assert store.run("bert", 0) == run

    def test_the_budget_bounds_the_number_of_runs(self, store: Store) -> None:
        assert [ask(store).number for _ in range(4)] == [0, 1, 2, 3]
        assert store.add_run("bert", {}, values={}, owner=ME) is None
        assert store.add_run("bert", {}, values={}, owner=None) is None
        store.end_run("bert", 1, Outcome(state=RunState.FAILED), owner=ME)
        assert store.add_run("bert", {}, values={}, owner=ME) is None, "ended runs count too"
        store.update_study("bert", budget=5, config="")
        assert ask(store).number == 4

    def test_waiting_runs_are_claimed_in_order_with_their_parameters(
        self, store: Store, clock: Clock
    ) -> None:
        created = clock.now
        waiting = [ask(store, owner=None, layers=layers) for layers in (6, 3)]
        assert [(run.state, run.owner, run.attempts) for run in waiting] == [
            (RunState.WAITING, "", 0)
        ] * 2
        started = clock.advance(60)
        first = store.claim_waiting("bert", owner=ME)
        second = store.claim_waiting("bert", owner=OTHER)
        assert first == Run(
            number=0,
            parameters={"layers": 6},
            state=RunState.RUNNING,
            owner=ME,
            created=created,
            started=started,
            attempts=1,
        )
        assert second is not None
        assert (second.number, second.owner, second.parameters) == (1, OTHER, {"layers": 3})
        assert store.claim_waiting("bert", owner=ME) is None

    def test_neither_running_nor_ended_runs_are_claimed(self, store: Store) -> None:
        ask(store)
        ask(store)
        store.end_run("bert", 1, finished(), owner=ME)
        before = store.runs("bert")
        assert store.claim_waiting("bert", owner=OTHER) is None
        assert store.runs("bert") == before

    def test_unknown_run_names_the_known_ones(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="no run 0; it has no runs yet"):
            store.run("bert", 0)
        ask(store)
        ask(store)
        with pytest.raises(NotFoundError, match="study 'bert' has no run 2; its runs are 0 to 1"):
            store.end_run("bert", 2, finished(), owner=ME)

    def test_what_is_returned_is_a_copy(self, store: Store) -> None:
        parameters = dict(ask(store, layers=3).parameters)
        parameters["layers"] = 99
        mine = store.run("bert", 0)
        assert isinstance(mine.parameters, dict)
        mine.parameters["layers"] = 99
        assert store.run("bert", 0).parameters == {"layers": 3}


class TestEnding:
    def test_an_outcome_is_kept_whole(self, store: Store, clock: Clock) -> None:
        run = store.add_run("bert", {"layers": 3}, values={"size": 10.0, "flops": 5.0}, owner=ME)
        assert run is not None
        ended = clock.advance(90)
        outcome = Outcome(
            state=RunState.STOPPED,
            values={"exact": 61.5, "size": 11.0},
            errors={"exact": 1.75},
            reason="pruned",
            message="below the median: 61.5",
            artifacts=(MODEL, LOG),
            seconds=88.25,
        )
        store.end_run("bert", 0, outcome, owner=ME)
        assert store.run("bert", 0) == replace(
            run,
            state=RunState.STOPPED,
            owner="",
            values={"flops": 5.0, "exact": 61.5, "size": 11.0},
            errors={"exact": 1.75},
            reason="pruned",
            message="below the median: 61.5",
            artifacts=(MODEL, LOG),
            seconds=88.25,
            ended=ended,
        )

    def test_runs_that_end_out_of_order_keep_their_own_values(self, store: Store) -> None:
        for layers in range(4):
            ask(store, layers=layers)
        for number in (2, 0, 3):
            store.end_run("bert", number, finished(exact=10.0 * number), owner=ME)
        store.end_run("bert", 1, Outcome(state=RunState.FAILED, message="bug"), owner=ME)
        assert [(run.number, run.parameters, run.values) for run in store.runs("bert")] == [
            (0, {"layers": 0}, {"exact": 0.0}),
            (1, {"layers": 1}, {}),
            (2, {"layers": 2}, {"exact": 20.0}),
            (3, {"layers": 3}, {"exact": 30.0}),
        ]

    @pytest.mark.parametrize("state", [state for state in RunState if state.ended])
    def test_an_ended_run_never_changes(self, store: Store, clock: Clock, state: RunState) -> None:
        ask(store)
        store.add_points("bert", 0, [point(1)], owner=ME)
        store.end_run("bert", 0, Outcome(state=state, values={"exact": 1.0}), owner=ME)
        before = store.run("bert", 0), store.points("bert", 0), store.events("bert")
        clock.advance(10)
        refused = pytest.raises(StoreError, match=f"run 0 of 'bert' is {state}; drop this result")
        with refused:
            store.end_run("bert", 0, finished(exact=99.0), owner=ME)
        with refused:
            store.end_run("bert", 0, finished(exact=99.0), owner="")
        with refused:
            store.release("bert", 0, owner=ME)
        with refused:
            store.add_points("bert", 0, [point(2)], owner=ME)
        with refused:
            begin(store, 0, step=-1, owner=ME)
        store.heartbeat("bert", owner=ME)
        store.heartbeat("bert", owner="")
        assert store.release_stale("bert", lambda _run, _seconds: True) == ()
        assert store.claim_waiting("bert", owner=ME) is None
        assert (store.run("bert", 0), store.points("bert", 0), store.events("bert")) == before

    def test_only_the_owner_writes_to_a_run(self, store: Store) -> None:
        run = ask(store)
        refused = pytest.raises(StoreError, match=f"run 0 of 'bert' is run by {ME}, not by {OTHER}")
        with refused:
            store.end_run("bert", 0, finished(exact=1.0), owner=OTHER)
        with refused:
            store.release("bert", 0, owner=OTHER)
        with refused:
            store.add_points("bert", 0, [point(1)], owner=OTHER)
        with refused:
            begin(store, 0, step=0, owner=OTHER)
        assert store.run("bert", 0) == run
        assert store.points("bert", 0) == ()

    def test_a_waiting_run_cannot_end(self, store: Store) -> None:
        run = ask(store, owner=None)
        with pytest.raises(StoreError, match="run 0 of 'bert' is waiting"):
            store.end_run("bert", 0, finished(), owner="")
        assert store.run("bert", 0) == run

    def test_a_refused_outcome_leaves_nothing_behind(self, store: Store) -> None:
        """Its second artifact is refused when state, values and the first are written already."""
        run = store.add_run("bert", {}, values={"size": 10.0}, owner=ME)
        twice = Outcome(
            state=RunState.FINISHED, values={"size": 11.0, "exact": 1.0}, artifacts=(MODEL, MODEL)
        )
        with pytest.raises(StoreError, match=r"the store .* refuses: .*artifacts"):
            store.end_run("bert", 0, twice, owner=ME)
        assert store.run("bert", 0) == run
        store.end_run("bert", 0, replace(twice, artifacts=(MODEL,)), owner=ME)
        assert store.run("bert", 0).artifacts == (MODEL,)


class TestReleasing:
    def test_ones_own_run_waits_again_and_keeps_what_it_was(
        self, store: Store, clock: Clock
    ) -> None:
        run = ask(store, layers=3)
        store.add_points("bert", 0, [point(1)], owner=ME)
        released = clock.advance(7)
        assert store.release("bert", 0, owner=ME) == replace(run, state=RunState.WAITING, owner="")
        assert store.points("bert", 0) == (point(1),)
        assert store.events("bert") == (
            Event(
                time=released,
                kind="released",
                text=f"run 0 waits again: {ME} gave it back",
                number=0,
            ),
        )
        again = store.claim_waiting("bert", owner=OTHER)
        assert again == replace(run, owner=OTHER, attempts=2, started=clock.now)

    def test_stale_runs_are_told_by_run_and_silence(self, store: Store, clock: Clock) -> None:
        silent = ask(store)
        clock.advance(100)
        alive = ask(store, owner=OTHER)
        ask(store, owner=None)
        store.end_run("bert", ask(store).number, finished(), owner=ME)
        clock.advance(20)
        seen: list[tuple[int, str, float]] = []

        def is_stale(run: Run, seconds: float) -> bool:
            seen.append((run.number, run.owner, seconds))
            return seconds > 50

        assert store.release_stale("bert", is_stale) == (
            replace(silent, state=RunState.WAITING, owner=""),
        )
        assert seen == [(0, ME, 120.0), (1, OTHER, 20.0)]
        assert store.run("bert", 1) == alive
        [released] = store.events("bert")
        assert released.text == f"run 0 waits again: no sign of {ME} for 120 s"

    def test_a_heartbeat_is_for_all_runs_of_its_owner(self, store: Store, clock: Clock) -> None:
        ask(store)
        ask(store)
        ask(store, owner=OTHER)
        clock.advance(100)
        store.heartbeat("bert", owner=ME)
        clock.advance(1)
        silence: dict[int, float] = {}
        store.release_stale(
            "bert", lambda run, seconds: bool(silence.update({run.number: seconds}))
        )
        assert silence == {0: 1.0, 1: 1.0, 2: 101.0}

    def test_a_run_heard_of_in_the_meantime_is_left_alone(self, store: Store, clock: Clock) -> None:
        """The owner speaks up, or ends its run, after the look and before the release."""
        for _ in range(3):
            ask(store)
        clock.advance(100)

        def is_stale(run: Run, _seconds: float) -> bool:
            if run.number == 0:
                store.end_run("bert", 0, finished(exact=1.0), owner=ME)
            if run.number == 1:
                store.release("bert", 1, owner=ME)
                store.claim_waiting("bert", owner=OTHER)
            return True

        assert [run.number for run in store.release_stale("bert", is_stale)] == [2]
        assert [(run.state, run.owner) for run in store.runs("bert")] == [
            (RunState.FINISHED, ""),
            (RunState.RUNNING, OTHER),
            (RunState.WAITING, ""),
        ]

    def test_a_late_heartbeat_saves_the_run(self, store: Store, clock: Clock) -> None:
        run = ask(store)
        clock.advance(100)

        def is_stale(_run: Run, _seconds: float) -> bool:
            store.heartbeat("bert", owner=ME)
            return True

        assert store.release_stale("bert", is_stale) == ()
        assert store.run("bert", 0) == run
        assert store.events("bert") == ()
