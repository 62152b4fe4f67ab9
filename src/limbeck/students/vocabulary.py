"""A vocabulary of the tokens that a corpus needs, and the tokenizer that goes with it.

Whatever the full tokenizer makes of a text, the trimmed one makes the same of it if all these
tokens are kept:

- WordPiece takes the longest piece that fits, again and again. If that one is kept, it is still the
  longest.
- Byte-pair encoding joins the pair whose merge comes first. Every piece that it has on the way to a
  token is a part of that token, and the parts of a kept token are kept. So each merge that happens
  is still there, in the same order. One that is removed does not happen in such a text: what it
  makes would be a part of a token that is not kept.

A word that WordPiece cannot spell, ``[UNK]``, stays one if every character of a piece is a piece as
well, as in BERT's vocabularies: such a word has a character that is in no piece at all. Otherwise
the shorter pieces of a trimmed vocabulary may spell it.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from limbeck.errors import DataError, ModelError


def kept_tokens(
    tokenizer: PreTrainedTokenizerFast, used: NDArray[np.integer[Any]]
) -> tuple[int, ...]:
    """Return the tokens to keep for a corpus: those that it uses, and those that spell the rest.

    The latter are all special and added tokens; of WordPiece all single characters; of byte-pair
    encoding all that no merge makes, such as the byte alphabet, and the parts of every kept token.

    Args:
        tokenizer: With the full vocabulary.
        used: The corpus as token ids: an array of any shape, with repeats, perhaps on disk.

    Returns:
        Ascending token ids.

    Raises:
        DataError: If the tokenizer has no such ids.
        ModelError: If it is neither WordPiece nor byte-pair encoding.
    """
    settings = _read(tokenizer)
    model = settings["model"]
    vocabulary: dict[str, int] = model["vocab"]
    kept = _distinct(used, tokenizer.get_vocab().values()) | _indispensable(settings)
    prefix = model["continuing_subword_prefix"] or ""
    if model["type"] == "WordPiece":
        pieces = {piece for piece in vocabulary if len(piece.removeprefix(prefix)) == 1}
    else:
        parts = _parts(model["merges"], prefix)
        pieces = {piece for piece, number in vocabulary.items() if number in kept}
        pieces = _closure(pieces | (vocabulary.keys() - parts.keys()), parts)
    return tuple(sorted(kept | {vocabulary[piece] for piece in pieces}))


def trim_tokenizer(
    tokenizer: PreTrainedTokenizerFast, kept: Sequence[int]
) -> PreTrainedTokenizerFast:
    """Return a tokenizer that has some of the tokens of another, and is like it otherwise.

    Args:
        tokenizer: With the full vocabulary; not changed.
        kept: Ids of the tokens, see `kept_tokens`; their positions here are their new ids.

    Raises:
        ModelError: If tokens are missing that it cannot do without, its ids have gaps, or it is
            neither WordPiece nor byte-pair encoding.
    """
    settings = _read(tokenizer)
    new_ids = {old: new for new, old in enumerate(kept)}
    if missing := _indispensable(settings) - new_ids.keys():
        raise ModelError(
            f"special and added tokens must be kept, but {sorted(missing)} are missing; "
            "take what kept_tokens returns"
        )
    _trim_model(settings["model"], new_ids)
    for holder, key in _id_places(settings):
        holder[key] = new_ids[holder[key]]
    trimmed = _rebuilt(tokenizer, settings)
    vocabulary = trimmed.get_vocab()
    if vocabulary != _renumbered(tokenizer.get_vocab(), new_ids) or len(vocabulary) < len(kept):
        raise ModelError(
            "token ids must be distinct and without gaps for a tokenizer to be trimmed, but those "
            f"of {tokenizer.name_or_path!r} are not; use the full vocabulary"
        )
    return trimmed


def _read(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Return the content of ``tokenizer.json``."""
    settings: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = settings["model"]["type"]
    if kind not in ("WordPiece", "BPE"):
        raise ModelError(
            f"a tokenizer must be WordPiece or BPE to be trimmed, but this one is {kind}; "
            "use the full vocabulary"
        )
    return settings


