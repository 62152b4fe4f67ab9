"""Folders that answer questions without torch: an ONNX graph and what goes with it.

Imported only where that is wanted, for it needs the packages of the extra ``onnx``.
"""

import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path

from limbeck import answer
from limbeck.answer import MODEL, SETTINGS, Answerer, AnsweringError, Settings
from limbeck.config import DataSettings
from limbeck.errors import ModelError
from limbeck.export.check import Given
from limbeck.students.graphs import quantize, save_graph
from limbeck.students.loading import load_teacher, load_tokenizer
from limbeck.tasks.question_answering.dataset import QuestionSet

REQUIREMENTS = "numpy>=2.0\nonnxruntime>=1.20\ntokenizers>=0.22\n"


def write_onnx(
    student: Path, folder: Path, data: DataSettings, *, gives_null: bool, int8: bool
) -> None:
    """Write a folder that answers questions with `limbeck.answer`, a copy of which is in it.

    Args:
        student: Folder of the student.
        folder: Where to write.
        data: How windows are cut.
        gives_null: Whether it may answer nothing.
        int8: Whether weights are quantized; see `limbeck.students.graphs.quantize`.

    Raises:
        ModelError: If the student cannot be read.
    """
    model = load_teacher(str(student))
    save_graph(model, folder / MODEL)
    if int8:
        quantize(folder / MODEL)
    tokenizer = load_tokenizer(str(student)).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = Settings(
        max_length=data.max_length,
        doc_stride=data.doc_stride,
        max_query_length=data.max_query_length,
        max_answer_length=data.max_answer_length,
        null_threshold=0.0 if gives_null else None,
        pad_token_id=model.config.pad_token_id or 0,
    )
    (folder / SETTINGS).write_text(json.dumps(asdict(settings), indent=2), encoding="utf-8")
    (folder / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
    shutil.copyfile(str(answer.__file__), folder / "answer.py")


def answers_of_onnx(folder: Path, questions: QuestionSet) -> Given:
    """Return what the ONNX student of a folder answers, as an application would ask it.

    Raises:
        ModelError: If it cannot answer one.
    """
    texts, scores, null_odds = {}, {}, {}
    try:
        answerer = Answerer(folder)
        answers = [
            (question, answerer(question.question, question.context, n_best=1))
            for question in questions.questions
        ]
    except AnsweringError as error:
        raise ModelError(f"the export must answer the questions, but: {error}") from error
    for question, given in answers:
        texts[question.id] = given.text
        scores[question.id] = given.candidates[0].score if given.candidates else -math.inf
        null_odds[question.id] = math.inf if given.null_odds is None else given.null_odds
    return Given(texts=texts, scores=scores, null_odds=null_odds)
