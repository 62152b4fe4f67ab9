"""The recipe of 2020, written the way it was run.

Source: sigopt/sigopt-examples, bert-distillation-multimetric, a_squad_w_distillation.py, and the
script that it comes from, run_squad_w_distillation.py of transformers 2.4.1. Every window padded to
384 tokens, float32, attention as it was before fused kernels, the teacher asked at every step, no
mask on the logits of padding, the loss fetched after every step, and full evaluations on the way.

Left out in its favour: the checkpoint after every 1000 steps (50 of them in a real run, 0.2 in this
one), the features fetched anew from S3 before each evaluation, and its search for answers in plain
Python, for which limbeck's stands here.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from transformers import get_linear_schedule_with_warmup

from limbeck.config import Recipe
from limbeck.distill.evaluation import Exam
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.answers import best_answers
from limbeck.tasks.question_answering.features import Features, pad
from limbeck.tasks.question_answering.scoring import score


def distil(
    student: SlimBertForQuestionAnswering,
    teacher: SlimBertForQuestionAnswering,
    features: Features,
    exam: Exam,
    recipe: Recipe,
    *,
    max_length: int,
    evaluations_after: Callable[[int], int],
    after_step: Callable[[int], None],
) -> tuple[float, int]:
    """Distil ``student`` in place; return seconds and windows of all evaluations.

    Args:
        student: Without dropout.
        teacher: Asked at every step.
        features: What is learned from.
        exam: What is answered in every evaluation.
        recipe: Hyperparameters.
        max_length: Tokens of every window, with padding.
        evaluations_after: How many evaluations are due after a step, counted from 1.
        after_step: Called with every step done.
    """
    for model in (student, teacher):
        model.set_attn_implementation("eager")
    dataset, exam_dataset = (padded(f, max_length) for f in (features, exam.features))
    generator = torch.Generator().manual_seed(recipe.seed)
    sampler = RandomSampler(dataset, generator=generator)
    loader = DataLoader(dataset, batch_size=recipe.batch_size, sampler=sampler)
    total = len(loader) * int(recipe.epochs)
    optimizer, scheduler = _optimizer(student, recipe, total)

    teacher.train(mode=False)
    running_loss, evaluations = 0.0, []
    for epoch in range(int(recipe.epochs)):
        for step, batch in enumerate(loader, start=1 + epoch * len(loader)):
            student.train()
            loss = distillation_loss(student, teacher, batch, recipe)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            running_loss += loss.item()
            nn.utils.clip_grad_norm_(student.parameters(), recipe.gradient_clip)
            optimizer.step()
            scheduler.step()
            student.zero_grad()
            for _ in range(evaluations_after(step)):
                evaluations.append(evaluate(student, exam, exam_dataset, recipe.batch_size))
            after_step(step)
    evaluations.append(evaluate(student, exam, exam_dataset, recipe.batch_size))
    return sum(evaluations), len(evaluations) * len(exam.features)


def evaluate(
    model: SlimBertForQuestionAnswering, exam: Exam, dataset: TensorDataset, batch_size: int
) -> float:
    """Answer and score all questions of an exam; return the seconds that it took."""
    start = time.perf_counter()
    model.train(mode=False)
    rows: list[Tensor] = []
    for input_ids, mask, token_type_ids, *_ in DataLoader(dataset, batch_size=batch_size):
        with torch.no_grad():
            answer = model(input_ids=input_ids, attention_mask=mask, token_type_ids=token_type_ids)
        both = torch.stack([answer.start_logits, answer.end_logits], dim=-1)
        rows.append(both[mask.bool()])
    logits = torch.cat(rows).numpy()
    answers = best_answers(exam.questions, exam.features, logits[:, 0], logits[:, 1], n_best=20)
    score(exam.questions, answers.texts, na_probs=answers.null_odds)
    return time.perf_counter() - start


def distillation_loss(
    student: SlimBertForQuestionAnswering,
    teacher: SlimBertForQuestionAnswering,
    batch: Sequence[Tensor],
    recipe: Recipe,
) -> Tensor:
    """Return the loss of a batch, the softmax running over padding too, as it did.

    Args:
        student: Answers with the mean cross entropy of the labels, ``loss``.
        teacher: Answers without gradient.
        batch: Tokens, mask, token types (``b x L`` each), start and end positions (``b`` each).
        recipe: Weight of the soft targets and temperature.
    """
    input_ids, mask, token_type_ids, start_positions, end_positions = batch
    inputs = {"input_ids": input_ids, "attention_mask": mask, "token_type_ids": token_type_ids}
    answer = student(**inputs, start_positions=start_positions, end_positions=end_positions)
    with torch.no_grad():
        wanted = teacher(**inputs)
    soft = [
        functional.kl_div(
            functional.log_softmax(ours / recipe.temperature, dim=-1),
            functional.softmax(theirs / recipe.temperature, dim=-1),
            reduction="batchmean",
        )
        * recipe.temperature**2
        for ours, theirs in (
            (answer.start_logits, wanted.start_logits),
            (answer.end_logits, wanted.end_logits),
        )
    ]
    loss: Tensor = recipe.alpha_ce * sum(soft) / 2 + (1 - recipe.alpha_ce) * answer.loss
    return loss


def padded(features: Features, length: int) -> TensorDataset:
    """Return every window padded to ``length``: tokens, mask, token types, start and end."""
    batch = pad(features, np.arange(len(features)), pad_token_id=0)
    missing = ((0, 0), (0, length - batch.input_ids.shape[1]))
    arrays = [
        *(
            np.pad(a, missing)
            for a in (batch.input_ids, batch.attention_mask, batch.token_type_ids)
        ),
        batch.start_positions,
        batch.end_positions,
    ]
    return TensorDataset(*(torch.from_numpy(array) for array in arrays))


def _optimizer(model: nn.Module, recipe: Recipe, total: int) -> tuple[AdamW, LambdaLR]:
    plain = [p for n, p in model.named_parameters() if "bias" in n or "LayerNorm.weight" in n]
    decayed = [
        p for n, p in model.named_parameters() if not ("bias" in n or "LayerNorm.weight" in n)
    ]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=recipe.learning_rate, eps=recipe.adam_epsilon)
    warmup = round(recipe.warmup_steps * (total if recipe.warmup_steps < 1 else 1))
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, total)  # type: ignore[no-untyped-call]  # transformers'
    return optimizer, schedule
