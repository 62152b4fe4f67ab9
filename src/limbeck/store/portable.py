"""A study as a file of its own: lines of JSON, one record each, that any program can read.

``docs/store.md`` describes the lines. They come in this order: the study; its runs; the points of
their curves, up to a thousand of one metric on a line; its events; and an end that counts them, so
that a file that was cut off is known.
"""

import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from limbeck.errors import DataError
from limbeck.runs import Run, RunState

FORMAT = 1
"""Number of the newest format. A change that older versions cannot read needs a new one."""

POINTS_PER_LINE = 1000

_Infinite = Literal["NaN", "Infinity", "-Infinity"]


def _number(value: object) -> object:
    return float(value) if isinstance(value, str) and value in get_args(_Infinite) else value


Number = Annotated[float, BeforeValidator(_number)]
"""JSON has no NaN and no infinities: they are texts."""

Count = Annotated[int, Field(ge=0, lt=2**31)]
Large = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StudyLine(_Line):
    """The study, and the format of the file."""

    type: Literal["study"]
    format: Literal[1]
    name: Annotated[str, Field(min_length=1)]
    budget: Count
    seed: Large
    config: str
    created: AwareDatetime
    paused: bool


class ArtifactLine(_Line):
    """One of a run's artifacts."""

    name: str
    path: str
    sha256: str
    bytes: Large


class ForecastLine(_Line):
    """One of a run's forecasts."""

    mean: float
    std: float


class InfiniteLine(_Line):
    """A parameter that is NaN or infinite: as a text, it would be taken for a choice."""

    number: _Infinite


class RunLine(_Line):
    """One run: the fields of `limbeck.runs.Run`, and when its owner was last heard of."""

    type: Literal["run"]
    number: Count
    state: Annotated[RunState, Field(strict=False)]
    owner: str
    heartbeat: AwareDatetime | None
    created: AwareDatetime
    started: AwareDatetime | None
    ended: AwareDatetime | None
    attempts: Count
    failures: Count
    reason: str
    message: str
    error_type: str
    traceback: str
    seconds: Number
    total_steps: Count | None
    epoch_steps: Count | None
    stop_requested: bool
    parameters: dict[str, bool | int | float | str | InfiniteLine]
    values: dict[str, Number]
    errors: dict[str, float]
    forecasts: dict[str, ForecastLine]
    artifacts: tuple[ArtifactLine, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> "RunLine":
        faults = state_faults(
            self.state,
            owner=self.owner,
            heartbeat=self.heartbeat,
            started=self.started,
            ended=self.ended,
        )
        alone = sorted(self.errors.keys() - self.values.keys())
        if alone:
            faults = (*faults, f"has a standard error but no value of {', '.join(alone)}")
        names = [artifact.name for artifact in self.artifacts]
        if len(set(names)) < len(names):
            faults = (*faults, "has two artifacts of one name")
        if faults:
            raise ValueError(f"run {self.number} {faults[0]}")
        return self


class CurveLine(_Line):
    """Points of one metric of one run: step, value, training seconds."""

    type: Literal["curve"]
    run: Count
    metric: str
    points: tuple[tuple[Count, Number, Number], ...]


class EventLine(_Line):
    """One event, of a run or of the study."""

    type: Literal["event"]
    run: Count | None
    time: AwareDatetime
    kind: str
    text: str


class EndLine(_Line):
    """The last line: how much there was."""

    type: Literal["end"]
    runs: Count
    points: int
    events: int


Line: TypeAlias = StudyLine | RunLine | CurveLine | EventLine | EndLine

_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="type")])
_ORDER = (StudyLine, RunLine, CurveLine, EventLine, EndLine)


def state_faults(
    state: RunState,
    *,
    owner: str,
    heartbeat: datetime | None,
    started: datetime | None,
    ended: datetime | None,
) -> tuple[str, ...]:
    """Return what cannot be true of a run, each as the end of a sentence about it."""
    rules = {
        f"is {state} but has not ended": state.ended and ended is None,
        f"is {state} but has ended": not state.ended and ended is not None,
    }
    if state is RunState.RUNNING:
        rules |= {
            "is running but nobody's": not owner,
            "is running but was never heard of": heartbeat is None,
            "is running but has not started": started is None,
        }
    return tuple(fault for fault, is_one in rules.items() if is_one)


