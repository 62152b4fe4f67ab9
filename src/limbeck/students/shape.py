"""The size of a student, counted without building it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from limbeck.errors import ArchitectureError
from limbeck.space import Constraint, Parameters


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Everything that decides how many parameters a model has.

    Attributes:
        heads_per_layer: Attention heads of each layer, from the first one on.
        ffn_per_layer: Neurons of each layer's feed-forward block.
        hidden_size: Width of the hidden states.
        head_dim: Width of one head.
        vocab_size: Tokens in the vocabulary.
        max_position_embeddings: Longest input, in tokens.
        type_vocab_size: Token types; 0 if the model knows none.
    """

    heads_per_layer: tuple[int, ...]
    ffn_per_layer: tuple[int, ...]
    hidden_size: int
    head_dim: int
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
            fields: Those of its ``config.json``.

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
            vocab_size=fields["vocab_size"],
            max_position_embeddings=fields["max_position_embeddings"],
            type_vocab_size=fields["type_vocab_size"],
        )

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return len(self.heads_per_layer)

    def student(self, *, num_layers: int, num_heads: int, ffn_size: int) -> Self:
        """Return the shape of a student of this teacher whose layers are all alike.

        Args:
            num_layers: How many layers it has.
            num_heads: Heads of each layer.
            ffn_size: Neurons of each layer's feed-forward block.

        Raises:
            ArchitectureError: If the teacher is too small for it, or it is no model at all.
        """
        chosen = {"num_layers": num_layers, "num_heads": num_heads, "ffn_size": ffn_size}
        for name, (low, high) in _limits(self).items():
            if not low <= chosen[name] <= high:
                raise ArchitectureError(
                    f"{_rule(name, low, high)}, but got {chosen[name]}; change it, or take a "
                    "larger teacher"
                )
        return replace(
            self,
            heads_per_layer=(num_heads,) * num_layers,
            ffn_per_layer=(ffn_size,) * num_layers,
        )


def count_parameters(shape: Shape) -> int:
    """Return the number of parameters, embeddings and question-answering head included.

    There is no pooler: nothing reads it.
    """
    hidden = shape.hidden_size
    tokens = shape.vocab_size + shape.max_position_embeddings + shape.type_vocab_size
    embeddings = tokens * hidden + 2 * hidden
    head = 2 * hidden + 2
    return embeddings + count_encoder_parameters(shape) + head


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


def shape_constraints(teacher: Shape) -> tuple[Constraint, ...]:
    """Return what a student's ``num_layers``, ``num_heads`` and ``ffn_size`` must keep to.

    Each constraint holds where its parameter is not part of the search. If the teacher's layers
    differ, they allow what its widest layer allows.
    """
    return tuple(_between(name, low, high) for name, (low, high) in _limits(teacher).items())


def _limits(teacher: Shape) -> dict[str, tuple[int, int]]:
    """Return the lowest and highest value of each parameter that a student can have."""
    return {
        "num_layers": (1, teacher.num_layers),
        "num_heads": (0, max(teacher.heads_per_layer)),
        "ffn_size": (1, max(teacher.ffn_per_layer)),
    }


def _rule(name: str, low: int, high: int) -> str:
    return f"{name} must be between {low} and the teacher's {high}"


def _between(name: str, low: int, high: int) -> Constraint:
    def holds(parameters: Parameters) -> bool:
        return name not in parameters or low <= int(parameters[name]) <= high

    return Constraint(name=_rule(name, low, high), holds=holds)
