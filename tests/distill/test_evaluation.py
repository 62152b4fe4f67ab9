import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from limbeck.config import DataSettings
from limbeck.distill.device import Device
from limbeck.distill.evaluation import Exam, examine
from limbeck.errors import DivergedError
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet
from limbeck.tasks.question_answering.features import Features
from limbeck.tasks.question_answering.scoring import score, score_with_errors
from tests.tiny import tiny_features

CPU = Device(torch.device("cpu"), torch.float32)
SETTINGS = DataSettings(train="train.json", dev="dev.json", max_answer_length=4)


@dataclass
class Logits:
    start_logits: Tensor
    end_logits: Tensor


class Oracle(nn.Module):
    """Knows the gold span of every window; points at the first token where there is none.

    A logit is 10 at the right place and 0 elsewhere; ``caution`` is added to both at the first
    token.
    """

    def __init__(self, features: Features, *, caution: float = 0.0) -> None:
        super().__init__()
        self.config = SimpleNamespace(pad_token_id=0)
        self.caution = caution
        self.spans = {
            tuple(features.input_ids[features.starts[i] : features.starts[i + 1]].tolist()): (
                int(features.start_position[i]),
                int(features.end_position[i]),
            )
            for i in range(len(features))
        }

    @override
    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Logits:
        logits = torch.zeros(*input_ids.shape, 2)
        logits[:, 0] = self.caution
        for row, (ids, mask) in enumerate(zip(input_ids, attention_mask, strict=True)):
            for side, place in enumerate(self.spans[tuple(ids[mask.bool()].tolist())]):
                logits[row, place, side] += 10.0
        return Logits(logits[..., 0], logits[..., 1])


def oracle(features: Features, *, caution: float = 0.0) -> SlimBertForQuestionAnswering:
    return cast(SlimBertForQuestionAnswering, Oracle(features, caution=caution))


@pytest.fixture
def answerable(tmp_path: Path) -> Exam:
    """Three questions as in SQuAD 1.1, with answers of one to three words."""
    context = "the king of spain is bob and then ada . it rains and then it snows"
    questions = QuestionSet(
        tuple(
            Question(
                id=text,
                title="spain",
                context=context,
                question=f"who is {text} ?",
                answers=(Answer(text, context.index(text)),),
            )
            for text in ("ada", "of spain", "it rains and")
        )
    )
    return Exam(questions, tiny_features(questions, cache=tmp_path))


@pytest.fixture
def exam(questions: QuestionSet, features: Features) -> Exam:
    """Of 24 questions, 6 have no answer."""
    return Exam(questions, features)


def test_model_that_knows_all_scores_100(exam: Exam) -> None:
    result = examine(oracle(exam.features), exam, SETTINGS, device=CPU)
    assert result.answers == {
        question.id: question.answers[0].text if question.answers else ""
        for question in exam.questions.questions
    }
    assert result.scores["exact"] == result.scores["f1"] == 100.0
    assert result.scores["best_exact"] == result.scores["best_f1"] == 100.0
    # Both logits of the right span are 10, and so are both of "no answer" where that is right.
    assert set(result.null_odds.values()) == {-20.0, 20.0}


def test_answers_of_several_words_are_cut_out_of_the_context(answerable: Exam) -> None:
    result = examine(oracle(answerable.features), answerable, SETTINGS, device=CPU)
    assert result.answers == {text: text for text in ("ada", "of spain", "it rains and")}


def test_overcautious_model_is_saved_by_the_best_threshold(exam: Exam) -> None:
    # 11 more for each logit of "no answer" puts all null odds above 0, in the right order.
    result = examine(oracle(exam.features, caution=11.0), exam, SETTINGS, device=CPU)
    assert set(result.answers.values()) == {""}
    assert result.scores["exact"] == result.scores["f1"] == 25.0
    assert result.scores["best_exact"] == result.scores["best_f1"] == 100.0
    assert result.scores["best_exact_thresh"] == 2.0
    assert set(result.null_odds.values()) == {2.0, 42.0}


def test_reckless_model_is_saved_too(exam: Exam) -> None:
    result = examine(oracle(exam.features, caution=-11.0), exam, SETTINGS, device=CPU)
    assert "" not in result.answers.values()
    assert result.scores["HasAns_exact"] == 100.0
    assert result.scores["exact"] < 80.0
    assert result.scores["best_exact"] == 100.0


def test_where_all_questions_have_answers_none_is_left_empty(answerable: Exam) -> None:
    cautious = oracle(answerable.features, caution=100.0)
    result = examine(cautious, answerable, SETTINGS, device=CPU)
    assert result.scores["exact"] == 100.0
    assert min(result.null_odds.values()) > 0


def test_answers_may_not_be_longer_than_the_settings_say(answerable: Exam) -> None:
    settings = SETTINGS.model_copy(update={"max_answer_length": 1})
    result = examine(oracle(answerable.features), answerable, settings, device=CPU)
    assert all(len(answer.split()) == 1 for answer in result.answers.values())


def test_scores_are_those_of_the_official_script_for_the_same_answers(
    exam: Exam, teacher: SlimBertForQuestionAnswering
) -> None:
    result = examine(teacher, exam, SETTINGS, device=CPU)
    official = score(exam.questions, result.answers)
    assert 25.0 < official["exact"] < 100.0
    own = {key: value for key, value in result.scores.items() if not key.startswith("best_")}
    assert own == official
    assert result.scores["best_exact"] >= official["exact"]


def test_errors_are_those_of_the_answers_and_of_the_best_threshold(
    exam: Exam, teacher: SlimBertForQuestionAnswering
) -> None:
    result = examine(teacher, exam, SETTINGS, device=CPU)
    given = score_with_errors(exam.questions, result.answers).errors
    assert {name: result.errors[name] for name in given} == given
    assert result.errors.keys() - given.keys() == {"best_exact", "best_f1"}
    assert 0 < result.errors["exact"] < 50
    # Of n questions that are right or wrong, the share says all.
    share, n = result.scores["best_exact"], len(exam.questions)
    expected = (share * (100 - share) / (n - 1)) ** 0.5
    assert result.errors["best_exact"] == pytest.approx(expected)


def test_seconds_are_those_of_the_forward_passes(exam: Exam) -> None:

    class Stopwatch(Oracle):
        began, ended = float("inf"), 0.0

        @override
        def forward(
            self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
        ) -> Logits:
            self.began = min(self.began, time.perf_counter())
            answer = super().forward(input_ids, attention_mask, token_type_ids)
            self.ended = time.perf_counter()
            return answer

    model = Stopwatch(exam.features)
    start = time.perf_counter()
    result = examine(cast(SlimBertForQuestionAnswering, model), exam, SETTINGS, device=CPU)
    assert model.ended - model.began <= result.seconds <= time.perf_counter() - start


def test_model_whose_logits_are_no_numbers_has_diverged(
    exam: Exam, teacher: SlimBertForQuestionAnswering
) -> None:
    with torch.no_grad():
        teacher.qa_outputs.weight[0, 0] = float("nan")
    with pytest.raises(DivergedError, match="logits must be finite numbers"):
        examine(teacher, exam, SETTINGS, device=CPU)
