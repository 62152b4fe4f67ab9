"""Parameters in, outcome out: the one place where search and training meet."""

import hashlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from limbeck.config import StudentSettings, StudyConfig
from limbeck.distill.device import Device
from limbeck.distill.evaluation import Result, examine
from limbeck.distill.exams import Exams
from limbeck.distill.logits import teacher_logits
from limbeck.distill.teacher import save_model, teach
from limbeck.distill.training import Lesson, Reporter, train
from limbeck.errors import (
    ConfigError,
    InfeasibleError,
    LimbeckWarning,
    ModelError,
    OutOfMemoryError,
    ParameterError,
)
from limbeck.files import sha256, size, whole_file
from limbeck.home import Home
from limbeck.measure import latency
from limbeck.metrics import Role
from limbeck.runs import Artifact, Outcome, RunState
from limbeck.space import Parameters, SearchSpace, Value
from limbeck.students.checkpoint import find_folder, is_fine_tuned, read_shape
from limbeck.students.loading import load_teacher
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import (
    Shape,
    count_encoder_parameters,
    count_parameters,
    shape_constraints,
)
from limbeck.students.slicing import (
    Importance,
    LayerChoice,
    choose_cut,
    choose_layers,
    first,
    magnitude,
    random_order,
    slice_student,
)


