"""A large study under load: how long what a search, a worker and a user wait for takes.

Fills a study with 10,000 runs and 1,000,000 curve points, in SQLite and in a private PostgreSQL
server, both as durable as they are for users. Measures asking and telling (beside the sampler),
``limbeck frontier`` from start to end, reading one run's curves, and 50 processes that tell as fast
as they can.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeAlias

import _postgres
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table
from typing_extensions import override

from limbeck.config import StudyConfig, parse_config
from limbeck.optimize.sampler import Sampler
from limbeck.runs import Artifact, CurvePoint, Outcome, Run, RunState
from limbeck.space import SearchSpace, Value
from limbeck.store import Store, schema
from limbeck.store.connection import open_engine, parse_url, writing
from limbeck.study import Study, enter, this_process

BENCH = Path(__file__).resolve().parents[1] / ".limbeck" / "bench"
NAME = "load"
CURVES = ("loss", "exact", "f1", "learning_rate")
SCORES = ("f1", "HasAns_exact", "NoAns_exact", "latency_ms", "memory_mb")
STATES = (*[RunState.FINISHED] * 17, RunState.STOPPED, RunState.INFEASIBLE, RunState.FAILED)
START = datetime(2026, 1, 1, tzinfo=UTC)
FRESH = get_context("forkserver")

Row: TypeAlias = dict[str, object]
Say: TypeAlias = Callable[[str], None]

TARGETS = {"ask_tell_ms": 50.0, "frontier_s": 1.0, "curves_ms": 100.0, "tell_max_s": 1.0, "lost": 0}
"""What each figure must stay below; none may be lost."""


@dataclass(frozen=True)
class Scale:
    """How much there is.

    Attributes:
        runs: In the study.
        points: Of curves, in all runs together.
        asked: Runs that are asked for and told, one after the other.
        workers: Processes that tell at once.
        seconds: For which they do.
    """

    runs: int
    points: int
    asked: int
    workers: int
    seconds: float


def main() -> None:
    """Run the benchmark, and print its result last."""
    scale = _scale()
    BENCH.mkdir(parents=True, exist_ok=True)
    print(f"{scale}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=BENCH, prefix="load-") as folder:
        found = measure(f"sqlite:///{folder}/store.db", scale, "sqlite")
        results |= {f"sqlite_{name}": value for name, value in found.items()}
    programs = _postgres.find_programs()
    if programs is None:
        print("PostgreSQL is left out: it is not installed (Debian: apt-get install postgresql)")
    else:
        with _postgres.private_server(programs, durable=True) as server:
            found = measure(server.create("load"), scale, "postgresql")
            results |= {f"postgresql_{name}": value for name, value in found.items()}
    print("RESULT", *(f"{name}={round(value, 3)}" for name, value in results.items()))


def measure(url: str, scale: Scale, database: str) -> dict[str, float]:
    """Fill a store, and return what was measured, by name; say it, too."""

    def say(text: str) -> None:
        print(f"{database:10} [{time.perf_counter() - start:4.0f} s] {text}", flush=True)

    start = time.perf_counter()
    config = study_config()
    fill(url, config, scale)
    say(f"filled: {scale.runs} runs, {scale.points} points")
    results = {
        **time_asking(url, config, scale, say),
        "frontier_s": time_frontier(url, say),
        "curves_ms": time_curves(url, scale, say),
        **time_workers(url, scale, say),
    }
    missed = [name for name, most in TARGETS.items() if results[name] > most]
    say(f"targets missed: {', '.join(missed)}" if missed else "all targets met")
    return results


def study_config() -> StudyConfig:
    """Return a search over ten parameters for the frontier of exact match and size."""
    weight = {"type": "float", "low": 0.0, "high": 1.0}
    table = {
        "name": NAME,
        "task": "question-answering",
        "teacher": {"model": "teacher"},
        "data": {"train": "train.json", "dev": "dev.json"},
        "metrics": {"exact": {"threshold": 50.0}, "num_parameters": {}},
        "space": {
            "num_layers": {"type": "integer", "low": 1, "high": 12},
            "num_heads": {"type": "integer", "low": 1, "high": 12},
            "ffn_size": {"type": "integer", "low": 64, "high": 3072, "step": 64},
            "learning_rate": {"type": "float", "low": 1e-6, "high": 1e-3, "log": True},
            "temperature": {"type": "float", "low": 1.0, "high": 10.0},
            "dropout": {"type": "float", "low": 0.0, "high": 0.5},
            "weight_decay": weight,
            "alpha_ce": weight,
            "alpha_hidden": weight,
            "importance": {"type": "choice", "choices": ["magnitude", "random"]},
        },
    }
    return parse_config(table, folder=BENCH, name=NAME)


def fill(url: str, config: StudyConfig, scale: Scale) -> None:
    """Write a study whose runs have all ended."""
    with Store(url) as store:
        enter(store, config, runs=2 * scale.runs)
    engine = open_engine(parse_url(url))
    generator = np.random.default_rng(0)
    steps = max(1, scale.points // (scale.runs * len(CURVES)))
    for first in range(0, scale.runs, 500):
        count = min(500, scale.runs - first)
        unit = generator.random((count, config.space.dimension))
        numbers = range(first, first + count)
        with writing(engine).begin() as connection:
            ids = _insert_runs(connection, numbers)
            _insert(connection, schema.parameter_values, _parameters(config, unit), ids)
            _insert(connection, schema.metric_values, _values(generator, count), ids)
            _insert(connection, schema.artifacts, _artifacts(count), ids)
            _insert(connection, schema.points, _points(generator, count, steps), ids)
    engine.dispose()


def _insert_runs(connection: Connection, numbers: range, **changed: object) -> list[int]:
    rows = [
        {
            "study_id": 1,
            "number": number,
            "state": STATES[number % len(STATES)],
            "owner": "host:1:1.00",
            "heartbeat": START + timedelta(minutes=number + 1),
            "created": START + timedelta(minutes=number),
            "started": START + timedelta(minutes=number),
            "ended": START + timedelta(minutes=number + 1),
            "attempts": 1,
            "reason": "",
            "message": "",
            "seconds": 60.0,
            "total_steps": 1000,
            "epoch_steps": 500,
            **changed,
        }
        for number in numbers
    ]
    query = schema.runs.insert().returning(schema.runs.c.number, schema.runs.c.id)
    return [row.id for row in sorted(connection.execute(query, rows))]


def _insert(
    connection: Connection, table: Table, rows: Iterable[list[Row]], ids: Sequence[int]
) -> None:
    """Insert the rows of runs: a list for each run."""
    connection.execute(
        table.insert(),
        [{"run_id": run_id, **row} for run_id, mine in zip(ids, rows, strict=True) for row in mine],
    )


def _parameters(config: StudyConfig, unit: NDArray[np.float64]) -> Iterator[list[Row]]:
    for point in unit:
        values = config.space.decode(point)
        yield [{"name": name, "value": value} for name, value in values.items()]


def _values(generator: np.random.Generator, count: int) -> Iterator[list[Row]]:
    for size, *scores in generator.random((count, 1 + len(SCORES))):
        # More of a student knows more, with less and less to gain: the frontier is a curve.
        exact = 80 * (1 - np.exp(-3 * size)) * (0.7 + 0.3 * scores[0])
        values = {"num_parameters": 1e8 * size, **dict(zip(SCORES, scores, strict=True))}
        values["exact"] = exact
        yield [
            {"name": name, "value": value, "standard_error": None} for name, value in values.items()
        ]


def _artifacts(count: int) -> Iterator[list[Row]]:
    names = ("predictions.json", "config.json", "environment.json", "log.txt")
    for _ in range(count):
        yield [{"name": name, "path": f"runs/{name}", "sha256": "", "bytes": 1} for name in names]


def _points(generator: np.random.Generator, count: int, steps: int) -> Iterator[list[Row]]:
    for _ in range(count):
        values = generator.random((steps, len(CURVES)))
        yield [
            {"metric": metric, "step": 10 * step, "value": value, "seconds": 60 * step / steps}
            for step, row in enumerate(values)
            for metric, value in zip(CURVES, row, strict=True)
        ]


class Spread(Sampler):
    """Chooses at random, so that next to nothing but the store takes time."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._generator = np.random.default_rng(1)

    @override
    def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
        return self._space.decode(self._generator.random(self._space.dimension))


