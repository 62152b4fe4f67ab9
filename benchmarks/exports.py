"""Whether trained students answer alike in every format, and what int8 costs them.

Two students are cut from the shared teacher and distilled on 2,000 questions of SQuAD 2.0: one with
all that is odd (another number of heads in each layer, none in one; odd numbers of neurons; word
embeddings of low rank), and one of 5 whole layers. Both are exported in every format, and every
export answers questions of the dev set, drawn at random: 1,000 for equal answers, 2,000 for what
int8 costs. Students are kept in .limbeck/bench/exports (delete it to make others).
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import _student
import torch
from transformers.utils.logging import disable_progress_bar

from limbeck.export.check import (
    Comparison,
    Given,
    answers_of_folder,
    answers_of_torch,
    compare,
)
from limbeck.export.exporting import KINDS, Kind
from limbeck.export.hugging_face import write_hugging_face, write_stock
from limbeck.export.onnx import answers_of_onnx, write_onnx
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.space import Value
from limbeck.students.loading import load_teacher, load_tokenizer
from limbeck.tasks.question_answering.dataset import QuestionSet

FOLDER = _student.ROOT / ".limbeck" / "bench" / "exports"
ODD: Mapping[str, Value] = {
    "num_layers": 6,
    "importance": "fisher",
    "embedding_rank": 257,
    **{f"num_heads_{layer}": heads for layer, heads in enumerate((12, 7, 11, 0, 5, 9))},
    **{f"ffn_size_{layer}": size for layer, size in enumerate((1531, 1201, 997, 1409, 701, 1333))},
}
STUDENTS: Mapping[str, Mapping[str, Value]] = {"odd": ODD, "5 layers": {"num_layers": 5}}
COLUMNS = (
    *("student", "format", "questions", "other answers", "ties"),
    *("largest difference of a score", "student's exact", "drop ± one standard error"),
)
SEED = 0
"""Of the sample of questions."""


def given(model: Path, kind: Kind, objective: Objective, questions: QuestionSet) -> Given:
    """Return what an export of a student answers."""
    data = objective.config.file.data
    with TemporaryDirectory() as place:
        folder = Path(place)
        if kind.startswith("onnx"):
            write_onnx(model, folder, data, gives_null=True, int8=kind == "onnx-int8")
            return answers_of_onnx(folder, questions)
        if kind == "hf":
            write_hugging_face(model, folder, teacher="teacher")
        else:
            write_stock(model, folder)
        return answers_of_folder(folder, questions, data, gives_null=True)


def only(answers: Given, questions: QuestionSet) -> Given:
    """Return the answers to some of the questions."""
    keys = [question.id for question in questions.questions]
    return Given(
        texts={key: answers.texts[key] for key in keys},
        scores={key: answers.scores[key] for key in keys},
        null_odds={key: answers.null_odds[key] for key in keys},
    )


def print_row(name: str, kind: Kind, found: Comparison) -> None:
    """Print a Markdown row: of one student in one format."""
    print(
        f"| {name} | {kind} | {found.questions} | {len(found.different)} | {found.ties} | "
        f"{found.largest_difference:.1e} | {found.student_exact:.2f} | "
        f"{found.drop:+.2f} ± {found.error:.2f} |",
        flush=True,
    )


def main() -> None:
    """Run the benchmark, and print its result last."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: make bench-exports QUICK=1"
    )
    parser.add_argument("--quick", action="store_true", help="few questions")
    quick = parser.parse_args().quick
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    learned, alike, dropped = (320, 100, 200) if quick else (2000, 1000, 2000)
    place = FOLDER.with_name("exports-quick") if quick else FOLDER
    objective = Objective(_student.study(learned=learned, asked=dropped), Home(place / "home"))
    scored = objective.questions.scored
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    different, drops = 0, []
    for name, parameters in STUDENTS.items():
        model = _student.student(objective, parameters, place / name.replace(" ", "-"))
        own = answers_of_torch(
            load_teacher(str(model)),
            load_tokenizer(str(model)),
            scored,
            objective.config.file.data,
            gives_null=True,
        )
        for kind in KINDS:
            questions = scored if kind == "onnx-int8" else scored.sample(alike, SEED)
            answers = given(model, kind, objective, questions)
            found = compare(questions, only(own, questions), answers)
            print_row(name, kind, found)
            if kind == "onnx-int8":
                drops.append(found.drop)
            else:
                different += len(found.different)
    print(f"RESULT different={different} int8_drop={max(drops):.2f}")


if __name__ == "__main__":
    main()
