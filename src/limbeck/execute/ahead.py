"""Suggesting runs before a worker asks for them: many workers never wait for the sampler."""

import math
import threading
from collections.abc import Sequence
from dataclasses import replace

from limbeck.errors import ExhaustedError
from limbeck.runs import Run, RunState
from limbeck.study import Study

_PAUSE_SECONDS = 2.0
"""How soon it is noticed that the budget was raised."""


class Ahead:
    """A study whose sampler chooses in a thread of its own, ahead of the workers; a `Source`.

    What is chosen *waits* in the study, like any run that does: a search that is started again
    begins with it. The sampler counts it among the pending ones.

    Args:
        study: The study.
        workers: How many runs are made at a time; a tenth of them waits.
    """

    def __init__(self, study: Study, *, workers: int) -> None:
        self._study = study
        self._theirs = replace(study)  # It has a history of its own, for its own thread.
        self._count = math.ceil(workers / 10)
        self._exhausted = False
        self._closed = False
        self._error: Exception | None = None
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._choose_all, name="sampler", daemon=True)

    @property
    def is_dry(self) -> bool:
        """See `Source`."""
        return self._study.is_spent or (self._exhausted and not self._waiting(self._study.runs))

    def ask(self) -> Run | None:
        """See `Source`.

        Raises:
            LimbeckError: What the sampler raised.
        """
        if not (self._thread.is_alive() or self._exhausted or self._error):
            self._thread.start()
        run = self._study.store.claim_waiting(self._study.name, owner=self._study.owner)
        with self._news:
            self._news.notify()
        if run is None and self._error is not None:
            raise self._error
        return run

    def close(self) -> None:
        """End the thread, once it has chosen what it is about to choose."""
        with self._news:
            self._closed = True
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _choose_all(self) -> None:
        try:
            while not self._closed:
                if not self._choose():
                    with self._news:
                        if not self._closed:
                            self._news.wait(_PAUSE_SECONDS)
        except ExhaustedError as error:
            self._study.store.add_event(self._study.name, "exhausted", str(error))
            self._exhausted = True
        except Exception as error:  # noqa: BLE001  # It is raised in the thread that asks.
            self._error = error

    def _choose(self) -> bool:
        """Queue as many runs as lack; return False if none does.

        They are chosen knowing the same: if workers take runs faster than they are chosen, the
        surrogates are fitted once for several of them.
        """
        study = self._theirs
        known, count = study.history.update()
        runs = list(known)
        missing = min(
            self._count - self._waiting(runs), study.store.study(study.name).budget - count
        )
        if study.sampler is None:
            return False
        for _ in range(missing):
            run = study.queue(study.sampler.suggest(runs))
            if run is None or self._closed:
                return False
            runs.append(run)
        return missing > 0

    @staticmethod
    def _waiting(runs: Sequence[Run]) -> int:
        return sum(run.state is RunState.WAITING for run in runs)
