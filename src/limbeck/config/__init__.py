"""The study file: TOML, read once, checked whole, typed and trusted after.

Errors name the key, the rule and the nearest valid name.
"""

from limbeck.config.measured import MEASURED, OVERALL_SCORES
from limbeck.config.presets import PRESETS, preset_summary, preset_text, with_preset
from limbeck.config.reading import (
    DISTILLING,
    StudyConfig,
    load_config,
    parse_config,
    split_layer,
)
from limbeck.config.resolving import (
    needs_questions,
    with_raised_thresholds,
    with_teacher,
    with_thresholds,
)
from limbeck.config.tables import (
    SEARCHABLE,
    ArtifactSettings,
    BudgetSettings,
    DataSettings,
    LatencySettings,
    OptimizerSettings,
    Recipe,
    Runtime,
    StoppingSettings,
    StudentSettings,
    StudyFile,
    TeacherRecipe,
    TrainingSettings,
)
from limbeck.config.varying import vary

__all__ = [
    "DISTILLING",
    "MEASURED",
    "OVERALL_SCORES",
    "PRESETS",
    "SEARCHABLE",
    "ArtifactSettings",
    "BudgetSettings",
    "DataSettings",
    "LatencySettings",
    "OptimizerSettings",
    "Recipe",
    "Runtime",
    "StoppingSettings",
    "StudentSettings",
    "StudyConfig",
    "StudyFile",
    "TeacherRecipe",
    "TrainingSettings",
    "load_config",
    "needs_questions",
    "parse_config",
    "preset_summary",
    "preset_text",
    "split_layer",
    "vary",
    "with_preset",
    "with_raised_thresholds",
    "with_teacher",
    "with_thresholds",
]
