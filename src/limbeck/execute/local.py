"""A search on this machine: workers are processes, and this process alone writes to the store."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from limbeck.config import StudyConfig
from limbeck.distill.checkpoint import remove_checkpoint
from limbeck.errors import LimbeckError
from limbeck.execute.worker import Began, Message, Reported, Task, work
from limbeck.home import Home
from limbeck.runs import Outcome, Run, RunState
from limbeck.study import Study

HEARTBEAT_SECONDS = 5.0
"""How often the search tells the store that its runs are alive."""

GRACE_SECONDS = 10.0
"""How long a worker may take to end when it is asked to."""

FAILURES_IN_A_ROW = 3
"""So many failed runs one after the other end the search: something is wrong with all of them."""


@dataclass
class Worker:
    """A worker process and what it is doing.

    Attributes:
        number: From 0; no two that work at the same time have the same.
        process: Runs `limbeck.execute.worker.work`.
        connection: To it.
        run: The run it makes; None while it is idle.
        step: Optimizer steps done.
        total_steps: Optimizer steps of the run; 0 before training starts.
    """

    number: int
    process: BaseProcess
    connection: "Connection[Task, Message]"
    run: Run | None = None
    step: int = 0
    total_steps: int = 0


def search(
    study: Study,
    config: StudyConfig,
    home: Home,
    *,
    workers: int,
    watch: Callable[[Mapping[int, tuple[int, int]]], object],
) -> None:
    """Carry out a study's runs until its budget is spent or its space exhausted.

    Runs whose process is gone are taken up first, from their checkpoints. A worker that dies ends
    its run as *failed*, and another takes its place. However the search is left, its workers end
    and its runs are free for the next search.

    Args:
        study: Asks and tells.
        config: What the workers' objective is made from.
        home: Where runs are kept.
        workers: Runs at a time; they share the cores.
        watch: Called whenever something may have changed, with optimizer steps done and in all, by
            number of the runs that are being made.

    Raises:
        LimbeckError: If `FAILURES_IN_A_ROW` runs failed.
    """
    study.release_lost()
    crew: list[Worker] = []
    failures = 0
    try:
        while True:
            _assign(study, config, home, crew, workers)
            busy = [worker for worker in crew if worker.run]
            watch({w.run.number: (w.step, w.total_steps) for w in busy if w.run})
            if not busy:
                return
            ready = wait([worker.connection for worker in busy], timeout=HEARTBEAT_SECONDS)
            study.heartbeat()
            for worker in busy:
                if worker.connection not in ready:
                    continue
                outcome = _listen(study, worker)
                if outcome is None:
                    continue
                _end_run(study, home, worker, outcome)
                if outcome.state is RunState.FAILED:
                    crew.remove(worker)
                    _dismiss(worker)
                failures = failures + 1 if outcome.state is RunState.FAILED else 0
                if failures == FAILURES_IN_A_ROW:
                    raise LimbeckError(
                        f"{failures} runs failed one after the other, the last with "
                        f"{outcome.reason}: {outcome.message}; mend the cause and start again"
                    )
    finally:
        for worker in crew:
            _dismiss(worker)
        study.release()


def _assign(
    study: Study, config: StudyConfig, home: Home, crew: list[Worker], workers: int
) -> None:
    """Give every idle or missing worker a run, while there are any."""
    idle = [worker for worker in crew if not worker.run]
    for _ in range(len(idle) + workers - len(crew)):
        run = study.ask()
        if run is None:
            return
        if not idle:
            threads = max(1, (os.cpu_count() or 1) // workers)
            number = min(set(range(workers)) - {worker.number for worker in crew})
            crew.append(_hire(config, home, number, threads))
            idle.append(crew[-1])
        worker = idle.pop()
        worker.run, worker.step, worker.total_steps = run, 0, 0
        worker.connection.send(Task(run.parameters, home.run(study.name, run.number)))


def _hire(config: StudyConfig, home: Home, number: int, threads: int) -> Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=work,
        name=f"worker {number}",
        args=(theirs, config, home, number, threads),
        daemon=True,
    )
    process.start()
    theirs.close()
    return Worker(number, process, ours)


def _dismiss(worker: Worker) -> None:
    """End a worker, in good order if it can."""
    worker.connection.close()
    worker.process.terminate()
    worker.process.join(GRACE_SECONDS)
    worker.process.kill()
    worker.process.join()


def _listen(study: Study, worker: Worker) -> Outcome | None:
    """Take one message; return the outcome if it ends the run."""
    assert worker.run is not None
    try:
        message = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        code = worker.process.exitcode or 0
        return Outcome(
            state=RunState.FAILED,
            reason="killed" if code < 0 else "exited",
            message=f"the worker ended with signal {-code}" if code < 0 else f"exit code {code}",
        )
    match message:
        case Began():
            worker.step, worker.total_steps = message.step, message.total_steps
            study.resume_at(worker.run.number, message.step)
            return None
        case Reported():
            worker.step = max(point.step for point in message.points)
            study.report(worker.run.number, message.points)
            return None
        case Outcome():
            return message


def _end_run(study: Study, home: Home, worker: Worker, outcome: Outcome) -> None:
    assert worker.run is not None
    study.tell(worker.run.number, outcome)
    remove_checkpoint(home.run(study.name, worker.run.number) / "checkpoint.safetensors")
    worker.run = None
