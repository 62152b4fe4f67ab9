import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event

from limbeck.errors import NotFoundError
from limbeck.space import Value
from limbeck.store import Event, Store
from tests.store.conftest import ME, MODEL, Clock, ask, begin, finished, point


class TestCurves:
    def test_points_come_in_batches_and_leave_in_step_order(self, store: Store) -> None:
        ask(store)
        ask(store)
        store.add_points("bert", 0, [point(20), point(20, "exact", 55.0)], owner=ME)
        store.add_points("bert", 0, [], owner=ME)
        store.add_points("bert", 0, [point(10, "exact", 50.0), point(10)], owner=ME)
        store.add_points("bert", 1, [point(15)], owner=ME)
        assert store.points("bert", 0) == (
            point(10, "exact", 50.0),
            point(10),
            point(20, "exact", 55.0),
            point(20),
        )
        assert store.points("bert", 0, metric="exact") == (
            point(10, "exact", 50.0),
            point(20, "exact", 55.0),
        )
        assert store.points("bert", 0, metric="f1") == ()

    def test_a_thousand_points(self, store: Store) -> None:
        ask(store)
        batch = [point(step, value=math.exp(-step / 100)) for step in range(1000)]
        store.add_points("bert", 0, batch, owner=ME)
        assert store.points("bert", 0) == tuple(batch)

    def test_the_first_value_of_a_step_stands(self, store: Store) -> None:
        """So that the same points may be told again when nobody knows whether they arrived."""
        ask(store)
        store.add_points("bert", 0, [point(1), point(2)], owner=ME)
        store.add_points("bert", 0, [point(3), point(2, value=9.0)], owner=ME)
        assert store.points("bert", 0) == (point(1), point(2), point(3))

    def test_points_beyond_a_checkpoint_are_dropped(self, store: Store) -> None:
        ask(store)
        ask(store)
        for number in (0, 1):
            batch = [point(step, metric) for step in (1, 2, 3) for metric in ("a", "b")]
            store.add_points("bert", number, batch, owner=ME)
        begin(store, 0, step=2, owner=ME)
        assert [(p.step, p.metric) for p in store.points("bert", 0)] == [
            (1, "a"),
            (1, "b"),
            (2, "a"),
            (2, "b"),
        ]
        assert len(store.points("bert", 1)) == 6
        store.add_points("bert", 0, [point(3, "a", 9.0)], owner=ME)
        begin(store, 0, step=-1, owner=ME)
        assert store.points("bert", 0) == ()


class TestEvents:
    def test_events_stand_in_the_order_they_were_written(self, store: Store, clock: Clock) -> None:
        store.create_study("tiny", budget=1, seed=1, config="")
        ask(store)
        ask(store)
        start = clock.now
        store.add_event("bert", "resumed", "2 runs to go")
        store.add_event("tiny", "resumed", "elsewhere")
        clock.advance(1)
        store.add_event("bert", "retried", "out of memory at batch 32", number=1)
        assert store.events("bert") == (
            Event(time=start, kind="resumed", text="2 runs to go"),
            Event(
                time=start + timedelta(seconds=1),
                kind="retried",
                text="out of memory at batch 32",
                number=1,
            ),
        )

    def test_an_event_of_no_run_is_refused(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="has no run 5"):
            store.add_event("bert", "retried", "?", number=5)
        assert store.events("bert") == ()


class TestValues:
    def test_times_come_back_in_utc(self, url: str) -> None:
        summer = timezone(timedelta(hours=2))
        with Store(url, clock=lambda: datetime(2026, 7, 1, 1, 30, tzinfo=summer)) as store:
            store.create_study("bert", budget=1, seed=1, config="")
            run = ask(store)
        assert run.created == datetime(2026, 6, 30, 23, 30, tzinfo=UTC)
        assert run.created.tzinfo is UTC

    def test_the_clock_of_the_system_has_a_zone(self, url: str) -> None:
        before = datetime.now(UTC)
        with Store(url) as store:
            created = store.create_study("bert", budget=1, seed=1, config="").created
        assert before <= created <= datetime.now(UTC)

    def test_numbers_that_are_not_finite_come_back(self, store: Store) -> None:
        """SQLite has no NaN; an outcome that it refused would be a run lost."""
        ask(store)
        store.add_points("bert", 0, [point(1, value=math.nan), point(2, value=-math.inf)], owner=ME)
        store.end_run(
            "bert", 0, finished(loss=math.nan, up=math.inf, down=-math.inf, zero=0.0), owner=ME
        )
        values = store.run("bert", 0).values
        assert list(values) == ["loss", "up", "down", "zero"]
        assert math.isnan(values["loss"])
        assert (values["up"], values["down"], values["zero"]) == (math.inf, -math.inf, 0.0)
        curve = [p.value for p in store.points("bert", 0)]
        assert math.isnan(curve[0])
        assert curve[1] == -math.inf

    def test_numbers_of_numpy_come_back_as_floats(self, store: Store) -> None:
        ask(store)
        measured: dict[str, Any] = {"loss": np.float32(0.5), "count": np.int64(3)}
        store.end_run("bert", 0, finished(**measured), owner=ME)
        values = store.run("bert", 0).values
        assert [(value, type(value)) for value in values.values()] == [(0.5, float), (3.0, float)]

    def test_an_error_of_zero_is_one_and_none_is_none(self, store: Store) -> None:
        ask(store)
        errors = {"exact": 0.0, "f1": 1 / 3}
        outcome = replace(finished(exact=100.0, f1=50.0, bytes=9.0), errors=errors)
        store.end_run("bert", 0, outcome, owner=ME)
        assert store.run("bert", 0).errors == errors

    @settings(max_examples=25, deadline=None)
    @given(
        parameters=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"])),
        ),
        values=st.dictionaries(st.text("abc", min_size=1), st.floats(allow_nan=False)),
    )
    def test_every_parameter_and_value_comes_back_as_it_was(
        self, parameters: dict[str, Value], values: dict[str, float]
    ) -> None:
        """With type and order: SQLite would make 1 of 1.0 in a column declared JSON."""
        with Store("sqlite://") as store:
            store.create_study("bert", budget=1, seed=1, config="")
            store.add_run("bert", parameters, values=values, owner=ME)
            run = store.run("bert", 0)
        assert [(name, type(value), value) for name, value in run.parameters.items()] == [
            (name, type(value), value) for name, value in parameters.items()
        ]
        assert list(run.values.items()) == list(values.items())
        assert run.errors == {}


def test_all_runs_are_read_with_as_many_queries_as_one(store: Store) -> None:
    def count_queries() -> int:
        statements: list[str] = []

        def note(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
            statements.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        store.runs("bert")
        event.remove(Engine, "before_cursor_execute", note)
        return len(statements)

    ask(store, layers=1)
    store.end_run("bert", 0, replace(finished(exact=1.0), artifacts=(MODEL,)), owner=ME)
    with_one = count_queries()
    store.update_study("bert", budget=40, config="")
    for _ in range(39):
        number = ask(store, layers=1).number
        store.end_run("bert", number, finished(exact=1.0), owner=ME)
    assert count_queries() == with_one <= 7