def time_asking(url: str, config: StudyConfig, scale: Scale, say: Say) -> dict[str, float]:
    """Return the milliseconds in which a run is asked for and told, beside the sampler."""
    with Store(url) as store:
        study = Study(
            store=store,
            name=NAME,
            space=config.space,
            sampler=Spread(config.space),
            known=lambda _parameters: {"num_parameters": 1e8},
            owner=this_process(),
        )
        asks, tells = [], []
        for _ in range(scale.asked):
            start = time.perf_counter()
            run = study.ask()
            asked = time.perf_counter()
            assert run is not None
            study.tell(run, outcome())
            asks.append(1000 * (asked - start))
            tells.append(1000 * (time.perf_counter() - asked))
    # The first one reads all runs, once for a search.
    both = [ask + tell for ask, tell in zip(asks[1:], tells[1:], strict=True)]
    median, most = statistics.median(both), statistics.quantiles(both, n=10)[-1]
    say(
        f"ask and tell: {median:.1f} ms, 90 % below {most:.1f} ms, at most {max(both):.1f} ms; the "
        f"first ask, which reads all runs, {asks[0]:.0f} ms"
    )
    return {"ask_tell_ms": median, "ask_tell_p90_ms": most, "first_ask_ms": asks[0]}


def outcome() -> Outcome:
    """Return a finished run's outcome of usual size."""
    names = ("predictions.json", "config.json", "environment.json", "log.txt", "model")
    return Outcome(
        state=RunState.FINISHED,
        values=dict.fromkeys(("exact", *SCORES), 50.0),
        errors={"exact": 0.5},
        artifacts=tuple(Artifact(name=name, path=name, sha256="", bytes=1) for name in names),
        seconds=60.0,
    )


