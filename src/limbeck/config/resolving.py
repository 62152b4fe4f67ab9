"""What a study file leaves to the teacher and the questions, filled in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from limbeck.config.measured import OVERALL_SCORES
from limbeck.config.reading import StudyConfig, split_layer
from limbeck.config.tables import IntegerSettings, MetricSettings
from limbeck.errors import ConfigError
from limbeck.metrics import Metric


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
    threshold = _above_nothing(unanswerable, questions)
    metrics = dict(config.file.metrics)
    for name, metric in config.file.metrics.items():
        if metric.threshold == "auto":
            metrics[name] = _settled(name, metric, threshold)
    return replace(config, file=config.file.model_copy(update={"metrics": metrics}))


def with_raised_thresholds(
    metrics: Sequence[Metric], *, unanswerable: int, questions: int
) -> tuple[Metric, ...]:
    """Return a study's metrics for judging its runs on other questions, with fewer answers perhaps.

    Thresholds on scores over all questions are raised to what ``"auto"`` would be on them.

    Args:
        metrics: Those of the study.
        unanswerable: Of the other questions, those without an answer.
        questions: How many of them there are.
    """
    lowest = _above_nothing(unanswerable, questions)
    return tuple(
        replace(metric, threshold=max(metric.threshold, lowest))
        if metric.name in OVERALL_SCORES and metric.threshold is not None
        else metric
        for metric in metrics
    )


def _above_nothing(unanswerable: int, questions: int) -> float:
    share = unanswerable / questions
    threshold = 100 * (share + 2 * math.sqrt(share * (1 - share) / questions))
    return math.ceil(10 * threshold) / 10


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
