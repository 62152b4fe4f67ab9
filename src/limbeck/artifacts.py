"""What runs leave behind: registered by digest, kept here or at a URL, fetched and removed.

What lies beneath a URL is read and written with fsspec. Its backends raise whatever their own
libraries do; here that becomes one line.
"""

import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from limbeck.config import StudyConfig
from limbeck.errors import ConfigError, DataError, LimbeckWarning
from limbeck.files import sha256, size
from limbeck.home import run_place
from limbeck.runs import Artifact, Outcome

WEIGHTS = "model"
"""Name of the artifact that has a run's weights: a folder that transformers loads."""

LOG = "log.txt"
FROM_THE_START = ("config.json", "environment.json", LOG)
"""Names of the artifacts that a run has however it ends."""


def register(name: str, path: Path) -> Artifact:
    """Return the artifact that a finished file or folder is."""
    return Artifact(name=name, path=str(path), sha256=sha256(path), bytes=size(path))


def register_from_the_start(folder: Path) -> tuple[Artifact, ...]:
    """Return what a run that broke off has left in its folder."""
    present = [name for name in FROM_THE_START if (folder / name).exists()]
    return tuple(register(name, folder / name) for name in present)


def with_artifacts(outcome: Outcome, folder: Path, config: StudyConfig) -> Outcome:
    """Return an outcome with all artifacts of the run, where the study file wants them.

    Args:
        outcome: With those that the objective has made.
        folder: The run's, in the home.
        config: The study file.
    """
    made = (*outcome.artifacts, *register_from_the_start(folder))
    return replace(outcome, artifacts=publish(made, config, folder))


def artifacts_url(config: StudyConfig) -> str | None:
    """Return the URL beneath which a study file wants artifacts; None for the home folder."""
    url = config.file.artifacts.url
    if url is None or "://" in url:
        return url.rstrip("/") if url else None
    return f"file://{(config.folder / Path(url).expanduser()).resolve().as_posix()}"


def check_artifacts_url(config: StudyConfig) -> None:
    """Check that artifacts can be written where the study file wants them, before any training.

    Raises:
        ConfigError: If the URL's kind is unknown, or its package is not installed.
        DataError: If nothing can be written there.
    """
    url = artifacts_url(config)
    if url is None:
        return
    files, root = _open(url)
    probe = f"{root}/{config.file.name}/.limbeck-{uuid4().hex}"
    with _one_line(f"artifacts.url = {url!r} must be writable"):
        files.makedirs(files._parent(probe), exist_ok=True)
        files.pipe_file(probe, b"limbeck")
        files.rm_file(probe)


def publish(
    artifacts: Sequence[Artifact], config: StudyConfig, folder: Path
) -> tuple[Artifact, ...]:
    """Move a run's artifacts beneath the study file's URL, if it has one; return where they are.

    They go one after the other; what was there of the same run is replaced. From the first that
    cannot be moved on, they stay, with a warning: no run is lost for a server that is away. The log
    stays as well as it goes, for somebody may be writing it.

    Args:
        artifacts: In the home.
        config: The study file.
        folder: The run's, in the home.
    """
    url = artifacts_url(config)
    if url is None:
        return tuple(artifacts)
    run_url, moved = "/".join((url, *folder.parts[-3:])), list[Artifact]()
    try:
        for artifact in artifacts:
            moved.append(_move(artifact, run_url))
    except DataError as error:
        rest = artifacts[len(moved) :]
        names = ", ".join(artifact.name for artifact in rest)
        warnings.warn(f"{names} stay in {folder}: {error}", LimbeckWarning, stacklevel=2)
        moved.extend(rest)
    return tuple(moved)


def fetch(artifact: Artifact, folder: Path) -> Path:
    """Return an artifact's path on this machine, its digest checked.

    One that is here already stays where it is, and must not be changed. Another is copied into
    ``folder``, unless it was before.

    Raises:
        DataError: If it is gone, cannot be reached, or is not what the run left.
    """
    path = local_path(artifact.path)
    if path is None:
        path = folder / artifact.name
        if not path.exists() or sha256(path) != artifact.sha256:
            _download(artifact, path)
        return path
    if not path.exists():
        raise DataError(f"{artifact.name} must be at {path}, but is gone; put it back")
    _check(artifact, path)
    return path


def remove(artifact: Artifact, *, study: str, number: int) -> None:
    """Remove what a run left behind; it may be gone already.

    Raises:
        DataError: If it is not where runs leave things, or cannot be removed.
    """
    place = f"/{run_place(study, number)}/{artifact.name}"
    if not artifact.path.endswith(place):
        raise DataError(
            f"only what lies at ...{place} is removed, but {artifact.name} is at {artifact.path}; "
            "remove it by hand"
        )
    remove_path(artifact.path)