def run_line(run: Run, heartbeat: datetime | None) -> dict[str, object]:
    """Return the line of a run."""
    parameters = {
        name: {"number": json.dumps(value)} if _is_infinite(value) else value
        for name, value in run.parameters.items()
    }
    facts = asdict(run) | {"heartbeat": heartbeat, "parameters": parameters}
    return {"type": "run"} | {name: facts[name] for name in RunLine.model_fields if name != "type"}


def curve_line(
    number: int, metric: str, points: list[tuple[int, float, float]]
) -> dict[str, object]:
    """Return a line of points of one metric of a run: step, value, training seconds."""
    return {"type": "curve", "run": number, "metric": metric, "points": points}


def write_line(file: IO[str], line: Mapping[str, object]) -> None:
    """Write one line."""
    try:
        text = json.dumps(line, default=_plain, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(line), default=_plain, allow_nan=False, separators=(",", ":"))
    file.write(f"{text}\n")


def read_lines(path: Path) -> Iterator[tuple[int, Line]]:
    """Yield the lines of a file with their numbers, from 1; what is yielded is in its place.

    Raises:
        DataError: If the file cannot be read, or a line is not what this version can read.
    """
    counts: dict[type[Line], int] = dict.fromkeys(_ORDER, 0)
    points, last = 0, 0
    line: Line | None = None
    for last, text in _numbered(path):
        try:
            read = _parse(text)
            _check_order(read, line, counts)
            if isinstance(read, EndLine):
                _check_end(read, runs=counts[RunLine], points=points, events=counts[EventLine])
        except _Fault as error:
            raise DataError(f"{path}, line {last}: {error}") from error
        line = read
        counts[type(line)] += 1
        points += len(line.points) if isinstance(line, CurveLine) else 0
        yield last, line
    if not isinstance(line, EndLine):
        raise DataError(f"{path} was cut off after line {last}; export the study again")


class _Fault(Exception):
    """What is wrong with a line."""


def _parse(text: bytes) -> Line:
    try:
        return _LINE.validate_json(text)
    except ValidationError as error:
        newer = _newer_format(text)
        if newer is not None:
            raise _Fault(
                f"has format {newer}, but this Limbeck reads none after {FORMAT}; install the "
                "version that wrote it"
            ) from error
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        raise _Fault(f"{f'{place}: ' if place else ''}{first['msg']}") from error


def _newer_format(text: bytes) -> int | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    number = found.get("format") if isinstance(found, dict) else None
    return number if isinstance(number, int) and number > FORMAT else None


def _check_order(line: Line, before: Line | None, counts: Mapping[type[Line], int]) -> None:
    if (before is None) != isinstance(line, StudyLine):
        raise _Fault(f"must be the first line and no other, if of type study, but is a {line.type}")
    if before is not None and _ORDER.index(type(line)) < _ORDER.index(type(before)):
        raise _Fault(f"a {line.type} must not come after a {before.type}")
    if isinstance(before, EndLine):
        raise _Fault("nothing must come after the end")
    runs = counts[RunLine]
    if isinstance(line, RunLine) and line.number != runs:
        raise _Fault(f"the next run must be number {runs}, but is {line.number}")
    if isinstance(line, CurveLine | EventLine) and line.run is not None and line.run >= runs:
        raise _Fault(f"there is no run {line.run}")
    if isinstance(line, CurveLine):
        steps = [step for step, _, _ in line.points]
        if any(after <= step for step, after in pairwise(steps)):
            raise _Fault("steps must rise")


def _check_end(line: EndLine, *, runs: int, points: int, events: int) -> None:
    if (line.runs, line.points, line.events) != (runs, points, events):
        raise _Fault(
            f"there must be {line.runs} runs, {line.points} points and {line.events} events, but "
            f"there are {runs}, {points} and {events}"
        )


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file, compressed or not, with their numbers."""
    number = 0
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(raw) if packed else raw as file:
                for number, text in enumerate(file, start=1):
                    yield number, text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is damaged after line {number}: {error}; export the study again"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; name another file") from error


@contextmanager
def lines_file(path: Path, *, packed: bool) -> Iterator[IO[str]]:
    """Open a file to write lines to; the same lines make the same bytes, packed ones too."""
    with path.open("wb") as raw:
        binary = gzip.GzipFile("", "wb", 6, raw, mtime=0) if packed else raw
        with io.TextIOWrapper(binary, encoding="ascii", newline="\n") as file:
            yield file


def _plain(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def _finite(value: Any) -> Any:
    """Return a value for JSON in which NaN and the infinities are texts."""
    if _is_infinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _is_infinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
