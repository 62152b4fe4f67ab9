"""What the store returns beside the records of `limbeck.runs`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study, as it was created and last extended.

    Attributes:
        name: Key of the study in its store.
        budget: Number of runs that it may have.
        seed: Seed of its suggestions.
        config: Text of the study file; space and metrics follow from it.
        created: When it was created (UTC).
        paused: Whether no more runs of it are to be started for now.
    """

    name: str
    budget: int
    seed: int
    config: str
    created: datetime
    paused: bool = False


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something worth telling that is neither a state nor a value of a run.

    Attributes:
        time: When it happened (UTC).
        kind: What happened, in a word: ``released``.
        text: The same for people, with the values.
        number: The run that it concerns; None if it concerns the study.
    """

    time: datetime
    kind: str
    text: str
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running run is.

    Attributes:
        number: Of the run.
        owner: Who runs it: ``host:pid:start-time``.
        started: When it was last started (UTC).
        heartbeat: When its owner was last heard of (UTC).
        step: Optimizer steps that its curves tell of; 0 before the first point.
        total_steps: Optimizer steps that it takes; None before training starts.
    """

    number: int
    owner: str
    started: datetime
    heartbeat: datetime
    step: int
    total_steps: int | None
