"""What a model costs to serve, and how that was measured."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds to answer, as measured; a number without these conditions means nothing.

    Attributes:
        p50_ms: Median, in milliseconds.
        p90_ms: 90th percentile, in milliseconds.
        device: ``cpu``, ``cuda``.
        threads: CPU threads of a forward pass.
        batch: Windows at once.
        length: Tokens a window.
        warmup: Passes before the clock ran.
        repeats: Passes measured.
    """

    p50_ms: float
    p90_ms: float
    device: str
    threads: int
    batch: int
    length: int
    warmup: int
    repeats: int


def latency(
    model: nn.Module, *, length: int, batch: int = 1, warmup: int = 3, repeats: int = 20
) -> Latency:
    """Measure forward passes in float32 on the model's device.

    Args:
        model: Takes ``input_ids`` and ``attention_mask``; put into evaluation mode.
        length: Tokens a window, all of them attended to.
        batch: Windows at once.
        warmup: Passes before the clock runs.
        repeats: Passes measured.
    """
    device = next(model.parameters()).device
    model.eval()
    inputs = {
        "input_ids": torch.ones(batch, length, dtype=torch.long, device=device),
        "attention_mask": torch.ones(batch, length, dtype=torch.long, device=device),
    }
    milliseconds = []
    for _ in range(warmup + repeats):
        start = time.perf_counter()
        with torch.inference_mode():
            model(**inputs)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        milliseconds.append(1000 * (time.perf_counter() - start))
    p50, p90 = np.percentile(milliseconds[warmup:], [50, 90])
    return Latency(
        p50_ms=float(p50),
        p90_ms=float(p90),
        device=device.type,
        threads=torch.get_num_threads(),
        batch=batch,
        length=length,
        warmup=warmup,
        repeats=repeats,
    )