def remove_path(path: str) -> None:
    """Remove a file or folder, here or at a URL; it may be gone already.

    Raises:
        DataError: If it cannot be removed.
    """
    here = local_path(path)
    with _one_line(f"{path} must be removable"):
        if here is None:
            files, there = _open(path)
            files.invalidate_cache()
            if files.exists(there):
                files.rm(there, recursive=True)
        elif here.is_dir():
            shutil.rmtree(here)
        else:
            here.unlink(missing_ok=True)


def fault_of(artifact: Artifact, *, hashes: bool) -> str | None:
    """Return what is wrong with what a run left behind, as one line; None if nothing is.

    Args:
        artifact: As it is registered.
        hashes: Whether to read all of it and compare its digest, not its size alone.
    """
    here = local_path(artifact.path)
    try:
        found = _remote_size(artifact.path) if here is None else _local_size(here)
        if found is None:
            return f"{artifact.name} is gone from {artifact.path}"
        if found != artifact.bytes:
            return (
                f"{artifact.name} must have {artifact.bytes} bytes, but {artifact.path} has {found}"
            )
        if hashes:
            with TemporaryDirectory() as folder:
                fetch(artifact, Path(folder))
    except DataError as error:
        return str(error)
    return None


def models_at(url: str, study: str) -> Mapping[int, tuple[str, int]]:
    """Return URL and bytes of every model that lies beneath a URL, by number of its run.

    Raises:
        DataError: If that cannot be read.
    """
    files, root = _open(url)
    with _one_line(f"artifacts.url = {url!r} must be readable"):
        files.invalidate_cache()
        return {
            int(path.split("/")[-2]): (files.unstrip_protocol(path), int(files.du(path)))
            for path in sorted(files.glob(f"{root}/{study}/runs/[0-9]*/{WEIGHTS}"))
        }


def local_path(path: str) -> Path | None:
    """Return a registered path that is of this machine; None for the URL of another place."""
    if path.startswith("file://"):
        return Path(path.removeprefix("file://"))
    return None if "://" in path else Path(path)


def _local_size(path: Path) -> int | None:
    return size(path) if path.exists() else None


def _remote_size(url: str) -> int | None:
    files, there = _open(url)
    with _one_line(f"{url} must be readable"):
        files.invalidate_cache()
        return int(files.du(there)) if files.exists(there) else None


def _move(artifact: Artifact, run_url: str) -> Artifact:
    source, target = Path(artifact.path), f"{run_url}/{artifact.name}"
    remove_path(target)
    _upload(source, target)
    if artifact.name != LOG:
        remove_path(artifact.path)
    return replace(artifact, path=target)


def _upload(source: Path, target: str) -> None:
    files, root = _open(target)
    with _one_line(f"{target} must be writable"):
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file():
                inside = path.relative_to(source).as_posix()
                there = root if path == source else f"{root}/{inside}"
                files.makedirs(files._parent(there), exist_ok=True)
                files.put_file(str(path), there)


def _download(artifact: Artifact, path: Path) -> None:
    """Copy an artifact from its URL; ``path`` appears, or is replaced, whole and right."""
    files, root = _open(artifact.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        unfinished = Path(folder) / path.name
        with _one_line(f"{artifact.name} must be at {artifact.path}"):
            files.invalidate_cache()
            there = files.find(root)
            if not there:
                raise FileNotFoundError("it is gone")
            for file in there:
                target = unfinished / file.removeprefix(root).lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                files.get_file(file, str(target))
        _check(artifact, unfinished)
        remove_path(str(path))
        unfinished.rename(path)


def _check(artifact: Artifact, path: Path) -> None:
    digest = sha256(path)
    if digest != artifact.sha256:
        raise DataError(
            f"{artifact.name} must be as the run left it, sha256 {artifact.sha256[:12]}, but "
            f"{artifact.path} has {digest[:12]}; put back a copy of it"
        )


def _open(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        ConfigError: If there is none for it, or its package is not installed.
    """
    try:
        files, path = url_to_fs(url)
    except ImportError as error:
        raise ConfigError(
            f"artifacts.url = {url!r} needs a package that is not installed: {error}"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"artifacts.url must be a folder or a URL that fsspec reads, but got {url!r}: {error}"
        ) from error
    return files, str(path)


@contextmanager
def _one_line(rule: str) -> Iterator[None]:
    """Turn what file systems raise into one line; there is no common class of it."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{rule}, but: {reason}") from error
