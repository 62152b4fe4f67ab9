"""The questions of a study, cut into windows: to learn from, to be scored on, and a sample."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from limbeck.config import StudyConfig
from limbeck.distill.evaluation import Exam
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.features import load_features
from limbeck.tasks.question_answering.sources import load_questions
from limbeck.tasks.question_answering.windows import Lengths


class Exams:
    """What a study file's [data] names, read when it is first asked for.

    Args:
        config: The study file.
        tokenizer: The teacher's.
        cache: Folder in which windows are kept.
        progress: Called with what is being cut, and how much of it is done and in all.

    Raises:
        DataError: When asked for questions that are broken.
    """

    def __init__(
        self,
        config: StudyConfig,
        tokenizer: Tokenizer,
        *,
        cache: Path,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._config = config
        self._data = config.file.data
        self._tokenizer = tokenizer
        self._cache = cache
        self._progress = progress

    @cached_property
    def train(self) -> Exam:
        """The questions that students learn from."""
        questions = self._read(self._data.train) if self._data.dev else self._split[1]
        return self._exam("train", self._subset(questions, self._data.train_questions))

    @cached_property
    def dev(self) -> Exam:
        """The questions that students are scored on."""
        questions = self._read(self._data.dev) if self._data.dev else self._split[0]
        return self._exam("dev", self._subset(questions, self._data.dev_questions))

    @cached_property
    def sample(self) -> Exam:
        """The fixed dev questions that score a model on the way."""
        count = self._config.file.training.evaluate_questions
        return self._exam("some dev", self._subset(self.dev.questions, count))

    @cached_property
    def _split(self) -> tuple[QuestionSet, QuestionSet]:
        """The articles held out of the train questions, and the others."""
        questions = self._read(self._data.train)
        return questions.split_by_article(self._data.held_out, seed=self._data.seed)

    def _read(self, source: str) -> QuestionSet:
        return load_questions(source, base=self._config.folder)

    def _subset(self, questions: QuestionSet, count: int | None) -> QuestionSet:
        return questions if count is None else questions.sample(count, seed=self._data.seed)

    def _exam(self, name: str, questions: QuestionSet) -> Exam:
        def show(done: int, total: int) -> None:
            if self._progress:
                self._progress(f"cutting {name} questions into windows", done, total)

        lengths = Lengths(
            max_length=self._data.max_length,
            doc_stride=self._data.doc_stride,
            max_query_length=self._data.max_query_length,
        )
        features = load_features(
            questions, self._tokenizer, lengths, cache=self._cache, progress=show
        )
        return Exam(questions, features)
