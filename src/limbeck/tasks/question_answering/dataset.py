"""Questions about paragraphs, as SQuAD 1.1 and 2.0 hold them, checked once and trusted after."""

import gc
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from limbeck.errors import ConfigError, DataError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer.

    Attributes:
        text: The words, exactly as they stand in the context.
        start: Index of its first character in the context.
    """

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one paragraph.

    Attributes:
        id: Key of the question in predictions.
        title: Article that the paragraph is from; empty if the source names none.
        context: The paragraph.
        question: What is asked.
        answers: Gold answers; none if the context does not answer the question.
    """

    id: str
    title: str
    context: str
    question: str
    answers: tuple[Answer, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is text, and that the answers stand in it.

        Raises:
            DataError: With the id and the rule that is broken.
        """
        _check_text(self.id, "context", self.context)
        _check_text(self.id, "question", self.question)
        for answer in self.answers:
            _check_text(self.id, "answer text", answer.text)
            end = answer.start + len(answer.text)
            if answer.start < 0 or self.context[answer.start : end] != answer.text:
                found = self.context[max(answer.start, 0) : max(end, 0)]
                raise DataError(
                    f"question {self.id!r}: the answer {answer.text!r} must stand in the context "
                    f"at character {answer.start}, but {found!r} stands there; "
                    "correct answer_start or the text"
                )

    @property
    def answerable(self) -> bool:
        """Whether the context answers the question."""
        return bool(self.answers)


@dataclass(frozen=True)
class QuestionSet:
    """Questions with different ids, in data order.

    Attributes:
        questions: At least one.
    """

    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        """Check number and ids.

        Raises:
            DataError: If there is no question, or two have the same id.
        """
        if not self.questions:
            raise DataError("a question set needs at least one question, but there is none")
        seen: set[str] = set()
        for question in self.questions:
            if question.id in seen:
                raise DataError(
                    f"question ids must differ, but {question.id!r} occurs more than once; "
                    "remove or rename the duplicates"
                )
            seen.add(question.id)

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.questions)

    @cached_property
    def has_unanswerable(self) -> bool:
        """Whether answering nothing is right for some question, as in SQuAD 2.0."""
        return not all(question.answerable for question in self.questions)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything the questions hold, in their order."""
        digest = hashlib.sha256()
        numbers: dict[str, int] = {}
        for question in self.questions:
            if question.context not in numbers:
                numbers[question.context] = len(numbers)
                digest.update(json.dumps(question.context).encode() + b"\n")
            row = [
                question.id,
                question.title,
                numbers[question.context],
                question.question,
                [[answer.text, answer.start] for answer in question.answers],
            ]
            digest.update(json.dumps(row).encode() + b"\n")
        return digest.hexdigest()

    def sample(self, count: int, seed: int) -> "QuestionSet":
        """Return ``count`` questions drawn without replacement, in data order; all if fewer.

        Raises:
            ConfigError: If ``count`` is not positive.
        """
        if count < 1:
            raise ConfigError(f"a sample must have at least 1 question, but got {count}")
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), size=count, replace=False)
        return QuestionSet(tuple(self.questions[index] for index in np.sort(chosen).tolist()))

    def split_by_article(self, share: float, seed: int) -> tuple["QuestionSet", "QuestionSet"]:
        """Return the questions of some articles, and those of all others.

        Whole articles go to one side, so that no paragraph of the one is known to the other.

        Args:
            share: Part of the questions that the first side should have, between 0 and 1; met as
                nearly as the sizes of the articles, taken in random order, allow.
            seed: Of the random order.

        Raises:
            ConfigError: If ``share`` is not between 0 and 1.
            DataError: If there are fewer than two articles.
        """
        if not 0 < share < 1:
            raise ConfigError(f"the share must be between 0 and 1, but got {share}")
        sizes: dict[str, int] = {}
        for question in self.questions:
            sizes[question.title] = sizes.get(question.title, 0) + 1
        if len(sizes) < 2:
            raise DataError(
                f"a split by article needs at least 2 different titles, but got {list(sizes)}"
            )
        titles = list(sizes)
        order = np.random.default_rng(seed).permutation(len(titles)).tolist()
        taken = np.cumsum([sizes[titles[index]] for index in order[:-1]])
        count = int(np.argmin(np.abs(taken - share * len(self)))) + 1
        first = {titles[index] for index in order[:count]}
        return (
            QuestionSet(tuple(q for q in self.questions if q.title in first)),
            QuestionSet(tuple(q for q in self.questions if q.title not in first)),
        )


