"""Carrying out a study's runs with a crew of workers: one process asks, tells and judges."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, TypeAlias

from limbeck.artifacts import register_from_the_start
from limbeck.config import StudyConfig
from limbeck.errors import LimbeckError, NotOwnerError
from limbeck.execute.crew import Crew, Worker
from limbeck.execute.judge import Judge
from limbeck.execute.worker import Began, Lost, Message, Reported, Sampled, is_full
from limbeck.home import Home
from limbeck.mirror import Mirrors
from limbeck.retention import drop_weights
from limbeck.runs import Artifact, Outcome, Reason, Run, RunState
from limbeck.study import STALE_SECONDS, Study

HEARTBEAT_SECONDS = 5.0
"""How often the search tells the store that its runs are alive, and heeds what others want."""

PATIENCE_SECONDS = 600.0
"""How long a search waits while the disk is full or the store is away."""

FAILURES_IN_A_ROW = 3
"""So many failed runs one after the other end the search: something is wrong with all of them."""

_HUNGRY_SECONDS = 0.2

Watch: TypeAlias = Callable[[Mapping[int, tuple[int, int]]], object]
"""Called whenever something may have changed, with optimizer steps done and in all, by number of
the runs that are being made."""


class Source(Protocol):
    """Where a search takes its runs from."""

    @property
    def is_dry(self) -> bool:
        """Whether there is nothing to begin, nor will be unless a run that is made fails."""
        ...

    def ask(self) -> Run | None:
        """Return a run, now *running* and owned by this process; None if there is none just now."""
        ...


class Asking:
    """A study that is asked when a worker is free, so that its sampler knows all there is to know.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self.is_dry = False
        self._study = study

    def ask(self) -> Run | None:
        """See `Source`."""
        run = self._study.ask()
        self.is_dry = run is None
        return run


def carry_out(
    study: Study,
    config: StudyConfig,
    home: Home,
    *,
    crew: Crew,
    source: Source,
    watch: Watch,
    mirrors: Mirrors | None,
) -> None:
    """Carry out a study's runs until its budget is spent or its space exhausted.

    Runs whose process is gone are taken up first, from their checkpoints. A run that fails is tried
    again as often as the study says; so is one whose worker dies, or tells nothing for too long.
    While the study is paused or the disk is full, no runs are started. However the search is left,
    its workers end and its runs are free for the next search.

    Args:
        study: Tells, and asks through ``source``.
        config: What the workers' objective is made from.
        home: Where runs are kept.
        crew: The workers.
        source: Where runs come from.
        watch: See `Watch`.
        mirrors: Where else the runs are shown.

    Raises:
        LimbeckError: If `FAILURES_IN_A_ROW` runs failed, or the disk stays full.
    """
    study.store.patience = PATIENCE_SECONDS
    study.release_lost()
    search = _Search(study, config, home, crew=crew, source=source, mirrors=mirrors or Mirrors({}))
    try:
        while search.goes_on(watch):
            pass
    finally:
        search.leave()


