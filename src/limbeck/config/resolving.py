"""What a study file leaves to the teacher and the questions, filled in."""

import math
from collections.abc import Mapping
from dataclasses import replace

from limbeck.config.reading import StudyConfig, split_layer
from limbeck.config.tables import OVERALL_SCORES, IntegerSettings, MetricSettings
from limbeck.errors import ConfigError


def needs_questions(config: StudyConfig) -> bool:
    """Whether `with_thresholds` has something to fill in."""
    return any(metric.threshold == "auto" for metric in config.file.metrics.values())


def with_teacher(config: StudyConfig, largest: Mapping[str, int]) -> StudyConfig:
    """Return the configuration with the largest values that are left to the teacher.

    Args:
        config: The study file.
        largest: The teacher's `num_layers`, `num_heads` and `ffn_size`.
    """
    space = {
        name: given.model_copy(update={"high": _highest(given, largest[split_layer(name)[0]])})
        if isinstance(given, IntegerSettings) and given.high is None
        else given
        for name, given in config.file.space.items()
    }
    return replace(config, file=config.file.model_copy(update={"space": space}))


def with_thresholds(config: StudyConfig, *, unanswerable: int, questions: int) -> StudyConfig:
    """Return the configuration with ``threshold = "auto"`` settled.

    That is what answering nothing scores, plus two standard errors of such a score, rounded up to
    a tenth: a student below it cannot be told from one that answers nothing.

    Args:
        config: The study file.
        unanswerable: Dev questions without an answer.
        questions: All dev questions.

    Raises:
        ConfigError: If a metric asks for it that is no score over all questions.
    """
    share = unanswerable / questions
    threshold = 100 * (share + 2 * math.sqrt(share * (1 - share) / questions))
    metrics = dict(config.file.metrics)
    for name, metric in config.file.metrics.items():
        if metric.threshold == "auto":
            metrics[name] = _settled(name, metric, math.ceil(10 * threshold) / 10)
    return replace(config, file=config.file.model_copy(update={"metrics": metrics}))


def _settled(name: str, metric: MetricSettings, threshold: float) -> MetricSettings:
    if name not in OVERALL_SCORES:
        raise ConfigError(
            f'metrics.{name}: threshold = "auto" needs one of {", ".join(OVERALL_SCORES)}; '
            "give a number"
        )
    return metric.at(threshold)


def _highest(given: IntegerSettings, largest: int) -> int:
    """Return the largest value of the grid that does not exceed ``largest``."""
    return given.low + (largest - given.low) // given.step * given.step
