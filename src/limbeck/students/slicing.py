"""Students cut out of a larger model: some of its layers, heads, neurons and tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from limbeck.errors import ArchitectureError
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from limbeck.students.shape import Shape
from limbeck.students.weights import (
    copied_weights,
    layer_weights,
    new_layer_weights,
    word_weights,
)


@dataclass(frozen=True)
class Width:
    """How wide a layer is.

    Attributes:
        heads: Attention heads, perhaps none.
        neurons: Feed-forward neurons.
    """

    heads: int
    neurons: int


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a student keeps of the model that it is cut from, and what it gets besides.

    All indices are those of that model, in the order that the student has them in.

    Attributes:
        kept_layers: The layers, ascending.
        kept_heads: For each of them, the heads, the most important first; perhaps none.
        kept_neurons: For each of them, the feed-forward neurons, the most important first.
        new_layers: Layers behind them that the model does not have.
        kept_tokens: The tokens of the vocabulary; None for all.
        embedding_rank: Rank of the word embeddings; 0 for one table that is no product.
    """

    kept_layers: tuple[int, ...]
    kept_heads: tuple[tuple[int, ...], ...]
    kept_neurons: tuple[tuple[int, ...], ...]
    new_layers: tuple[Width, ...] = ()
    kept_tokens: tuple[int, ...] | None = None
    embedding_rank: int = 0

    def __post_init__(self) -> None:
        """Check that such a student can exist.

        Raises:
            ArchitectureError: If no layer is kept, a layer has no neuron, or the indices repeat.
        """
        if not self.kept_layers:
            raise ArchitectureError("a student needs at least 1 layer, but got 0; keep one")
        if not len(self.kept_layers) == len(self.kept_heads) == len(self.kept_neurons):
            raise ArchitectureError(
                "heads and neurons must be given for each kept layer, but got "
                f"{len(self.kept_layers)} layers, heads of {len(self.kept_heads)} and neurons of "
                f"{len(self.kept_neurons)}"
            )
        if min(width.neurons for width in self.widths) < 1:
            raise ArchitectureError(
                "a layer needs at least 1 neuron, but got 0; to do without the layer, leave it out"
            )
        if any(low >= high for low, high in pairwise((-1, *self.kept_layers))):
            raise ArchitectureError(
                f"kept layers must ascend from 0 or more, but got {list(self.kept_layers)}; "
                "sort them"
            )
        for indices in (*self.kept_heads, *self.kept_neurons, self.kept_tokens or ()):
            if len(set(indices)) < len(indices) or min(indices, default=0) < 0:
                raise ArchitectureError(
                    f"kept indices must be distinct and 0 or more, but got {list(indices)}; "
                    "keep each of them once"
                )

    @property
    def widths(self) -> tuple[Width, ...]:
        """The width of every layer of the student."""
        kept = zip(self.kept_heads, self.kept_neurons, strict=True)
        return (*(Width(len(heads), len(neurons)) for heads, neurons in kept), *self.new_layers)


@dataclass(frozen=True, kw_only=True)
class Dropouts:
    """Dropout probabilities of a student.

    Attributes:
        hidden: Of the embeddings and the layers' outputs.
        attention: Of attention weights.
        qa: Before the question-answering head.
    """

    hidden: float = 0.0
    attention: float = 0.0
    qa: float = 0.0


@dataclass(frozen=True)
class Scores:
    """How much each part of a layer matters; larger is better.

    Attributes:
        heads: One score for each head.
        neurons: One score for each feed-forward neuron.
    """

    heads: Tensor
    neurons: Tensor


Importance: TypeAlias = Callable[[SlimBertForQuestionAnswering, int], Scores]
"""Scores the parts of a model's layer, given by its index."""


def magnitude(source: SlimBertForQuestionAnswering, layer: int) -> Scores:
    """Score a head or neuron by the L2 norm of the weights that go with it.

    A head's are its rows of query, key and value and its columns of the attention output; a
    neuron's are its row of the first and its column of the second feed-forward matrix.
    """

    def weight(part: str) -> Tensor:
        return source.get_parameter(f"bert.encoder.layer.{layer}.{part}.weight").detach()

    rows = [weight(f"attention.self.{name}") for name in ("query", "key", "value")]
    per_unit = torch.cat([*rows, weight("attention.output.dense").T], dim=1).square().sum(dim=1)
    per_neuron = torch.cat([weight("intermediate.dense"), weight("output.dense").T], dim=1)
    heads, _ = _widths(source, layer)
    return Scores(
        heads=per_unit.reshape(heads, source.config.head_dim).sum(dim=1).sqrt(),
        neurons=per_neuron.square().sum(dim=1).sqrt(),
    )


