"""Questions from Hugging Face data sets: the one module that imports the library `datasets`."""

from collections.abc import Iterator
from pathlib import Path
from sys import intern

import datasets
from datasets.packaged_modules.cache.cache import Cache
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # exported on access

from limbeck.errors import DataError
from limbeck.tasks.question_answering.dataset import (
    Question,
    QuestionSet,
    parse_question,
    required,
)

COLUMNS = ("id", "context", "question", "answers")
PROBE_SECONDS = 5.0


def load_hub_split(name: str, split: str) -> QuestionSet:
    """Return one split of a hub data set; from the local cache if the hub cannot be reached.

    Args:
        name: Hub id: ``rajpurkar/squad_v2``.
        split: Name of the split, or a slice of it that `datasets` knows: ``train[:10%]``.

    Raises:
        DataError: If there is no such data set or split, its columns are not SQuAD's, or it is
            neither in reach nor in the cache.
    """
    try:
        # load_dataset itself tries an unreachable hub for half a minute.
        HfApi().dataset_info(name, timeout=PROBE_SECONDS)
    except RepositoryNotFoundError as error:
        raise DataError(
            f"{name}: no such data set on the hub, or it needs `hf auth login`; "
            "a local file must end in .json or .json.gz"
        ) from error
    except (HfHubHTTPError, httpx.HTTPError, OfflineModeIsEnabled) as error:
        return _question_set(_cached_split(name, split, error))
    try:
        return _question_set(datasets.load_dataset(name, split=split))
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{name}:{split}: {_first_line(error)}") from error


def load_folder(folder: Path, split: str) -> QuestionSet:
    """Return the questions of a folder that ``save_to_disk`` wrote.

    Args:
        folder: Of one `datasets.Dataset`, or of a `datasets.DatasetDict`.
        split: Which data set of the latter; empty for the former.

    Raises:
        DataError: If it is no such folder, has no such split, or its columns are not SQuAD's.
    """
    try:
        loaded = datasets.load_from_disk(folder)
    except (FileNotFoundError, ValueError) as error:
        raise DataError(
            f"{folder}: must be a folder that save_to_disk of `datasets` wrote, "
            f"but {_first_line(error)}"
        ) from error
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise DataError(
                f"{folder}: name one of the splits {list(loaded)} as FOLDER:SPLIT, "
                f"but got {split!r}"
            )
        return _question_set(loaded[split])
    if split:
        raise DataError(f"{folder}: holds no splits, but got {split!r}; name the folder alone")
    return _question_set(loaded)


def _cached_split(name: str, split: str, unreachable: Exception) -> datasets.Dataset:
    try:
        builder = Cache(repo_id=name, dataset_name=name.split("/")[-1], version="auto", hash="auto")
        return builder.as_dataset(split=split)
    except ValueError as error:
        raise DataError(
            f"{name}:{split}: the hub cannot be reached ({_first_line(unreachable)}) and the local "
            f"cache does not have it ({_first_line(error)}); use a local SQuAD .json or .json.gz"
        ) from error


def _question_set(rows: datasets.Dataset) -> QuestionSet:
    missing = [column for column in COLUMNS if column not in rows.column_names]
    if missing:
        raise DataError(
            f"the data set must have the columns {list(COLUMNS)}, but {missing} are missing from "
            f"{rows.column_names}"
        )
    return QuestionSet(tuple(_questions(rows)))


def _questions(rows: datasets.Dataset) -> Iterator[Question]:
    for index, row in enumerate(rows):
        where = f"row {index}"
        answers = required(row, "answers", dict, where)
        texts = required(answers, "text", list, where)
        starts = required(answers, "answer_start", list, where)
        if len(texts) != len(starts):
            raise DataError(
                f"{where}: answers must have as many texts as starts, but got {answers}"
            )
        record = {
            **row,
            "answers": [
                {"text": text, "answer_start": start}
                for text, start in zip(texts, starts, strict=True)
            ],
        }
        yield parse_question(
            record,
            title=required({"title": "", **row}, "title", str, where),
            context=intern(required(row, "context", str, where)),
            where=where,
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
