"""What runs answered to the questions of their study, graded once and kept."""

from collections.abc import Sequence
from functools import lru_cache

from limbeck.analysis.mistakes import Examination, answers_digest, examine, run_answers
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.site import Site
from limbeck.errors import NotFoundError


class Examined:
    """Grades answers, of the same runs once.

    Args:
        site: The dashboard.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
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
        return examine(answers, self._site.reader.questions(study))
