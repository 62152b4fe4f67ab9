"""The metrics that a study file may name, and what is true of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from limbeck.metrics import Goal


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is true of a metric in every study."""

    goal: Goal
    unit: str = ""
    known: bool = False


_UP = Measured(goal=Goal.MAXIMIZE, unit="%")
_DOWN = Goal.MINIMIZE
OVERALL_SCORES = ("exact", "f1", "best_exact", "best_f1")
"""Scores over all questions, in which answering nothing counts for the unanswerable ones."""

MEASURED: Mapping[str, Measured] = {
    "exact": _UP,
    "f1": _UP,
    "HasAns_exact": _UP,
    "HasAns_f1": _UP,
    "NoAns_exact": _UP,
    "NoAns_f1": _UP,
    "best_exact": _UP,
    "best_f1": _UP,
    "num_parameters": Measured(goal=_DOWN, known=True),
    "num_encoder_parameters": Measured(goal=_DOWN, known=True),
    "flops": Measured(goal=_DOWN, unit="FLOP", known=True),
    "bytes": Measured(goal=_DOWN, unit="B", known=True),
    "memory_bytes": Measured(goal=_DOWN, unit="B"),
    "latency_ms": Measured(goal=_DOWN, unit="ms"),
    "latency_p90_ms": Measured(goal=_DOWN, unit="ms"),
    "inference_time": Measured(goal=_DOWN, unit="s"),
    "train_seconds": Measured(goal=_DOWN, unit="s"),
    "train_memory_bytes": Measured(goal=_DOWN, unit="B"),
}
"""Every metric a run of the question-answering task can have, with its natural goal."""
