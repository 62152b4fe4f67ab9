"""Simulated studies: an optimizer asks for runs, and hears of their ends in an order of chance."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from problem import Problem, Values

from limbeck.space import Parameters, Value


class Optimizer(Protocol):
    """Chooses runs and hears of their ends, in any order and with others still out."""

    def ask(self) -> tuple[int, Parameters]:
        """Return a ticket and the parameters of the next run."""
        ...

    def tell(self, ticket: int, values: Values | None) -> None:
        """Take the values of a run, or None if it diverged."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that ended.

    Attributes:
        parameters: What it was asked to be.
        values: Its metrics; None if it diverged.
        share: Of the true frontier's hypervolume, by this and all runs that ended before.
        seconds: Until the optimizer had suggested it.
    """

    parameters: Mapping[str, Value]
    values: Values | None
    share: float
    seconds: float


def simulate(
    problem: Problem, optimizer: Optimizer, *, runs: int, pending: int, seed: int
) -> list[Ended]:
    """Return the runs of a study in the order they end.

    A run is asked for as soon as fewer than ``pending`` are out. Which of these ends next is drawn
    by the seed, and so is the same for every optimizer.
    """
    order = np.random.default_rng([seed, pending])
    out: list[tuple[int, Parameters, float]] = []
    ended: list[Ended] = []
    while len(ended) < runs:
        while len(out) < min(pending, runs - len(ended)):
            start = time.perf_counter()
            ticket, parameters = optimizer.ask()
            out.append((ticket, parameters, time.perf_counter() - start))
        ticket, parameters, seconds = out.pop(int(order.integers(len(out))))
        values = problem.evaluate(parameters)
        optimizer.tell(ticket, values)
        so_far = [*(run.values for run in ended), values]
        share = problem.share([each for each in so_far if each is not None])
        ended.append(Ended(parameters=parameters, values=values, share=share, seconds=seconds))
    return ended
