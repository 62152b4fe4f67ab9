"""What a model reads: windows of tokens, made once and kept on disk, and batches of them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from limbeck.errors import DataError
from limbeck.files import whole_folder
from limbeck.tasks.question_answering.assembly import write_arrays
from limbeck.tasks.question_answering.dataset import QuestionSet
from limbeck.tasks.question_answering.tokens import plain_tokenizer
from limbeck.tasks.question_answering.windows import Lengths, ragged_arange

FORMAT = 1
"""Part of every key: raise it when the arrays of the same questions change."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """Windows of several questions, their tokens one after the other, without padding.

    Attributes:
        key: Hash of everything that the features follow from.
        starts: A ``w + 1`` array: window ``i`` has the tokens ``starts[i]`` to ``starts[i + 1]``.
        input_ids: A ``total`` array.
        token_type_ids: A ``total`` array.
        offsets: A ``total x 2`` array of first character and end of each context token in the
            context; 0 for all other tokens.
        is_max_context: A ``total`` array: whether this is a context token, and no other window
            shows it with more around it.
        question_index: A ``w`` array of positions in the question set, ascending; every question
            has at least one window.
        context_begin: A ``w`` array: first context token, counted from the window's start.
        context_end: A ``w`` array: the token behind the last context token, counted likewise.
        start_position: A ``w`` array: first token of the first gold answer, counted likewise; 0 if
            the window does not show all of it.
        end_position: A ``w`` array: last token of it (included), or 0.
    """

    key: str
    starts: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    is_max_context: NDArray[np.bool_]
    question_index: NDArray[np.int32]
    context_begin: NDArray[np.int32]
    context_end: NDArray[np.int32]
    start_position: NDArray[np.int32]
    end_position: NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.question_index)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """A ``w`` array of tokens per window."""
        return np.diff(self.starts)


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Windows side by side, padded on the right to the longest of them or more.

    Attributes:
        input_ids: A ``b x L`` array.
        attention_mask: A ``b x L`` array: 1 for tokens, 0 for padding.
        token_type_ids: A ``b x L`` array.
        start_positions: A ``b`` array, see `Features`.
        end_positions: A ``b`` array.
        source: A ``tokens`` array: places of the tokens, window after window, in the flat arrays.
    """

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]
    start_positions: NDArray[np.int64]
    end_positions: NDArray[np.int64]
    source: NDArray[np.int64]


def pad(
    features: Features,
    indices: Sequence[int] | NDArray[np.int64],
    *,
    pad_token_id: int,
    multiple: int = 1,
) -> Batch:
    """Return the windows at the given ``b`` indices, in this order, as a batch.

    Args:
        features: The windows.
        indices: Which of them.
        pad_token_id: What they are padded with.
        multiple: The length is rounded up to a multiple of it, but never above that of the longest
            of all windows.
    """
    chosen = np.asarray(indices, np.int64)
    lengths = features.starts[chosen + 1] - features.starts[chosen]
    longest = int(lengths.max())
    if multiple > 1:
        longest = min(-(-longest // multiple) * multiple, int(features.lengths.max()))
    is_token = np.arange(longest) < lengths[:, None]
    source = np.repeat(features.starts[chosen], lengths) + ragged_arange(lengths)
    input_ids = np.full(is_token.shape, pad_token_id, np.int64)
    input_ids[is_token] = features.input_ids[source]
    token_type_ids = np.zeros(is_token.shape, np.int64)
    token_type_ids[is_token] = features.token_type_ids[source]
    return Batch(
        input_ids=input_ids,
        attention_mask=is_token.astype(np.int64),
        token_type_ids=token_type_ids,
        start_positions=features.start_position[chosen].astype(np.int64),
        end_positions=features.end_position[chosen].astype(np.int64),
        source=source,
    )


def load_features(
    questions: QuestionSet,
    tokenizer: Tokenizer,
    lengths: Lengths,
    *,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """Return the windows of the questions; made if ``cache`` does not hold them yet.

    The folder of a key appears in the cache complete or not at all, so several processes may ask
    for the same features at once.

    Args:
        questions: What to cut.
        tokenizer: A `transformers` tokenizer's ``backend_tokenizer``; not changed.
        lengths: How to cut.
        cache: Folder of caches; made if need be.
        progress: Called with texts tokenized and in all; not at all if the features are there.

    Returns:
        Features whose arrays are read-only and stay on disk until they are looked at.

    Raises:
        ConfigError: If the lengths leave no room for the context.
        DataError: If the cached files are damaged.
        ModelError: If the tokenizer joins question and context in a manner of its own.
    """
    plain = plain_tokenizer(tokenizer)
    key = _key(questions, plain, lengths)
    folder = cache / f"features-{key}"
    if not folder.is_dir():
        with whole_folder(folder) as unfinished:
            write_arrays(questions, plain, lengths, folder=unfinished, progress=progress)
    return _read(folder, key)


def _key(questions: QuestionSet, plain: Tokenizer, lengths: Lengths) -> str:
    tokenizer_hash = hashlib.sha256(plain.to_str().encode()).hexdigest()
    content = [FORMAT, questions.fingerprint, tokenizer_hash, asdict(lengths)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]


def _read(folder: Path, key: str) -> Features:
    names = [field.name for field in fields(Features) if field.name != "key"]
    try:
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(
                np.ndarray
            )
            for name in names
        }
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: cached features must be whole, but {error}; delete the folder"
        ) from error
    return Features(key=key, **arrays)
