import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from limbeck.config import Recipe, TrainingSettings
from limbeck.distill.device import Device
from limbeck.distill.live import LiveTeacher
from limbeck.distill.predict import predict_logits
from limbeck.distill.training import (
    Evaluate,
    Lesson,
    Reporter,
    learning_rate,
    make_optimizer,
    num_steps,
    train,
)
from limbeck.errors import DataError, DivergedError
from limbeck.students.loading import fingerprint
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features
from tests.tiny import tiny_features, tiny_questions, tiny_student

CPU = Device(torch.device("cpu"), torch.float32)
# 49 windows in batches of 8 are 7 steps an epoch, so 14 in all; dropout is on everywhere.
RECIPE = Recipe(
    epochs=2.0,
    batch_size=8,
    learning_rate=3e-3,
    alpha_ce=0.5,
    dropout=0.1,
    attention_dropout=0.1,
    qa_dropout=0.1,
    weight_decay=0.01,
)
SETTINGS = TrainingSettings(device="cpu", precision="fp32", log_every=2, checkpoint_every=5)


class Interrupted(Exception):
    """Somebody pulled the plug."""


class Notebook(Reporter):
    """Notes what it hears; may pull the plug."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.began: tuple[int, int] | None = None
        self.points: list[tuple[int, dict[str, float]]] = []
        self.seconds: list[float] = []

    @override
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        self.began = (step, total_steps)

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        self.points.append((step, dict(values)))
        self.seconds.append(seconds)
        if step == self.stop_at:
            raise Interrupted("by the test")

    @property
    def losses(self) -> list[float]:
        return [values["loss"] for _, values in self.points if "loss" in values]


def run(
    student: SlimBertForQuestionAnswering,
    lesson: Lesson,
    checkpoint: Path,
    recipe: Recipe = RECIPE,
    settings: TrainingSettings = SETTINGS,
    evaluate: Evaluate | None = None,
    notebook: Notebook | None = None,
) -> Notebook:
    """Train to the end and return what was reported."""
    notebook = notebook or Notebook()
    train(
        student,
        lesson,
        recipe,
        settings,
        checkpoint=checkpoint,
        reporter=notebook,
        evaluate=evaluate,
    )
    return notebook


def interrupt(
    student: SlimBertForQuestionAnswering,
    lesson: Lesson,
    checkpoint: Path,
    *,
    stop_at: int,
    recipe: Recipe = RECIPE,
    settings: TrainingSettings = SETTINGS,
    evaluate: Evaluate | None = None,
) -> Notebook:
    """Train until a step is reported, and return what was reported."""
    notebook = Notebook(stop_at=stop_at)
    with pytest.raises(Interrupted, match="by the test"):
        run(student, lesson, checkpoint, recipe, settings, evaluate, notebook)
    return notebook


def pointed_at(features: Features, logits: NDArray[np.float16 | np.float32]) -> NDArray[np.int64]:
    """Return for each window the token with the largest start logit."""
    windows = np.split(logits[:, 0], features.starts[1:-1])
    return np.array([window.argmax() for window in windows])


@pytest.mark.parametrize(
    ("windows", "batch_size", "epochs", "steps"),
    [(49, 8, 2.0, 14), (48, 8, 2.0, 12), (49, 8, 0.5, 4), (3, 8, 1.0, 1), (3, 8, 0.01, 1)],
)
def test_number_of_steps(windows: int, batch_size: int, epochs: float, steps: int) -> None:
    assert num_steps(windows, Recipe(batch_size=batch_size, epochs=epochs)) == steps
    given = Recipe(batch_size=batch_size, epochs=epochs, steps=5)
    assert num_steps(windows, given) == 5


@pytest.mark.parametrize(
    ("warmup_steps", "expected"),
    [
        (0.0, [10 / 11, 9 / 11, 8 / 11, 7 / 11, 6 / 11, 5 / 11, 4 / 11, 3 / 11, 2 / 11, 1 / 11]),
        (0.2, [1 / 2, 1, 8 / 9, 7 / 9, 6 / 9, 5 / 9, 4 / 9, 3 / 9, 2 / 9, 1 / 9]),
        (4.0, [1 / 4, 2 / 4, 3 / 4, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]),
        (20.0, [1 / 20, 2 / 20, 3 / 20, 4 / 20, 5 / 20, 6 / 20, 7 / 20, 8 / 20, 9 / 20, 10 / 20]),
    ],
)
def test_learning_rate_by_hand(warmup_steps: float, expected: list[float]) -> None:
    recipe = Recipe(learning_rate=0.1, warmup_steps=warmup_steps)
    rates = [learning_rate(step, 10, recipe) for step in range(1, 11)]
    assert rates == pytest.approx([0.1 * factor for factor in expected])


@given(total=st.integers(1, 200), warmup_steps=st.one_of(st.floats(0, 0.99), st.floats(1, 300)))
def test_learning_rate_goes_up_to_the_peak_at_most_and_then_down(
    total: int, warmup_steps: float
) -> None:
    recipe = Recipe(learning_rate=1.0, warmup_steps=warmup_steps)
    rates = [learning_rate(step, total, recipe) for step in range(1, total + 1)]
    top = rates.index(max(rates))
    assert min(rates) > 0
    assert max(rates) <= 1
    assert rates == sorted(rates[: top + 1]) + sorted(rates[top + 1 :], reverse=True)


def test_optimizer_is_the_recipes_and_only_matrices_decay(
    teacher: SlimBertForQuestionAnswering,
) -> None:
    recipe = Recipe(beta_1=0.8, beta_2=0.95, adam_epsilon=1e-6, weight_decay=0.03)
    optimizer = make_optimizer(teacher, recipe)
    decay = {
        parameter: group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for group in optimizer.param_groups:
        assert (group["betas"], group["eps"]) == ((0.8, 0.95), 1e-6)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(decay)
    assert {name: decay[parameter] for name, parameter in teacher.named_parameters()} == {
        name: 0.0 if name.endswith("bias") or "LayerNorm" in name else 0.03
        for name, _ in teacher.named_parameters()
    }


def test_student_learns_a_few_windows_by_heart(
    teacher: SlimBertForQuestionAnswering, tmp_path: Path, checkpoint: Path
) -> None:
    lesson = Lesson(features=tiny_features(tiny_questions(4, seed=5), cache=tmp_path))
    recipe = Recipe(epochs=30.0, batch_size=8, learning_rate=1e-2, alpha_ce=0.0)
    losses = run(tiny_student(teacher, dropout=0.0), lesson, checkpoint, recipe).losses
    assert losses[-1] < 0.05 * losses[0]


def test_student_comes_to_point_where_its_teacher_points(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path
) -> None:
    # Would fail with teacher logits that belong to other windows or lie at other tokens.
    assert lesson.teacher_logits is not None
    student = tiny_student(teacher, dropout=0.0)
    with torch.no_grad():
        student.qa_outputs.weight.zero_()
    recipe = Recipe(epochs=4.0, batch_size=8, learning_rate=1e-2, alpha_ce=1.0)
    run(student, lesson, checkpoint, recipe)
    theirs = pointed_at(lesson.features, lesson.teacher_logits.values)
    ours = pointed_at(lesson.features, predict_logits(student, lesson.features, device=CPU))
    assert (theirs == 0).mean() < 0.7
    assert (theirs == ours).mean() > 0.95


# Of 30 steps, the mean loss of every third; made by this test on torch 2.13.
CURVE = [
    0.193328,
    0.168010,
    0.282992,
    0.064330,
    0.114648,
    0.161594,
    0.099464,
    0.175719,
    0.060054,
    0.054871,
]


def test_loss_curve_is_the_stored_one(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path
) -> None:
    # Random numbers of dropout may differ from machine to machine; all others do not.
    recipe = RECIPE.model_copy(update={"epochs": 30 / 7})
    settings = SETTINGS.model_copy(update={"log_every": 3})
    notebook = run(tiny_student(teacher, dropout=0.0), lesson, checkpoint, recipe, settings)
    assert notebook.began == (0, 30)
    assert notebook.losses == pytest.approx(CURVE, rel=1e-4)


def test_reports_come_at_every_second_step_and_at_the_last(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path
) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 9 / 7})
    notebook = run(tiny_student(teacher), lesson, checkpoint, recipe)
    assert [step for step, _ in notebook.points] == [2, 4, 6, 8, 9]
    assert [values["learning_rate"] for _, values in notebook.points] == [
        learning_rate(step, 9, recipe) for step in (2, 4, 6, 8, 9)
    ]
    assert notebook.seconds == sorted(notebook.seconds)


def test_reported_loss_is_the_mean_since_the_last_report(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path
) -> None:
    single = SETTINGS.model_copy(update={"log_every": 1})
    every = run(tiny_student(teacher), lesson, tmp_path / "one", settings=single).losses
    second = run(tiny_student(teacher), lesson, tmp_path / "two").losses
    assert second == pytest.approx(np.array(every).reshape(7, 2).mean(axis=1).tolist())


@pytest.mark.parametrize(("heads", "precision"), [((4, 2), "fp32"), ((4, 0), "fp16")])
def test_interrupted_run_ends_with_the_weights_and_reports_of_one_that_was_not(
    teacher: SlimBertForQuestionAnswering,
    lesson: Lesson,
    tmp_path: Path,
    checkpoint: Path,
    heads: tuple[int, int],
    precision: str,
) -> None:
    # Step 5, the checkpoint's, lies between two reports: the loss of step 5 must not be lost.
    settings = SETTINGS.model_copy(update={"precision": precision})
    whole = tiny_student(teacher, heads=heads)
    all_points = run(whole, lesson, tmp_path / "whole.safetensors", settings=settings).points
    interrupt(tiny_student(teacher, heads=heads), lesson, checkpoint, stop_at=8, settings=settings)
    continued = tiny_student(teacher, heads=heads)
    rest = run(continued, lesson, checkpoint, settings=settings)
    assert rest.began == (5, 14)
    assert fingerprint(continued) == fingerprint(whole)
    assert rest.points == [point for point in all_points if point[0] > 5]


def test_training_seconds_go_on_too(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path
) -> None:
    until = interrupt(tiny_student(teacher), lesson, checkpoint, stop_at=6).seconds
    rest = run(tiny_student(teacher), lesson, checkpoint).seconds
    assert rest[0] > until[1]


@pytest.mark.parametrize(
    "change", [{"learning_rate": 1e-3}, {"seed": 1}, {"alpha_ce": 0.4}, {"epochs": 2.1}]
)
def test_checkpoint_of_another_recipe_is_ignored(
    teacher: SlimBertForQuestionAnswering,
    lesson: Lesson,
    tmp_path: Path,
    checkpoint: Path,
    change: dict[str, float],
) -> None:
    recipe = RECIPE.model_copy(update=change)
    expected = tiny_student(teacher)
    run(expected, lesson, tmp_path / "new.safetensors", recipe)
    interrupt(tiny_student(teacher), lesson, checkpoint, stop_at=8)
    student = tiny_student(teacher)
    notebook = run(student, lesson, checkpoint, recipe)
    assert notebook.began is not None
    assert notebook.began[0] == 0
    assert fingerprint(student) == fingerprint(expected)


def test_checkpoint_of_another_student_or_other_windows_is_ignored(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path, checkpoint: Path
) -> None:
    interrupt(tiny_student(teacher), lesson, checkpoint, stop_at=8)
    content = checkpoint.read_bytes()
    assert run(tiny_student(teacher, heads=(4, 3)), lesson, checkpoint).began == (0, 14)
    checkpoint.write_bytes(content)
    renamed = replace(lesson, features=replace(lesson.features, key="of other questions"))
    assert run(tiny_student(teacher), renamed, checkpoint).began == (0, 14)
    checkpoint.write_bytes(content)
    assert lesson.teacher_logits is not None
    other = replace(lesson, teacher_logits=replace(lesson.teacher_logits, key="another teacher's"))
    assert run(tiny_student(teacher), other, checkpoint).began == (0, 14)
    checkpoint.write_bytes(content)
    live = LiveTeacher(teacher, alpha_hidden=1.0, alpha_relation=0.0)
    assert run(tiny_student(teacher), replace(lesson, live=live), checkpoint).began == (0, 14)
    checkpoint.write_bytes(content)
    assert run(tiny_student(teacher), lesson, checkpoint).began == (5, 14)


def test_damaged_checkpoint_is_an_error(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path
) -> None:
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match="must be whole"):
        run(tiny_student(teacher), lesson, checkpoint)


@pytest.mark.parametrize("rate", [1e30, 1e300])
def test_diverged_run_says_when_and_at_which_learning_rate(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, checkpoint: Path, rate: float
) -> None:
    recipe = RECIPE.model_copy(update={"learning_rate": rate, "warmup_steps": 1.0})
    at_step_2 = learning_rate(2, 14, recipe)
    rule = f"loss must stay finite, but by step 2 it was nan (learning rate {at_step_2:.2g})"
    with pytest.raises(DivergedError, match=re.escape(rule)):
        run(tiny_student(teacher), lesson, checkpoint, recipe)


def test_random_state_of_the_caller_stays(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path, checkpoint: Path
) -> None:
    before = torch.get_rng_state()
    run(tiny_student(teacher), lesson, tmp_path / "whole.safetensors")
    interrupt(tiny_student(teacher), lesson, checkpoint, stop_at=8)
    run(tiny_student(teacher), lesson, checkpoint)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_follow_from_the_seed_whatever_the_random_state(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path
) -> None:
    prints = []
    for number, seed in enumerate((0, 0, 1)):
        student = tiny_student(teacher)
        with torch.random.fork_rng():
            torch.manual_seed(number)
            recipe = RECIPE.model_copy(update={"seed": seed})
            run(student, lesson, tmp_path / f"{number}.safetensors", recipe)
        prints.append(fingerprint(student))
    assert prints[0] == prints[1] != prints[2]


def test_architecture_and_recipe_do_not_change_the_order_of_the_data(
    teacher: SlimBertForQuestionAnswering, lesson: Lesson, tmp_path: Path
) -> None:
    def seen(student: SlimBertForQuestionAnswering, recipe: Recipe, name: str) -> list[Tensor]:
        ids: list[Tensor] = []

        def note(_module: object, _args: object, kwargs: dict[str, Tensor]) -> None:
            ids.append(kwargs["input_ids"])

        student.register_forward_pre_hook(note, with_kwargs=True)
        run(student, lesson, tmp_path / name, recipe)
        return ids

    first = seen(tiny_student(teacher), RECIPE, "first")
    changed = RECIPE.model_copy(update={"learning_rate": 1e-4, "dropout": 0.0})
    second = seen(tiny_student(teacher, layers=1, dropout=0.0), changed, "second")
    assert len(first) == len(second) == 14
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
