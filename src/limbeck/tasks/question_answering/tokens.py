"""Texts as tokens, and what the tokenizer puts around them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from limbeck.errors import ModelError
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.windows import running_sum

TEXTS_PER_BATCH = 1_000


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of several texts, one after the other.

    Attributes:
        starts: An ``n + 1`` array: text ``i`` has the tokens ``starts[i]`` to ``starts[i + 1]``.
        ids: A ``total`` array.
        offsets: A ``total x 2`` array of first character and end of each token in its text.
    """

    starts: NDArray[np.int64]
    ids: NDArray[np.int32]
    offsets: NDArray[np.int32]

    @property
    def counts(self) -> NDArray[np.int64]:
        """An ``n`` array of tokens per text."""
        return np.diff(self.starts)

    def split(self, count: int) -> "tuple[Tokens, Tokens]":
        """Return the tokens of the first ``count`` texts, and those of the others."""
        middle = self.starts[count]
        return (
            Tokens(self.starts[: count + 1], self.ids[:middle], self.offsets[:middle]),
            Tokens(self.starts[count:] - middle, self.ids[middle:], self.offsets[middle:]),
        )


@dataclass(frozen=True)
class Template:
    """The special tokens around question and context, as pairs of token and token type.

    Attributes:
        before: In front of the question; the first stands for "no answer".
        between: Between question and context.
        after: Behind the context.
        question_type: Token type of the question.
        context_type: Token type of the context.
    """

    before: tuple[tuple[int, int], ...]
    between: tuple[tuple[int, int], ...]
    after: tuple[tuple[int, int], ...]
    question_type: int
    context_type: int

    @property
    def size(self) -> int:
        """Number of special tokens in a window."""
        return len(self.before) + len(self.between) + len(self.after)


def plain_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """Return a copy that neither cuts nor pads."""
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    return plain


def learn_template(tokenizer: Tokenizer) -> Template:
    """Return how the tokenizer joins a question and a context.

    Raises:
        ModelError: If the question does not come first, or nothing stands in front of it.
    """
    encoding = tokenizer.encode("a", "b")
    tokens = list(zip(encoding.ids, encoding.type_ids, strict=True))
    question = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 0]
    context = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
    if not question or not context or not 0 < question[0] <= question[-1] < context[0]:
        raise ModelError(
            "the tokenizer must put a special token, the question and the context in this order, "
            f"but joins 'a' and 'b' to {encoding.tokens}; use a BERT-like model"
        )
    return Template(
        before=tuple(tokens[: question[0]]),
        between=tuple(tokens[question[-1] + 1 : context[0]]),
        after=tuple(tokens[context[-1] + 1 :]),
        question_type=tokens[question[0]][1],
        context_type=tokens[context[0]][1],
    )


def tokenize(
    tokenizer: Tokenizer, texts: Sequence[str], *, progress: Callable[[int, int], None] | None
) -> Tokens:
    """Return the tokens of the texts, without special tokens.

    Args:
        tokenizer: See `plain_tokenizer`.
        texts: What to tokenize.
        progress: Called with texts done and in all.
    """
    counts: list[int] = []
    ids: list[NDArray[np.int32]] = []
    offsets: list[NDArray[np.int32]] = []
    for start in range(0, len(texts), TEXTS_PER_BATCH):
        batch = list(texts[start : start + TEXTS_PER_BATCH])
        encodings: list[Encoding] = tokenizer.encode_batch(batch, add_special_tokens=False)
        counts += [len(encoding) for encoding in encodings]
        ids += [np.array(encoding.ids, np.int32) for encoding in encodings]
        offsets += [np.array(encoding.offsets, np.int32).reshape(-1, 2) for encoding in encodings]
        if progress:
            progress(start + len(batch), len(texts))
    starts = running_sum(np.array(counts, np.int64))
    return Tokens(starts, np.concatenate(ids), np.concatenate(offsets))


def gold_tokens(
    questions: QuestionSet, contexts: dict[str, int], tokens: Tokens
) -> NDArray[np.int64]:
    """Return an ``n x 2`` array: first and last context token of each first gold answer.

    A token that the answer covers in part is counted in. Both are -1 where there is no answer, or
    the tokenizer has dropped all of it.

    Args:
        questions: ``n`` questions.
        contexts: Distinct contexts and their positions in ``tokens``.
        tokens: Of the contexts.
    """
    # Contexts are laid end to end, so that one search finds the tokens of all answers.
    context_ends = np.cumsum([len(context) for context in contexts])
    shift = np.repeat(np.concatenate([[0], context_ends[:-1]]), tokens.counts)
    token_starts, token_ends = tokens.offsets[:, 0] + shift, tokens.offsets[:, 1] + shift

    answered = [i for i, question in enumerate(questions.questions) if question.answers]
    gold = [questions.questions[i] for i in answered]
    number = np.array([contexts[question.context] for question in gold], np.int64)
    origin = np.concatenate([[0], context_ends])[number]
    begin = origin + np.array([question.answers[0].start for question in gold], np.int64)
    end = begin + np.array([len(question.answers[0].text) for question in gold], np.int64)
    first = np.searchsorted(token_ends, begin, side="right") - tokens.starts[number]
    last = np.searchsorted(token_starts, end, side="left") - 1 - tokens.starts[number]

    result = np.full((len(questions), 2), -1, np.int64)
    found = first <= last
    result[np.array(answered, np.int64)[found]] = np.stack([first, last], axis=1)[found]
    return result
