"""Seconds and memory that a suggestion takes, by the number of runs and of pending ones."""

import itertools
import resource
import time

import analytic
from problem import Problem

from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import allowed_points
from limbeck.runs import Run, RunState
from limbeck.space import Parameters

RUNS = (100, 500, 2000)
PENDING = (0, 20)
REPETITIONS = 3


def measure() -> None:
    """Print a line for each size: 17 parameters, runs spread over the space, one known metric.

    Seconds are of the processor, of one thread: other work on the machine does not count.
    """
    problem = analytic.students17()
    for count in RUNS:
        for pending in PENDING:
            times = [_seconds(problem, count, pending, seed) for seed in range(REPETITIONS)]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{count} runs, {pending} of them pending: {min(times):.2f} to {max(times):.2f} s "
                f"a suggestion (n={REPETITIONS}), at most {peak:.0f} MB until then",
                flush=True,
            )


def _seconds(problem: Problem, count: int, pending: int, seed: int) -> float:
    known = problem.known or _nothing_known
    sampler = BayesianSampler(
        problem.space, problem.metrics, known=known, baseline=None, seed=seed, log_known=False
    )
    points = allowed_points(problem.space, problem.metrics, known=known, seed=seed)
    finished = count - pending
    runs = [
        _run(problem, number, parameters, is_pending=number >= finished)
        for number, parameters in enumerate(itertools.islice(points, count))
    ]
    start = time.process_time()
    sampler.suggest(runs)
    return time.process_time() - start


def _run(problem: Problem, number: int, parameters: Parameters, *, is_pending: bool) -> Run:
    known = (problem.known or _nothing_known)(parameters)
    if is_pending:
        return Run(number=number, parameters=parameters, state=RunState.RUNNING, values=known)
    values = problem.evaluate(parameters)
    state = RunState.INFEASIBLE if values is None else RunState.FINISHED
    return Run(number=number, parameters=parameters, state=state, values=values or known)


def _nothing_known(_: Parameters) -> dict[str, float]:
    return {}
