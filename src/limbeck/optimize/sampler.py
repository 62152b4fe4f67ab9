"""What every sampler promises, and the rules of the search space that all of them keep."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from limbeck.errors import InfeasibleError
from limbeck.metrics import Metric, Role
from limbeck.runs import Run
from limbeck.space import Parameters, SearchSpace, Value

KnownMetrics: TypeAlias = Callable[[Parameters], Mapping[str, float]]
"""Values of all known metrics, by name; raises `InfeasibleError` where no such student exists."""

Identity: TypeAlias = tuple[tuple[str, bool, Value], ...]


class Sampler(Protocol):
    """Chooses the parameters of the next run.

    A sampler keeps these promises:

    - Nothing but ``runs`` and the sampler's own seed decides: not the order of ``runs``, not what
      the sampler was asked before, and no global random state. A resumed study goes on as the
      uninterrupted one.
    - No parameters come twice, whatever the state of the run that had them.
    - Constraints of the space hold, the student can exist, and every known metric is finite and
      within its threshold. The one exception is the baseline, which the user chose: it may lie
      beyond a threshold.
    - The baseline, if there is one, comes first.
    """

    def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
        """Return the parameters of the next run.

        Args:
            runs: All runs of the study so far, of any state and in any order. Waiting and running
                ones are pending: their values are not there yet, but will be.

        Raises:
            ExhaustedError: If no allowed parameters are left.
            ParameterError: If a run's parameters are not of the search space.
        """
        ...


def identity(space: SearchSpace, parameters: Parameters) -> Identity:
    """Return a key that is the same for the same parameters, whatever their order and types.

    Points of the unit cube that differ in inactive coordinates alone have the same parameters.

    Raises:
        ParameterError: If they are not of the space.
    """
    values = space.validate(parameters)
    return tuple((name, isinstance(value, bool), value) for name, value in values.items())


def is_due(baseline: Parameters | None, runs: Sequence[Run], space: SearchSpace) -> bool:
    """Return whether there is a baseline that no run has yet: then it comes first."""
    if baseline is None:
        return False
    return identity(space, baseline) not in {identity(space, run.parameters) for run in runs}


def allowed_known_values(
    parameters: Parameters,
    *,
    space: SearchSpace,
    metrics: Sequence[Metric],
    known: KnownMetrics,
) -> dict[str, float] | None:
    """Return the values of the known metrics, or None if a run need not even be started.

    That is so if the parameters break a constraint of the space, no such student exists, or a
    known metric is not finite or lies beyond its threshold.
    """
    if space.violated(parameters) is not None:
        return None
    try:
        computed = known(parameters)
    except InfeasibleError:
        return None
    judged = [metric for metric in metrics if metric.known and metric.role is not Role.STORE]
    values = {metric.name: float(computed[metric.name]) for metric in judged}
    useful = all(
        math.isfinite(values[metric.name]) and metric.within_threshold(values[metric.name])
        for metric in judged
    )
    return values if useful else None
