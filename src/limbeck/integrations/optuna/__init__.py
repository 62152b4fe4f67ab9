"""Limbeck's search in Optuna's studies, and studies from and to Optuna."""

import importlib
from typing import TYPE_CHECKING

from limbeck.integrations.optuna.exporting import Exported, export_study
from limbeck.integrations.optuna.importing import (
    Imported,
    Skipped,
    add_trials,
    import_study,
    load_optuna_study,
)
from limbeck.integrations.optuna.storages import open_storage, shown_url

if TYPE_CHECKING:
    from limbeck.integrations.optuna.sampler import LimbeckSampler
else:

    def __getattr__(name: str) -> object:
        """Load the sampler, and with it torch, when it is first asked for."""
        if name == "LimbeckSampler":
            return importlib.import_module("limbeck.integrations.optuna.sampler").LimbeckSampler
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Exported",
    "Imported",
    "LimbeckSampler",
    "Skipped",
    "add_trials",
    "export_study",
    "import_study",
    "load_optuna_study",
    "open_storage",
    "shown_url",
]
