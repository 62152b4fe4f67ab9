"""The tables. A change here needs a new file in ``migrations/versions`` and a new `REVISION`."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from typing_extensions import override

from limbeck.runs import RunState
from limbeck.space import Value

REVISION = "0003"
"""The newest migration: what a database must stand at to be read and written by this code."""


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC, with its zone also where the database keeps none (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "clocks must return times with a zone"
        return value.astimezone(UTC)

    @override
    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        time: datetime = value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class Number(TypeDecorator[float]):
    """A float of which NaN and the infinities come back as they were.

    An outcome must never be refused for what was measured. SQLite has no NaN and writes NULL, which
    nothing else writes here. It has no negative zero either: for all databases, that is a zero.
    """

    impl = Double
    cache_ok = True

    @override
    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        return None if value is None else float(value) + 0.0

    @override
    def process_result_value(self, value: Any | None, dialect: Dialect) -> float:
        return math.nan if value is None else float(value)


class Prose(TypeDecorator[str]):
    """What programs and people say, in which a character that cannot be kept is replaced.

    An outcome must never be refused for how its message is written: PostgreSQL keeps no NUL, and
    no database half a pair of surrogates, as in names of files that are not UTF-8.
    """

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


_JSON = json.JSONDecoder()
"""Reads what `json.dumps` wrote twice as fast as `json.loads`, which looks for spaces around it."""


class JsonText(TypeDecorator[Value]):
    """A parameter's value with its type.

    SQLAlchemy's JSON is not it: SQLite takes a column declared so for a numeric one, and gives 1
    for 1.0.
    """

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: Value | None, dialect: Dialect) -> str:
        return json.dumps(value)

    @override
    def process_result_value(self, value: Any | None, dialect: Dialect) -> Value:
        assert isinstance(value, str), "the column is NOT NULL"
        read: Value = _JSON.raw_decode(value)[0]
        return read


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("config", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("name"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column(
        "state",
        Enum(
            RunState,
            native_enum=False,
            length=16,
            values_callable=lambda states: [state.value for state in states],
        ),
        nullable=False,
    ),
    Column("owner", String, nullable=False),
    Column("heartbeat", UtcDateTime),
    Column("created", UtcDateTime, nullable=False),
    Column("started", UtcDateTime),
    Column("ended", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("message", Prose, nullable=False),
    Column("seconds", Number),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("total_steps", Integer),
    Column("epoch_steps", Integer),
    Column("stop_requested", Boolean, nullable=False, server_default=false()),
    Column("error_type", String, nullable=False, server_default=text("''")),
    Column("traceback", Prose, nullable=False, server_default=text("''")),
    UniqueConstraint("study_id", "number"),
    Index(None, "study_id", "state"),
)

# The ids of the next four keep the order in which names were given.
parameter_values = Table(
    "parameters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("value", JsonText, nullable=False),
    UniqueConstraint("run_id", "name"),
)

metric_values = Table(
    "metric_values",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("value", Number),
    Column("standard_error", Double),
    UniqueConstraint("run_id", "name"),
)

forecasts = Table(
    "forecasts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("mean", Double, nullable=False),
    Column("std", Double, nullable=False),
    UniqueConstraint("run_id", "name"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    UniqueConstraint("run_id", "name"),
)

points = Table(
    "points",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("metric", String, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("value", Number),
    Column("seconds", Number),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("run_id", ForeignKey("runs.id")),
    Column("time", UtcDateTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("text", Prose, nullable=False),
    Index(None, "study_id"),
)
