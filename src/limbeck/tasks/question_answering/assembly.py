"""Windows put together from the tokens of questions and contexts, each tokenized once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray
from tokenizers import Tokenizer

from limbeck.errors import ConfigError
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.tokens import (
    Template,
    Tokens,
    gold_tokens,
    learn_template,
    tokenize,
)
from limbeck.tasks.question_answering.windows import (
    Lengths,
    Windows,
    cut,
    most_context,
    ragged_arange,
    running_sum,
)

WINDOWS_PER_CHUNK = 8_192
"""Assembled at once; bounds memory whatever the number of questions."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Every token that windows are made of: special ones, all questions, all contexts.

    Attributes:
        ids: A ``pool`` array.
        types: A ``pool`` array of token types.
        offsets: A ``pool x 2`` array of characters in the context; 0 for other tokens.
        context_origin: Where the first context begins.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    context_origin: int


@dataclass(frozen=True, eq=False)
class Layout:
    """Which tokens of the pool each window takes, in five segments.

    The segments are special tokens, question, special tokens, context, special tokens.

    Attributes:
        begin: A ``w x 5`` array: first token of each segment in the pool.
        count: A ``w x 5`` array of tokens of each segment.
    """

    begin: NDArray[np.int64]
    count: NDArray[np.int64]

    def tokens(self, chunk: slice) -> NDArray[np.int64]:
        """Return the places in the pool of all tokens of some windows, one after the other."""
        begin, count = self.begin[chunk].ravel(), self.count[chunk].ravel()
        return np.asarray(np.repeat(begin, count) + ragged_arange(count))


def write_arrays(
    questions: QuestionSet,
    tokenizer: Tokenizer,
    lengths: Lengths,
    *,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write the arrays of `Features`, each to ``NAME.npy``.

    Args:
        questions: What to cut.
        tokenizer: One that neither cuts nor pads.
        lengths: How to cut.
        folder: Where to write.
        progress: Called with texts tokenized and in all.

    Raises:
        ConfigError: If the lengths leave no room for the context.
        ModelError: If the tokenizer joins question and context in a manner of its own.
    """
    template = learn_template(tokenizer)
    contexts: dict[str, int] = {}
    for question in questions.questions:
        contexts.setdefault(question.context, len(contexts))
    texts = [question.question for question in questions.questions]
    tokens = tokenize(tokenizer, [*texts, *contexts], progress=progress)
    asked, told = tokens.split(len(texts))

    context_index = np.array([contexts[q.context] for q in questions.questions], np.int64)
    kept = np.minimum(asked.counts, lengths.max_query_length)
    windows = cut(
        told.counts[context_index], _context_capacity(kept, template, lengths), lengths.doc_stride
    )
    layout = _lay_out(
        windows,
        template,
        question_begin=asked.starts[:-1],
        question_count=kept,
        context_begin=told.starts[context_index] + len(asked.ids),
    )
    _write_windows(folder, windows, layout, gold_tokens(questions, contexts, told))
    _write_tokens(folder, layout, _pool(template, asked, told), most_context(windows))


def _context_capacity(
    question_counts: NDArray[np.int64], template: Template, lengths: Lengths
) -> NDArray[np.int64]:
    capacity = lengths.max_length - template.size - question_counts
    if capacity.min() < 1:
        raise ConfigError(
            f"max_length must leave room for the context, but got {lengths}, "
            f"{template.size} special tokens and a question of {question_counts.max()} tokens; "
            "raise max_length or lower max_query_length"
        )
    return np.asarray(capacity)


def _lay_out(
    windows: Windows,
    template: Template,
    *,
    question_begin: NDArray[np.int64],
    question_count: NDArray[np.int64],
    context_begin: NDArray[np.int64],
) -> Layout:
    """Return the layout, given where each of ``n`` questions and its context begin in the pool."""
    before, between, after = len(template.before), len(template.between), len(template.after)
    index = windows.question_index
    begin = np.broadcast_arrays(
        0,
        template.size + question_begin[index],
        before,
        template.size + context_begin[index] + windows.begin,
        before + between,
    )
    count = np.broadcast_arrays(before, question_count[index], between, windows.count, after)
    return Layout(np.stack(begin, axis=1), np.stack(count, axis=1))


def _pool(template: Template, asked: Tokens, told: Tokens) -> Pool:
    special = np.array([*template.before, *template.between, *template.after], np.int32)
    types = [template.question_type] * len(asked.ids) + [template.context_type] * len(told.ids)
    context_origin = template.size + len(asked.ids)
    return Pool(
        ids=np.concatenate([special[:, 0], asked.ids, told.ids]),
        types=np.concatenate([special[:, 1], types]).astype(np.uint8),
        offsets=np.concatenate([np.zeros((context_origin, 2), np.int32), told.offsets]),
        context_origin=context_origin,
    )


def _write_windows(folder: Path, windows: Windows, layout: Layout, gold: NDArray[np.int64]) -> None:
    context_begin = layout.count[:, :3].sum(axis=1)
    # -1, "no gold answer", stays negative: such a window shows none.
    in_window = gold[windows.question_index] - windows.begin[:, None]
    shown = (in_window[:, 0] >= 0) & (in_window[:, 1] < windows.count)
    position = np.where(shown[:, None], context_begin[:, None] + in_window, 0)
    arrays = {
        "question_index": windows.question_index,
        "context_begin": context_begin,
        "context_end": context_begin + windows.count,
        "start_position": position[:, 0],
        "end_position": position[:, 1],
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array.astype(np.int32))
    np.save(folder / "starts.npy", running_sum(layout.count.sum(axis=1)))


def _write_tokens(
    folder: Path, layout: Layout, pool: Pool, is_max_context: NDArray[np.bool_]
) -> None:
    starts = running_sum(layout.count.sum(axis=1))
    context_starts = running_sum(layout.count[:, 3])
    total = int(starts[-1])

    def create(name: str, dtype: DTypeLike, *columns: int) -> NDArray[np.generic]:
        return open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(total, *columns))

    input_ids = create("input_ids", np.int32)
    token_type_ids = create("token_type_ids", np.uint8)
    offsets = create("offsets", np.int32, 2)
    most = create("is_max_context", np.bool_)
    for first in range(0, len(layout.begin), WINDOWS_PER_CHUNK):
        end = min(first + WINDOWS_PER_CHUNK, len(layout.begin))
        taken = layout.tokens(slice(first, end))
        chunk = slice(starts[first], starts[end])
        input_ids[chunk] = pool.ids[taken]
        token_type_ids[chunk] = pool.types[taken]
        offsets[chunk] = pool.offsets[taken]
        most[chunk][taken >= pool.context_origin] = is_max_context[
            context_starts[first] : context_starts[end]
        ]
