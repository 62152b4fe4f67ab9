"""Several threads and processes on one store, and processes that are killed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import Barrier as ThreadBarrier
from typing import Any

from limbeck.runs import CurvePoint, Outcome, Run, RunState
from limbeck.store import Store
from limbeck.store.connection import open_engine, parse_url, writing
from limbeck.store.schema import runs
from tests.store.conftest import Clock

FRESH = get_context("forkserver")
FRESH.set_forkserver_preload([__name__])


def ask_until_refused(store: Store, owner: str) -> list[Run]:
    asked: list[Run] = []
    while True:
        run = store.claim_waiting("bert", owner=owner)
        run = run or store.add_run("bert", {"owner": owner}, values={"size": 1.0}, owner=owner)
        if run is None:
            return asked
        asked.append(run)


def ask_in_process(url: str, owner: str, barrier: Barrier, answers: Connection) -> None:
    with Store(url) as store:
        barrier.wait()
        answers.send([run.number for run in ask_until_refused(store, owner)])


def open_in_process(url: str, barrier: Barrier, answers: Connection) -> None:
    barrier.wait()
    with Store(url) as store:
        answers.send(len(store.studies()))


def ask_and_hang(url: str, answers: Connection) -> None:
    store = Store(url)
    run = store.add_run("bert", {"layers": 3}, values={"size": 1.0}, owner="killed:1:1")
    assert run is not None
    point = CurvePoint(step=1, metric="loss", value=2.0, seconds=1.0)
    store.add_points("bert", run.number, [point], owner="killed:1:1")
    answers.send(run.number)
    answers.recv()


def write_half_and_hang(url: str, answers: Connection) -> None:
    with writing(open_engine(parse_url(url))).begin() as connection:
        connection.execute(runs.update().values(state=RunState.FINISHED, owner=""))
        answers.send("written, not committed")
        answers.recv()


def run_processes(target: Callable[..., None], arguments: list[tuple[object, ...]]) -> list[Any]:
    pipes = [FRESH.Pipe(duplex=False) for _ in arguments]
    processes = [
        FRESH.Process(target=target, args=(*given, sender))
        for given, (_, sender) in zip(arguments, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    for _, sender in pipes:
        sender.close()
    answers = [receiver.recv() for receiver, _ in pipes]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)
    return answers


def kill_when_it_answers(target: Callable[[str, Connection], None], url: str) -> object:
    here, there = FRESH.Pipe()
    process = FRESH.Process(target=target, args=(url, there))
    process.start()
    there.close()
    answer: object = here.recv()
    process.kill()
    process.join()
    assert process.exitcode == -9
    return answer


def test_processes_never_get_the_same_run_nor_exceed_the_budget(store: Store, url: str) -> None:
    store.update_study("bert", budget=40, config="")
    for _ in range(10):
        store.add_run("bert", {}, values={}, owner=None)
    barrier = FRESH.Barrier(3)
    owners = ["a:1:1", "b:2:2", "c:3:3"]
    answers = run_processes(ask_in_process, [(url, owner, barrier) for owner in owners])
    numbers = [number for asked in answers for number in asked]
    assert sorted(numbers) == list(range(40))
    assert {run.number: run.owner for run in store.runs("bert")} == {
        number: owner for owner, asked in zip(owners, answers, strict=True) for number in asked
    }
    assert {run.attempts for run in store.runs("bert")} == {1}


def test_threads_of_one_store_never_get_the_same_run(store: Store) -> None:
    store.update_study("bert", budget=30, config="")
    barrier = ThreadBarrier(6)

    def ask(owner: str) -> list[Run]:
        barrier.wait()
        return ask_until_refused(store, owner)

    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(ask, "abcdef"))
    assert sorted(run.number for mine in asked for run in mine) == list(range(30))
    assert [run.parameters["owner"] for run in store.runs("bert")] == [
        run.owner for run in store.runs("bert")
    ]


def test_processes_may_open_a_new_database_at_once(new_url: str) -> None:
    barrier = FRESH.Barrier(3)
    assert run_processes(open_in_process, [(new_url, barrier)] * 3) == [0, 0, 0]


def test_a_run_of_a_killed_process_can_be_released(store: Store, url: str, clock: Clock) -> None:
    assert kill_when_it_answers(ask_and_hang, url) == 0
    left = store.run("bert", 0)
    assert (left.state, left.owner) == (RunState.RUNNING, "killed:1:1")
    released = store.release_stale("bert", lambda run, _seconds: run.owner == "killed:1:1")
    assert [run.number for run in released] == [0]
    again = store.claim_waiting("bert", owner="alive:2:2")
    assert again is not None
    assert (again.number, again.parameters, again.values, again.attempts) == (
        0,
        {"layers": 3},
        {"size": 1.0},
        2,
    )
    assert [point.step for point in store.points("bert", 0)] == [1]
    store.end_run("bert", 0, Outcome(state=RunState.FINISHED), owner="alive:2:2")


def test_a_killed_transaction_leaves_neither_changes_nor_a_lock(store: Store, url: str) -> None:
    run = store.add_run("bert", {}, values={}, owner="me:1:1")
    assert kill_when_it_answers(write_half_and_hang, url) == "written, not committed"
    assert store.runs("bert") == (run,)
    store.end_run("bert", 0, Outcome(state=RunState.FINISHED), owner="me:1:1")
