"""Training steps saved by early stopping, and what of the frontier it costs: real runs, replayed.

The runs were made by a search that stopped none, so that all final values are known. Replayed, they
are stopped as the rule would have done with what it knew then. That cannot show what the
optimizer would have tried instead, having learned from forecasts in the place of values.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import report
import rivals
import table
from replay import METRICS, Decide, Replay, replay
from table import Record

from limbeck.config import StoppingSettings
from limbeck.optimize.stopping import StopRule

DEFAULTS = StoppingSettings()
LEVELS = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2)
WORKERS = 2
"""At a time in the recorded search."""
EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "early-stopping"


@dataclass(frozen=True, kw_only=True)
class Search:
    """One way in which the recorded search might have gone.

    Attributes:
        records: Its runs, the baseline first.
        workers: Runs at a time.
        seed: Of the runs that are spared.
    """

    records: Sequence[Record]
    workers: int
    seed: int


def main() -> None:
    """Do what the command line says."""
    arguments = _arguments()
    if arguments.from_store is not None:
        print(f"{table.write(arguments.from_store)} finished runs written to {table.FOLDER}")
    records = table.read()
    recorded = Search(records=records, workers=WORKERS, seed=0)
    others = _searches(records, orders=1 if arguments.quick else arguments.orders)
    levels = (DEFAULTS.chance,) if arguments.quick else LEVELS

    def measure(name: str, rule: Callable[[Search], Decide]) -> report.Row:
        return report.Row(name=name, recorded=_run(recorded, rule), others=_all(others, rule))

    rows = [measure("no stopping", lambda _: rivals.never)]
    rows.append(measure("median of scores", lambda _: rivals.Median(DEFAULTS).decide))
    rows.append(measure("oracle", _oracle))
    ours = {level: measure(f"chance = {level:g}", _ours(chance=level)) for level in levels}
    report.show([*rows, *ours.values()], orders=len(others))
    watched = _run(recorded, _ours(spare=1.0))
    report.show_calibration([watched, *_all(others, _ours(spare=1.0))])
    if arguments.write:
        EVIDENCE.mkdir(parents=True, exist_ok=True)
        report.draw(ours, rows, EVIDENCE / "levels.png")
    print(report.result(ours[DEFAULTS.chance].recorded, runs=len(records)))


def _searches(records: Sequence[Record], *, orders: int) -> list[Search]:
    """Return the runs after the baseline in random orders, with 1, 2 and 4 workers in turn."""
    first, *rest = records
    found = []
    for seed in range(1, orders + 1):
        shuffled = np.random.default_rng(seed).permutation(len(rest))
        order = [first, *(rest[i] for i in shuffled)]
        found.append(Search(records=order, workers=(1, 2, 4)[seed % 3], seed=seed))
    return found


def _ours(**changes: float) -> Callable[[Search], Decide]:
    settings = DEFAULTS.model_copy(update=changes)
    return lambda search: StopRule(METRICS, settings, search.seed).decide


def _oracle(search: Search) -> Decide:
    truth = {record.run.number: record for record in search.records}
    return rivals.Oracle(DEFAULTS, search.seed, truth).decide


def _run(search: Search, rule: Callable[[Search], Decide]) -> Replay:
    return replay(search.records, rule(search), workers=search.workers)


def _all(searches: Sequence[Search], rule: Callable[[Search], Decide]) -> list[Replay]:
    return [_run(search, rule) for search in searches]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one level, one random order")
    parser.add_argument("--orders", type=int, default=12, help="random orders of the runs")
    parser.add_argument(
        "--from-store", type=Path, help="first write the tables from a SQLite store (only read)"
    )
    parser.add_argument("--write", action="store_true", help=f"write the figure to {EVIDENCE}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
