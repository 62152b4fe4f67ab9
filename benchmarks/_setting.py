"""What all arms of the throughput benchmark share: data, study file, student."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer

from limbeck.config import load_config
from limbeck.distill.device import Device
from limbeck.distill.logits import teacher_logits
from limbeck.distill.teacher import save_model
from limbeck.distill.training import Lesson
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
TEACHER = DATA / "teachers" / "minilm-l6-squad2"
TRAIN = DATA / "squad" / "train-v2.0.rebuilt.json.gz"
DEV = DATA / "squad" / "dev-v2.0.json.gz"

# Of SQuAD 2.0 (train as rebuilt), cut into windows of 384 tokens at a stride of 128.
TRAIN_WINDOWS, TRAIN_QUESTIONS = 132_731, 131_097
DEV_QUESTIONS = 11_873


@dataclass(frozen=True)
class Scale:
    """How much smaller the benchmark is than a run on all of SQuAD 2.0.

    Attributes:
        windows: Training windows, about.
    """

    windows: int

    @property
    def factor(self) -> float:
        """Share of the training windows of SQuAD 2.0; that of its dev windows is the same."""
        return self.windows / TRAIN_WINDOWS

    @property
    def train_questions(self) -> int:
        """Questions that have about so many windows."""
        return max(1, round(self.factor * TRAIN_QUESTIONS))

    @property
    def evaluation_questions(self) -> int:
        """Questions of an evaluation during training."""
        return max(1, round(self.factor * DEV_QUESTIONS))

    def evaluations_after(self, step: int) -> int:
        """Return how many evaluations are due after a step, counted from 1.

        The original has one after every 1000 of some 49,500 steps: 49 in all, here as there.
        """
        every = 1000 * self.factor
        return int(step / every) - int((step - 1) / every)


def check_data() -> None:
    """Leave with one line if the shared data is not there."""
    for path in (TEACHER, TRAIN, DEV):
        if not path.exists():
            sys.exit(
                f"Error: the benchmark needs {path}, but there is no such file; "
                "put the project's shared data beside the repository, in ../shared"
            )


def write_study(path: Path, *, scale: Scale, questions: int) -> Path:
    """Write the study file of the timed runs: SQuAD 2.0 train, some articles held out to score on.

    Args:
        path: Where to.
        scale: How many questions are learned from, and are in an evaluation on the way.
        questions: How many the students are scored on at the end.
    """
    text = f"""
        name = "throughput"
        task = "question-answering"
        teacher.model = {json.dumps(str(TEACHER))}
        data.train = {json.dumps(str(TRAIN))}
        data.held_out = 0.1
        data.train_questions = {scale.train_questions}
        data.dev_questions = {questions}
        student.num_layers = 6
        recipe.learning_rate = 5e-5
        recipe.batch_size = 8
        recipe.epochs = 3.0
        recipe.alpha_ce = 0.5
        recipe.temperature = 2.0
        training.device = "cpu"
        training.evaluate_questions = {scale.evaluation_questions}
    """
    return _write_study(path, text)


def write_study_of_everything(path: Path, *, teacher: Path) -> Path:
    """Write the study file of a run on all train questions that ends soon after its first step."""
    text = f"""
        name = "everything"
        task = "question-answering"
        teacher.model = {json.dumps(str(teacher))}
        data.train = {json.dumps(str(TRAIN))}
        data.dev = {json.dumps(str(DEV))}
        recipe.batch_size = 8
        training.device = "cpu"
        training.log_every = 1
    """
    return _write_study(path, text)


def make_objective(study: Path, home: Path) -> Objective:
    """Return what runs the study's students, with its caches in ``home``."""
    return Objective(load_config(study), Home(home))


def save_student(objective: Objective, folder: Path) -> None:
    """Save the untrained student that all arms start from."""
    save_model(objective.students.build({}), objective.tokenizer, folder)


def lesson(objective: Objective) -> Lesson:
    """Return the windows that are learned from, and the teacher's logits."""
    features = objective.exams.train
    logits = teacher_logits(
        objective.teacher,
        features,
        device=Device.choose(objective.config.file.training),
        cache=objective.home.cache,
    )
    return Lesson(features=features, teacher_logits=logits)


def save_tiny_teacher(folder: Path) -> None:
    """Save a random teacher that answers all of SQuAD 2.0 in minutes: nonsense, but as much."""
    tokenizer = AutoTokenizer.from_pretrained(TEACHER)
    config = SlimBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=16,
        max_position_embeddings=512,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = SlimBertForQuestionAnswering(config)
    save_model(teacher, tokenizer, folder)


def _write_study(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    common = """
        metrics.HasAns_exact.role = "optimize"
        space.learning_rate = { type = "float", low = 1e-6, high = 1e-3, log = true }
    """
    path.write_text(text + common, encoding="utf-8")
    return path
