"""Which parameters the optimizer's own surrogates depend on.

They are fitted as for the next suggestion, so that this is what the optimizer believes. What it is
taught of values beyond a threshold is squeezed (see `limbeck.optimize.lessons.metric_lessons`), and
of nothing else than that scale are the shares.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from botorch.models import SingleTaskGP
from numpy.typing import NDArray

from limbeck.cube import ParameterCube
from limbeck.metrics import Metric, Role
from limbeck.optimize.beliefs import Learner
from limbeck.optimize.kernel import waves_of
from limbeck.optimize.surrogate import Surrogate, one_thread
from limbeck.optimize.transfer import experience
from limbeck.runs import Run
from limbeck.sensitivity import (
    LEAST_RUNS,
    Importances,
    doubts,
    interactions,
    ranked,
    sobol_shares,
    too_few,
)
from limbeck.space import SearchSpace

_POINTS = 1024
_PATHS = 4
"""Functions drawn for each set of hyperparameters; four times as many if there is but one set."""
_FEATURES = 512
_CHUNK = 1024
_INTERVAL = (0.05, 0.95)
_INERT = 0.02

Paths = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From an ``m x d`` array of points in the unit cube to the ``f x m`` values of ``f`` functions."""


def surrogate_importances(
    runs: Sequence[Run],
    *,
    space: SearchSpace,
    metrics: Sequence[Metric],
    seed: int,
    given_noise: bool,
    earlier: Sequence[Run] = (),
) -> tuple[Importances, ...]:
    """Return which parameters the surrogate of each unknown metric depends on.

    Estimates are means over functions that are drawn from the posterior, hyperparameters included.

    Args:
        runs: All runs of a study; those with parameters of another space do not count, nor do
            those that have not ended.
        space: The search space.
        metrics: Those of the study; the unknown ones that steer or bound the search count.
        seed: Of the search, and of the drawing.
        given_noise: See `limbeck.optimize.bayesian.BayesianSampler`.
        earlier: See there.
    """
    ended = [run for run in runs if run.state.ended and space.contains(run.parameters)]
    judged = tuple(metric for metric in metrics if metric.role is not Role.STORE)
    unknown = [metric.name for metric in judged if not metric.known]
    with one_thread():
        learner = Learner(
            space=space,
            metrics=judged,
            seed=seed,
            log_known=True,
            given_noise=given_noise,
            per_cost=False,
            earlier=experience(earlier, space=space, metrics=judged, seed=seed).surrogates,
        )
        beliefs = learner.learn(ended)
        if beliefs is None:
            why = "the runs have too few values, or no different ones, for a surrogate"
            return tuple(too_few(name, "surrogate", 0, why) for name in unknown)
        return tuple(
            _importances(name, beliefs.surrogates[name], len(beliefs.seen[name]), space, seed)
            for name in unknown
        )


def _importances(
    metric: str, surrogate: Surrogate, n: int, space: SearchSpace, seed: int
) -> Importances:
    if n < LEAST_RUNS:
        why = f"importance needs at least {LEAST_RUNS} runs with a value, but there are {n}"
        return too_few(metric, "surrogate", n, why)
    cube, model = ParameterCube(space), surrogate.model
    paths = draw_paths(model, seed=seed)
    shares = sobol_shares(
        lambda places: paths(cube.encode(places)), cube, seed=seed, points=_POINTS, pairs=True
    )
    first, total = (
        (each.mean(axis=0), np.quantile(each, _INTERVAL, axis=0).T)
        for each in (shares.first, shares.total)
    )
    inert = [name for name, high in zip(space.names, total[1][:, 1], strict=True) if high < _INERT]
    assert shares.pairs is not None
    r2 = left_out_r2(model)
    return Importances(
        metric=metric,
        source="surrogate",
        n=n,
        r2=r2,
        parameters=ranked(space.names, first=first, total=total, inert=inert),
        interactions=interactions(space.names, shares.pairs.mean(axis=0)),
        inert=tuple(inert),
        warning=doubts(n=n, parameters=len(space.names), r2=r2, source="surrogate"),
    )


