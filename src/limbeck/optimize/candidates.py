"""The search for the parameters with the largest acquisition, on parameters that can be run.

Integers, steps and choices make the acquisition constant over cells of the unit cube, so that a
gradient would be zero or lead to points that no run can have. Here every candidate is decoded to
real parameters, checked and encoded again before it is judged: the model sees what would be run.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from limbeck.metrics import Metric
from limbeck.optimize.quasirandom import sobol_points
from limbeck.optimize.sampler import Identity, KnownMetrics, allowed_known_values, identity
from limbeck.space import Choice, Parameter, Parameters, SearchSpace, Value

_SOBOL_POINTS = 512
_FRONTIER_MUTANTS = 256
_ROUNDS = 5  # The size of a step halves from round to round.
_PARENTS = 8
_MUTANTS_PER_PARENT = 16
_FIRST_STEP = 0.2  # Standard deviation, as a part of the parameter's range.


@dataclass(frozen=True)
class Candidate:
    """Parameters that might become the next run.

    Attributes:
        parameters: Allowed ones that no run has yet.
        unit: Their image in the unit cube.
        known: Values of the known metrics.
    """

    parameters: dict[str, Value]
    unit: NDArray[np.float64]
    known: Mapping[str, float]


Acquisition: TypeAlias = Callable[[Sequence[Candidate]], NDArray[np.float64]]
"""The worth of each candidate; larger is better, ``-inf`` is allowed, NaN is not."""


@dataclass(frozen=True, kw_only=True)
class CandidateSearch:
    """Where and how to look for the best candidate.

    Attributes:
        space: The search space.
        metrics: Their thresholds bound the known metrics.
        known: Computes the known metrics.
        taken: What runs have already, and what is never to come again.
        rng: Source of all chance.
    """

    space: SearchSpace
    metrics: Sequence[Metric]
    known: KnownMetrics
    taken: frozenset[Identity]
    rng: np.random.Generator

    def best(self, acquisition: Acquisition, near: Sequence[Parameters]) -> Candidate | None:
        """Return the best candidate found, or None if no allowed parameters were met.

        Quasirandom points, half of which follow the priors, and mutants of good runs come first;
        then rounds of mutants of the best so far, with smaller and smaller steps. Among equals the
        earliest wins.

        Args:
            acquisition: What to maximize.
            near: Parameters of good runs.
        """
        seen = set(self.taken)
        pool = self._admit((self.space.decode(unit) for unit in self._spread_points()), seen)
        parents = [near[i % len(near)] for i in range(_FRONTIER_MUTANTS)] if near else []
        pool += self._admit((self._mutant(parent, _FIRST_STEP) for parent in parents), seen)
        if not pool:
            return None
        worth = acquisition(pool)
        for halvings in range(_ROUNDS):
            step = _FIRST_STEP / 2**halvings
            best = [pool[i].parameters for i in np.argsort(-worth, kind="stable")[:_PARENTS]]
            mutants = (self._mutant(p, step) for p in best for _ in range(_MUTANTS_PER_PARENT))
            found = self._admit(mutants, seen)
            if found:
                pool += found
                worth = np.concatenate([worth, acquisition(found)])
        return pool[int(np.argmax(worth))]

    def best_of_spread(self, acquisition: Acquisition) -> Candidate | None:
        """Return the best of points that are spread over the space, or None if none is allowed."""
        spread = (self.space.decode(unit) for unit in self._spread_points())
        pool = self._admit(spread, set(self.taken))
        return pool[int(np.argmax(acquisition(pool)))] if pool else None

    def _spread_points(self) -> NDArray[np.float64]:
        """Return quasirandom points of the unit cube, the first half of them as priors say."""
        points = itertools.islice(sobol_points(self.space.dimension, self.rng), _SOBOL_POINTS)
        units = np.stack(list(points))
        # The first half of a Sobol sequence's points is as even as all; every second point is not.
        believed, even = np.split(units, 2)
        return np.concatenate([self.space.follow_priors(believed), even])

    def _admit(self, proposals: Iterable[Parameters], seen: set[Identity]) -> list[Candidate]:
        admitted = []
        for proposal in proposals:
            key = identity(self.space, proposal)
            if key in seen:
                continue
            seen.add(key)
            known = allowed_known_values(
                proposal, space=self.space, metrics=self.metrics, known=self.known
            )
            if known is not None:
                unit = self.space.encode(proposal)
                admitted.append(Candidate(parameters=dict(proposal), unit=unit, known=known))
        return admitted

    def _mutant(self, parent: Parameters, step: float) -> dict[str, Value]:
        """Return the parent's parameters with one or two of them changed.

        What becomes active by it gets a value by chance; what becomes inactive goes.
        """
        parameters = [p for p in self.space.parameters if p.count != 1 and p.name in parent]
        count = min(int(self.rng.integers(1, 3)), len(parameters))
        mutant = dict(parent)
        for index in self.rng.choice(len(parameters), size=count, replace=False):
            parameter = parameters[index]
            mutant[parameter.name] = self._neighbour(parameter, parent[parameter.name], step)

        def value_of(parameter: Parameter) -> Value:
            if parameter.name in mutant:
                return mutant[parameter.name]
            return parameter.decode(self.rng.uniform(size=parameter.width).tolist())

        return self.space.complete(value_of)

    def _neighbour(self, parameter: Parameter, value: Value, step: float) -> Value:
        """Return another value: a random other choice, or a normal step of at least one cell."""
        if isinstance(parameter, Choice) and not parameter.ordered:
            is_value = parameter.encode(value)
            others = [c for c, same in zip(parameter.choices, is_value, strict=True) if not same]
            return others[int(self.rng.integers(len(others)))]
        distance = float(self.rng.normal(scale=step))
        if parameter.count is not None:
            distance = math.copysign(max(abs(distance), 1 / parameter.count), distance)
        place = parameter.encode(value)[0] + distance
        return parameter.decode((min(max(place, 0.0), 1.0),))
