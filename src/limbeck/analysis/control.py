"""The run that tells what distillation is worth."""

from collections.abc import Sequence

from limbeck.config import StudyConfig
from limbeck.errors import ConfigError
from limbeck.runs import Run, RunState
from limbeck.space import Value


def find_control(runs: Sequence[Run], config: StudyConfig) -> Run | None:
    """Return the finished run that is the baseline, but without distillation; None without one.

    Args:
        runs: Those of a study.
        config: Its study file.
    """
    baseline = next((run for run in runs if run.number == 0), None)
    if baseline is None:
        return None
    control = control_parameters(baseline, config)
    if control is None:
        return None
    finished = (run for run in runs if run.state is RunState.FINISHED)
    return next((run for run in finished if dict(run.parameters) == control), None)


def control_parameters(baseline: Run, config: StudyConfig) -> dict[str, Value] | None:
    """Return the parameters of the run that is the baseline, but without distillation.

    Args:
        baseline: Run 0 of a study.
        config: Its study file.

    Returns:
        None if the baseline itself is not distilled.
    """
    try:
        return config.control(baseline.parameters)
    except ConfigError:
        return None