def time_frontier(url: str, say: Say) -> float:
    """Return the seconds of ``limbeck frontier``, from start to end: the median of five."""
    command = [Path(sys.executable).with_name("limbeck"), "frontier", "--store", url]
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=BENCH)
        seconds.append(time.perf_counter() - start)
    say(f"limbeck frontier: {', '.join(f'{each:.2f}' for each in sorted(seconds))} s")
    return statistics.median(seconds)


def time_curves(url: str, scale: Scale, say: Say) -> float:
    """Return the milliseconds in which one run's curves are read: the median of 50 runs."""
    milliseconds = []
    with Store(url) as store:
        for number in random.Random(0).sample(range(scale.runs), 50):
            start = time.perf_counter()
            points = store.points(NAME, number)
            milliseconds.append(1000 * (time.perf_counter() - start))
            assert len(points) >= len(CURVES)
    median = statistics.median(milliseconds)
    say(f"one run's curves: {median:.1f} ms, at most {max(milliseconds):.1f} ms")
    return median


def time_workers(url: str, scale: Scale, say: Say) -> dict[str, float]:
    """Return how long a process waited at most, and how many outcomes were lost."""
    with Store(url) as store:
        taken = len(store.results(NAME, ()))
        store.update_study(NAME, budget=10**6, config=store.study(NAME).config)
    shares = _add_running(url, taken, scale)
    barrier = FRESH.Barrier(scale.workers)
    with ProcessPoolExecutor(
        scale.workers, mp_context=FRESH, initializer=_meet, initargs=(barrier,)
    ) as pool:
        jobs = [pool.submit(tell_for, url, share, scale.seconds) for share in shares]
        told = [job.result() for job in jobs]
    seconds = [each for calls, _ in told for each in calls]
    numbers = [number for _, mine in told for number in mine]
    with Store(url) as store:
        runs, points = store.some_runs(NAME, numbers), store.all_points(NAME, first=taken)
    kept = [run for run in runs if run.values and len(points[run.number]) == 2 * len(CURVES)]
    lost = len(numbers) - sum(run.state is RunState.FINISHED for run in kept)
    waits = statistics.quantiles(seconds, n=100)
    say(
        f"{scale.workers} processes at once: {len(numbers)} runs told in {scale.seconds:.0f} s, "
        f"each in 4 calls of {1000 * waits[49]:.0f} ms (99 % below {waits[98]:.2f} s, at most "
        f"{max(seconds):.2f} s), {lost} lost"
    )
    return {"tell_max_s": max(seconds), "tell_p99_s": waits[98], "lost": lost}


def _add_running(url: str, first: int, scale: Scale) -> list[range]:
    """Add runs that run, enough for every process, and return the numbers of each one's."""
    size = int(20 * scale.seconds)
    shares = [
        range(start, start + size) for start in range(first, first + scale.workers * size, size)
    ]
    engine = open_engine(parse_url(url))
    with writing(engine).begin() as connection:
        for share in shares:
            running = {"state": RunState.RUNNING, "owner": _owner(share), "ended": None}
            _insert_runs(connection, share, **running)
    engine.dispose()
    return shares


def _owner(share: range) -> str:
    return f"host:{share.start}:1.00"


def _meet(barrier: Barrier) -> None:
    barrier.wait()


def tell_for(url: str, share: range, seconds: float) -> tuple[list[float], list[int]]:
    """Report on runs and end them, one after the other without pause, as their worker would.

    Returns:
        The seconds that each call took, and the numbers of the runs.
    """
    calls: list[float] = []
    numbers: list[int] = []

    def timed(call: Callable[..., object], *arguments: object) -> None:
        start = time.perf_counter()
        call(NAME, *arguments, owner=_owner(share))
        calls.append(time.perf_counter() - start)

    with Store(url) as store:
        end = time.perf_counter() + seconds
        for number in share:
            if time.perf_counter() >= end:
                break
            timed(store.heartbeat)
            for step in (0, 1):
                points = [
                    CurvePoint(step=step, metric=metric, value=1.0, seconds=1.0)
                    for metric in CURVES
                ]
                timed(store.add_points, number, points)
            timed(store.end_run, number, outcome())
            numbers.append(number)
    return calls, numbers


def _scale() -> Scale:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python benchmarks/load.py --workers 20",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of it all")
    parser.add_argument("--runs", type=int, help="runs of the study (default: 10000)")
    parser.add_argument("--points", type=int, help="points of all curves (default: 1000000)")
    parser.add_argument("--workers", type=int, default=50, help="processes at once (default: 50)")
    arguments = parser.parse_args()
    part = 10 if arguments.quick else 1
    return Scale(
        runs=arguments.runs or 10_000 // part,
        points=arguments.points or 1_000_000 // part,
        asked=100,
        workers=arguments.workers,
        seconds=5.0 if arguments.quick else 10.0,
    )


if __name__ == "__main__":
    main()
