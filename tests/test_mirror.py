"""Mirrors that fail, hang or are slow, and a search that does not mind."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from typing_extensions import override

import limbeck.mirror
from limbeck.errors import LimbeckWarning
from limbeck.mirror import Mirrors, mirror_id
from limbeck.runs import CurvePoint, Run, RunState

RUN = Run(number=3, parameters={}, state=RunState.RUNNING, created=datetime(2026, 1, 1, tzinfo=UTC))
POINTS = (CurvePoint(step=1, metric="loss", value=1.0, seconds=0.5),)


@dataclass
class Listener:
    """Remembers what it was told, and in which thread."""

    heard: list[tuple[object, ...]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def begun(self, run: Run) -> None:
        self._hear("begun", run)

    def points(self, run: Run, points: Sequence[CurvePoint]) -> None:
        self._hear("points", run, points)

    def ended(self, run: Run) -> None:
        self._hear("ended", run)

    def close(self) -> None:
        self._hear("close")

    def _hear(self, *what: object) -> None:
        self.threads.add(threading.get_ident())
        self.heard.append(what)


class Failing(Listener):
    """A tracker whose server is away from the second call on."""

    @override
    def _hear(self, *what: object) -> None:
        super()._hear(*what)
        if len(self.heard) > 1:
            raise ConnectionError("no route\nto host")


@dataclass
class Hanging(Listener):
    """A tracker that never answers, until the test is over."""

    over: threading.Event = field(default_factory=threading.Event)

    @override
    def _hear(self, *what: object) -> None:
        self.over.wait()


def tell(mirrors: Mirrors) -> None:
    mirrors.begun(RUN)
    mirrors.points(RUN, POINTS)
    mirrors.ended(RUN)


def tell_to_the_end(mirrors: Mirrors) -> None:
    tell(mirrors)
    mirrors.close()


def tell_often(mirrors: Mirrors) -> None:
    for _ in range(20):
        tell(mirrors)


ALL: list[tuple[object, ...]] = [
    ("begun", RUN),
    ("points", RUN, POINTS),
    ("ended", RUN),
    ("close",),
]


def test_all_is_passed_on_in_order_in_a_thread_of_its_own() -> None:
    first, second = Listener(), Listener()
    mirrors = Mirrors({"first": first, "second": second})
    tell(mirrors)
    mirrors.close()
    assert first.heard == second.heard == ALL
    assert len(first.threads) == len(second.threads) == 1
    assert len({threading.get_ident()} | first.threads | second.threads) == 3


def test_one_that_fails_is_off_with_one_warning_and_the_others_go_on() -> None:
    failing, other = Failing(), Listener()
    mirrors = Mirrors({"wandb:p": failing, "mlflow:m": other})
    with pytest.warns(LimbeckWarning, match=r"^the mirror wandb:p is off .*: no rou") as warned:
        tell_to_the_end(mirrors)
    assert len(warned) == 1
    assert failing.heard == ALL[:2]
    assert other.heard == ALL


def test_none_needs_none() -> None:
    mirrors = Mirrors({})
    tell(mirrors)
    mirrors.close()


def test_one_that_hangs_delays_nothing_and_is_given_up_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limbeck.mirror, "LAST_WORDS_SECONDS", 0.01)
    hanging = Hanging()
    mirrors = Mirrors({"mlflow:m": hanging})
    tell(mirrors)
    with pytest.warns(LimbeckWarning, match=r"^the mirror mlflow:m is off .*: it is not done aft"):
        mirrors.close()
    hanging.over.set()


def test_one_that_is_too_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limbeck.mirror, "BACKLOG", 5)
    hanging = Hanging()
    mirrors = Mirrors({"mlflow:m": hanging})
    with pytest.warns(LimbeckWarning, match=r"^the mirror mlflow:m .*: 5 messages wait") as warned:
        tell_often(mirrors)
    mirrors.close()
    assert len(warned) == 1
    hanging.over.set()


def test_a_run_is_known_by_the_same_whenever_it_goes_on_and_no_other_is() -> None:
    later = replace(RUN, state=RunState.FINISHED, attempts=3, started=datetime.now(UTC))
    assert mirror_id("tiny", later) == mirror_id("tiny", RUN)
    others = [
        mirror_id("tiny", replace(RUN, number=4)),
        mirror_id("other", RUN),
        mirror_id("tiny", replace(RUN, created=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC))),
    ]
    assert len({mirror_id("tiny", RUN), *others}) == 4
