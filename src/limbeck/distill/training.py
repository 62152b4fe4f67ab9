"""The training loop, read top to bottom: one for students and for teachers."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW

from limbeck.config import Recipe, TrainingSettings
from limbeck.distill.batches import LENGTH_STEP, batches_from, parts_of
from limbeck.distill.checkpoint import BestWeights, Checkpoint, Progress, State
from limbeck.distill.device import Device
from limbeck.distill.distributed import apart, join
from limbeck.distill.live import LiveTeacher
from limbeck.distill.logits import TeacherLogits
from limbeck.distill.losses import span_loss
from limbeck.distill.predict import model_inputs
from limbeck.errors import ConfigError, DivergedError
from limbeck.students.loading import fingerprint
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features, pad

Evaluate: TypeAlias = Callable[[SlimBertForQuestionAnswering], Mapping[str, float]]
"""Scores a model."""


class Reporter(Protocol):
    """Hears how a run goes, and may end it."""

    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        """Training starts after ``step`` steps (more than 0 when it goes on from a checkpoint).

        It takes ``total_steps`` in all, ``epoch_steps`` for each pass over the training windows.
        """

    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        """After ``step`` steps and ``seconds`` of training, metrics had these values.

        Raises:
            StoppedError: If the run is to end here.
        """


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is learned from.

    Attributes:
        features: The training windows.
        teacher_logits: What the teacher answers to them; None for hard labels only.
        live: A teacher whose inside is imitated; None to imitate its answers only.
    """

    features: Features
    teacher_logits: TeacherLogits | None = None
    live: LiveTeacher | None = None

    @property
    def key(self) -> str:
        """Tells lessons apart by all that is learned from."""
        logits = self.teacher_logits.key if self.teacher_logits else "hard labels"
        live = self.live.key if self.live else "answers only"
        return f"{self.features.key}, {logits}, {live}"


