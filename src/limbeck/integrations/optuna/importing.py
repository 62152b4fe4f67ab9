"""Studies of Optuna's as ours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from optuna import Study, load_study
from optuna.search_space import intersection_search_space
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from limbeck.config import MEASURED, StudyConfig
from limbeck.errors import ConfigError, NotFoundError, ParameterError
from limbeck.integrations.optuna.translation import Translation
from limbeck.integrations.optuna.trials import (
    constraint_metrics,
    goals,
    numbers,
    objective_names,
    seconds,
    to_runs,
)
from limbeck.metrics import Metric, Role
from limbeck.runs import Outcome, Run, RunState
from limbeck.space import Parameters, SearchSpace, Value, did_you_mean
from limbeck.store import Store
from limbeck.study import stored_config


class Imported(NamedTuple):
    """A study of Optuna's in our records: what a `limbeck.optimize.sampler.Sampler` needs.

    Attributes:
        space: The parameters that every completed trial has with the same range, those with only
            one value among them; see `Translation` for choices.
        metrics: The objectives, then a constraint metric for each of Optuna's constraints.
        runs: The trials with parameters of the space; see `to_runs` for their states.
    """

    space: SearchSpace
    metrics: tuple[Metric, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A trial that was not added, and why.

    Attributes:
        number: Of the trial.
        reason: For people, with the values.
    """

    number: int
    reason: str


def load_optuna_study(storage: BaseStorage, name: str | None) -> Study:
    """Return a study of Optuna's.

    Args:
        storage: Where it is.
        name: Its name; may be left out if it is the only one.

    Raises:
        NotFoundError: If there is none of the name, or not exactly one where none is given.
    """
    names = [study.study_name for study in storage.get_all_studies()]
    if name is None and len(names) != 1:
        raise NotFoundError(
            f"a storage with {len(names)} studies needs the name of one: {', '.join(names)}"
            if names
            else "Optuna's storage holds no study; name another database"
        )
    if name is not None and name not in names:
        hint = did_you_mean(name, names) if names else "; the storage is empty"
        raise NotFoundError(f"no study {name!r} in Optuna's storage{hint}")
    return load_study(study_name=name, storage=storage)


def import_study(study: Study) -> Imported:
    """Return a study of Optuna's in our records.

    Raises:
        ConfigError: If its completed trials have no parameter in common.
    """
    trials = study.get_trials(deepcopy=False)
    common = intersection_search_space(trials)
    if not common:
        raise ConfigError(
            f"an import needs parameters that all completed trials have, but those of "
            f"{study.study_name!r} have none in common; import another study"
        )
    translation = Translation(common)
    names = objective_names(study)
    objectives = [Metric(name=name, goal=goal) for name, goal in goals(study).items()]
    return Imported(
        space=translation.space,
        metrics=(*objectives, *constraint_metrics(trials)),
        runs=tuple(to_runs(trials, translation, names)),
    )


def add_trials(
    store: Store,
    name: str,
    study: Study,
    *,
    owner: str,
    metrics: Sequence[str] | None = None,
) -> tuple[tuple[Run, ...], tuple[Skipped, ...]]:
    """Add the completed trials of a study of Optuna's to one of the store, as finished runs.

    A run is added for every trial whose parameters are of the search space and break none of its
    constraints, whose objectives and numeric user attributes give a finite value for every metric
    that the study judges by, and whose parameters no run has yet: so none comes twice. The budget
    grows if the runs would not fit into it. Values of known metrics are taken as they are told.

    Runs keep the trial's seconds, but are dated now, and there is no model of theirs.

    Args:
        store: Where the study is.
        name: Its name; it has been begun, since run 0 is its baseline.
        study: Of Optuna's.
        owner: See `limbeck.study.this_process`.
        metrics: What Optuna's objectives are called here, in their order; by default the same.

    Returns:
        The runs that were added, and the trials that were not.

    Raises:
        NotFoundError: If the store has no such study.
        ConfigError: If the study has not been begun, or the names do not fit the objectives.
    """
    config, there = stored_config(store, name), store.runs(name)
    if not there:
        raise ConfigError(
            f"study {name!r} needs its baseline first, but has no run; begin it with limbeck search"
        )
    names = _metric_names(study, config, metrics)
    taken = {_key(run.parameters): f"run {run.number}" for run in there}
    fitting: list[tuple[FrozenTrial, Parameters, Mapping[str, float]]] = []
    skipped: list[Skipped] = []
    for trial in study.get_trials(deepcopy=False):
        values = numbers(trial, names)
        try:
            parameters = _checked(trial, config, values)
        except ParameterError as error:
            skipped.append(Skipped(number=trial.number, reason=str(error)))
            continue
        key = _key(parameters)
        if key in taken:
            skipped.append(Skipped(number=trial.number, reason=f"{taken[key]} has its parameters"))
            continue
        taken[key] = f"trial {trial.number}"
        fitting.append((trial, parameters, values))
    record = store.study(name)
    budget = max(record.budget, len(there) + len(fitting))
    if budget > record.budget:
        store.update_study(name, budget=budget, config=record.config)
    return tuple(_add(store, name, *each, owner=owner) for each in fitting), tuple(skipped)


