"""A study: asking for the next run, and writing down what came of it. Knows no torch."""

import itertools
import json
import math
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil

from limbeck.config import StudyConfig, parse_config
from limbeck.errors import ConfigError, ExhaustedError, ParameterError
from limbeck.metrics import Metric, Role
from limbeck.optimize.sampler import KnownMetrics, Sampler
from limbeck.runs import CurvePoint, Outcome, Run, RunState
from limbeck.space import Parameters, SearchSpace, did_you_mean
from limbeck.store import Store

STALE_SECONDS = 60.0
"""A run on another machine is given up when its owner has not been heard of for this long."""


class History:
    """The runs of a study that have parameters of its space; ended ones are read only once.

    Args:
        store: Where they are.
        study: Name of the study.
        space: The searched parameters.
    """

    def __init__(self, store: Store, study: str, space: SearchSpace) -> None:
        self._store = store
        self._study = study
        self._space = space
        self._settled: list[Run] = []
        self._read = 0

    def update(self) -> tuple[list[Run], int]:
        """Return the runs, and how many the study has with those of other parameters."""
        new = self._store.runs(self._study, first=self._read)
        settled = list(itertools.takewhile(lambda run: run.state.ended, new))
        self._read += len(settled)
        self._settled += self._comparable(settled)
        open_ended = new[len(settled) :]
        return [*self._settled, *self._comparable(open_ended)], self._read + len(open_ended)

    @property
    def settled(self) -> int:
        """So many runs have been read that cannot change any more: those of the first numbers."""
        return self._read

    def _comparable(self, runs: Sequence[Run]) -> list[Run]:
        return [run for run in runs if self._space.contains(run.parameters)]


@dataclass(frozen=True, kw_only=True)
class Study:
    """One search in a store.

    Every method is safe to call from several processes on one store: asking for a run and writing
    its outcome are single transactions.

    Attributes:
        store: Where the runs are.
        name: Of the study, which is in the store.
        space: The searched parameters.
        sampler: Chooses among them; None where all runs are queued by hand.
        known: Values that follow from the parameters.
        owner: Who asks: `this_process`.
        retries: How often a run that failed is tried again.
    """

    store: Store
    name: str
    space: SearchSpace
    sampler: Sampler | None
    known: KnownMetrics
    owner: str
    retries: int = 0

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, in order of their numbers."""
        return self.store.runs(self.name)

    @cached_property
    def history(self) -> History:
        """What the sampler learns from."""
        return History(self.store, self.name, self.space)

    @property
    def paused(self) -> bool:
        """Whether no more runs are to be started for now."""
        return self.store.study(self.name).paused

    @property
    def is_spent(self) -> bool:
        """Whether no run waits, and the budget allows no more."""
        unsettled = self._unsettled
        if any(run.state is RunState.WAITING for run in unsettled):
            return False
        return self.history.settled + len(unsettled) >= self.store.study(self.name).budget

    def ask(self) -> Run | None:
        """Return the next run, now *running* and owned by this process; None if there is none left.

        A *waiting* run comes first; else the sampler chooses, while the budget lasts and the search
        space has something left to try. It learns from the runs whose parameters are of the space.
        """
        waiting = self.store.claim_waiting(self.name, owner=self.owner)
        if waiting or self.sampler is None:
            return waiting
        runs, count = self.history.update()
        if count >= self.store.study(self.name).budget:
            return None
        try:
            parameters = self.sampler.suggest(runs)
        except ExhaustedError as error:
            self.store.add_event(self.name, "exhausted", str(error))
            return None
        values = self.known(parameters)
        return self.store.add_run(self.name, parameters, values=values, owner=self.owner)

    def queue(self, parameters: Parameters) -> Run | None:
        """Add a run that waits, its parameters of the space or not; None if the budget is spent."""
        return self.store.add_run(self.name, parameters, values=self.known(parameters), owner=None)

    def begin(self, number: int, *, step: int, total_steps: int, epoch_steps: int) -> None:
        """Note how long a run will be, and drop what its curves say beyond where it goes on."""
        self.store.begin_run(
            self.name,
            number,
            step=step,
            total_steps=total_steps,
            epoch_steps=epoch_steps,
            owner=self.owner,
        )

    def report(self, number: int, points: Sequence[CurvePoint]) -> None:
        """Keep points of a run's curves."""
        self.store.add_points(self.name, number, points, owner=self.owner)

    def heartbeat(self) -> tuple[int, ...]:
        """Say that this process is alive; return which of its runs somebody wants stopped."""
        return self.store.heartbeat(self.name, owner=self.owner)

    def tell(self, run: Run, outcome: Outcome) -> bool:
        """Write how a run of this process ended; return False if it failed and is tried again.

        Args:
            run: As it was asked for.
            outcome: What came of it.

        Raises:
            NotOwnerError: If the run is not running, or another process has it.
        """
        if outcome.state is RunState.FAILED and run.failures < self.retries:
            self.store.retry_run(self.name, run.number, outcome, owner=self.owner)
            return False
        self.store.end_run(self.name, run.number, outcome, owner=self.owner)
        return True

    def wait_again(self, run: Run, outcome: Outcome) -> None:
        """Put a run back to *waiting* that an outage ended, without counting it as a failure."""
        self.store.release(self.name, run.number, owner=self.owner)
        text = f"run {run.number}: {outcome.reason}: {outcome.message}"
        self.store.add_event(self.name, outcome.reason, text, number=run.number)

    def release(self, *, but: Collection[int] = ()) -> tuple[Run, ...]:
        """Put this process's running runs back to *waiting*, but for some; return them."""
        mine = [
            run
            for run in self._unsettled
            if run.state is RunState.RUNNING and run.owner == self.owner and run.number not in but
        ]
        return tuple(self.store.release(self.name, run.number, owner=self.owner) for run in mine)

    @property
    def _unsettled(self) -> tuple[Run, ...]:
        """The runs that may still change, and ended ones among them."""
        return self.store.runs(self.name, first=self.history.settled)

    def release_lost(self) -> tuple[Run, ...]:
        """Put runs whose process is gone back to *waiting*, and return them."""
        return self.store.release_stale(self.name, _is_lost)


