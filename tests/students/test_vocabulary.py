import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast, RobertaTokenizer

from limbeck.errors import DataError, ModelError
from limbeck.students.vocabulary import kept_tokens, trim_tokenizer
from limbeck.tasks.question_answering.sources import load_questions

CORPUS = (
    "the king of france is called louis",
    "the queen of spain is called isabella",
    "who is the king of spain",
    "a snowman \u2603 is not a king",
)
OTHERS = (
    "normans came from normandy to france",
    "frankish kingdoms and spanish kings were calling",
    "nobody calls isabelle louisiana",
)
WORDS = sorted({word for sentence in CORPUS for word in sentence.split()})
LETTERS = sorted({letter for sentence in CORPUS + OTHERS for letter in sentence})
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NAMES: dict[str, Any] = {f"{piece[1:-1].lower()}_token": piece for piece in SPECIALS}


class Learned(NamedTuple):
    """Special tokens have the highest ids here, so that trimming must renumber them."""

    vocabulary: dict[str, int]
    merges: list[tuple[str, str]]


def learn(
    model: models.Model, trainer: trainers.Trainer, splitting: pre_tokenizers.PreTokenizer
) -> Learned:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = splitting
    # No piece has the snowman: it is unknown, or bytes.
    sentences = [text.replace("\u2603", "") for text in CORPUS + OTHERS]
    tokenizer.train_from_iterator(sentences, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    pieces = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    numbered = {piece: number for number, piece in enumerate([*pieces, *SPECIALS])}
    return Learned(numbered, [(left, right) for left, right in learned.get("merges", [])])


def bert() -> PreTrainedTokenizerFast:
    learned = learn(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=200, show_progress=False),
        pre_tokenizers.BertPreTokenizer(),
    )
    return BertTokenizer(vocab=learned.vocabulary, model_max_length=77)


def roberta() -> PreTrainedTokenizerFast:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learned = learn(
        models.BPE(),
        trainers.BpeTrainer(vocab_size=450, show_progress=False, initial_alphabet=alphabet),
        pre_tokenizers.ByteLevel(add_prefix_space=True),
    )
    return RobertaTokenizer(
        vocab=learned.vocabulary,
        merges=learned.merges,  # type: ignore[arg-type]  # pairs, as it is loaded with
        add_prefix_space=True,
        **NAMES,
    )


def suffixed() -> PreTrainedTokenizerFast:
    """Return a tokenizer like XLM's, which marks the ends of words."""
    suffix = "</w>"
    trainer = trainers.BpeTrainer(vocab_size=150, show_progress=False, end_of_word_suffix=suffix)
    splitting = pre_tokenizers.WhitespaceSplit()
    learned = learn(models.BPE(end_of_word_suffix=suffix), trainer, splitting)
    tokenizer = Tokenizer(models.BPE(*learned, unk_token="[UNK]", end_of_word_suffix=suffix))
    tokenizer.pre_tokenizer = splitting
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", learned.vocabulary["[SEP]"]), ("[CLS]", learned.vocabulary["[CLS]"])
    )
    return wrapped(tokenizer)


def prefixed() -> PreTrainedTokenizerFast:
    """Return byte-pair encoding that marks continued words, and a chain of post-processors."""
    prefix = "##"
    trainer = trainers.BpeTrainer(
        vocab_size=150, show_progress=False, continuing_subword_prefix=prefix
    )
    splitting = pre_tokenizers.WhitespaceSplit()
    learned = learn(models.BPE(continuing_subword_prefix=prefix), trainer, splitting)
    tokenizer = Tokenizer(
        models.BPE(*learned, unk_token="[UNK]", fuse_unk=True, continuing_subword_prefix=prefix)
    )
    tokenizer.pre_tokenizer = splitting
    template = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(piece, learned.vocabulary[piece]) for piece in ("[CLS]", "[SEP]")],
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
    return wrapped(tokenizer)


def wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers'
        tokenizer_object=tokenizer, model_max_length=77, padding_side="left", **NAMES
    )


def encode(tokenizer: PreTrainedTokenizerFast, text: str, context: str | None = None) -> Encoding:
    return tokenizer.backend_tokenizer.encode(text, context)


