"""Points spread over the search space as its priors say, else evenly, whatever the results."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc
from typing_extensions import override

from limbeck.errors import ConfigError, ExhaustedError
from limbeck.metrics import Metric
from limbeck.optimize.sampler import (
    Identity,
    KnownMetrics,
    Sampler,
    allowed_known_values,
    identity,
    is_due,
)
from limbeck.runs import Run
from limbeck.space import Parameters, SearchSpace, Value

_BLOCK = 64  # A power of two: Sobol points are balanced in such blocks.
_PATIENCE = 2**14  # Points in a row without a new allowed one, after which we stop drawing.


class QuasirandomSampler(Sampler):
    """The baseline, then the points of one scrambled Sobol sequence.

    The next point is the first of the sequence that no run has. Small spaces, of which the sequence
    hits the last points late, are then enumerated in random order. Along a parameter with a prior
    the points are as frequent as the prior says.

    Args:
        space: Where to search.
        metrics: Their thresholds bound the known metrics.
        known: Computes the known metrics.
        baseline: Parameters of the first run, if it is not the sampler's to choose.
        seed: Which of the scrambled sequences.

    Raises:
        ConfigError: If the baseline breaks a constraint of the space.
        ParameterError: If the baseline is not of the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        metrics: Sequence[Metric],
        *,
        known: KnownMetrics,
        baseline: Parameters | None,
        seed: int,
    ) -> None:
        self._space = space
        self._baseline = None if baseline is None else _checked_baseline(space, baseline)
        # The sequence depends on nothing but the arguments; what was drawn is kept only for speed.
        self._stream = partial(allowed_points, space, metrics, known=known, seed=seed)
        self._left = self._stream()
        self._drawn: list[tuple[Identity, dict[str, Value]]] = []

    @override
    def suggest(self, runs: Sequence[Run]) -> dict[str, Value]:
        if self._baseline is not None and is_due(self._baseline, runs, self._space):
            return dict(self._baseline)
        taken = {identity(self._space, run.parameters) for run in runs}
        for key, point in self._points():
            if key not in taken:
                return dict(point)
        raise ExhaustedError(
            "a search needs allowed parameters that no run has yet, but none are left after "
            f"{len(runs)} runs; widen a range, or relax a constraint or threshold"
        )

    def _points(self) -> Iterator[tuple[Identity, dict[str, Value]]]:
        yield from self._drawn
        try:
            for point in self._left:
                self._drawn.append((identity(self._space, point), point))
                yield self._drawn[-1]
        except (Exception, KeyboardInterrupt):
            # A generator that raised is over; what `known` could not compute, it may the next time.
            self._drawn, self._left = [], self._stream()
            raise


def allowed_points(
    space: SearchSpace, metrics: Sequence[Metric], *, known: KnownMetrics, seed: int
) -> Iterator[dict[str, Value]]:
    """Yield different allowed parameters, spread as priors say, until there seem to be no more.

    A scrambled Sobol sequence is followed until as many of its points in a row as a finite space
    has (or 16,384) bring nothing new. If it followed priors, narrow ones may have kept it from
    most of the space: it begins again without them. A space of at most 16,384 points is then
    enumerated, so that none of its points is missed.
    """
    patience = _PATIENCE if space.count is None else min(space.count, _PATIENCE)
    seen: set[Identity] = set()
    plain = space.without_priors()
    for each in [plain] if plain == space else [space, plain]:
        idle = 0
        units = sobol_points(space.dimension, np.random.default_rng(seed))
        while idle < patience:
            point = each.decode(each.follow_priors(next(units)))
            key = identity(space, point)
            idle += 1
            if key in seen:
                continue
            seen.add(key)
            if allowed_known_values(point, space=space, metrics=metrics, known=known) is not None:
                idle = 0
                yield point
    if space.count is None or space.count > _PATIENCE:
        return
    rest = [point for point in space.points() if identity(space, point) not in seen]
    for index in np.random.default_rng(seed).permutation(len(rest)):
        point = rest[index]
        if allowed_known_values(point, space=space, metrics=metrics, known=known) is not None:
            yield point


def sobol_points(dimension: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield the ``dimension`` arrays of a Sobol sequence in the unit cube, scrambled by ``rng``."""
    sequence = qmc.Sobol(dimension, scramble=True, rng=rng)
    while True:
        yield from sequence.random(_BLOCK)


def _checked_baseline(space: SearchSpace, baseline: Parameters) -> dict[str, Value]:
    checked = space.validate(baseline)
    violated = space.violated(checked)
    if violated is not None:
        raise ConfigError(
            f"the baseline must keep the constraints of the search space, but {checked} breaks "
            f"{violated!r}; change the baseline's parameters"
        )
    return checked
