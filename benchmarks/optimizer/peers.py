"""The optimizers that are compared, each through its own public API, in one shape: ask and tell."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from peer_ax import Ax
from peer_botorch import BoTorch
from peer_smac import Smac
from problem import Problem, Values
from simulation import Optimizer
from typing_extensions import override

from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.sampler import Sampler
from limbeck.optimize.sigopt import SigOptSampler
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Parameter, Parameters


class Random(Optimizer):
    """Uniform over the space."""

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._space = problem.space
        self._rng = np.random.default_rng(seed)

    @override
    def ask(self) -> tuple[int, Parameters]:
        return 0, self._space.decode(self._rng.random(self._space.dimension))

    @override
    def tell(self, ticket: int, values: Values | None) -> None:
        """Learn nothing."""


class Optuna(Optimizer):
    """A study of Optuna; ordered choices are given as the integers of their places.

    A diverged run has the values of the reference point and breaks a constraint. Had it *failed*,
    the samplers would not know of it, and stay where runs diverge.
    """

    def __init__(self, problem: Problem, sampler: BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._problem = problem
        self._study = optuna.create_study(
            sampler=sampler,
            directions=[metric.goal.value for metric in problem.metrics],
        )
        self._asked: list[optuna.Trial] = []
        self._distributions = {p.name: _distribution(p) for p in problem.space.parameters}

    @override
    def ask(self) -> tuple[int, Parameters]:
        trial = self._study.ask(self._distributions)
        self._asked.append(trial)
        return trial.number, {
            p.name: p.choices[trial.params[p.name]]
            if isinstance(p, Choice) and p.ordered
            else trial.params[p.name]
            for p in self._problem.space.parameters
        }

    @override
    def tell(self, ticket: int, values: Values | None) -> None:
        metrics = self._problem.metrics
        trial = self._asked[ticket]
        if self._problem.diverges:
            trial.set_constraint("diverged", 1.0 if values is None else 0.0)
        self._study.tell(
            trial,
            [m.threshold or 0.0 if values is None else values[m.name] for m in metrics],
        )


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choice):
        if parameter.ordered:
            return IntDistribution(0, len(parameter.choices) - 1)
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter.low, int):
        return IntDistribution(
            parameter.low, int(parameter.high), log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


class Limbeck(Optimizer):
    """One of limbeck's samplers."""

    def __init__(self, problem: Problem, sampler: Sampler, *, known: bool) -> None:
        self._sampler = sampler
        self._known = problem.known if known else None
        self._runs: list[Run] = []

    @override
    def ask(self) -> tuple[int, Parameters]:
        parameters = self._sampler.suggest(self._runs)
        number = len(self._runs)
        values = {} if self._known is None else self._known(parameters)
        self._runs.append(
            Run(number=number, parameters=parameters, state=RunState.RUNNING, values=values)
        )
        return number, parameters

    @override
    def tell(self, ticket: int, values: Values | None) -> None:
        run = self._runs[ticket]
        if values is None:
            ended = replace(run, state=RunState.INFEASIBLE, reason="diverged")
        else:
            ended = replace(run, state=RunState.FINISHED, values=values)
        self._runs[ticket] = ended


def _bayesian(problem: Problem, *, seed: int, known: bool) -> Limbeck:
    metrics = tuple(replace(metric, known=metric.known and known) for metric in problem.metrics)
    sampler = BayesianSampler(
        problem.space,
        metrics,
        known=problem.known if known and problem.known is not None else _nothing,
        baseline=None,
        seed=seed,
        log_known=False,
    )
    return Limbeck(problem, sampler, known=known)


def _sigopt(problem: Problem, *, seed: int, runs: int) -> Limbeck:
    sampler = SigOptSampler(
        problem.space,
        problem.metrics,
        known=problem.known or _nothing,
        baseline=None,
        seed=seed,
        budget=runs,
    )
    return Limbeck(problem, sampler, known=True)


def _nothing(_: Parameters) -> Values:
    return {}


Maker = Callable[[Problem, int, int], Optimizer]
"""Takes the problem, the seed and the number of runs."""

PEERS: Mapping[str, Maker] = {
    "random": lambda problem, seed, _: Random(problem, seed=seed),
    "optuna-tpe": lambda problem, seed, _: Optuna(problem, TPESampler(seed=seed)),
    "optuna-nsga2": lambda problem, seed, _: Optuna(problem, NSGAIISampler(seed=seed)),
    "optuna-gp": lambda problem, seed, _: Optuna(problem, GPSampler(seed=seed)),
    "smac-parego": lambda problem, seed, runs: Smac(problem, seed=seed, runs=runs),
    "ax": lambda problem, seed, _: Ax(problem, seed=seed),
    "botorch-qlognehvi": lambda problem, seed, _: BoTorch(problem, seed=seed),
}

OURS: Mapping[str, Maker] = {
    "limbeck": lambda problem, seed, _: _bayesian(problem, seed=seed, known=True),
    "limbeck-unknown": lambda problem, seed, _: _bayesian(problem, seed=seed, known=False),
    "sigopt": lambda problem, seed, runs: _sigopt(problem, seed=seed, runs=runs),
}

METHODS: Mapping[str, Maker] = {**PEERS, **OURS}
