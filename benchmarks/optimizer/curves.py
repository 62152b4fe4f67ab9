"""What becomes of the journal: one curve a study, and their table that is committed."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import journal
import numpy as np
from journal import Study
from numpy.typing import NDArray

PLACES = 4
"""Decimals of a share, in the table and in all that is computed from it."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How a study went.

    Attributes:
        study: Which one.
        shares: Of the true frontier's hypervolume, after each run.
        seconds: That the optimizer took for a suggestion, on average.
    """

    study: Study
    shares: tuple[float, ...]
    seconds: float

    def runs_to(self, share: float) -> float:
        """Return the runs until a share is reached; infinity if it never is."""
        return next((run for run, s in enumerate(self.shares, start=1) if s >= share), np.inf)


def read_journal(studies: Iterable[Study], folder: Path) -> Iterator[Curve]:
    """Yield the curves of those studies that the journal in a folder has."""
    for study in studies:
        if study.path(folder).is_file():
            ended = journal.read(study, folder)
            yield Curve(
                study=study,
                shares=tuple(round(run.share, PLACES) for run in ended),
                seconds=sum(run.seconds for run in ended) / len(ended),
            )


def write_table(curves: Iterable[Curve], path: Path) -> None:
    """Write curves as rows: of a curve, the runs that improved it, each with the new share.

    ``3:4512`` means that the third run raised the share to 0.4512.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["problem", "method", "mode", "seed", "runs", "seconds", "improvements"])
        for curve in sorted(curves, key=lambda c: _order(c.study)):
            s = curve.study
            before = (0.0, *curve.shares)
            steps = [
                f"{run}:{round(share * 10**PLACES)}"
                for run, share in enumerate(curve.shares, start=1)
                if share > before[run - 1]
            ]
            seconds = f"{curve.seconds:.3g}"
            writer.writerow([s.problem, s.method, s.mode, s.seed, s.runs, seconds, " ".join(steps)])


def read_table(path: Path) -> Iterator[Curve]:
    """Yield the curves that `write_table` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            study = Study(
                problem=row["problem"],
                method=row["method"],
                mode=row["mode"],
                seed=int(row["seed"]),
                runs=int(row["runs"]),
            )
            shares = np.zeros(study.runs)
            for step in row["improvements"].split():
                run, share = map(int, step.split(":"))
                shares[run - 1 :] = share
            rounded = (shares / 10**PLACES).round(PLACES)
            yield Curve(study=study, shares=tuple(rounded.tolist()), seconds=float(row["seconds"]))


def quartiles(curves: Iterable[Curve]) -> NDArray[np.float64]:
    """Return a ``3 x runs`` array: the lower quartile, median and upper quartile of shares."""
    return np.quantile([curve.shares for curve in curves], (0.25, 0.5, 0.75), axis=0)


def _order(study: Study) -> tuple[str, str, str, int]:
    return (study.mode, study.problem, study.method, study.seed)
