"""What the frontier of a large study is shown from, without reading all of it."""

from collections.abc import Collection

from limbeck.analysis.control import control_parameters
from limbeck.config import StudyConfig
from limbeck.frontier import frontier
from limbeck.metrics import Role
from limbeck.runs import Run
from limbeck.store import Store


def frontier_runs(
    store: Store, config: StudyConfig, *, besides: Collection[str] = ()
) -> tuple[Run, ...]:
    """Return all runs of a study, whole if they are shown, else with what the frontier depends on.

    Shown are the runs on the frontier, the baseline and the control.

    Args:
        store: Has the study.
        config: Its study file.
        besides: Names of metrics of which all runs have their values, too.
    """
    study = config.file.name
    judged = [metric.name for metric in config.metrics if metric.role is not Role.STORE]
    results = store.results(study, {*judged, *besides})
    numbers = {0, *(run.number for run in frontier(results, config.metrics))}
    whole = {run.number: run for run in store.some_runs(study, numbers)}
    control = control_parameters(whole[0], config) if 0 in whole else None
    if control is not None:
        whole |= {run.number: run for run in store.runs_with(study, control)}
    return tuple(whole.get(run.number, run) for run in results)
