"""Windows of a byte-level BPE tokenizer like RoBERTa's, beside those of one like BERT's.

RoBERTa puts two special tokens between question and context, knows no token types, counts the space
in front of a word as part of its token, and may need several tokens for one character.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from limbeck.tasks.question_answering.answers import best_answers
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet
from limbeck.tasks.question_answering.features import load_features, pad
from limbeck.tasks.question_answering.windows import Lengths

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
CONTEXT = (
    "São Paulo is  the biggest city,\nnot the capital. The capital 😀 is Brasília; "
    "it was built in 1960 by Niemeyer, the architect of the capital."
)
ASKED = ("Which city is the capital?", " who built  it")
LENGTHS = Lengths(max_length=30, doc_stride=6, max_query_length=12)


@pytest.fixture(scope="module")
def roberta() -> Tokenizer:
    """Trained on the words of `CONTEXT`, so that some are one token and others are several."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=len(SPECIAL) + 256 + 50,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([CONTEXT, *ASKED], trainer)
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return made


@pytest.fixture(params=["roberta", "tokenizer"])
def either(request: pytest.FixtureRequest) -> Tokenizer:
    """A tokenizer like RoBERTa's, and one like BERT's and ELECTRA's."""
    made: Tokenizer = request.getfixturevalue(request.param)
    return made


def phrases() -> QuestionSet:
    """Return a question for each one, two or three words of the context that stand together."""
    words = [(match.start(), match.end()) for match in re.finditer(r"\w+|😀", CONTEXT)]
    answers = [
        Answer(CONTEXT[begin:end], begin)
        for i, (begin, _) in enumerate(words)
        for _, end in words[i : i + 3]
    ]
    return QuestionSet(
        tuple(
            Question(str(i), "", CONTEXT, ASKED[i % 2], (gold,)) for i, gold in enumerate(answers)
        )
    )


def test_a_window_by_hand(tmp_path: Path, roberta: Tokenizer) -> None:
    question = Question("a", "", "the capital 😀", "the city", (Answer("😀", 12),))
    features = load_features(QuestionSet((question,)), roberta, LENGTHS, cache=tmp_path)
    pieces = [roberta.id_to_token(number) or "" for number in features.input_ids.tolist()]
    begin, end = int(features.context_begin[0]), int(features.context_end[0])
    assert pieces[0] == "<s>"
    assert "".join(pieces[1 : begin - 2]) == "theĠcity"
    assert pieces[begin - 2 : begin] == ["</s>", "</s>"]
    assert "".join(pieces[begin:end]) == "theĠcapitalĠðŁĺĢ"
    assert pieces[end:] == ["</s>"]
    assert not features.token_type_ids.any()
    # Four bytes, four tokens, one character.
    assert features.offsets[end - 4 : end].tolist() == [[12, 13]] * 4
    assert (features.start_position[0], features.end_position[0]) == (end - 4, end - 1)


def test_windows_are_those_of_the_tokenizers_own_truncation(
    tmp_path: Path, either: Tokenizer
) -> None:
    questions = QuestionSet(tuple(Question(asked, "", CONTEXT, asked) for asked in ASKED))
    features = load_features(questions, either, LENGTHS, cache=tmp_path)
    oracle = Tokenizer.from_str(either.to_str())
    expected = []
    for question in questions.questions:
        asked = either.encode(question.question, add_special_tokens=False)
        kept = min(len(asked), LENGTHS.max_query_length)
        shown = question.question[: asked.offsets[kept - 1][1]]
        room = LENGTHS.max_length - either.num_special_tokens_to_add(is_pair=True) - kept
        overlap = room - LENGTHS.doc_stride
        oracle.enable_truncation(LENGTHS.max_length, stride=overlap, strategy="only_second")
        whole = oracle.encode(shown, question.context)
        expected += [whole, *whole.overflowing]
        oracle.no_truncation()
    assert len(features) == len(expected) > 2 * len(questions)
    for (first, last), begin, end, encoding in zip(
        pairwise(features.starts),
        features.context_begin,
        features.context_end,
        expected,
        strict=True,
    ):
        assert features.input_ids[first:last].tolist() == encoding.ids
        assert features.token_type_ids[first:last].tolist() == encoding.type_ids
        sequence = [1 if begin <= i < end else None for i in range(len(encoding))]
        assert sequence == [number or None for number in encoding.sequence_ids]
        offsets = features.offsets[first:last][begin:end].tolist()
        assert offsets == [list(offset) for offset in encoding.offsets[begin:end]]


def test_gold_spans_are_the_answers_without_the_space_in_front(
    tmp_path: Path, either: Tokenizer
) -> None:
    questions = phrases()
    features = load_features(questions, either, LENGTHS, cache=tmp_path)
    marked = np.flatnonzero(features.start_position)
    for window in marked.tolist():
        offsets = features.offsets[features.starts[window] : features.starts[window + 1]]
        begin = offsets[features.start_position[window], 0]
        end = offsets[features.end_position[window], 1]
        question = questions.questions[features.question_index[window]]
        assert CONTEXT[begin:end] == question.answers[0].text
    assert set(features.question_index[marked]) == set(range(len(questions)))


def test_best_answers_of_a_model_that_knows_them_are_the_gold_ones(
    tmp_path: Path, either: Tokenizer
) -> None:
    questions = phrases()
    whole = Lengths(max_length=250, doc_stride=100, max_query_length=20)
    features = load_features(questions, either, whole, cache=tmp_path)
    start, end = (np.zeros(len(features.input_ids), np.float32) for _ in range(2))
    marked = np.flatnonzero(features.start_position)
    start[features.starts[marked] + features.start_position[marked]] = 1.0
    end[features.starts[marked] + features.end_position[marked]] = 1.0
    predictions = best_answers(questions, features, start, end)
    assert predictions.texts == {q.id: q.answers[0].text for q in questions.questions}


def test_batches_are_padded_with_the_given_token(tmp_path: Path, roberta: Tokenizer) -> None:
    contexts = ("the capital", "the biggest city of the capital")
    questions = QuestionSet(tuple(Question(text, "", text, "who") for text in contexts))
    features = load_features(questions, roberta, LENGTHS, cache=tmp_path)
    batch = pad(features, [0, 1], pad_token_id=SPECIAL.index("<pad>"))
    assert features.lengths[0] < features.lengths[1]
    assert np.array_equal(batch.input_ids != 1, batch.attention_mask == 1)
    assert not batch.token_type_ids.any()
