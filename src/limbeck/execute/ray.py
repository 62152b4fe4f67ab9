"""A search on a Ray cluster: workers are actors that Ray places, and this process alone writes.

The only module that imports ray.
"""

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorUnavailableError, RayActorError, RayError
from typing_extensions import override

from limbeck.artifacts import artifacts_url
from limbeck.config import StudyConfig
from limbeck.distill.checkpoint import remove_checkpoint
from limbeck.errors import ConfigError, LimbeckError, LimbeckWarning
from limbeck.execute import travel
from limbeck.execute.ahead import Ahead
from limbeck.execute.carry_out import Watch, carry_out
from limbeck.execute.crew import Worker
from limbeck.execute.distiller import Distiller, Facts
from limbeck.execute.resources import Resources
from limbeck.execute.worker import Answer, Lost, Message, Task
from limbeck.home import Home
from limbeck.mirror import Mirrors
from limbeck.runs import Outcome, Reason, Run, RunState
from limbeck.space import Choice
from limbeck.study import Study

_UNPLACED_SECONDS = 60.0
"""After so long without any worker it is said what the search waits for."""


@contextmanager
def cluster(address: str) -> Iterator[None]:
    """Connect this process with a Ray cluster for a while.

    Args:
        address: ``host:port`` of its head, or ``auto`` for the cluster that this machine is of.

    Raises:
        ConfigError: If there is none.
    """
    if "://" in address:
        raise ConfigError(
            f"--ray must be auto or the HOST:PORT of a cluster that this machine is of, but got "
            f"{address!r}; start the search on a node of it, with `ray job submit` or `ray exec`"
        )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"--ray must name a running cluster, but there is none at {address!r}; start one with "
            "`ray start --head`, or give the HOST:PORT of its head"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def default_resources() -> Resources:
    """Return what a run takes if nothing is said: a GPU if the cluster has one, else a core."""
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]  # ray's
    return Resources(gpus=1.0 if there.get("GPU") else 0.0)


def search(
    study: Study,
    config: StudyConfig,
    home: Home,
    *,
    workers: int,
    resources: Resources,
    watch: Watch,
    mirrors: Mirrors | None = None,
) -> None:
    """Carry out a study's runs on the cluster that this process is connected with.

    See `carry_out`. Only this process reads and writes the store. Runs of a node that is lost wait
    again; that is no failure of theirs.

    Args:
        study: Asks and tells.
        config: What the workers' objective is made from.
        home: Where runs are kept, and where all is that the objective has prepared.
        workers: Runs at a time.
        resources: What each of them takes.
        watch: See `Watch`.
        mirrors: Where else the runs are shown.

    Raises:
        LimbeckError: See `carry_out`; or if a node has another version of Limbeck, or sees no place
            for what runs leave that is the same for all.
    """
    crew = Actors(config, home, workers=workers, resources=resources)
    source = Ahead(study, workers=workers)
    try:
        carry_out(study, config, home, crew=crew, source=source, watch=watch, mirrors=mirrors)
    finally:
        source.close()


class Placed(Distiller):
    """A worker that knows its node."""

    def where(self, mark: str) -> tuple[str, Facts]:
        """Return the node's id, and what is there; see `Distiller.look`."""
        return ray.get_runtime_context().get_node_id(), self.look(mark)


