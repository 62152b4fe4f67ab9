"""The windows of a study's questions, as a model reads them."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from limbeck.distill.evaluation import Exam
from limbeck.questions import Questions
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.features import Features, load_features
from limbeck.tasks.question_answering.windows import Lengths


class Exams:
    """A study's questions as a model reads them, cut when they are first asked for.

    Args:
        questions: The questions.
        tokenizer: The model's.
        lengths: How long windows are.
        cache: Folder in which windows are kept.
        progress: Called with what is being cut, and how much of it is done and in all.
    """

    def __init__(
        self,
        questions: Questions,
        tokenizer: Tokenizer,
        lengths: Lengths,
        *,
        cache: Path,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._questions = questions
        self._tokenizer = tokenizer
        self._lengths = lengths
        self._cache = cache
        self._progress = progress

    @cached_property
    def train(self) -> Features:
        """The windows of `Questions.train`."""
        return self._cut("train", self._questions.train).features

    @cached_property
    def scored(self) -> Exam:
        """See `Questions.scored`."""
        return self._cut("scored", self._questions.scored)

    @cached_property
    def sample(self) -> Exam:
        """See `Questions.sample`."""
        return self._cut("sampled", self._questions.sample)

    @cached_property
    def first(self) -> Exam | None:
        """See `Questions.first`."""
        questions = self._questions.first
        return None if questions is None else self._cut("first", questions)

    def _cut(self, name: str, questions: QuestionSet) -> Exam:
        def show(done: int, total: int) -> None:
            if self._progress:
                self._progress(f"cutting {name} questions into windows", done, total)

        features = load_features(
            questions, self._tokenizer, self._lengths, cache=self._cache, progress=show
        )
        return Exam(questions, features)
