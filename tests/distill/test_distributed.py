"""Processes that train together, started as `accelerate launch` starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from limbeck.distill.device import Device
from limbeck.distill.distributed import Processes, join
from limbeck.distill.logits import teacher_logits
from limbeck.distill.training import Lesson, train
from limbeck.students.loading import load_teacher
from limbeck.students.modeling import SlimBertForQuestionAnswering
from tests.distill.test_training import SETTINGS, Notebook
from tests.distill.test_training_choices import STEADY
from tests.tiny import tiny_features, tiny_questions, tiny_student, write_tiny_teacher

CPU = Device(torch.device("cpu"), torch.float32)
# 49 windows in batches of 8: the last of an epoch has one, and nothing for the second process.
RECIPE = STEADY.model_copy(update={"keep": "best"})
TRAINING = SETTINGS.model_copy(update={"evaluate_every": 4, "micro_batch": 3})

SCRIPT = """
import sys
from pathlib import Path
from tests.distill.test_distributed import train_and_note

train_and_note(Path(sys.argv[1]))
"""


def train_and_note(folder: Path) -> None:
    """Train a student on the folder's teacher; write its weights and reports, by process."""
    torch.set_num_threads(1)
    processes = join(CPU)
    teacher = load_teacher(str(folder / "teacher"))
    features = tiny_features(tiny_questions(24, seed=1), cache=folder)
    with processes.main_first():
        logits = teacher_logits(teacher, features, device=CPU, cache=folder)
    # A layer without heads has parameters that never get a gradient.
    student = tiny_student(teacher, heads=(4, 0), dropout=0.0)
    notebook = Notebook()
    scores = iter((1.0, 3.0, 3.0, 2.0))

    def evaluate(model: SlimBertForQuestionAnswering) -> dict[str, float]:
        model.train(mode=False)
        return {"exact": next(scores)}

    train(
        student,
        Lesson(features=features, teacher_logits=logits),
        RECIPE,
        TRAINING,
        checkpoint=folder / "checkpoint.safetensors",
        reporter=notebook,
        evaluate=evaluate,
    )
    name = f"{processes.index} of {processes.count}"
    save_file(student.state_dict(), folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps([notebook.began, notebook.points]))


def test_two_processes_train_the_student_of_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for name in ("one", "two"):
        write_tiny_teacher(tmp_path / name / "teacher")
    train_and_note(tmp_path / "one")
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", script, tmp_path / "two"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "OMP_NUM_THREADS": "1",
        },
        check=True,
        timeout=110,
    )

    def weights(name: str) -> dict[str, Tensor]:
        return load_file(tmp_path / f"{name}.safetensors")

    def reports(name: str) -> tuple[list[int] | None, list[tuple[int, dict[str, float]]]]:
        began, points = json.loads((tmp_path / f"{name}.json").read_text())
        return began, points

    for index in range(2):
        torch.testing.assert_close(
            weights(f"two/{index} of 2"), weights("one/0 of 1"), rtol=1e-4, atol=1e-5
        )
    began, points = reports("one/0 of 1")
    main_began, main_points = reports("two/0 of 2")
    assert main_began == began == [0, 14]
    assert [step for step, _ in main_points] == [step for step, _ in points]
    for (_, values), (_, expected) in zip(main_points, points, strict=True):
        assert values == pytest.approx(expected, rel=1e-4)
    assert reports("two/1 of 2") == (None, [])


def test_one_process_alone_initializes_nothing() -> None:
    processes = join(CPU)
    assert processes == Processes(count=1, index=0)
    processes.wait()
    value = torch.tensor(3.0)
    assert processes.mean(value) == 3.0
    assert not torch.distributed.is_initialized()
