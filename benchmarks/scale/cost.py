"""Processor seconds of a suggestion, by the number of records and of pending runs: measured."""

import csv
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "optimizer"))

import analytic
from problem import Problem

from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import allowed_points
from limbeck.runs import Run, RunState
from limbeck.space import Parameters

RECORDS = (20, 50, 100, 200, 479, 1000, 2000, 5000)
PENDING = (0, 20, 100, 500)
TABLE = Path(__file__).with_name("suggestions.csv")


def measure(path: Path) -> None:
    """Write a line for each size: 17 parameters, one known metric, one thread.

    ``seconds`` is of one suggestion after something new was told, ``again`` of the next one with no
    news but that the first is pending.
    """
    problem = analytic.students17()
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("records", "pending", "seconds", "again"))
        for records, pending in itertools.product(RECORDS, PENDING):
            runs = make_runs(problem, finished=records, pending=pending)
            first, second = seconds_of(problem, runs, count=2)
            table.writerow((records, pending, f"{first:.3f}", f"{second:.3f}"))
            file.flush()


def seconds_of(problem: Problem, runs: Sequence[Run], *, count: int) -> list[float]:
    """Return the processor seconds of each of several suggestions in a row, all of them pending.

    What the sampler keeps for good, which takes a few tenths of a second, does not count.
    """
    sampler = make_sampler(problem)
    sampler.suggest(runs[:12])
    seconds, runs = [], list(runs)
    for _ in range(count):
        start = time.process_time()
        parameters = sampler.suggest(runs)
        seconds.append(time.process_time() - start)
        runs.append(make_run(problem, len(runs), parameters, is_pending=True))
    return seconds


def make_sampler(problem: Problem) -> BayesianSampler:
    """Return limbeck's sampler for a problem of the optimizer benchmark."""
    assert problem.known is not None, "students17 has a known metric"
    return BayesianSampler(
        problem.space, problem.metrics, known=problem.known, baseline=None, seed=0, log_known=False
    )


def make_runs(problem: Problem, *, finished: int, pending: int) -> list[Run]:
    """Return runs spread over the space, the last of them pending."""
    assert problem.known is not None, "students17 has a known metric"
    points = allowed_points(problem.space, problem.metrics, known=problem.known, seed=0)
    return [
        make_run(problem, number, parameters, is_pending=number >= finished)
        for number, parameters in enumerate(itertools.islice(points, finished + pending))
    ]


def make_run(problem: Problem, number: int, parameters: Parameters, *, is_pending: bool) -> Run:
    """Return a run as the store would have it."""
    assert problem.known is not None, "students17 has a known metric"
    known = problem.known(parameters)
    if is_pending:
        return Run(number=number, parameters=parameters, state=RunState.RUNNING, values=known)
    values = problem.evaluate(parameters)
    state = RunState.INFEASIBLE if values is None else RunState.FINISHED
    return Run(number=number, parameters=parameters, state=state, values=values or known)


class Cost:
    """Seconds of a suggestion between and beyond the measured sizes.

    Linear in the logarithms of records and seconds, at the least measured number of pending runs
    that is not smaller.
    """

    def __init__(self, path: Path = TABLE) -> None:
        with path.open(newline="") as file:
            rows = [[float(value) for value in row.values()] for row in csv.DictReader(file)]
        self._table = np.array(rows)

    def __call__(self, records: int, pending: int, *, again: bool = False) -> float:
        """Return the seconds with so many ended and pending runs, and news or not."""
        counts = np.unique(self._table[:, 1])
        count = counts[min(np.searchsorted(counts, pending), len(counts) - 1)]
        rows = self._table[self._table[:, 1] == count]
        seconds = np.log(rows[:, 3 if again else 2])
        size = np.log(max(records, 1))
        return float(np.exp(np.interp(size, np.log(rows[:, 0]), seconds)))
