"""A study of the store as one of Optuna's, so that its tools can show it."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna import Study, create_study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from limbeck.errors import ConfigError
from limbeck.integrations.optuna.translation import distribution_with
from limbeck.integrations.optuna.trials import (
    CONSTRAINTS,
    ERRORS,
    MESSAGE,
    PARAMETERS,
    REASON,
    RUN,
    SECONDS,
    STATE,
    STUDY,
)
from limbeck.metrics import Metric, Role, optimized
from limbeck.runs import Run, RunState
from limbeck.space import Parameter
from limbeck.store import Store
from limbeck.study import stored_config


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote.

    Attributes:
        study: Optuna's study.
        added: Number of runs that it had not had.
        ended: Number of runs that it had as running, and that have ended since.
    """

    study: Study
    added: int
    ended: int


def export_study(
    store: Store, name: str, storage: BaseStorage, *, study_name: str | None = None
) -> Exported:
    """Write a study into a storage of Optuna's; what an earlier export wrote is brought up to date.

    The user attribute ``limbeck_study`` says which study it is. Every run becomes a trial:

    - *Finished* is complete; fail, if a metric that it is judged by is missing or not
      finite: then it is of no use, but Optuna takes an infinite value for the best.
    - *Stopped* is pruned, *infeasible* and *failed* are fail: Optuna has no values for either.
    - *Waiting* and *running* are running: what waits in a storage, Optuna's own workers take.

    All metric values are user attributes, beside ``limbeck_run``, ``limbeck_state``,
    ``limbeck_seconds``, ``limbeck_errors``, and ``limbeck_reason`` and ``limbeck_message`` if there
    are any. Thresholds are constraints: Optuna's best trials are the frontier. A parameter
    outside the search space widens its distribution; one that no distribution of Optuna's fits is
    in the user attribute ``limbeck_parameters``.

    Args:
        store: Where the study is.
        name: Its name.
        storage: Where to; see `open_storage`.
        study_name: The name there, if it is not the same.

    Raises:
        NotFoundError: If the store has no such study.
        ConfigError: If the storage has a study of the name that is not of these metrics, or that
            no export of this study has made.
    """
    config, record = stored_config(store, name), store.study(name)
    mark = {"name": name, "seed": record.seed, "created": record.created.isoformat()}
    study = _open_study(storage, study_name or name, optimized(config.metrics), mark)
    there = {
        trial.user_attrs[RUN]: trial
        for trial in study.get_trials(deepcopy=False)
        if RUN in trial.user_attrs
    }
    added = ended = 0
    for run in store.runs(name):
        trial = _trial(run, config.parameters, config.metrics)
        if run.number not in there:
            study.add_trial(trial)
            added += 1
        elif not there[run.number].state.is_finished() and run.state.ended:
            _end(storage, study, number=there[run.number].number, ended=trial)
            ended += 1
    return Exported(study=study, added=added, ended=ended)


def _open_study(
    storage: BaseStorage, name: str, metrics: Sequence[Metric], mark: Mapping[str, Any]
) -> Study:
    names = [metric.name for metric in metrics]
    directions = [StudyDirection[metric.goal.name] for metric in metrics]
    study = create_study(
        storage=storage, study_name=name, directions=directions, load_if_exists=True
    )
    if study.directions != directions or (study.metric_names or names) != names:
        there = study.metric_names or [direction.name.lower() for direction in study.directions]
        raise ConfigError(
            f"Optuna's study {name!r} must {' and '.join(f'{m.goal} {m.name}' for m in metrics)}, "
            f"but the one that is there has other objectives: {', '.join(there)}; choose another "
            "study name"
        )
    there_mark = study.user_attrs.get(STUDY)
    if there_mark != mark and (there_mark or study.get_trials(deepcopy=False)):
        whose = "an export of another study" if there_mark else "not made by an export"
        raise ConfigError(
            f"Optuna's study {name!r} must be an export of {mark['name']!r}, but is {whose}; "
            "choose another --study-name"
        )
    study.set_user_attr(STUDY, dict(mark))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(names)
    return study


def _trial(run: Run, parameters: Sequence[Parameter], metrics: Sequence[Metric]) -> FrozenTrial:
    judged = tuple(metric for metric in metrics if metric.role is not Role.STORE)
    state, values = _ending(run, judged)
    distributions = _distributions(run, parameters)
    return FrozenTrial(
        number=run.number,
        trial_id=-1,  # The storage gives it another.
        state=state,
        value=None,
        values=values,
        datetime_start=_local(run.started or run.created),
        datetime_complete=_local(run.ended) if run.state.ended else None,
        params={name: run.parameters[name] for name in distributions},
        distributions=distributions,
        user_attrs=_attributes(run, left_out=run.parameters.keys() - distributions.keys()),
        system_attrs=_constraints(run, judged) if state is TrialState.COMPLETE else {},
        intermediate_values={},
    )


def _end(storage: BaseStorage, study: Study, *, number: int, ended: FrozenTrial) -> None:
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
    for key, value in ended.user_attrs.items():
        storage.set_trial_user_attr(trial_id, key, value)
    for key, value in ended.system_attrs.items():
        storage.set_trial_system_attr(trial_id, key, value)
    storage.set_trial_state_values(trial_id, ended.state, ended.values)


def _ending(run: Run, metrics: tuple[Metric, ...]) -> tuple[TrialState, list[float] | None]:
    match run.state:
        case RunState.WAITING | RunState.RUNNING:
            return TrialState.RUNNING, None
        case RunState.STOPPED:
            return TrialState.PRUNED, None
        case RunState.FINISHED if all(
            math.isfinite(run.values.get(metric.name, math.nan)) for metric in metrics
        ):
            return TrialState.COMPLETE, [run.values[metric.name] for metric in optimized(metrics)]
    return TrialState.FAIL, None


def _distributions(run: Run, parameters: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    found = {
        parameter.name: distribution_with(parameter, run.parameters[parameter.name])
        for parameter in parameters
        if parameter.name in run.parameters
    }
    return {name: distribution for name, distribution in found.items() if distribution is not None}


def _constraints(run: Run, metrics: Sequence[Metric]) -> dict[str, Any]:
    """Return how far the run is beyond each threshold; 0 and below is within it."""
    beyond = [
        metric.larger_is_better(metric.threshold) - metric.larger_is_better(run.values[metric.name])
        for metric in metrics
        if metric.threshold is not None
    ]
    return {CONSTRAINTS: beyond} if beyond else {}


def _attributes(run: Run, *, left_out: set[str]) -> dict[str, Any]:
    told = {
        REASON: run.reason,
        MESSAGE: run.message,
        ERRORS: dict(run.errors),
        PARAMETERS: {name: run.parameters[name] for name in sorted(left_out)},
    }
    return {
        # Browsers read no NaN and no infinity in JSON.
        **{n: value if math.isfinite(value) else str(value) for n, value in run.values.items()},
        RUN: run.number,
        STATE: run.state.value,
        SECONDS: run.seconds,
        **{name: value for name, value in told.items() if value},
    }


def _local(time: datetime | None) -> datetime | None:
    """Return a time as Optuna has it: local, without zone."""
    return None if time is None else time.astimezone().replace(tzinfo=None)
