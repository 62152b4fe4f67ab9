"""Measurements that need a process of their own: peak memory, and the time before a first step.

Run as ``_fresh.py WHAT ...``; the last line printed is the number.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

import _setting
import numpy as np
import torch
from torch import nn
from transformers.utils.logging import disable_progress_bar
from typing_extensions import override

from limbeck.config import load_config
from limbeck.distill.batches import bucketed_batches
from limbeck.distill.device import Device
from limbeck.distill.predict import model_inputs
from limbeck.distill.training import Reporter
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import RunState
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features, pad

EPOCHS = 1.0
"""Of the runs whose memory is measured: every batch comes once."""

CHECKPOINT_EVERY = 5
"""Steps, in the runs whose memory is measured: few enough for the shortest to save one."""


class EnoughError(Exception):
    """Ends a run whose first step is done."""


class Listener(Reporter):
    """Hears how training goes, and ends it after the first step if it should."""

    def __init__(self, *, stop: bool) -> None:
        self._stop = stop

    @override
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        """Do nothing."""

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        """End the run if it should.

        Raises:
            EnoughError: If so.
        """
        if self._stop:
            raise EnoughError


def limbeck_megabytes(study: str, home: str, folder: str) -> float:
    """Return the peak memory of a whole run of limbeck's, its caches filled."""
    config = load_config(Path(study))
    training = config.file.training.model_copy(update={"checkpoint_every": CHECKPOINT_EVERY})
    config = replace(config, file=config.file.model_copy(update={"training": training}))
    objective, listener = Objective(config, Home(Path(home))), Listener(stop=False)
    # The run itself starts the system's count of the peak anew, so loading is looked at before.
    objective.prepare(listener)
    loading = _peak_megabytes()
    outcome = objective({"epochs": EPOCHS}, Path(folder), listener)
    assert outcome.state is RunState.FINISHED, outcome.message
    return max(loading, _peak_megabytes())


def plain_megabytes(study: str, features_folder: str, student: str) -> float:
    """Return the peak memory of plain fine-tuning: hard labels, the same batches, a small loop."""
    file = load_config(Path(study)).file
    names = [field.name for field in fields(Features) if field.name != "key"]
    folder = Path(features_folder)
    features = Features(
        key="", **{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    )
    model = SlimBertForQuestionAnswering.from_pretrained(student).train()
    device = Device.choose(file.training)
    optimizer = torch.optim.AdamW(model.parameters(), lr=file.recipe.learning_rate, fused=True)
    for indices in bucketed_batches(
        features.lengths, batch_size=file.recipe.batch_size, seed=file.recipe.seed, epoch=0
    ):
        batch = pad(features, indices, pad_token_id=0)
        with device.autocast():
            loss = model(
                **model_inputs(batch, device),
                start_positions=torch.from_numpy(batch.start_positions),
                end_positions=torch.from_numpy(batch.end_positions),
            ).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), file.recipe.gradient_clip)
        optimizer.step()
        optimizer.zero_grad()
    return _peak_megabytes()


def seconds_to_first_step(study: str, home: str, folder: str) -> float:
    """Return the seconds from parameters to a first step taken, torch and limbeck imported."""
    start = time.perf_counter()
    objective = _setting.make_objective(Path(study), Path(home))
    try:
        objective({}, Path(folder), Listener(stop=True))
    except EnoughError:
        return time.perf_counter() - start
    raise AssertionError("the run must get to its first step")


def _peak_megabytes() -> float:
    # Not ru_maxrss: a process inherits it from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]
    return int(kilobytes) * 1024 / 1e6


MEASUREMENTS: Mapping[str, Callable[..., float]] = {
    "limbeck_megabytes": limbeck_megabytes,
    "plain_megabytes": plain_megabytes,
    "seconds_to_first_step": seconds_to_first_step,
}

if __name__ == "__main__":
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
    print(MEASUREMENTS[sys.argv[1]](*sys.argv[2:]))
