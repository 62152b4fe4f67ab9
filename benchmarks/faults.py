"""Fault drill: a search of short real runs that is killed, starved and cut off at random moments.

The study is that of the tests: a tiny teacher, made here, distilled for some seconds a run. While
``limbeck search`` carries it out with two workers, faults strike in random order: the search is
killed (SIGKILL), one of its workers is, its disk is filled for some seconds, its database is away
for ten (SQLite: locked by another process; PostgreSQL: the server is crashed). A search that ended
is started again with the same command. On SQLite, then on PostgreSQL.

What is counted in the end, from the store and the process table:

- lost: runs that were seen finished, and are gone or have other values now;
- twice: parameters that two runs have, and finished runs that were started again;
- stuck: runs that neither ended well nor can be explained, and searches that did not end in time;
- orphans: processes of the drill that outlive it by ten seconds.

The disk is a small file system in memory (tmpfs), which only root may mount; as another user, the
disk is not filled, and the result says so.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._postgres import Server, find_programs, private_server
from tests.tiny import write_tiny_study

from limbeck.errors import StoreError
from limbeck.runs import Run, RunState
from limbeck.store import Store

DISK_MEGABYTES = 96
OUTAGE_SECONDS = 10.0
FULL_SECONDS = 5.0
GRACE_SECONDS = 10.0
PATIENCE_SECONDS = 1800.0
"""A drill that takes longer is stuck."""

MARK = "LIMBECK_DRILL"
"""Environment variable by which the drill's processes are known."""


@dataclass(frozen=True)
class Plan:
    """How often what is done to a search, and how many runs it has."""

    runs: int
    searches: int
    workers: int
    disks: int
    databases: int


FULL = Plan(runs=240, searches=20, workers=20, disks=2, databases=2)
QUICK = Plan(runs=40, searches=2, workers=2, disks=1, databases=1)


@dataclass
class Seen:
    """What was seen of finished runs, by number: parameters, values and attempts."""

    finished: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)

    def look(self, runs: tuple[Run, ...]) -> None:
        """Compare what is there with what was."""
        there = {run.number: run for run in runs if run.state is RunState.FINISHED}
        for number, (parameters, values, attempts) in self.finished.items():
            run = there.get(number)
            if run is None or (_text(run.parameters), _text(run.values)) != (parameters, values):
                self.lost.add(number)
            elif run.attempts != attempts:
                self.again.add(number)
        for number, run in there.items():
            found = (_text(run.parameters), _text(run.values), run.attempts)
            self.finished.setdefault(number, found)


