"""Where a model's files lie, and what its ``config.json`` says; the weights stay unread."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is httpx's
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
)

from limbeck.errors import ModelError
from limbeck.files import is_folder
from limbeck.students.shape import Shape

HUB_TIMEOUT_SECONDS = 5
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"

_CONFIG_FILES = ("config.json",)
_MODEL_FILES = (
    "config.json",
    WEIGHTS,
    WEIGHTS_INDEX,
    "model-*.safetensors",
    "tokenizer*.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
_BERT_NAMES = {
    "activation": "hidden_act",
    "attention_dropout": "attention_probs_dropout_prob",
    "dim": "hidden_size",
    "dropout": "hidden_dropout_prob",
    "hidden_dim": "intermediate_size",
    "n_heads": "num_attention_heads",
    "n_layers": "num_hidden_layers",
}
_SUPPORTED = ("bert", "distilbert", "electra", "roberta", "slim-bert")
_SIZES = (
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
)


def find_folder(model: str, *, weights: bool = True) -> Path:
    """Return the folder of a model: the given one, or the local copy of a hub id.

    A copy that is already here is taken as it is; otherwise the model is downloaded, without any
    pickle and without code.

    Args:
        model: Folder or hub id.
        weights: Whether the weights are needed too, or the configuration only.

    Raises:
        ModelError: If there is no such model, the hub cannot be reached, or files are missing.
    """
    folder = Path(model).expanduser()
    if not is_folder(folder):
        folder = _cached_folder(model, weights=weights) or _download(model, weights=weights)
    if not (folder / "config.json").is_file():
        raise ModelError(f"a model folder must hold config.json, but {model!r} does not")
    if weights and not _has_weights(folder):
        names = [path.name for path in folder.iterdir()]
        raise ModelError(_missing_weights(model, names))
    return folder


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return the fields of a ``config.json``, by the names and in the sense that they have in BERT.

    RoBERTa's `max_position_embeddings` does not count its `unused_positions`.

    Raises:
        ModelError: If it is not that of a BERT, DistilBERT, ELECTRA, RoBERTa or a student of ours,
            or lacks a size.
    """
    path = folder / "config.json"
    try:
        loaded: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} must be JSON, but reading it fails: {error}") from error
    if not isinstance(loaded, dict):
        raise ModelError(f"{path} must hold an object, but holds {type(loaded).__name__}")
    fields: dict[str, Any] = loaded
    model_type = fields.get("model_type")
    if model_type not in _SUPPORTED:
        raise ModelError(
            f"model_type must be one of {', '.join(_SUPPORTED)}, but got {model_type!r} in {path}"
        )
    if fields.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(
            "position embeddings must be absolute, but got "
            f"{fields['position_embedding_type']!r} in {path}; take another model"
        )
    if model_type == "distilbert":
        fields = {_BERT_NAMES.get(name, name): value for name, value in fields.items()}
        fields |= {"type_vocab_size": 0, "layer_norm_eps": 1e-12}
    elif model_type == "electra":
        fields = {"embedding_size": 128, **fields}
    elif model_type == "roberta":
        fields = {"pad_token_id": 1, **fields}
    missing = [name for name in _SIZES if name not in fields]
    if missing:
        raise ModelError(f"{path} must hold {', '.join(missing)}, but does not")
    _check_sizes(fields, path)
    fields["max_position_embeddings"] -= unused_positions(fields)
    return fields


def _check_sizes(fields: Mapping[str, Any], path: Path) -> None:
    """Check that sizes are numbers, and that heads can be of one width."""
    may_be_none = ("type_vocab_size", "pad_token_id")
    for name in (*_SIZES, *(["pad_token_id"] if fields["model_type"] == "roberta" else [])):
        low, value = 0 if name in may_be_none else 1, fields[name]
        if not isinstance(value, int) or value < low:
            raise ModelError(
                f"{name} must be a whole number from {low} on, but got {value!r} in {path}"
            )
    hidden, heads = fields["hidden_size"], fields["num_attention_heads"]
    if not fields.get("head_dim") and hidden % heads:
        raise ModelError(
            f"num_attention_heads must divide hidden_size, but got {heads} and {hidden} in {path}"
        )


def unused_positions(fields: Mapping[str, Any]) -> int:
    """Return how many rows at the start of a model's position table belong to no token.

    RoBERTa numbers tokens from ``pad_token_id + 1`` on; all others number them from 0 on.

    Args:
        fields: Those that `read_config` returns.
    """
    return fields["pad_token_id"] + 1 if fields["model_type"] == "roberta" else 0


def read_shape(model: str) -> Shape:
    """Return the shape of a model from its configuration alone.

    Args:
        model: Folder or hub id.

    Raises:
        ModelError: If it cannot be found or read, or is of another kind.
    """
    return Shape.from_config(read_config(find_folder(model, weights=False)))


def is_fine_tuned(model: str) -> bool:
    """Whether a model has a question-answering head, as its configuration says.

    Args:
        model: Folder or hub id.

    Raises:
        ModelError: If it cannot be found or read, or is of another kind.
    """
    architectures = read_config(find_folder(model, weights=False)).get("architectures") or []
    return any(name.endswith("ForQuestionAnswering") for name in architectures)


def _has_weights(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file() or (folder / WEIGHTS_INDEX).is_file()


def _missing_weights(model: str, names: list[str]) -> str:
    pickles = [name for name in names if name.endswith((".bin", ".pt", ".pth"))]
    if not pickles:
        return f"a model must hold {WEIGHTS} or {WEIGHTS_INDEX}, but {model!r} does not"
    return (
        f"weights must be safetensors, for no pickle is ever loaded, but {model!r} has only "
        f"{pickles[0]}; if you trust it, convert it once with transformers: "
        "AutoModel.from_pretrained(...).save_pretrained(...), with the class that it is for"
    )


def _cached_folder(model: str, *, weights: bool) -> Path | None:
    """Return the folder of a hub id in the local cache, if what is needed is there."""
    patterns = list(_MODEL_FILES if weights else _CONFIG_FILES)
    try:
        folder = Path(snapshot_download(model, allow_patterns=patterns, local_files_only=True))
    except HFValidationError as error:
        raise ModelError(
            f"a model must be an existing folder or a hub id, but {model!r} is neither"
        ) from error
    except LocalEntryNotFoundError:
        return None
    complete = (folder / "config.json").is_file() and (not weights or _has_weights(folder))
    return folder if complete else None


def _download(model: str, *, weights: bool) -> Path:
    try:
        # The probe has a timeout and no retries; the download would wait for minutes.
        listed = HfApi().model_info(model, timeout=HUB_TIMEOUT_SECONDS).siblings or []
        names = [file.rfilename for file in listed]
        if weights and WEIGHTS not in names and WEIGHTS_INDEX not in names:
            raise ModelError(_missing_weights(model, names))
        patterns = list(_MODEL_FILES if weights else _CONFIG_FILES)
        return Path(snapshot_download(model, allow_patterns=patterns))
    except (HTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"a model must be an existing folder or a hub id that can be reached, but {model!r} "
            f"is no folder and the hub does not give it ({reason}); check the connection, or give "
            "a folder"
        ) from error
