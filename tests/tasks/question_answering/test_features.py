import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from limbeck.errors import ConfigError, DataError, ModelError
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet, read_squad
from limbeck.tasks.question_answering.features import Features, load_features, pad
from limbeck.tasks.question_answering.windows import Lengths

SMALL = Lengths(max_length=20, doc_stride=5, max_query_length=6)
CONTEXT = "The capital of France is Paris, which is a big city of 2 million."
QUESTIONS = QuestionSet(
    (
        Question("a", "", CONTEXT, "Which city is the capital?", (Answer("Paris", 25),)),
        Question("b", "", CONTEXT, "The capital of Spain?"),
        Question("c", "", "Paris is bigger.", "Is Paris big?", (Answer("is bigger", 6),)),
        Question("d", "", CONTEXT, "Of?", (Answer("big", 43), Answer("France", 15))),
    )
)


def texts(features: Features, questions: QuestionSet, window: int) -> tuple[str, str]:
    """Return the shown part of the context, and the gold answer that the window marks."""
    context = questions.questions[features.question_index[window]].context
    offsets = features.offsets[features.starts[window] : features.starts[window + 1]]
    begin, end = features.context_begin[window], features.context_end[window]
    first, last = features.start_position[window], features.end_position[window]
    return (
        context[offsets[begin, 0] : offsets[end - 1, 1]],
        context[offsets[first, 0] : offsets[last, 1]],
    )


def test_a_window_by_hand(tmp_path: Path, tokenizer: Tokenizer) -> None:
    features = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path)
    window = int(np.flatnonzero(features.question_index == 2)[0])
    span = slice(features.starts[window], features.starts[window + 1])
    pieces = [tokenizer.id_to_token(number) for number in features.input_ids[span]]
    assert pieces == [
        *("[CLS]", "is", "paris", "big", "?", "[SEP]"),
        *("paris", "is", "big", "##g", "##er", ".", "[SEP]"),
    ]
    assert features.token_type_ids[span].tolist() == [0] * 6 + [1] * 7
    assert features.offsets[span].tolist() == [
        *([0, 0] for _ in range(6)),
        *([0, 5], [6, 8], [9, 12], [12, 13], [13, 15], [15, 16]),
        [0, 0],
    ]
    assert features.is_max_context[span].tolist() == [False] * 6 + [True] * 6 + [False]
    assert (features.context_begin[window], features.context_end[window]) == (6, 12)
    assert (features.start_position[window], features.end_position[window]) == (7, 10)
    assert features.lengths[window] == 13


def test_the_first_gold_answer_is_marked_where_it_is_fully_shown(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    features = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path)
    marked = {"a": 0, "b": 0, "c": 0, "d": 0}
    for window in range(len(features)):
        question = QUESTIONS.questions[features.question_index[window]]
        shown, gold = texts(features, QUESTIONS, window)
        if question.answers and question.answers[0].text in shown:
            assert gold == question.answers[0].text
            marked[question.id] += 1
        else:
            assert features.start_position[window] == features.end_position[window] == 0
    assert marked["b"] == 0
    assert min(marked["a"], marked["c"], marked["d"]) >= 1
    assert len(features) > sum(marked.values())


