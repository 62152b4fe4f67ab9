"""Limbeck's search as a sampler for Optuna's studies."""

import math
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.search_space import intersection_search_space
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from limbeck.errors import ConfigError, ExhaustedError, InfeasibleError, LimbeckWarning
from limbeck.integrations.optuna.translation import Translation
from limbeck.integrations.optuna.trials import (
    CHOSEN,
    chosen_json,
    constraint_metrics,
    goals,
    objective_names,
    to_runs,
)
from limbeck.metrics import Metric
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.sampler import KnownMetrics
from limbeck.runs import Run
from limbeck.space import Parameters, did_you_mean

KnownObjective: TypeAlias = Callable[[dict[str, Any]], float]
"""Computes an objective from a trial's params, to the last digit, without running the trial.

It may raise `limbeck.errors.InfeasibleError` for params that are not to be tried.
"""

Given = TypeVar("Given")

_ONE_AT_A_TIME = threading.Lock()
"""Threads of a study must see what the others have just chosen; and while a suggestion is made,
torch has another number of threads and another seed, which belong to the whole process."""


class LimbeckSampler(BaseSampler):
    """Multimetric Bayesian optimization with thresholds and known objectives.

    A normal sampler for ``optuna.create_study``, with one objective or several. Parameters that
    every completed trial has, with the same range, are searched together; others are random, and
    so are all until the first trial is complete, since only it tells the parameters. Trials that
    run or wait are taken into account, so any number may run at once. No parameters come twice,
    until a finite space has no others left.

    All follows from the seed and the study's trials: a resumed study goes on as the uninterrupted
    one, and one sampler may serve several studies. Threads take turns, but not processes: give each
    its own seed, or two that ask at the same moment try the same.

    Args:
        seed: Of all chance in the sampler; one is drawn if None.
        n_startup_trials: How many trials are spread evenly before the search begins to learn, at
            least one; 5 if None.
        thresholds: The worst value that is of use, by the objective's name or index, or one or None
            for each objective. What is beyond is worth nothing, however good the other objectives.
        known: Objectives that follow from the params, by name or index: they are never modelled.
            The functions are called with the params that are searched together, and those that
            have only one value.
        log_known: Whether known objectives, then positive, are judged by their logarithm: halving
            a size is then worth the same for small and large.
        constraints_func: As of Optuna's own samplers: returns a trial's constraints, of which 0 and
            below is feasible. Constraints set with ``trial.set_constraint`` count as well.

    Raises:
        ConfigError: If ``n_startup_trials`` is below 1.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int | None = None,
        thresholds: Mapping[int | str, float] | Sequence[float | None] | None = None,
        known: Mapping[int | str, KnownObjective] | None = None,
        log_known: bool = True,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
    ) -> None:
        if n_startup_trials is not None and n_startup_trials < 1:
            raise ConfigError(f"n_startup_trials must be at least 1, but got {n_startup_trials}")
        self._seed = _new_seed() if seed is None else seed
        self._n_startup_trials = n_startup_trials
        self._thresholds = thresholds or {}
        self._known = known or {}
        self._log_known = log_known
        self._constraints_func = constraints_func

    @override
    def reseed_rng(self) -> None:
        self._seed = _new_seed()

    @override
    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Check what was given against the study's objectives.

        Raises:
            ConfigError: If it does not fit them, or all of them are known.
        """
        self._objectives(study)

    @override
    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        common = intersection_search_space(study.get_trials(deepcopy=False))
        return {
            name: distribution for name, distribution in common.items() if not distribution.single()
        }

    @override
    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the next params in the search space.

        Raises:
            ConfigError: See `before_trial`; or a known objective needs other params, or is not
                positive though it is judged by its logarithm.
        """
        if not search_space:
            return {}
        try:
            with _ONE_AT_A_TIME:
                params = self._choose(study, trial, Translation(search_space))
                attribute = chosen_json(params)
                study._storage.set_trial_system_attr(trial._trial_id, CHOSEN, attribute)
        except ExhaustedError:
            return {
                name: self.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        return params

    @override
    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        drawn_for = [self._seed, trial.number, zlib.crc32(param_name.encode())]
        (seed,) = np.random.SeedSequence(drawn_for).generate_state(1)
        return RandomSampler(seed=int(seed)).sample_independent(
            study, trial, param_name, param_distribution
        )

    @override
    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Compute the constraints, and warn of known objectives that were something else.

        A trial that was not the sampler's may have params that a function refuses, or not all.
        """
        if self._constraints_func is not None:
            _process_constraints_after_trial(self._constraints_func, study, trial, state)
        if state is not TrialState.COMPLETE or values is None:
            return
        names = objective_names(study)
        told = dict(zip(names, values, strict=True))
        for name, compute in _by_name(self._known, names, "known").items():
            try:
                expected = compute(dict(trial.params))
            except (InfeasibleError, KeyError):
                continue
            if not math.isclose(told[name], expected, rel_tol=1e-6):
                warnings.warn(
                    f"a known objective must be what its function says, but trial {trial.number} "
                    f"has {name} = {told[name]} where that says {expected}; mend the function, or "
                    f"take {name!r} out of known",
                    LimbeckWarning,
                    stacklevel=2,
                )

    def _choose(
        self, study: Study, trial: FrozenTrial, translation: Translation
    ) -> dict[str, CategoricalChoiceType]:
        trials = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        known = self._known_metrics(study, translation, single=_single_values(trials))
        sampler = BayesianSampler(
            translation.space,
            (*self._objectives(study), *constraint_metrics(trials)),
            known=known,
            baseline=None,
            seed=self._seed,
            initial_runs=self._n_startup_trials,
            log_known=self._log_known,
        )
        runs = _runs(trials, translation, objective_names(study), known)
        return translation.to_trial(sampler.suggest(runs))

    def _objectives(self, study: Study) -> tuple[Metric, ...]:
        goal_by_name = goals(study)
        names = tuple(goal_by_name)
        known = _by_name(self._known, names, "known")
        if len(known) == len(names):
            raise ConfigError(
                f"a search needs an objective that is not known, but all of {list(names)} are; "
                "leave one out of known"
            )
        thresholds = _by_name(self._thresholds, names, "thresholds")
        return tuple(
            Metric(name=name, goal=goal, threshold=thresholds.get(name), known=name in known)
            for name, goal in goal_by_name.items()
        )

    def _known_metrics(
        self, study: Study, translation: Translation, *, single: Mapping[str, Any]
    ) -> KnownMetrics:
        functions = _by_name(self._known, objective_names(study), "known")

        def known(parameters: Parameters) -> dict[str, float]:
            params = {**single, **translation.to_trial(parameters)}
            try:
                return {name: float(compute(params)) for name, compute in functions.items()}
            except KeyError as error:
                raise ConfigError(
                    "a known objective can use the params that all completed trials have with the "
                    f"same range, but {error} is none of them; suggest it in every trial, or use "
                    "params.get"
                ) from error

        return known


