"""What the pages show, read from a store: again only when it has changed."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import takewhile
from threading import Lock
from typing import Any, Concatenate, ParamSpec, TypeVar

from limbeck.analysis.results import StudyResults, load_results
from limbeck.errors import NotFoundError
from limbeck.home import Home
from limbeck.questions import Questions
from limbeck.runs import Run
from limbeck.store import Store, StudyRecord
from limbeck.tasks.question_answering.dataset import QuestionSet

_KEPT = 8
"""So many studies are kept in memory: those last looked at."""
_MADE = 32
"""So much that was made of a study is kept until it changes: what was last asked for."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A study as it was read.

    Attributes:
        pulse: Of the store's, when it was read.
        results: The study.
        settled: So many of its runs cannot change any more: those of the first numbers.
        made: What was made of it, by function and arguments.
        lock: Held while something is made of it.
    """

    pulse: str
    results: StudyResults
    settled: int
    made: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)


class Reader:
    """Reads one store for all visitors; any number of threads may use it.

    Args:
        store: What is shown.
        home: Where caches and, unless they lie at a URL, the files of runs are.
        patience: Seconds for which a study counts as it was when its pulse was last read.
    """

    def __init__(self, store: Store, home: Home, *, patience: float = 0.2) -> None:
        self.store = store
        self.home = home
        self._patience = patience
        self._pulses: dict[str, tuple[str, float]] = {}
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._lock = Lock()
        self._questions = lru_cache(maxsize=2)(self._read_questions)

    def studies(self) -> tuple[StudyRecord, ...]:
        """Return all studies, the oldest first."""
        return self.store.studies()

    def pulse(self, study: str) -> str:
        """Return a text that changes when the study does; see `Store.pulse`.

        It is read now, and from then on the study is shown at least as it was then.

        Raises:
            NotFoundError: If there is no such study.
        """
        pulse = self.store.pulse(study)
        self._pulses[study] = pulse, time.monotonic()
        return pulse

    def results(self, study: str) -> StudyResults:
        """Return a study as it is now.

        Raises:
            NotFoundError: If there is no such study.
        """
        return self._see(study).results

    def made(
        self,
        make: Callable[Concatenate[StudyResults, P], T],
        study: str,
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """Return what a function makes of a study as it is now: once for all visitors.

        Args:
            make: The function; what it returns must not be changed, and is kept until the study
                has changed.
            study: Name of the study.
            arguments: For the function, after the study; each must be hashable.
            named: Further ones, by name.

        Raises:
            NotFoundError: If there is no such study.
        """
        seen = self._see(study)
        key = (make, arguments, tuple(named.items()))
        with seen.lock:
            if key not in seen.made:
                seen.made[key] = make(seen.results, *arguments, **named)
                if len(seen.made) > _MADE:
                    seen.made.popitem(last=False)
            seen.made.move_to_end(key)
            found: T = seen.made[key]
        return found

    def _see(self, study: str) -> _Seen:
        # The requests of a page come all at once, and reading a pulse looks at every run.
        pulse, moment = self._pulses.get(study, ("", -math.inf))
        if time.monotonic() - moment > self._patience:
            pulse = self.pulse(study)
        with self._lock:
            seen = self._seen.get(study)
            if seen is None or seen.pulse != pulse:
                seen = self._read(study, pulse, seen)
                self._seen[study] = seen
                if len(self._seen) > _KEPT:
                    self._seen.popitem(last=False)
            self._seen.move_to_end(study)
        return seen

    def questions(self, study: str) -> QuestionSet:
        """Return the questions that score a study's runs; those of the last two studies are kept.

        Raises:
            NotFoundError: If there is no such study, or it has no study file.
            DataError: If they cannot be read.
        """
        return self._questions(study, self.store.study(study).config)

    def _read_questions(self, study: str, _text: str) -> QuestionSet:
        config = self.results(study).config
        if config is None:
            raise NotFoundError(f"study {study!r} has no study file, and so no questions")
        return Questions(config).scored

    def _read(self, study: str, pulse: str, seen: _Seen | None) -> _Seen:
        """Read a study; runs that had ended when it was last read are not read again."""
        if seen is None:
            results = load_results(self.store, study, home=self.home)
        else:
            new = self.store.runs(study, first=seen.settled)
            results = load_results(
                self.store, study, home=self.home, runs=(*seen.results.runs[: seen.settled], *new)
            )
        settled = sum(1 for _ in takewhile(lambda run: run.state.ended, results.runs))
        return _Seen(pulse=pulse, results=results, settled=settled)


def last_activity(runs: Sequence[Run]) -> datetime | None:
    """Return when a run was last started or ended; None if none ever was."""
    moments = [time for run in runs for time in (run.started, run.ended) if time is not None]
    return max(moments, default=None)
