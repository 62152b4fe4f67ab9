"""Parameters in, outcome out: the one place where search and training meet."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from limbeck.artifacts import WEIGHTS, register
from limbeck.config import (
    OVERALL_SCORES,
    StudyConfig,
    with_teacher,
)
from limbeck.distill.device import Device
from limbeck.distill.distributed import join
from limbeck.distill.evaluation import Exam, Result, examine
from limbeck.distill.exams import Exams
from limbeck.distill.logits import TeacherLogits, teacher_logits
from limbeck.distill.students import Students, check_length
from limbeck.distill.teacher import save_model, teach
from limbeck.distill.thresholds import settle_thresholds, warn_of_low_thresholds
from limbeck.distill.training import Lesson, Reporter, train
from limbeck.environment import write_origin
from limbeck.errors import (
    ConfigError,
    InfeasibleError,
    ModelError,
    OutOfMemoryError,
    ParameterError,
    StoppedError,
)
from limbeck.files import whole_folder, write_json
from limbeck.home import Home
from limbeck.measure import PeakResident, latency, peak_memory
from limbeck.metrics import optimized
from limbeck.questions import Questions
from limbeck.reference import Reference, write_reference
from limbeck.runs import Forecast, Outcome, RunState
from limbeck.space import Parameter, Parameters, SearchSpace, Value
from limbeck.students.checkpoint import is_fine_tuned, read_shape
from limbeck.students.loading import load_teacher, load_tokenizer
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape, known_metrics
from limbeck.tasks.question_answering.windows import Lengths

NeedsAll: TypeAlias = Callable[[Mapping[str, Forecast]], bool]
"""Given what a student's scores on all questions would be: whether it has to answer all."""


