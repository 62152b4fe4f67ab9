"""Teachers and encoders, from the weights of a BERT, DistilBERT, ELECTRA, RoBERTa or a student."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from limbeck.errors import ModelError
from limbeck.students.checkpoint import (
    WEIGHTS,
    WEIGHTS_INDEX,
    find_folder,
    read_config,
    unused_positions,
)
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering

# Names in DistilBERT, ELECTRA and old BERT checkpoints, and those that stand for them here.
_RENAMED = {
    "embeddings_project.": "embeddings.projection.",
    "transformer.layer.": "encoder.layer.",
    "attention.q_lin.": "attention.self.query.",
    "attention.k_lin.": "attention.self.key.",
    "attention.v_lin.": "attention.self.value.",
    "attention.out_lin.": "attention.output.dense.",
    "sa_layer_norm.": "attention.output.LayerNorm.",
    "ffn.lin1.": "intermediate.dense.",
    "ffn.lin2.": "output.dense.",
    "output_layer_norm.": "output.LayerNorm.",
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}
CONFIG_FIELDS = (
    "attention_probs_dropout_prob",
    "embedding_size",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "pad_token_id",
    "qa_dropout",
    "type_vocab_size",
    "vocab_size",
)
"""Fields of a BERT's configuration that a student's has, too; of the others ours are fixed."""
_PREFIXES = ("bert.", "distilbert.", "electra.", "roberta.")
_POSITIONS = "bert.embeddings.position_embeddings.weight"
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")
_HEAD = ("qa_outputs.weight", "qa_outputs.bias")


def load_teacher(model: str) -> SlimBertForQuestionAnswering:
    """Return a model fine-tuned for question answering, in float32 and evaluation mode.

    Its logits are those of the class in transformers that it was made with.

    Args:
        model: Folder or hub id of a BERT, DistilBERT, ELECTRA, RoBERTa or a student.

    Raises:
        ModelError: If it cannot be found or read, is of another kind, or was not fine-tuned.
    """
    config, weights = _read(model)
    if not weights.keys() >= set(_HEAD):
        raise ModelError(
            "a teacher must be fine-tuned for question answering, but "
            f"{model} has no {_HEAD[0]}; fine-tune it first"
        )
    return _build(model, config, weights)


def load_encoder(
    model: str, *, seed: int, initializer_range: float | None = None
) -> SlimBertForQuestionAnswering:
    """Return an encoder with a new question-answering head, in float32 and evaluation mode.

    The head's weights are normal, its bias is 0. A head that the model has already is left out.

    Args:
        model: Folder or hub id of a BERT, DistilBERT, ELECTRA, RoBERTa or a student.
        seed: Seed of the head's weights.
        initializer_range: Their standard deviation; the configuration's if left out.

    Raises:
        ModelError: If it cannot be found or read, or is of another kind.
    """
    config, weights = _read(model)
    generator = torch.Generator().manual_seed(seed)
    deviation = config.initializer_range if initializer_range is None else initializer_range
    weight = torch.randn((2, config.hidden_size), generator=generator) * deviation
    head = dict(zip(_HEAD, (weight, torch.zeros(2)), strict=True))
    return _build(model, config, {**weights, **head})


def load_tokenizer(model: str) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a model.

    Args:
        model: Folder or hub id.

    Raises:
        ModelError: If it has none, or one that cannot be read or is no fast one.
    """
    folder = find_folder(model)
    # Without any, transformers makes one that knows no word.
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ModelError(
            f"a model must have a tokenizer, but {model!r} has neither {', '.join(_TOKENIZERS)}; "
            "save the tokenizer that it was trained with beside it"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # That is what tokenizers raises.
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f"the tokenizer of {model!r} must be one that transformers reads, but: {reason}"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            f"the tokenizer must be a fast one, but {model} has a {type(tokenizer).__name__}; save "
            "it with tokenizer.json"
        )
    return tokenizer


def check_weights(model: str) -> None:
    """Check that the files of a model's weights are whole, as far as their headers say.

    Args:
        model: Folder or hub id.

    Raises:
        ModelError: If not.
    """
    for path in _weight_files(find_folder(model)):
        with _opened(path):
            pass


def fingerprint(model: SlimBertForQuestionAnswering) -> str:
    """Return a SHA-256 digest of all that decides a model's logits in evaluation mode.

    Equal weights give equal digests, wherever they were loaded from.
    """
    config = model.config
    settings = [config.heads_per_layer, config.head_dim, config.hidden_act, config.layer_norm_eps]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(model: str) -> tuple[SlimBertConfig, dict[str, Tensor]]:
    folder = find_folder(model)
    fields = read_config(folder)
    if fields["model_type"] == SlimBertConfig.model_type:
        config = SlimBertConfig.from_dict(dict(fields))
    else:
        config = SlimBertConfig(**{name: fields[name] for name in CONFIG_FIELDS if name in fields})
    weights = _read_weights(folder)
    if _POSITIONS in weights:
        weights[_POSITIONS] = weights[_POSITIONS][unused_positions(fields) :]
    return config, weights


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Return all weights of a folder by the names that they have here."""
    weights: dict[str, Tensor] = {}
    for path in _weight_files(folder):
        with _opened(path) as file:
            weights |= {_rename(key): file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return weights


def _weight_files(folder: Path) -> list[Path]:
    """Return the files that hold a folder's weights.

    Raises:
        ModelError: If the list of them is broken.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    path = folder / WEIGHTS_INDEX
    try:
        names: set[str] = {*json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} must be JSON that names the files in weight_map, but reading it fails: {error}"
        ) from error
    return [folder / name for name in sorted(names)]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield a file of weights.

    Raises:
        ModelError: If it is not there, or broken.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, FileNotFoundError) as error:
        raise ModelError(
            f"{path} must be a safetensors file, but reading it fails: {error}"
        ) from error


def _rename(name: str) -> str:
    for old, new in _RENAMED.items():
        name = name.replace(old, new)
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name if name in _HEAD else f"bert.{name}"


def _build(
    model: str, config: SlimBertConfig, weights: Mapping[str, Tensor]
) -> SlimBertForQuestionAnswering:
    """Return the model, in which other weights (a pooler, a language modelling head) are left out.

    Raises:
        ModelError: If a weight is missing, or does not have the shape that the config says.
    """
    with torch.device("meta"):
        expected = SlimBertForQuestionAnswering(config).state_dict()
    for name, tensor in expected.items():
        if name not in weights:
            raise ModelError(f"{model} must hold the weight {name}, but does not")
        if weights[name].shape != tensor.shape:
            raise ModelError(
                f"{name} must have the shape {list(tensor.shape)} that config.json gives it, "
                f"but has {list(weights[name].shape)} in {model}"
            )
    config.name_or_path = model
    return SlimBertForQuestionAnswering.from_state_dict(
        config, {name: weights[name] for name in expected}
    )
