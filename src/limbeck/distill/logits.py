"""The teacher's logits: computed once per teacher, data and window lengths, used by every run.

Half precision and unpadded: about 90 MB for all of SQuAD 2.0.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limbeck.distill.device import Device
from limbeck.distill.predict import fill_logits
from limbeck.errors import DataError, DivergedError
from limbeck.files import whole_folder
from limbeck.students.loading import fingerprint
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features

_FORMAT = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class TeacherLogits:
    """What a teacher answers to all windows.

    Attributes:
        key: Hash of what it follows from: teacher, windows and precision.
        values: A ``total x 2`` array of start and end logits, aligned with the windows' tokens.
    """

    key: str
    values: NDArray[np.float16]


def teacher_logits(
    teacher: SlimBertForQuestionAnswering,
    features: Features,
    *,
    device: Device,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> TeacherLogits:
    """Return the teacher's start and end logits, memory-mapped.

    Args:
        teacher: The fine-tuned model.
        features: The training windows.
        device: Where to compute what is not in the cache.
        cache: Folder in which logits are kept under a key of teacher, features and precision.
        progress: Called with windows done and in all, only if they have to be computed.

    Raises:
        DataError: If the cached file is damaged.
        DivergedError: If a logit is not finite in half precision.
    """
    key = hashlib.sha256(
        f"{_FORMAT} {fingerprint(teacher)} {features.key} {device.dtype}".encode()
    ).hexdigest()[:16]
    folder = cache / f"logits-{key}"
    if not folder.is_dir():
        with whole_folder(folder) as unfinished:
            out = np.lib.format.open_memmap(
                unfinished / "logits.npy",
                mode="w+",
                dtype=np.float16,
                shape=(int(features.starts[-1]), 2),
            )
            with np.errstate(over="ignore"):
                fill_logits(out, teacher, features, device=device, progress=progress)
            if not np.isfinite(out).all():
                raise DivergedError("the teacher's logits must be finite, but some are not")
            out.flush()
    try:
        logits: NDArray[np.float16] = np.load(
            folder / "logits.npy", mmap_mode="r", allow_pickle=False
        )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: cached logits must be whole, but {error}; delete the folder"
        ) from error
    return TeacherLogits(key=key, values=logits)
