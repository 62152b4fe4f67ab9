"""The run that tells what distillation is worth."""

from collections.abc import Sequence

from limbeck.config import DISTILLING
from limbeck.runs import Run, RunState


def find_control(runs: Sequence[Run], baseline: Run) -> Run | None:
    """Return the finished run that is the baseline in all but distillation, of which it has none.

    Args:
        runs: Those of a study.
        baseline: Its first run.
    """
    for run in runs:
        changed = {
            name: value
            for name, value in run.parameters.items()
            if name not in baseline.parameters or baseline.parameters[name] != value
        }
        without = changed and all(n in DISTILLING and v == 0 for n, v in changed.items())
        if without and run.state is RunState.FINISHED:
            return run
    return None