class Objective:
    """What a study file asks for: distils the student of any parameters, scores and measures it.

    Making one reads no more than the teacher's configuration; data and weights are loaded when
    they are first needed.

    Args:
        config: The study file.
        home: Where caches, teachers and runs are kept.
        progress: Called with what is being prepared, and how much of it is done and in all.

    Raises:
        ModelError: If the teacher's configuration cannot be read.
        ConfigError: If windows are longer than the teacher can read.
    """

    def __init__(
        self,
        config: StudyConfig,
        home: Home,
        *,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.config = config
        self.home = home
        self._progress = progress
        self.teacher_shape = read_shape(self._model_path)
        longest = self.teacher_shape.max_position_embeddings
        if config.file.data.max_length > longest:
            raise ConfigError(
                f"data.max_length must not exceed the {longest} positions of the teacher, but got "
                f"{config.file.data.max_length}"
            )

    @cached_property
    def space(self) -> SearchSpace:
        """The searched parameters, and what the teacher rules out."""
        return SearchSpace(self.config.parameters, shape_constraints(self.teacher_shape))

    @cached_property
    def baseline(self) -> dict[str, Value]:
        """The study file's own value of every searched parameter: the first run.

        Raises:
            ConfigError: If one that follows from the teacher lies outside its range.
        """
        shape = self._shape({})
        implied = {
            "num_layers": len(shape.heads_per_layer),
            "num_heads": shape.heads_per_layer[0],
            "ffn_size": shape.ffn_per_layer[0],
        }
        values = {name: self.config.default(name) for name in self.space.names}
        complete = {name: implied[name] if v is None else v for name, v in values.items()}
        try:
            return self.space.validate(complete)
        except ParameterError as error:
            raise ConfigError(
                f"the baseline must lie in the search space: {error}; set its value in [student], "
                "or widen the range"
            ) from error

    def known(self, parameters: Parameters) -> dict[str, float]:
        """Return the metrics that follow from the parameters, exactly and in microseconds."""
        shape = self._shape(parameters)
        return {
            "num_parameters": float(count_parameters(shape)),
            "num_encoder_parameters": float(count_encoder_parameters(shape)),
        }

    def prepare(self, reporter: Reporter) -> None:
        """Make all that the runs share: features, the teacher if there is none, its logits.

        What is already there is not made again.

        Raises:
            DataError: If the questions are broken.
            ModelError: If the teacher cannot be loaded.
            DivergedError: If fine-tuning the teacher diverged.
        """
        self.teach(reporter)
        self._warn_of_low_thresholds()
        self._teacher_logits()

    def teach(self, reporter: Reporter) -> str:
        """Fine-tune the teacher if the study starts from a plain encoder; return its folder or id.

        Raises:
            DataError: If the questions are broken.
            ModelError: If the encoder cannot be loaded.
            DivergedError: If the loss is no longer finite.
        """
        # Broken dev questions are to be met before the training, not after it.
        lesson, _ = self.exams.train, self.exams.dev
        if not (is_fine_tuned(self._model_path) or self._taught_folder.is_dir()):
            teach(
                self._model_path,
                self.tokenizer,
                lesson.features,
                self.config.file.teacher.recipe,
                self.config.file.training,
                folder=self._taught_folder,
                reporter=reporter,
                evaluate=self._evaluate_on_the_way,
            )
        return self.teacher_path

    def __call__(self, parameters: Parameters, folder: Path, reporter: Reporter) -> Outcome:
        """Distil, score and measure one student.

        Args:
            parameters: Any of the searchable ones; the rest as the study file has it.
            folder: Where checkpoint, model and predictions go; a checkpoint there is gone on from.
            reporter: Hears how training goes.

        Returns:
            A *finished* outcome, or an *infeasible* one with its reason; anything else that goes
            wrong is raised.
        """
        start = time.perf_counter()
        try:
            return self._run(parameters, folder, reporter)
        except InfeasibleError as error:
            return _infeasible(error, seconds=time.perf_counter() - start)
        except torch.OutOfMemoryError as error:
            lack = OutOfMemoryError(f"the run must fit into the device's memory: {error}")
            return _infeasible(lack, seconds=time.perf_counter() - start)

    def examine(self, model: SlimBertForQuestionAnswering) -> Result:
        """Return a model's answers to all dev questions, and their scores."""
        return examine(model, self.exams.dev, self.config.file.data, device=self._device)

    @property
    def teacher_path(self) -> str:
        """Folder or hub id of the fine-tuned teacher."""
        if is_fine_tuned(self._model_path):
            return self._model_path
        return str(self._taught_folder)

    @cached_property
    def exams(self) -> Exams:
        """The questions that are learned from and scored on."""
        return Exams(
            self.config,
            self.tokenizer.backend_tokenizer,
            cache=self.home.cache,
            progress=self._progress,
        )

    @cached_property
    def teacher(self) -> SlimBertForQuestionAnswering:
        """The fine-tuned teacher."""
        return load_teacher(self.teacher_path)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The teacher's, and so every student's."""
        tokenizer = AutoTokenizer.from_pretrained(find_folder(self._model_path))
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelError(
                f"the tokenizer must be a fast one, but {self._model_path} has a "
                f"{type(tokenizer).__name__}; save it with tokenizer.json"
            )
        return tokenizer

    def _run(self, parameters: Parameters, folder: Path, reporter: Reporter) -> Outcome:
        start = time.perf_counter()
        student = self._cut(parameters)
        recipe = self.config.recipe(parameters)
        train_seconds = train(
            student,
            Lesson(
                features=self.exams.train.features,
                teacher_logits=self._teacher_logits() if recipe.alpha_ce > 0 else None,
            ),
            recipe,
            self.config.file.training,
            checkpoint=folder / "checkpoint.safetensors",
            reporter=reporter,
            evaluate=self._evaluate_on_the_way,
        )
        result = self.examine(student)
        save_model(student, self.tokenizer, folder / "model")
        for name, content in (("predictions", result.answers), ("null_odds", result.null_odds)):
            with whole_file(folder / f"{name}.json") as file:
                file.write_text(json.dumps(content), encoding="utf-8")
        measured = latency(student, length=self.config.file.data.max_length)
        with whole_file(folder / "latency.json") as file:
            file.write_text(json.dumps(asdict(measured)), encoding="utf-8")
        artifacts = tuple(
            _artifact(name, folder / name)
            for name in ("model", "predictions.json", "null_odds.json", "latency.json")
        )
        return Outcome(
            state=RunState.FINISHED,
            values={
                **result.scores,
                **self.known(parameters),
                "bytes": float(size(folder / "model" / "model.safetensors")),
                "latency_ms": measured.p50_ms,
                "train_seconds": train_seconds,
            },
            artifacts=artifacts,
            seconds=time.perf_counter() - start,
        )

    def _cut(self, parameters: Parameters) -> SlimBertForQuestionAnswering:
        """Return the untrained student of the given parameters."""
        shape = self._shape(parameters)
        settings = self.config.student(parameters)
        recipe = self.config.recipe(parameters)
        cut = choose_cut(
            self.teacher,
            kept_layers=choose_layers(
                self.teacher_shape.num_layers, shape.num_layers, LayerChoice(settings.layers)
            ),
            heads_per_layer=shape.heads_per_layer,
            ffn_per_layer=shape.ffn_per_layer,
            importance=_importance(settings),
        )
        student = slice_student(
            self.teacher,
            cut,
            hidden_dropout=recipe.dropout,
            attention_dropout=recipe.attention_dropout,
            qa_dropout=recipe.qa_dropout,
        )
        built = sum(parameter.numel() for parameter in student.parameters())
        assert built == count_parameters(shape), (built, shape)
        return student

    def _shape(self, parameters: Parameters) -> Shape:
        settings = self.config.student(parameters)
        teacher = self.teacher_shape
        heads = teacher.heads_per_layer[0] if settings.num_heads is None else settings.num_heads
        return teacher.student(
            num_layers=settings.num_layers or (teacher.num_layers + 1) // 2,
            num_heads=heads,
            ffn_size=settings.ffn_size or teacher.ffn_per_layer[0],
        )

    def _evaluate_on_the_way(self, model: SlimBertForQuestionAnswering) -> dict[str, float]:
        scores = examine(
            model, self.exams.sample, self.config.file.data, device=self._device
        ).scores
        return {name: scores[name] for name in _ON_THE_WAY if name in scores}

    def _teacher_logits(self) -> NDArray[np.float16]:
        return teacher_logits(
            self.teacher,
            self.exams.train.features,
            device=self._device,
            cache=self.home.cache,
            progress=self._show,
        )

    def _show(self, done: int, total: int) -> None:
        if self._progress:
            self._progress("asking the teacher", done, total)

    def _warn_of_low_thresholds(self) -> None:
        """Warn where answering nothing would be within a threshold on an overall score."""
        questions = self.exams.dev.questions.questions
        unanswerable = sum(not question.answerable for question in questions)
        nothing = 100 * unanswerable / len(questions)
        for metric in self.config.metrics:
            overall = metric.name in _OVERALL_SCORES and metric.role is not Role.STORE
            if not (overall and unanswerable):
                continue
            if metric.threshold is None or metric.threshold <= nothing:
                warnings.warn(
                    f"metrics.{metric.name}: answering nothing scores {nothing:.2f} on these dev "
                    f"questions; set threshold above it (it is {metric.threshold})",
                    LimbeckWarning,
                    stacklevel=2,
                )

    @property
    def _model_path(self) -> str:
        """The study file's model: a folder relative to the file, or a hub id."""
        model = self.config.file.teacher.model
        folder = self.config.folder / Path(model).expanduser()
        return str(folder) if folder.is_dir() else model

    @property
    def _taught_folder(self) -> Path:
        file = self.config.file
        made_from = f"{self._model_path} {file.teacher.recipe} {file.data}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:12]
        return self.home.teachers / f"{Path(self._model_path).name}-{key}"

    @property
    def _device(self) -> Device:
        return Device.choose(self.config.file.training)


_OVERALL_SCORES = ("exact", "f1", "best_exact", "best_f1")
_ON_THE_WAY = (
    *_OVERALL_SCORES,
    *("HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1"),
)


def _importance(settings: StudentSettings) -> Importance:
    match settings.importance:
        case "magnitude":
            return magnitude
        case "first":
            return first
        case "random":
            return random_order(settings.pruning_seed)


def _artifact(name: str, path: Path) -> Artifact:
    return Artifact(name=name, path=str(path), sha256=sha256(path), bytes=size(path))


def _infeasible(error: InfeasibleError, *, seconds: float) -> Outcome:
    return Outcome(
        state=RunState.INFEASIBLE, reason=error.reason, message=str(error), seconds=seconds
    )