def _trim_model(model: dict[str, Any], new_ids: Mapping[int, int]) -> None:
    """Take pieces, and the merges that need or make them, out of a model's settings."""
    model["vocab"] = _renumbered(model["vocab"], new_ids)
    if model["type"] == "BPE":
        prefix = model["continuing_subword_prefix"] or ""
        model["merges"] = [
            (left, right)
            for left, right in model["merges"]
            if {left, right, _joined(left, right, prefix)} <= model["vocab"].keys()
        ]


def _rebuilt(
    tokenizer: PreTrainedTokenizerFast, settings: Mapping[str, Any]
) -> PreTrainedTokenizerFast:
    """Return a tokenizer of the same class and configuration, with other settings.

    It is saved and loaded, so that it cannot differ from what its own files say.
    """
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        Path(folder, "tokenizer.json").write_text(json.dumps(settings), encoding="utf-8")
        rebuilt: PreTrainedTokenizerFast = type(tokenizer).from_pretrained(folder)
    rebuilt.name_or_path = tokenizer.name_or_path
    return rebuilt


def _distinct(used: NDArray[np.integer[Any]], known: Collection[int]) -> set[int]:
    """Return the ids in an array, without sorting it."""
    size = max(known) + 1
    if used.size and not 0 <= used.min() <= used.max() < size:
        raise DataError(
            f"token ids must be from 0 to {size - 1}, but got {used.min()} to {used.max()}; "
            "use features that this tokenizer made"
        )
    seen = np.zeros(size, np.bool_)
    seen[used] = True
    return set(np.flatnonzero(seen).tolist())


def _indispensable(settings: Mapping[str, Any]) -> set[int]:
    """Return the ids of special and added tokens, and of all others that the settings name."""
    model = settings["model"]
    ids = {holder[key] for holder, key in _id_places(settings)}
    if model["unk_token"] in model["vocab"]:
        ids.add(model["vocab"][model["unk_token"]])
    return ids


def _id_places(settings: Mapping[str, Any]) -> Iterator[tuple[Any, str | int]]:
    """Yield every place outside the model where a token id stands: a JSON container and a key."""
    for token in settings["added_tokens"]:
        yield token, "id"
    if settings["padding"]:
        yield settings["padding"], "pad_id"
    waiting = [settings["post_processor"] or {}]
    while waiting:
        processor = waiting.pop()
        waiting += processor.get("processors", [])
        for token in processor.get("special_tokens", {}).values():  # TemplateProcessing
            yield from ((token["ids"], index) for index in range(len(token["ids"])))
        for name in ("cls", "sep"):  # BertProcessing, RobertaProcessing
            if name in processor:
                yield processor[name], 1


def _renumbered(vocabulary: Mapping[str, int], new_ids: Mapping[int, int]) -> dict[str, int]:
    return {piece: new_ids[old] for piece, old in vocabulary.items() if old in new_ids}


def _joined(left: str, right: str, prefix: str) -> str:
    """Return what a merge makes: the pieces without the second one's continuing-subword prefix."""
    return left + right[len(prefix) :]


def _parts(merges: Iterable[tuple[str, str]], prefix: str) -> dict[str, set[str]]:
    """Return for each piece that merges make all pieces that they make it from."""
    parts: dict[str, set[str]] = defaultdict(set)
    for left, right in merges:
        parts[_joined(left, right, prefix)].update((left, right))
    return dict(parts)


def _closure(pieces: Iterable[str], parts: Mapping[str, set[str]]) -> set[str]:
    """Return the pieces, their parts, the parts of these, and so on."""
    found = set(pieces)
    waiting = list(found)
    while waiting:
        new = parts.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found
