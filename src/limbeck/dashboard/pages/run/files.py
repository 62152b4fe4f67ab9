"""The files of runs that pages show a part of: the end of the log, the environment."""

import json
from collections.abc import Iterator
from pathlib import Path

from limbeck.artifacts import fetch, local_path
from limbeck.dashboard.run_parts import cut
from limbeck.errors import DataError
from limbeck.home import Home
from limbeck.runs import Run

LINES = 200
"""Lines of a log that are shown."""
_LINE = 500
"""Characters of a line that are shown."""
_READ = 1 << 18
"""Bytes that are read from the end of a log."""
_LARGEST = 10_000_000
"""Bytes of a file at a URL, up to which it is fetched to show a part of it."""
_VALUES = 200
"""Values of an environment that are shown."""


def find_file(run: Run, name: str, home: Home, study: str) -> Path | None:
    """Return where a run's file is on this machine: what it left, or what it is writing.

    Args:
        run: The run.
        name: Of the artifact.
        home: Where runs write.
        study: Name of the run's study.

    Returns:
        None if there is none.

    Raises:
        InputError: If it lies at a URL and cannot be fetched, or is too large for that.
    """
    left = next((artifact for artifact in run.artifacts if artifact.name == name), None)
    own = home.run(study, run.number) / name
    places = [own] if left is None else [local_path(left.path), own]
    for place in places:
        if place is not None and place.is_file():
            return place
    if left is None:
        return None
    if left.bytes > _LARGEST:
        raise DataError(f"{name} lies at {left.path} and has {left.bytes:,} bytes; download it")
    return fetch(left, home.run(study, run.number))


def last_lines(path: Path) -> str:
    """Return the last lines of a text, each cut to a length that can be shown.

    Of a text that is longer than what is read of it, the first of these lines has no beginning. Of
    a line that was written over and over, as progress bars are, what stood there last is kept.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        start = max(0, length - _READ)
        file.seek(start)
        text = file.read(_READ).decode(errors="replace")
    lines = text.removesuffix("\n").split("\n")[-LINES:]
    kept = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    shown = [line if len(line) <= _LINE else f"{line[:_LINE]}…" for line in kept]
    return "\n".join(shown)


def read_environment(path: Path) -> dict[str, str]:
    """Return the facts of an ``environment.json`` by their names, with dots in those of tables.

    Raises:
        DataError: If it is no JSON object.
    """
    if path.stat().st_size > _LARGEST:
        raise DataError(f"{path.name} must have at most {_LARGEST:,} bytes to be shown")
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name} must be JSON, but: {error}") from error
    if not isinstance(facts, dict):
        raise DataError(f"{path.name} must be a JSON object, but is a {type(facts).__name__}")
    found = [(name, value) for key in facts for name, value in _flat(key, facts[key])]
    return {cut(name, 100): cut(value, _LINE) for name, value in found[:_VALUES]}


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield a fact, or those of a table; what lies deeper is JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{name}.{key}", _text(inner)
    elif isinstance(value, list):
        yield name, ", ".join(map(_text, value)) or "-"
    else:
        yield name, _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "-" if value is None else json.dumps(value)
