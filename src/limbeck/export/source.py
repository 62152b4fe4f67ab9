"""The run that is to be exported, and its student."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from limbeck.artifacts import WEIGHTS, fetch
from limbeck.config import StudyConfig
from limbeck.errors import ConfigError
from limbeck.retention import dropped_weights
from limbeck.runs import Artifact, Run, RunState
from limbeck.store import Store
from limbeck.study import stored_config


@dataclass(frozen=True, kw_only=True)
class Source:
    """A finished run that has its student.

    Attributes:
        config: The study file.
        run: The run.
        runs: All runs of the study.
    """

    config: StudyConfig
    run: Run
    runs: tuple[Run, ...]

    @property
    def weights(self) -> Artifact:
        """The folder of the student."""
        return self.artifact(WEIGHTS)

    @property
    def gives_null(self) -> bool:
        """Whether "no answer" was right for some question that scored the run.

        Where it never is, as in SQuAD 1.1, students do not give it.
        """
        return "NoAns_exact" in self.run.values

    def artifact(self, name: str) -> Artifact:
        """Return something that the run left behind.

        Raises:
            StopIteration: If there is no such thing.
        """
        return next(artifact for artifact in self.run.artifacts if artifact.name == name)

    @contextmanager
    def student(self) -> Iterator[Path]:
        """Yield the folder of the student, fetched if need be; gone afterwards if it was.

        Raises:
            DataError: If it is gone, cannot be reached, or is not what the run left.
        """
        with TemporaryDirectory() as folder:
            yield fetch(self.weights, Path(folder))


def find_source(store: Store, study: str, number: int) -> Source:
    """Return the run that is to be exported.

    Raises:
        NotFoundError: If there is no such study or run.
        ConfigError: If the run is not finished, or has no weights any more.
    """
    config, run = stored_config(store, study), store.run(study, number)
    if run.state is not RunState.FINISHED:
        raise ConfigError(
            f"only a finished run has a student, but run {number} of study {study!r} is "
            f"{run.state}; take another, as limbeck status {study} lists them"
        )
    if dropped := dropped_weights(run, config):
        raise ConfigError(dropped)
    if all(artifact.name != WEIGHTS for artifact in run.artifacts):
        raise ConfigError(
            f"run {number} of study {study!r} was made elsewhere and has no weights here; queue "
            "one with other parameters, or make it with limbeck distill"
        )
    return Source(config=config, run=run, runs=store.runs(study))
