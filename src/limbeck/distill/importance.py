"""Which heads and neurons matter to the loss, measured by its gradients on training windows.

Every head and every neuron is multiplied by a mask of 1, and one backward pass tells how fast the
loss of each window changes with each mask. Both scores are means over the windows:

- first order: the absolute derivative, which is how much the loss changes without the part, to
  first order. Source: Michel, Levy and Neubig, "Are Sixteen Heads Really Better than One?" (arXiv
  1905.10650), eq. (2).
- Fisher: the squared derivative, which is the diagonal of the masks' empirical Fisher information.
  Source: Kwon et al., "A Fast Post-Training Pruning Framework for Transformers" (arXiv 2204.09656),
  section 4.1.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limbeck.distill.batches import length_sorted_batches
from limbeck.distill.device import Device
from limbeck.distill.losses import span_loss
from limbeck.distill.predict import model_inputs
from limbeck.errors import DataError, DivergedError
from limbeck.files import whole_file
from limbeck.students.loading import fingerprint
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape
from limbeck.students.slicing import (
    Cut,
    Dropouts,
    Importance,
    Scores,
    Width,
    choose_cut,
    first,
    slice_student,
)
from limbeck.tasks.question_answering.features import Batch, Features, pad

Kind: TypeAlias = Literal["first_order", "fisher"]

TOKENS_PER_BATCH = 2048
"""Of a forward and a backward pass; bounds the memory of what is kept between the two."""

_FORMAT = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class GradientScores:
    """How much the loss depends on the parts of a model.

    Attributes:
        first_order: Mean absolute derivatives, layer by layer.
        fisher: Mean squared derivatives, layer by layer.
    """

    first_order: tuple[Scores, ...]
    fisher: tuple[Scores, ...]

    def importance(self, kind: Kind) -> Importance:
        """Return the scores of one kind, for cutting the model that they were measured on."""
        scores = self.fisher if kind == "fisher" else self.first_order
        return lambda _, layer: scores[layer]


def gradient_scores(
    model: SlimBertForQuestionAnswering,
    features: Features,
    *,
    device: Device,
    cache: Path,
    windows: int = 512,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> GradientScores:
    """Return the scores of all heads and neurons, from one pass that serves every size.

    The loss is the cross entropy of the labelled answers, without dropout.

    Args:
        model: Moved to the device and put into evaluation mode; its weights stay as they are.
        features: The training windows.
        device: Where to compute what is not in the cache.
        cache: Folder in which scores are kept, under a key of all that they follow from.
        windows: How many of the windows to look at; all if there are no more.
        seed: Decides which.
        progress: Called with windows done and in all, only if scores have to be computed.

    Raises:
        DataError: If the cached file is damaged.
        DivergedError: If a score is not finite.
    """
    made_from = (_FORMAT, fingerprint(model), features.key, windows, seed, device.dtype)
    key = hashlib.sha256(repr(made_from).encode()).hexdigest()[:16]
    path = cache / f"importance-{key}.safetensors"
    if not path.exists():
        if device.dtype is torch.float16:  # too narrow for derivatives that nothing scales up
            device = replace(device, dtype=torch.float32)
        chosen = np.random.default_rng(seed).permutation(len(features))[:windows]
        scores = _measure(model, features, chosen, device=device, progress=progress)
        with whole_file(path) as file:
            save_file(scores, file)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path}: cached scores must be whole, but {error}; delete it") from error
    layers = range(model.config.num_hidden_layers)
    first_order, fisher = (
        tuple(Scores(tensors[f"{kind}/heads/{i}"], tensors[f"{kind}/neurons/{i}"]) for i in layers)
        for kind in ("first_order", "fisher")
    )
    return GradientScores(first_order=first_order, fisher=fisher)


def choose_cut_in_rounds(
    source: SlimBertForQuestionAnswering,
    shape: Shape,
    *,
    kept_layers: Sequence[int],
    measure: Callable[[SlimBertForQuestionAnswering], Importance],
    rounds: int,
    kept_tokens: Sequence[int] | None = None,
) -> Cut:
    """Return a cut found in equal steps, before each of which importance is measured anew.

    What a head or neuron is worth depends on which others are there, and after many have gone the
    first measure says little about the rest. The first step drops layers too. New layers, the
    vocabulary and the rank of the embeddings come with the last. One round is `choose_cut`; with
    more, cuts to several sizes need not nest.

    Args:
        source: The model to cut from.
        shape: The student's.
        kept_layers: Indices of the source's layers, ascending.
        measure: Returns the importance of the parts of a model: first of the source, then of what
            is left of it.
        rounds: Number of steps, at least 1.
        kept_tokens: The student's vocabulary in the source's; None for all of it.

    Returns:
        The cut of the source that takes all steps at once.

    Raises:
        ArchitectureError: If no student of this shape can be cut from the source; nothing has been
            measured then.
    """
    goal = choose_cut(
        source, shape, kept_layers=kept_layers, importance=first, kept_tokens=kept_tokens
    )
    cuts: list[Cut] = []
    student, layers = source, kept_layers
    for step in _steps(source, goal, rounds):
        cut = choose_cut(student, step, kept_layers=layers, importance=measure(student))
        student, layers = slice_student(student, cut, dropouts=Dropouts()), range(len(layers))
        cuts.append(cut)
    last = choose_cut(
        student, shape, kept_layers=layers, importance=measure(student), kept_tokens=kept_tokens
    )
    return reduce(_joined, [*cuts, last])


def _steps(source: SlimBertForQuestionAnswering, goal: Cut, rounds: int) -> list[Shape]:
    """Return the shapes between the source and the cut that is the goal, the widest first."""
    shape = Shape.from_config(source.config.to_dict())
    widths = [
        (Width(shape.heads_per_layer[layer], shape.ffn_per_layer[layer]), end)
        for layer, end in zip(goal.kept_layers, goal.widths, strict=False)
    ]

    def between(start: int, end: int, left: int) -> int:
        return end + (start - end) * left // rounds

    return [
        replace(
            shape,
            heads_per_layer=tuple(between(start.heads, end.heads, left) for start, end in widths),
            ffn_per_layer=tuple(between(start.neurons, end.neurons, left) for start, end in widths),
        )
        for left in range(rounds - 1, 0, -1)
    ]


def _joined(before: Cut, after: Cut) -> Cut:
    """Return the cut that does what two do one after the other; the earlier one adds nothing."""

    def kept(
        earlier: tuple[tuple[int, ...], ...], later: tuple[tuple[int, ...], ...]
    ) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(earlier[layer][index] for index in indices)
            for layer, indices in zip(after.kept_layers, later, strict=True)
        )

    return replace(
        after,
        kept_layers=tuple(before.kept_layers[layer] for layer in after.kept_layers),
        kept_heads=kept(before.kept_heads, after.kept_heads),
        kept_neurons=kept(before.kept_neurons, after.kept_neurons),
    )


def _measure(
    model: SlimBertForQuestionAnswering,
    features: Features,
    chosen: NDArray[np.int64],
    *,
    device: Device,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Tensor]:
    """Return the scores under names such as ``fisher/heads/3``, each a vector in float64.

    Raises:
        DivergedError: If one is not finite.
    """
    model.to(device.torch_device)  # type: ignore[arg-type]  # transformers' wrapper
    model.train(mode=False)
    sums: dict[str, Tensor] = {}
    done = 0
    with _frozen(model):
        for places in length_sorted_batches(features.lengths[chosen], tokens=TOKENS_PER_BATCH):
            batch = pad(features, chosen[places], pad_token_id=model.config.pad_token_id or 0)
            for part, gradient in _gradients(model, batch, device).items():
                gradients = gradient.cpu().double()
                for kind, values in (("first_order", gradients.abs()), ("fisher", gradients**2)):
                    name = f"{kind}/{part}"
                    sums[name] = sums.get(name, 0) + values.sum(dim=0)
            done += len(places)
            if progress:
                progress(done, len(chosen))
    if not all(values.isfinite().all() for values in sums.values()):
        raise DivergedError("the importance of every part must be finite, but of some it is not")
    return {name: values / len(chosen) for name, values in sums.items()}


def _gradients(
    model: SlimBertForQuestionAnswering, batch: Batch, device: Device
) -> dict[str, Tensor]:
    """Return each window's derivatives of its loss by the masks of heads and of neurons.

    Returns:
        For each layer ``i`` a ``b x heads`` tensor ``heads/i`` and a ``b x neurons`` one.
    """
    size = len(batch.input_ids)
    inputs = model_inputs(batch, device)
    with _masked(model, size) as masks, device.autocast():
        answer = model(**inputs)
    positions = np.stack([batch.start_positions, batch.end_positions], axis=1)
    loss = span_loss(
        torch.stack([answer.start_logits, answer.end_logits], dim=-1).float(),
        device.tensor(positions),
        inputs["attention_mask"].bool(),
        teacher=None,
        alpha_ce=0.0,
        temperature=1.0,
    )
    # The sum of the windows' losses: each window has masks of its own, which no other depends on.
    gradients = torch.autograd.grad(loss * size, list(masks.values()), materialize_grads=True)
    return dict(zip(masks, gradients, strict=True))


@contextmanager
def _masked(model: SlimBertForQuestionAnswering, size: int) -> Iterator[dict[str, Tensor]]:
    """Multiply all heads and neurons by masks of ones while the block lasts; yield the masks.

    Args:
        model: Whose parts they are.
        size: Windows in the batch; each has a row in every mask.
    """
    masks, hooks = {}, []
    config = model.config
    for layer, widths in enumerate(zip(config.heads_per_layer, config.ffn_per_layer, strict=True)):
        for name, module, count, units in (
            ("heads", "attention.output.dense", widths[0], config.head_dim),
            ("neurons", "output.dense", widths[1], 1),
        ):
            mask = torch.ones((size, count), device=model.device, requires_grad=True)
            linear = model.get_submodule(f"bert.encoder.layer.{layer}.{module}")
            hooks.append(linear.register_forward_pre_hook(partial(_multiply, mask, units)))
            masks[f"{name}/{layer}"] = mask
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.remove()


def _multiply(mask: Tensor, units: int, _: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return a ``b x L x (count * units)`` input times a ``b x count`` mask."""
    return inputs[0] * mask.repeat_interleave(units, dim=1)[:, None]


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Keep torch from storing what the gradients of the weights would need."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True
