"""How good students are that are cut from the shared teacher: by depth and by width.

Distilled against a control that learns from labels alone; heads and neurons chosen by Fisher scores
against chosen by weights and by chance; with two seeds each, on questions of the SQuAD 2.0 dev set.
The study file is docs/evidence/students/study.toml. What is done is kept in
.limbeck/bench/students and not done again (delete it after a change of the study file); one student
takes minutes on two CPU cores, all of them about two hours.
"""

import argparse
import json
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from _student import Silence

from limbeck.config import load_config
from limbeck.files import whole_file
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import RunState
from limbeck.space import Value

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "docs" / "evidence" / "students" / "study.toml"
FOLDER = ROOT / ".limbeck" / "bench" / "students"
SHOWN = ("best_exact", "exact", "HasAns_exact", "HasAns_f1")
IMPORTANCES = ("fisher", "magnitude", "random")
NEURONS_OF_A_HEAD = 128
"""The teacher has 12 heads and 1,536 neurons in a layer; students keep the proportion."""


@dataclass(frozen=True)
class Cell:
    """A student to make, with each of several seeds.

    Attributes:
        name: For people, and of its folder.
        parameters: Of the run.
    """

    name: str
    parameters: Mapping[str, Value]


def cells(*, quick: bool) -> Iterator[Cell]:
    """Yield all students: depths with and without distillation, widths by importance."""
    for layers in (2,) if quick else (5, 4, 3, 2):
        yield Cell(f"{layers} layers, distilled", {"num_layers": layers})
        yield Cell(f"{layers} layers, control", {"num_layers": layers, "alpha_ce": 0.0})
    for heads in (3,) if quick else (9, 6, 3):
        for importance in ("fisher", "random") if quick else IMPORTANCES:
            width: dict[str, Value] = {
                "num_layers": 6,
                "num_heads": heads,
                "ffn_size": NEURONS_OF_A_HEAD * heads,
                "importance": importance,
            }
            yield Cell(f"{heads}/12 of heads and neurons, {importance}", width)


def make(cell: Cell, seed: int, folder: Path, *, quick: bool) -> dict[str, float]:
    """Return the values of a run, made unless its result is there."""
    path = folder / f"{cell.name.replace('/', '-of-').replace(' ', '-')}-{seed}" / "result.json"
    if not path.exists():
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
        parameters = {**cell.parameters, "seed": seed, "pruning_seed": seed}
        outcome = objective(folder, quick=quick)(parameters, path.parent, Silence())
        if outcome.state is not RunState.FINISHED:
            raise SystemExit(f"{cell.name}, seed {seed}, is {outcome.state}: {outcome.message}")
        with whole_file(path) as file:
            file.write_text(json.dumps(dict(outcome.values)), encoding="utf-8")
    values: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return values


def objective(folder: Path, *, quick: bool) -> Objective:
    """Return what the study file asks for; a fraction of its questions if it has to be quick."""
    config = load_config(STUDY)
    if quick:
        data = config.file.data.model_copy(update={"train_questions": 320, "dev_questions": 300})
        config = replace(config, file=config.file.model_copy(update={"data": data}))
    return Objective(config, Home(folder / "home"))


def print_table(results: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Print a Markdown row for each student: mean and standard deviation over its seeds."""
    print(f"| student | parameters | {' | '.join(SHOWN)} |\n|---|---|{'---|' * len(SHOWN)}")
    for name, runs in results.items():
        scores = (_mean_and_spread([run[metric] for run in runs]) for metric in SHOWN)
        print(f"| {name} | {runs[0]['num_parameters'] / 1e6:.2f} M | {' | '.join(scores)} |")


def difference(
    results: Mapping[str, Sequence[Mapping[str, float]]], better: str, worse: str
) -> float:
    """Return how far one kind of student is above another in ``HasAns_f1``, on average."""
    gaps = [
        run["HasAns_f1"] - other["HasAns_f1"]
        for name, runs in results.items()
        if name.endswith(better) and (partner := name.removesuffix(better) + worse) in results
        for run, other in zip(runs, results[partner], strict=True)
    ]
    return statistics.fmean(gaps)


def _mean_and_spread(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{spread}"


def main() -> None:
    """Make all students that are not there, and print what they score."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: make bench-students QUICK=1"
    )
    parser.add_argument("--quick", action="store_true", help="few students, few questions")
    quick = parser.parse_args().quick
    folder = FOLDER.with_name("students-quick") if quick else FOLDER
    objective(folder, quick=quick).prepare(Silence())
    chosen, seeds = list(cells(quick=quick)), (0,) if quick else (0, 1)
    results: dict[str, list[dict[str, float]]] = {}
    # A process for each student: memory that one leaves behind is no burden to the next.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        jobs = {
            (cell.name, seed): pool.submit(make, cell, seed, folder, quick=quick)
            for seed in seeds
            for cell in chosen
        }
        for (name, seed), job in jobs.items():
            results.setdefault(name, []).append(job.result())
            print(
                f"{name}, seed {seed}: HasAns_f1 {results[name][-1]['HasAns_f1']:.1f}", flush=True
            )
    print_table(results)
    print(
        f"RESULT distilled_minus_control={difference(results, 'distilled', 'control'):.2f} "
        f"fisher_minus_random={difference(results, 'fisher', 'random'):.2f} "
        f"runs={sum(map(len, results.values()))}"
    )


if __name__ == "__main__":
    main()
