"""Stores to test, with a clock that tests set."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from benchmarks._postgres import Databases
from sqlalchemy import Connection, Engine, event, make_url

from limbeck.runs import Artifact, CurvePoint, Outcome, Run, RunState
from limbeck.space import Value
from limbeck.store import Store

ME = "host:1:100"
OTHER = "host:2:200"
MODEL = Artifact(name="model", path="runs/0/model", sha256="ab" * 32, bytes=3_000_000_000)


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables: one parameter for each that the contract holds for."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/runs.db"
    else:
        with database(request.getfixturevalue("postgres"), "template1") as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without studies: one parameter for each that the contract holds for."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/runs.db"
    else:
        template = request.getfixturevalue("postgres_with_tables")
        with database(request.getfixturevalue("postgres"), template) as url:
            yield url


@pytest.fixture(scope="session")
def postgres_with_tables(postgres: Databases) -> Iterator[str]:
    """Name of a PostgreSQL database without studies, from which others can be made fast."""
    with database(postgres, "template1") as url:
        Store(url).close()
        name = make_url(url).database
        assert name is not None
        yield name


@contextmanager
def database(server: Databases, template: str) -> Iterator[str]:
    """Yield the URL of a new database, which is dropped in the end."""
    name = f"limbeck_{uuid4().hex}"
    yield server.create(name, template=template)
    server.drop(name)


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    """A store with the empty study ``bert`` of 4 runs."""
    with Store(url, clock=clock) as opened:
        opened.create_study("bert", budget=4, seed=7, config='name = "bert"\n')
        yield opened


def ask(store: Store, owner: str | None = ME, **parameters: Value) -> Run:
    run = store.add_run("bert", parameters, values={}, owner=owner)
    assert run is not None
    return run


def finished(**values: float) -> Outcome:
    return Outcome(state=RunState.FINISHED, values=values)


def point(step: int, metric: str = "loss", value: float = 1.0) -> CurvePoint:
    return CurvePoint(step=step, metric=metric, value=value, seconds=step / 2)


def begin(store: Store, number: int, *, step: int = 0, owner: str = ME) -> None:
    store.begin_run("bert", number, step=step, total_steps=139, epoch_steps=139, owner=owner)


@contextmanager
def interrupted_at(part: str) -> Iterator[None]:
    """Within, the statement that has this part cannot be executed."""

    def fail(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if part in statement:
            raise KeyboardInterrupt(part)

    event.listen(Engine, "before_cursor_execute", fail)
    with pytest.raises(KeyboardInterrupt, match=part):
        yield
    event.remove(Engine, "before_cursor_execute", fail)
