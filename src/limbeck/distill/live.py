"""A teacher that runs beside its student: what is inside it takes too much space to be stored."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from limbeck.distill.losses import hidden_loss, relation_loss
from limbeck.errors import ArchitectureError
from limbeck.students.loading import fingerprint
from limbeck.students.modeling import SlimBertForQuestionAnswering


@dataclass(frozen=True, kw_only=True)
class _Match:
    """Two modules whose outputs should be alike.

    Attributes:
        student: Module of the student.
        teacher: Module of the teacher.
        compare: Returns the loss of their outputs and the ``b x L`` mask.
        weight: Of this loss in the sum of all.
    """

    student: nn.Module
    teacher: nn.Module
    compare: Callable[[Tensor, Tensor, Tensor], Tensor]
    weight: float


class LiveTeacher:
    """Shows a student, batch by batch, the teacher's hidden states and relations.

    ::

        with live.watch(student):
            answer = student(**inputs)
            loss = span_loss(...) + live.loss(inputs)

    Hidden states are those of layers; layer ``i`` of ``S`` is matched with the teacher's layer
    ``ceil((i + 1) T / S) - 1`` of ``T``, both counted from 0, as in TinyBERT (arXiv 1909.10351).
    Relations are those among queries, among keys and among values, as in MiniLMv2 (arXiv
    2012.15828), in the last layer that has heads, of student and teacher each.

    Args:
        teacher: Put into evaluation mode, and on the student's device.
        alpha_hidden: Weight of `hidden_loss`, averaged over the student's layers.
        alpha_relation: Weight of `relation_loss`, added up over queries, keys and values.
    """

    def __init__(
        self,
        teacher: SlimBertForQuestionAnswering,
        *,
        alpha_hidden: float,
        alpha_relation: float,
    ) -> None:
        self._teacher = teacher
        self._alpha_hidden = alpha_hidden
        self._alpha_relation = alpha_relation
        self._matches: tuple[_Match, ...] = ()
        self._seen: dict[nn.Module, Tensor] = {}

    @property
    def key(self) -> str:
        """Tells live teachers apart by all that decides what they teach."""
        teacher = fingerprint(self._teacher)
        return f"{teacher}, hidden {self._alpha_hidden}, relation {self._alpha_relation}"

    @contextmanager
    def watch(self, student: SlimBertForQuestionAnswering) -> Iterator[None]:
        """Keep what `loss` needs of the student's last forward pass with gradient.

        A pass without gradient, as in an evaluation, changes nothing. Nothing is kept after `loss`.

        Args:
            student: The model itself, not what is wrapped around it for several devices.

        Raises:
            ArchitectureError: If the student and the teacher cannot be compared.
        """
        self._matches = tuple(self._match(student))
        self._teacher.to(student.device)  # type: ignore[arg-type]  # transformers' wrapper
        self._teacher.train(mode=False)
        watched = [match.student for match in self._matches]
        with _outputs(watched, with_gradient=True) as self._seen:
            yield

    def loss(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted loss, a float32 scalar, of the watched student's last forward pass.

        Args:
            inputs: What the student read; the teacher reads it in the caller's autocast.
        """
        mask = inputs["attention_mask"].bool()
        watched = [match.teacher for match in self._matches]
        with _outputs(watched, with_gradient=False) as seen:
            with torch.no_grad():
                self._teacher(**inputs)
            losses = [
                match.weight * match.compare(self._seen[match.student], seen[match.teacher], mask)
                for match in self._matches
            ]
        self._seen.clear()
        return torch.stack(losses).sum()

    def _match(self, student: SlimBertForQuestionAnswering) -> Iterator[_Match]:
        ours, theirs = student.config.vocab_size, self._teacher.config.vocab_size
        if ours != theirs:
            raise ArchitectureError(
                "a live teacher must read the tokens that its student reads, but the student's "
                f"vocabulary has {ours} and the teacher's {theirs}; keep the full vocabulary, or "
                "set alpha_hidden and alpha_relation to 0"
            )
        if self._alpha_hidden:
            yield from self._match_layers(student)
        if self._alpha_relation:
            yield from self._match_relations(student)

    def _match_layers(self, student: SlimBertForQuestionAnswering) -> Iterator[_Match]:
        ours, theirs = student.config, self._teacher.config
        if ours.hidden_size != theirs.hidden_size:
            raise ArchitectureError(
                "alpha_hidden needs a student whose hidden_size is its teacher's, but got "
                f"{ours.hidden_size} and {theirs.hidden_size}; set alpha_hidden to 0, or cut the "
                "student from a model as wide as the teacher"
            )
        depth = ours.num_hidden_layers
        for index in range(depth):
            teacher_index = math.ceil((index + 1) * theirs.num_hidden_layers / depth) - 1
            yield _Match(
                student=_layer(student, index),
                teacher=_layer(self._teacher, teacher_index),
                compare=hidden_loss,
                weight=self._alpha_hidden / depth,
            )

    def _match_relations(self, student: SlimBertForQuestionAnswering) -> Iterator[_Match]:
        index = _last_with_heads(student, "student")
        teacher_index = _last_with_heads(self._teacher, "teacher")
        most = self._teacher.config.heads_per_layer[teacher_index]
        divisor = math.gcd(_width(student, index), _width(self._teacher, teacher_index))
        relation_heads = max(heads for heads in range(1, most + 1) if divisor % heads == 0)
        for part in ("query", "key", "value"):
            name = f"attention.self.{part}"
            yield _Match(
                student=_layer(student, index).get_submodule(name),
                teacher=_layer(self._teacher, teacher_index).get_submodule(name),
                compare=partial(relation_loss, relation_heads=relation_heads),
                weight=self._alpha_relation,
            )


@contextmanager
def _outputs(
    modules: Iterable[nn.Module], *, with_gradient: bool
) -> Iterator[dict[nn.Module, Tensor]]:
    """Yield what modules last returned with gradient, or without; empty when the context ends."""
    outputs: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _arguments: object, output: Tensor) -> None:
        if torch.is_grad_enabled() == with_gradient:
            outputs[module] = output

    handles = [module.register_forward_hook(keep) for module in dict.fromkeys(modules)]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
        outputs.clear()


def _layer(model: SlimBertForQuestionAnswering, index: int) -> nn.Module:
    return model.get_submodule(f"bert.encoder.layer.{index}")


def _width(model: SlimBertForQuestionAnswering, index: int) -> int:
    return model.config.heads_per_layer[index] * model.config.head_dim


def _last_with_heads(model: SlimBertForQuestionAnswering, name: str) -> int:
    """Return the last layer that has heads.

    Raises:
        ArchitectureError: If there is none.
    """
    heads = model.config.heads_per_layer
    if not any(heads):
        raise ArchitectureError(
            f"alpha_relation needs a {name} with at least 1 head, but its layers have {heads}; "
            "give one of them a head, or set alpha_relation to 0"
        )
    return max(index for index, count in enumerate(heads) if count)
