"""What Limbeck's files take on disk, by kind and study."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from limbeck.artifacts import WEIGHTS, local_path
from limbeck.home import Home
from limbeck.runs import Run

KINDS = ("weights", "predictions", "checkpoints", "records")
"""What a study's files are: models, answers, what interrupted runs go on from, all else."""

PREDICTIONS = ("predictions.json", "null_odds.json")


def study_bytes(home: Home, study: str) -> Mapping[str, int]:
    """Return the bytes of a study's files in the home folder, by kind."""
    runs = home.run(study, 0).parent
    found = dict.fromkeys(KINDS, 0)
    for path, count in _sizes(runs.rglob("*")):
        _, name, *_ = (*path.relative_to(runs).parts, "")
        found[_kind(name)] += count
    return found


def away_bytes(runs: Sequence[Run]) -> int:
    """Return the bytes of the artifacts that runs have at URLs of other places."""
    artifacts = [artifact for run in runs for artifact in run.artifacts]
    return sum(artifact.bytes for artifact in artifacts if local_path(artifact.path) is None)


def shared_bytes(home: Home) -> Mapping[str, int]:
    """Return the bytes of what belongs to no study, by what it is.

    The store is that of the home; another one is not seen.
    """
    places = {
        "caches": home.cache.rglob("*"),
        "teachers": home.teachers.rglob("*"),
        "students": home.students.rglob("*"),
        "store": home.folder.glob("store.db*"),
    }
    return {name: sum(count for _, count in _sizes(paths)) for name, paths in places.items()}


def _kind(name: str) -> str:
    """Return what the files of a run's folder are that lie at, or beneath, a name."""
    if name == WEIGHTS or name.startswith(f".{WEIGHTS}-"):
        return "weights"
    if name.endswith(".safetensors"):
        return "checkpoints"
    return "predictions" if name in PREDICTIONS else "records"


def _sizes(paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """Yield the files among some paths with their bytes; searches may remove them meanwhile."""
    for path in paths:
        try:
            if path.is_file() and not path.is_symlink():
                yield path, path.stat().st_size
        except FileNotFoundError:
            continue