class _Search:
    """What a search has in hand."""

    def __init__(
        self,
        study: Study,
        config: StudyConfig,
        home: Home,
        *,
        crew: Crew,
        source: Source,
        mirrors: Mirrors,
    ) -> None:
        self._study = study
        self._config = config
        self._home = home
        self._crew = crew
        self._source = source
        self._mirrors = mirrors
        self._judge = Judge(study, config)
        self._failures = 0
        self._last_beat = 0.0
        self._last_look = time.monotonic()
        self._full_since: float | None = None

    def goes_on(self, watch: Watch) -> bool:
        """Start what can be started, and heed what the workers say; return False at the end."""
        held = self._is_held()
        if held:
            self._crew.rest()
        else:
            self._assign()
        busy = self._crew.busy
        watch(
            {worker.run.number: (worker.step, worker.total_steps) for worker in busy if worker.run}
        )
        if not (busy or held) and self._source.is_dry:
            return False
        hungry = self._crew.free and not held and not self._source.is_dry
        ready = self._crew.wait(_HUNGRY_SECONDS if hungry else HEARTBEAT_SECONDS)
        self._heartbeat()
        for worker in busy:
            try:
                self._hear(worker) if worker in ready else self._hurry(worker)
            except NotOwnerError as error:
                self._study.store.add_event(self._study.name, "given-up", str(error))
                self._crew.dismiss(worker)
        return True

    def leave(self) -> None:
        """End all workers and free their runs; a store that is away is not waited for."""
        self._crew.leave()
        self._study.store.patience = 0.0
        self._study.release()

    def _is_held(self) -> bool:
        """Whether runs are not to be started just now, but may be later."""
        if self._full_since is None:
            return self._study.paused and not self._study.is_spent
        if not is_full(self._home.folder):
            self._full_since = None
        elif time.monotonic() - self._full_since > PATIENCE_SECONDS:
            raise LimbeckError(
                f"the disk of {self._home.folder} must have room for runs, but is full; free some "
                "space and start again: nothing is lost"
            )
        return self._full_since is not None

    def _assign(self) -> None:
        """Give every worker that is free a run, while there are any."""
        busy = self._crew.busy
        if len(busy) == self._crew.places:
            return
        # Asked for while the store went away, and never heard of.
        self._study.release(but=[worker.run.number for worker in busy if worker.run])
        for _ in range(self._crew.free):
            run = self._source.ask()
            if run is None:
                break
            self._crew.take().begin(run, self._home.run(self._study.name, run.number))
            self._mirrors.begun(run)
        if self._source.is_dry:
            self._crew.rest()
        else:
            self._crew.call()

    def _heartbeat(self) -> None:
        """Show a sign of life when it is due, and end the runs that somebody wants stopped."""
        now = time.monotonic()
        if now - self._last_beat < HEARTBEAT_SECONDS:
            return
        self._last_beat = now
        wanted = self._study.heartbeat()
        for worker in self._crew.busy:
            if worker.run and worker.run.number in wanted and worker.ending is None:
                message = f"stopped by hand at step {worker.step} of {worker.total_steps}"
                worker.end(Outcome(state=RunState.STOPPED, reason=Reason.BY_HAND, message=message))
        if now - self._last_look > STALE_SECONDS:
            self._last_look = now
            self._study.release_lost()

    def _hurry(self, worker: Worker) -> None:
        """End the run of a worker that takes too long."""
        outcome = worker.overdue(self._config.file.budget)
        if outcome is not None:
            worker.kill()
            self._end(worker, outcome)

    def _hear(self, worker: Worker) -> None:
        """Heed what a worker says."""
        for message in worker.hear():
            worker.heard = time.monotonic()
            match message:
                case Outcome():
                    self._end(worker, message)
                case Lost():
                    self._give_back(worker, message)
                case _:
                    self._note(worker, message)

    def _note(self, worker: Worker, message: Message) -> None:
        """Note how a run goes, and answer what its worker asks."""
        run = worker.run
        assert run is not None, "after how a run ended nothing is said of it"
        match message:
            case Began():
                worker.step, worker.total_steps = message.step, message.total_steps
                self._study.begin(
                    run.number,
                    step=message.step,
                    total_steps=message.total_steps,
                    epoch_steps=message.epoch_steps,
                )
            case Reported():
                worker.step = max(point.step for point in message.points)
                self._study.report(run.number, message.points)
                self._mirrors.points(run, message.points)
                if message.scored:
                    worker.scores = {point.metric: point.value for point in message.points}
                    self._answer_scores(worker, run)
            case Sampled():
                go_on = self._judge.needs_all(run, message.forecasts)
                worker.answer(go_on=go_on)

    def _answer_scores(self, worker: Worker, run: Run) -> None:
        """Let a worker that waits go on, or end its run if that can hardly matter."""
        if worker.ending is not None:
            return
        ending = self._judge.ending(run, total_steps=worker.total_steps)
        if ending is None:
            worker.answer(go_on=True)
        else:
            worker.end(ending)

    def _give_back(self, worker: Worker, message: Lost) -> None:
        """Let a run wait for another worker, through no fault of its own."""
        assert worker.run is not None, "only of a worker with a run it is asked where it is"
        outcome = Outcome(state=RunState.FAILED, reason=Reason.LOST_WORKER, message=message.message)
        self._study.wait_again(worker.run, outcome)
        self._crew.dismiss(worker)

    def _end(self, worker: Worker, outcome: Outcome) -> None:
        """Write how a run ended, or that it has to be tried again."""
        run = worker.run
        assert run is not None, "a worker ends a run once"
        if outcome.state is RunState.STOPPED and worker.ending is not None:
            outcome = replace(worker.ending, seconds=outcome.seconds, artifacts=outcome.artifacts)
        if outcome.state is not RunState.FINISHED:
            outcome = replace(
                outcome,
                values={**worker.scores, **outcome.values},
                artifacts=outcome.artifacts or self._made_so_far(run),
            )
        if self._crew.shares_home and self._lacks_disk(outcome):
            self._full_since = self._full_since or time.monotonic()
            self._study.wait_again(run, outcome)
        elif self._study.tell(run, outcome):
            self._tidy_up(run)
            self._count(outcome)
        worker.run = None
        if outcome.state is RunState.FAILED:
            self._crew.dismiss(worker)

    def _lacks_disk(self, outcome: Outcome) -> bool:
        """Whether a run ended for want of disk; a worker may be unable even to say so."""
        return outcome.reason == Reason.DISK_FULL or (
            outcome.reason == Reason.LOST_WORKER and is_full(self._home.folder)
        )

    def _tidy_up(self, run: Run) -> None:
        """Do what is due after a run has ended."""
        self._crew.tidy_up(run)
        self._mirrors.ended(self._study.store.run(self._study.name, run.number))
        drop_weights(self._study.store, self._config, self._study.runs)

    def _made_so_far(self, run: Run) -> tuple[Artifact, ...]:
        """Return what a worker left behind that could not say so itself."""
        folder = self._home.run(self._study.name, run.number)
        return register_from_the_start(folder) if folder.is_dir() else ()

    def _count(self, outcome: Outcome) -> None:
        self._failures = self._failures + 1 if outcome.state is RunState.FAILED else 0
        if self._failures == FAILURES_IN_A_ROW:
            raise LimbeckError(
                f"{self._failures} runs failed one after the other, the last with "
                f"{outcome.error_type or outcome.reason}: {outcome.message}; mend the cause and "
                "start again"
            )
