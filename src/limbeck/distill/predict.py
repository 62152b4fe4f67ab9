"""A model's logits for every window."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.distill.batches import LENGTH_STEP, length_sorted_batches
from limbeck.distill.device import Device
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Batch, Features, pad

TOKENS_PER_BATCH = 16_384
"""Of a forward pass on an accelerator; bounds its memory whatever the window length."""

TOKENS_PER_BATCH_CPU = 4_096
"""Likewise on a CPU, where larger batches leave the cache: a sixth slower, and 200 MB more."""


def predict_logits(
    model: SlimBertForQuestionAnswering, features: Features, *, device: Device
) -> NDArray[np.float32]:
    """Return a ``total x 2`` array of start and end logits, aligned with the features' tokens.

    Args:
        model: Answers ``start_logits`` and ``end_logits``; put into evaluation mode.
        features: The windows.
        device: Where to compute.
    """
    logits = np.empty((len(features.input_ids), 2), np.float32)
    fill_logits(logits, model, features, device=device)
    return logits


def fill_logits(
    logits: NDArray[np.float32] | NDArray[np.float16],
    model: SlimBertForQuestionAnswering,
    features: Features,
    *,
    device: Device,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Do what `predict_logits` does in an array that is there.

    Args:
        logits: A ``total x 2`` array; every value is replaced.
        model: See `predict_logits`.
        features: The windows.
        device: Where to compute.
        progress: Called with windows done and in all.
    """
    model.to(device.torch_device)  # type: ignore[arg-type]  # transformers' wrapper
    model.train(mode=False)
    on_cpu = device.torch_device.type == "cpu"
    tokens = TOKENS_PER_BATCH_CPU if on_cpu else TOKENS_PER_BATCH
    done = 0
    for indices in length_sorted_batches(features.lengths, tokens=tokens):
        batch = pad(
            features,
            indices,
            pad_token_id=model.config.pad_token_id or 0,
            multiple=LENGTH_STEP,
        )
        with torch.inference_mode(), device.autocast():
            answer = model(**model_inputs(batch, device))
        both = torch.stack([answer.start_logits, answer.end_logits], dim=-1).float().cpu().numpy()
        logits[batch.source] = both[batch.attention_mask.astype(bool)]
        done += len(indices)
        if progress:
            progress(done, len(features))


def model_inputs(batch: Batch, device: Device) -> dict[str, Tensor]:
    """Return what a model reads of a batch, on the device: three ``b x L`` tensors."""
    return {
        "input_ids": device.tensor(batch.input_ids),
        "attention_mask": device.tensor(batch.attention_mask),
        "token_type_ids": device.tensor(batch.token_type_ids),
    }
