"""Ax's Client with its default generation strategy."""

import logging
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.utils.common.logger import set_ax_logger_levels
from problem import Problem, Values

from limbeck.metrics import Goal
from limbeck.space import Choice, Integer, Parameter, Parameters


class Ax:
    """An experiment of Ax.

    A diverged run is *abandoned*, which Ax does not suggest again; a *failed* one it may.
    """

    def __init__(self, problem: Problem, *, seed: int) -> None:
        set_ax_logger_levels(logging.ERROR)
        self._problem = problem
        self._client = Client(random_seed=seed)
        self._client.configure_experiment([_config(p) for p in problem.space.parameters])
        signs = ["" if m.goal is Goal.MAXIMIZE else "-" for m in problem.metrics]
        bounds = [">=" if m.goal is Goal.MAXIMIZE else "<=" for m in problem.metrics]
        self._client.configure_optimization(
            ", ".join(f"{s}{m.name}" for s, m in zip(signs, problem.metrics, strict=True)),
            outcome_constraints=[
                f"{m.name} {bound} {m.threshold:.12f}"
                for bound, m in zip(bounds, problem.metrics, strict=True)
            ],
        )
        # Otherwise a sixth run could not be asked for before the first of five has ended.
        self._client.configure_generation_strategy(
            initialization_random_seed=seed, allow_exceeding_initialization_budget=True
        )

    def ask(self) -> tuple[int, Parameters]:
        """Return a ticket and the parameters of the next run."""
        ((ticket, parameters),) = self._client.get_next_trials(max_trials=1).items()
        return ticket, self._problem.space.validate(parameters)

    def tell(self, ticket: int, values: Values | None) -> None:
        """Take the values of a run, or None if it diverged."""
        if values is None:
            self._client.mark_trial_abandoned(ticket)
        else:
            self._client.complete_trial(ticket, raw_data=dict(values))


def _config(parameter: Parameter) -> ChoiceParameterConfig | RangeParameterConfig:
    if isinstance(parameter, Choice):
        values: list[Any] = list(parameter.choices)
        kind: Any = type(values[0]).__name__
        return ChoiceParameterConfig(
            name=parameter.name, values=values, parameter_type=kind, is_ordered=parameter.ordered
        )
    return RangeParameterConfig(
        name=parameter.name,
        bounds=(parameter.low, parameter.high),
        parameter_type="int" if isinstance(parameter, Integer) else "float",
        step_size=parameter.step if parameter.step != 1 else None,
        scaling="log" if parameter.log else None,
    )