def draw_paths(model: SingleTaskGP, *, seed: int) -> Paths:
    """Draw functions from the posterior of a surrogate's model, of standardized values.

    Each is a function of the prior, moved so that it fits the observations (Wilson et al.:
    "Efficiently sampling functions from Gaussian process posteriors", ICML 2020, eq. 12). Those of
    the prior are sums of cosines (Rahimi, Recht: "Random features for large-scale kernel machines",
    NIPS 2007); since a rational quadratic kernel is a mixture of Gaussian ones, with precisions of
    a gamma distribution (Rasmussen, Williams, eq. 4.19), so are their frequencies. Main
    effects are cosines themselves.

    Args:
        model: Of a `Surrogate`, with ``s`` sets of hyperparameters.
        seed: Of the drawing.

    Returns:
        The same number of functions for each set, one set after the other.
    """
    rng = np.random.default_rng(seed)
    X, y, K, noise = _observed(model)
    s, n, d = X.shape
    count = _PATHS if s > 1 else 4 * _PATHS
    kernel = model.covar_module.base_kernel
    alpha = kernel.alpha.detach().reshape(s, 1)
    precision = rng.gamma(alpha.expand(s, _FEATURES).numpy()) / alpha.numpy()
    directions = torch.as_tensor(
        rng.standard_normal((s, d, _FEATURES)) * np.sqrt(precision)[:, None]
    )
    frequencies = directions / kernel.lengthscale.detach().reshape(s, d, 1)
    phases = torch.as_tensor(rng.uniform(0, 2 * math.pi, (s, 1, _FEATURES)))
    variance = model.covar_module.outputscale.detach().reshape(s, 1, 1)
    weights = (2 * variance / _FEATURES).sqrt() * torch.as_tensor(
        rng.standard_normal((s, _FEATURES, count))
    )
    heights = (variance * kernel.wave_variances().detach()).sqrt().mT
    wave_weights = heights * torch.as_tensor(rng.standard_normal((*heights.shape[:2], count)))

    def prior(points: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = model.mean_module(points.expand(s, -1, -1))
        whole: torch.Tensor = mean[..., None] + torch.cos(points @ frequencies + phases) @ weights
        main: torch.Tensor = waves_of(points) @ wave_weights
        return whole + main

    with torch.no_grad():
        noisy = prior(X) + noise.sqrt()[..., None] * torch.as_tensor(
            rng.standard_normal((s, n, count))
        )
        moves = torch.linalg.solve(K, y[..., None] - noisy)

    def paths(points: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = []
        with torch.no_grad():
            for part in torch.split(torch.as_tensor(points, dtype=torch.float64), _CHUNK):
                near = model.covar_module(part.expand(s, -1, -1), X).to_dense()
                parts.append(prior(part) + near @ moves)
        values = torch.cat(parts, dim=1)
        return np.asarray(values.transpose(1, 2).reshape(s * count, -1).numpy())

    return paths


def left_out_r2(model: SingleTaskGP) -> float:
    """Return the share of the observations' variance that is predicted, each left out in turn.

    Hyperparameters are those of all observations (Rasmussen, Williams: "Gaussian processes for
    machine learning", 2006, eq. 5.12); predictions are means over their sets.
    """
    X, y, K, _ = _observed(model)
    with torch.no_grad():
        inverse = torch.linalg.inv(K)
        left = (inverse @ (y - model.mean_module(X))[..., None]).squeeze(-1)
        residual = (left / inverse.diagonal(dim1=-2, dim2=-1)).mean(dim=0)
    spread = y[0] - y[0].mean()
    return float(1 - (residual**2).sum() / (spread**2).sum())


def _observed(
    model: SingleTaskGP,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return points ``s x n x d``, values and noise variances ``s x n``, covariances ``s x n x n``.

    The covariances are those of noisy observations.
    """
    (X,) = model.train_inputs
    y = model.train_targets
    with torch.no_grad():
        noise = model.likelihood.noise.broadcast_to(y.shape)
        K = model.covar_module(X).to_dense() + torch.diag_embed(noise)
    return X, y, K, noise
