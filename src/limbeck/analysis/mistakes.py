"""What models answered to the questions of a study, graded: one record a question, to look through.

How to tell where the mistakes are from it, see `limbeck.analysis.mistake_tables`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from limbeck.analysis.results import StudyResults
from limbeck.artifacts import fetch
from limbeck.errors import ConfigError, DataError, NotFoundError
from limbeck.home import Home
from limbeck.questions import Questions
from limbeck.runs import Run
from limbeck.tasks.question_answering.dataset import Question, QuestionSet
from limbeck.tasks.question_answering.excerpts import Piece, excerpt, find_answer
from limbeck.tasks.question_answering.mistakes import KINDS, LIMIT, Grades, Kind, grade, silenced
from limbeck.tasks.question_answering.scoring import read_na_probs, read_predictions
from limbeck.tasks.question_answering.traits import TRAITS, Grouping, topic_of

PREDICTIONS = "predictions.json"
BASELINE, TEACHER = "baseline", "teacher"


class Outcome(StrEnum):
    """What became of a question from another model to the one that is looked at."""

    LOST = "lost"
    GAINED = "gained"
    BOTH_RIGHT = "both right"
    BOTH_WRONG = "both wrong"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model answered.

    Attributes:
        name: Of the model: ``run 7``, ``baseline``, ``teacher``, or what the user calls it.
        texts: Answer to each question by its id; empty for "no answer".
        run: Its number, if it is of a run.
    """

    name: str
    texts: Mapping[str, str]
    run: int | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class GradedAnswers:
    """What a model answered to the ``n`` questions of an examination.

    Attributes:
        name: See `Answers`.
        run: See `Answers`.
        texts: The ``n`` answers.
        grades: What they are worth.
    """

    name: str
    run: int | None
    texts: tuple[str, ...]
    grades: Grades


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredQuestion:
    """A question with what models made of it.

    Attributes:
        asked: The question.
        prediction: What the model answered; empty for "no answer".
        kind: What kind of answer that is.
        f1: Token F1 with the nearest gold answer, between 0 and 1.
        others: What other models answered, by their names.
        other_kinds: What kind of answers these are, by the same names.
    """

    asked: Question
    prediction: str
    kind: Kind
    f1: float
    others: Mapping[str, str]
    other_kinds: Mapping[str, Kind]

    @property
    def id(self) -> str:
        """Key of the question in predictions."""
        return self.asked.id

    @property
    def title(self) -> str:
        """The article, as `limbeck.tasks.question_answering.traits.by_topic` names it."""
        return topic_of(self.asked)

    @property
    def question(self) -> str:
        """What is asked."""
        return self.asked.question

    @property
    def context(self) -> str:
        """The paragraph."""
        return self.asked.context

    @property
    def gold(self) -> tuple[str, ...]:
        """The different gold answers; none if the context does not answer the question."""
        return tuple(dict.fromkeys(answer.text for answer in self.asked.answers))

    @property
    def exact(self) -> bool:
        """Whether the answer is right."""
        return self.kind is Kind.CORRECT

    @property
    def start(self) -> int | None:
        """Where in the context the prediction stands; None if it is empty or stands nowhere."""
        return find_answer(self.asked, self.prediction)

    def excerpt(self) -> tuple[Piece, ...]:
        """Return the context around the gold answers and the prediction, as pieces with roles."""
        return excerpt(self.asked, self.prediction)

    def facts(self) -> dict[str, object]:
        """Return all but the context, ready for JSON."""
        return {
            "id": self.id,
            "title": self.title,
            "question": self.question,
            "gold": list(self.gold),
            "prediction": self.prediction,
            "start": self.start,
            "kind": str(self.kind),
            "exact": self.exact,
            "f1": self.f1,
            "others": {
                name: {"prediction": text, "kind": str(self.other_kinds[name])}
                for name, text in self.others.items()
            },
        }

    def outcome(self, other: str) -> Outcome:
        """Return what became of the question from another model, given by name, to this one."""
        if self.other_kinds[other] is Kind.CORRECT:
            return Outcome.BOTH_RIGHT if self.exact else Outcome.LOST
        return Outcome.GAINED if self.exact else Outcome.BOTH_WRONG