def _metric_names(
    study: Study, config: StudyConfig, given: Sequence[str] | None
) -> tuple[str, ...]:
    """Return what the objectives are called in the study file.

    Raises:
        ConfigError: If the names are not as many, no metrics, or better the other way round.
    """
    goal_by_name = goals(study)
    names = tuple(given or goal_by_name)
    if len(names) != len(goal_by_name):
        raise ConfigError(
            f"Optuna's study has the objectives {list(goal_by_name)}, but got the metrics "
            f"{list(names)} for them; give one for each"
        )
    wanted = {metric.name: metric.goal for metric in config.metrics}
    for name, goal in zip(names, goal_by_name.values(), strict=True):
        if name not in MEASURED:
            raise ConfigError(
                f"Optuna's objectives must have names of metrics, but one is {name!r}"
                f"{did_you_mean(name, [*MEASURED])}"
            )
        if wanted.get(name, goal) is not goal:
            raise ConfigError(
                f"both studies must agree what is better, but one is to {wanted[name]} {name}, "
                f"and Optuna's to {goal} it; import one that does the same"
            )
    return names


def _checked(
    trial: FrozenTrial, config: StudyConfig, values: Mapping[str, float]
) -> dict[str, Value]:
    """Return the parameters of a trial that fits a study.

    Raises:
        ParameterError: If it does not.
    """
    if trial.state is not TrialState.COMPLETE:
        raise ParameterError(f"it is {trial.state.name.lower()}, not complete")
    for name, value in trial.params.items():
        if not isinstance(value, bool | int | float | str):
            raise ParameterError(f"{name} must be a number, a boolean or a text, but got {value!r}")
    parameters = config.space.validate(trial.params)
    broken = config.space.violated(parameters)
    if broken is not None:
        raise ParameterError(f"its parameters break the constraint {broken!r}")
    judged = [metric.name for metric in config.metrics if metric.role is not Role.STORE]
    lacking = [name for name in judged if name not in values]
    if lacking:
        raise ParameterError(
            f"it has no {', '.join(lacking)}, neither as objective nor as user attribute"
        )
    for name in judged:
        if not math.isfinite(values[name]):
            raise ParameterError(f"{name} must be finite, but it has {values[name]}")
    return parameters


def _add(
    store: Store,
    name: str,
    trial: FrozenTrial,
    parameters: Parameters,
    values: Mapping[str, float],
    *,
    owner: str,
) -> Run:
    outcome = Outcome(state=RunState.FINISHED, values=values, seconds=seconds(trial))
    run = store.add_run(name, parameters, values={}, owner=owner, outcome=outcome)
    if run is None:
        raise ConfigError(
            f"study {name!r} needs a run for trial {trial.number}, but another process has spent "
            "its budget meanwhile; import again"
        )
    return run


def _key(parameters: Parameters) -> tuple[tuple[str, bool, Value], ...]:
    return tuple(sorted((name, isinstance(v, bool), v) for name, v in parameters.items()))
