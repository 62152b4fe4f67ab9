"""An export on the Hugging Face hub."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is httpx's
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # re-exported

from limbeck.errors import ConfigError, DataError

TIMEOUT_SECONDS = 5
"""After which a hub that does not answer is given up, before anything is written or uploaded."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that is or would be uploaded.

    Attributes:
        path: Within the repository.
        bytes: Its size.
    """

    path: str
    bytes: int


def check_repository(repository: str) -> None:
    """Check that a name is that of a repository on the hub, without asking the hub.

    Raises:
        ConfigError: If not.
    """
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"REPO must be USER/NAME on the hub, but got {repository!r}: {reason}"
        ) from error


def check_hub(repository: str) -> None:
    """Check that the hub answers, in seconds.

    Raises:
        DataError: If not.
    """
    try:
        # This call has a timeout and no retries; those that write would wait for minutes.
        HfApi().model_info(repository, timeout=TIMEOUT_SECONDS)
    except RepositoryNotFoundError:
        return
    except (HTTPError, OSError) as error:
        raise _unreachable(repository, error) from error


def uploads(folder: Path) -> tuple[Upload, ...]:
    """Return the files of an export, by name."""
    return tuple(
        Upload(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )


def push(folder: Path, repository: str, *, private: bool) -> str:
    """Upload an export in one commit; return its address.

    The repository is made if there is none; one that is there keeps its visibility.

    Args:
        folder: Of the export.
        repository: ``user/name``.
        private: Whether a new repository is to be.

    Raises:
        DataError: If the hub refuses, or cannot be reached.
    """
    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Upload a student of Limbeck"
        )
    except (HTTPError, OSError) as error:
        raise _unreachable(repository, error) from error
    return str(commit.commit_url)


def _unreachable(repository: str, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"the hub must take {repository!r}, but: {reason}; check the connection, and log in with "
        "hf auth login"
    )
