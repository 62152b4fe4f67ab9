"""Where questions come from: a SQuAD file, a folder of `datasets`, or the hub."""

import re
from pathlib import Path

from limbeck.errors import DataError
from limbeck.files import is_folder
from limbeck.tasks.question_answering.dataset import QuestionSet, read_squad

HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def load_questions(source: str, *, base: Path) -> QuestionSet:
    """Return the questions that a source names.

    Args:
        source: ``dev.json`` or ``dev.json.gz`` in the format of SQuAD 1.1 or 2.0; ``folder`` or
            ``folder:split`` that ``save_to_disk`` of `datasets` wrote; or ``hub-id:split``.
        base: Folder that relative paths start from.

    Raises:
        DataError: If the source cannot be found, or what it holds breaks a rule of `Question` or
            `QuestionSet`.
    """
    if source.endswith((".json", ".json.gz")):
        return read_squad(base / source)
    # Loading `datasets` takes half a second, which questions in a file need not pay.
    from limbeck.tasks.question_answering.hub import load_folder, load_hub_split  # noqa: PLC0415

    name, _, split = source.partition(":")
    if is_folder(base / name):
        return load_folder(base / name, split)
    if HUB_ID.fullmatch(name) and split:
        return load_hub_split(name, split)
    raise DataError(
        f"questions must come from a file FILE.json or FILE.json.gz, a folder, or a hub data set "
        f"ID:SPLIT, but got {source!r}, and {base / name} is no folder"
    )
