"""Stores to test, with a clock that tests set."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

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


@pytest.fixture(params=["sqlite"])
def url(tmp_path: Path) -> str:
    """URL of an empty database: one parameter for each database that the contract holds for."""
    return f"sqlite:///{tmp_path}/runs.db"


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