@dataclass(eq=False)
class Actor(Worker):
    """A worker somewhere on the cluster.

    Attributes:
        handle: Of its `Placed`.
        reply: What it was asked and has not answered: where it is, or what it has to say.
        node: Where it is, once it said so.
        settled: Whether it can take runs.
        turn: How many runs it had before.
        seen: How much it has said of its run.
    """

    handle: ActorHandle[Any]
    reply: Any
    node: str = ""
    settled: bool = False
    turn: int = -1
    seen: int = 0

    @override
    def begin(self, run: Run, folder: Path) -> None:
        self.turn, self.seen = self.turn + 1, 0
        super().begin(run, folder)
        self.reply = self.handle.hear.remote(self.turn, 0)

    @override
    def send(self, message: Task | Answer) -> None:
        if isinstance(message, Task):
            self.handle.begin.remote(self.turn, message)
        else:
            self.handle.answer.remote(self.turn, message)

    @override
    def hear(self) -> Sequence[Message | Lost]:
        try:
            said: tuple[Message, ...] = ray.get(self.reply)
        except ActorUnavailableError:
            said = ()  # The connection broke; what was lost is asked for again.
        except RayActorError as error:
            return (self._fate(error),)
        self.seen += len(said)
        if not any(isinstance(message, Outcome) for message in said):
            self.reply = self.handle.hear.remote(self.turn, self.seen)
        return said

    @override
    def kill(self) -> None:
        ray.kill(self.handle)

    def _fate(self, error: RayActorError) -> Outcome | Lost:
        """Return how the run ends of a worker that is gone."""
        if not is_alive(self.node):
            return Lost(f"node {self.node[:12]} is gone")
        reason = " ".join(str(error).split())
        return Outcome(
            state=RunState.FAILED,
            reason=Reason.LOST_WORKER,
            message=f"the worker on node {self.node[:12]} died: {reason}",
            seconds=time.monotonic() - self.began,
        )


