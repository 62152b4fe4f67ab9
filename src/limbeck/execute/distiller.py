"""A worker on a cluster: what runs in an actor. It knows nothing of the cluster itself."""

import fcntl
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar

from limbeck.artifacts import artifacts_url
from limbeck.config import StudyConfig
from limbeck.distill.checkpoint import remove_checkpoint
from limbeck.execute.team import Team
from limbeck.execute.travel import Traveller, exists
from limbeck.execute.worker import Answer, Message, Task, failed, make
from limbeck.files import whole_file
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import Outcome

WAIT_SECONDS = 30.0
"""How long a worker that has nothing to say keeps whoever listens waiting."""

FILE = NDArray[np.uint8]
"""The bytes of a file."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a worker finds where it is.

    Attributes:
        version: Of Limbeck.
        sees_home: Whether the home folder is that of the search.
        sees_url: Whether artifacts go to the place that the search means.
    """

    version: str
    sees_home: bool
    sees_url: bool


class Distiller:
    """Carries out tasks, one after the other, each in a thread; others listen and answer.

    Args:
        config: What the objective is made from.
        home: Where runs are kept.
        processes: That train a student together; if there is more than one, each has a GPU.
        threads: That torch computes with in each of them.
    """

    def __init__(self, config: StudyConfig, home: Home, processes: int, threads: int) -> None:
        disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
        self._config = config
        self._home = home
        self._threads = threads
        self._team = Team(config, home, count=processes, threads=threads) if processes > 1 else None
        self._is_elsewhere = False
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()

    def look(self, mark: str) -> Facts:
        """Say what is here: whether the mark of the search is.

        Args:
            mark: Name of a file in the home, and of one beneath the artifacts' URL.
        """
        url = artifacts_url(self._config)
        sees_home = (self._home.folder / mark).exists()
        self._is_elsewhere = not sees_home
        return Facts(
            version=version("limbeck"),
            sees_home=sees_home,
            sees_url=url is not None and exists(f"{url}/{mark}"),
        )

    def unpack(self, paths: Sequence[Path], *files: FILE) -> None:
        """Write what the search has prepared where it has it, once for all workers of a node.

        Raises:
            OSError: If it cannot be written there.
        """
        self._home.folder.mkdir(parents=True, exist_ok=True)
        with (self._home.folder / ".unpacking").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for path, content in zip(paths, files, strict=True):
                if not (path.exists() and path.stat().st_size == len(content)):
                    with whole_file(path) as unfinished:
                        content.tofile(unfinished)

    def begin(self, turn: int, task: Task) -> None:
        """Begin a task.

        Args:
            turn: How many there were before: what is said and asked comes in any order.
            task: What is asked for.
        """
        threading.Thread(target=self._make, args=(task, self._line(turn)), daemon=True).start()

    def hear(self, turn: int, seen: int) -> tuple[Message, ...]:
        """Return what was said of a task after the first ``seen`` messages, when there is some.

        It may be asked for again. Empty if for long there is none.
        """
        return self._line(turn).hear(seen)

    def answer(self, turn: int, answer: Answer) -> None:
        """Hear what the search says of a task."""
        self._line(turn).tell(answer)

    def _line(self, turn: int) -> "_Line":
        with self._lock:
            if turn not in self._lines:
                self._lines = {turn: _Line()}  # Of the turns before, all is said.
            return self._lines[turn]

    @cached_property
    def _objective(self) -> Objective:
        return Objective(self._config, self._home)

    def _make(self, task: Task, line: "_Line") -> None:
        try:
            self._carry_out(task, line)
        except Exception as error:  # noqa: BLE001  # Nobody else would tell the search.
            traceback.print_exc()
            line.send(failed(error, task.folder))

    def _carry_out(self, task: Task, line: "_Line") -> None:
        """Carry out a task with the checkpoints that others left of it."""
        url = artifacts_url(self._config)
        if url is None:
            self._train(task, line)
            return
        with Traveller(task.folder, url, goes=self._is_elsewhere) as traveller:
            line.before_the_last = traveller.end
            whole = self._train(task, line)
        if whole and self._is_elsewhere:
            remove_checkpoint(task.folder / "checkpoint.safetensors")

    def _train(self, task: Task, line: "_Line") -> bool:
        if self._team is not None:
            return self._team.make(task, line)
        torch.set_num_threads(self._threads)  # It counts for the thread that says it.
        return make(lambda: self._objective, task, line)


class _Line:
    """What is said of one task, and what the search says; a `Line`.

    Attributes:
        heard: What the search said comes out of it.
        before_the_last: Called before it is said how the task ended.
    """

    def __init__(self) -> None:
        self.before_the_last: Callable[[], object] = tuple
        self.heard, self._told = Pipe(duplex=False)
        self._said: list[Message] = []
        self._more = threading.Condition()

    def send(self, message: Message, /) -> None:
        if isinstance(message, Outcome):
            self.before_the_last()
        with self._more:
            self._said.append(message)
            self._more.notify_all()

    def poll(self) -> bool:
        return self.heard.poll()

    def recv(self) -> Answer:
        answer: Answer = self.heard.recv()
        return answer

    def tell(self, answer: Answer) -> None:
        with self._more:
            self._told.send(answer)

    def hear(self, seen: int) -> tuple[Message, ...]:
        deadline = time.monotonic() + WAIT_SECONDS
        with self._more:
            while len(self._said) <= seen and time.monotonic() < deadline:
                self._more.wait(deadline - time.monotonic())
            return tuple(self._said[seen:])
