"""Students cut out of a teacher: some of its layers, heads and neurons, unchanged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from limbeck.errors import ArchitectureError
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering


class LayerChoice(StrEnum):
    """Which of the teacher's layers a shallower student keeps."""

    FIRST = "first"
    LAST = "last"
    SPREAD = "spread"


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a student keeps; all indices are those of the teacher, ascending.

    Attributes:
        kept_layers: The layers.
        kept_heads: For each of them, the heads; perhaps none.
        kept_neurons: For each of them, the feed-forward neurons.
    """

    kept_layers: tuple[int, ...]
    kept_heads: tuple[tuple[int, ...], ...]
    kept_neurons: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Check that such a student can exist.

        Raises:
            ArchitectureError: If no layer is kept, a layer keeps no neuron, or the indices do not
                ascend.
        """
        if not self.kept_layers:
            raise ArchitectureError("a student needs at least 1 layer, but got 0; keep one")
        if not len(self.kept_layers) == len(self.kept_heads) == len(self.kept_neurons):
            raise ArchitectureError(
                "heads and neurons must be given for each kept layer, but got "
                f"{len(self.kept_layers)} layers, heads of {len(self.kept_heads)} and neurons of "
                f"{len(self.kept_neurons)}"
            )
        if not all(self.kept_neurons):
            raise ArchitectureError(
                "a layer needs at least 1 neuron, but got 0; to do without the layer, leave it out"
            )
        for indices in (self.kept_layers, *self.kept_heads, *self.kept_neurons):
            if any(low >= high for low, high in pairwise((-1, *indices))):
                raise ArchitectureError(
                    f"kept indices must ascend from 0 or more, but got {list(indices)}; sort them"
                )


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
"""Scores the parts of a teacher's layer, given by its index."""


def magnitude(teacher: SlimBertForQuestionAnswering, layer: int) -> Scores:
    """Score a head or neuron by the L2 norm of the weights that go with it.

    A head's are its rows of query, key and value and its columns of the attention output; a
    neuron's are its row of the first and its column of the second feed-forward matrix.
    """

    def weight(part: str) -> Tensor:
        return teacher.get_parameter(f"bert.encoder.layer.{layer}.{part}.weight").detach()

    rows = [weight(f"attention.self.{name}") for name in ("query", "key", "value")]
    per_unit = torch.cat([*rows, weight("attention.output.dense").T], dim=1).square().sum(dim=1)
    per_neuron = torch.cat([weight("intermediate.dense"), weight("output.dense").T], dim=1)
    heads, _ = _widths(teacher, layer)
    return Scores(
        heads=per_unit.reshape(heads, teacher.config.head_dim).sum(dim=1).sqrt(),
        neurons=per_neuron.square().sum(dim=1).sqrt(),
    )


def first(teacher: SlimBertForQuestionAnswering, layer: int) -> Scores:
    """Score a head or neuron the higher, the earlier it comes."""
    heads, neurons = _widths(teacher, layer)
    return Scores(heads=-torch.arange(heads), neurons=-torch.arange(neurons))


def random_order(seed: int) -> Importance:
    """Return an importance that puts heads and neurons into an order of chance.

    A layer's order depends on the seed and the layer alone, not on what else is kept.
    """

    def score(teacher: SlimBertForQuestionAnswering, layer: int) -> Scores:
        heads, neurons = _widths(teacher, layer)
        generator = np.random.default_rng((seed, layer))
        return Scores(
            heads=torch.from_numpy(generator.permutation(heads)),
            neurons=torch.from_numpy(generator.permutation(neurons)),
        )

    return score


