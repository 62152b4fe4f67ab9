"""Students as ONNX graphs, in float32 or with int8 weights.

Imported only where that is wanted, for it needs the packages of the extra ``onnx``: see
`limbeck.config.packages`.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime
import onnxscript  # noqa: F401  # torch.onnx needs it, and says so late.
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from torch import Tensor, nn
from typing_extensions import override

from limbeck.students.modeling import SlimBertForQuestionAnswering

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("start_logits", "end_logits")

Inputs: TypeAlias = Mapping[str, NDArray[np.int64]]
Pass: TypeAlias = Callable[[Inputs], None]
"""Computes the logits of a batch."""

_NOISY = "torch.onnx._internal.exporter._registration"


class _Logits(nn.Module):
    """A student that takes its inputs by place and returns two tensors."""

    def __init__(self, model: SlimBertForQuestionAnswering) -> None:
        super().__init__()
        self.model = model

    @override
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return two ``batch x length`` tensors: start and end logits."""
        output = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )
        return output.start_logits, output.end_logits


def save_graph(model: SlimBertForQuestionAnswering, path: Path) -> None:
    """Write a model as an ONNX graph for any batch size and length; its logits are named.

    Args:
        model: In evaluation mode, on the CPU.
        path: Where to write.
    """
    ids = torch.arange(2 * 12).reshape(2, 12) % model.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0  # Otherwise the exporter might take masks for useless.
    sizes = {0: "batch", 1: "length"}
    usual = model.config._attn_implementation
    # Without the fused kernel's care for rows that are masked whole, graphs are a third faster.
    model.set_attn_implementation("eager")
    try:
        with _quiet():
            torch.onnx.export(
                _Logits(model).eval(),
                (ids, mask, torch.zeros_like(ids)),
                path,
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_shapes=dict.fromkeys(INPUTS, sizes),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        model.set_attn_implementation(usual)


def quantize(path: Path) -> None:
    """Replace an ONNX graph by one with int8 weights.

    Matrices and word embeddings are quantized; inputs of matrix products are, too, as they come
    (dynamic quantization). Matrices have a scale for every column. Weights use 7 of 8 bits: on
    processors without VNNI, sums of products would saturate, and answers would depend on the
    machine.
    """
    graph = onnx.load(path)
    add_pre_process_metadata(graph)  # The exporter has inferred the shapes already.
    quantize_dynamic(graph, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


def full_windows(batch: int, length: int) -> Inputs:
    """Return three ``batch x length`` arrays: tokens without padding."""
    ones = np.ones((batch, length), np.int64)
    return {"input_ids": ones, "attention_mask": ones, "token_type_ids": np.zeros_like(ones)}


def open_graph(path: Path) -> Pass:
    """Return the forward pass of an ONNX graph on the CPU, with torch's number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait busily would take the cores of the model that is measured next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> None:
        session.run(list(OUTPUTS), dict(inputs))

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from telling users of its own deprecations, and that they lack torchvision."""
    logger = logging.getLogger(_NOISY)
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")
            warnings.filterwarnings("ignore", "# The axis name", category=UserWarning)
            yield
    finally:
        logger.disabled = before