def ids_of(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> NDArray[np.int32]:
    return np.concatenate([np.array(encode(tokenizer, text).ids, np.int32) for text in texts])


class Trimming(NamedTuple):
    full: PreTrainedTokenizerFast
    kept: tuple[int, ...]
    trimmed: PreTrainedTokenizerFast

    def assert_same(self, text: str, context: str | None = None) -> None:
        """Check that a text, or question and context, has the tokens that it had."""
        before, after = encode(self.full, text, context), encode(self.trimmed, text, context)
        assert after.tokens == before.tokens
        assert after.offsets == before.offsets
        assert after.type_ids == before.type_ids
        assert [self.kept[number] for number in after.ids] == before.ids

    def assert_covers(self, text: str) -> None:
        """Check that no character is lost or becomes unknown, whatever tokens a text has."""
        before, after = encode(self.full, text), encode(self.trimmed, text)
        unknown = self.full.unk_token
        assert set(characters(after)) == set(characters(before))
        assert set(characters(after, token=unknown)) == set(characters(before, token=unknown))


def characters(encoding: Encoding, token: str | None = None) -> Iterator[int]:
    """Yield the positions of characters in all tokens, or in those that are the given one."""
    for piece, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        if token in (None, piece):
            yield from range(start, end)


def trim(full: PreTrainedTokenizerFast, corpus: Sequence[str]) -> Trimming:
    kept = kept_tokens(full, ids_of(full, corpus))
    return Trimming(full, kept, trim_tokenizer(full, kept))


@pytest.fixture(scope="module", params=[bert, roberta, suffixed, prefixed])
def trimming(request: pytest.FixtureRequest) -> Trimming:
    make: Callable[[], PreTrainedTokenizerFast] = request.param
    return trim(make(), CORPUS)


def word_pieces(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def byte_pairs(merges: Sequence[tuple[str, str]], *, alphabet: str) -> Tokenizer:
    pieces = dict.fromkeys([*alphabet, *("".join(merge) for merge in merges)])
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def plain(tokenizer: Tokenizer, **names: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)  # type: ignore[no-untyped-call]  # transformers'


def test_word_pieces_are_those_used_and_single_characters() -> None:
    pieces = ["king", "[UNK]", "the", "k", "##i", "##ing", "#", "###", "##", "queen", "of", "ki"]
    tokenizer = plain(word_pieces({piece: number for number, piece in enumerate(pieces)}))
    used = np.array([[2, 0, 2], [2, 2, 10]], np.uint16)
    # "##" is two characters; "###" is a continuing "#".
    assert kept_tokens(tokenizer, used) == (0, 1, 2, 3, 4, 6, 7, 10)
    assert kept_tokens(tokenizer, used[:0]) == (1, 3, 4, 6, 7)


def test_byte_pairs_are_those_used_with_all_their_parts() -> None:
    merges = [("b", "c"), ("c", "d"), ("a", "b"), ("ab", "cd"), ("abcd", "e"), ("a", "bc")]
    tokenizer = plain(byte_pairs(merges, alphabet="abcde"))
    # 5 bc, 6 cd, 7 ab, 8 abcd, 9 abcde, 10 abc
    assert kept_tokens(tokenizer, np.array([8])) == (0, 1, 2, 3, 4, 6, 7, 8)
    assert kept_tokens(tokenizer, np.array([10])) == (0, 1, 2, 3, 4, 5, 10)
    assert kept_tokens(tokenizer, np.array([], np.int64)) == (0, 1, 2, 3, 4)


def test_the_corpus_may_lie_on_disk(tmp_path: Path) -> None:
    tokenizer = bert()
    used = ids_of(tokenizer, CORPUS)
    np.save(tmp_path / "ids.npy", used)
    mapped = np.load(tmp_path / "ids.npy", mmap_mode="r")
    assert kept_tokens(tokenizer, mapped) == kept_tokens(tokenizer, np.unique(used))


def test_a_trimmed_vocabulary_is_smaller(trimming: Trimming) -> None:
    assert len(trimming.trimmed) == len(trimming.kept) < len(trimming.full)
    assert list(trimming.kept) == sorted(set(trimming.kept))


@given(words=st.lists(st.sampled_from(WORDS)), others=st.lists(st.sampled_from(WORDS)))
def test_words_of_the_corpus_stay_as_they_are(
    trimming: Trimming, words: list[str], others: list[str]
) -> None:
    question, context = " ".join(words), " ".join(others)
    assert set(encode(trimming.full, question, context).ids) <= set(trimming.kept)
    trimming.assert_same(question)
    trimming.assert_same(question, context)
    ids = encode(trimming.trimmed, question, context).ids
    assert trimming.trimmed.decode(ids) == trimming.full.decode(
        encode(trimming.full, question, context).ids
    )


@pytest.mark.parametrize("text", OTHERS)
def test_other_words_fall_apart(trimming: Trimming, text: str) -> None:
    before, after = encode(trimming.full, text), encode(trimming.trimmed, text)
    assert not set(before.ids) <= set(trimming.kept)
    assert len(after) > len(before)
    assert trimming.full.unk_token not in after.tokens


@given(text=st.text([*LETTERS, " ", "\u2603", "x", "\u00e9"]))
def test_no_character_is_lost_or_becomes_unknown(trimming: Trimming, text: str) -> None:
    trimming.assert_covers(text)


WORD = st.text("abc", min_size=1, max_size=7)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=12),
    corpus=st.lists(WORD, min_size=1, max_size=3),
    data=st.data(),
)
def test_any_merges_leave_the_corpus_as_it_is(
    pairs: list[tuple[int, int]], corpus: list[str], data: st.DataObject
) -> None:
    pieces, merges = list("abc"), dict[tuple[str, str], None]()
    for left, right in pairs:
        merge = pieces[left % len(pieces)], pieces[right % len(pieces)]
        merges[merge] = None
        pieces.append("".join(merge))
    ranked = data.draw(st.permutations(list(merges)))
    trimming = trim(plain(byte_pairs(ranked, alphabet="abc")), corpus)
    for word in corpus:
        trimming.assert_same(word)


