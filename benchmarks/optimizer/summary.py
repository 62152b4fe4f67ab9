"""What the curves say: who needs how many runs, problem by problem and in all."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from curves import Curve, quartiles


@dataclass(frozen=True, kw_only=True)
class Line:
    """A method of ours against the best peer on one problem, one run at a time.

    Attributes:
        problem: Which one.
        best_peer: Of all peers, that with the largest median share after the last run.
        peer_share: That median.
        peer_range: Interquartile range of the best peer's shares after its last run.
        share: Our median share after the last run.
        seeds: How many seeds of ours and of the best peer there are: the smaller number.
        runs_ratio: See `runs_ratio`.
        own_ratio: The best peer's runs ratio against itself.
        efficiency: See `parallel_efficiency`; NaN if it was not measured.
    """

    problem: str
    best_peer: str
    peer_share: float
    peer_range: float
    share: float
    seeds: int
    runs_ratio: float
    own_ratio: float
    efficiency: float

    @property
    def is_worse(self) -> bool:
        """Whether we are worse than the best peer by more than its interquartile range."""
        return self.share < self.peer_share - self.peer_range


def lines(curves: Iterable[Curve], *, method: str, peers: Collection[str]) -> list[Line]:
    """Return a line for every problem that the method and a peer have curves of."""
    groups: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in curves:
        study = curve.study
        groups.setdefault((study.problem, study.method, study.mode), []).append(curve)
    problems = dict.fromkeys(problem for problem, name, _ in groups if name == method)
    return [
        line
        for problem in problems
        if (line := _line(problem, groups, method=method, peers=peers)) is not None
    ]


def _line(
    problem: str,
    groups: Mapping[tuple[str, str, str], Sequence[Curve]],
    *,
    method: str,
    peers: Collection[str],
) -> Line | None:
    rivals = {
        peer: groups[problem, peer, "sequential"]
        for peer in peers
        if (problem, peer, "sequential") in groups
    }
    ours = groups.get((problem, method, "sequential"))
    if not rivals or ours is None:
        return None
    best_peer = max(rivals, key=lambda peer: _median(rivals[peer]))
    theirs = rivals[best_peer]
    low, middle, high = quartiles(theirs)[:, -1].tolist()
    parallel = groups.get((problem, method, "parallel"))
    return Line(
        problem=problem,
        best_peer=best_peer,
        peer_share=middle,
        peer_range=high - low,
        share=_median(ours),
        seeds=min(len(ours), len(theirs)),
        runs_ratio=runs_ratio(ours, theirs),
        own_ratio=runs_ratio(theirs, theirs),
        efficiency=parallel_efficiency(ours, parallel) if parallel else math.nan,
    )


def runs_ratio(ours: Sequence[Curve], theirs: Sequence[Curve]) -> float:
    """Return how many runs we need for what they have at the end, as a part of all runs.

    That is the median over our seeds. Where half of these never get there, it is the other way
    round, and at least 1: all runs over those that they need for what we have at the end.
    """
    everything = len(ours[0].shares)
    needed = float(np.median([curve.runs_to(_median(theirs)) for curve in ours]))
    if math.isfinite(needed):
        return needed / everything
    needed = float(np.median([curve.runs_to(_median(ours)) for curve in theirs]))
    return everything / min(needed, everything)


def parallel_efficiency(alone: Sequence[Curve], parallel: Sequence[Curve]) -> float:
    """Return the runs needed one at a time over those needed with others pending.

    Needed for the lesser of the two median shares after the last run, by the median curves. Below
    1, pending runs cost more runs.
    """
    medians = [quartiles(curves)[1] for curves in (alone, parallel)]
    target = min(float(median[-1]) for median in medians)
    needed = [int(np.argmax(median >= target)) + 1 for median in medians]
    return needed[0] / needed[1]


def mean_ratio(ratios: Iterable[float]) -> float:
    """Return the geometric mean of those that are numbers; NaN if there are none."""
    numbers = [ratio for ratio in ratios if not math.isnan(ratio)]
    return math.exp(sum(map(math.log, numbers)) / len(numbers)) if numbers else math.nan


def best_of_all(curves: Sequence[Curve], *, peers: Collection[str]) -> str:
    """Return the peer with the best mean rank of its median share after the last run.

    Peers that lack a problem do not count.
    """
    medians: dict[str, dict[str, float]] = {}
    for problem in {curve.study.problem for curve in curves}:
        for peer in peers:
            its = [
                curve
                for curve in curves
                if (curve.study.problem, curve.study.method, curve.study.mode)
                == (problem, peer, "sequential")
            ]
            if its:
                medians.setdefault(problem, {})[peer] = _median(its)
    ranks: dict[str, list[int]] = {}
    for shares in medians.values():
        for peer, share in shares.items():
            ranks.setdefault(peer, []).append(sum(other > share for other in shares.values()))
    complete = [peer for peer in ranks if len(ranks[peer]) == len(medians)]
    return min(complete, key=lambda peer: float(np.mean(ranks[peer])), default="none")


def _median(curves: Sequence[Curve]) -> float:
    return float(quartiles(curves)[1, -1])