def train(
    model: SlimBertForQuestionAnswering,
    lesson: Lesson,
    recipe: Recipe,
    settings: TrainingSettings,
    *,
    checkpoint: Path,
    reporter: Reporter,
    evaluate: Evaluate | None = None,
    best_by: str = "exact",
) -> float:
    """Train ``model`` in place, from its last checkpoint if there is one; return the seconds spent.

    AdamW with weight decay on matrices only, linear warm-up then linear decay to 0, gradients
    clipped by norm. The order of the data depends on the seed alone. Dropout draws from random
    streams of its own, which follow from the recipe's seed; the caller's random state is what it
    was. On a CPU, a run continued from a checkpoint ends bit-equal to one that was never
    interrupted.

    Which weights are the result is up to ``recipe.keep``: "last" are those after the last step,
    "best" those of the highest score among the evaluations on the way and one after the last step,
    the earliest if several score the same.

    In several processes (see `join`), each computes its share of every batch; without dropout, the
    result is that of one process to rounding. Only the main process reports, evaluates and saves.

    Args:
        model: Answers ``start_logits`` and ``end_logits``.
        lesson: Windows and teachers.
        recipe: Hyperparameters.
        settings: Device, precision, windows at once, and how often to report, evaluate and save.
        checkpoint: File to save to and to go on from; see `remove_checkpoint`.
        reporter: Hears loss and learning rate, and what ``evaluate`` returns.
        evaluate: Scores the model on the way; its time is not training time.
        best_by: The score, larger is better, that decides which weights are the best.

    Raises:
        ArchitectureError: If the student and its live teacher cannot be compared.
        ConfigError: If the best weights are to be kept, but nothing is scored on the way.
        DataError: If the checkpoint is damaged.
        DivergedError: If the loss is no longer finite.
        StoppedError: If the reporter ends the run.
    """
    if recipe.keep == "best" and not (evaluate and settings.evaluate_every):
        raise ConfigError(
            'recipe.keep = "best" needs scores on the way, but training.evaluate_every is left out;'
            ' set it, or keep = "last"'
        )
    device = Device.choose(settings)
    processes = join(device)
    total = num_steps(len(lesson.features), recipe)
    exam = settings.evaluate_questions if recipe.keep == "best" else None
    made_from = (fingerprint(model), recipe, lesson.key, device.name, total, exam)
    saved = Checkpoint(checkpoint, hashlib.sha256(repr(made_from).encode()).hexdigest())
    best = BestWeights(saved, score=best_by) if recipe.keep == "best" else None
    model.to(device.torch_device)  # type: ignore[arg-type]  # transformers' wrapper
    optimizer, scaler = make_optimizer(model, recipe), device.scaler()
    state = State(model, optimizer, scaler)
    logbook = _Logbook(
        state,
        saved,
        settings,
        reporter,
        total=total,
        evaluate=partial(evaluate, model) if evaluate else None,
        best=best,
        is_main=processes.is_main,
    )
    watching = lesson.live.watch(model) if lesson.live else nullcontext()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), watching:
        done = logbook.begin(epoch_steps(len(lesson.features), recipe))
        student = processes.wrap(model)
        model.train()
        pad_token_id = model.config.pad_token_id or 0
        batches = batches_from(
            lesson.features.lengths,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            start=done,
        )
        for step, batch in zip(range(done + 1, total + 1), batches, strict=False):
            # 1. Loss and gradient of a batch of windows that are alike in length.
            device.seed(_dropout_seed(recipe.seed, step, processes.index))
            loss = torch.zeros((), device=device.torch_device)
            for part in parts_of(
                batch,
                micro_batch=settings.micro_batch,
                process=processes.index,
                processes=processes.count,
            ):
                with apart(student, until_last=not part.last):
                    mean = _loss(
                        student, lesson, part.windows, recipe, device, pad_token_id=pad_token_id
                    )
                    scaler.scale(part.weight * mean).backward()  # type: ignore[no-untyped-call]
                loss += part.weight * mean.detach()
            # 2. One step of AdamW; the scaler leaves it out where a gradient is not finite.
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
            rate = learning_rate(step, total, recipe)
            for group in optimizer.param_groups:
                group["lr"] = rate
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            # 3. Report, evaluate, save.
            logbook.note(step, processes.mean(loss), rate)
    seconds = logbook.seconds
    processes.wait()
    if best:
        best.restore(model)
        processes.wait()
    return seconds


def num_steps(num_windows: int, recipe: Recipe) -> int:
    """Return the optimizer steps of a whole run."""
    if recipe.steps is not None:
        return recipe.steps
    return max(1, math.ceil(recipe.epochs * epoch_steps(num_windows, recipe)))


def epoch_steps(num_windows: int, recipe: Recipe) -> int:
    """Return the optimizer steps of a pass over the windows."""
    return math.ceil(num_windows / recipe.batch_size)


def learning_rate(step: int, total: int, recipe: Recipe) -> float:
    """Return the learning rate of a step, counted from 1: linear warm-up, then linear decay.

    The peak is reached at the last step of the warm-up; the step after the last would have 0.
    """
    warmup = recipe.warmup_steps * (total if recipe.warmup_steps < 1 else 1)
    if step < warmup:
        return recipe.learning_rate * step / warmup
    return recipe.learning_rate * (total + 1 - step) / (total + 1 - warmup)


