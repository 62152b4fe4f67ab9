"""The baseline with other values."""

from pathlib import Path

import pytest

from limbeck.config import StudyConfig, parse_config, vary
from limbeck.errors import ConfigError
from tests.tiny import merged, tiny_study

BASELINE = {"num_layers": 1, "learning_rate": 0.01}
DEEP = {"num_layers": {"at_least": 2}}


def config(**space: object) -> StudyConfig:
    table = merged(tiny_study(), {"space": space})
    return parse_config(table, folder=Path(), name="study")


def test_what_becomes_active_is_as_the_study_file_has_it() -> None:
    dropout = {"type": "float", "low": 0.0, "high": 0.5, "when": DEEP}
    varied = vary(config(dropout=dropout), BASELINE, {"num_layers": 3})
    assert varied == {"num_layers": 3, "learning_rate": 0.01, "dropout": 0.1}
    assert vary(config(dropout=dropout), varied, {"num_layers": 1}) == BASELINE


def test_what_becomes_active_and_has_no_value_must_be_given() -> None:
    rank = {"type": "integer", "low": 4, "high": 16, "when": DEEP}
    with pytest.raises(
        ConfigError, match=r"embedding_rank must be given too, .*--set embedding_ra"
    ):
        vary(config(embedding_rank=rank), BASELINE, {"num_layers": 2})
    given = {"num_layers": 2, "embedding_rank": 8}
    assert vary(config(embedding_rank=rank), BASELINE, given) == {**BASELINE, **given}


def test_values_get_the_type_of_their_parameter() -> None:
    varied = vary(config(), BASELINE, {"learning_rate": 0.05, "num_layers": 2, "epochs": 1})
    assert varied == {"num_layers": 2, "learning_rate": 0.05, "epochs": 1}
    assert isinstance(varied["num_layers"], int)
