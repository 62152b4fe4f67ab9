"""Where and in which precision models compute."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from limbeck.config import TrainingSettings
from limbeck.errors import ConfigError


@dataclass(frozen=True)
class Device:
    """A device and the type it multiplies matrices in.

    Attributes:
        torch_device: The device.
        dtype: bfloat16 or float32; weights, losses and optimizer states are float32 in both.
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
        bf16 = settings.precision == "bf16" or (
            settings.precision == "auto" and _computes_in_bf16(device)
        )
        return cls(device, torch.bfloat16 if bf16 else torch.float32)

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context in which matrix products are computed in `dtype`."""
        return torch.autocast(
            self.torch_device.type, dtype=torch.bfloat16, enabled=self.dtype is torch.bfloat16
        )

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
