"""A tokenizer small enough to read, and questions made by hand."""

import string

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ["the", "paris", "is", "capital", "of", "france", "which", "city", "big", "##er"]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A WordPiece tokenizer like BERT's: a few words, and every other word letter by letter."""
    characters = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *string.punctuation, *WORDS]
    pieces += [*characters, *(f"##{character}" for character in characters)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return made
