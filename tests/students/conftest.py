"""A small teacher whose every weight counts."""

import pytest

from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from tests.students.tiny import filled


@pytest.fixture
def teacher() -> SlimBertForQuestionAnswering:
    """Four layers of 4 heads and 24 neurons, no weight 0 or 1."""
    config = SlimBertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=20,
    )
    config.name_or_path = "the-teacher"
    return filled(config, seed=0)
