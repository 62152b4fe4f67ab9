"""What the throughput benchmark compares with: the recipe of 2020, and the scale it is run at."""

import runpy
from pathlib import Path

import pytest
import torch

from limbeck.config import Recipe
from limbeck.distill.evaluation import Exam
from limbeck.distill.losses import span_loss
from limbeck.students.loading import load_teacher
from limbeck.tasks.question_answering.features import Features
from tests.tiny import LENGTHS, tiny_features, tiny_questions, write_tiny_teacher

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ORIGINAL = runpy.run_path(str(BENCHMARKS / "_original.py"))
SETTING = runpy.run_path(str(BENCHMARKS / "_setting.py"))


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return tiny_features(tiny_questions(8, seed=1), cache=tmp_path)


def test_every_window_is_padded_to_the_full_length(features: Features) -> None:
    input_ids, mask, token_type_ids, start, end = ORIGINAL["padded"](features, 40).tensors
    assert input_ids.shape == mask.shape == token_type_ids.shape == (len(features), 40)
    assert mask.sum(dim=1).tolist() == features.lengths.tolist()
    assert input_ids[mask.bool()].tolist() == features.input_ids.tolist()
    assert start.tolist() == features.start_position.tolist()
    assert end.tolist() == features.end_position.tolist()


def test_its_loss_is_limbecks_where_nothing_is_padded(tmp_path: Path, features: Features) -> None:
    teacher = load_teacher(str(write_tiny_teacher(tmp_path / "teacher")))
    student = load_teacher(str(tmp_path / "teacher"))
    with torch.no_grad():
        student.qa_outputs.weight.mul_(0.3)
    longest = int(features.lengths.max())
    dataset = ORIGINAL["padded"](features, longest)
    batch = dataset[torch.from_numpy(features.lengths == longest)]
    assert len(batch[0]) > 1
    recipe = Recipe(alpha_ce=0.3, temperature=2.5)
    input_ids, mask, token_type_ids, start, end = batch

    def logits(model: torch.nn.Module) -> torch.Tensor:
        answer = model(input_ids, attention_mask=mask, token_type_ids=token_type_ids)
        return torch.stack([answer.start_logits, answer.end_logits], dim=-1)

    with torch.no_grad():
        loss = ORIGINAL["distillation_loss"](student, teacher, batch, recipe)
        expected = span_loss(
            logits(student),
            torch.stack([start, end], dim=1),
            mask.bool(),
            teacher=logits(teacher),
            alpha_ce=0.3,
            temperature=2.5,
        )
    torch.testing.assert_close(loss, expected)


def test_it_learns_and_evaluates_when_it_is_due(tmp_path: Path, features: Features) -> None:
    teacher = load_teacher(str(write_tiny_teacher(tmp_path / "teacher")))
    student = load_teacher(str(tmp_path / "teacher"))
    with torch.no_grad():
        student.qa_outputs.weight.zero_()
    questions = tiny_questions(4, seed=2)
    exam = Exam(questions, tiny_features(questions, cache=tmp_path))
    steps: list[int] = []
    seconds, windows = ORIGINAL["distil"](
        student,
        teacher,
        features,
        exam,
        Recipe(learning_rate=0.05, batch_size=4, epochs=3.0, warmup_steps=0.0),
        max_length=LENGTHS.max_length,
        evaluations_after=lambda step: 2 if step == 3 else 0,
        after_step=steps.append,
    )
    assert steps == list(range(1, 1 + 3 * -(-len(features) // 4)))
    assert windows == 3 * len(exam.features), "two after the third step, and one at the end"
    assert seconds > 0
    assert student.qa_outputs.weight.abs().max() > 0.01


@pytest.mark.parametrize("windows", [24, 480, 132_731])
def test_at_every_scale_there_are_49_evaluations(windows: int) -> None:
    scale = SETTING["Scale"](windows)
    steps = round(3 * windows / 8)
    assert sum(scale.evaluations_after(step) for step in range(1, steps + 1)) == 49
    evaluated = 49 * scale.evaluation_questions * 12_232 / 11_873
    assert evaluated / (3 * windows) == pytest.approx(1.5, rel=0.1)
