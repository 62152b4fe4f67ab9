"""What the tests of students share."""

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor
from transformers import PreTrainedModel

from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from limbeck.students.shape import Shape

IDS = torch.tensor([[2, 17, 5, 33, 9, 3, 28], [2, 11, 39, 3, 0, 0, 0]])
MASK = (IDS != 0).long()


def fill(shapes: Mapping[str, Tensor], *, seed: int) -> dict[str, Tensor]:
    """Return random weights, biases and layer norms included, in the shapes of given ones."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(tensor.shape, generator=generator) * 0.3
        for name, tensor in shapes.items()
    }


def randomize(model: PreTrainedModel, *, seed: int) -> PreTrainedModel:
    """Give a model random weights and return it in evaluation mode."""
    model.load_state_dict(fill(model.state_dict(), seed=seed))
    model.train(mode=False)
    return model


def filled(config: SlimBertConfig, *, seed: int) -> SlimBertForQuestionAnswering:
    """Return a model with random weights, in evaluation mode."""
    with torch.device("meta"):
        shapes = SlimBertForQuestionAnswering(config).state_dict()
    return SlimBertForQuestionAnswering.from_state_dict(config, fill(shapes, seed=seed))


def config_of(shape: Shape) -> SlimBertConfig:
    """Return the configuration of a model of a shape."""
    per_layer = {
        "heads_per_layer": list(shape.heads_per_layer),
        "ffn_per_layer": list(shape.ffn_per_layer),
    }
    return SlimBertConfig.from_dict({**asdict(shape), **per_layer})


def logits(
    model: PreTrainedModel, *, ids: Tensor = IDS, token_types: Tensor | None = None
) -> Tensor:
    """Return the ``2 x 2 x 7`` start and end logits for two inputs, the second one padded."""
    types = {} if token_types is None else {"token_type_ids": token_types}
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=MASK, **types)
    return torch.stack([output.start_logits, output.end_logits])


def largest_difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())