def make_optimizer(model: nn.Module, recipe: Recipe) -> AdamW:
    """Return AdamW over the model's parameters; only matrices decay, not biases and norms."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(
        groups,
        lr=recipe.learning_rate,
        betas=(recipe.beta_1, recipe.beta_2),
        eps=recipe.adam_epsilon,
        fused=True,
    )


class _Logbook:
    """Reports on a run, scores it and saves it, each when it is due, and keeps its time.

    Other processes than the main one only watch whether the loss stays finite.
    """

    def __init__(
        self,
        state: State,
        checkpoint: Checkpoint,
        settings: TrainingSettings,
        reporter: Reporter,
        *,
        total: int,
        evaluate: Callable[[], Mapping[str, float]] | None,
        best: BestWeights | None,
        is_main: bool,
    ) -> None:
        self._state = state
        self._checkpoint = checkpoint
        self._settings = settings
        self._reporter = reporter
        self._total = total
        self._evaluate = evaluate
        self._best = best
        self._is_main = is_main
        self._losses: list[Tensor] = []
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Of training so far, without scoring."""
        return time.perf_counter() - self._start

    def begin(self, epoch_steps: int) -> int:
        """Go on from the checkpoint, if there is one; return the steps done."""
        progress = self._checkpoint.load(self._state) or Progress()
        device = self._state.model.get_parameter("qa_outputs.bias").device
        self._losses = [torch.tensor(loss, device=device) for loss in progress.losses]
        if self._is_main:
            self._reporter.begin(progress.step, self._total, epoch_steps)
        self._start = time.perf_counter() - progress.seconds
        return progress.step

    def note(self, step: int, loss: Tensor, rate: float) -> None:
        """Do what is due after a step with this loss and learning rate."""
        last = step == self._total
        self._losses.append(loss)
        if last or _due(step, self._settings.log_every):
            values = {"loss": _finite_mean(self._losses, step, rate), "learning_rate": rate}
            self._losses.clear()
            if self._is_main:
                self._reporter.report(step, values, seconds=self.seconds)
        if not self._is_main:
            return
        scored = self._best is not None if last else _due(step, self._settings.evaluate_every)
        if self._evaluate and scored:
            self._score(step, self._evaluate)
        if not last and _due(step, self._settings.checkpoint_every):
            losses = tuple(loss.item() for loss in self._losses)
            self._checkpoint.save(
                self._state, Progress(step=step, seconds=self.seconds, losses=losses)
            )

    def _score(self, step: int, evaluate: Callable[[], Mapping[str, float]]) -> None:
        paused = time.perf_counter()
        scores = evaluate()
        if self._best:
            self._best.offer(self._state.model, scores)
        self._reporter.report(step, scores, seconds=paused - self._start)
        self._state.model.train()
        self._start += time.perf_counter() - paused


def _loss(
    student: nn.Module,
    lesson: Lesson,
    windows: NDArray[np.int64],
    recipe: Recipe,
    device: Device,
    *,
    pad_token_id: int,
) -> Tensor:
    """Return the student's mean loss on the windows with these indices, a float32 scalar."""
    batch = pad(lesson.features, windows, pad_token_id=pad_token_id, multiple=LENGTH_STEP)
    inputs = model_inputs(batch, device)
    teacher = None
    if lesson.teacher_logits is not None:
        padded = np.zeros((*batch.input_ids.shape, 2), np.float32)
        padded[batch.attention_mask.astype(bool)] = lesson.teacher_logits.values[batch.source]
        teacher = device.tensor(padded)
    with device.autocast():
        answer = student(**inputs)
        inside = lesson.live.loss(inputs) if lesson.live else 0.0
    return inside + span_loss(
        torch.stack([answer.start_logits, answer.end_logits], dim=-1).float(),
        device.tensor(np.stack([batch.start_positions, batch.end_positions], axis=1)),
        inputs["attention_mask"].bool(),
        teacher=teacher,
        alpha_ce=recipe.alpha_ce,
        temperature=recipe.temperature,
    )


def _dropout_seed(seed: int, step: int, process: int) -> int:
    """Return a number of its own for each step and process: nothing has to be saved to go on."""
    return int(np.random.SeedSequence((seed, step, process)).generate_state(1, np.uint64)[0])


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _finite_mean(losses: list[Tensor], step: int, rate: float) -> float:
    mean = torch.stack(losses).mean().item()
    if not math.isfinite(mean):
        raise DivergedError(
            f"the loss must stay finite, but by step {step} it was {mean} "
            f"(learning rate {rate:.2g})"
        )
    return mean