class Actors:
    """Actors on a cluster; a `Crew`.

    As many are asked for as runs are to be made at a time. Those for which there is no room yet are
    the demand that an autoscaling cluster sees; when there is nothing to begin, the idle ones go,
    and their nodes may.

    Args:
        config: What their objective is made from.
        home: Where runs are kept.
        workers: How many there may be.
        resources: What each takes.
    """

    def __init__(
        self, config: StudyConfig, home: Home, *, workers: int, resources: Resources
    ) -> None:
        self.places, self.shares_home = workers, True
        self._config = config
        self._home = home
        self._resources = resources
        self._url = artifacts_url(config)
        self._mark = f".limbeck-{uuid4().hex}"
        self._parcel: tuple[tuple[Path, ...], list[Any]] | None = None
        self._members: list[Actor] = []
        self._called = time.monotonic()
        self._has_warned = False
        self._class: Any = ray.remote(Placed).options(
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
            resources=dict(resources.others),
            max_concurrency=4,  # One listens, others begin and answer.
        )
        (home.folder / self._mark).touch()
        if self._url:
            travel.put_mark(f"{self._url}/{self._mark}")

    @property
    def busy(self) -> Sequence[Actor]:
        """See `Crew`."""
        return [worker for worker in self._members if worker.run]

    @property
    def free(self) -> int:
        """See `Crew`."""
        return sum(worker.settled and not worker.run for worker in self._members)

    def call(self) -> None:
        """See `Crew`."""
        if not any(worker.settled for worker in self._members):
            self._say_what_is_awaited()
        processes, threads = self._resources.processes, self._resources.threads
        for _ in range(self.places - len(self._members)):
            handle = self._class.remote(self._config, self._home, processes, threads)
            self._members.append(Actor(handle, handle.where.remote(self._mark)))

    def rest(self) -> None:
        """See `Crew`."""
        self._called = time.monotonic()
        for worker in [worker for worker in self._members if not worker.run]:
            self.dismiss(worker)

    def take(self) -> Actor:
        """See `Crew`."""
        return next(worker for worker in self._members if worker.settled and not worker.run)

    def wait(self, seconds: float) -> Sequence[Actor]:
        """See `Crew`."""
        awaited = {
            worker.reply: worker for worker in self._members if worker.run or not worker.settled
        }
        if not awaited:
            time.sleep(seconds)
            return []
        ready, _ = ray.wait(list(awaited), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        workers = [awaited[reply] for reply in ready]
        for worker in workers:
            if not worker.settled:
                self._settle(worker)
        return [worker for worker in workers if worker.run]

    def tidy_up(self, run: Run) -> None:
        """See `Crew`."""
        folder = self._home.run(self._config.file.name, run.number)
        remove_checkpoint(folder / "checkpoint.safetensors")
        if self._url and not self.shares_home:
            for name in travel.CHECKPOINTS:
                travel.remove(f"{travel.run_url(folder, self._url)}/{name}")

    def dismiss(self, worker: Worker) -> None:
        """See `Crew`."""
        self._members = [member for member in self._members if member is not worker]
        worker.kill()

    def leave(self) -> None:
        """See `Crew`."""
        for worker in self._members:
            worker.kill()
        (self._home.folder / self._mark).unlink(missing_ok=True)
        if self._url:
            travel.remove(f"{self._url}/{self._mark}")

    def _settle(self, worker: Actor) -> None:
        """Take note of where a worker is, and send it what it lacks there."""
        try:
            found: tuple[str, Facts] | None = ray.get(worker.reply)
        except RayActorError as error:
            if error.actor_init_failed:
                raise LimbeckError(
                    "every node must have this version of Limbeck installed, but a worker could "
                    f"not begin: {str(error).strip().splitlines()[-1]}"
                ) from error
            self.dismiss(worker)  # Its node went.
            return
        except OSError as error:
            raise LimbeckError(
                f"every node must be able to write {self._home.folder}, as this one has it, but "
                f"one is not: {error}; name another --home"
            ) from error
        except RayError as error:
            raise LimbeckError(f"a worker must begin, but: {error}") from error
        if found is None:
            worker.settled = True
            return
        worker.node, facts = found
        self._check(worker.node, facts)
        worker.settled = facts.sees_home
        if not facts.sees_home:
            self.shares_home = False
            paths, files = self._packed()
            worker.reply = worker.handle.unpack.remote(paths, *files)

    def _check(self, node: str, facts: Facts) -> None:
        """Check that a worker can do what others began, and others what it begins.

        Raises:
            LimbeckError: If it cannot.
        """
        if facts.version != version("limbeck"):
            raise LimbeckError(
                f"every node must have Limbeck {version('limbeck')}, as this one, but node "
                f"{node[:12]} has {facts.version}; install that there"
            )
        if not (facts.sees_home or facts.sees_url):
            where = f"artifacts.url = {self._url!r}" if self._url else "there is no artifacts.url"
            raise LimbeckError(
                "what runs leave must go where every node can reach it, but node "
                f"{node[:12]} does not see the home folder {self._home.folder}, and "
                f"{where + ' is another place there' if self._url else where}; put --home on a "
                "disk that all nodes share, or set artifacts.url to an object store"
            )

    def _packed(self) -> tuple[tuple[Path, ...], list[Any]]:
        """Return what a worker needs that has another home: paths, and objects with the bytes.

        They are read once; Ray brings them to a node once, whatever the number of workers there.
        """
        if self._parcel is None:
            paths = tuple(_prepared(self._config, self._home))
            self._parcel = paths, [ray.put(np.fromfile(path, dtype=np.uint8)) for path in paths]
        return self._parcel

    def _say_what_is_awaited(self) -> None:
        """Say once why no run begins for long, if that is so."""
        if time.monotonic() - self._called > _UNPLACED_SECONDS and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"no node of the cluster has room for a run ({self._resources}); the search waits "
                "until one has, or a new one joins",
                LimbeckWarning,
                stacklevel=2,
            )


def is_alive(node: str) -> bool:
    """Whether a node is of the cluster still."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]  # ray's
    return any(each["NodeID"] == node and each["Alive"] for each in nodes)


def _prepared(config: StudyConfig, home: Home) -> Iterator[Path]:
    """Yield the files that runs read: caches, teachers, and what the study file names."""
    file = config.file
    named = [file.teacher.model, file.data.train, file.data.dev, file.data.test]
    named.append(file.student.weights)
    for parameter in config.parameters:
        if parameter.name == "weights" and isinstance(parameter, Choice):
            named += [str(choice) for choice in parameter.choices]
    folders = [home.cache, home.teachers]
    folders += [config.folder / Path(name.partition(":")[0]).expanduser() for name in named if name]
    for folder in dict.fromkeys(folders):
        yield from (
            [folder]
            if folder.is_file()
            else sorted(path for path in folder.rglob("*") if path.is_file())
        )
