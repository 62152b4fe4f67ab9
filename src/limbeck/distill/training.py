"""The training loop, read top to bottom: one for students and for teachers."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW

from limbeck.config import Recipe, TrainingSettings
from limbeck.distill.batches import batches_from
from limbeck.distill.checkpoint import Progress, load_checkpoint, save_checkpoint
from limbeck.distill.device import Device
from limbeck.distill.losses import span_loss
from limbeck.distill.predict import model_inputs
from limbeck.errors import DivergedError
from limbeck.students.loading import fingerprint
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features, pad


class Reporter(Protocol):
    """Hears how training goes."""

    def begin(self, step: int, total_steps: int) -> None:
        """Training starts after ``step`` steps (more than 0 when it goes on from a checkpoint)."""

    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        """After ``step`` steps and ``seconds`` of training, metrics had these values."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is learned from.

    Attributes:
        features: The training windows.
        teacher_logits: A ``total x 2`` array aligned with their tokens; None for hard labels only.
    """

    features: Features
    teacher_logits: NDArray[np.float16] | None = None

    @property
    def digest(self) -> str:
        """Hash of all that is learned from."""
        digest = hashlib.sha256(self.features.key.encode())
        if self.teacher_logits is not None:
            digest.update(self.teacher_logits.tobytes())
        return digest.hexdigest()


def train(
    model: SlimBertForQuestionAnswering,
    lesson: Lesson,
    recipe: Recipe,
    settings: TrainingSettings,
    *,
    checkpoint: Path,
    reporter: Reporter,
    evaluate: Callable[[SlimBertForQuestionAnswering], Mapping[str, float]] | None = None,
) -> float:
    """Train ``model`` in place, from its last checkpoint if there is one; return the seconds spent.

    AdamW with weight decay on matrices only, linear warm-up then linear decay to 0, gradients
    clipped by norm. Batches depend on the seed alone. The weights after the last step are the
    result. Dropout draws from a random stream of its own, seeded by the recipe; the caller's
    random state is what it was. On a CPU, a run continued from a checkpoint ends bit-equal to one
    that was never interrupted.

    Args:
        model: Answers ``start_logits`` and ``end_logits``.
        lesson: Windows and teacher logits.
        recipe: Hyperparameters.
        settings: Device, precision, and how often to report, evaluate and save.
        checkpoint: File to save to and to go on from.
        reporter: Hears loss and learning rate, and what ``evaluate`` returns.
        evaluate: Scores the model on the way; its time is not training time.

    Raises:
        DataError: If the checkpoint is damaged.
        DivergedError: If the loss is no longer finite.
    """
    device = Device.choose(settings)
    model.to(device.torch_device)  # type: ignore[arg-type]  # transformers' wrapper
    total = num_steps(len(lesson.features), recipe)
    optimizer = make_optimizer(model, recipe)
    made_from = (fingerprint(model), recipe, lesson.digest, device.name, total)
    identity = hashlib.sha256(repr(made_from).encode()).hexdigest()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(recipe.seed)
        progress = load_checkpoint(checkpoint, model, optimizer, identity=identity)
        progress = progress or Progress(step=0, seconds=0.0, losses=())
        reporter.begin(progress.step, total)
        clock = time.perf_counter() - progress.seconds
        losses = [torch.tensor(loss, device=device.torch_device) for loss in progress.losses]
        model.train()
        batches = batches_from(
            lesson.features.lengths,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            start=progress.step,
        )
        for step, indices in zip(range(progress.step + 1, total + 1), batches, strict=False):
            # 1. A batch of windows that are alike in length.
            inputs, positions, teacher = _batch(
                lesson, indices, device, pad_token_id=model.config.pad_token_id or 0
            )
            # 2. Loss and gradient.
            with device.autocast():
                answer = model(**inputs)
            loss = span_loss(
                torch.stack([answer.start_logits, answer.end_logits], dim=-1).float(),
                positions,
                inputs["attention_mask"].bool(),
                teacher=teacher,
                alpha_ce=recipe.alpha_ce,
                temperature=recipe.temperature,
            )
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
            # 3. One step of AdamW.
            rate = learning_rate(step, total, recipe)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
            # 4. Report, evaluate, save.
            last = step == total
            if last or step % settings.log_every == 0:
                values = {"loss": _finite_mean(losses, step, rate), "learning_rate": rate}
                losses.clear()
                reporter.report(step, values, seconds=time.perf_counter() - clock)
            if not last and evaluate and _due(step, settings.evaluate_every):
                paused = time.perf_counter()
                reporter.report(step, evaluate(model), seconds=paused - clock)
                model.train()
                clock += time.perf_counter() - paused
            if not last and _due(step, settings.checkpoint_every):
                progress = Progress(
                    step=step,
                    seconds=time.perf_counter() - clock,
                    losses=tuple(loss.item() for loss in losses),
                )
                save_checkpoint(checkpoint, model, optimizer, progress=progress, identity=identity)
    return time.perf_counter() - clock


def num_steps(num_windows: int, recipe: Recipe) -> int:
    """Return the optimizer steps of a whole run."""
    return max(1, math.ceil(recipe.epochs * math.ceil(num_windows / recipe.batch_size)))


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


def _batch(
    lesson: Lesson, indices: NDArray[np.int64], device: Device, *, pad_token_id: int
) -> tuple[dict[str, Tensor], Tensor, Tensor | None]:
    """Return model inputs, ``b x 2`` labels and ``b x L x 2`` teacher logits of some windows."""
    batch = pad(lesson.features, indices, pad_token_id=pad_token_id)
    positions = np.stack([batch.start_positions, batch.end_positions], axis=1)
    teacher = None
    if lesson.teacher_logits is not None:
        padded = np.zeros((*batch.input_ids.shape, 2), np.float32)
        padded[batch.attention_mask.astype(bool)] = lesson.teacher_logits[batch.source]
        teacher = torch.from_numpy(padded).to(device.torch_device)
    labels = torch.from_numpy(positions).to(device.torch_device)
    return model_inputs(batch, device), labels, teacher


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
