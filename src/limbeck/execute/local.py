"""A search on this machine: workers are processes, and this process alone writes to the store."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import wait
from typing import TypeAlias

from limbeck.artifacts import register_from_the_start
from limbeck.config import StudyConfig
from limbeck.distill.checkpoint import remove_checkpoint
from limbeck.errors import LimbeckError, NotOwnerError
from limbeck.execute.crew import Worker, hire
from limbeck.execute.judge import Judge
from limbeck.execute.worker import Began, Message, Reported, Sampled, is_full
from limbeck.home import Home
from limbeck.mirror import Mirrors
from limbeck.retention import drop_weights
from limbeck.runs import Artifact, Outcome, Reason, Run, RunState
from limbeck.study import Study

HEARTBEAT_SECONDS = 5.0
"""How often the search tells the store that its runs are alive, and heeds what others want."""

PATIENCE_SECONDS = 600.0
"""How long a search waits while the disk is full or the store is away."""

FAILURES_IN_A_ROW = 3
"""So many failed runs one after the other end the search: something is wrong with all of them."""

Watch: TypeAlias = Callable[[Mapping[int, tuple[int, int]]], object]
"""Called whenever something may have changed, with optimizer steps done and in all, by number of
the runs that are being made."""


def search(
    study: Study,
    config: StudyConfig,
    home: Home,
    *,
    workers: int,
    watch: Watch,
    mirrors: Mirrors | None = None,
) -> None:
    """Carry out a study's runs until its budget is spent or its space exhausted.

    Runs whose process is gone are taken up first, from their checkpoints. A run that fails is tried
    again as often as the study says; so is one whose worker dies, or tells nothing for too long.
    While the study is paused or the disk is full, no runs are started. However the search is left,
    its workers end and its runs are free for the next search.

    Args:
        study: Asks and tells.
        config: What the workers' objective is made from.
        home: Where runs are kept.
        workers: Runs at a time; they share the cores.
        watch: See `Watch`.
        mirrors: Where else the runs are shown.

    Raises:
        LimbeckError: If `FAILURES_IN_A_ROW` runs failed, or the disk stays full.
    """
    study.store.patience = PATIENCE_SECONDS
    study.release_lost()
    local = _Search(study, config, home, workers=workers, mirrors=mirrors or Mirrors({}))
    try:
        while local.goes_on(watch):
            pass
    finally:
        local.leave()


class _Search:
    """What a search has in hand."""

    def __init__(
        self, study: Study, config: StudyConfig, home: Home, *, workers: int, mirrors: Mirrors
    ) -> None:
        self._study = study
        self._config = config
        self._home = home
        self._workers = workers
        self._mirrors = mirrors
        self._judge = Judge(study, config)
        self._crew: list[Worker] = []
        self._failures = 0
        self._last_beat = 0.0
        self._full_since: float | None = None

    def goes_on(self, watch: Watch) -> bool:
        """Start what can be started, and heed what the workers say; return False at the end."""
        held = self._is_held()
        if not held:
            self._assign()
        busy = [worker for worker in self._crew if worker.run]
        watch(
            {worker.run.number: (worker.step, worker.total_steps) for worker in busy if worker.run}
        )
        if not (busy or held):
            return False
        ready = wait([worker.connection for worker in busy], timeout=HEARTBEAT_SECONDS)
        self._heartbeat()
        for worker in busy:
            assert worker.run is not None
            try:
                heard = worker.connection in ready
                outcome = self._listen(worker, worker.run) if heard else self._overdue(worker)
                if outcome is not None:
                    self._end(worker, worker.run, outcome)
            except NotOwnerError as error:
                self._study.store.add_event(self._study.name, "given-up", str(error))
                self._dismiss(worker)
        return True

    def leave(self) -> None:
        """End all workers and free their runs; a store that is away is not waited for."""
        for worker in self._crew:
            worker.dismiss()
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
        """Give every idle or missing worker a run, while there are any."""
        idle = [worker for worker in self._crew if not worker.run]
        missing = len(idle) + self._workers - len(self._crew)
        if missing:
            # Asked for while the store went away, and never heard of.
            self._study.release(but=[worker.run.number for worker in self._crew if worker.run])
        for _ in range(missing):
            run = self._study.ask()
            if run is None:
                return
            if not idle:
                idle.append(hire(self._config, self._home, self._crew, workers=self._workers))
            idle.pop().begin(run, self._home.run(self._study.name, run.number))
            self._mirrors.begun(run)

    def _heartbeat(self) -> None:
        """Show a sign of life when it is due, and end the runs that somebody wants stopped."""
        if time.monotonic() - self._last_beat < HEARTBEAT_SECONDS:
            return
        self._last_beat = time.monotonic()
        wanted = self._study.heartbeat()
        for worker in self._crew:
            if worker.run and worker.run.number in wanted and worker.ending is None:
                message = f"stopped by hand at step {worker.step} of {worker.total_steps}"
                worker.end(Outcome(state=RunState.STOPPED, reason=Reason.BY_HAND, message=message))

    def _overdue(self, worker: Worker) -> Outcome | None:
        outcome = worker.overdue(self._config.file.budget)
        if outcome is not None:
            worker.process.kill()
        return outcome

    def _listen(self, worker: Worker, run: Run) -> Outcome | None:
        """Take one message; return the outcome if it ends the run."""
        try:
            message: Message = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            return worker.fate()
        worker.heard = time.monotonic()
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
            case Outcome():
                return message
        return None

    def _answer_scores(self, worker: Worker, run: Run) -> None:
        """Let a worker that waits go on, or end its run if that can hardly matter."""
        if worker.ending is not None:
            return
        ending = self._judge.ending(run, total_steps=worker.total_steps)
        if ending is None:
            worker.answer(go_on=True)
        else:
            worker.end(ending)

    def _end(self, worker: Worker, run: Run, outcome: Outcome) -> None:
        """Write how a run ended, or that it has to be tried again."""
        if outcome.state is RunState.STOPPED and worker.ending is not None:
            outcome = replace(worker.ending, seconds=outcome.seconds, artifacts=outcome.artifacts)
        if outcome.state is not RunState.FINISHED:
            outcome = replace(
                outcome,
                values={**worker.scores, **outcome.values},
                artifacts=outcome.artifacts or self._made_so_far(run),
            )
        if outcome.reason == Reason.DISK_FULL:
            self._full_since = self._full_since or time.monotonic()
            self._study.wait_again(run, outcome)
        elif self._study.tell(run, outcome):
            self._tidy_up(run)
            self._count(outcome)
        worker.run = None
        if outcome.state is RunState.FAILED:
            self._dismiss(worker)

    def _tidy_up(self, run: Run) -> None:
        """Do what is due after a run has ended."""
        name = self._study.name
        remove_checkpoint(self._home.run(name, run.number) / "checkpoint.safetensors")
        self._mirrors.ended(self._study.store.run(name, run.number))
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

    def _dismiss(self, worker: Worker) -> None:
        self._crew.remove(worker)
        worker.dismiss()
