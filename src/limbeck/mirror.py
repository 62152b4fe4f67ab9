"""Where else the runs of a search are shown while it goes on."""

import queue
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Protocol

from limbeck.errors import LimbeckWarning
from limbeck.runs import CurvePoint, Run

LAST_WORDS_SECONDS = 30.0
"""How long the end of a search waits for its mirrors."""

BACKLOG = 100_000
"""So many messages wait for a mirror that is slow; with more it is given up."""


class Mirror(Protocol):
    """One place that shows runs. Its methods are called in one thread, which is its own.

    Everything may come again: a search that is started again begins its interrupted runs a second
    time and repeats points from their last checkpoint on. A mirror goes on with what it has.
    """

    def begun(self, run: Run) -> None:
        """Show a run that begins, or goes on."""

    def points(self, run: Run, points: Sequence[CurvePoint]) -> None:
        """Add to the curves of a run that was begun."""

    def ended(self, run: Run) -> None:
        """Show how a run ended, with its values."""

    def close(self) -> None:
        """Send what was held back. Runs that have not ended wait for the next search."""


class Mirrors:
    """The mirrors of a search, none of which can harm or delay it.

    Each has a thread of its own. One that fails says so in one warning, and is off from then on.

    Args:
        mirrors: By the texts that the study file has for them.
    """

    def __init__(self, mirrors: Mapping[str, Mirror]) -> None:
        self._lines = [_Line(name, mirror) for name, mirror in mirrors.items()]

    def begun(self, run: Run) -> None:
        """See `Mirror`."""
        for line in self._lines:
            line.send(lambda mirror: mirror.begun(run))

    def points(self, run: Run, points: Sequence[CurvePoint]) -> None:
        """See `Mirror`."""
        for line in self._lines:
            line.send(lambda mirror: mirror.points(run, points))

    def ended(self, run: Run) -> None:
        """See `Mirror`."""
        for line in self._lines:
            line.send(lambda mirror: mirror.ended(run))

    def close(self) -> None:
        """Wait until all is sent, but not forever."""
        for line in self._lines:
            line.close()


class _Line:
    """What goes to one mirror, in order."""

    def __init__(self, name: str, mirror: Mirror) -> None:
        self._name = name
        self._mirror = mirror
        self._waiting: queue.Queue[Callable[[Mirror], None] | None] = queue.Queue(BACKLOG)
        self._error: Exception | None = None
        self._off = False
        self._thread = threading.Thread(target=self._pass_on, name=name, daemon=True)
        self._thread.start()

    def send(self, call: Callable[[Mirror], None]) -> None:
        self._warn_once()
        if not self._off:
            try:
                self._waiting.put_nowait(call)
            except queue.Full:
                self._turn_off(f"{BACKLOG:,} messages wait for it")

    def close(self) -> None:
        if not self._off and self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(LAST_WORDS_SECONDS)
            if self._thread.is_alive():
                self._turn_off(f"it is not done after {LAST_WORDS_SECONDS:.0f} s")
        self._warn_once()

    def _pass_on(self) -> None:
        try:
            while call := self._waiting.get():
                call(self._mirror)
            self._mirror.close()
        except Exception as error:  # noqa: BLE001  # A tracker raises anything; no run may be lost.
            self._error = error

    def _warn_once(self) -> None:
        if self._error is not None and not self._off:
            reason = " ".join(str(self._error).split()) or type(self._error).__name__
            self._turn_off(reason)

    def _turn_off(self, reason: str) -> None:
        self._off = True
        warnings.warn(
            f"the mirror {self._name} is off for the rest of this search: {reason}; the store has "
            "all of it",
            LimbeckWarning,
            stacklevel=4,
        )


def mirror_id(study: str, run: Run) -> str:
    """Return what a run is known by in a mirror: the same whenever it goes on.

    No other run has it, not even the same number of a study of the same name in another store.
    """
    return sha256(f"{study} {run.number} {run.created}".encode()).hexdigest()[:16]
