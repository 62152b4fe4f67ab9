"""A study small enough to run in a test: teacher, encoder, questions and study file.

The task is easy: the answer is the one name in the context, and where no name stands in it, there
is no answer. The teacher was not trained but put together so that it knows all names but the last;
a student can be better than it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForQuestionAnswering, BertModel, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape
from limbeck.students.slicing import Dropouts, choose_cut, magnitude, slice_student
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet
from limbeck.tasks.question_answering.features import Features, load_features
from limbeck.tasks.question_answering.windows import Lengths

disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'

NAMES = ("ada", "bob", "cleo", "dan", "eve", "finn")
PLACES = ("france", "spain", "chad", "peru", "nepal")
OFFICES = ("king", "queen", "mayor", "judge")
WORDS = ("the", "of", "who", "is", "was", "not", "known", "it", "rains", "and", "then", "snows")
LENGTHS = Lengths(max_length=32, doc_stride=16, max_query_length=8)
LAYERS = 3


def tiny_questions(count: int, *, seed: int) -> QuestionSet:
    """Return questions about contexts of one to three windows; every fourth has no answer."""
    generator = np.random.default_rng(seed)

    def one_of(values: tuple[str, ...]) -> str:
        return values[int(generator.integers(len(values)))]

    questions = []
    for index in range(count):
        office, place = one_of(OFFICES), one_of(PLACES)
        name = "" if index % 4 == 3 else one_of(NAMES)
        before, after = (
            "it rains and then it snows . " * int(generator.integers(4)) for _ in range(2)
        )
        start = f"{before}the {office} of {place} is "
        questions.append(
            Question(
                id=f"q{seed}-{index:03d}",
                title=place,
                context=f"{start}{name or 'not known'} . {after}".strip(),
                question=f"who is the {office} of {place} ?",
                answers=(Answer(name, len(start)),) if name else (),
            )
        )
    return QuestionSet(tuple(questions))


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer like BERT's that knows the words of `tiny_questions`."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?"]
    pieces += [*NAMES, *PLACES, *OFFICES, *WORDS]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(piece, vocabulary[piece]) for piece in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers'
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def tiny_features(questions: QuestionSet, *, cache: Path) -> Features:
    """Return the questions' windows of at most 32 tokens."""
    return load_features(questions, tiny_tokenizer().backend_tokenizer, LENGTHS, cache=cache)


def write_tiny_teacher(folder: Path) -> Path:
    """Write a fine-tuned BERT that points at names, and at the first token where it sees none."""
    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        teacher = BertForQuestionAnswering(_config(len(tokenizer)))
    # The first hidden unit says how likely a token is the answer. The layers, whose weights are
    # small, let it pass; the head reads it.
    words = teacher.bert.embeddings.word_embeddings.weight
    with torch.no_grad():
        words[:, 0] = 0.0
        words[tokenizer.convert_tokens_to_ids(list(NAMES[:-1])), 0] = 1.0
        words[tokenizer.convert_tokens_to_ids(["[CLS]"]), 0] = 0.2
        teacher.qa_outputs.weight[:, 0] = 2.0
    teacher.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_student(
    teacher: SlimBertForQuestionAnswering,
    *,
    layers: int = 2,
    heads: tuple[int, ...] = (4, 2, 4),
    dropout: float = 0.1,
) -> SlimBertForQuestionAnswering:
    """Return the first layers of a tiny teacher with as many heads as given for each of them."""
    shape = Shape.from_config(teacher.config.to_dict()).student(
        heads_per_layer=heads[:layers], ffn_per_layer=(24,) * layers
    )
    cut = choose_cut(teacher, shape, kept_layers=range(layers), importance=magnitude)
    dropouts = Dropouts(hidden=dropout, attention=dropout, qa=dropout)
    return slice_student(teacher, cut, dropouts=dropouts)


def write_tiny_encoder(folder: Path) -> Path:
    """Write a BERT that nobody has fine-tuned."""
    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        encoder = BertModel(_config(len(tokenizer)))
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_squad(path: Path, questions: QuestionSet) -> Path:
    """Write questions as SQuAD 2.0 does, one article and paragraph for each."""
    data = [
        {
            "title": question.title,
            "paragraphs": [
                {
                    "context": question.context,
                    "qas": [
                        {
                            "id": question.id,
                            "question": question.question,
                            "answers": [
                                {"text": answer.text, "answer_start": answer.start}
                                for answer in question.answers
                            ],
                            "is_impossible": not question.answerable,
                        }
                    ],
                }
            ],
        }
        for question in questions.questions
    ]
    path.write_text(json.dumps({"version": "v2.0", "data": data}))
    return path


def write_tiny_study(folder: Path, **overrides: object) -> Path:
    """Write ``study.toml`` and all that it names; return its path.

    A run takes 14 steps, about a quarter of a second on one CPU core, and saves a checkpoint after
    every fifth. At a learning rate of 0.001 ``exact`` stays at the teacher's 75; around 0.02 it is
    higher, at 0.1 lower, in part below the threshold.

    Args:
        folder: Where to; made if need be. ``teacher/``, ``encoder/``, ``train.json`` and
            ``dev.json`` lie beside the study file.
        overrides: Keys of the study file; tables are merged, other values take the place of those
            here, None takes a key away. ``teacher={"model": "encoder"}`` starts from an encoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tiny_teacher(folder / "teacher")
    write_tiny_encoder(folder / "encoder")
    write_squad(folder / "train.json", tiny_questions(24, seed=1))
    write_squad(folder / "dev.json", tiny_questions(12, seed=2))
    return write_study_file(folder / "study.toml", **overrides)


def write_study_file(path: Path, **overrides: object) -> Path:
    """Write a study file alone; see `write_tiny_study`."""
    path.write_text("".join(f"{line}\n" for line in _toml(merged(tiny_study(), overrides))))
    return path


def tiny_study() -> dict[str, object]:
    """Return the keys of `write_tiny_study`'s study file."""
    return {
        "name": "tiny",
        "task": "question-answering",
        "teacher": {
            "model": "teacher",
            "recipe": {"epochs": 2.0, "batch_size": 8, "learning_rate": 5e-3},
        },
        "data": {
            "train": "train.json",
            "dev": "dev.json",
            "max_length": LENGTHS.max_length,
            "doc_stride": LENGTHS.doc_stride,
            "max_query_length": LENGTHS.max_query_length,
            "max_answer_length": 4,
        },
        "recipe": {
            "learning_rate": 1e-2,
            "batch_size": 8,
            "epochs": 2.0,
            "alpha_ce": 0.2,
            "dropout": 0.1,
            "attention_dropout": 0.1,
        },
        "training": {
            "device": "cpu",
            "precision": "fp32",
            "log_every": 2,
            "evaluate_every": 5,
            "evaluate_questions": 8,
            "checkpoint_every": 5,
        },
        # A quarter of the questions has no answer: answering nothing must not be good enough.
        "metrics": {"exact": {"threshold": 30.0}, "num_parameters": {}},
        "space": {
            "num_layers": {"type": "integer", "low": 1, "high": LAYERS},
            "learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
        },
        "budget": {"runs": 4},
    }


def merged(table: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, object]:
    """Return a table with others over it, table by table; None takes a key away."""
    result = dict(table)
    for key, value in overrides.items():
        old = table.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return {key: value for key, value in result.items() if value is not None}


def _config(vocab_size: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=LENGTHS.max_length,
        pad_token_id=0,
    )


def _toml(table: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Yield a line for each key, with the path of its table before it."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _toml(value, f"{path}{key}.")
        else:
            yield f"{path}{key} = {json.dumps(value)}"
