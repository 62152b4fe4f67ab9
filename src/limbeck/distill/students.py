"""The students of a study: how large they are before they are made, and how they are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from limbeck.config import StudentSettings, StudyConfig, split_layer
from limbeck.distill.device import Device
from limbeck.distill.importance import (
    GradientScores,
    choose_cut_in_rounds,
    gradient_scores,
)
from limbeck.distill.live import LiveTeacher
from limbeck.errors import ArchitectureError, ConfigError, ModelError
from limbeck.space import Choice, Parameter, Parameters, Value
from limbeck.students.checkpoint import is_fine_tuned, read_shape
from limbeck.students.layers import choose_layers, parse_layers
from limbeck.students.loading import (
    check_weights,
    load_encoder,
    load_teacher,
    load_tokenizer,
)
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import (
    Shape,
    count_parameters,
    known_metrics,
)
from limbeck.students.slicing import (
    Dropouts,
    Importance,
    Width,
    choose_cut,
    first,
    magnitude,
    random_order,
    slice_student,
)
from limbeck.students.vocabulary import kept_tokens, trim_tokenizer
from limbeck.tasks.question_answering.features import Features


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that students with a trimmed vocabulary have.

    Attributes:
        kept: Their ids in the teacher's vocabulary, ascending.
        tokenizer: Makes them, numbered from 0 in this order.
    """

    kept: tuple[int, ...]
    tokenizer: PreTrainedTokenizerFast


