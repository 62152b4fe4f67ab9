"""The records that every part of Limbeck shares: facts, written once and read by all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from limbeck.space import Parameters


class RunState(StrEnum):
    """Where a run stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in (RunState.WAITING, RunState.RUNNING)


class Reason(StrEnum):
    """Why a run of Limbeck's own did not finish; whoever tells other runs may have other words.

    Of an *infeasible* run, which teaches the optimizer: the first three. Of a *failed* one, which
    is tried again and teaches nothing: the next six. Of a *stopped* one: the last two.
    """

    ARCHITECTURE = "architecture"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out-of-memory"

    DATA = "data"
    DISK_FULL = "disk-full"
    EXCEPTION = "exception"
    KILLED = "killed"
    LOST_WORKER = "lost-worker"
    TIMED_OUT = "timed-out"

    BY_HAND = "by-hand"
    NO_GAIN = "no-gain"


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One value of one metric on the way.

    Attributes:
        step: Optimizer steps done.
        metric: Name of the metric.
        value: Its value.
        seconds: Training seconds until then.
    """

    step: int
    metric: str
    value: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file or folder that a run left behind.

    Attributes:
        name: What it is: ``model``, ``predictions``, ``log``.
        path: Where it lies.
        sha256: Digest of the file, or of all files of the folder in name order.
        bytes: Size on disk.
    """

    name: str
    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a metric would have come to: of a stopped run, or of one scored on few questions.

    Attributes:
        mean: Expected value, in the metric's unit.
        std: Standard deviation, in the metric's unit; positive.
    """

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: One of the ended states.
        values: Metric values; partial ones are kept for runs that did not finish.
        errors: Standard errors by name of the metric, in its unit; of those that have one.
        forecasts: What metrics would have come to that were not measured to the end, by name.
        reason: Why it did not finish, in a word (see `Reason`); else empty.
        message: The same for people, with the values.
        error_type: Name of the exception that ended it, if one did; else empty.
        traceback: Last lines of that exception's traceback; else empty.
        artifacts: What it left behind.
        seconds: Training and measuring time.
    """

    state: RunState
    values: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    error_type: str = ""
    traceback: str = ""
    artifacts: tuple[Artifact, ...] = ()
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an outcome that is none.

        Raises:
            ValueError: If the state is *waiting* or *running*, or an error has no value.
        """
        if not self.state.ended:
            raise ValueError(f"an outcome needs an ended state, but got {self.state}")
        alone = sorted(self.errors.keys() - self.values.keys())
        if alone:
            raise ValueError(f"a standard error needs its value, but got only {', '.join(alone)}")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One student of a study: what it was made from and what came of it.

    Attributes:
        number: Position in its study, from 0; number 0 is the baseline.
        parameters: Value of every searched parameter.
        state: Where it stands.
        owner: Who runs it, while it runs: ``host:pid:start-time``; else empty.
        values: Metric values; known metrics are there from the start.
        errors: See `Outcome`.
        forecasts: See `Outcome`.
        reason: See `Outcome`.
        message: See `Outcome`.
        error_type: See `Outcome`.
        traceback: See `Outcome`.
        seconds: See `Outcome`.
        created: When it was asked for (UTC).
        started: When it was last started (UTC).
        ended: When it ended (UTC).
        attempts: How often it was started.
        failures: How often it failed and was tried again.
        total_steps: Optimizer steps that it takes; None before training starts.
        epoch_steps: Optimizer steps in a pass over the training windows; None before that, too.
        stop_requested: Whether somebody wants it stopped, while it runs.
        artifacts: What it left behind.
    """

    number: int
    parameters: Parameters
    state: RunState
    owner: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    error_type: str = ""
    traceback: str = ""
    seconds: float = 0.0
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    attempts: int = 0
    failures: int = 0
    total_steps: int | None = None
    epoch_steps: int | None = None
    stop_requested: bool = False
    artifacts: tuple[Artifact, ...] = ()
