"""What an earlier study of the same parameters, with other data or another teacher, teaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import moocore
import numpy as np

from limbeck.metrics import Metric, Role, optimized
from limbeck.optimize.lessons import metric_lessons
from limbeck.optimize.surrogate import Surrogate
from limbeck.runs import Run, RunState
from limbeck.space import Parameters, SearchSpace


@dataclass(frozen=True, kw_only=True)
class Experience:
    """What was learned before.

    Attributes:
        surrogates: Of unknown metrics, by name; larger is better. Of those the earlier study knew
            too little of, there is none.
        best: Parameters on the frontier of then, those first that make out most of it.
    """

    surrogates: Mapping[str, Surrogate]
    best: Sequence[Parameters]


def experience(
    earlier: Sequence[Run], *, space: SearchSpace, metrics: tuple[Metric, ...], seed: int
) -> Experience:
    """Return what the runs of an earlier study teach.

    Its values need not be comparable to those of now, only similar in where they are better. So no
    threshold of now applies to them. Runs whose parameters are not of the space are left out.

    Args:
        earlier: Runs of the earlier study; there may be none.
        space: The search space of now.
        metrics: The metrics of now.
        seed: See `Surrogate.fit`.
    """
    runs = [run for run in earlier if space.contains(run.parameters)]
    surrogates = {}
    for metric in metrics:
        if not metric.known:
            free = replace(metric, role=Role.OPTIMIZE, threshold=None)
            taught = metric_lessons(runs, free, space)
            if taught is not None:
                surrogates[metric.name] = Surrogate.fit(
                    taught.X, taught.y, seed=seed, doubts=taught.doubts
                )
    return Experience(surrogates=surrogates, best=_best(runs, optimized(metrics)))


def _best(runs: Sequence[Run], steering: Sequence[Metric]) -> list[Parameters]:
    """Return the frontier's parameters, each time the one that adds most hypervolume next."""
    rows = [
        (run, [metric.larger_is_better(run.values[metric.name]) for metric in steering])
        for run in runs
        if run.state is RunState.FINISHED
        and all(np.isfinite(run.values.get(metric.name, np.nan)) for metric in steering)
    ]
    if not rows:
        return []
    outcomes = np.array([row for _, row in rows])
    span = np.ptp(outcomes, axis=0)
    scaled = (outcomes - outcomes.min(axis=0)) / np.where(span > 0, span, 1.0)
    left = np.flatnonzero(moocore.is_nondominated(scaled, maximise=True)).tolist()
    chosen: list[int] = []
    while left:
        best = max(left, key=lambda i: _volume(scaled[[*chosen, i]]))
        chosen.append(best)
        left.remove(best)
    return [rows[i][0].parameters for i in chosen]


def _volume(outcomes: np.ndarray) -> float:
    reference = np.full(outcomes.shape[1], -0.1)
    return float(moocore.hypervolume(outcomes, ref=reference, maximise=True))
