"""The journal: what came of every study, a file each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from simulation import Ended

from limbeck.files import whole_file

PENDING: Mapping[str, int] = {"sequential": 1, "parallel": 8}
"""How many runs are out at a time, by name of the mode."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One search: what decides its outcome.

    Attributes:
        problem: A name of `problems`.
        method: A name of `peers`.
        mode: A key of `PENDING`.
        seed: Of the optimizer, and of the order in which pending runs end.
        runs: How many.
    """

    problem: str
    method: str
    mode: str
    seed: int
    runs: int

    def path(self, journal: Path) -> Path:
        """Where the journal keeps it; there is a file only if all its runs ended."""
        place = f"{self.problem.replace('/', '.')}/{self.method}/seed-{self.seed}.jsonl"
        return journal / f"{self.mode}-{self.runs}" / place


def missing(studies: Sequence[Study], journal: Path) -> list[Study]:
    """Return those that the journal does not have, in their order."""
    return [study for study in studies if not study.path(journal).is_file()]


def write(study: Study, ended: Sequence[Ended], journal: Path) -> None:
    """Keep the runs of a study, one a line in the order they ended."""
    path = study.path(journal)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        text = "".join(json.dumps(asdict(run)) + "\n" for run in ended)
        temporary.write_text(text, encoding="utf-8")


def read(study: Study, journal: Path) -> list[Ended]:
    """Return the runs of a study that the journal has."""
    lines = study.path(journal).read_text(encoding="utf-8").splitlines()
    return [Ended(**json.loads(line)) for line in lines]
