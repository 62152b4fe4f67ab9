"""Graphs for any batch size and length."""

import logging
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from limbeck.students.graphs import INPUTS, quantize, save_graph
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from tests.export.test_hugging_face import ODD
from tests.students.tiny import IDS, MASK, filled, logits


def run(path: Path, ids: torch.Tensor, mask: torch.Tensor) -> NDArray[np.float32]:
    """Return ``2 x batch x length`` logits of an ONNX graph."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == list(INPUTS)
    assert [each.shape for each in session.get_inputs()] == [["batch", "length"]] * 3
    types = torch.zeros_like(ids)
    values = [tensor.numpy() for tensor in (ids, mask, types)]
    start, end = session.run(["start_logits", "end_logits"], dict(zip(INPUTS, values, strict=True)))
    return np.stack([start, end])


@pytest.mark.parametrize(
    "changes",
    [{}, {"embedding_size": 16, "embedding_rank": 5}, {"type_vocab_size": 0}],
    ids=["odd", "narrow", "typeless"],
)
def test_a_graph_computes_the_same_at_any_size(changes: dict[str, object], tmp_path: Path) -> None:
    model = filled(SlimBertConfig.from_dict({**ODD.to_dict(), **changes}), seed=4)
    save_graph(model, tmp_path / "model.onnx")
    shown = MASK.bool().expand(2, -1, -1).numpy()
    difference = run(tmp_path / "model.onnx", IDS, MASK) - logits(model).numpy()
    assert np.abs(difference[shown]).max() < 1e-4
    single, whole = IDS[:1, :3], torch.ones(1, 3, dtype=torch.long)
    with torch.no_grad():
        expected = model(input_ids=single, attention_mask=whole).start_logits.numpy()
    assert np.abs(run(tmp_path / "model.onnx", single, whole)[0] - expected).max() < 1e-4


@pytest.fixture
def calm() -> SlimBertForQuestionAnswering:
    """A model with weights as small as trained ones."""
    model = filled(ODD, seed=4)
    model.load_state_dict({name: tensor / 4 for name, tensor in model.state_dict().items()})
    return model


def test_int8_is_near_and_smaller(calm: SlimBertForQuestionAnswering, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    save_graph(calm, path)
    whole = run(path, IDS, MASK)
    before = set(logging.getLogger().handlers)
    quantize(path)
    assert set(logging.getLogger().handlers) == before
    small = run(path, IDS, MASK)
    shown = MASK.bool().expand(2, -1, -1).numpy()
    assert 0 < np.abs(small - whole)[shown].max() < 0.1 * np.abs(whole[shown]).max()
    assert b"MatMulInteger" in path.read_bytes()


def test_saving_leaves_the_model_as_it_was(
    calm: SlimBertForQuestionAnswering, tmp_path: Path
) -> None:
    before = logits(calm)
    save_graph(calm, tmp_path / "model.onnx")
    assert calm.config._attn_implementation == "sdpa"
    assert torch.equal(logits(calm), before)
