"""Thresholds on scores, and what answering nothing scores on the questions of a study."""

import warnings
from collections.abc import Sequence

from limbeck.config import (
    OVERALL_SCORES,
    StudyConfig,
    needs_questions,
    with_raised_thresholds,
    with_thresholds,
)
from limbeck.errors import LimbeckWarning
from limbeck.metrics import Metric, Role
from limbeck.questions import Questions


def settle_thresholds(config: StudyConfig, questions: Questions) -> StudyConfig:
    """Return the configuration with ``threshold = "auto"`` settled.

    Args:
        config: The study file.
        questions: Read only if some threshold depends on them.

    Raises:
        ConfigError: If a metric asks for it that is no score over all questions.
        DataError: If the questions are broken.
    """
    if not needs_questions(config):
        return config
    unanswerable, count = _count(questions)
    return with_thresholds(config, unanswerable=unanswerable, questions=count)


def warn_of_low_thresholds(config: StudyConfig, questions: Questions) -> None:
    """Warn where answering nothing would be within a threshold on an overall score.

    Args:
        config: The study file, its thresholds settled.
        questions: Those that score.

    Raises:
        DataError: If the questions are broken.
    """
    unanswerable, count = _count(questions)
    nothing = 100 * unanswerable / count
    for metric in config.metrics:
        overall = metric.name in OVERALL_SCORES and metric.role is not Role.STORE
        if not (overall and unanswerable):
            continue
        if metric.threshold is None or metric.threshold <= nothing:
            warnings.warn(
                f"metrics.{metric.name}: answering nothing scores {nothing:.2f} on these questions;"
                f' set threshold = "auto", or above it (it is {metric.threshold})',
                LimbeckWarning,
                stacklevel=2,
            )


def raise_thresholds(metrics: Sequence[Metric], questions: Questions) -> tuple[Metric, ...]:
    """Return a study's metrics for judging its runs on other questions.

    Args:
        metrics: Those of the study.
        questions: With the other questions as those that score.

    Raises:
        DataError: If the questions are broken.
    """
    unanswerable, count = _count(questions)
    return with_raised_thresholds(metrics, unanswerable=unanswerable, questions=count)


def _count(questions: Questions) -> tuple[int, int]:
    """Return how many of the questions that score have no answer, and how many there are."""
    scored = questions.scored.questions
    return sum(not question.answerable for question in scored), len(scored)