@given(
    longer=st.sets(
        st.tuples(st.sampled_from(["", "##"]), st.text("abc", min_size=2, max_size=4)), max_size=12
    ),
    corpus=st.lists(st.text("abcd", min_size=1, max_size=7), min_size=1, max_size=3),
)
def test_any_word_pieces_leave_the_corpus_as_it_is(
    longer: set[tuple[str, str]], corpus: list[str]
) -> None:
    pieces = ["a", "b", "c", "##a", "##b", "##c", *sorted(map("".join, longer)), "[UNK]"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    trimming = trim(plain(word_pieces(vocabulary), unk_token="[UNK]"), corpus)
    for word in corpus:
        trimming.assert_same(word)


def test_the_ids_are_the_positions_of_what_is_kept() -> None:
    full = bert()
    kept = kept_tokens(full, ids_of(full, CORPUS))[::-1]
    trimmed = trim_tokenizer(full, kept)
    assert trimmed.convert_ids_to_tokens(list(range(len(kept)))) == full.convert_ids_to_tokens(
        list(kept)
    )
    Trimming(full, kept, trimmed).assert_same(CORPUS[0], CORPUS[3])


def test_special_tokens_keep_their_part(trimming: Trimming) -> None:
    full, kept, trimmed = trimming
    assert type(trimmed) is type(full)
    assert trimmed.special_tokens_map == full.special_tokens_map
    assert [kept[number] for number in trimmed.all_special_ids] == full.all_special_ids
    assert trimmed.all_special_ids != full.all_special_ids
    assert trimmed.model_max_length == full.model_max_length
    assert trimmed.padding_side == full.padding_side


def test_padding_and_truncation_stay() -> None:
    full = prefixed()
    full.backend_tokenizer.enable_truncation(9, stride=2)
    full.backend_tokenizer.enable_padding(
        length=12, pad_id=full.convert_tokens_to_ids("[PAD]"), pad_token="[PAD]"
    )
    trimming = trim(full, CORPUS)
    backend = trimming.trimmed.backend_tokenizer
    assert backend.truncation == full.backend_tokenizer.truncation
    padding = dict(full.backend_tokenizer.padding or {})
    assert padding["length"] == 12
    padding["pad_id"] = trimming.trimmed.convert_tokens_to_ids("[PAD]")
    assert backend.padding == padding
    trimming.assert_same(CORPUS[0], CORPUS[1])


def test_added_tokens_stay() -> None:
    full = bert()
    full.add_tokens(["king of france", "zebra"])
    trimming = trim(full, CORPUS[1:2])
    trimming.assert_same("the king of france is called zebra")
    assert trimming.trimmed.get_added_vocab().keys() == full.get_added_vocab().keys()


def test_a_saved_one_is_the_same(trimming: Trimming, tmp_path: Path) -> None:
    trimmed = trimming.trimmed
    trimmed.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded) is type(trimmed)
    assert loaded.backend_tokenizer.to_str() == trimmed.backend_tokenizer.to_str()
    assert loaded.special_tokens_map == trimmed.special_tokens_map
    loaded.save_pretrained(tmp_path / "again")
    assert _config(tmp_path / "again") == _config(tmp_path)