class Students:
    """What a study file's [student] and the parameters of a run ask for.

    Args:
        config: The study file.
        tokenizer: The teacher's.
        teacher: Loads the fine-tuned teacher.
        features: Returns the training windows: they decide which tokens and which heads matter.
        device: Where gradients are computed.
        cache: Folder in which importances are kept.
        progress: Called with what is being prepared, and how much of it is done and in all.
    """

    def __init__(
        self,
        config: StudyConfig,
        tokenizer: PreTrainedTokenizerFast,
        *,
        teacher: Callable[[], SlimBertForQuestionAnswering],
        features: Callable[[], Features],
        device: Device,
        cache: Path,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._config = config
        self._tokenizer = tokenizer
        self._teacher = teacher
        self._features = features
        self._device = device
        self._cache = cache
        self._progress = progress
        self._shapes: dict[str, Shape] = {}

    def known(self, parameters: Parameters) -> dict[str, float]:
        """Return the metrics that follow from the parameters, exactly.

        Raises:
            ArchitectureError: If there can be no such student.
        """
        return known_metrics(self._shape(parameters), length=self._config.file.data.max_length)

    def check_shape(self, parameters: Parameters) -> None:
        """Check that there can be such a student; no data are needed for it.

        Raises:
            ArchitectureError: If not.
        """
        self._cut_shape(parameters, vocab_size=None)

    def build(self, parameters: Parameters) -> SlimBertForQuestionAnswering:
        """Return the untrained student.

        Raises:
            ArchitectureError: If there can be no such student.
            ModelError: If the model that it is cut from cannot be loaded, or does not read what the
                teacher reads.
        """
        settings, recipe = self._config.student(parameters), self._config.recipe(parameters)
        shape = self._shape(parameters)
        source = self._source(settings, seed=recipe.seed)
        cut = choose_cut_in_rounds(
            source,
            shape,
            kept_layers=self._kept_layers(settings),
            measure=partial(self._importance, settings),
            rounds=settings.importance_rounds,
            kept_tokens=self._kept_tokens(settings),
        )
        student = slice_student(
            source,
            cut,
            dropouts=Dropouts(
                hidden=recipe.dropout, attention=recipe.attention_dropout, qa=recipe.qa_dropout
            ),
            initializer_range=settings.initializer_range,
            seed=recipe.seed,
        )
        built = sum(parameter.numel() for parameter in student.parameters())
        assert built == count_parameters(shape), (built, shape)
        return student

    def live_teacher(self, parameters: Parameters) -> LiveTeacher | None:
        """Return the teacher whose inside the recipe has a student imitate; None if it has none."""
        recipe = self._config.recipe(parameters)
        if not (recipe.alpha_hidden or recipe.alpha_relation):
            return None
        teacher, tokens = self._teacher(), self._kept_tokens(self._config.student(parameters))
        if tokens is not None:
            teacher = self._with_tokens(teacher, tokens)
        return LiveTeacher(
            teacher, alpha_hidden=recipe.alpha_hidden, alpha_relation=recipe.alpha_relation
        )

    def tokenizer(self, parameters: Parameters) -> PreTrainedTokenizerFast:
        """Return the tokenizer of a student."""
        trimmed = self._config.student(parameters).vocabulary == "train"
        return self.vocabulary.tokenizer if trimmed else self._tokenizer

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the training questions, and what keeps every other text readable."""
        kept = kept_tokens(self._tokenizer, self._features().input_ids)
        return Vocabulary(kept, trim_tokenizer(self._tokenizer, kept))

    def implied(self, parameter: Parameter) -> Value:
        """Return the baseline's value of a parameter that the study file leaves open.

        Raises:
            ArchitectureError: If there can be no such student.
            ConfigError: If nothing says what it is.
        """
        if parameter.inert:
            return parameter.decode((0.0,) * parameter.width)
        match split_layer(parameter.name):
            case "weights", _:
                return self._config.file.teacher.model
            case "num_layers", _:
                return len(self._widths({}))
            case "num_heads", layer:
                return self._width(layer).heads
            case "ffn_size", layer:
                return self._width(layer).neurons
            case name, _:
                raise ConfigError(
                    f"the baseline needs a value of every searched parameter, but {name} has none; "
                    "set it in [student] or [recipe]"
                )

    def possible(self, name: str) -> set[Value | None]:
        """Return the values that a setting of the student has in the study's runs."""
        searched = [p for p in self._config.parameters if p.name == name and not p.inert]
        possible: set[Value | None] = {
            choice for p in searched if isinstance(p, Choice) for choice in p.choices
        }
        if all(p.when for p in searched):  # Not always is there one that says it.
            possible.add(getattr(self._config.file.student, name))
        return possible

    def check_sources(self) -> None:
        """Check that whatever students may be cut from reads what the teacher reads.

        Raises:
            ConfigError: If windows are longer than it can read.
            ModelError: If it cannot be found, or has another vocabulary: the teacher's logits would
                be those of other tokens.
        """
        for model in self._models():
            self._check_source(model)

    def measure(self) -> None:
        """Measure importances that the students are cut by: one pass for all that share a source.

        Raises:
            DivergedError: If one is not finite.
        """
        if self.possible("importance").isdisjoint(("fisher", "first_order")):
            return
        for model in self._models():
            settings = self._config.student({"weights": model})
            self._gradient_scores(self._source(settings, seed=self._config.file.recipe.seed))

    def _models(self) -> list[str]:
        teacher = self._config.file.teacher.model
        return sorted({str(model or teacher) for model in self.possible("weights")})

    def _shape(self, parameters: Parameters) -> Shape:
        tokens = self._kept_tokens(self._config.student(parameters))
        return self._cut_shape(parameters, vocab_size=None if tokens is None else len(tokens))

    def _cut_shape(self, parameters: Parameters, *, vocab_size: int | None) -> Shape:
        settings, widths = self._config.student(parameters), self._widths(parameters)
        return self._source_shape(settings).student(
            heads_per_layer=[width.heads for width in widths],
            ffn_per_layer=[width.neurons for width in widths],
            kept_layers=self._kept_layers(settings),
            embedding_rank=settings.embedding_rank,
            vocab_size=vocab_size,
        )

    def _width(self, layer: int | None) -> Width:
        """Return the baseline's width: of the first layer for all, of the last if too deep."""
        widths = self._widths({})
        return widths[min(layer or 0, len(widths) - 1)]

    def _widths(self, parameters: Parameters) -> list[Width]:
        """Return how wide the student's layers are; no data are needed for it."""
        settings, live = self._config.student(parameters), self._config.live(parameters)
        source, kept = self._source_shape(settings), self._kept_layers(settings)
        num_layers = self._num_layers(settings)

        def widths(name: str, given: int | list[int] | None, own: Sequence[int]) -> list[int]:
            if given is None:
                given = [own[layer] for layer in kept] + [max(own)] * (num_layers - len(kept))
            if isinstance(given, int):
                given = [given] * num_layers
            if len(given) != num_layers:
                raise ArchitectureError(
                    f"{name} must be one number or {num_layers}, one for each layer, but got "
                    f"{given}; change it"
                )
            return [int(live.get(f"{name}_{i}", width)) for i, width in enumerate(given)]

        heads = widths("num_heads", settings.num_heads, source.heads_per_layer)
        neurons = widths("ffn_size", settings.ffn_size, source.ffn_per_layer)
        return [Width(*width) for width in zip(heads, neurons, strict=True)]

    def _num_layers(self, settings: StudentSettings) -> int:
        """Return the student's depth; half of its source's if nothing says it."""
        listed = parse_layers(settings.layers) or ()
        half = (self._source_shape(settings).num_layers + 1) // 2
        return settings.num_layers or len(listed) or half

    def _kept_layers(self, settings: StudentSettings) -> tuple[int, ...]:
        depth = self._source_shape(settings).num_layers
        return choose_layers(depth, self._num_layers(settings), settings.layers)

    def _kept_tokens(self, settings: StudentSettings) -> tuple[int, ...] | None:
        return self.vocabulary.kept if settings.vocabulary == "train" else None

    def _with_tokens(
        self, teacher: SlimBertForQuestionAnswering, tokens: tuple[int, ...]
    ) -> SlimBertForQuestionAnswering:
        """Return the teacher as it is, but for tokens that the student does not have."""
        shape = Shape.from_config(teacher.config.to_dict())
        cut = choose_cut(
            teacher,
            replace(shape, vocab_size=len(tokens)),
            kept_layers=range(shape.num_layers),
            importance=first,
            kept_tokens=tokens,
        )
        return slice_student(teacher, cut, dropouts=Dropouts())

    def _model(self, settings: StudentSettings) -> str:
        return settings.weights or self._config.file.teacher.model

    def _source_shape(self, settings: StudentSettings) -> Shape:
        model = self._model(settings)
        if model not in self._shapes:
            self._shapes[model] = read_shape(self._config.model_path(model))
        return self._shapes[model]

    def _source(self, settings: StudentSettings, *, seed: int) -> SlimBertForQuestionAnswering:
        """Return the model that a student is cut from; with a new answer head if it has none.

        Whoever names the teacher's model means the teacher, fine-tuned.
        """
        model = self._model(settings)
        if model == self._config.file.teacher.model:
            return self._teacher()
        self._check_source(model)
        path = self._config.model_path(model)
        if is_fine_tuned(path):
            return load_teacher(path)
        return load_encoder(path, seed=seed, initializer_range=settings.initializer_range)

    def _check_source(self, model: str) -> None:
        path = self._config.model_path(model)
        check_length(self._config, path)
        check_weights(path)
        if model == self._config.file.teacher.model:
            return
        if load_tokenizer(path).get_vocab() != self._tokenizer.get_vocab():
            raise ModelError(
                "students must be cut from a model with the teacher's vocabulary, but "
                f"{model!r} has another; take one with the same tokens"
            )

    def _importance(
        self, settings: StudentSettings, source: SlimBertForQuestionAnswering
    ) -> Importance:
        match settings.importance:
            case "magnitude":
                return magnitude
            case "first":
                return first
            case "random":
                return random_order(settings.pruning_seed)
            case "fisher" | "first_order":
                return self._gradient_scores(source).importance(settings.importance)

    def _gradient_scores(self, source: SlimBertForQuestionAnswering) -> GradientScores:
        def show(done: int, total: int) -> None:
            if self._progress:
                self._progress("measuring importance", done, total)

        scores = gradient_scores(
            source, self._features(), device=self._device, cache=self._cache, progress=show
        )
        _in_main_memory(source)
        return scores


def check_length(config: StudyConfig, model: str) -> None:
    """Check that a model can read the windows.

    Args:
        config: The study file.
        model: Folder or hub id.

    Raises:
        ConfigError: If not.
    """
    longest = read_shape(model).max_position_embeddings
    if config.file.data.max_length > longest:
        raise ConfigError(
            f"data.max_length must not exceed the {longest} positions of {model}, but got "
            f"{config.file.data.max_length}; lower it"
        )


def _in_main_memory(model: SlimBertForQuestionAnswering) -> SlimBertForQuestionAnswering:
    model.to(torch.device("cpu"))  # type: ignore[arg-type]  # transformers' wrapper
    return model
