"""Which runs keep their weights, and what of the others is removed."""

import json
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from limbeck.artifacts import (
    WEIGHTS,
    artifacts_url,
    local_path,
    models_at,
    remove,
    remove_path,
)
from limbeck.config import StudyConfig
from limbeck.errors import DataError, LimbeckWarning
from limbeck.files import size
from limbeck.frontier import frontier
from limbeck.home import Home
from limbeck.metrics import Metric
from limbeck.runs import Artifact, Run, RunState
from limbeck.store import Store

Rule = Literal["frontier", "all", "none"]
"""See ``artifacts.keep_weights`` of the study file."""


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """What a run that ended has left without being registered: a crash came in between.

    Attributes:
        path: Where it lies: a path, or a URL.
        bytes: Its size.
    """

    path: str
    bytes: int


def retain(
    runs: Sequence[Run], metrics: tuple[Metric, ...], rule: Rule
) -> tuple[tuple[int, Artifact], ...]:
    """Return the weights that a retention rule does without, each with the number of its run.

    Only runs that have ended lose theirs. A run that is dominated now stays so, whatever comes.

    Args:
        runs: All runs of a study.
        metrics: Its metrics.
        rule: Of the study file.
    """
    if rule == "all":
        return ()
    kept = {0, *(run.number for run in frontier(runs, metrics))} if rule == "frontier" else set()
    return tuple(
        (run.number, artifact)
        for run in runs
        if run.state.ended and run.number not in kept
        for artifact in run.artifacts
        if artifact.name == WEIGHTS
    )


def superfluous(runs: Sequence[Run], config: StudyConfig) -> tuple[tuple[int, Artifact], ...]:
    """Return the weights of a study that its rule does without, and that are for us to remove.

    Not those on another machine, which has its own search, nor any of a study that confirms
    another: its runs are of one model with several seeds.

    Args:
        runs: All runs of the study.
        config: Its study file, resolved.
    """
    if config.file.data.score_on == "test":
        return ()
    return tuple(
        (number, artifact)
        for number, artifact in retain(runs, config.metrics, config.file.artifacts.keep_weights)
        if (path := local_path(artifact.path)) is None or path.exists()
    )


def drop_weights(
    store: Store, config: StudyConfig, runs: Sequence[Run]
) -> tuple[tuple[int, Artifact], ...]:
    """Remove the weights that the study's retention rule does without; return them.

    The store forgets them first: if this process dies in between, files are left that nothing
    names (see `leftovers`), not names of files that are gone. What cannot be removed is left, too,
    with a warning.

    Args:
        store: Has the study.
        config: Its study file, resolved.
        runs: All its runs as they are now.
    """
    dropped = superfluous(runs, config)
    for number, artifact in dropped:
        store.drop_artifact(config.file.name, number, artifact.name)
        try:
            remove(artifact, study=config.file.name, number=number)
        except DataError as error:
            warnings.warn(f"weights of run {number} stay: {error}", LimbeckWarning, stacklevel=2)
    return dropped


def leftovers(runs: Sequence[Run], config: StudyConfig, home: Home) -> tuple[Leftover, ...]:
    """Return models, checkpoints and unfinished files of ended runs that nothing refers to.

    Args:
        runs: All runs of a study.
        config: Its study file.
        home: Where its runs were made.

    Raises:
        DataError: If the study's URL cannot be read.
    """
    name, url = config.file.name, artifacts_url(config)
    ended = [run for run in runs if run.state.ended]
    found = [
        Leftover(path=str(path), bytes=size(path))
        for run in ended
        for path in _unneeded(home.run(name, run.number))
        if not _is_registered(path, run)
    ]
    away = models_at(url, name) if url is not None else {}
    for run in ended:
        path, count = away.get(run.number, ("", 0))
        if path and not any(artifact.name == WEIGHTS for artifact in run.artifacts):
            found.append(Leftover(path=path, bytes=count))
    return tuple(found)


def clean(found: Sequence[Leftover]) -> None:
    """Remove what `leftovers` found.

    Raises:
        DataError: If something cannot be removed.
    """
    for leftover in found:
        remove_path(leftover.path)


def dropped_weights(run: Run, config: StudyConfig) -> str | None:
    """Return in one line why a run has no weights, and how to make them again; None if it has.

    None as well for a run that was made elsewhere and never had any here.
    """
    names = {artifact.name for artifact in run.artifacts}
    if run.state is not RunState.FINISHED or not names or WEIGHTS in names:
        return None
    sets = " ".join(
        f"--set {shlex.quote(f'{name}={value if isinstance(value, str) else json.dumps(value)}')}"
        for name, value in run.parameters.items()
    )
    return (
        f"the weights of run {run.number} were removed: artifacts.keep_weights = "
        f'"{config.file.artifacts.keep_weights}"; make them again: limbeck distill STUDY.toml '
        f"{sets}".rstrip()
    )


def _unneeded(folder: Path) -> list[Path]:
    """Return what is of no use in an ended run's folder, unless it is registered."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.name == WEIGHTS or path.suffix == ".safetensors" or path.name.startswith(".")
    )


def _is_registered(path: Path, run: Run) -> bool:
    """Whether a run's artifact is this one, or may be: where it should be, there is none.

    So nothing is taken for superfluous because the home was moved.
    """
    for artifact in run.artifacts:
        if artifact.name == path.name:
            registered = local_path(artifact.path)
            if registered is None:
                return False
            return not registered.exists() or registered.samefile(path)
    return False
