"""What runs answered to the questions of their study, graded once and kept."""

from collections.abc import Sequence
from functools import lru_cache

from limbeck.analysis.mistakes import PREDICTIONS, Examination, examine, run_answers
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.site import Site
from limbeck.errors import NotFoundError
from limbeck.questions import Questions
from limbeck.runs import Run
from limbeck.tasks.question_answering.dataset import QuestionSet


class Examined:
    """Grades answers, of the same runs once.

    Args:
        site: The dashboard.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._questions = lru_cache(maxsize=2)(self._read_questions)
        self._graded = lru_cache(maxsize=8)(self._grade)

    def of(self, results: StudyResults, numbers: Sequence[int]) -> Examination:
        """Return what runs answered, the first of them against the others.

        Raises:
            NotFoundError: If none of them, or not the study, has what it takes.
            DataError: If answers or questions cannot be read, or do not fit together.
        """
        runs = [results.run(number) for number in numbers]
        left = tuple((run.number, digest) for run in runs if (digest := answers_digest(run)))
        if not left:
            raise NotFoundError("none of these runs has left answers")
        return self._graded(results.name, left)

    def _grade(self, study: str, left: tuple[tuple[int, str], ...]) -> Examination:
        results = self._site.reader.results(study)
        home = self._site.reader.home
        answers = [run_answers(study, results.run(number), home) for number, _ in left]
        text = self._site.reader.store.study(study).config
        return examine(answers, self._questions(study, text))

    def _read_questions(self, study: str, _text: str) -> QuestionSet:
        config = self._site.reader.results(study).config
        if config is None:
            raise NotFoundError(f"study {study!r} has no study file, and so no questions")
        return Questions(config).scored


def answers_digest(run: Run) -> str:
    """Return the digest of a run's answers; empty if it has left none."""
    return next((left.sha256 for left in run.artifacts if left.name == PREDICTIONS), "")
