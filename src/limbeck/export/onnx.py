"""Students as ONNX graphs, in float32 or with int8 weights.

Imported only where that is wanted, for it needs the packages of the extra ``onnx``.
"""

import json
import logging
import math
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import onnx
import onnxscript  # noqa: F401  # torch.onnx needs it, and says so late.
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from torch import Tensor, nn
from typing_extensions import override

from limbeck import answer
from limbeck.answer import MODEL, SETTINGS, Answerer, Settings
from limbeck.config import DataSettings
from limbeck.export.check import Given
from limbeck.students.loading import load_teacher, load_tokenizer
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.dataset import QuestionSet

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("start_logits", "end_logits")
REQUIREMENTS = "numpy>=2.0\nonnxruntime>=1.20\ntokenizers>=0.22\n"

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


def write_onnx(
    student: Path, folder: Path, data: DataSettings, *, gives_null: bool, int8: bool
) -> None:
    """Write a folder that answers questions with `limbeck.answer`, a copy of which is in it.

    Args:
        student: Folder of the student.
        folder: Where to write.
        data: How windows are cut.
        gives_null: Whether it may answer nothing.
        int8: Whether matrices and word embeddings are quantized; inputs of matrix products then
            are, too, as they come (dynamic quantization).

    Raises:
        ModelError: If the student cannot be read.
    """
    model = load_teacher(str(student))
    save_graph(model, folder / MODEL)
    if int8:
        quantize(folder / MODEL)
    tokenizer = load_tokenizer(str(student)).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = Settings(
        max_length=data.max_length,
        doc_stride=data.doc_stride,
        max_query_length=data.max_query_length,
        max_answer_length=data.max_answer_length,
        null_threshold=0.0 if gives_null else None,
        pad_token_id=model.config.pad_token_id or 0,
    )
    (folder / SETTINGS).write_text(json.dumps(asdict(settings), indent=2), encoding="utf-8")
    (folder / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
    shutil.copyfile(str(answer.__file__), folder / "answer.py")


def answers_of_onnx(folder: Path, questions: QuestionSet) -> Given:
    """Return what the ONNX student of a folder answers, as an application would ask it."""
    answerer = Answerer(folder)
    texts, scores, null_odds = {}, {}, {}
    for question in questions.questions:
        answer = answerer(question.question, question.context, n_best=1)
        texts[question.id] = answer.text
        scores[question.id] = answer.candidates[0].score if answer.candidates else -math.inf
        null_odds[question.id] = math.inf if answer.null_odds is None else answer.null_odds
    return Given(texts=texts, scores=scores, null_odds=null_odds)


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

    Matrices have a scale for every column. Weights use 7 of 8 bits: on processors without VNNI,
    sums of products would saturate, and answers would depend on the machine.
    """
    graph = onnx.load(path)
    add_pre_process_metadata(graph)  # The exporter has inferred the shapes already.
    quantize_dynamic(graph, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


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
