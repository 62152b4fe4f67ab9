"""The size and the cost of a model, counted without building it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any, Self

from limbeck.errors import ArchitectureError

BYTES_PER_WEIGHT = 4
"""Weights are saved in float32."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Everything that decides how many parameters a model has.

    Attributes:
        heads_per_layer: Attention heads of each layer, from the first one on.
        ffn_per_layer: Neurons of each layer's feed-forward block.
        hidden_size: Width of the hidden states.
        head_dim: Width of one head.
        embedding_size: Width of the embeddings; a projection follows if it is not `hidden_size`.
        embedding_rank: Rank of the word embeddings; 0 if they are one table.
        vocab_size: Tokens in the vocabulary.
        max_position_embeddings: Longest input, in tokens.
        type_vocab_size: Token types; 0 if the model knows none.
    """

    heads_per_layer: tuple[int, ...]
    ffn_per_layer: tuple[int, ...]
    hidden_size: int
    head_dim: int
    embedding_size: int
    embedding_rank: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int

    def __post_init__(self) -> None:
        """Check that such a model can exist.

        Raises:
            ArchitectureError: If there is no layer, or one that cannot be built.
        """
        if not self.heads_per_layer:
            raise ArchitectureError("a model needs at least 1 layer, but got 0; add one")
        if len(self.heads_per_layer) != len(self.ffn_per_layer):
            raise ArchitectureError(
                "heads_per_layer and ffn_per_layer must have one entry for each layer, but got "
                f"{len(self.heads_per_layer)} and {len(self.ffn_per_layer)}"
            )
        if min(self.heads_per_layer) < 0 or min(self.ffn_per_layer) < 1:
            raise ArchitectureError(
                "a layer needs at least 0 heads and 1 feed-forward neuron, but got "
                f"heads {list(self.heads_per_layer)} and neurons {list(self.ffn_per_layer)}; "
                "to do without a layer, leave it out"
            )

    @classmethod
    def from_config(cls, fields: Mapping[str, Any]) -> Self:
        """Return the shape that a BERT's or a student's configuration describes.

        Args:
            fields: Those of its ``config.json``, by the names that they have in BERT's.

        Raises:
            KeyError: If one is missing.
            ArchitectureError: See the class.
        """
        layers, heads = fields["num_hidden_layers"], fields["num_attention_heads"]
        return cls(
            heads_per_layer=tuple(fields.get("heads_per_layer") or (heads,) * layers),
            ffn_per_layer=tuple(
                fields.get("ffn_per_layer") or (fields["intermediate_size"],) * layers
            ),
            hidden_size=fields["hidden_size"],
            head_dim=fields.get("head_dim") or fields["hidden_size"] // heads,
            embedding_size=fields.get("embedding_size") or fields["hidden_size"],
            embedding_rank=fields.get("embedding_rank", 0),
            vocab_size=fields["vocab_size"],
            max_position_embeddings=fields["max_position_embeddings"],
            type_vocab_size=fields["type_vocab_size"],
        )

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return len(self.heads_per_layer)

    def student(
        self,
        *,
        heads_per_layer: Sequence[int],
        ffn_per_layer: Sequence[int],
        kept_layers: Sequence[int] = (),
        embedding_rank: int | None = None,
        vocab_size: int | None = None,
    ) -> Self:
        """Return the shape of a student of this teacher; what is not given is the teacher's.

        Args:
            heads_per_layer: Heads of each layer. There may be more layers than the teacher has, but
                none wider than its widest.
            ffn_per_layer: Neurons of each layer's feed-forward block, likewise.
            kept_layers: The teacher's layers that the first ones are cut from, and may not exceed.
            embedding_rank: Rank of the word embeddings.
            vocab_size: Tokens in the vocabulary.

        Raises:
            ArchitectureError: If the teacher is too small for it, or it is no model at all.
        """
        rank = self.embedding_rank if embedding_rank is None else embedding_rank
        vocabulary = self.vocab_size if vocab_size is None else vocab_size
        for name, wanted, own, low in (
            ("heads", heads_per_layer, self.heads_per_layer, 0),
            ("ffn_size", ffn_per_layer, self.ffn_per_layer, 1),
        ):
            most = [own[layer] for layer in kept_layers]
            most += [max(own)] * (len(wanted) - len(most))
            for layer, (width, high) in enumerate(zip(wanted, most, strict=True)):
                _check(f"{name} of layer {layer}", width, low=low, high=high)
        if embedding_rank is not None:
            _check("embedding_rank", rank, low=1, high=self.embedding_size)
        _check("vocab_size", vocabulary, low=1, high=self.vocab_size)
        return replace(
            self,
            heads_per_layer=tuple(heads_per_layer),
            ffn_per_layer=tuple(ffn_per_layer),
            embedding_rank=rank,
            vocab_size=vocabulary,
        )


def count_parameters(shape: Shape) -> int:
    """Return the number of parameters, embeddings and question-answering head included.

    There is no pooler: nothing reads it.
    """
    head = 2 * shape.hidden_size + 2
    return count_embedding_parameters(shape) + count_encoder_parameters(shape) + head


def count_embedding_parameters(shape: Shape) -> int:
    """Return the number of parameters in front of the layers: tables, layer norm, projections."""
    width, rank = shape.embedding_size, shape.embedding_rank
    words = rank * (shape.vocab_size + width) if rank else shape.vocab_size * width
    others = (shape.max_position_embeddings + shape.type_vocab_size) * width
    projection = (width + 1) * shape.hidden_size if width != shape.hidden_size else 0
    return words + others + 2 * width + projection


def count_encoder_parameters(shape: Shape) -> int:
    """Return the number of parameters of the layers: no embeddings, no head."""
    hidden = shape.hidden_size
    width = shape.head_dim * sum(shape.heads_per_layer)
    neurons = sum(shape.ffn_per_layer)
    # Query, key and value have a bias for each output, the attention output one for each hidden
    # unit; the two matrices of the feed-forward block likewise. Two layer norms of two vectors.
    attention = width * (4 * hidden + 3) + shape.num_layers * hidden
    feed_forward = neurons * (2 * hidden + 1) + shape.num_layers * hidden
    return attention + feed_forward + shape.num_layers * 4 * hidden


def count_flops(shape: Shape, length: int) -> int:
    """Return the floating point operations of all matrix products for one window.

    A multiplication and its addition are two operations. Biases, layer norms, softmax, activations
    and the look-up of embeddings are not counted: they are no matrix products.

    Args:
        shape: That of the model.
        length: Tokens in the window.
    """
    hidden, size, rank = shape.hidden_size, shape.embedding_size, shape.embedding_rank
    width = shape.head_dim * sum(shape.heads_per_layer)
    # Multiply-adds for each token. Query, key, value and output are four matrices; scores and
    # weighted sums are a product with each token of the window.
    attention = width * (4 * hidden + 2 * length)
    feed_forward = sum(shape.ffn_per_layer) * 2 * hidden
    embeddings = rank * size + (size * hidden if size != hidden else 0)
    head = 2 * hidden
    return 2 * length * (embeddings + attention + feed_forward + head)


@lru_cache(maxsize=4096)
def safetensors_bytes(shape: Shape) -> int:
    """Return the size in bytes of the ``model.safetensors`` that holds the weights in float32.

    Eight bytes with the header's length, the header, filled up to a multiple of eight bytes, and
    the weights in the order of their names: https://huggingface.co/docs/safetensors, "Format".
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, sizes in sorted(_weights(shape).items()):
        begin, end = end, end + BYTES_PER_WEIGHT * prod(sizes)
        header[name] = {"dtype": "F32", "shape": sizes, "data_offsets": (begin, end)}
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + -(-length // 8) * 8 + end


def known_metrics(shape: Shape, *, length: int) -> dict[str, float]:
    """Return what is known of a model before it is trained, by name of the metric.

    Args:
        shape: The model's.
        length: Tokens a window.
    """
    return {
        "num_parameters": float(count_parameters(shape)),
        "num_encoder_parameters": float(count_encoder_parameters(shape)),
        "flops": float(count_flops(shape, length)),
        "bytes": float(safetensors_bytes(shape)),
    }


def _weights(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the sizes of all weights by their names in the model's state."""
    hidden, size, rank = shape.hidden_size, shape.embedding_size, shape.embedding_rank
    weights: dict[str, tuple[int, ...]] = {
        "word_embeddings.weight": (shape.vocab_size, rank or size),
        "position_embeddings.weight": (shape.max_position_embeddings, size),
        **_norm("LayerNorm", size),
    }
    if rank:
        weights["word_embeddings.projection.weight"] = (size, rank)
    if shape.type_vocab_size:
        weights["token_type_embeddings.weight"] = (shape.type_vocab_size, size)
    if size != hidden:
        weights |= _linear("projection", hidden, size)
    weights = {f"bert.embeddings.{name}": sizes for name, sizes in weights.items()}
    for layer, (heads, neurons) in enumerate(
        zip(shape.heads_per_layer, shape.ffn_per_layer, strict=True)
    ):
        for name, sizes in _layer(hidden, heads * shape.head_dim, neurons).items():
            weights[f"bert.encoder.layer.{layer}.{name}"] = sizes
    return weights | _linear("qa_outputs", 2, hidden)


def _layer(hidden: int, width: int, neurons: int) -> dict[str, tuple[int, ...]]:
    return {
        **_linear("attention.self.query", width, hidden),
        **_linear("attention.self.key", width, hidden),
        **_linear("attention.self.value", width, hidden),
        **_linear("attention.output.dense", hidden, width),
        **_norm("attention.output.LayerNorm", hidden),
        **_linear("intermediate.dense", neurons, hidden),
        **_linear("output.dense", hidden, neurons),
        **_norm("output.LayerNorm", hidden),
    }


def _linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _check(name: str, value: int, *, low: int, high: int) -> None:
    """Check that a student does not have more of something than its teacher.

    Raises:
        ArchitectureError: If it does, or has too little.
    """
    if not low <= value <= high:
        raise ArchitectureError(
            f"{name} must be between {low} and the teacher's {high}, but got {value}; change it, "
            "or take a larger teacher"
        )