def enter(store: Store, config: StudyConfig, *, runs: int) -> None:
    """Create a study in the store, or go on with the one that is there.

    Args:
        store: Where the study goes.
        config: The study file.
        runs: The budget; may be larger or smaller than it was before.

    Raises:
        ConfigError: If the study was begun with a study file that asks for something else.
    """
    name = config.file.name
    text = json.dumps({"folder": str(config.folder), "file": config.file.model_dump(mode="json")})
    if not store.has_study(name):
        store.create_study(name, budget=runs, seed=config.file.seed, config=text)
        return
    begun = stored_config(store, name).identity
    changed = [key for key, value in config.identity.items() if begun[key] != value]
    if changed:
        raise ConfigError(
            f"study {name!r} must go on with what it was begun with, but {', '.join(changed)} "
            "changed; restore that, or give the new search another name"
        )
    store.update_study(name, budget=runs, config=text)


def earlier_runs(store: Store, name: str, *, config: StudyConfig) -> tuple[Run, ...]:
    """Return the runs of an earlier study that a search can start from.

    They have parameters of the search space, and a value of a metric that the search has to learn.

    Args:
        store: Where the earlier study is.
        name: Of the earlier study: ``optimizer.earlier`` of the study file.
        config: The study file of the search, resolved.

    Raises:
        ConfigError: If there is no such study, or no such run in it.
    """
    names = [study.name for study in store.studies()]
    if name not in names:
        raise ConfigError(
            f"optimizer.earlier: no study {name!r} in the store"
            f"{did_you_mean(name, names) if names else ', which is empty'}"
        )
    runs = store.runs(name)
    measured = [run for run in runs if _has_lesson(run, config.metrics)]
    if not measured:
        raise ConfigError(
            f"optimizer.earlier: study {name!r} must have finished runs to learn from, but "
            f"{f'none of its {len(runs)} is one' if runs else 'has no runs'}; wait for some, or "
            "remove the key"
        )
    fitting = tuple(run for run in measured if config.space.contains(run.parameters))
    if not fitting:
        try:
            config.space.validate(measured[0].parameters)
        except ParameterError as error:
            raise ConfigError(
                f"optimizer.earlier: study {name!r} must have runs with parameters of this search, "
                f"but none of its {len(measured)} finished runs has: of run {measured[0].number}, "
                f"{error}; search the same, or remove the key"
            ) from error
    return fitting


def missing(wanted: Sequence[Parameters], among: Sequence[Run]) -> list[Parameters]:
    """Return the wanted parameters that none of the runs has, in their order."""
    there = [dict(run.parameters) for run in among]
    return [parameters for parameters in wanted if parameters not in there]


def queue_all(study: Study, wanted: Sequence[Parameters]) -> None:
    """Queue runs, in their order.

    Raises:
        ConfigError: If the budget does not allow them.
    """
    for parameters in wanted:
        if study.queue(parameters) is None:
            raise ConfigError(
                f"study {study.name!r} needs a run with {dict(parameters)}, but its budget is "
                "spent; raise the number of runs"
            )


def stored_config(store: Store, name: str) -> StudyConfig:
    """Return the study file that a study in the store was last run with.

    Raises:
        NotFoundError: If there is no such study.
    """
    stored = json.loads(store.study(name).config)
    return parse_config(stored["file"], folder=Path(stored["folder"]), name=f"study {name!r}")


def confirmation_name(name: str) -> str:
    """Return the usual name of the study that confirms another."""
    return f"{name}.confirm"


def this_process() -> str:
    """Return what tells this process from every other: ``host:pid:start-time``."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def _has_lesson(run: Run, metrics: Sequence[Metric]) -> bool:
    """Whether a run has a value of a metric that is to be learned."""
    learned = [metric for metric in metrics if metric.role is not Role.STORE and not metric.known]
    return run.state in (RunState.FINISHED, RunState.STOPPED) and any(
        math.isfinite(run.values.get(metric.name, math.nan)) for metric in learned
    )


def _is_lost(run: Run, silent_seconds: float) -> bool:
    host, pid, started = run.owner.rsplit(":", 2)
    if host != socket.gethostname():
        return silent_seconds > STALE_SECONDS
    try:
        process = psutil.Process(int(pid))
        dead = process.status() == psutil.STATUS_ZOMBIE
        return dead or f"{process.create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