def choose_layers(depth: int, num_layers: int, how: LayerChoice) -> tuple[int, ...]:
    """Return which layers a student keeps.

    *Spread* takes the first and the last layer and evenly spaced ones between them: number ``i``
    is layer ``i * (depth - 1) / (num_layers - 1)``, rounded to the nearest, halves up. A single
    layer is the first. 6 of 12 are those that DistilBERT was made from.

    Args:
        depth: Layers of the teacher.
        num_layers: Layers of the student.
        how: Which of them.

    Raises:
        ArchitectureError: If the teacher does not have so many, or none is asked for.
    """
    if not 1 <= num_layers <= depth:
        raise ArchitectureError(
            f"num_layers must be between 1 and the teacher's {depth}, but got {num_layers}; "
            "change it, or take a deeper teacher"
        )
    if how is LayerChoice.FIRST or (how is LayerChoice.SPREAD and num_layers == 1):
        return tuple(range(num_layers))
    if how is LayerChoice.LAST:
        return tuple(range(depth - num_layers, depth))
    gaps = num_layers - 1
    return tuple((2 * i * (depth - 1) + gaps) // (2 * gaps) for i in range(num_layers))


def choose_cut(
    teacher: SlimBertForQuestionAnswering,
    *,
    kept_layers: Sequence[int],
    heads_per_layer: Sequence[int],
    ffn_per_layer: Sequence[int],
    importance: Importance,
) -> Cut:
    """Return the cut that keeps the most important heads and neurons of the given layers.

    Of two equally important ones the earlier is kept. What is kept for a number of heads is kept
    for any larger number too; likewise neurons.

    Args:
        teacher: The model to cut from.
        kept_layers: Indices of its layers, ascending.
        heads_per_layer: For each of them, how many heads to keep.
        ffn_per_layer: For each of them, how many neurons to keep.
        importance: What to go by: `magnitude`, `first` or a `random_order`.

    Raises:
        ArchitectureError: If a layer does not have so many, or a student cannot have so few.
    """
    kept_heads, kept_neurons = [], []
    for layer, heads, neurons in zip(kept_layers, heads_per_layer, ffn_per_layer, strict=True):
        _check_layer(teacher, layer, heads=heads, neurons=neurons)
        scores = importance(teacher, layer)
        kept_heads.append(_most_important(scores.heads, heads))
        kept_neurons.append(_most_important(scores.neurons, neurons))
    return Cut(
        kept_layers=tuple(kept_layers),
        kept_heads=tuple(kept_heads),
        kept_neurons=tuple(kept_neurons),
    )


def slice_student(
    teacher: SlimBertForQuestionAnswering,
    cut: Cut,
    *,
    hidden_dropout: float,
    attention_dropout: float,
    qa_dropout: float,
) -> SlimBertForQuestionAnswering:
    """Return a student made of copies of the teacher's weights, in evaluation mode.

    Its configuration records the teacher, the layers and the heads; not the neurons, which are
    thousands of numbers that follow from the teacher and the importance.

    Args:
        teacher: The model to cut from; it stays as it is.
        cut: What to keep of it.
        hidden_dropout: Dropout probability of embeddings and layer outputs.
        attention_dropout: Dropout probability of attention weights.
        qa_dropout: Dropout probability before the question-answering head.

    Raises:
        ArchitectureError: If the cut keeps what the teacher does not have.
    """
    for layer, heads, neurons in zip(
        cut.kept_layers, cut.kept_heads, cut.kept_neurons, strict=True
    ):
        _check_layer(teacher, layer, heads=max(heads, default=-1) + 1, neurons=max(neurons) + 1)
    changes = {
        "heads_per_layer": [len(heads) for heads in cut.kept_heads],
        "ffn_per_layer": [len(neurons) for neurons in cut.kept_neurons],
        "hidden_dropout_prob": hidden_dropout,
        "attention_probs_dropout_prob": attention_dropout,
        "qa_dropout": qa_dropout,
        "kept_layers": list(cut.kept_layers),
        "kept_heads": [list(heads) for heads in cut.kept_heads],
        "teacher": teacher.config.name_or_path,
    }
    config = SlimBertConfig.from_dict({**teacher.config.to_dict(), **changes})
    config.name_or_path = ""
    return SlimBertForQuestionAnswering.from_state_dict(config, _sliced(teacher, cut))


def _sliced(teacher: SlimBertForQuestionAnswering, cut: Cut) -> dict[str, Tensor]:
    """Return the student's weights by the student's names."""
    state = teacher.state_dict()
    sliced = {name: tensor for name, tensor in state.items() if ".encoder.layer." not in name}
    for new, old in enumerate(cut.kept_layers):
        prefix = f"bert.encoder.layer.{old}."
        units = _units(cut.kept_heads[new], teacher.config.head_dim)
        neurons = torch.tensor(cut.kept_neurons[new])
        for name, tensor in state.items():
            if name.startswith(prefix):
                part = name.removeprefix(prefix)
                kept = _slice(part, tensor, units=units, neurons=neurons)
                sliced[f"bert.encoder.layer.{new}.{part}"] = kept
    return sliced


def _units(heads: Sequence[int], head_dim: int) -> Tensor:
    """Return the indices of the heads' rows in query, key and value."""
    starts = torch.tensor(heads, dtype=torch.long) * head_dim
    return (starts[:, None] + torch.arange(head_dim)).flatten()


def _slice(part: str, tensor: Tensor, *, units: Tensor, neurons: Tensor) -> Tensor:
    """Return what is kept of one weight of a layer."""
    indices = units if part.startswith("attention.") else neurons
    match part.removeprefix("attention.").split("."):
        case ["self", _, _] | ["intermediate", "dense", _]:
            return tensor.index_select(0, indices.to(tensor.device))
        case ["output", "dense", "weight"]:
            return tensor.index_select(1, indices.to(tensor.device))
    return tensor


def _most_important(scores: Tensor, count: int) -> tuple[int, ...]:
    order = torch.argsort(scores, descending=True, stable=True)
    return tuple(sorted(order[:count].tolist()))


def _widths(teacher: SlimBertForQuestionAnswering, layer: int) -> tuple[int, int]:
    return teacher.config.heads_per_layer[layer], teacher.config.ffn_per_layer[layer]


def _check_layer(
    teacher: SlimBertForQuestionAnswering, layer: int, *, heads: int, neurons: int
) -> None:
    """Check that the teacher has a layer and that it is wide enough.

    Raises:
        ArchitectureError: If not.
    """
    depth = teacher.config.num_hidden_layers
    if not 0 <= layer < depth:
        raise ArchitectureError(
            f"kept layers must be between 0 and the teacher's {depth - 1}, but got {layer}; "
            "keep another, or take a deeper teacher"
        )
    most_heads, most_neurons = _widths(teacher, layer)
    for name, value, low, high in (
        ("heads", heads, 0, most_heads),
        ("ffn size", neurons, 1, most_neurons),
    ):
        if not low <= value <= high:
            raise ArchitectureError(
                f"{name} must be between {low} and the {high} of the teacher's layer {layer}, "
                f"but got {value}; change it, or take a wider teacher"
            )