class Objective:
    """What a study file asks for: distils the student of any parameters, scores and measures it.

    Its ``config`` is the study file with what that leaves to the teacher and the questions.

    Making one reads no more than the teacher's configuration and, for a threshold that depends on
    them, the questions that score; all else is loaded when it is first needed.

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
        self.home = home
        self._progress = progress
        self._model_path = config.model_path(config.file.teacher.model)
        self.questions = Questions(config)
        largest = _largest(read_shape(self._model_path))
        self.config = settle_thresholds(with_teacher(config, largest), self.questions)
        check_length(self.config, self._model_path)

    @cached_property
    def space(self) -> SearchSpace:
        """The searched parameters."""
        return self.config.space

    @cached_property
    def baseline(self) -> dict[str, Value]:
        """The study file's own value of every searched parameter that is active: the first run.

        Raises:
            ArchitectureError: If there can be no such student.
            ConfigError: If one that follows from the teacher lies outside its range, or nothing
                says what it is; or a constraint is broken.
        """

        def value_of(parameter: Parameter) -> Value:
            given = self.config.default(parameter.name)
            return self.students.implied(parameter) if given is None else given

        values = self.space.complete(value_of)
        try:
            baseline = self.space.validate(values)
        except ParameterError as error:
            raise ConfigError(
                f"the baseline must lie in the search space: {error}; set its value in [student] "
                "or [recipe], or widen the range"
            ) from error
        violated = self.space.violated(baseline)
        if violated is not None:
            raise ConfigError(
                f"the baseline must keep the constraints of the search space, but {baseline} "
                f"breaks {violated!r}; set its values in [student] or [recipe]"
            )
        return baseline

    def known(self, parameters: Parameters) -> dict[str, float]:
        """Return the metrics that follow from the parameters, exactly and without training.

        Raises:
            ArchitectureError: If there can be no such student.
        """
        return self.students.known(parameters)

    def prepare(self, reporter: Reporter) -> None:
        """Make all that the runs share: features, the teacher if there is none, its logits.

        What is already there is not made again.

        Raises:
            DataError: If the questions are broken.
            ConfigError: If students are to be cut from a model that reads shorter windows.
            ModelError: If the teacher cannot be loaded, or students are to be cut from a model
                that has another vocabulary.
            DivergedError: If fine-tuning the teacher diverged.
        """
        self.students.check_sources()
        self.teach(reporter)
        warn_of_low_thresholds(self.config, self.questions)
        with join(self._device).main_first():
            _ = self._teacher_logits
            self.students.measure()
            if "train" in self.students.possible("vocabulary"):
                _ = self._trimmed_exams.scored
            self._examine_teacher()

    def teach(self, reporter: Reporter) -> str:
        """Fine-tune the teacher if the study starts from a plain encoder; return its folder or id.

        Raises:
            DataError: If the questions are broken.
            ModelError: If the encoder cannot be loaded.
            DivergedError: If the loss is no longer finite.
        """
        # Broken questions are to be met before the training, not after it.
        with join(self._device).main_first():
            if self.config.file.data.dev:
                _ = self.questions.scored  # To cut those that are learned from takes long.
            train_windows, _ = self.exams.train, self.exams.scored
        if not (is_fine_tuned(self._model_path) or self._taught_folder.is_dir()):
            teach(
                self._model_path,
                self.tokenizer,
                train_windows,
                self.config.file.teacher.recipe,
                self.config.file.training,
                folder=self._taught_folder,
                reporter=reporter,
                evaluate=partial(self._evaluate_on_the_way, self.exams),
            )
        return self.teacher_path

    def __call__(
        self,
        parameters: Parameters,
        folder: Path,
        reporter: Reporter,
        *,
        needs_all: NeedsAll | None = None,
    ) -> Outcome:
        """Distil, score and measure one student.

        Args:
            parameters: Any of the searchable ones; the rest as the study file has it.
            folder: Where checkpoint, model and predictions go; a checkpoint there is gone on from.
            reporter: Hears how training goes, and may end it.
            needs_all: Asked about what data.first_questions tell, if the study file sets them.

        Returns:
            A *finished* outcome, an *infeasible* one with its reason, or a *stopped* one if the
            reporter ended the run; anything else that goes wrong is raised. A process that only
            helps another one train (see `limbeck.distill.distributed`) returns a finished outcome
            without values.
        """
        start = time.perf_counter()
        try:
            return self._run(parameters, folder, reporter, needs_all)
        except StoppedError:
            return Outcome(state=RunState.STOPPED, seconds=time.perf_counter() - start)
        except InfeasibleError as error:
            return _infeasible(error, seconds=time.perf_counter() - start)
        except (torch.OutOfMemoryError, MemoryError) as error:
            lack = OutOfMemoryError(f"the run must fit into the device's memory: {error}")
            return _infeasible(lack, seconds=time.perf_counter() - start)

    def examine(self, model: SlimBertForQuestionAnswering) -> Result:
        """Return what a model with the teacher's vocabulary makes of the questions that score."""
        return self._examine(model, self.exams.scored)

    @property
    def teacher_path(self) -> str:
        """Folder or hub id of the fine-tuned teacher."""
        if is_fine_tuned(self._model_path):
            return self._model_path
        return str(self._taught_folder)

    @cached_property
    def exams(self) -> Exams:
        """The questions that are learned from and scored on, as the teacher reads them."""
        return self._exams(self.tokenizer)

    @cached_property
    def students(self) -> Students:
        """What the study's students are cut from, and how."""
        return Students(
            self.config,
            self.tokenizer,
            teacher=lambda: self.teacher,
            features=lambda: self.exams.train,
            device=self._device,
            cache=self.home.cache,
            progress=self._progress,
        )

    @property
    def teacher(self) -> SlimBertForQuestionAnswering:
        """The fine-tuned teacher, loaded anew each time: students train without it in memory."""
        return load_teacher(self.teacher_path)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The teacher's."""
        return load_tokenizer(self._model_path)

    def _run(
        self,
        parameters: Parameters,
        folder: Path,
        reporter: Reporter,
        needs_all: NeedsAll | None,
    ) -> Outcome:
        start = time.perf_counter()
        if join(self._device).is_main:
            write_origin(
                folder,
                self.config,
                parameters,
                baseline=self.baseline,
                device=self._device.torch_device,
                dtype=self._device.dtype,
            )
        known = self.known(parameters)
        with join(self._device).main_first():
            student = self.students.build(parameters)
            exams = self._exams_of(parameters)
        recipe = self.config.recipe(parameters)
        lesson = Lesson(
            features=exams.train,
            teacher_logits=self._teacher_logits if recipe.alpha_ce > 0 else None,
            live=self.students.live_teacher(parameters),
        )
        with PeakResident(self._device.torch_device) as peak:
            train_seconds = train(
                student,
                lesson,
                recipe,
                self.config.file.training,
                checkpoint=folder / "checkpoint.safetensors",
                reporter=reporter,
                evaluate=partial(self._evaluate_on_the_way, exams),
                best_by=self._best_by,
            )
        if not join(self._device).is_main:
            return Outcome(state=RunState.FINISHED, seconds=time.perf_counter() - start)
        result, forecasts = self._final_exam(student, exams, needs_all)
        save_model(student, self.students.tokenizer(parameters), folder / WEIGHTS)
        measured = self._measure(student, folder)
        if peak.bytes is not None:
            # On CUDA, the weights came onto the device while the peak was watched.
            before = 0 if self._device.torch_device.type == "cuda" else known["bytes"]
            measured["train_memory_bytes"] = peak.bytes + before
        _write_answers(result, folder)
        names = (WEIGHTS, "predictions.json", "null_odds.json", "latency.json", "memory.json")
        return Outcome(
            state=RunState.FINISHED,
            values={
                **result.scores,
                **known,
                **measured,
                "inference_time": result.seconds,
                "train_seconds": train_seconds,
            },
            errors=result.errors,
            forecasts=forecasts,
            artifacts=tuple(register(name, folder / name) for name in names),
            seconds=time.perf_counter() - start,
        )

    def _measure(self, student: SlimBertForQuestionAnswering, folder: Path) -> dict[str, float]:
        """Return what serving costs; write how it was measured. It may move the student."""
        length = self.config.file.data.max_length
        memory = peak_memory(student, length=length)
        served = self.config.file.latency
        times = latency(
            student.cpu() if served.on_cpu else student,
            length=length,
            runtime=served.runtime,
            threads=served.threads,
        )
        write_json(folder / "latency.json", asdict(times))
        write_json(folder / "memory.json", asdict(memory))
        return {
            "latency_ms": times.p50_ms,
            "latency_p90_ms": times.p90_ms,
            "memory_bytes": float(memory.bytes),
        }

    def _examine_teacher(self) -> None:
        """Score and measure the teacher, once, as its students will be."""
        folder = self.home.teacher(self.config.file.name)
        if folder.is_dir():
            return
        model = self.teacher
        known = known_metrics(
            Shape.from_config(model.config.to_dict()), length=self.config.file.data.max_length
        )
        with whole_folder(folder) as unfinished:
            result = self.examine(model)
            _write_answers(result, unfinished)
            values = {**result.scores, **known, **self._measure(model, unfinished)}
            write_reference(unfinished, Reference(values=values, errors=result.errors))

    def _exams_of(self, parameters: Parameters) -> Exams:
        """Return the questions as a student reads them."""
        trimmed = self.config.student(parameters).vocabulary == "train"
        return self._trimmed_exams if trimmed else self.exams

    @cached_property
    def _trimmed_exams(self) -> Exams:
        """The questions as students with a trimmed vocabulary read them.

        It has all tokens of the training questions, so that their windows are the teacher's, token
        by token, and its logits fit.

        Raises:
            ModelError: If the windows are others.
        """
        vocabulary, full = self.students.vocabulary, self.exams.train
        exams = self._exams(vocabulary.tokenizer)
        tokens = np.asarray(vocabulary.kept)[exams.train.input_ids]
        if not np.array_equal(tokens, full.input_ids):
            raise ModelError(
                'vocabulary = "train" needs a tokenizer that reads the train questions as before '
                "when it has no other tokens, but that of the teacher does not: it has characters "
                'that are no tokens; set vocabulary = "full"'
            )
        return exams

    def _exams(self, tokenizer: PreTrainedTokenizerFast) -> Exams:
        data = self.config.file.data
        lengths = Lengths(
            max_length=data.max_length,
            doc_stride=data.doc_stride,
            max_query_length=data.max_query_length,
        )
        return Exams(
            self.questions,
            tokenizer.backend_tokenizer,
            lengths,
            cache=self.home.cache,
            progress=self._progress,
        )

    def _final_exam(
        self, student: SlimBertForQuestionAnswering, exams: Exams, needs_all: NeedsAll | None
    ) -> tuple[Result, dict[str, Forecast]]:
        """Return what a student makes of all questions, or of a first few if these will do.

        In the latter case, there are forecasts of the scores on all of them.
        """
        if needs_all is not None and exams.first is not None:
            first = self._examine(student, exams.first)
            forecasts = self._forecasts(first, questions=len(exams.first.questions.questions))
            if not needs_all(forecasts):
                return first, forecasts
        return self._examine(student, exams.scored), {}

    def _forecasts(self, first: Result, *, questions: int) -> dict[str, Forecast]:
        """Return what scores on some of the questions say of those on all.

        The sample is a part of all, without replacement: that takes from the standard error
        (Cochran, "Sampling Techniques", 3rd edition, 1977, section 2.6).
        """
        others = 1 - questions / len(self.questions.scored.questions)
        return {
            name: Forecast(mean=first.scores[name], std=error * math.sqrt(others))
            for name, error in first.errors.items()
            if error > 0 and others > 0
        }

    def _examine(self, model: SlimBertForQuestionAnswering, exam: Exam) -> Result:
        return examine(model, exam, self.config.file.data, device=self._device)

    def _evaluate_on_the_way(
        self, exams: Exams, model: SlimBertForQuestionAnswering
    ) -> dict[str, float]:
        scores = self._examine(model, exams.sample).scores
        return {name: scores[name] for name in _ON_THE_WAY if name in scores}

    @property
    def _best_by(self) -> str:
        """The score that tells the best weights: the first optimized one, else ``exact``."""
        scores = [metric.name for metric in optimized(self.config.metrics)]
        return next((name for name in scores if name in _ON_THE_WAY), "exact")

    @cached_property
    def _teacher_logits(self) -> TeacherLogits:
        return teacher_logits(
            self.teacher,
            self.exams.train,
            device=self._device,
            cache=self.home.cache,
            progress=self._show,
        )

    def _show(self, done: int, total: int) -> None:
        if self._progress:
            self._progress("asking the teacher", done, total)

    @property
    def _taught_folder(self) -> Path:
        recipe = self.config.file.teacher.recipe
        made_from = f"{self._model_path} {recipe} {self.exams.train.key}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:12]
        return self.home.teachers / f"{Path(self._model_path).name}-{key}"

    @property
    def _device(self) -> Device:
        return Device.choose(self.config.file.training)


_ON_THE_WAY = (
    *OVERALL_SCORES,
    *("HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1"),
)


def _write_answers(result: Result, folder: Path) -> None:
    for name, content in (("predictions", result.answers), ("null_odds", result.null_odds)):
        write_json(folder / f"{name}.json", content)


def _largest(shape: Shape) -> dict[str, int]:
    return {
        "num_layers": shape.num_layers,
        "num_heads": max(shape.heads_per_layer),
        "ffn_size": max(shape.ffn_per_layer),
    }


def _infeasible(error: InfeasibleError, *, seconds: float) -> Outcome:
    return Outcome(
        state=RunState.INFEASIBLE, reason=error.reason, message=str(error), seconds=seconds
    )