@dataclass(frozen=True, eq=False, kw_only=True)
class Examination:
    """What models answered to the same questions.

    Attributes:
        questions: The ``n`` questions that all of them answered.
        model: The one that is looked at.
        others: Those that it is compared with, perhaps none.
        left_out: How many questions were asked, but not answered by all.
        limit: Token F1 from which on a wrong answer is mostly correct.
    """

    questions: QuestionSet
    model: GradedAnswers
    others: tuple[GradedAnswers, ...]
    left_out: int
    limit: float

    @cached_property
    def records(self) -> tuple[AnsweredQuestion, ...]:
        """The questions with all answers, in their order."""
        kinds = {each.name: _kinds(each) for each in (self.model, *self.others)}
        return tuple(
            AnsweredQuestion(
                asked=question,
                prediction=self.model.texts[index],
                kind=kinds[self.model.name][index],
                f1=float(self.model.grades.f1[index]),
                others={other.name: other.texts[index] for other in self.others},
                other_kinds={other.name: kinds[other.name][index] for other in self.others},
            )
            for index, question in enumerate(self.questions.questions)
        )

    @cached_property
    def groupings(self) -> Mapping[str, Grouping]:
        """The groups that the questions are in, by what they are grouped by."""
        return {name: group(self.questions) for name, group in TRAITS.items()}

    def other(self, name: str) -> GradedAnswers:
        """Return another model by its name.

        Raises:
            NotFoundError: If the model is not compared with it.
        """
        for other in self.others:
            if other.name == name:
                return other
        names = ", ".join(other.name for other in self.others) or "no other model"
        raise NotFoundError(f"{self.model.name} is compared with {names}, but not with {name!r}")


def examine(
    answers: Sequence[Answers], questions: QuestionSet, *, limit: float = LIMIT
) -> Examination:
    """Grade what models answered.

    Args:
        answers: Of the model that is looked at, then of those that it is compared with; their names
            differ.
        questions: All that were asked; only those that every model answered are graded.
        limit: See `limbeck.tasks.question_answering.mistakes.grade`.

    Raises:
        ConfigError: If the limit is out of its range, or two models have the same name.
        DataError: If somebody answered what was not asked, or no question was answered by all.
    """
    names = [each.name for each in answers]
    if len(set(names)) < len(names):
        raise ConfigError(f"models must have different names, but got {', '.join(names)}")
    known = {question.id for question in questions.questions}
    for each in answers:
        extra = [key for key in each.texts if key not in known]
        if extra:
            raise DataError(
                f"the answers of {each.name} must be to the {len(known)} questions at hand, but "
                f"{len(extra)} of {len(each.texts)} are not, the first {extra[0]!r}; name the "
                "questions that were asked"
            )
    shared = tuple(q for q in questions.questions if all(q.id in each.texts for each in answers))
    if not shared:
        raise DataError(
            f"at least one question must be answered by {' and '.join(names)}, but there is none"
        )
    asked = questions if len(shared) == len(questions) else QuestionSet(shared)
    model, *others = (_graded(each, asked, limit) for each in answers)
    return Examination(
        questions=asked,
        model=model,
        others=tuple(others),
        left_out=len(questions) - len(shared),
        limit=limit,
    )


def examine_run(
    results: StudyResults,
    number: int,
    *,
    home: Home,
    questions: QuestionSet | None = None,
    limit: float = LIMIT,
) -> Examination:
    """Grade what a run's model answered, against the baseline and the teacher if they answered.

    Args:
        results: The study.
        number: Of the run.
        home: Where the study's files are.
        questions: Those that score the study's runs, if they have been read before.
        limit: See `examine`.

    Raises:
        NotFoundError: If there is no such run, it has no answers, or the study has no study file.
        DataError: If answers or questions cannot be read, or do not fit together.
    """
    if results.config is None:
        raise NotFoundError(f"study {results.name!r} has no study file, and so no questions")
    answers = [run_answers(results.name, results.run(number), home)]
    if results.baseline and number != 0 and has_answers(results.baseline):
        answers.append(run_answers(results.name, results.baseline, home))
    if teacher := teacher_answers(results.name, home):
        answers.append(teacher)
    return examine(answers, questions or Questions(results.config).scored, limit=limit)


