"""Several processes, each with a GPU of its own, that train one student together."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from limbeck.distill.device import Device

_PATIENCE = timedelta(days=1)
"""How long processes wait for each other: the main one may have much to do alone."""


@dataclass(frozen=True)
class Processes:
    """This process and those it trains with; by itself, it is one of one.

    Attributes:
        count: How many there are.
        index: Of this one, from 0.
    """

    count: int = 1
    index: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the one that reports, evaluates and saves."""
        return self.index == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model as it has to be called, so that gradients become their mean over all.

        Args:
            model: On its device, with the same weights in all processes; keeps its parameters.
        """
        if self.count == 1:
            return model
        for parameter in model.parameters():
            if parameter.numel() == 0:
                # A layer without heads has some; their gradients would be waited for in vain.
                parameter.requires_grad = False
        return DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over all processes; the same in each."""
        if self.count == 1:
            return value
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total / self.count

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.count > 1:
            PartialState().wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process do first what the others may then find in a cache."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()


def join(device: Device) -> Processes:
    """Return the processes that a launcher started together, or this one alone.

    `accelerate launch`, `torchrun` and `limbeck.execute.team` start several; torch's current GPU
    becomes the one of this process. Where there is no launcher, nothing is initialized. Calling
    again is harmless.

    Args:
        device: Where all of them compute.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    state = PartialState(cpu=device.torch_device.type == "cpu", timeout=_PATIENCE)
    return Processes(count=state.num_processes, index=state.process_index)


def is_main() -> bool:
    """Whether no launcher started this process only to help another one; joins nobody."""
    return os.environ.get("RANK", "0") == "0"


def apart(model: nn.Module, *, until_last: bool) -> AbstractContextManager[None]:
    """Return a context in which a wrapped model keeps its gradients to itself, if asked to.

    Args:
        model: What `Processes.wrap` returned.
        until_last: Whether more gradients are to be added before they are shared.
    """
    if until_last and isinstance(model, DistributedDataParallel):
        context: AbstractContextManager[None] = model.no_sync()
        return context
    return nullcontext()
