"""Seconds of one 6-layer run: limbeck's, that of 2020, and that of a plain Trainer, side by side.

All train the same student from the same weights on the same questions of SQuAD 2.0 train (rebuilt)
with the same hyperparameters, on this machine, in turns of a few steps. Limbeck scores all of them
on the same questions, from articles that nobody learned from. What is timed is training and the
evaluations that belong to it, not loading.

A run of 2020 on all of SQuAD 2.0 (132,000 windows, 49,500 steps of 8, the 12,200 dev windows after
every 1,000 of them) takes days here, so everything is smaller by one factor: windows, dev windows,
and steps between evaluations. About 1.5 windows are evaluated for every window trained on, as then.
"""

import argparse
import importlib.util
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import _arms
import _fresh
import _setting
import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar

from limbeck.objective import Objective

BENCH = _setting.ROOT / ".limbeck" / "bench"
RUNS_OF_A_STUDY = 24


def main() -> None:
    """Measure everything and print it."""
    arguments = _arguments()
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
    _setting.check_data()
    scale = _setting.Scale(arguments.windows)
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH, prefix="throughput-") as temporary:
        folder = Path(temporary)
        study = _setting.write_study(
            folder / "study.toml", scale=scale, questions=arguments.questions
        )
        objective = _setting.make_objective(study, folder / "home")
        shared_seconds = prepare(objective, folder)
        outcomes = race(objective, folder, scale)
        memory_ratio = compare_memory(objective, folder)
        load_seconds = loading_seconds(folder, prepare=not arguments.quick)
        results = {
            **ratios(outcomes, shared_seconds),
            **scores(outcomes),
            "windows": len(objective.exams.train),
            "memory_ratio": memory_ratio,
            "load_seconds": load_seconds,
        }
    print("RESULT", *(f"{name}={round(value, 2)}" for name, value in results.items()))


def prepare(objective: Objective, folder: Path) -> float:
    """Make what all arms share, and the student; return the seconds that a study shares.

    These are those of cutting the training questions into windows and asking the teacher.
    """
    _say(f"{torch.get_num_threads()} threads, torch {torch.__version__}, load {_load()}")
    exams, recipe = objective.exams, objective.config.file.recipe
    questions = len(exams.scored.questions)
    start = time.perf_counter()
    windows = len(exams.train)
    cut = time.perf_counter()
    _setting.lesson(objective)
    end = time.perf_counter()
    _setting.save_student(objective, folder / "student")
    _say(
        f"{windows} training windows ({cut - start:.1f} s to cut them, {end - cut:.1f} s for the "
        f"teacher's logits), {math.ceil(windows / recipe.batch_size) * int(recipe.epochs)} steps "
        f"of {recipe.batch_size}; {len(exams.sample.features)} windows an evaluation"
    )
    untrained = objective.examine(objective.teacher).scores["exact"]
    _say(
        f"before training the student has all layers of its teacher and scores {untrained:.2f} "
        f"on the {questions} held-out questions"
    )
    return end - start


def race(objective: Objective, folder: Path, scale: _setting.Scale) -> dict[str, _arms.Outcome]:
    """Let all arms train, and print how they did."""
    names = list(_arms.ARMS)
    if importlib.util.find_spec("accelerate") is None:
        _say("no Trainer: it needs accelerate; .venv/bin/pip install accelerate, and run again")
        names.remove("Trainer")
    job = _arms.Job(
        study=folder / "study.toml",
        home=objective.home.folder,
        student=folder / "student",
        scale=scale,
        folder=folder / "arms",
    )
    outcomes = _arms.race(names, job, show=_say)
    recipe = objective.config.file.recipe
    trained = len(objective.exams.train) * int(recipe.epochs)
    print(f"{'':10}  seconds  of processors  evaluating  evaluated/trained  exact")
    for name, outcome in outcomes.items():
        score, error = _score(outcome.marks.exact)
        print(
            f"{name:10} {outcome.seconds:8.1f} {outcome.processor_seconds:14.1f} "
            f"{outcome.marks.evaluating:11.1f} {outcome.marks.evaluated_windows / trained:18.2f}  "
            f"{score:.2f} ± {error:.2f}"
        )
    _say(f"load {_load()}")
    return outcomes