def run_answers(study: str, run: Run, home: Home) -> Answers:
    """Return what a run's model answered, read from wherever the run left it.

    Raises:
        NotFoundError: If the run has left no answers.
        DataError: If they are gone, or not what the run left.
    """
    for artifact in run.artifacts:
        if artifact.name == PREDICTIONS:
            path = fetch(artifact, home.run(study, run.number))
            name = f"run {run.number}" if run.number else BASELINE
            return Answers(name=name, texts=read_predictions(path), run=run.number)
    raise NotFoundError(
        f"run {run.number} of study {study!r} must have left {PREDICTIONS}, but it has none: it is "
        f"{run.state}; name a finished run"
    )


def teacher_answers(study: str, home: Home) -> Answers | None:
    """Return what the teacher of a study answered; None if it was not examined.

    Raises:
        DataError: If the file is damaged.
    """
    path = home.teacher(study) / PREDICTIONS
    return Answers(name=TEACHER, texts=read_predictions(path)) if path.is_file() else None


def file_answers(path: Path, *, na_probs: Path | None = None, threshold: float = 1.0) -> Answers:
    """Return the answers of a predictions file, called by its name.

    Args:
        path: See `limbeck.tasks.question_answering.scoring.read_predictions`.
        na_probs: See `limbeck.tasks.question_answering.scoring.read_na_probs`.
        threshold: No-answer score above which an answer counts as none.

    Raises:
        DataError: If a file cannot be read, or an answer has no no-answer score.
    """
    texts = read_predictions(path)
    if na_probs is not None:
        texts = silenced(texts, read_na_probs(na_probs), threshold=threshold)
    return Answers(name=path.name, texts=texts)


def select(
    records: Sequence[AnsweredQuestion],
    *,
    kinds: Collection[Kind] | None = None,
    topics: Collection[str] | None = None,
    text: str = "",
    against: tuple[str, Outcome] | None = None,
) -> tuple[AnsweredQuestion, ...]:
    """Return those of the records that have all that is asked for, in their order.

    Args:
        records: Any.
        kinds: Kinds of answers, of which one will do; None for all.
        topics: Titles of articles, of which one will do; None for all.
        text: Words that stand, in any order, in what the record says: title, question, context,
            gold answers, all predictions. Small and capital letters are the same.
        against: Name of another model, and what became of the question from it to the model.
    """
    words = text.casefold().split()
    return tuple(
        record
        for record in records
        if (kinds is None or record.kind in kinds)
        and (topics is None or record.title in topics)
        and (against is None or record.outcome(against[0]) is against[1])
        and (not words or _has_words(record, words))
    )


def _has_words(record: AnsweredQuestion, words: Sequence[str]) -> bool:
    texts = (record.title, record.question, record.context, record.prediction)
    said = "\n".join((*texts, *record.gold, *record.others.values())).casefold()
    return all(word in said for word in words)


def _graded(answers: Answers, questions: QuestionSet, limit: float) -> GradedAnswers:
    texts = {question.id: answers.texts[question.id] for question in questions.questions}
    return GradedAnswers(
        name=answers.name,
        run=answers.run,
        texts=tuple(texts.values()),
        grades=grade(questions, texts, limit=limit),
    )


def _kinds(graded: GradedAnswers) -> list[Kind]:
    return [KINDS[place] for place in graded.grades.kinds.tolist()]


def has_answers(run: Run) -> bool:
    """Whether a run has left its answers."""
    return bool(answers_digest(run))


def answers_digest(run: Run) -> str:
    """Return the digest of a run's answers; empty if it has left none."""
    return next((left.sha256 for left in run.artifacts if left.name == PREDICTIONS), "")
