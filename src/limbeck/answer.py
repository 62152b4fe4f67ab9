"""Answers questions over contexts of any length with an exported student, without torch.

It needs numpy, tokenizers and onnxruntime. A copy lies in the folder of every ONNX export, so that
an application needs no more than the folder::

    python answer.py --question "Who wrote it?" --context-file page.txt

Contexts are cut into overlapping windows and answers are chosen exactly as Limbeck does when it
scores a student (`limbeck.tasks.question_answering`).
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from tokenizers import Tokenizer

MODEL = "model.onnx"
SETTINGS = "answering.json"
TOKENIZER = "tokenizer.json"
TOKENS_PER_BATCH = 4_096
"""Of a forward pass, with padding; bounds memory whatever the length of the context."""

Window: TypeAlias = tuple[int, int]
"""First context token that a window shows, and how many it shows."""


class AnsweringError(ValueError):
    """A folder, question or context cannot be used; the text is one line."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ``answering.json`` holds: how windows are cut, and when the answer is "no answer".

    Attributes:
        max_length: Tokens of a window, special ones included.
        doc_stride: Tokens between the starts of neighbouring windows.
        max_query_length: What is kept of a question: its first tokens.
        max_answer_length: Most tokens of an answer.
        null_threshold: If the score of "no answer" is above that of the best span by more than
            this, the answer is "no answer"; never if None.
        pad_token_id: Fills windows that are shorter than others.
    """

    max_length: int
    doc_stride: int
    max_query_length: int
    max_answer_length: int
    null_threshold: float | None
    pad_token_id: int


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A span of the context that may be the answer.

    Attributes:
        text: Its characters.
        start: Its first character in the context.
        end: The character behind its last one.
        score: Start logit of its first token plus end logit of its last one.
        probability: Softmax of the scores over the candidates and "no answer", if that is allowed.
    """

    text: str
    start: int
    end: int
    score: float
    probability: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model answers to a question.

    Attributes:
        text: The answer; empty for "no answer".
        null_odds: Score of "no answer" minus that of the best span; None if there is no span.
        no_answer_probability: See `Candidate.probability`; 0 if "no answer" is never given.
        candidates: The best spans with different texts, best first.
        windows: How many the context was cut into.
        milliseconds: Wall time of all of it.
    """

    text: str
    null_odds: float | None
    no_answer_probability: float
    candidates: tuple[Candidate, ...]
    windows: int
    milliseconds: float


@dataclass(frozen=True)
class _Template:
    """Pairs of token and token type before the question, between and behind, and both types."""

    before: tuple[tuple[int, int], ...]
    between: tuple[tuple[int, int], ...]
    after: tuple[tuple[int, int], ...]
    question_type: int
    context_type: int


class Answerer:
    """Answers questions with the model of a folder.

    Safe to call from several threads.

    Args:
        folder: Has ``model.onnx``, ``tokenizer.json`` and ``answering.json``.
        threads: CPU threads of a forward pass; all cores if None.

    Raises:
        AnsweringError: If one of these is missing or cannot be read.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        place = Path(folder)
        for name in (MODEL, SETTINGS, TOKENIZER):
            if not (place / name).is_file():
                raise AnsweringError(
                    f"{place} must hold {name}, but does not; make it with limbeck export --to onnx"
                )
        self.settings = read_settings(place / SETTINGS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        try:
            self._tokenizer = Tokenizer.from_file(str(place / TOKENIZER))
            self._session = onnxruntime.InferenceSession(
                str(place / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # That is what tokenizers raises, and onnxruntime.
            reason = str(error).partition("\n")[0]
            raise AnsweringError(f"{place} must hold a whole export, but: {reason}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._template = _learn_template(self._tokenizer)

    def __call__(
        self, question: str, context: str, *, n_best: int = 5, threshold: float | None = None
    ) -> Answer:
        """Answer a question from a context.

        Args:
            question: What is asked.
            context: The text that is to answer it, of any length.
            n_best: Most candidates.
            threshold: Takes the place of `Settings.null_threshold`.

        Raises:
            AnsweringError: If question or context is empty, ``n_best`` is not positive, the
                settings leave no room for the context, or the model's logits are not finite.
        """
        begin = time.perf_counter()
        if not (question.strip() and context.strip()) or n_best < 1:
            raise AnsweringError(
                "question and context must not be empty and n_best must be at least 1, but got "
                f"{question[:40]!r}, {context[:40]!r} and {n_best}"
            )
        settings, limit = self.settings, self.settings.null_threshold
        limit = limit if threshold is None else threshold
        asked = self._tokenizer.encode(question, add_special_tokens=False)
        told = self._tokenizer.encode(context, add_special_tokens=False)
        template = self._template
        question_tokens = asked.ids[: settings.max_query_length]
        head = [
            *template.before,
            *((token, template.question_type) for token in question_tokens),
            *template.between,
        ]
        origin = len(head)
        capacity = settings.max_length - origin - len(template.after)
        windows = cut(len(told.ids), capacity, settings.doc_stride)
        logits = list(self._logits(head, told.ids, windows))
        null_score = min(float(start[0]) + float(end[0]) for start, end in logits)
        rows = best_spans(
            windows,
            [
                (start[origin : origin + n], end[origin : origin + n])
                for (_, n), (start, end) in zip(windows, logits, strict=True)
            ],
            max_answer_length=settings.max_answer_length,
            n_best=n_best,
        )
        spans = [
            (told.offsets[first][0], told.offsets[last][1], score) for score, first, last in rows
        ]
        candidates, nothing = _candidates(
            context, spans, n_best, None if limit is None else null_score
        )
        odds = null_score - candidates[0].score if candidates else None
        says_null = odds is None or (limit is not None and odds > limit)
        return Answer(
            text="" if says_null else candidates[0].text,
            null_odds=odds,
            no_answer_probability=nothing,
            candidates=candidates,
            windows=len(windows),
            milliseconds=1000 * (time.perf_counter() - begin),
        )

    def _logits(
        self, head: Sequence[tuple[int, int]], context: Sequence[int], windows: Sequence[Window]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Yield the start and end logits of every window, padding cut off.

        Args:
            head: Pairs of token and token type in front of the context.
            context: Its tokens.
            windows: Which of them each window shows.

        Raises:
            AnsweringError: If one is not finite.
        """
        kind, after = self._template.context_type, self._template.after
        rows = [
            np.array([*head, *((token, kind) for token in context[begin : begin + count]), *after])
            for begin, count in windows
        ]
        size = max(1, TOKENS_PER_BATCH // max(map(len, rows)))
        for first in range(0, len(rows), size):
            part = rows[first : first + size]
            start, end = self._session.run(["start_logits", "end_logits"], self._padded(part))
            for row, tokens in enumerate(part):
                both = start[row, : len(tokens)], end[row, : len(tokens)]
                if not (np.isfinite(both[0]).all() and np.isfinite(both[1]).all()):
                    raise AnsweringError("logits must be finite, but some are not: it diverged")
                yield both

    def _padded(self, rows: Sequence[NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        """Return three ``b x L`` arrays, the model's inputs, from arrays of tokens and types."""
        shape = len(rows), max(map(len, rows))
        ids = np.full(shape, self.settings.pad_token_id, np.int64)
        mask, types = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)], types[row, : len(tokens)] = tokens.T
            mask[row, : len(tokens)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def read_settings(path: Path) -> Settings:
    """Return what an ``answering.json`` holds.

    Raises:
        AnsweringError: If it is not such a file.
    """
    try:
        return Settings(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise AnsweringError(f"{path} must hold the settings of an export, but {error}") from error


def cut(count: int, capacity: int, stride: int) -> list[Window]:
    """Return the windows over a context of ``count`` tokens; one without tokens has one, too.

    Args:
        count: Tokens of the context.
        capacity: Context tokens that fit into a window.
        stride: See `Settings.doc_stride`; windows lie closer where that would leave a gap.

    Raises:
        AnsweringError: If nothing fits.
    """
    if capacity < 1:
        raise AnsweringError(
            "max_length must leave room for the context beside the question, but leaves "
            f"{capacity} tokens; ask a shorter question"
        )
    step = min(capacity, stride)
    number = 1 + -(-max(count - capacity, 0) // step)
    return [(i * step, min(capacity, count - i * step)) for i in range(number)]


def best_spans(
    windows: Sequence[Window],
    logits: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    *,
    max_answer_length: int,
    n_best: int,
) -> list[tuple[float, int, int]]:
    """Return score, first and last context token of the best spans of every window, best first.

    A span starts in the window that shows its first token with the most context, and ends there.
    Equally good spans are ordered by window, first and last token.

    Args:
        windows: As `cut` returns them.
        logits: Start and end logits of the context tokens of each.
        max_answer_length: Most tokens of a span.
        n_best: Spans kept of a window.
    """
    owner = _best_window(windows)
    found: list[tuple[float, int, int]] = []
    for number, ((begin, count), (start, end)) in enumerate(zip(windows, logits, strict=True)):
        if not count:
            continue
        mine = owner[begin : begin + count] == number
        ends = np.full(count + max_answer_length - 1, -np.inf)
        ends[:count] = end
        starts = np.where(mine, start, -np.inf).astype(np.float64)
        scores = (starts[:, None] + sliding_window_view(ends, max_answer_length)).ravel()
        kept = min(n_best, len(scores))
        lowest = np.partition(scores, len(scores) - kept)[len(scores) - kept]
        places = np.flatnonzero((scores >= lowest) & (scores > -np.inf))
        places = places[np.argsort(-scores[places], kind="stable")][:kept]
        for place in places.tolist():
            first, length = divmod(place, max_answer_length)
            found.append((float(scores[place]), begin + first, begin + first + length))
    return sorted(found, key=lambda row: -row[0])


def _best_window(windows: Sequence[Window]) -> NDArray[np.int64]:
    """Return for every context token the window that shows it with the most around it.

    That is the one in which the smaller of its distances to both ends is largest
    (``_check_is_max_context`` of BERT's ``run_squad.py``); the first of equally good ones.
    """
    count = max(begin + size for begin, size in windows)
    owner, best = np.zeros(count, np.int64), np.full(count, -np.inf)
    for number, (begin, size) in enumerate(windows):
        within = np.arange(size)
        score = np.minimum(within, size - 1 - within) + 0.01 * size
        better = score > best[begin : begin + size]
        owner[begin : begin + size][better] = number
        best[begin : begin + size][better] = score[better]
    return owner


def _candidates(
    context: str, spans: Sequence[tuple[int, int, float]], n_best: int, null_score: float | None
) -> tuple[tuple[Candidate, ...], float]:
    """Return the best spans with different texts, and the probability of "no answer"."""
    kept: dict[str, tuple[int, int, float]] = {}
    for span in spans:
        if len(kept) == n_best:
            break
        kept.setdefault(context[span[0] : span[1]], span)
    scores = [score for _, _, score in kept.values()]
    nulls = [] if null_score is None and scores else [null_score or 0.0]
    highest = max(scores + nulls)
    weights = [math.exp(score - highest) for score in scores + nulls]
    total = math.fsum(weights)
    candidates = tuple(
        Candidate(text=text, start=start, end=end, score=score, probability=weight / total)
        for (text, (start, end, score)), weight in zip(kept.items(), weights, strict=False)
    )
    return candidates, weights[-1] / total if nulls else 0.0


def _learn_template(tokenizer: Tokenizer) -> _Template:
    """Return how the tokenizer joins a question and a context."""
    encoding = tokenizer.encode("a", "b")
    tokens = list(zip(encoding.ids, encoding.type_ids, strict=True))
    question = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 0]
    context = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
    return _Template(
        before=tuple(tokens[: question[0]]),
        between=tuple(tokens[question[-1] + 1 : context[0]]),
        after=tuple(tokens[context[-1] + 1 :]),
        question_type=tokens[question[0]][1],
        context_type=tokens[context[0]][1],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer a question from the command line, as JSON."""
    parser = argparse.ArgumentParser(description="Answer a question from a text, with this model.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="of the model")
    parser.add_argument("--question", required=True)
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--context", help="text that answers the question")
    text.add_argument("--context-file", type=Path, help="file that holds it")
    parser.add_argument("--n-best", type=int, default=5, help="candidates to print")
    parser.add_argument("--threshold", type=float, help="above these null odds, there is no answer")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if left out")
    given = parser.parse_args(arguments)
    try:
        context = given.context
        if context is None:
            context = given.context_file.read_text(encoding="utf-8")
        answer = Answerer(given.folder, threads=given.threads)(
            given.question, context, n_best=given.n_best, threshold=given.threshold
        )
    except (AnsweringError, OSError, UnicodeDecodeError) as error:
        parser.error(str(error))
    sys.stdout.write(json.dumps(asdict(answer), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
