"""A tiny teacher and its windows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from limbeck.distill.device import Device
from limbeck.distill.logits import TeacherLogits
from limbeck.distill.predict import predict_logits
from limbeck.distill.training import Lesson
from limbeck.students.loading import load_teacher
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.features import Features
from tests.tiny import tiny_features, tiny_questions, write_tiny_teacher

# Matrices this small gain nothing from a second thread, and lose much where another test has it.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def questions() -> QuestionSet:
    """Of 24 questions, 6 have no answer."""
    return tiny_questions(24, seed=1)


@pytest.fixture(scope="session")
def features(questions: QuestionSet, tmp_path_factory: pytest.TempPathFactory) -> Features:
    """49 windows of 20 to 32 tokens."""
    return tiny_features(questions, cache=tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 3 layers."""
    return write_tiny_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture
def teacher(teacher_folder: Path) -> SlimBertForQuestionAnswering:
    """What the folder holds, anew for each test."""
    return load_teacher(str(teacher_folder))


@pytest.fixture
def lesson(teacher: SlimBertForQuestionAnswering, features: Features) -> Lesson:
    """The windows with the teacher's answers."""
    cpu = Device(torch.device("cpu"), torch.float32)
    logits = predict_logits(teacher, features, device=cpu).astype(np.float16)
    return Lesson(features=features, teacher_logits=TeacherLogits(key="tiny", values=logits))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Where a run is saved, if it is."""
    return tmp_path / "checkpoint.safetensors"
