"""What SigOpt's schedule for two metrics improves next; see `limbeck.optimize.sigopt`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

_BORDER = 0.1  # Neither a weight nor epsilon comes nearer to 0 or 1.
_STEPS = 100  # So many different weights and places of epsilon has a phase.


class Phase(StrEnum):
    """What a part of the budget is spent on."""

    INITIALISATION = "initialisation"
    ONE_METRIC = "one metric"
    SPREAD = "convex combination, spread"
    SEQUENTIAL = "convex combination, sequential"
    POLISH = "polish"
    EPSILON = "epsilon-constraint"
    COMPLETION = "completion"


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What the next run is to improve.

    Attributes:
        weights: Of the two optimized metrics in the sum that is to grow; they add up to 1.
        epsilon: If not None, the metric of weight 0 is to be better than a value this far from the
            better end of the frontier (0) to the worse one (1).
    """

    weights: tuple[float, float]
    epsilon: float | None = None


def find_phase(
    *, observed: int, pending: int, failures: int, budget: int, has_threshold: bool
) -> tuple[Phase, float]:
    """Return the phase of the next run, and how much of it is done, from 0 to 1.

    Args:
        observed: Number of observations, failures among them.
        pending: Number of runs that have not ended.
        failures: Number of observations without a value.
        budget: Number of runs in all.
        has_threshold: Whether an optimized metric has a threshold; nothing is polished then.
    """
    available = max(budget - failures, pending, 1)
    served = (observed + pending) / available
    if observed / available <= 0.1:
        return Phase.INITIALISATION, min(served / 0.15, 1.0)
    ends = {
        Phase.INITIALISATION: 0.15,
        Phase.ONE_METRIC: 0.3,
        Phase.SPREAD: 0.45,
        Phase.SEQUENTIAL: 0.55,
        Phase.POLISH: 0.55 if has_threshold else 0.65,
        Phase.EPSILON: 0.95,
    }
    begin = 0.0
    for phase, end in ends.items():
        if served <= end:
            return phase, (served - begin) / (end - begin)
        begin = end
    return Phase.COMPLETION, 1.0


def find_aim(phase: Phase, done: float, *, observed: int, rng: np.random.Generator) -> Aim:
    """Return what the next run is to improve.

    Args:
        phase: Where the search stands.
        done: How much of the phase is done, from 0 to 1.
        observed: Number of observations; the metrics take turns by it.
        rng: Chooses the metric in the first phase and the last, and epsilon in the last.
    """
    chance = phase in (Phase.INITIALISATION, Phase.COMPLETION)
    turn = int(rng.integers(2)) if chance else observed % 2
    one_metric = (0.0, 1.0) if turn else (1.0, 0.0)
    step = int(_STEPS * done)
    match phase:
        case Phase.SPREAD:
            # The sequence begins with 0, which SigOpt skips.
            halton = qmc.Halton(1, scramble=False).random(step + 2)[-1]
            return _weighted(_within_borders(float(halton[0])))
        case Phase.SEQUENTIAL:
            return _weighted(_within_borders(step / _STEPS))
        case Phase.EPSILON:
            return Aim(weights=one_metric, epsilon=_within_borders(step / _STEPS))
        case Phase.COMPLETION:
            place = int(rng.integers(_STEPS)) / _STEPS
            return Aim(weights=one_metric, epsilon=_within_borders(place))
        case _:
            return Aim(weights=one_metric)


def epsilon_value(
    values: NDArray[np.float64],
    thresholds: Sequence[float | None],
    *,
    constrained: int,
    epsilon: float,
) -> float:
    """Return the value that the constrained metric is to be better than.

    It lies between the ends of the frontier. If any run is within the thresholds, these are the
    ends of the frontier's part within them, each moved to the next run beyond, if there is one.

    Args:
        values: An ``n x 2`` array of at least one run's values, larger is better.
        thresholds: Of the two metrics, larger is better.
        constrained: Which of the two metrics, 0 or 1.
        epsilon: How far from the better end (0) to the worse one (1).
    """
    front = values[moocore.is_nondominated(values, maximise=True)]
    bounds = np.array([-np.inf if t is None else t for t in thresholds])
    if not (values > bounds).all(axis=1).any():
        bounds[:] = -np.inf
    mine, other = front[:, constrained], front[:, 1 - constrained]
    better = mine[other < bounds[1 - constrained]].min(initial=mine.max())
    worse = mine[mine < bounds[constrained]].max(initial=mine.min())
    return float((1 - epsilon) * better + epsilon * worse)


def _within_borders(place: float) -> float:
    return _BORDER + (1 - 2 * _BORDER) * place


def _weighted(first: float) -> Aim:
    return Aim(weights=(first, 1 - first))