def first(source: SlimBertForQuestionAnswering, layer: int) -> Scores:
    """Score a head or neuron the higher, the earlier it comes."""
    heads, neurons = _widths(source, layer)
    return Scores(heads=-torch.arange(heads), neurons=-torch.arange(neurons))


def random_order(seed: int) -> Importance:
    """Return an importance that puts heads and neurons into an order of chance.

    A layer's order depends on the seed and the layer alone, not on what else is kept.
    """

    def score(source: SlimBertForQuestionAnswering, layer: int) -> Scores:
        heads, neurons = _widths(source, layer)
        generator = np.random.default_rng((seed, layer))
        return Scores(
            heads=torch.from_numpy(generator.permutation(heads)),
            neurons=torch.from_numpy(generator.permutation(neurons)),
        )

    return score


def choose_cut(
    source: SlimBertForQuestionAnswering,
    shape: Shape,
    *,
    kept_layers: Sequence[int],
    importance: Importance,
    kept_tokens: Sequence[int] | None = None,
) -> Cut:
    """Return the cut to a shape that keeps the most important heads and neurons of given layers.

    The most important come first, and of two equally important ones the earlier, so that the heads
    of a narrow student are the first heads of any wider one; likewise neurons.

    Args:
        source: The model to cut from.
        shape: The student's. It has the widths of the kept layers and, if there are more, of the
            new ones behind them.
        kept_layers: Indices of the source's layers, ascending.
        importance: What to go by: `magnitude`, `first`, a `random_order`, or measured scores.
        kept_tokens: The student's vocabulary in the source's; None for all of it.

    Raises:
        ArchitectureError: If no student of this shape can be cut from the source.
    """
    _check_shape(source, shape, kept_layers=kept_layers, kept_tokens=kept_tokens)
    widths = [
        Width(*width) for width in zip(shape.heads_per_layer, shape.ffn_per_layer, strict=True)
    ]
    kept_heads, kept_neurons = [], []
    for layer, width in zip(kept_layers, widths, strict=False):
        _check_layer(source, layer, width)
        scores = importance(source, layer)
        kept_heads.append(_most_important(scores.heads, width.heads))
        kept_neurons.append(_most_important(scores.neurons, width.neurons))
    return Cut(
        kept_layers=tuple(kept_layers),
        kept_heads=tuple(kept_heads),
        kept_neurons=tuple(kept_neurons),
        new_layers=tuple(widths[len(kept_layers) :]),
        kept_tokens=None if kept_tokens is None else tuple(kept_tokens),
        embedding_rank=shape.embedding_rank,
    )


def slice_student(
    source: SlimBertForQuestionAnswering,
    cut: Cut,
    *,
    dropouts: Dropouts,
    initializer_range: float | None = None,
    seed: int = 0,
) -> SlimBertForQuestionAnswering:
    """Return a student made of copies of the source's weights, in evaluation mode.

    Its configuration records the source, the layers and the heads; not neurons and tokens, which
    are thousands of numbers that follow from the source, the importance and the data.

    Args:
        source: The model to cut from; it stays as it is.
        cut: What to keep of it.
        dropouts: What the student forgets while it learns.
        initializer_range: Standard deviation of new layers' matrices; the source's if left out.
        seed: Of new layers' matrices; each depends on the seed, the layer and its widths alone.

    Raises:
        ArchitectureError: If the cut keeps what the source does not have, or drops the padding.
    """
    _check_cut(source, cut)
    changes = {
        "heads_per_layer": [width.heads for width in cut.widths],
        "ffn_per_layer": [width.neurons for width in cut.widths],
        "embedding_rank": cut.embedding_rank,
        "hidden_dropout_prob": dropouts.hidden,
        "attention_probs_dropout_prob": dropouts.attention,
        "qa_dropout": dropouts.qa,
        "kept_layers": list(cut.kept_layers),
        "kept_heads": [list(heads) for heads in cut.kept_heads],
        "teacher": source.config.name_or_path,
    }
    if cut.kept_tokens is not None:
        padding = cut.kept_tokens.index(_padding(source))
        changes |= {"vocab_size": len(cut.kept_tokens), "pad_token_id": padding}
    if initializer_range is not None:
        changes["initializer_range"] = initializer_range
    config = SlimBertConfig.from_dict({**source.config.to_dict(), **changes})
    config.name_or_path = ""
    return SlimBertForQuestionAnswering.from_state_dict(
        config, _weights(source, cut, config, seed=seed)
    )