def test_any_answer_is_marked_in_exactly_the_windows_that_show_it(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    context = "the capital of france is paris which is the big city of france"
    words = [(match.start(), match.end()) for match in re.finditer(r"\w+", context)]
    answers = [
        Answer(context[begin:end], begin)
        for i, (begin, _) in enumerate(words)
        for _, end in words[i : i + 4]
    ]
    questions = QuestionSet(
        tuple(Question(str(i), "", context, "which?", (gold,)) for i, gold in enumerate(answers))
    )
    lengths = Lengths(max_length=10, doc_stride=2, max_query_length=2)
    features = load_features(questions, tokenizer, lengths, cache=tmp_path)
    for window in range(len(features)):
        gold = answers[features.question_index[window]]
        offsets = features.offsets[features.starts[window] : features.starts[window + 1]]
        shown = offsets[features.context_begin[window] : features.context_end[window]]
        end = gold.start + len(gold.text)
        marked = features.start_position[window], features.end_position[window]
        if shown[0, 0] <= gold.start and end <= shown[-1, 1]:
            assert (offsets[marked[0], 0], offsets[marked[1], 1]) == (gold.start, end)
        else:
            assert marked == (0, 0)


def test_an_answer_that_ends_within_a_token_is_marked_with_all_of_it(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    questions = QuestionSet((Question("a", "", "of Paris", "Which?", (Answer("Par", 3),)),))
    features = load_features(questions, tokenizer, SMALL, cache=tmp_path)
    assert texts(features, questions, 0) == ("of Paris", "Paris")


def test_an_answer_that_the_tokenizer_drops_is_nowhere(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    questions = QuestionSet(
        (
            Question("a", "", "of \x01 Paris", "Which?", (Answer("\x01", 3),)),
            Question("b", "", "\x01\x02", "Which?", (Answer("\x02", 1),)),
            Question("c", "", "is", "Which?", (Answer("is", 0),)),
        )
    )
    features = load_features(questions, tokenizer, SMALL, cache=tmp_path)
    assert features.question_index.tolist() == [0, 1, 2]
    assert (features.start_position > 0).tolist() == [False, False, True]
    assert features.context_begin[1] == features.context_end[1]


def test_windows_are_those_of_the_tokenizers_own_truncation(
    tmp_path: Path, shared_data: Path
) -> None:
    path = str(shared_data / "teachers" / "minilm-l6-squad2" / "tokenizer.json")
    questions = read_squad(shared_data / "squad" / "dev-v2.0.json.gz").sample(150, seed=0)
    lengths = Lengths(max_length=100, doc_stride=20, max_query_length=60)
    features = load_features(questions, Tokenizer.from_file(path), lengths, cache=tmp_path)

    oracle = Tokenizer.from_file(path)
    expected = []
    for number, question in enumerate(questions.questions):
        asked = len(oracle.encode(question.question, add_special_tokens=False))
        overlap = lengths.max_length - 3 - asked - lengths.doc_stride
        oracle.enable_truncation(lengths.max_length, stride=overlap, strategy="only_second")
        whole = oracle.encode(question.question, question.context)
        expected += [(number, encoding) for encoding in (whole, *whole.overflowing)]
        oracle.no_truncation()
    assert len(features) == len(expected) > 2 * len(questions)
    for window, (number, encoding) in enumerate(expected):
        span = slice(features.starts[window], features.starts[window + 1])
        begin, end = features.context_begin[window], features.context_end[window]
        assert features.question_index[window] == number
        assert features.input_ids[span].tolist() == encoding.ids
        assert features.token_type_ids[span].tolist() == encoding.type_ids
        assert [1 if begin <= i < end else None for i in range(len(encoding))] == [
            sequence or None for sequence in encoding.sequence_ids
        ]
        assert features.offsets[span][begin:end].tolist() == [
            list(offset) for offset in encoding.offsets[begin:end]
        ]


def test_gold_spans_of_real_questions_decode_to_the_answers(
    tmp_path: Path, shared_data: Path
) -> None:
    tokenizer = Tokenizer.from_file(
        str(shared_data / "teachers" / "minilm-l6-squad2" / "tokenizer.json")
    )
    questions = read_squad(shared_data / "squad" / "dev-v1.1.json.gz").sample(1_000, seed=0)
    features = load_features(questions, tokenizer, Lengths(), cache=tmp_path)
    exact = 0
    answered = set()
    for window in np.flatnonzero(features.start_position).tolist():
        index = int(features.question_index[window])
        answer = questions.questions[index].answers[0].text
        _, gold = texts(features, questions, window)
        assert answer in gold
        # What is more are the rests of words that the answer cuts.
        assert re.fullmatch(r"\w*", gold.replace(answer, "", 1))
        exact += gold == answer
        answered.add(index)
        first, last = features.start_position[window], features.end_position[window]
        ids = features.input_ids[features.starts[window] :][first : last + 1]
        if gold.isascii():
            decoded = tokenizer.decode(ids.tolist())
            assert decoded.replace(" ", "") == gold.lower().replace(" ", "")
    assert len(answered) == len(questions)
    assert exact > 0.98 * np.count_nonzero(features.start_position)


def test_every_context_token_has_most_context_in_exactly_one_window(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    features = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path)
    window = np.repeat(np.arange(len(features)), features.lengths)
    best = features.is_max_context
    for number, question in enumerate(QUESTIONS.questions):
        own = best & (features.question_index[window] == number)
        shown = sorted(map(tuple, features.offsets[own].tolist()))
        encoding = tokenizer.encode(question.context, add_special_tokens=False)
        assert shown == encoding.offsets


def test_a_long_question_is_cut_to_its_first_tokens(tmp_path: Path, tokenizer: Tokenizer) -> None:
    questions = QuestionSet((Question("a", "", "Paris", "the capital of france is which city"),))
    features = load_features(questions, tokenizer, SMALL, cache=tmp_path)
    decoded = tokenizer.decode(features.input_ids.tolist(), skip_special_tokens=False)
    assert decoded == "[CLS] the capital of france is which [SEP] paris [SEP]"


def test_the_tokenizers_own_truncation_and_padding_have_no_say(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    limited = Tokenizer.from_str(tokenizer.to_str())
    limited.enable_truncation(4)
    limited.enable_padding(length=50)
    before = limited.to_str()
    features = load_features(QUESTIONS, limited, SMALL, cache=tmp_path)
    assert features.key == load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path / "b").key
    assert limited.to_str() == before


def test_special_tokens_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<s>", "</s>", *alphabet])}
    roberta = Tokenizer(models.BPE(vocabulary, merges=[]))
    roberta.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    roberta.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    question = Question("a", "", "In São Paulo", "Where?", (Answer("São Paulo", 3),))
    lengths = Lengths(max_length=40, doc_stride=10, max_query_length=10)
    features = load_features(QuestionSet((question,)), roberta, lengths, cache=tmp_path)
    encoding = roberta.encode(question.question, question.context)
    assert features.input_ids.tolist() == encoding.ids
    assert features.token_type_ids.tolist() == [0] * len(encoding)
    assert encoding.tokens.count("</s>") == 3
    first, last = features.start_position[0], features.end_position[0]
    assert question.context[features.offsets[first, 0] : features.offsets[last, 1]] == "São Paulo"


def test_a_tokenizer_without_a_token_in_front_is_refused(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    bare = Tokenizer.from_str(tokenizer.to_str())
    bare.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A [SEP] $B", special_tokens=[("[SEP]", 3)]
    )
    with pytest.raises(ModelError, match=r"joins 'a' and 'b' to \['a', '\[SEP\]', 'b'\]"):
        load_features(QUESTIONS, bare, SMALL, cache=tmp_path)


def test_a_question_that_leaves_no_room_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    lengths = Lengths(max_length=9, doc_stride=2, max_query_length=8)
    with pytest.raises(
        ConfigError, match=r"leave room for .* 3 special tokens and a question of 8"
    ):
        load_features(QUESTIONS, tokenizer, lengths, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_thousands_of_windows_of_one_context_join_up(tmp_path: Path, tokenizer: Tokenizer) -> None:
    count = 9_000
    questions = QuestionSet((Question("a", "", "is " * count, "Of?"),))
    lengths = Lengths(max_length=9, doc_stride=1, max_query_length=2)
    features = load_features(questions, tokenizer, lengths, cache=tmp_path)
    assert len(features) == count - 3
    own = features.offsets[features.is_max_context]
    assert sorted(own[:, 0].tolist()) == list(range(0, 3 * count, 3))
    grid = features.offsets.reshape(-1, 9, 2)[:, 4:8, 0]
    assert (grid == 3 * (np.arange(count - 3)[:, None] + np.arange(4))).all()


def test_features_are_made_once(tmp_path: Path, tokenizer: Tokenizer) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    made = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path / "new", progress=progress)
    assert calls == [(6, 6)]  # four questions, two contexts
    read = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path / "new", progress=progress)
    assert calls == [(6, 6)]
    assert read.key == made.key
    for field in fields(Features):
        assert np.array_equal(getattr(read, field.name), getattr(made, field.name))
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"features-{made.key}"]
    with pytest.raises(ValueError, match="read-only"):
        read.input_ids[0] = 5


def test_the_key_follows_from_questions_tokenizer_and_lengths(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    other = Tokenizer.from_str(tokenizer.to_str())
    other.add_tokens(["france"])
    longer = Lengths(max_length=21, doc_stride=5, max_query_length=6)
    keys = {
        load_features(questions, by, lengths, cache=tmp_path).key
        for questions, by, lengths in [
            (QUESTIONS, tokenizer, SMALL),
            (QuestionSet(QUESTIONS.questions[:3]), tokenizer, SMALL),
            (QUESTIONS, other, SMALL),
            (QUESTIONS, tokenizer, longer),
        ]
    }
    assert len(keys) == 4


def test_two_makers_at_once_agree(tmp_path: Path, tokenizer: Tokenizer) -> None:
    inner: list[Features] = []

    def make_again(done: int, total: int) -> None:
        inner.append(load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path))

    outer = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path, progress=make_again)
    assert np.array_equal(outer.input_ids, inner[0].input_ids)
    assert [path.name for path in tmp_path.iterdir()] == [f"features-{outer.key}"]


