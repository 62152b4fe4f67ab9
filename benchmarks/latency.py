"""How much faster an exported student answers than its teacher, and what int8 costs.

A student of 3 layers is cut from the shared teacher and distilled on SQuAD 2.0, exported to ONNX
and to ONNX with int8 weights, and compared with itself on 2,000 questions of the dev set. Then
teacher and student are timed in every format, in turn, on the same two cores. The student is kept
in .limbeck/bench/latency (delete it to make another).
"""

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import _student
import torch

from limbeck.export.check import answers_of_torch, compare
from limbeck.export.onnx import answers_of_onnx, write_onnx
from limbeck.export.serving import FORMATS, Timing, measure, passes
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.students.loading import load_teacher, load_tokenizer

FOLDER = _student.ROOT / ".limbeck" / "bench" / "latency"
THREADS = 2
LAYERS = 3


def int8_drop(model: Path, objective: Objective) -> float:
    """Return how many points of exact match int8 costs; say it for ONNX, too."""
    data, questions = objective.config.file.data, objective.questions.scored
    own = answers_of_torch(
        load_teacher(str(model)), load_tokenizer(str(model)), questions, data, gives_null=True
    )
    drop = 0.0
    for int8 in (False, True):
        with TemporaryDirectory() as folder:
            write_onnx(model, Path(folder), data, gives_null=True, int8=int8)
            found = compare(questions, own, answers_of_onnx(Path(folder), questions))
        drop = found.drop
        print(
            f"{FORMATS[1 + int8]}: {found.questions} questions, {len(found.different)} other "
            f"answers, exact {found.exact:.2f} (student {found.student_exact:.2f}), drop "
            f"{drop:.2f} ± {found.error:.2f} points, largest difference of a score "
            f"{found.largest_difference:.1e}",
            flush=True,
        )
    return drop


def print_timings(timings: list[Timing], teacher: Timing) -> None:
    """Print a Markdown row for each; the ratio is that of the teacher in PyTorch."""
    print("| model | format | batch | length | median ms | 90 % ms | windows/s | faster |")
    print("|---|---|---|---|---|---|---|---|")
    for timing in timings:
        rival = next(
            other
            for other in timings
            if (other.model, other.format) == (teacher.model, teacher.format)
            and (other.batch, other.length) == (timing.batch, timing.length)
        )
        print(
            f"| {timing.model} | {timing.format} | {timing.batch} | {timing.length} | "
            f"{timing.p50_ms:.2f} | {timing.p90_ms:.2f} | {timing.windows_per_second:.0f} | "
            f"{rival.p50_ms / timing.p50_ms:.2f} |"
        )


def main() -> None:
    """Run the benchmark, and print its result last."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: make bench-latency QUICK=1"
    )
    parser.add_argument("--quick", action="store_true", help="few questions, few passes")
    quick = parser.parse_args().quick
    torch.set_num_threads(THREADS)
    print(f"{os.cpu_count()} CPUs, {THREADS} threads, load {os.getloadavg()[0]:.1f}", flush=True)
    folder = FOLDER.with_name("latency-quick") if quick else FOLDER
    learned, asked = (320, 200) if quick else (2000, 2000)
    objective = Objective(_student.study(learned=learned, asked=asked), Home(folder / "home"))
    model = _student.student(objective, {"num_layers": LAYERS}, folder)
    drop = int8_drop(model, objective)
    with TemporaryDirectory() as graphs:
        models = {"student": load_teacher(str(model)), "teacher": objective.teacher}
        contenders = {}
        for name, each in models.items():
            place = Path(graphs) / name
            place.mkdir()
            contenders[name] = passes(each, place)
        timings = measure(
            contenders,
            batches=(1,) if quick else (1, 8),
            lengths=(128,) if quick else (128, 256, 384),
            repeats=20 if quick else 50,
        )
    by_name = {(t.model, t.format, t.batch, t.length): t for t in timings}
    teacher = by_name["teacher", "PyTorch", 1, 128]
    print_timings(timings, teacher)
    speedup = teacher.p50_ms / by_name["student", "ONNX int8", 1, 128].p50_ms
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"RESULT speedup={speedup:.2f} int8_drop={drop:.2f}")


if __name__ == "__main__":
    main()
