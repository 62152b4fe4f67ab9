"""Replays a finished search as if runs had been stopped on the way."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from table import Record

from limbeck.frontier import frontier, hypervolume, reference_point
from limbeck.metrics import Goal, Metric
from limbeck.optimize.stopping import Verdict
from limbeck.runs import CurvePoint, Run, RunState

METRICS = (
    Metric(name="f1", goal=Goal.MAXIMIZE, unit="%", threshold=15.0),
    Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True),
)
SCORE, SIZE = METRICS

Decide = Callable[
    [Run, Sequence[CurvePoint], Sequence[Run], Mapping[int, Sequence[CurvePoint]]], Verdict
]
"""What `limbeck.optimize.stopping.StopRule.decide` takes and returns."""


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """A verdict, and what it was about.

    Attributes:
        record: The run as it ended in truth.
        share: Of its steps that it had done.
        verdict: What was thought of it.
        mattered: Whether in truth it would have joined the frontier of that time.
    """

    record: Record
    share: float
    verdict: Verdict
    mattered: bool


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What came of a replayed search.

    Attributes:
        steps_ratio: Steps done, as a share of those of all runs.
        hypervolume_kept: Of the finished runs, as a share of that of all runs.
        stopped_frontier: Runs on the true frontier that were stopped.
        frontier: Runs on the true frontier.
        stopped: Runs stopped in all.
        opinions: All verdicts on the way.
    """

    steps_ratio: float
    hypervolume_kept: float
    stopped_frontier: int
    frontier: int
    stopped: int
    opinions: tuple[Opinion, ...]

    @property
    def frontier_kept(self) -> float:
        """Share of the true frontier that was not stopped."""
        return 1 - self.stopped_frontier / self.frontier


def replay(records: Sequence[Record], decide: Decide, *, workers: int) -> Replay:
    """Carry the runs out in their order, so many at a time, each as long as it took.

    The rule knows, at each evaluation, the runs that have finished by then.
    """
    waiting = list(reversed(records))
    finished: list[Record] = []
    opinions: list[Opinion] = []
    spent: dict[int, int] = {}
    events: list[tuple[float, int, int, Record]] = []

    def begin(time: float) -> None:
        if waiting:
            record = waiting.pop()
            for step, seconds in _evaluations(record):
                heapq.heappush(events, (time + seconds, record.run.number, step, record))
            end = (time + record.run.seconds, record.run.number, _steps(record), record)
            heapq.heappush(events, end)

    for _ in range(workers):
        begin(0.0)
    while events:
        time, number, step, record = heapq.heappop(events)
        if number in spent:
            continue
        if step == _steps(record):
            spent[number] = step
            finished.append(record)
            begin(time)
            continue
        opinion = _opinion(record, step, finished, decide)
        opinions.append(opinion)
        if opinion.verdict.stop:
            spent[number] = step
            begin(time)
    return _summary(records, finished, spent, opinions)


def _evaluations(record: Record) -> list[tuple[int, float]]:
    return [
        (point.step, point.seconds)
        for point in record.curve
        if point.metric == SCORE.name and point.step < _steps(record)
    ]


def _steps(record: Record) -> int:
    assert record.run.total_steps is not None
    return record.run.total_steps


def _opinion(record: Record, step: int, finished: Sequence[Record], decide: Decide) -> Opinion:
    running = replace(
        record.run,
        state=RunState.RUNNING,
        values={SIZE.name: record.run.values[SIZE.name]},
        errors={},
    )
    runs = [each.run for each in finished]
    verdict = decide(
        running,
        [point for point in record.curve if point.step <= step],
        [*runs, running],
        {each.run.number: each.curve for each in finished},
    )
    joined = record.run in frontier([*runs, record.run], METRICS)
    return Opinion(record=record, share=step / _steps(record), verdict=verdict, mattered=joined)


def _summary(
    records: Sequence[Record],
    finished: Sequence[Record],
    spent: Mapping[int, int],
    opinions: Sequence[Opinion],
) -> Replay:
    everything = [record.run for record in records]
    kept = [record.run for record in finished]
    reference = reference_point(everything, METRICS)
    best = frontier(everything, METRICS)
    return Replay(
        steps_ratio=sum(spent.values()) / sum(_steps(record) for record in records),
        hypervolume_kept=hypervolume(kept, METRICS, reference)
        / hypervolume(everything, METRICS, reference),
        stopped_frontier=sum(run not in kept for run in best),
        frontier=len(best),
        stopped=len(records) - len(kept),
        opinions=tuple(opinions),
    )
