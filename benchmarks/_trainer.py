"""The same distillation with a plain Hugging Face Trainer: dynamic padding and a live teacher.

Its defaults stand: float32, random batches, fused AdamW, linear decay, gradients clipped at 1.0. No
evaluation and no checkpoint on the way. The loss is limbeck's.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from typing_extensions import override

from limbeck.config import Recipe
from limbeck.distill.losses import span_loss
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features, pad


def distil(
    student: SlimBertForQuestionAnswering,
    teacher: SlimBertForQuestionAnswering,
    features: Features,
    recipe: Recipe,
    *,
    folder: Path,
    after_step: Callable[[int], None],
) -> None:
    """Distil ``student`` in place.

    Args:
        student: Without dropout.
        teacher: Asked at every step.
        features: What is learned from.
        recipe: Hyperparameters.
        folder: Where the Trainer may write.
        after_step: Called with every step done.
    """
    arguments = TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        per_device_train_batch_size=recipe.batch_size,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.beta_1,
        adam_beta2=recipe.beta_2,
        adam_epsilon=recipe.adam_epsilon,
        max_grad_norm=recipe.gradient_clip,
        seed=recipe.seed,
        bf16=False,
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    trainer = DistillationTrainer(
        model=student,
        args=arguments,
        train_dataset=Windows(len(features)),
        data_collator=Collator(features),
        callbacks=[AfterStep(after_step)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.teacher, trainer.recipe = teacher.train(mode=False), recipe
    trainer.train()


class DistillationTrainer(Trainer):
    """A Trainer with limbeck's loss."""

    teacher: SlimBertForQuestionAnswering
    recipe: Recipe

    @override
    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], *args: object, **kwargs: object
    ) -> Tensor:
        """Return the loss of a batch, for which the teacher is asked."""
        positions = inputs.pop("positions")
        answer = model(**inputs)
        with torch.no_grad():
            wanted = self.teacher(**inputs)
        return span_loss(
            torch.stack([answer.start_logits, answer.end_logits], dim=-1),
            positions,
            inputs["attention_mask"].bool(),
            teacher=torch.stack([wanted.start_logits, wanted.end_logits], dim=-1),
            alpha_ce=self.recipe.alpha_ce,
            temperature=self.recipe.temperature,
        )


class Windows(Dataset[int]):
    """The indices of ``count`` windows."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        """Return the number of windows."""
        return self.count

    @override
    def __getitem__(self, index: int) -> int:
        """Return a window's index."""
        return index


class Collator:
    """Pads windows to the longest of their batch."""

    def __init__(self, features: Features) -> None:
        self.features = features

    def __call__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Return a batch of windows."""
        batch = pad(self.features, indices, pad_token_id=0)
        starts, ends = (
            torch.from_numpy(batch.start_positions),
            torch.from_numpy(batch.end_positions),
        )
        return {
            "input_ids": torch.from_numpy(batch.input_ids),
            "attention_mask": torch.from_numpy(batch.attention_mask),
            "token_type_ids": torch.from_numpy(batch.token_type_ids),
            "positions": torch.stack([starts, ends], dim=1),
        }


class AfterStep(TrainerCallback):
    """Calls a function after every step."""

    def __init__(self, call: Callable[[int], None]) -> None:
        self.call = call

    @override
    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Pass the number of the step on."""
        self.call(state.global_step)
