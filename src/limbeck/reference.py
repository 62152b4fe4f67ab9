"""What the teacher makes of the questions that score a study's students."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from limbeck.files import write_json
from limbeck.home import Home

_FILE = "scores.json"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The teacher's metric values, measured as its students' are.

    Attributes:
        values: By name of the metric.
        errors: Standard errors by name of the metric, in its unit; of those that have one.
    """

    values: Mapping[str, float]
    errors: Mapping[str, float]


def write_reference(folder: Path, reference: Reference) -> None:
    """Write what the teacher scores into a folder that has its answers."""
    write_json(folder / _FILE, asdict(reference))


def read_reference(home: Home, study: str) -> Reference | None:
    """Return what the teacher of a study scores; None if it has not been examined."""
    path = home.teacher(study) / _FILE
    if not path.is_file():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Reference(values=stored["values"], errors=stored["errors"])
