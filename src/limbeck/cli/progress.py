"""Progress bars: on standard error, so that standard output stays for results."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from limbeck.cli.options import helps_only
from limbeck.cli.tables import value_and_error
from limbeck.frontier import frontier, hypervolume, reference_point
from limbeck.metrics import Metric, optimized
from limbeck.runs import Run, RunState
from limbeck.store import Store
from limbeck.wording import format_value

SPEED_PERIOD = 24 * 3600.0
"""Seconds of progress from which the time left is estimated; runs take minutes to hours each."""


class Bars:
    """Progress bars on standard error; lines stay above them."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            TextColumn("left  {task.fields[note]}", table_column=Column(overflow="fold")),
            console=self.console,
            disable=not self.console.is_terminal or helps_only(),
            speed_estimate_period=SPEED_PERIOD,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, label: str, done: int, total: int, note: str = "") -> None:
        """Draw a bar under a label; the first call begins it and starts its clock."""
        if label in self._tasks:
            self._progress.update(self._tasks[label], completed=done, total=total, note=note)
            return
        self._tasks[label] = self._progress.add_task(
            label, completed=done, total=total or None, note=note
        )
        if not self.console.is_terminal:
            self.console.print(f"{label} ...")

    def hide(self, label: str) -> None:
        """Take a bar away."""
        if label in self._tasks:
            self._progress.remove_task(self._tasks.pop(label))


class TrainingBar(Bars):
    """Shows preparation and the training of one model; a `limbeck.distill.training.Reporter`."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._label = f"training the {model}"
        self._total = 0

    def prepare(self, label: str, done: int, total: int) -> None:
        """Show how much of a preparation is done."""
        self.show(label, done, total)

    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        """Show where training starts."""
        self._total = total_steps
        epochs = f"{total_steps / epoch_steps:.3g} passes over the training windows"
        self.show(self._label, step, total_steps, note=epochs)

    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        """Show the step and the last values."""
        shown = {name: value for name, value in values.items() if name != "learning_rate"}
        note = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        self.show(self._label, step, self._total, note=f"{note}  ({seconds:.0f} s)")


class SearchBars(Bars):
    """Shows runs done, best so far, hypervolume and time left, and what every worker does."""

    def __init__(self, store: Store, study: str, metrics: tuple[Metric, ...]) -> None:
        super().__init__()
        self._store = store
        self._study = study
        self._metrics = metrics
        self._working: set[int] | None = None
        self._ended: set[int] | None = None

    def update(self, working: Mapping[int, tuple[int, int]]) -> None:
        """Show the study as it stands.

        Args:
            working: Optimizer steps done and in all, by number of the runs that are being made.
        """
        for number, (step, total) in working.items():
            self.show(_run_label(number), step, total)
        # A run of ours has ended only if others are being made than before.
        if set(working) == self._working:
            return
        self._working = set(working)
        runs = self._store.runs(self._study)
        ended = {run.number for run in runs if run.state.ended}
        for run in runs:
            if self._ended is not None and run.number in ended - self._ended:
                self.hide(_run_label(run.number))
                self.console.print(_ended_line(run, self._metrics))
        self._ended = ended
        self.show(
            f"search {self._study}",
            len(ended),
            self._store.study(self._study).budget,
            note=_standing(runs, self._metrics),
        )


def _run_label(number: int) -> str:
    return f"run {number}"


def _ended_line(run: Run, metrics: tuple[Metric, ...]) -> Text:
    if run.state is not RunState.FINISHED:
        return Text(f"run {run.number} {run.state}: {run.reason}: {run.message}", style="yellow")
    values = "  ".join(
        f"{metric.name} {value_and_error(run, metric)}"
        for metric in metrics
        if metric.name in run.values
    )
    return Text(f"run {run.number} finished: {values}  ({run.seconds:.0f} s)")


def _standing(runs: Sequence[Run], metrics: tuple[Metric, ...]) -> str:
    front = frontier(runs, metrics)
    if not front:
        return "nothing within the thresholds yet"
    parts = [f"frontier {len(front)}"]
    for metric in optimized(metrics):
        best = max((run.values[metric.name] for run in front), key=metric.larger_is_better)
        parts.append(f"best {metric.name} {format_value(best, metric)}")
    volume = hypervolume(runs, metrics, reference_point(runs, metrics))
    parts.append(f"hypervolume {volume:.4g}")
    return "  ".join(parts)