class Drill:
    """One search, and what is done to it.

    Args:
        folder: Of the study, on the disk that is filled.
        url: Of the store.
        plan: What is done.
        seed: Of the order and the moments of the faults.
        cut: Takes the database away for `OUTAGE_SECONDS`.
    """

    def __init__(
        self, folder: Path, url: str, plan: Plan, *, seed: int, cut: Callable[[], None]
    ) -> None:
        self.folder = folder
        self.plan = plan
        self.seen = Seen()
        self.kills = 0
        self._url = url
        self._chance = random.Random(seed)
        self._cut = cut
        self._search: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._begun = time.monotonic()

    def carry_out(self) -> None:
        """Let faults strike until the plan is fulfilled, and the search end."""
        faults: list[Callable[[], bool]] = [
            *[self._kill_search] * self.plan.searches,
            *[self._kill_worker] * self.plan.workers,
            *[self._fill_disk] * self.plan.disks,
            *[self._cut_database] * self.plan.databases,
        ]
        self._chance.shuffle(faults)
        for number, fault in enumerate(faults):
            due = number * self.plan.runs // (len(faults) + 1)
            while not self._strike(fault, after=due):
                if self._is_through() or self._is_late():
                    return
            print(f"  {number + 1} of {len(faults)}: {fault.__name__[1:]}, {self._standing()}")
        while not (self._is_through() or self._is_late()):
            self._keep_going()
            time.sleep(0.5)

    def result(self) -> Counter[str]:
        """Return what is counted; see above."""
        runs = self._runs()
        self.seen.look(runs)
        ended = [run for run in runs if run.state in (RunState.FINISHED, RunState.INFEASIBLE)]
        for run in runs:
            if run.state is RunState.FAILED:
                print(f"  run {run.number} failed: {run.reason}: {run.message}")
        same = Counter(_text(run.parameters) for run in runs)
        return Counter(
            kills=self.kills,
            lost=len(self.seen.lost),
            twice=len(self.seen.again) + sum(count - 1 for count in same.values()),
            stuck=self.plan.runs - len(ended),
            orphans=len(psutil.wait_procs(_processes(str(self.folder)), timeout=GRACE_SECONDS)[1]),
        )

    def end(self) -> None:
        """Kill what is left."""
        for process in _processes(str(self.folder)):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _strike(self, fault: Callable[[], bool], *, after: int) -> bool:
        """Let a fault strike at a random moment of a search at work, when so many runs finished."""
        self._keep_going()
        if not self._wait_for_work(after):
            return False
        time.sleep(self._chance.uniform(0.0, 4.0))
        self.seen.look(self._runs())
        return fault()

    def _keep_going(self) -> None:
        """Start the search if none is going on."""
        if self._search is not None and self._search.poll() is None:
            return
        self._starts += 1
        command = [sys.executable, "-m", "limbeck.cli", "search", "study.toml"]
        options = ["--home", "home", "--store", self._url, "--runs", str(self.plan.runs)]
        with (self.folder.parent / "search.log").open("ab") as log:
            self._search = subprocess.Popen(
                [*command, *options],
                cwd=self.folder,
                env={**os.environ, MARK: str(self.folder)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_for_work(self, finished: int) -> bool:
        """Wait until the search has a running run and so many finished ones, or has ended."""
        while self._search is not None and self._search.poll() is None and not self._is_late():
            states = Counter(run.state for run in self._runs())
            working = states[RunState.RUNNING] and self._workers()
            if working and states[RunState.FINISHED] >= finished:
                return True
            time.sleep(0.2)
        return False

    def _kill_search(self) -> bool:
        assert self._search is not None
        self._search.send_signal(signal.SIGKILL)
        self._search.wait()
        self.kills += 1
        return True

    def _kill_worker(self) -> bool:
        workers = self._workers()
        if not workers:
            return False
        with suppress(psutil.NoSuchProcess):
            self._chance.choice(workers).kill()
            self.kills += 1
            return True
        return False

    def _fill_disk(self) -> bool:
        filler = self.folder / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        time.sleep(FULL_SECONDS)
        filler.unlink()
        return True

    def _cut_database(self) -> bool:
        self._cut()
        return True

    def _workers(self) -> list[psutil.Process]:
        assert self._search is not None
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._search.pid).children(recursive=True)
            return [child for child in children if _is_worker(child)]
        return []

    def _runs(self) -> tuple[Run, ...]:
        deadline = time.monotonic() + 60
        while True:
            try:
                with Store(self._url, patience=60) as store:
                    if not store.studies():
                        return ()
                    return store.runs("tiny")
            except StoreError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _is_through(self) -> bool:
        """Whether the search has ended, and has nothing more to do."""
        return self._search is not None and self._search.poll() == 0

    def _is_late(self) -> bool:
        return time.monotonic() - self._begun > PATIENCE_SECONDS

    def _standing(self) -> str:
        states = Counter(run.state.value for run in self._runs())
        text = ", ".join(f"{count} {state}" for state, count in states.items())
        return f"search {self._starts}: {text} ({time.monotonic() - self._begun:.0f} s)"


def main() -> None:
    """Drill on both databases, and print what was counted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="12 runs and few faults")
    parser.add_argument("--seed", type=int, default=0, help="of the faults (default: 0)")
    parser.add_argument(
        "--database", choices=["sqlite", "postgresql"], help="only one (default: both)"
    )
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    total: Counter[str] = Counter()
    databases = [arguments.database] if arguments.database else ["sqlite", "postgresql"]
    if find_programs() is None:
        databases = ["sqlite"]
    for database in databases:
        print(f"== {database}: {plan}", flush=True)
        counted = _drill(database, plan, seed=arguments.seed)
        print(f"{database}: {dict(counted)}", flush=True)
        total += counted
    keys = ("lost", "twice", "stuck", "orphans", "kills")
    told = " ".join(f"{key}={total[key]}" for key in keys)
    print(
        f"RESULT {told} runs={plan.runs} disks={plan.disks if _can_mount() else 0} "
        f"databases={'+'.join(databases)}"
    )


def _drill(database: str, plan: Plan, *, seed: int) -> Counter[str]:
    with tempfile.TemporaryDirectory(prefix="limbeck-drill-") as name, _disk(Path(name)) as disk:
        if not _can_mount():
            plan = Plan(plan.runs, plan.searches, plan.workers, 0, plan.databases)
        folder = disk / "study"
        write_tiny_study(
            folder,
            recipe={"epochs": 12.0},
            training={"checkpoint_every": 10, "log_every": 5},
            budget={"runs": plan.runs, "workers": 2, "retries": plan.workers},
            optimizer={"sampler": "quasirandom"},
            stopping={"chance": 0.0},
        )
        if database == "sqlite":
            path = folder / "home" / "store.db"
            drill = Drill(folder, f"sqlite:///{path}", plan, seed=seed, cut=lambda: _lock(path))
            return _through(drill)
        programs = find_programs()
        assert programs is not None
        with private_server(programs) as server:
            url = server.create("drill")
            drill = Drill(folder, url, plan, seed=seed, cut=lambda: _crash(server))
            return _through(drill)


def _through(drill: Drill) -> Counter[str]:
    try:
        drill.carry_out()
        return drill.result()
    finally:
        drill.end()
        log = drill.folder.parent / "search.log"
        shutil.copy(log, Path(tempfile.gettempdir()) / "limbeck-drill.log")


def _lock(path: Path) -> None:
    """Lock a SQLite database for a while, as another process would."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(OUTAGE_SECONDS)
    connection.execute("ROLLBACK")
    connection.close()


def _crash(server: Server) -> None:
    server.crash()
    time.sleep(OUTAGE_SECONDS)
    server.start()


def _can_mount() -> bool:
    return os.geteuid() == 0 and sys.platform == "linux"


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk, if that is allowed."""
    if not _can_mount():
        yield folder
        return
    disk = folder / "disk"
    disk.mkdir()
    size = f"size={DISK_MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "limbeck-drill", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def _processes(folder: str) -> Iterator[psutil.Process]:
    """Yield the living processes of a drill."""
    for process in psutil.process_iter():
        with suppress(psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            if process.environ().get(MARK) == folder:
                yield process


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        server = process.parent()
        return server is not None and "forkserver" in " ".join(server.cmdline())
    return False


def _text(values: object) -> str:
    return json.dumps(dict(values), sort_keys=True)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
