"""Stores that are upgraded, that are damaged, and that have grown too large."""

from pathlib import Path

import pytest

from limbeck.errors import StoreError
from limbeck.runs import CurvePoint, RunState
from limbeck.store import Store
from limbeck.store.connection import open_engine, parse_url
from limbeck.store.maintenance import Upgrade, check_store, upgrade_store, vacuum_store
from limbeck.store.schema import REVISION, runs
from tests.store.conftest import ME, ask, finished, point
from tests.store.test_migrate import build_oldest


def test_an_upgrade_says_from_where_and_to_where(new_url: str) -> None:
    build_oldest(new_url)
    assert upgrade_store(new_url) == Upgrade(before="0001", after=REVISION)
    assert upgrade_store(new_url) == Upgrade(before=REVISION, after=REVISION)


def test_an_upgrade_of_nothing_builds_the_tables(new_url: str) -> None:
    assert upgrade_store(new_url) == Upgrade(before=None, after=REVISION)
    assert check_store(new_url) == ()


def fill(store: Store) -> None:
    for _ in range(4):
        ask(store, layers=1)
    store.add_points("bert", 0, [point(1)], owner=ME)
    store.end_run("bert", 0, finished(exact=1.0), owner=ME)
    store.release("bert", 1, owner=ME)


def change(url: str, number: int, values: dict[str, object]) -> None:
    engine = open_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(runs.update().where(runs.c.number == number).values(values))
    engine.dispose()


def test_a_store_in_order_has_no_faults(store: Store, url: str) -> None:
    fill(store)
    assert check_store(url) == ()


@pytest.mark.parametrize(
    ("number", "values", "fault"),
    [
        (3, {"number": 9}, "its 4 runs must be numbers 0 to 3, but are 0 to 9"),
        (0, {"number": 4}, "its 4 runs must be numbers 0 to 3, but are 1 to 4"),
        (0, {"ended": None}, "run 0 is finished but has not ended"),
        (0, {"state": RunState.WAITING}, "run 0 is waiting but has ended"),
        (2, {"state": RunState.FAILED}, "run 2 is failed but has not ended"),
        (2, {"owner": ""}, "run 2 is running but nobody's"),
        (2, {"heartbeat": None}, "run 2 is running but was never heard of"),
        (2, {"started": None}, "run 2 is running but has not started"),
    ],
)
def test_what_cannot_be_is_found(
    store: Store, url: str, number: int, values: dict[str, object], fault: str
) -> None:
    fill(store)
    change(url, number, values)
    found = check_store(url)
    assert len(found) == 1
    assert found[0].startswith("study 'bert': ")
    assert fault in found[0]


def test_a_state_that_is_none_is_found(store: Store, url: str) -> None:
    fill(store)
    engine = open_engine(parse_url(url))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET state = 'lost' WHERE number = 2")
    engine.dispose()
    assert check_store(url) == ("study 'bert': run 2 is lost, which is no state",)


def test_a_run_of_no_study_is_found_in_sqlite(tmp_path: Path) -> None:
    """PostgreSQL lets nobody make one."""
    url = f"sqlite:///{tmp_path}/runs.db"
    with Store(url) as store:
        store.create_study("bert", budget=4, seed=1, config="")
        ask(store)
    engine = open_engine(parse_url(url))
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("DELETE FROM studies")
    engine.dispose()
    assert check_store(url) == ("row 1 of runs refers to a row of studies that is not there",)


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with Store(f"sqlite:///{path}") as store:
        store.create_study("bert", budget=4, seed=1, config="x" * 100_000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(4096)
    path.write_bytes(data)
    try:
        found = check_store(f"sqlite:///{path}")
    except StoreError as error:
        found = (str(error),)
    assert found
    assert "damaged" in found[0]


def test_vacuum_gives_space_back_and_keeps_all(store: Store, url: str) -> None:
    fill(store)
    batch = [CurvePoint(step=step, metric="loss", value=1.0, seconds=1.0) for step in range(9000)]
    store.add_points("bert", 2, batch, owner=ME)
    store.begin_run("bert", 2, step=-1, total_steps=1, epoch_steps=1, owner=ME)
    contents = (store.runs("bert"), store.points("bert", 0))
    before, after = vacuum_store(url)
    assert 200_000 < before - after < before
    assert (store.runs("bert"), store.points("bert", 0)) == contents
    again, least = vacuum_store(url)
    assert again == after
    assert least <= again
