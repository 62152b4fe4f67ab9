"""Processes that train one student after another together, each with a GPU of its own."""

import os
import time
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Protocol

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch's

from limbeck.artifacts import with_artifacts
from limbeck.config import StudyConfig
from limbeck.execute.local import Process
from limbeck.execute.worker import Answer, Message, Task, work
from limbeck.home import Home
from limbeck.runs import Outcome, Reason, RunState

_HOST = "127.0.0.1"

_MET_BY_ALL = (Reason.ARCHITECTURE, Reason.DIVERGED)
"""Why all end alike, the main one among them: it says so with all that it leaves."""


class AwaitedLine(Protocol):
    """A `limbeck.execute.worker.Line` that can be waited for together with others.

    Attributes:
        heard: What the search says comes out of it.
    """

    heard: "Connection[Answer, Answer]"

    def send(self, message: Message, /) -> None:
        """Say something to the search."""


class Team:
    """Processes on this machine that carry out tasks together, begun as a launcher begins them.

    The first is the main one: what it says goes to the search, and the search's answers to it. Of
    the others, it only counts how they end: if one cannot go on or is gone, so ends the task, for
    the rest would wait for it. Those who finished a task together carry out the next; after any
    other end they are killed wherever they stand, and new ones begin. All end with this process.

    Args:
        config: What their objective is made from.
        home: Where runs are kept.
        count: How many they are.
        threads: That torch computes with in each of them.
    """

    def __init__(self, config: StudyConfig, home: Home, *, count: int, threads: int) -> None:
        self._config = config
        self._home = home
        self._count = count
        self._threads = threads
        self._members: list[Process] = []
        self._meeting: TCPStore | None = None

    def make(self, task: Task, line: AwaitedLine) -> bool:
        """Carry out one task, and say how it ended.

        Returns:
            Whether it did not fail.
        """
        if not (self._members and all(member.process.is_alive() for member in self._members)):
            self.end()
            self._begin()
        for member in self._members:
            member.began = time.monotonic()
            member.send(task)
        outcome = self._follow(line)
        if outcome.state is not RunState.FINISHED:
            self.end()
        if outcome.state is RunState.INFEASIBLE and not outcome.artifacts:
            outcome = with_artifacts(outcome, task.folder, self._config)  # A helper said so.
        line.send(outcome)
        return outcome.state is not RunState.FAILED

    def end(self) -> None:
        """Kill all processes."""
        for member in self._members:
            member.kill()
        for member in self._members:
            member.process.join()
            member.connection.close()
        self._members.clear()

    def _begin(self) -> None:
        """Start the processes; they meet at a port that this process holds."""
        self._meeting = TCPStore(_HOST, 0, is_master=True, wait_for_workers=False)
        context = get_context("spawn")
        for number in range(self._count):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                name=f"process {number} of {self._count}",
                args=(
                    self._environment(number, self._meeting.port),
                    *(theirs, self._config, self._home, number, self._threads),
                ),
                daemon=True,
            )
            process.start()
            theirs.close()
            self._members.append(Process(number, process, ours))

    def _environment(self, number: int, port: int) -> dict[str, str]:
        """Return the variables by which torch and accelerate know of the other processes."""
        return {
            "WORLD_SIZE": str(self._count),
            "LOCAL_WORLD_SIZE": str(self._count),
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "MASTER_ADDR": _HOST,
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # The port is held already.
            "OMP_NUM_THREADS": str(self._threads),
        }

    def _follow(self, line: AwaitedLine) -> Outcome:
        """Pass on what is said until all have finished, or one has ended in another way."""
        main, outcome = self._members[0], None
        working = {member.connection: member for member in reversed(self._members)}
        while working:
            for ready in wait([line.heard, *working]):
                if ready is line.heard:
                    main.send(line.heard.recv())
                    continue
                member = next(each for each in working.values() if each.connection is ready)
                for message in member.hear():
                    if not isinstance(message, Outcome):
                        line.send(message)
                        continue
                    if _ends_all(message, is_main=member is main):
                        return message
                    del working[member.connection]
                    outcome = message if member is main else outcome
        assert outcome is not None, "the main process ended, too"
        return outcome


def _ends_all(outcome: Outcome, *, is_main: bool) -> bool:
    """Whether a process that ended so leaves the others waiting for it."""
    if outcome.state is RunState.FINISHED:
        return False
    return is_main or outcome.reason not in _MET_BY_ALL


def _work(
    environment: Mapping[str, str],
    connection: "Connection[Message, Task | Answer]",
    config: StudyConfig,
    home: Home,
    number: int,
    threads: int,
) -> None:
    """Be one of the processes; see `limbeck.execute.worker.work`."""
    os.environ.update(environment)
    work(connection, config, home, number, threads)
