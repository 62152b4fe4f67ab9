"""A model's answers to a set of questions, scored as the official script would."""

import time
from dataclasses import dataclass

from limbeck.config import DataSettings
from limbeck.distill.device import Device
from limbeck.distill.predict import predict_logits
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.answers import best_answers
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.features import Features
from limbeck.tasks.question_answering.scoring import score_with_errors


@dataclass(frozen=True)
class Exam:
    """Questions and their windows."""

    questions: QuestionSet
    features: Features


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a model made of an exam.

    Attributes:
        answers: Text per question id; empty where no answer scored higher than the null answer.
        null_odds: Per question id, how far the null answer's score is above the best answer's.
        scores: The official scores of ``answers``, and what the best threshold on ``null_odds``
            would make of them (``best_exact``, ``best_f1`` and where).
        errors: Standard errors of the scores that have one, in percentage points; see
            `limbeck.tasks.question_answering.scoring.Scores`.
        seconds: Wall time of the forward passes over all windows, with the making of their batches.
    """

    answers: dict[str, str]
    null_odds: dict[str, float]
    scores: dict[str, float]
    errors: dict[str, float]
    seconds: float


def examine(
    model: SlimBertForQuestionAnswering, exam: Exam, settings: DataSettings, *, device: Device
) -> Result:
    """Let a model answer all questions and score it.

    Where every question has an answer (SQuAD 1.1), the null answer is never given.

    Args:
        model: Answers ``start_logits`` and ``end_logits``.
        exam: The questions.
        settings: The longest answer.
        device: Where to compute.
    """
    start = time.perf_counter()
    logits = predict_logits(model, exam.features, device=device)
    seconds = time.perf_counter() - start
    found = best_answers(
        exam.questions,
        exam.features,
        logits[:, 0],
        logits[:, 1],
        max_answer_length=settings.max_answer_length,
        n_best=1,
        null_threshold=None,
    )
    answers = found.texts
    if exam.questions.has_unanswerable:
        answers = {key: "" if found.null_odds[key] > 0 else text for key, text in answers.items()}
    best = score_with_errors(exam.questions, found.texts, na_probs=found.null_odds)
    given = score_with_errors(exam.questions, answers)
    return Result(
        answers=answers,
        null_odds=found.null_odds,
        scores=given.values | _of_best(best.values),
        errors=given.errors | _of_best(best.errors),
        seconds=seconds,
    )


def _of_best(named: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in named.items() if name.startswith("best_")}
