"""A Gaussian process that predicts one unknown metric from the parameters."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.utils.sampling import manual_seed
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray

from limbeck.metrics import Metric
from limbeck.runs import Run, RunState

_FIT_OPTIONS = {"maxiter": 200, "ftol": 1e-7}  # Of L-BFGS-B; its defaults take thrice the time.
_FENCE = 5.0  # Distances from the lower quartile to the best value.


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread.

    So small matrices gain nothing from more; they lose much where other searches use the cores, and
    the order of summation, with it the search, would depend on the number of cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Surrogate:
    """Posterior of one metric given observations of it; larger is better.

    Values are standardized inside and come out on their own scale.
    """

    def __init__(self, model: SingleTaskGP, *, offset: float, scale: float) -> None:
        self._model = model
        self._offset = offset
        self._scale = scale

    @classmethod
    def fit(cls, X: NDArray[np.float64], y: NDArray[np.float64], *, seed: int) -> "Surrogate":
        """Fit kernel and noise to observations.

        Args:
            X: An ``n x d`` array of points in the unit cube.
            y: An ``n`` array of finite values, larger is better.
            seed: Where to begin again if a fit does not converge.

        Raises:
            botorch.exceptions.ModelFittingError: If no fit converges.
            botorch.exceptions.InputDataError: If a value is not finite.
        """
        offset = float(np.mean(y))
        scale = float(np.std(y, ddof=1)) if np.ptp(y) > 0 else 1.0
        model = SingleTaskGP(
            train_X=torch.as_tensor(X, dtype=torch.float64),
            train_Y=torch.as_tensor((y - offset) / scale, dtype=torch.float64)[:, None],
            covar_module=get_covar_module_with_dim_scaled_prior(ard_num_dims=X.shape[1]),
            outcome_transform=None,
        )
        with manual_seed(seed):
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(model.likelihood, model),
                optimizer_kwargs={"options": _FIT_OPTIONS},
            )
        return cls(model, offset=offset, scale=scale)

    def posterior(self, X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the noise-free metric.

        Args:
            X: An ``m x d`` array of points in the unit cube.

        Returns:
            Two ``m`` arrays; the standard deviations are positive.
        """
        with torch.no_grad():
            posterior = self._model.posterior(torch.as_tensor(X, dtype=torch.float64))
            mean = posterior.mean.squeeze(-1).numpy()
            std = posterior.variance.clamp_min(1e-18).sqrt().squeeze(-1).numpy()
        return self._offset + self._scale * mean, self._scale * std

    def believing(self, X: NDArray[np.float64]) -> "Surrogate":
        """Return a surrogate that has also seen, at pending points, just what it expects there.

        The mean hardly changes, but the uncertainty near the points is gone ("kriging believer":
        Ginsbourger, Le Riche, Carraro: "Kriging is well-suited to parallelize optimization", 2010).

        Args:
            X: A ``p x d`` array of points in the unit cube; ``p`` may be 0.
        """
        points = torch.as_tensor(X, dtype=torch.float64)
        with torch.no_grad():
            expected = self._model.posterior(points).mean.squeeze(-1)
        model = deepcopy(self._model)
        model.set_train_data(  # type: ignore[operator]  # torch types a module's attributes so
            inputs=torch.cat([model.train_inputs[0], points]),
            targets=torch.cat([model.train_targets, expected]),
            strict=False,
        )
        return Surrogate(model, offset=self._offset, scale=self._scale)


def lessons(runs: Sequence[Run], metric: Metric) -> list[tuple[Run, float]]:
    """Return what the runs teach about a metric: pairs of run and value, larger is better.

    - A finished run teaches its value, and so does a stopped run that has one.
    - An infeasible run, or a finished one whose value is missing or not finite, teaches the worst
      value that any finished run has: it is to be avoided like that one.
    - A failed run teaches nothing, as its failure is not the parameters' fault; nor does a stopped
      run without a value, or a pending one.
    - Nothing is taught before two runs have finished with a value.

    One exploded loss must not flatten the differences among all others: values count only as far
    below the lower quartile of the finished runs as five times its distance from the best; but a
    value beyond the threshold stays beyond it.
    """
    measured: list[tuple[Run, float]] = []
    without_value: list[Run] = []
    for run in runs:
        value = metric.larger_is_better(run.values.get(metric.name, math.nan))
        if run.state in (RunState.FINISHED, RunState.STOPPED) and math.isfinite(value):
            measured.append((run, value))
        elif run.state in (RunState.FINISHED, RunState.INFEASIBLE):
            without_value.append(run)
    finished = [value for run, value in measured if run.state is RunState.FINISHED]
    if len(finished) < 2:
        return []
    fence = _fence(finished, metric)
    worst = max(min(finished), fence)
    return [(run, max(value, fence)) for run, value in measured] + [
        (run, worst) for run in without_value
    ]


def _fence(finished: Sequence[float], metric: Metric) -> float:
    """Return the value below which it no longer matters how bad a run was."""
    quartile, best = float(np.quantile(finished, 0.25)), max(finished)
    if quartile == best:
        return -math.inf
    fence = quartile - _FENCE * (best - quartile)
    if metric.threshold is None:
        return fence
    return min(fence, metric.larger_is_better(metric.threshold))