def _runs(
    trials: Sequence[FrozenTrial],
    translation: Translation,
    names: Sequence[str],
    known: KnownMetrics,
) -> list[Run]:
    """Return the trials of the search space as runs, whose known values are there from the start.

    Without them is a trial with params that the sampler would not have tried: it is left out.
    """
    runs = []
    for run in to_runs(trials, translation, names):
        try:
            values = known(run.parameters)
        except InfeasibleError:
            continue
        if all(math.isfinite(value) for value in values.values()):
            runs.append(replace(run, values={**run.values, **values}))
    return runs


def _single_values(trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Return the params that can have only one value."""
    return {
        name: d.choices[0] if isinstance(d, CategoricalDistribution) else d.low
        for name, d in intersection_search_space(list(trials)).items()
        if isinstance(d, CategoricalDistribution | FloatDistribution | IntDistribution)
        and d.single()
    }


def _by_name(
    given: Mapping[int | str, Given] | Sequence[Given | None], names: Sequence[str], argument: str
) -> dict[str, Given]:
    """Return what was given for the objectives, by their names.

    Raises:
        ConfigError: If it is for an objective that is not there.
    """
    if not isinstance(given, Mapping):
        if len(given) != len(names):
            raise ConfigError(
                f"{argument} must have one entry for each of {list(names)}, but got {len(given)}; "
                "use None for those without one"
            )
        return {name: v for name, v in zip(names, given, strict=True) if v is not None}
    found: dict[str, Given] = {}
    for key, value in given.items():
        name = names[key] if isinstance(key, int) and 0 <= key < len(names) else key
        if not isinstance(name, str) or name not in names:
            raise ConfigError(
                f"{argument}: the study has no objective {key!r}{did_you_mean(str(key), names)}"
            )
        found[name] = value
    return found


def _new_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
