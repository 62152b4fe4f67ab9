"""Runs needed to find the frontier: limbeck's samplers and their peers on the same problems.

Studies are simulated: real training results are looked up in tables, or computed by formulas.
Every finished study is kept in the journal, so that an interrupted benchmark goes on where it was,
and a slice of it adds to what is there.
"""

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import peers
import problems
import report
import speed
import studies
from curves import Curve, read_journal, read_table
from journal import PENDING, Study, missing
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ROOT = Path(__file__).parents[2]
JOURNAL = ROOT / ".limbeck" / "bench" / "optimizer"
EVIDENCE = ROOT / "docs" / "evidence" / "optimizer"

RUNS = 100
MOST_SEEDS = 100

QUICK = {
    "problems": ["fcnet/protein_structure", "nb201/cifar10", "analytic/plateau"],
    "methods": ["random", "optuna-nsga2", "optuna-tpe", "limbeck"],
    "modes": ["sequential"],
    "seeds": range(2),
    "runs": 40,
}
"""What ``--quick`` takes for what is not said otherwise."""


def main() -> None:
    """Do what the command line says."""
    arguments = _arguments()
    if arguments.speed:
        speed.measure()
    elif arguments.report:
        write_report(arguments.journal or JOURNAL)
    elif arguments.quick and arguments.journal is None:
        with tempfile.TemporaryDirectory(prefix="limbeck-bench-") as folder:
            measure(arguments, Path(folder))
    else:
        measure(arguments, arguments.journal or JOURNAL)


def measure(arguments: argparse.Namespace, journal: Path) -> None:
    """Carry out the studies that the journal lacks, and print what came of all of them."""
    wanted = [
        Study(problem=problem, method=method, mode=mode, seed=seed, runs=arguments.runs)
        for seed in arguments.seeds
        for mode in arguments.modes
        for problem in arguments.problems
        for method in arguments.methods
    ]
    to_do = missing(wanted, journal)
    print(f"{len(wanted)} studies, {len(wanted) - len(to_do)} of them in the journal", flush=True)
    carry_out(to_do, journal, workers=arguments.workers)
    print(_summary(list(read_journal(wanted, journal)), arguments.problems))


def write_report(journal: Path) -> None:
    """Write the evidence from the journal and, for what that lacks, from the committed table."""
    every = [
        Study(problem=problem, method=method, mode=mode, seed=seed, runs=RUNS)
        for problem in problems.NAMES
        for method in peers.METHODS
        for mode in PENDING
        for seed in range(MOST_SEEDS)
    ]
    committed = EVIDENCE / "results.csv"
    curves = {c.study: c for c in read_table(committed)} if committed.is_file() else {}
    curves |= {curve.study: curve for curve in read_journal(every, journal)}
    loaded = [problems.load(name) for name in problems.NAMES]
    print(
        report.write(
            list(curves.values()),
            loaded,
            EVIDENCE,
            ours=tuple(peers.OURS),
            peers=tuple(peers.PEERS),
        )
    )


def _summary(curves: list[Curve], names: Sequence[str]) -> str:
    loaded = [problems.load(name) for name in names]
    ours, theirs = tuple(peers.OURS), tuple(peers.PEERS)
    known = {problem.name for problem in loaded if problem.known is not None}
    return (
        f"{report.table(curves, loaded, ours=ours, peers=theirs)}\n"
        f"{report.standings(curves, (*ours, *theirs))}"
        f"{report.RULES}\n"
        f"{report.result_line(curves, ours=ours, peers=theirs, known=known)}"
    )


def carry_out(to_do: Sequence[Study], journal: Path, *, workers: int) -> None:
    """Carry out studies, in their order, in processes of one thread each."""
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        ProcessPoolExecutor(workers, mp_context=context, initializer=studies.be_quiet) as pool,
    ):
        bar = progress.add_task("studies", total=len(to_do))
        futures = {pool.submit(studies.carry_out, study, journal): study for study in to_do}
        for future in as_completed(futures):
            if future.exception() is not None:
                pool.shutdown(cancel_futures=True)
                print(f"{futures[future]} failed", flush=True)
            future.result()
            progress.update(bar, advance=1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/optimizer",
        description=__doc__,
        epilog="example: python benchmarks/optimizer --methods limbeck,optuna-tpe --seeds 0-4",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    full: dict[str, Any] = {
        "problems": list(problems.NAMES),
        "methods": list(peers.METHODS),
        "modes": list(PENDING),
        "seeds": range(10),
        "runs": RUNS,
    }
    for key in ("problems", "methods", "modes"):
        known = full[key]
        parser.add_argument(
            f"--{key}",
            type=partial(_names, known=known),
            help=f"some of {', '.join(known)} (default: all)",
        )
    parser.add_argument("--seeds", type=_seeds, help="such as 3 or 0-9 (default: 0-9)")
    parser.add_argument("--runs", type=int, help=f"of a study (default: {RUNS})")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--journal",
        type=Path,
        help=f"folder of finished studies (default: {JOURNAL.relative_to(ROOT)}; "
        "with --quick a new one, which is removed)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="3 problems, 2 seeds, 40 runs and only fast peers, unless said otherwise",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help=f"carry out nothing; write {EVIDENCE.relative_to(ROOT)} from what there is",
    )
    parser.add_argument(
        "--speed",
        action="store_true",
        help="carry out nothing; measure what a suggestion takes with up to 2,000 runs",
    )
    arguments = parser.parse_args()
    for key, value in (QUICK if arguments.quick else full).items():
        if getattr(arguments, key) is None:
            setattr(arguments, key, value)
    return arguments


def _names(text: str, known: Sequence[str]) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    main()