def _weights(
    source: SlimBertForQuestionAnswering, cut: Cut, config: SlimBertConfig, *, seed: int
) -> dict[str, Tensor]:
    """Return the student's weights by the student's names."""
    state = source.state_dict()
    layers = [
        layer_weights(
            state, layer, units=_units(heads, config.head_dim), neurons=torch.tensor(neurons)
        )
        for layer, heads, neurons in zip(
            cut.kept_layers, cut.kept_heads, cut.kept_neurons, strict=True
        )
    ]
    layers += [
        new_layer_weights(config, layer, seed=seed) for layer in range(len(layers), len(cut.widths))
    ]
    return {
        **copied_weights(state),
        **word_weights(state, tokens=cut.kept_tokens, rank=cut.embedding_rank),
        **{
            f"bert.encoder.layer.{index}.{part}": tensor
            for index, layer in enumerate(layers)
            for part, tensor in layer.items()
        },
    }


def _units(heads: Sequence[int], head_dim: int) -> Tensor:
    """Return the indices of the heads' rows in query, key and value."""
    starts = torch.tensor(heads, dtype=torch.long) * head_dim
    return (starts[:, None] + torch.arange(head_dim)).flatten()


def _most_important(scores: Tensor, count: int) -> tuple[int, ...]:
    order = torch.argsort(scores, descending=True, stable=True)
    return tuple(order[:count].tolist())


def _widths(source: SlimBertForQuestionAnswering, layer: int) -> tuple[int, int]:
    return source.config.heads_per_layer[layer], source.config.ffn_per_layer[layer]


def _padding(source: SlimBertForQuestionAnswering) -> int:
    return source.config.pad_token_id or 0


def _check_shape(
    source: SlimBertForQuestionAnswering,
    shape: Shape,
    *,
    kept_layers: Sequence[int],
    kept_tokens: Sequence[int] | None,
) -> None:
    """Check that layers are kept in no larger number than there are, and the rest as it is.

    Raises:
        ArchitectureError: If not.
    """
    if len(kept_layers) > shape.num_layers:
        raise ArchitectureError(
            f"a student of {shape.num_layers} layers must not keep more, but got "
            f"{list(kept_layers)}; leave some out"
        )
    there = Shape.from_config(source.config.to_dict())
    possible = replace(
        there,
        heads_per_layer=shape.heads_per_layer,
        ffn_per_layer=shape.ffn_per_layer,
        vocab_size=there.vocab_size if kept_tokens is None else len(kept_tokens),
        embedding_rank=shape.embedding_rank,
    )
    for field in fields(Shape):
        given, needed = getattr(shape, field.name), getattr(possible, field.name)
        if given != needed:
            raise ArchitectureError(
                f"{field.name} must be {needed}, as in what is kept of the model that the student "
                f"is cut from, but got {given}"
            )


def _check_layer(source: SlimBertForQuestionAnswering, layer: int, width: Width) -> None:
    """Check that the source has a layer and that it is wide enough.

    Raises:
        ArchitectureError: If not.
    """
    depth = source.config.num_hidden_layers
    if not 0 <= layer < depth:
        raise ArchitectureError(
            f"kept layers must be between 0 and {depth - 1}, the last one of the model to cut "
            f"from, but got {layer}; keep another, or take a deeper model"
        )
    most_heads, most_neurons = _widths(source, layer)
    for name, value, low, high in (
        ("heads", width.heads, 0, most_heads),
        ("ffn size", width.neurons, 1, most_neurons),
    ):
        if not low <= value <= high:
            raise ArchitectureError(
                f"{name} must be between {low} and the {high} of layer {layer} of the model to "
                f"cut from, but got {value}; change it, or take a wider model"
            )


def _check_cut(source: SlimBertForQuestionAnswering, cut: Cut) -> None:
    """Check that the source has all that a cut keeps, and that padding is among it.

    Raises:
        ArchitectureError: If not.
    """
    for layer, heads, neurons in zip(
        cut.kept_layers, cut.kept_heads, cut.kept_neurons, strict=True
    ):
        _check_layer(source, layer, Width(max(heads, default=-1) + 1, max(neurons) + 1))
    if cut.kept_tokens is None:
        return
    if max(cut.kept_tokens, default=0) >= source.config.vocab_size:
        raise ArchitectureError(
            f"kept tokens must be below {source.config.vocab_size}, the size of the vocabulary, "
            f"but got {max(cut.kept_tokens)}; leave it out"
        )
    if _padding(source) not in cut.kept_tokens:
        raise ArchitectureError(
            f"kept tokens must hold the padding, token {_padding(source)}, but do not; keep it"
        )
