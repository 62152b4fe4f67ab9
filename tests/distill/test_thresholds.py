"""Thresholds on scores against what answering nothing scores."""

import warnings
from pathlib import Path

import pytest

from limbeck.config import StudyConfig, load_config
from limbeck.distill.thresholds import settle_thresholds, warn_of_low_thresholds
from limbeck.errors import LimbeckWarning
from limbeck.questions import Questions
from tests.tiny import tiny_questions, write_squad, write_tiny_study


def tiny_config(folder: Path, **overrides: object) -> StudyConfig:
    """Return a study whose 12 dev questions and 4 test questions have no answer to a quarter."""
    config = load_config(write_tiny_study(folder, **overrides))
    write_squad(folder / "test.json", tiny_questions(4, seed=3))
    return config


@pytest.mark.parametrize(
    ("data", "threshold"),
    [
        # 25 % and 2 standard errors of sqrt(3/16 / 12) = 1/8.
        ({}, 50.0),
        # 2 of sqrt(3/16 / 4) = 0.21651, rounded up.
        ({"test": "test.json", "score_on": "test"}, 68.4),
    ],
    ids=["dev", "test"],
)
def test_an_automatic_threshold_is_settled_by_the_questions_that_score(
    tmp_path: Path, data: dict[str, str], threshold: float
) -> None:
    config = tiny_config(tmp_path, metrics={"exact": {"threshold": "auto"}}, data=data)
    settled = settle_thresholds(config, Questions(config))
    assert {m.name: m.threshold for m in settled.metrics}["exact"] == threshold


def test_where_no_threshold_depends_on_them_no_questions_are_read(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    (tmp_path / "dev.json").unlink()
    assert settle_thresholds(config, Questions(config)) == config


@pytest.mark.parametrize("threshold", [25.0, None])
def test_a_threshold_that_answering_nothing_reaches_is_warned_of(
    tmp_path: Path, threshold: float | None
) -> None:
    config = tiny_config(tmp_path, metrics={"exact": {"threshold": threshold}})
    with pytest.warns(LimbeckWarning, match=rf"nothing scores 25\.00 .* \(it is {threshold}\)"):
        warn_of_low_thresholds(config, Questions(config))


def test_a_threshold_above_that_and_a_stored_score_are_not_warned_of(tmp_path: Path) -> None:
    metrics = {"exact": {"threshold": 25.1}, "f1": {"role": "store"}}
    config = tiny_config(tmp_path, metrics=metrics)
    with warnings.catch_warnings(action="error"):
        warn_of_low_thresholds(config, Questions(config))
