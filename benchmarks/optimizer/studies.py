"""What a worker process of the benchmark does."""

import warnings
from pathlib import Path

import journal
import peers
import problems
from simulation import simulate


def be_quiet() -> None:
    """Hide warnings: peers have many, about themselves."""
    warnings.simplefilter("ignore")


def carry_out(study: journal.Study, folder: Path) -> None:
    """Simulate a study and write it to the journal in a folder."""
    problem = problems.load(study.problem)
    ended = simulate(
        problem,
        peers.METHODS[study.method](problem, study.seed, study.runs),
        runs=study.runs,
        pending=journal.PENDING[study.mode],
        seed=study.seed,
    )
    journal.write(study, ended, folder)
