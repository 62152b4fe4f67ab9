"""Students as folders that transformers loads: with their own code, or in a class that it has."""

import shutil
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    ElectraConfig,
    ElectraForQuestionAnswering,
    PreTrainedModel,
)
from transformers.initialization import no_init_weights

from limbeck.students import modeling
from limbeck.students.loading import CONFIG_FIELDS, load_teacher, load_tokenizer
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering

CODE = "modeling_slim_bert.py"

_AUTO_MAP = {
    "AutoConfig": f"{Path(CODE).stem}.{SlimBertConfig.__name__}",
    "AutoModelForQuestionAnswering": f"{Path(CODE).stem}.{SlimBertForQuestionAnswering.__name__}",
}
_SHARED = tuple(name for name in CONFIG_FIELDS if name not in ("qa_dropout", "type_vocab_size"))
_EMBEDDINGS = "bert.embeddings."
_TYPES = f"{_EMBEDDINGS}token_type_embeddings.weight"
_WORDS = f"{_EMBEDDINGS}word_embeddings"


def write_hugging_face(student: Path, folder: Path, *, teacher: str) -> str:
    """Write a student in the size that it has; return the name of its class.

    In a class of transformers' own if one can hold it as it is. Otherwise in Limbeck's, whose code
    goes with it: `trust_remote_code` loads it where there is no Limbeck.

    Args:
        student: Folder of the student.
        folder: Where to write.
        teacher: What the configuration is to call the teacher.

    Raises:
        ModelError: If the student cannot be read.
    """
    model = load_teacher(str(student))
    if is_stock(model.config):
        return _write(stock_model(model), student, folder)
    model.config.teacher = teacher
    model.config.auto_map = _AUTO_MAP
    name = _write(model, student, folder)
    shutil.copyfile(str(modeling.__file__), folder / CODE)
    return name


def write_stock(student: Path, folder: Path) -> str:
    """Write a student in a class of transformers' own, filled up with zeros; return its name.

    Args:
        student: Folder of the student.
        folder: Where to write.

    Raises:
        ModelError: If the student cannot be read.
    """
    return _write(stock_model(load_teacher(str(student))), student, folder)


def is_stock(config: SlimBertConfig) -> bool:
    """Whether a class of transformers' own holds a student without a weight more."""
    return (
        set(config.heads_per_layer) == {config.num_attention_heads}
        and set(config.ffn_per_layer) == {config.intermediate_size}
        and not config.embedding_rank
        and config.type_vocab_size > 0
    )


def stock_model(model: SlimBertForQuestionAnswering) -> PreTrainedModel:
    """Return the same function in a class of transformers' own, in evaluation mode.

    BERT's, or ELECTRA's if embeddings are narrower than layers. Missing heads and neurons are
    zeros, which add nothing: a head's output is multiplied with a zero, and so is a neuron's.
    Word embeddings of low rank are multiplied out.
    """
    config = model.config
    fields = {name: getattr(config, name) for name in _SHARED}
    fields["type_vocab_size"] = config.type_vocab_size or 2
    weights = _stock_weights(model)
    if config.embedding_size == config.hidden_size:
        fields.pop("embedding_size")
        return _build(BertForQuestionAnswering, BertConfig(**fields), weights)
    weights = {
        name.replace(f"{_EMBEDDINGS}projection.", "bert.embeddings_project."): tensor
        for name, tensor in weights.items()
    }
    weights = {name.replace("bert.", "electra.", 1): tensor for name, tensor in weights.items()}
    return _build(ElectraForQuestionAnswering, ElectraConfig(**fields), weights)


def _stock_weights(model: SlimBertForQuestionAnswering) -> dict[str, Tensor]:
    """Return a student's weights, by their names here, in the shapes of a stock class."""
    config, weights = model.config, dict(model.state_dict())
    width, neurons = config.num_attention_heads * config.head_dim, config.intermediate_size
    for index in range(config.num_hidden_layers):
        layer = f"bert.encoder.layer.{index}."
        for part, rows, columns in (
            *((f"attention.self.{name}.weight", width, None) for name in ("query", "key", "value")),
            *((f"attention.self.{name}.bias", width, None) for name in ("query", "key", "value")),
            ("attention.output.dense.weight", None, width),
            ("intermediate.dense.weight", neurons, None),
            ("intermediate.dense.bias", neurons, None),
            ("output.dense.weight", None, neurons),
        ):
            weights[layer + part] = _filled(weights[layer + part], rows=rows, columns=columns)
    projection = weights.pop(f"{_WORDS}.projection.weight", None)
    if projection is not None:
        table = weights[f"{_WORDS}.weight"].double() @ projection.double().T
        weights[f"{_WORDS}.weight"] = table.to(projection.dtype)
    if config.type_vocab_size == 0:  # Stock classes have two; zeros add nothing.
        weights[_TYPES] = torch.zeros(2, config.embedding_size)
    return weights


def _filled(tensor: Tensor, *, rows: int | None, columns: int | None) -> Tensor:
    """Return a tensor with zeros behind it, up to so many rows or columns."""
    if rows is not None:
        missing = rows - tensor.shape[0]
        return pad(tensor, [0, 0] * (tensor.dim() - 1) + [0, missing])
    return tensor if columns is None else pad(tensor, [0, columns - tensor.shape[1]])


def _build(
    kind: type[PreTrainedModel], config: BertConfig | ElectraConfig, weights: dict[str, Tensor]
) -> PreTrainedModel:
    with no_init_weights():
        model = kind(config)
    model.load_state_dict(weights)
    model.train(mode=False)
    return model


def _write(model: PreTrainedModel, student: Path, folder: Path) -> str:
    model.save_pretrained(folder)
    load_tokenizer(str(student)).save_pretrained(folder)
    return type(model).__name__
