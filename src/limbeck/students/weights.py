"""The weights of a student: what is copied, what is approximated and what is new."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering

_LAYERS = "bert.encoder.layer."
_WORDS = "bert.embeddings.word_embeddings."


def copied_weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return all weights but those of the layers and of the word embeddings."""
    return {
        name: tensor for name, tensor in state.items() if not name.startswith((_LAYERS, _WORDS))
    }


def layer_weights(
    state: dict[str, Tensor], layer: int, *, units: Tensor, neurons: Tensor
) -> dict[str, Tensor]:
    """Return what is kept of a layer's weights, by their names within the layer.

    Args:
        state: All weights of the model that the layer belongs to.
        layer: Its index.
        units: Rows of query, key and value to keep, in their new order.
        neurons: Feed-forward neurons to keep, in their new order.
    """
    prefix = f"{_LAYERS}{layer}."
    parts = {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
    return {
        part: _slice(part, tensor, units=units, neurons=neurons) for part, tensor in parts.items()
    }


def new_layer_weights(config: SlimBertConfig, layer: int, *, seed: int) -> dict[str, Tensor]:
    """Return the weights of a layer that nothing is known of, by their names within the layer.

    Matrices are normal with the configuration's `initializer_range`, biases 0, layer norms the
    identity: BERT's own initialization. They depend on the seed, the layer and its widths alone.

    Args:
        config: That of the model that the layer belongs to.
        layer: Its index.
        seed: Of the matrices.
    """
    with torch.device("meta"):
        shapes = SlimBertForQuestionAnswering(config).bert.encoder.layer[layer].state_dict()
    generator = np.random.default_rng((seed, layer))
    weights = {}
    for part, shape in shapes.items():
        if part.endswith("LayerNorm.weight"):
            weights[part] = torch.ones(shape.shape)
        elif part.endswith("bias"):
            weights[part] = torch.zeros(shape.shape)
        else:
            normal = generator.standard_normal(tuple(shape.shape), dtype=np.float32)
            weights[part] = torch.from_numpy(normal) * config.initializer_range
    return weights


def word_weights(
    state: dict[str, Tensor], *, tokens: Sequence[int] | None, rank: int
) -> dict[str, Tensor]:
    """Return the word embeddings of some tokens, of a rank of choice, by their names in the model.

    A lower rank than the model's gives the nearest table of that rank, by the sum of squared
    differences over the kept tokens: the truncated singular value decomposition (Eckart and Young,
    1936). The right singular vectors are eigenvectors of the table's Gram matrix, found in double
    precision; there is no chance in it.

    Args:
        state: All weights of the model; its embeddings may be of low rank themselves.
        tokens: The kept tokens in their new order; None for all.
        rank: Of the result; 0 for one table that is no product.
    """
    own = {
        name.removeprefix(_WORDS): tensor
        for name, tensor in state.items()
        if name.startswith(_WORDS)
    }
    words, projection = own["weight"], own.get("projection.weight")
    if tokens is not None:
        words = words.index_select(0, torch.tensor(tokens, device=words.device))
    if rank == (0 if projection is None else projection.shape[1]):
        factors = own | {"weight": words}
    else:
        # On a CPU, for not every device knows double precision.
        table = words.cpu().double()
        if projection is not None:
            table = table @ projection.cpu().double().T
        factors = _factored(table, rank) if rank else {"weight": table}
    return {f"{_WORDS}{name}": factor.to(words.dtype) for name, factor in factors.items()}


def _factored(table: Tensor, rank: int) -> dict[str, Tensor]:
    """Return ``V x rank`` and ``E x rank`` factors of the best approximation of a ``V x E`` table.

    The columns of the second are orthonormal.
    """
    _, vectors = torch.linalg.eigh(table.T @ table)  # eigenvalues ascend
    projection = vectors[:, -rank:]
    return {"weight": table @ projection, "projection.weight": projection}


def _slice(part: str, tensor: Tensor, *, units: Tensor, neurons: Tensor) -> Tensor:
    """Return what is kept of one weight of a layer."""
    indices = (units if part.startswith("attention.") else neurons).to(tensor.device)
    match part.removeprefix("attention.").split("."):
        case ["self", _, _] | ["intermediate", "dense", _]:
            return tensor.index_select(0, indices)
        case ["output", "dense", "weight"]:
            return tensor.index_select(1, indices)
    return tensor