def test_nothing_is_left_of_an_interrupted_making(tmp_path: Path, tokenizer: Tokenizer) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["remove", "truncate", "pickle"])
def test_a_damaged_cache_is_refused(tmp_path: Path, tokenizer: Tokenizer, damage: str) -> None:
    key = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path).key
    path = tmp_path / f"features-{key}" / "input_ids.npy"
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=rf"features-{key}: .* must be whole, .*delete the folder"):
        load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path)


def test_pad_puts_windows_side_by_side_in_the_given_order(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    features = load_features(QUESTIONS, tokenizer, SMALL, cache=tmp_path)
    short = int(np.flatnonzero(features.question_index == 2)[0])
    batch = pad(features, [short, 1, 0], pad_token_id=7)
    assert batch.input_ids.shape == (3, 20)
    assert {array.dtype for array in vars(batch).values()} == {np.dtype(np.int64)}
    for row, window in enumerate([short, 1, 0]):
        span = slice(features.starts[window], features.starts[window + 1])
        length = int(features.lengths[window])
        padding = 20 - length
        assert batch.input_ids[row].tolist() == [*features.input_ids[span], *[7] * padding]
        assert batch.token_type_ids[row].tolist() == [
            *features.token_type_ids[span],
            *[0] * padding,
        ]
        assert batch.attention_mask[row].tolist() == [1] * length + [0] * padding
        assert batch.start_positions[row] == features.start_position[window]
        assert batch.end_positions[row] == features.end_position[window]
    assert pad(features, [short], pad_token_id=0).input_ids.shape == (1, 13)
