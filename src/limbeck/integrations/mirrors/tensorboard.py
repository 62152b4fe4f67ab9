"""Runs in TensorBoard: a folder of event files for each."""

from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from typing_extensions import override

from limbeck.mirror import Mirror
from limbeck.runs import CurvePoint, Run


def open_mirror(target: str, *, study: str, folder: Path) -> "TensorBoardMirror":
    """Return the mirror that writes to ``target``, a folder; relative ones start at ``folder``."""
    return TensorBoardMirror(folder / Path(target).expanduser() / study)


class TensorBoardMirror(Mirror):
    """Writes ``FOLDER/STUDY/0007``: parameters, ``curve/NAME``, values and state of a run.

    Args:
        folder: Of the study.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[int, SummaryWriter] = {}
        self._last: dict[tuple[int, str], int] = {}

    @override
    def begun(self, run: Run) -> None:
        lines = [f"| {name} | {value} |" for name, value in run.parameters.items()]
        with self._writer(run.number) as writer:
            writer.add_text("parameters", "\n".join(["| parameter | value |", "|---|---|", *lines]))

    @override
    def points(self, run: Run, points: Sequence[CurvePoint]) -> None:
        """Add to curves where they end; in the next search, where that goes on."""
        if run.number not in self._writers:
            first = min(point.step for point in points)
            self._writers[run.number] = self._writer(run.number, purge_step=first)
        for point in points:
            key = (run.number, point.metric)
            if point.step > self._last.get(key, -1):
                self._writers[run.number].add_scalar(
                    f"curve/{point.metric}", point.value, point.step
                )
                self._last[key] = point.step
        self._writers[run.number].flush()

    @override
    def ended(self, run: Run) -> None:
        if run.number in self._writers:
            self._writers.pop(run.number).close()
        with self._writer(run.number) as writer:
            writer.add_text("state", f"{run.state} {run.reason} {run.message}".strip())
            writer.add_hparams(dict(run.parameters), dict(run.values), run_name=".")

    @override
    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, number: int, *, purge_step: int | None = None) -> SummaryWriter:
        """Return a writer of one more file; readers forget what earlier ones have from a step."""
        return SummaryWriter(str(self._folder / f"{number:04d}"), purge_step=purge_step)
