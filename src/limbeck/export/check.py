"""Whether an exported student answers real questions as the student itself does."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import AutoModelForQuestionAnswering, PreTrainedModel, PreTrainedTokenizerFast

from limbeck.config import DataSettings
from limbeck.distill.device import Device
from limbeck.distill.predict import predict_logits
from limbeck.students.loading import load_tokenizer
from limbeck.tasks.question_answering.answers import best_answers
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.features import load_features
from limbeck.tasks.question_answering.scoring import per_question
from limbeck.tasks.question_answering.windows import Lengths

TOLERANCE = 1e-3
"""Most that a score of the exported student may differ: a hundred times what rounding does."""

INT8_MARGIN = 1.0
"""Points of exact match that quantization may cost before a warning says so."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a model answered.

    Attributes:
        texts: Answer by question id; empty for "no answer".
        scores: Score of the best span by question id; minus infinity if there is none.
        null_odds: Score of "no answer" minus that, likewise.
    """

    texts: Mapping[str, str]
    scores: Mapping[str, float]
    null_odds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How an exported student answered, beside the student itself.

    Attributes:
        questions: How many both were asked.
        different: Ids of the questions with another answer, ties left out.
        ties: Questions with another answer that the student scores alike, but for rounding.
        largest_difference: Of a score of a best span, or of null odds.
        student_exact: Exact match of the student, in percent.
        exact: That of the exported one.
        error: Standard error of the difference of these two, in percentage points; the questions
            are the same, so it is that of their mean difference. None with fewer than two.
    """

    questions: int
    different: tuple[str, ...]
    ties: int
    largest_difference: float
    student_exact: float
    exact: float
    error: float | None

    @property
    def drop(self) -> float:
        """Points of exact match that the export has cost."""
        return self.student_exact - self.exact

    @property
    def is_equal(self) -> bool:
        """Whether both answered alike."""
        return not self.different and self.largest_difference <= TOLERANCE


def answers_of_torch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: QuestionSet,
    data: DataSettings,
    *,
    gives_null: bool,
) -> Given:
    """Return what a PyTorch model answers, as it is scored in a study, on the CPU in float32.

    Args:
        model: Any with start and end logits.
        tokenizer: Its.
        questions: What is asked.
        data: How windows are cut.
        gives_null: Whether it may answer nothing.
    """
    lengths = Lengths(data.max_length, data.doc_stride, data.max_query_length)
    with TemporaryDirectory() as cache:
        features = load_features(questions, tokenizer.backend_tokenizer, lengths, cache=Path(cache))
        device = Device(torch.device("cpu"), torch.float32)
        logits = predict_logits(model, features, device=device)  # type: ignore[arg-type]
        found = best_answers(
            questions,
            features,
            logits[:, 0],
            logits[:, 1],
            max_answer_length=data.max_answer_length,
            n_best=1,
            null_threshold=0.0 if gives_null else None,
        )
    scores = {key: best[0].score if best else -math.inf for key, best in found.n_best.items()}
    return Given(texts=found.texts, scores=scores, null_odds=found.null_odds)


def answers_of_folder(
    folder: Path, questions: QuestionSet, data: DataSettings, *, gives_null: bool
) -> Given:
    """Return what the student of a Hugging Face folder answers; no code in it is run.

    Raises:
        ModelError: If the folder cannot be read.
    """
    model = AutoModelForQuestionAnswering.from_pretrained(folder, trust_remote_code=False)
    tokenizer = load_tokenizer(str(folder))
    return answers_of_torch(model, tokenizer, questions, data, gives_null=gives_null)


def compare(questions: QuestionSet, student: Given, exported: Given) -> Comparison:
    """Return how an exported student's answers compare with the student's own.

    Another answer is a tie if both models score their best spans and "no answer" alike: rounding
    has decided between two spans, or between a span and "no answer".

    Args:
        questions: What both were asked.
        student: What the student answered.
        exported: What the exported one did.
    """
    differences = {key: _difference(student, exported, key) for key in student.texts}
    others = [key for key, text in student.texts.items() if exported.texts[key] != text]
    ties = [key for key in others if differences[key] <= TOLERANCE]
    one = per_question(questions, student.texts).exact
    other = per_question(questions, exported.texts).exact
    count = len(questions)
    error = float(np.std(one - other, ddof=1)) / math.sqrt(count) if count > 1 else None
    return Comparison(
        questions=count,
        different=tuple(key for key in others if key not in ties),
        ties=len(ties),
        largest_difference=max(differences.values()),
        student_exact=100 * float(one.mean()),
        exact=100 * float(other.mean()),
        error=None if error is None else 100 * error,
    )


def _difference(student: Given, exported: Given, key: str) -> float:
    """Return how far the scores of a question are apart; 0 where both are the same infinity."""
    pairs = (
        (student.scores[key], exported.scores[key]),
        (student.null_odds[key], exported.null_odds[key]),
    )
    return max(0.0 if one == other else abs(one - other) for one, other in pairs)