def _config(folder: Path) -> object:
    return json.loads((folder / "tokenizer_config.json").read_text())


def test_the_full_tokenizer_is_not_changed() -> None:
    full = roberta()
    before = full.backend_tokenizer.to_str()
    trim(full, CORPUS)
    assert full.backend_tokenizer.to_str() == before


def test_other_models_are_refused() -> None:
    tokenizer = plain(Tokenizer(models.Unigram([("[UNK]", 0.0), ("a", -1.0)], unk_id=0)))
    refused = "must be WordPiece or BPE to be trimmed, but this one is Unigram"
    with pytest.raises(ModelError, match=refused):
        kept_tokens(tokenizer, np.array([1]))
    with pytest.raises(ModelError, match=refused):
        trim_tokenizer(tokenizer, (0, 1))


@pytest.mark.parametrize("used", [[-1, 3], [3, 8]])
def test_ids_of_another_tokenizer_are_refused(used: list[int]) -> None:
    tokenizer = plain(byte_pairs([], alphabet="abcdefgh"))
    with pytest.raises(DataError, match=f"must be from 0 to 7, but got {used[0]} to {used[1]}"):
        kept_tokens(tokenizer, np.array(used))


def test_special_tokens_cannot_be_dropped() -> None:
    full = bert()
    kept = kept_tokens(full, ids_of(full, CORPUS))
    missing = kept[-3]
    assert full.convert_ids_to_tokens(missing) == "[CLS]"
    with pytest.raises(ModelError, match=rf"must be kept, but \[{missing}\] are missing"):
        trim_tokenizer(full, tuple(number for number in kept if number != missing))


@pytest.mark.parametrize("kept", [(0, 1, 2, 2), (0, 1, 2, 3)])
def test_unknown_and_repeated_ids_are_refused(kept: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="must be distinct and without gaps"):
        trim_tokenizer(plain(byte_pairs([], alphabet="abc")), kept)


def test_two_tokens_of_one_id_are_refused() -> None:
    tokenizer = word_pieces({"[UNK]": 0, "a": 3, "b": 4})
    tokenizer.add_tokens(["zebra"])
    assert tokenizer.get_vocab() == {"[UNK]": 0, "a": 3, "b": 4, "zebra": 3}
    full = plain(tokenizer, name_or_path="gaps")
    with pytest.raises(ModelError, match="those of 'gaps' are not; use the full vocabulary"):
        trim_tokenizer(full, kept_tokens(full, np.array([4])))


def test_squad_keeps_its_tokens_with_the_shared_teacher(shared_data: Path) -> None:
    full = BertTokenizer.from_pretrained(shared_data / "teachers" / "minilm-l6-squad2")
    full.backend_tokenizer.no_truncation()
    questions = load_questions("squad/dev-v2.0.json.gz", base=shared_data).questions
    first, last = questions[:300], questions[-300:]
    corpus = sorted({text for one in first for text in (one.question, one.context)})
    trimming = trim(full, corpus)
    assert len(trimming.kept) < len(full) / 4
    for one in first:
        trimming.assert_same(one.question, one.context)
    for text in sorted({one.context for one in last}):
        trimming.assert_covers(text)