def ratios(outcomes: Mapping[str, _arms.Outcome], shared_seconds: float) -> dict[str, float]:
    """Return how many times longer than ours the others took, and say how that is meant."""
    ours, original = outcomes["ours"], outcomes["original"]
    share = shared_seconds / RUNS_OF_A_STUDY
    training = [outcome.seconds - outcome.marks.evaluating for outcome in (original, ours)]
    result = {
        "ratio": original.seconds / ours.seconds,
        "ratio_shared": original.seconds / (ours.seconds + share),
        "ratio_processors": original.processor_seconds / ours.processor_seconds,
        "ratio_fp32": original.seconds / outcomes["ours fp32"].seconds,
        "ratio_training": training[0] / training[1],
    }
    if "Trainer" in outcomes:
        result["ratio_trainer"] = outcomes["Trainer"].seconds / ours.seconds
    print(
        "ratio: the original's seconds over ours. ratio_shared: with a share of the "
        f"{shared_seconds:.1f} s for windows and logits\nthat the {RUNS_OF_A_STUDY} runs of a "
        f"study have in common ({share:.2f} s). ratio_processors: in seconds of processors. "
        "ratio_fp32: ours in\nfloat32 as well. ratio_training: without all evaluations. "
        "ratio_trainer: the Trainer's (float32) over ours.\nThe teacher has 6 layers; that of "
        "2020 had 12. A deeper one makes the original and the Trainer slower, not ours."
    )
    return result


def scores(outcomes: Mapping[str, _arms.Outcome]) -> dict[str, float]:
    """Return what both students score, and say whether that is equal."""
    ours, original = outcomes["ours"].marks.exact, outcomes["original"].marks.exact
    score_ours, error = _score(ours)
    score_original, error_original = _score(original)
    gap, gap_error = _score(ours - original)
    equal = abs(gap) <= max(error, error_original)
    print(
        f"exact: ours {score_ours:.2f} ± {error:.2f}, original {score_original:.2f} ± "
        f"{error_original:.2f}, difference {gap:+.2f} ± {gap_error:.2f} (question by question): "
        f"{'equal' if equal else 'NOT equal'} within one standard error"
    )
    return {
        "score_ours": score_ours,
        "score_original": score_original,
        "n": len(ours),
        "standard_error": max(error, error_original),
    }


def compare_memory(objective: Objective, folder: Path) -> float:
    """Return the peak memory of a run of ours over that of plain fine-tuning."""
    _say("memory: one epoch of the same batches, each in a fresh process")
    study, home = folder / "study.toml", objective.home
    features = home.cache / f"features-{objective.exams.train.key}"
    ours = _in_fresh_process("limbeck_megabytes", study, home.folder, folder / "run")
    plain = _in_fresh_process("plain_megabytes", study, features, folder / "student")
    print(
        f"Peak memory: a run of ours {ours:.0f} MB (reads all train questions, saves a checkpoint, "
        f"answers the held-out questions),\nplain fine-tuning {plain:.0f} MB: "
        f"{ours / plain:.2f} times (target: at most 1.25)"
    )
    return ours / plain


def loading_seconds(folder: Path, *, prepare: bool) -> float:
    """Return the seconds until a run on all of SQuAD 2.0 train has done a step; NaN if unknown.

    Args:
        folder: Where to write.
        prepare: Whether to make windows and logits if they are not there from another time.
    """
    home, teacher = BENCH / "everything", BENCH / "tiny-teacher"
    if not (home.is_dir() or prepare):
        _say("loading is not measured: its windows and logits come from a full benchmark")
        return math.nan
    if not teacher.is_dir():
        _setting.save_tiny_teacher(teacher)
    study = _setting.write_study_of_everything(folder / "everything.toml", teacher=teacher)
    _say("windows and logits of all train questions, unless they are there from another time")
    start = time.perf_counter()
    windows = len(_setting.lesson(_setting.make_objective(study, home)).features)
    _say(f"{windows} windows, {time.perf_counter() - start:.0f} s")
    seconds = _in_fresh_process("seconds_to_first_step", study, home, folder / "first-step")
    print(
        f"From parameters to a first step on {windows} windows, with their logits, caches filled: "
        f"{seconds:.1f} s (target: under 5)"
    )
    return seconds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python benchmarks/throughput.py --windows 240 --questions 500",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="48 windows, 200 questions")
    parser.add_argument("--windows", type=int, help="training windows, about (default: 240)")
    parser.add_argument("--questions", type=int, help="held-out questions (default: 1000)")
    arguments = parser.parse_args()
    arguments.windows = arguments.windows or (48 if arguments.quick else 240)
    arguments.questions = arguments.questions or (200 if arguments.quick else 1_000)
    return arguments


def _in_fresh_process(what: str, *arguments: Path) -> float:
    script = Path(_fresh.__file__)
    command = [sys.executable, str(script), what, *map(str, arguments)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(output.splitlines()[-1])


def _score(points: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean of points between 0 and 1 in percent, and its standard error."""
    return 100 * float(points.mean()), 100 * float(points.std(ddof=1)) / math.sqrt(len(points))


def _load() -> str:
    return "/".join(f"{value:.1f}" for value in os.getloadavg())


def _say(text: str) -> None:
    print(f"[{time.perf_counter() - START:5.0f} s] {text}", flush=True)


START = time.perf_counter()

if __name__ == "__main__":
    main()
