"""What every problem of the optimizer benchmark is, and how a search of it is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np

from limbeck.metrics import Metric
from limbeck.space import Parameters, SearchSpace

Values = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A search with two metrics whose true frontier is known.

    The metrics are as the hypervolume judges them: where it takes the logarithm, every optimizer is
    given the logarithm. Their thresholds are the reference point of the hypervolume.

    Attributes:
        name: ``fcnet/naval_propulsion``; a path of the journal.
        group: ``real``, from measurements of real training runs, or ``analytic``.
        space: Where to search.
        metrics: What to search for: two, both optimized and with a threshold.
        evaluate: Returns the values of a run, or None if it diverges. The same each time.
        known: Computes the known metrics; None if there are none.
        ideal: Best value of each metric, by name.
        best: Hypervolume of the true frontier, where the box between ideal and reference is 1.
        diverges: Whether some runs diverge.
    """

    name: str
    group: str
    space: SearchSpace
    metrics: tuple[Metric, ...]
    evaluate: Callable[[Parameters], Values | None]
    known: Callable[[Parameters], Values] | None
    ideal: Values
    best: float
    diverges: bool = False

    def share(self, runs: Sequence[Values]) -> float:
        """Return the hypervolume of runs' values over that of the true frontier.

        A little more than 1 is possible where the true frontier is only estimated.
        """
        if not runs:
            return 0.0
        return hypervolume(self.metrics, self.ideal, runs) / self.best


def hypervolume(metrics: Sequence[Metric], ideal: Values, runs: Sequence[Values]) -> float:
    """Return what runs dominate of the box between the ideal and the thresholds, which counts 1."""
    better = [1.0 if metric.larger_is_better(1.0) > 0 else -1.0 for metric in metrics]
    reference = np.array([metric.threshold for metric in metrics], dtype=np.float64)
    width = np.abs(np.array([ideal[metric.name] for metric in metrics]) - reference)
    points = np.array([[values[metric.name] for metric in metrics] for values in runs])
    gains = (points - reference) * better / width
    return float(moocore.hypervolume(gains, ref=np.zeros(len(metrics)), maximise=True))
