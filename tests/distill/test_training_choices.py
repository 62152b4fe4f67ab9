"""Training in parts, in half precision, with the best weights kept, beside a live teacher."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from limbeck.distill.live import LiveTeacher
from limbeck.distill.predict import model_inputs, predict_logits
from limbeck.distill.training import Lesson
from limbeck.errors import ConfigError
from limbeck.students.loading import fingerprint
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import pad
from tests.distill.test_training import CPU, RECIPE, SETTINGS, interrupt, run
from tests.tiny import tiny_student


def flat(student: SlimBertForQuestionAnswering) -> Tensor:
    """Return all weights as a vector."""
    return nn.utils.parameters_to_vector(student.parameters()).detach()


# With a large epsilon, rounding of gradients that should be 0 moves no weight.
STEADY = RECIPE.model_copy(update={"adam_epsilon": 1e-3, "learning_rate": 3e-2})


@pytest.mark.parametrize("micro_batch", [1, 3, 100])
def test_batch_in_parts_trains_as_the_whole_batch_does(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path, micro_batch: int
) -> None:
    # 3 windows at once make parts of 3, 3 and 2: a mean over parts would be another one.
    sizes: list[int] = []

    def note(_module: object, _args: object, kwargs: dict[str, Tensor]) -> None:
        sizes.append(len(kwargs["input_ids"]))

    whole, parts = (tiny_student(teacher, dropout=0.0) for _ in range(2))
    losses = run(whole, lesson, tmp_path / "whole", STEADY).losses
    parts.register_forward_pre_hook(note, with_kwargs=True)
    settings = SETTINGS.model_copy(update={"micro_batch": micro_batch})
    notebook = run(parts, lesson, tmp_path / "parts", STEADY, settings)
    assert max(sizes) == min(micro_batch, 8)
    assert sum(sizes) == 2 * 49
    assert notebook.losses == pytest.approx(losses, rel=1e-4)
    assert (flat(whole) - flat(tiny_student(teacher))).abs().max() > 0.01
    torch.testing.assert_close(flat(parts), flat(whole), rtol=1e-4, atol=1e-5)


def test_windows_at_once_may_change_between_interruption_and_going_on(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path
) -> None:
    interrupt(tiny_student(teacher), lesson, checkpoint, stop_at=8)
    settings = SETTINGS.model_copy(update={"micro_batch": 4})
    assert run(tiny_student(teacher), lesson, checkpoint, settings=settings).began == (5, 14)


def test_half_precision_learns_and_leaves_out_steps_that_overflow(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path
) -> None:
    # Scaled by 65536, the gradients of a loss this large are beyond float16 at first.
    recipe = RECIPE.model_copy(update={"epochs": 4.0, "learning_rate": 1e-2})
    curves = {}
    for precision in ("fp32", "fp16"):
        student = tiny_student(teacher, dropout=0.0)
        before = flat(student).clone()
        with torch.no_grad():
            student.qa_outputs.weight.mul_(100.0)
        settings = SETTINGS.model_copy(
            update={"precision": precision, "log_every": 1, "checkpoint_every": 27}
        )
        curves[precision] = run(student, lesson, tmp_path / precision, recipe, settings).losses
        assert (flat(student) - before).abs().max() > 0.01
    with safe_open(tmp_path / "fp16", framework="pt") as file:
        scale = json.loads(file.metadata()["scaler"])["scale"]
    assert 0 < scale < 2.0**16
    assert curves["fp16"][0] == pytest.approx(curves["fp32"][0], rel=0.02)
    assert np.mean(curves["fp16"][-7:]) < 0.5 * np.mean(curves["fp16"][:7])


class Marks:
    """Gives the model of one step the highest score, and notes the weights of every step."""

    def __init__(self, steps: Iterable[int], scores: Mapping[int, float]) -> None:
        self._steps = iter(steps)
        self._scores = scores
        self.prints: dict[int, str] = {}

    def __call__(self, model: SlimBertForQuestionAnswering) -> dict[str, float]:
        step = next(self._steps)
        model.train(mode=False)
        self.prints[step] = fingerprint(model)
        return {"exact": self._scores.get(step, 0.0)}


BEST = RECIPE.model_copy(update={"keep": "best"})
SCORED = SETTINGS.model_copy(update={"evaluate_every": 4})


@pytest.mark.parametrize(
    ("scores", "best"), [({8: 1.0}, 8), ({4: 1.0, 8: 1.0, 14: 1.0}, 4), ({14: 0.5, 12: 0.4}, 14)]
)
def test_best_weights_are_the_result_if_they_are_to_be_kept(
    teacher: SlimBertForQuestionAnswering,
    lesson: Lesson,
    tmp_path: Path,
    scores: dict[int, float],
    best: int,
) -> None:
    marks = Marks((4, 8, 12, 14), scores)
    student = tiny_student(teacher)
    notebook = run(student, lesson, tmp_path / "best", BEST, SCORED, marks)
    assert [step for step, values in notebook.points if "exact" in values] == [4, 8, 12, 14]
    assert len(set(marks.prints.values())) == 4
    assert fingerprint(student) == marks.prints[best]
    last = tiny_student(teacher)
    run(last, lesson, tmp_path / "last")
    assert fingerprint(last) == marks.prints[14]


@pytest.mark.parametrize("best", [4, 8, 12])
def test_interrupted_run_keeps_the_best_weights_of_one_that_was_not(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path, best: int
) -> None:
    # The checkpoint is that of step 5, the interruption at step 8, after its score.
    interrupt(
        tiny_student(teacher),
        lesson,
        checkpoint,
        stop_at=10,
        recipe=BEST,
        settings=SCORED.model_copy(update={"checkpoint_every": 5, "log_every": 10}),
        evaluate=Marks((4, 8), {best: 1.0}),
    )
    student = tiny_student(teacher)
    marks = Marks((8, 12, 14), {best: 1.0})
    run(student, lesson, checkpoint, BEST, SCORED, marks)
    whole = tiny_student(teacher)
    all_marks = Marks((4, 8, 12, 14), {best: 1.0})
    run(whole, lesson, checkpoint.with_name("whole.safetensors"), BEST, SCORED, all_marks)
    assert all_marks.prints.items() >= marks.prints.items()
    assert fingerprint(student) == fingerprint(whole) == all_marks.prints[best]


def test_best_weights_need_scores_on_the_way(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path
) -> None:
    rule = (
        r'^recipe\.keep = "best" needs scores .*evaluate_every is left out; set it, or keep = "la'
    )
    with pytest.raises(ConfigError, match=rule):
        run(tiny_student(teacher), lesson, checkpoint, BEST, evaluate=Marks((), {}))


def test_student_comes_to_be_like_its_live_teacher_inside(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path
) -> None:
    def distance(student: SlimBertForQuestionAnswering) -> float:
        batch = pad(lesson.features, range(49), pad_token_id=0)
        inputs = model_inputs(batch, CPU)
        student.train(mode=False)
        live = LiveTeacher(teacher, alpha_hidden=1.0, alpha_relation=0.0)
        with live.watch(student):
            student(**inputs)
            return live.loss(inputs).item()

    recipe = RECIPE.model_copy(update={"dropout": 0.0})
    plain, taught = (tiny_student(teacher, heads=(4, 4)) for _ in range(2))
    run(plain, lesson, tmp_path / "plain", recipe)
    live = LiveTeacher(teacher, alpha_hidden=10.0, alpha_relation=1.0)
    run(taught, replace(lesson, live=live), tmp_path / "taught", recipe)
    assert distance(taught) < 0.5 * distance(plain)


def test_scores_on_the_way_are_reported_and_change_nothing(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path
) -> None:
    # Scoring puts the model into evaluation mode: left there, dropout would be off after it.
    def evaluate(model: SlimBertForQuestionAnswering) -> dict[str, float]:
        return {"highest": float(predict_logits(model, lesson.features, device=CPU).max())}

    plain = tiny_student(teacher)
    run(plain, lesson, tmp_path / "plain")
    scored = tiny_student(teacher)
    settings = SETTINGS.model_copy(update={"evaluate_every": 7})
    notebook = run(scored, lesson, tmp_path / "scored", settings=settings, evaluate=evaluate)
    scores = [(step, values) for step, values in notebook.points if "highest" in values]
    assert [step for step, _ in scores] == [7]
    assert math.isfinite(scores[0][1]["highest"])
    assert fingerprint(scored) == fingerprint(plain)
