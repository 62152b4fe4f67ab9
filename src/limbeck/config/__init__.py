"""The study file: TOML, read once, checked whole, typed and trusted after.

Errors name the key, the rule and the nearest valid name.
"""

from limbeck.config.reading import StudyConfig, load_config, parse_config
from limbeck.config.tables import (
    MEASURED,
    SEARCHABLE,
    DataSettings,
    OptimizerSettings,
    Recipe,
    StudentSettings,
    StudyFile,
    TeacherRecipe,
    TrainingSettings,
)

__all__ = [
    "MEASURED",
    "SEARCHABLE",
    "DataSettings",
    "OptimizerSettings",
    "Recipe",
    "StudentSettings",
    "StudyConfig",
    "StudyFile",
    "TeacherRecipe",
    "TrainingSettings",
    "load_config",
    "parse_config",
]
