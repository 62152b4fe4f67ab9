"""SMAC's hyperparameter optimization facade with ParEGO, by ask and tell."""

import tempfile
from pathlib import Path
from typing import Any

import ConfigSpace
from ConfigSpace.hyperparameters import Hyperparameter
from problem import Problem, Values
from smac import HyperparameterOptimizationFacade, Scenario
from smac.multi_objective.parego import ParEGO
from smac.runhistory.dataclasses import TrialInfo, TrialValue
from smac.runhistory.enumerations import StatusType

from limbeck.space import Choice, Integer, Parameter, Parameters


class Smac:
    """A study of SMAC.

    SMAC minimizes. A diverged run costs what the reference point does: SMAC asks for such a cost,
    and its default, infinity, cannot be learned from.
    """

    def __init__(self, problem: Problem, *, seed: int, runs: int) -> None:
        self._problem = problem
        self._folder = tempfile.TemporaryDirectory(prefix="smac-")
        self._crashed = [-m.larger_is_better(m.threshold or 0.0) for m in problem.metrics]
        space = ConfigSpace.ConfigurationSpace(seed=seed)
        space.add([_hyperparameter(p) for p in problem.space.parameters])
        scenario = Scenario(
            space,
            objectives=[metric.name for metric in problem.metrics],
            crash_cost=self._crashed,
            deterministic=True,
            n_trials=runs,
            output_directory=Path(self._folder.name),
            seed=seed,
        )
        self._facade = HyperparameterOptimizationFacade(
            scenario,
            _never_called,
            multi_objective_algorithm=ParEGO(scenario),
            logging_level=False,
            overwrite=True,
        )
        self._asked: list[TrialInfo] = []

    def ask(self) -> tuple[int, Parameters]:
        """Return a ticket and the parameters of the next run."""
        info = self._facade.ask()
        self._asked.append(info)
        return len(self._asked) - 1, self._problem.space.validate(dict(info.config))

    def tell(self, ticket: int, values: Values | None) -> None:
        """Take the values of a run, or None if it diverged."""
        if values is None:
            value = TrialValue(cost=self._crashed, status=StatusType.CRASHED)
        else:
            costs = [-m.larger_is_better(values[m.name]) for m in self._problem.metrics]
            value = TrialValue(cost=costs)
        self._facade.tell(self._asked[ticket], value)


def _never_called(_: ConfigSpace.Configuration, seed: int = 0) -> float:  # noqa: ARG001
    raise AssertionError("asking and telling must not call the target function")


def _hyperparameter(parameter: Parameter) -> Hyperparameter[Any, Any]:
    name = parameter.name
    if isinstance(parameter, Choice):
        if parameter.ordered:
            return ConfigSpace.OrdinalHyperparameter(name, parameter.choices)
        return ConfigSpace.CategoricalHyperparameter(name, parameter.choices)
    if isinstance(parameter, Integer):
        if parameter.step != 1:
            values = range(parameter.low, parameter.high + 1, parameter.step)
            return ConfigSpace.OrdinalHyperparameter(name, list(values))
        return ConfigSpace.UniformIntegerHyperparameter(
            name, parameter.low, parameter.high, log=parameter.log
        )
    return ConfigSpace.UniformFloatHyperparameter(
        name, parameter.low, parameter.high, log=parameter.log
    )
