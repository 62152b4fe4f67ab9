"""The questions of a study: to learn from, to be scored on, and a sample."""

from functools import cached_property

from limbeck.config import StudyConfig
from limbeck.errors import ConfigError
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.sources import load_questions


class Questions:
    """What a study file's [data] names, read when it is first asked for.

    Args:
        config: The study file.

    Raises:
        DataError: When asked for questions that are broken.
    """

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._data = config.file.data
        self._held_out: QuestionSet | None = None

    @property
    def train(self) -> QuestionSet:
        """What students learn from; read anew each time, for windows are all that is needed."""
        questions = self._read(self._data.train)
        if self._data.dev is None:
            self._held_out, questions = self._split(questions)
        return self._subset(questions, self._data.train_questions)

    @cached_property
    def dev(self) -> QuestionSet:
        """What decides between students, and between the weights of one."""
        if self._data.dev:
            questions = self._read(self._data.dev)
        else:
            questions = self._held_out or self._split(self._read(self._data.train))[0]
        return self._subset(questions, self._data.dev_questions)

    @cached_property
    def scored(self) -> QuestionSet:
        """What scores the students: `dev`, or test questions, which decide nothing."""
        if self._data.score_on == "dev":
            return self.dev
        assert self._data.test, "checked when the study file was read"
        return self._subset(self._read(self._data.test), self._data.test_questions)

    def check_test(self) -> None:
        """Check that the questions that score have selected nothing.

        Raises:
            ConfigError: If students learn from some of them, or are chosen by them.
        """
        scored = {question.id for question in self.scored.questions}
        for name, questions in (("data.dev", self.dev), ("data.train", self.train)):
            shared = sum(question.id in scored for question in questions.questions)
            if shared:
                raise ConfigError(
                    f"test questions must select nothing, but {shared} of {len(scored)} are among "
                    f"those of {name}; name others"
                )

    @cached_property
    def sample(self) -> QuestionSet:
        """Those of `dev` that score a model on the way: always the same."""
        return self._subset(self.dev, self._config.file.training.evaluate_questions)

    @cached_property
    def first(self) -> QuestionSet | None:
        """Those of `dev` that a trained student answers first; None if it answers all at once."""
        count = self._data.first_questions
        if count is None or self._data.score_on == "test":
            return None
        return self._subset(self.dev, count)

    def _split(self, questions: QuestionSet) -> tuple[QuestionSet, QuestionSet]:
        """Return the articles held out of the train questions, and the others."""
        return questions.split_by_article(self._data.held_out, seed=self._data.seed)

    def _read(self, source: str) -> QuestionSet:
        return load_questions(source, base=self._config.folder)

    def _subset(self, questions: QuestionSet, count: int | None) -> QuestionSet:
        return questions if count is None else questions.sample(count, seed=self._data.seed)
