"""A study as its analysis sees it: read once, then only looked at."""

from dataclasses import dataclass
from functools import cached_property

from limbeck.config import StudyConfig
from limbeck.errors import NotFoundError
from limbeck.frontier import frontier, usable_runs
from limbeck.home import Home
from limbeck.metrics import Metric, Role, optimized
from limbeck.reference import Reference, read_reference
from limbeck.runs import Run, RunState
from limbeck.space import Parameter
from limbeck.store import Store
from limbeck.study import stored_config


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """What every figure and table is made from.

    One that was searched with `limbeck.Optimizer` has no study file: give its name, metrics,
    parameters and runs.

    Attributes:
        name: Of the study.
        metrics: All of them.
        parameters: The searched ones.
        runs: All of them, in number order; run 0 is the baseline.
        budget: Number of runs that it may have; None if nobody said.
        config: Its study file; None without one.
        teacher: What the teacher scores; None if it was not examined.
    """

    name: str
    metrics: tuple[Metric, ...]
    parameters: tuple[Parameter, ...]
    runs: tuple[Run, ...]
    budget: int | None = None
    config: StudyConfig | None = None
    teacher: Reference | None = None

    @cached_property
    def baseline(self) -> Run | None:
        """Run 0, once it is finished."""
        return next((run for run in self.finished if run.number == 0), None)

    @cached_property
    def finished(self) -> tuple[Run, ...]:
        """The runs that came to their end."""
        return tuple(run for run in self.runs if run.state is RunState.FINISHED)

    @cached_property
    def usable(self) -> tuple[Run, ...]:
        """The finished runs within every threshold."""
        return usable_runs(self.runs, self.metrics)

    @cached_property
    def frontier(self) -> tuple[Run, ...]:
        """The usable runs that no other dominates, as `limbeck.frontier.frontier` sorts them."""
        return frontier(self.runs, self.metrics)

    @property
    def goals(self) -> tuple[Metric, ...]:
        """The optimized metrics."""
        return optimized(self.metrics)

    @property
    def judged(self) -> tuple[Metric, ...]:
        """The metrics that steer or bound the search."""
        return tuple(metric for metric in self.metrics if metric.role is not Role.STORE)

    def metric(self, name: str) -> Metric:
        """Return a metric by its name.

        Raises:
            NotFoundError: If the study has none of this name.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        names = ", ".join(metric.name for metric in self.metrics)
        raise NotFoundError(f"study {self.name!r} has the metrics {names}, but no {name!r}")

    def run(self, number: int) -> Run:
        """Return a run by its number.

        Raises:
            NotFoundError: If the study has no such run.
        """
        for run in self.runs:
            if run.number == number:
                return run
        raise NotFoundError(
            f"study {self.name!r} has runs 0 to {len(self.runs) - 1}, but no run {number}"
        )


def load_results(
    store: Store, name: str, *, home: Home | None = None, runs: tuple[Run, ...] | None = None
) -> StudyResults:
    """Read a study from its store.

    Args:
        store: Has the study.
        name: Of the study.
        home: Where its files are, for what the teacher scores; without it the teacher is left out.
        runs: All of the study's, if they have been read already.

    Raises:
        NotFoundError: If there is no such study.
    """
    config = stored_config(store, name)
    return StudyResults(
        name=name,
        metrics=config.metrics,
        parameters=config.parameters,
        runs=store.runs(name) if runs is None else runs,
        budget=store.study(name).budget,
        config=config,
        teacher=read_reference(home, name) if home else None,
    )
