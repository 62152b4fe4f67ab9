"""Optuna's trials as runs."""

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from limbeck.integrations.optuna.translation import Translation
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Run, RunState

CHOSEN = "limbeck:params"
"""System attribute of what the sampler chose for a trial, which tells its params one by one."""

RUN, STATE, REASON, MESSAGE = "limbeck_run", "limbeck_state", "limbeck_reason", "limbeck_message"
SECONDS, ERRORS, PARAMETERS = "limbeck_seconds", "limbeck_errors", "limbeck_parameters"
"""User attributes of exported runs."""

STUDY = "limbeck_study"
"""User attribute of an exported study: which one it is."""

CONSTRAINTS = "constraints"
"""Optuna's system attribute: a list; since Optuna 5 also one for each, ``constraints:NAME``."""


def objective_names(study: Study) -> tuple[str, ...]:
    """Return the study's metric names; without them Optuna's ``value``, or ``values_0`` and so on.

    These are the names of the columns in Optuna's own tables of trials.
    """
    if study.metric_names is not None:
        return tuple(study.metric_names)
    if len(study.directions) == 1:
        return ("value",)
    return tuple(f"values_{index}" for index in range(len(study.directions)))


def goals(study: Study) -> dict[str, Goal]:
    """Return which way is better, by name of the objective."""
    return {
        name: Goal.MAXIMIZE if direction is StudyDirection.MAXIMIZE else Goal.MINIMIZE
        for name, direction in zip(objective_names(study), study.directions, strict=True)
    }


def constraint_metrics(trials: Sequence[FrozenTrial]) -> tuple[Metric, ...]:
    """Return a metric for each constraint that a trial has; in Optuna, 0 and below is feasible."""
    names = dict.fromkeys(name for trial in trials for name in _constraints(trial))
    return tuple(
        Metric(name=name, goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.0)
        for name in sorted(names)
    )


def to_run(trial: FrozenTrial, translation: Translation, names: Sequence[str]) -> Run | None:
    """Return a trial as a run of its number; None if its parameters are not of the space.

    - *Complete* is finished, *fail* is failed: that teaches nothing. Optuna takes NaN for a fail.
    - *Pruned* is stopped, with the last intermediate value, which Optuna makes the trial's own.
      Pruned without one is infeasible: that is how an objective says that a trial cannot be.
    - *Waiting* and *running* are just that. Their parameters are those enqueued or chosen, if not
      all of them have been told yet.
    - An exported run has the state again that it had.

    Numbers among the user attributes become values, too.

    Args:
        trial: Of any state.
        translation: Of the search space.
        names: Of the objectives, in order.
    """
    parameters = translation.to_run(_params(trial))
    if parameters is None:
        return None
    return Run(
        number=trial.number,
        parameters=parameters,
        state=_state(trial),
        values={**numbers(trial, names), **_constraints(trial)},
        reason=trial.user_attrs.get(REASON, ""),
        message=trial.user_attrs.get(MESSAGE, ""),
        seconds=seconds(trial),
        started=_utc(trial.datetime_start),
        ended=_utc(trial.datetime_complete),
    )


def to_runs(
    trials: Sequence[FrozenTrial], translation: Translation, names: Sequence[str]
) -> list[Run]:
    """Return the trials of the space as runs, in order; see `to_run`.

    A complete trial without one of the constraints that others have is stopped: it teaches what it
    has, and not that a trial with its parameters cannot be.
    """
    constraints = {metric.name for metric in constraint_metrics(trials)}
    runs = []
    for trial in trials:
        run = to_run(trial, translation, names)
        if run is not None:
            lacks = trial.state is TrialState.COMPLETE and _lacks(run, names, constraints)
            runs.append(replace(run, state=RunState.STOPPED) if lacks else run)
    return runs


def numbers(trial: FrozenTrial, names: Sequence[str]) -> dict[str, float]:
    """Return a trial's objectives, by the names given for them, and its numeric user attributes."""
    attributes = trial.user_attrs.items()
    told = {name: float(value) for name, value in attributes if _is_number(name, value)}
    return told | dict(zip(names, trial.values or (), strict=False))


def seconds(trial: FrozenTrial) -> float:
    """Return how long a trial took; of an exported run, what it had said itself."""
    exported = trial.user_attrs.get(SECONDS)
    if exported is not None:
        return float(exported)
    return 0.0 if trial.duration is None else trial.duration.total_seconds()


def chosen_json(params: Mapping[str, Any]) -> str:
    """Return the value of `CHOSEN`."""
    # Choices of other types are allowed in memory; such a trial is not recognized as pending.
    return json.dumps(params, default=str)


def _params(trial: FrozenTrial) -> dict[str, Any]:
    return {
        **json.loads(trial.system_attrs.get(CHOSEN, "{}")),
        **trial.system_attrs.get("fixed_params", {}),
        **trial.params,
    }


def _state(trial: FrozenTrial) -> RunState:
    match trial.state:
        case TrialState.WAITING:
            return RunState.WAITING
        case TrialState.RUNNING:
            return RunState.RUNNING
        case _ if STATE in trial.user_attrs:
            return RunState(trial.user_attrs[STATE])
        case TrialState.COMPLETE:
            return RunState.FINISHED
        case TrialState.PRUNED:
            return RunState.STOPPED if trial.values else RunState.INFEASIBLE
        case _:
            return RunState.FAILED


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    attributes = trial.system_attrs
    numbered = enumerate(attributes.get(CONSTRAINTS) or ())
    named = {name: v for name, v in attributes.items() if name.startswith(f"{CONSTRAINTS}:")}
    return {**{f"{CONSTRAINTS}:{index}": value for index, value in numbered}, **named}


def _lacks(run: Run, names: Sequence[str], constraints: AbstractSet[str]) -> bool:
    """Whether a run has finite objectives, but not all constraints."""
    finite = all(math.isfinite(run.values[name]) for name in names)
    return finite and not constraints <= run.values.keys()


def _is_number(name: str, value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and not name.startswith("limbeck_")
    )


def _utc(time: datetime | None) -> datetime | None:
    """Return a time of Optuna's, which is local and without zone."""
    return None if time is None else time.astimezone(UTC)
