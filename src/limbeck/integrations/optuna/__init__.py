"""Limbeck's search in Optuna's studies, and studies from and to Optuna."""

from limbeck.integrations.optuna.exporting import Exported, export_study
from limbeck.integrations.optuna.importing import (
    Imported,
    Skipped,
    add_trials,
    import_study,
    load_optuna_study,
)
from limbeck.integrations.optuna.sampler import LimbeckSampler
from limbeck.integrations.optuna.storages import open_storage

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
]
