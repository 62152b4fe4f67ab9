"""What a run takes of the machine that makes it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from limbeck.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a cluster sets aside for a run.

    Attributes:
        cpus: Processor cores.
        gpus: GPUs, a whole number of them or a fraction of one.
        others: By name, what the cluster was told that its nodes have.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def processes(self) -> int:
        """How many processes train a run: one for each GPU."""
        return max(1, int(self.gpus))

    @property
    def threads(self) -> int:
        """That torch computes with in each of them."""
        return max(1, int(self.cpus) // self.processes)

    @override
    def __str__(self) -> str:
        """For people: ``CPU=1, GPU=0.5``."""
        amounts = {"CPU": self.cpus, "GPU": self.gpus, **self.others}
        return ", ".join(f"{name}={amount:g}" for name, amount in amounts.items() if amount)


def parse_resources(texts: Sequence[str]) -> Resources:
    """Read ``NAME=AMOUNT`` arguments, several of them in one separated by commas.

    Raises:
        ConfigError: If one is none, comes twice, or its amount is not one of that resource.
    """
    amounts: dict[str, float] = {}
    for text in [part.strip() for each in texts for part in each.split(",")]:
        name, equals, amount = text.partition("=")
        if not (name and equals):
            raise ConfigError(f"--resources must be NAME=AMOUNT, but got {text!r}")
        name = name.upper() if name.upper() in ("CPU", "GPU") else name
        if name in amounts:
            raise ConfigError(f"--resources must name a resource once, but got {name!r} twice")
        amounts[name] = _amount(text, name, amount)
    gpus = amounts.pop("GPU", 0.0)
    return Resources(cpus=amounts.pop("CPU", 1.0), gpus=gpus, others=amounts)


def _amount(text: str, name: str, amount: str) -> float:
    try:
        value = float(amount)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf):
        raise ConfigError(f"--resources must be positive amounts, but got {text!r}")
    if value > 1 and not value.is_integer():
        raise ConfigError(
            f"--resources {name} must be a fraction below 1 or a whole number, but got {text!r}"
        )
    return value
