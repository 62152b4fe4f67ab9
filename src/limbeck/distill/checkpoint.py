"""A training run on disk: enough to go on as if it had never stopped. Safetensors, no pickle."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.amp import GradScaler
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

    step: int = 0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class State:
    """What training changes.

    Attributes:
        model: Its parameters' names are keys of the file.
        optimizer: Over the model's parameters.
        scaler: Of the gradients.
    """

    model: nn.Module
    optimizer: AdamW
    scaler: GradScaler


@dataclass(frozen=True)
class Checkpoint:
    """A file from which training can go on.

    Attributes:
        path: Of the file, there or not.
        identity: What the run is made from; a file made from something else is left alone.
    """

    path: Path
    identity: str

    def save(self, state: State, progress: Progress) -> None:
        """Replace the file, whole or not at all."""
        tensors = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
        for name, parameter in state.model.named_parameters():
            for key, tensor in state.optimizer.state[parameter].items():
                tensors[f"optimizer/{name}/{key}"] = tensor
        metadata = {
            "identity": self.identity,
            "scaler": json.dumps(state.scaler.state_dict()),
            "step": str(progress.step),
            "seconds": repr(progress.seconds),
            "losses": json.dumps(progress.losses),
        }
        _write(self.path, tensors, metadata)

    def load(self, state: State) -> Progress | None:
        """Put the state back as it was; None if there is no checkpoint of this run.

        Raises:
            DataError: If the file is damaged.
        """
        found = _read(self.path, self.identity)
        if found is None:
            return None
        metadata, tensors = found
        state.model.load_state_dict(_under("model/", tensors))
        for name, parameter in state.model.named_parameters():
            state.optimizer.state[parameter] = {
                key: tensor.to(parameter.device)
                for key, tensor in _under(f"optimizer/{name}/", tensors).items()
            }
        state.scaler.load_state_dict(json.loads(metadata["scaler"]))
        return Progress(
            step=int(metadata["step"]),
            seconds=float(metadata["seconds"]),
            losses=tuple(json.loads(metadata["losses"])),
        )


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint, and the best weights beside it, if they are there."""
    path.unlink(missing_ok=True)
    _best_path(path).unlink(missing_ok=True)


class BestWeights:
    """The weights that scored highest in a run so far, in a file beside its checkpoint.

    What an interrupted run left there counts, even if it was made after the checkpoint.

    Args:
        checkpoint: The run's, there or not.
        score: Name of the score that decides; larger is better, and the earliest of equals stays.

    Raises:
        DataError: If the file is damaged.
    """

    def __init__(self, checkpoint: Checkpoint, *, score: str) -> None:
        self._path = _best_path(checkpoint.path)
        self._identity = f"{checkpoint.identity} {score}"
        self._name = score
        found = _read(self._path, self._identity)
        self._score = float(found[0]["score"]) if found else -math.inf

    def offer(self, model: nn.Module, scores: Mapping[str, float]) -> None:
        """Keep the model's weights if they score higher than all before them."""
        score = scores[self._name]
        if score > self._score:
            metadata = {"identity": self._identity, "score": repr(score)}
            _write(self._path, model.state_dict(), metadata)
            self._score = score

    def restore(self, model: nn.Module) -> None:
        """Put the best weights into the model.

        Raises:
            DataError: If the file is damaged or gone.
        """
        found = _read(self._path, self._identity)
        if found is None:
            raise DataError(f"{self._path}: the best weights must be there; start the run anew")
        model.load_state_dict(found[1])


def _best_path(checkpoint: Path) -> Path:
    return checkpoint.with_name(f"{checkpoint.stem}-best{checkpoint.suffix}")


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    with whole_file(path) as file:
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, file, metadata)


def _read(path: Path, identity: str) -> tuple[dict[str, str], dict[str, Tensor]] | None:
    """Return metadata and tensors; None if there is no file, or one of another identity."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("identity") != identity:
                return None
            return metadata, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise DataError(
            f"{path}: a checkpoint must be whole, but {error}; delete it to start the run anew"
        ) from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }
