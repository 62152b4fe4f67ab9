"""What a run answered beside others, graded once for all visitors."""

from functools import lru_cache
from threading import Lock

from limbeck.analysis.mistakes import (
    BASELINE,
    TEACHER,
    Answers,
    Examination,
    answers_digest,
    examine,
    has_answers,
    run_answers,
    teacher_answers,
)
from limbeck.analysis.results import StudyResults
from limbeck.dashboard.site import Site
from limbeck.errors import ConfigError, NotFoundError

_KEPT = 6
"""Examinations in memory."""


class Examinations:
    """Grades answers, the same ones once; any number of threads may use it.

    Args:
        site: The dashboard.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = Lock()
        self._graded = lru_cache(maxsize=_KEPT)(self._grade)

    def of(self, results: StudyResults, number: int, against: str) -> Examination:
        """Return what a run answered, the model that it is against first among the others.

        Args:
            results: The study.
            number: Of the run.
            against: ``baseline``, ``teacher``, the number of another run; empty for the baseline,
                or the teacher if there is none.

        Raises:
            NotFoundError: If the run, or the study, has no answers or questions.
            ConfigError: If it is to be against itself, or nobody that there is.
            DataError: If answers or questions cannot be read, or do not fit together.
        """
        if results.config is None:
            raise NotFoundError(f"study {results.name!r} has no study file, and so no questions")
        others = _others(results, number, against)
        left = tuple((each, answers_digest(results.run(each))) for each in (number, *others))
        with self._lock:
            text = self._site.reader.store.study(results.name).config
            return self._graded(results.name, left, text, against == TEACHER)

    def _grade(
        self, study: str, left: tuple[tuple[int, str], ...], _text: str, teacher_first: bool
    ) -> Examination:
        results, home = self._site.reader.results(study), self._site.reader.home
        model, *others = (run_answers(study, results.run(number), home) for number, _ in left)
        teacher = teacher_answers(study, home)
        if teacher_first and teacher is None:
            raise ConfigError(
                f"the teacher of {study!r} was not examined; limbeck search does it when it goes "
                "on with the study"
            )
        last: list[Answers] = [teacher] if teacher else []
        order = [*last, *others] if teacher_first else [*others, *last]
        return examine([model, *order], self._site.reader.questions(study))


def _others(results: StudyResults, number: int, against: str) -> list[int]:
    """Return the runs that a run is graded with, the one that it is against first.

    Raises:
        ConfigError: If this is no other run.
        NotFoundError: If there is no such run.
    """
    baseline = results.baseline
    usual = [0] if baseline and number != 0 and has_answers(baseline) else []
    if against in ("", TEACHER, BASELINE) and not (against == BASELINE and not usual):
        return usual
    if not (against == BASELINE or (against.isascii() and against.isdecimal())):
        raise ConfigError(
            f"a run is compared with baseline, teacher or the number of a run, but got "
            f"{against[:40]!r}"
        )
    other = 0 if against == BASELINE else int(against[:9])
    if other == number:
        raise ConfigError(f"run {number} must be compared with another model than itself")
    return list(dict.fromkeys([results.run(other).number, *usual]))
