from dataclasses import asdict

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from limbeck.measure import latency
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering


class Recorder(nn.Module):
    """Notes how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.calls: list[tuple[tuple[int, ...], bool]] = []

    @override
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        assert attention_mask.shape == input_ids.shape
        assert bool(attention_mask.all())
        assert not torch.is_grad_enabled()
        self.calls.append((tuple(input_ids.shape), self.training))
        return self.weight


def test_every_pass_has_full_windows_and_no_dropout() -> None:
    recorder = Recorder()
    latency(recorder, length=7, batch=3, warmup=2, repeats=4)
    assert recorder.calls == [((3, 7), False)] * 6


def test_conditions_stand_beside_the_numbers() -> None:
    measured = latency(Recorder(), length=7, batch=3, warmup=2, repeats=4)
    conditions = asdict(measured)
    times = conditions.pop("p50_ms"), conditions.pop("p90_ms")
    assert conditions == {
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "batch": 3,
        "length": 7,
        "warmup": 2,
        "repeats": 4,
    }
    assert 0 < times[0] <= times[1]


@pytest.mark.parametrize("types", [0, 2])
def test_students_with_and_without_token_types_can_be_measured(types: int) -> None:
    config = SlimBertConfig(
        vocab_size=40,
        hidden_size=32,
        head_dim=8,
        heads_per_layer=[2, 0],
        ffn_per_layer=[8, 8],
        max_position_embeddings=16,
        type_vocab_size=types,
    )
    student = SlimBertForQuestionAnswering(config)
    assert latency(student, length=16, warmup=1, repeats=2).length == 16