def read_json(path: Path) -> object:
    """Return what a ``.json`` or, compressed, ``.json.gz`` file holds.

    Raises:
        DataError: If there is no such file, or it is damaged or no JSON.
    """
    try:
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        content = path.read_bytes()
        return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: must be a whole gzip file, but {error}; fetch it anew") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: must be JSON, but {error}") from error


def read_squad(path: Path) -> QuestionSet:
    """Return the questions of a file in the format of SQuAD 1.1 or 2.0.

    Raises:
        DataError: With the file, the place in it, and the rule that is broken.
    """
    with _without_collection():
        document = read_json(path)
        try:
            if not isinstance(document, dict):
                raise DataError(f"the file must hold an object, but got {_type_name(document)}")
            return QuestionSet(tuple(_questions(document)))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


@contextmanager
def _without_collection() -> Iterator[None]:
    """Spare Python the search for garbage among a million new objects: half of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def parse_question(
    record: Mapping[str, object], *, title: str, context: str, where: str
) -> Question:
    """Return the question that an entry of ``qas`` describes.

    Args:
        record: The entry: ``id``, ``question``, ``answers`` and perhaps ``is_impossible``.
        title: See `Question`.
        context: See `Question`.
        where: Place of the entry, for messages.

    Raises:
        DataError: If a key is missing or has the wrong type, ``is_impossible`` contradicts the
            answers, or a rule of `Question` is broken.
    """
    answers = tuple(
        Answer(
            text=required(answer, "text", str, at), start=required(answer, "answer_start", int, at)
        )
        for at, answer in _entries(record, "answers", where)
    )
    question = Question(
        id=required(record, "id", str, where),
        title=title,
        context=context,
        question=required(record, "question", str, where),
        answers=answers,
    )
    if record.get("is_impossible", not answers) is not (not answers):
        raise DataError(
            f"question {question.id!r}: is_impossible must be true without answers and false with "
            f"answers, but got {record['is_impossible']!r} with {len(answers)} answers"
        )
    return question


def required(record: Mapping[str, object], key: str, kind: type[T], where: str) -> T:
    """Return the value of a key.

    Raises:
        DataError: With the place, if the key is missing or its value is of another type.
    """
    if key not in record:
        raise DataError(f"{where} must have {key!r}, but has only {sorted(record)}")
    value = record[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{where}: {key!r} must be {kind.__name__}, but got {_type_name(value)}")
    return value


def _questions(document: Mapping[str, object]) -> Iterator[Question]:
    for in_data, article in _entries(document, "data", "the file"):
        title = required({"title": "", **article}, "title", str, in_data)
        for in_article, paragraph in _entries(article, "paragraphs", in_data):
            context = required(paragraph, "context", str, in_article)
            for where, record in _entries(paragraph, "qas", in_article):
                yield parse_question(record, title=title, context=context, where=where)


def _entries(
    record: Mapping[str, object], key: str, where: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the place and the content of each object in a list."""
    for index, entry in enumerate(required(record, key, list, where)):
        place = f"{where}, {key}[{index}]"
        if not isinstance(entry, dict):
            raise DataError(f"{place} must be an object, but got {_type_name(entry)}")
        yield place, entry


def _type_name(value: object) -> str:
    return type(value).__name__


def _check_text(question_id: str, name: str, text: str) -> None:
    if not text.strip():
        raise DataError(f"question {question_id!r}: the {name} must not be empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"question {question_id!r}: the {name} must be valid Unicode, but has a lone surrogate "
            f"at character {error.start}"
        ) from error
