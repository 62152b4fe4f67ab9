"""A training run on disk: enough to go on as if it had never stopped. Safetensors, no pickle."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW

from limbeck.errors import DataError
from limbeck.files import whole_file


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Optimizer steps done.
        seconds: Training seconds spent on them.
        losses: Of the last of them, those that were not reported yet.
    """

    step: int
    seconds: float
    losses: tuple[float, ...]


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: AdamW, *, progress: Progress, identity: str
) -> None:
    """Write weights, optimizer and random states; the file is replaced whole or not at all.

    Args:
        path: File to replace.
        model: Its parameters' names are keys.
        optimizer: Over the model's parameters.
        progress: How far the run is.
        identity: What the run is made from; `load_checkpoint` wants the same.
    """
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, state in optimizer.state[parameter].items():
            tensors[f"optimizer/{name}/{key}"] = state
    for index, state in enumerate(_random_states(model)):
        tensors[f"random/{index}"] = state
    metadata = {
        "identity": identity,
        "step": str(progress.step),
        "seconds": repr(progress.seconds),
        "losses": json.dumps(progress.losses),
    }
    with whole_file(path) as file:
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, file, metadata)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: AdamW, *, identity: str
) -> Progress | None:
    """Put model, optimizer and random states back; None if there is no checkpoint of this run.

    Args:
        path: File that `save_checkpoint` wrote.
        model: Changed in place.
        optimizer: Changed in place.
        identity: A checkpoint made from something else is left alone.

    Raises:
        DataError: If the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("identity") != identity:
                return None
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise DataError(
            f"{path}: a checkpoint must be whole, but {error}; delete it to start the run anew"
        ) from error
    model.load_state_dict(
        {key.removeprefix("model/"): t for key, t in tensors.items() if key.startswith("model/")}
    )
    for name, parameter in model.named_parameters():
        prefix = f"optimizer/{name}/"
        optimizer.state[parameter] = {
            key.removeprefix(prefix): tensor.to(parameter.device)
            for key, tensor in tensors.items()
            if key.startswith(prefix)
        }
    torch.set_rng_state(tensors["random/0"])
    if "random/1" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/1"])
    return Progress(
        step=int(metadata["step"]),
        seconds=float(metadata["seconds"]),
        losses=tuple(json.loads(metadata["losses"])),
    )


def _random_states(model: nn.Module) -> list[Tensor]:
    states = [torch.get_rng_state()]
    if next(model.parameters()).is_cuda:
        states.append(torch.cuda.get_rng_state())
    return states
