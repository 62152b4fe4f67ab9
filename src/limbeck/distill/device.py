"""Where and in which precision models compute."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.config import TrainingSettings
from limbeck.errors import ConfigError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """A device and the type it multiplies matrices in.

    Attributes:
        torch_device: The device; "cuda" is the GPU that is torch's current one.
        dtype: bfloat16, float16 or float32; weights, losses and optimizer states are float32 in
            all.
    """

    torch_device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, settings: TrainingSettings) -> "Device":
        """Return the device that the study file asks for; "auto" is the fastest that is there.

        Raises:
            ConfigError: If this machine does not have it.
        """
        available = {
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available(),
            "cpu": True,
        }
        name = settings.device
        if name == "auto":
            name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
        if not available[name]:
            raise ConfigError(
                f"training.device must be a device of this machine, but got {name!r}; "
                f"it has {', '.join(kind for kind, there in available.items() if there)}"
            )
        device = torch.device(name)
        precision = settings.precision
        if precision == "auto":
            precision = "bf16" if _computes_in_bf16(device) else "fp32"
        return cls(device, _DTYPES[precision])

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context in which matrix products are computed in `dtype`."""
        return torch.autocast(
            self.torch_device.type, dtype=self.dtype, enabled=self.dtype is not torch.float32
        )

    def scaler(self) -> torch.amp.GradScaler:
        """Return what keeps gradients within the range of float16; without effect for others."""
        return torch.amp.GradScaler(self.torch_device.type, enabled=self.dtype is torch.float16)

    def seed(self, seed: int) -> None:
        """Seed the random numbers of layers that compute here."""
        # Not torch.manual_seed: it takes 300 times as long, and seeds all GPUs.
        torch.default_generator.manual_seed(seed)
        if self.torch_device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.torch_device.type == "mps":
            torch.mps.manual_seed(seed)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Return an array's numbers on the device; a GPU goes on computing meanwhile."""
        tensor = torch.from_numpy(array)
        if self.torch_device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.torch_device, non_blocking=True)

    @property
    def name(self) -> str:
        """For people: ``cpu, bfloat16``."""
        return f"{self.torch_device.type}, {str(self.dtype).removeprefix('torch.')}"


def _computes_in_bf16(device: torch.device) -> bool:
    supported: bool = False
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        supported = torch.cpu._is_avx512_bf16_supported()
    return supported
