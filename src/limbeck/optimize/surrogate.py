"""A Gaussian process that predicts one number from the parameters, and knows how little it knows.

Observations are few, so that many lengthscales explain them about equally well. One best guess of
them is overconfident: it is sure of what it merely did not see. Predictions therefore come from
several sets of hyperparameters, drawn from the normal approximation of their posterior at its mode
(the Laplace approximation; MacKay: "Information theory, inference, and learning algorithms", 2003,
chapter 27). For that to be about normal, positive hyperparameters are on a log scale.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.utils.sampling import draw_sobol_normal_samples, manual_seed
from gpytorch import settings
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood, GaussianLikelihood
from gpytorch.likelihoods.noise_models import HomoskedasticNoise
from gpytorch.means import ConstantMean, Mean
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import NormalPrior
from numpy.typing import NDArray
from typing_extensions import override

from limbeck.optimize.kernel import surrogate_kernel

_FIT_OPTIONS = {"maxiter": 200, "ftol": 1e-7}  # Of L-BFGS-B; its defaults take thrice the time.
_LARGEST = 12.0  # Hyperparameter, logarithms included; no prior expects anything like it.
_FIT_POINTS = 256
"""Hyperparameters are fitted to so many observations at most: the time grows with their cube."""
_MOST_POINTS = 1000
"""Predictions are made from so many observations at most: that time, too, grows with their cube."""
_SAMPLES = 8
_SAMPLED_POINTS = 200
"""With more observations the hyperparameters are certain enough, and more samples are slow."""
_LEAST_PRECISION = 1 / 3
"""That of the prior of a lengthscale, the vaguest: so far at most samples are from the mode."""
_DIFFERENCE = 1e-3
_LEAST_NOISE = 1e-4
_LEAST_DOUBT = 1e-6
"""The least fixed noise that gpytorch takes: a hundredth of the least that is learned."""
_CHUNK = 64
"""Points predicted at once: the posterior computes the covariance of all of them."""


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
    """Posterior of a number given observations of it, for each of ``s`` sets of hyperparameters.

    Values are standardized inside and come out on their own scale.
    """

    def __init__(
        self, observations: "_Observations", samples: torch.Tensor, *, offset: float, scale: float
    ) -> None:
        self._observations = observations
        self._samples = samples
        self._offset = offset
        self._scale = scale
        self._model = observations.model(samples).eval()

    @classmethod
    def fit(
        cls,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
        *,
        seed: int,
        errors: NDArray[np.float64] | None = None,
        doubts: NDArray[np.float64] | None = None,
        earlier: "Surrogate | None" = None,
        sampled: bool = True,
    ) -> "Surrogate":
        """Fit kernel, mean and noise to observations.

        Args:
            X: An ``n x d`` array of points in the unit cube.
            y: An ``n`` array of finite values.
            seed: Of the drawn hyperparameters, and of where to begin again if a fit does not
                converge.
            errors: An ``n`` array of the values' standard errors; if None, one noise level for all
                of them is learned.
            doubts: An ``n`` array of standard deviations that come on top of that, whether learned
                or given: 0 for a value that was measured, more for one that was only forecast.
            earlier: What was learned of such a number under other conditions. The observations are
                expected to have its mean, times a weight and plus a shift that are learned with the
                rest.
            sampled: Whether hyperparameters are drawn; only the most likely ones count otherwise.

        Raises:
            botorch.exceptions.ModelFittingError: If no fit converges.
            botorch.exceptions.InputDataError: If a value is not finite.
        """
        offset = float(np.mean(y))
        scale = float(np.std(y, ddof=1)) if np.ptp(y) > 0 else 1.0
        observations = _Observations(
            X=torch.as_tensor(X, dtype=torch.float64),
            y=torch.as_tensor((y - offset) / scale, dtype=torch.float64)[None],
            noise=None
            if errors is None
            else torch.as_tensor((errors / scale) ** 2).clamp_min(_LEAST_NOISE),
            doubt=None if doubts is None else torch.as_tensor((doubts / scale) ** 2),
            earlier=earlier,
        ).some(_MOST_POINTS, seed=seed)
        few = observations.some(_FIT_POINTS, seed=seed)
        with manual_seed(seed):
            mode = few.fitted()
        if not sampled or len(y) > _SAMPLED_POINTS:
            return cls(observations, mode[None], offset=offset, scale=scale)
        samples = few.samples(mode, count=_SAMPLES, seed=seed)
        return cls(observations, samples, offset=offset, scale=scale)

    @property
    def model(self) -> SingleTaskGP:
        """The fitted model: a batch of ``s``, of standardized values."""
        return self._model

    def posteriors(self, X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return means and standard deviations of the noise-free number, by hyperparameters.

        Args:
            X: An ``m x d`` array of points in the unit cube.

        Returns:
            Two ``s x m`` arrays; the standard deviations are positive.
        """
        mean, variance = self._standardized(torch.as_tensor(X, dtype=torch.float64))
        return (
            self._offset + self._scale * mean.numpy(),
            self._scale * variance.clamp_min(1e-18).sqrt().numpy(),
        )

    def posterior(self, X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the noise-free number, over all hyperparameters.

        Args:
            X: An ``m x d`` array of points in the unit cube.

        Returns:
            Two ``m`` arrays; the standard deviations are positive.
        """
        means, stds = self.posteriors(X)
        return means.mean(axis=0), np.sqrt((stds**2).mean(axis=0) + means.var(axis=0))

    def believing(self, X: NDArray[np.float64]) -> "Surrogate":
        """Return a surrogate that has also seen, at pending points, just what it expects there.

        The mean hardly changes, but the uncertainty near the points is gone ("kriging believer":
        Ginsbourger, Le Riche, Carraro: "Kriging is well-suited to parallelize optimization", 2010).

        Args:
            X: A ``p x d`` array of points in the unit cube; ``p`` may be 0.
        """
        points = torch.as_tensor(X, dtype=torch.float64)
        expected, _ = self._standardized(points)
        believed = self._observations.with_more(points, expected)
        return Surrogate(believed, self._samples, offset=self._offset, scale=self._scale)

    def _standardized(self, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return means and variances, two ``s x m`` tensors."""
        with torch.no_grad(), _exact(self._model):
            # Each part by itself, since the covariances of all points with all are computed too.
            parts = [self._model.posterior(part) for part in torch.split(X, _CHUNK)]
            mean = torch.cat([part.mean for part in parts], dim=-2)
            variance = torch.cat([part.variance for part in parts], dim=-2)
        return mean.squeeze(-1), variance.squeeze(-1)


@dataclass(frozen=True, kw_only=True)
class _Observations:
    """Standardized observations, and the model of them.

    Attributes:
        X: An ``n x d`` tensor of points.
        y: A ``1 x n`` or ``s x n`` tensor of values, the same or another for each of ``s`` sets of
            hyperparameters.
        noise: An ``n`` tensor of variances; None if they are to be learned.
        doubt: An ``n`` tensor of variances on top of these; None if there are none.
        earlier: See `Surrogate.fit`.
    """

    X: torch.Tensor
    y: torch.Tensor
    noise: torch.Tensor | None
    doubt: torch.Tensor | None
    earlier: Surrogate | None

    def some(self, count: int, *, seed: int) -> "_Observations":
        """Return the ``count`` observations that tell most: half are the best, half are random."""
        n = len(self.X)
        if n <= count:
            return self
        order = torch.argsort(self.y[0], descending=True, stable=True)
        best, rest = order[: count // 2], order[count // 2 :]
        drawn = np.random.default_rng(seed).choice(len(rest), count - count // 2, replace=False)
        kept = torch.cat([best, rest[torch.as_tensor(drawn)]])
        return replace(
            self,
            X=self.X[kept],
            y=self.y[:, kept],
            noise=None if self.noise is None else self.noise[kept],
            doubt=None if self.doubt is None else self.doubt[kept],
        )

    def with_more(self, X: torch.Tensor, y: torch.Tensor) -> "_Observations":
        """Return these and other observations, whose values depend on the hyperparameters."""
        return replace(
            self,
            X=torch.cat([self.X, X]),
            y=torch.cat([self.y.expand(len(y), -1), y], dim=-1),
            noise=None
            if self.noise is None
            else torch.cat([self.noise, self.noise.median().expand(len(X))]),
            doubt=None
            if self.doubt is None
            else torch.cat([self.doubt, self.doubt.new_zeros(len(X))]),
        )

    def fitted(self) -> torch.Tensor:
        """Return the most likely hyperparameters, a vector."""
        model = self.model(None)
        likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
        # A line search may try steps so large that no covariance matrix is positive definite.
        bounds = {name: (-_LARGEST, _LARGEST) for name, _ in likelihood.named_parameters()}
        fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": _FIT_OPTIONS, "bounds": bounds})
        return torch.cat([each.detach().reshape(-1) for each in model.parameters()])

    def samples(self, mode: torch.Tensor, *, count: int, seed: int) -> torch.Tensor:
        """Return hyperparameters from around the most likely ones, which come first.

        Args:
            mode: A ``p`` vector.
            count: How many, ``s``.
            seed: Of the drawing.

        Returns:
            An ``s x p`` tensor.
        """
        steps = _DIFFERENCE * torch.eye(len(mode), dtype=torch.float64)
        model = self.model(torch.cat([mode[None], mode + steps]))
        likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
        with _exact(model):
            output = model(*model.train_inputs)
            total = likelihood(output, model.train_targets).sum()
        slopes = torch.cat(
            [
                slope.reshape(len(mode) + 1, -1)
                for slope in torch.autograd.grad(total, list(model.parameters()))
            ],
            dim=1,
        )
        hessian = len(self.X) * (slopes[0] - slopes[1:]) / _DIFFERENCE
        precision, axes = torch.linalg.eigh((hessian + hessian.T) / 2)
        deviation = precision.clamp_min(_LEAST_PRECISION).rsqrt()
        normal = draw_sobol_normal_samples(len(mode), count - 1, dtype=torch.float64, seed=seed)
        return torch.cat([mode[None], mode + normal * deviation @ axes.T])

    def model(self, samples: torch.Tensor | None) -> SingleTaskGP:
        """Return the model with each of the hyperparameters; if None, where a fit begins."""
        count = 1 if samples is None else len(samples)
        batch = torch.Size([count])
        model = SingleTaskGP(
            train_X=self.X.expand(count, -1, -1),
            train_Y=self.y.expand(count, -1)[..., None],
            likelihood=self._likelihood(batch),
            covar_module=surrogate_kernel(self.X.shape[1], batch),
            mean_module=ConstantMean(batch_shape=batch)
            if self.earlier is None
            else _EarlierMean(self.earlier, batch),
            outcome_transform=None,
        )
        if samples is not None:
            parameters = list(model.parameters())
            sizes = [each[0].numel() for each in parameters]
            for each, values in zip(parameters, torch.split(samples, sizes, dim=1), strict=True):
                each.data = values.reshape(each.shape).clone()
        return model

    def _likelihood(self, batch: torch.Size) -> GaussianLikelihood | FixedNoiseGaussianLikelihood:
        if self.noise is not None:
            given = self.noise if self.doubt is None else self.noise + self.doubt
            return FixedNoiseGaussianLikelihood(noise=given.expand(*batch, -1))
        if self.doubt is None:
            learned = GaussianLikelihood(batch_shape=batch, noise_constraint=_noise_constraint())
            _begin_with_little(learned.noise_covar)
            return learned
        both = FixedNoiseGaussianLikelihood(
            noise=self.doubt.clamp_min(_LEAST_DOUBT).expand(*batch, -1),
            learn_additional_noise=True,
            batch_shape=batch,
            noise_constraint=_noise_constraint(),
        )
        _begin_with_little(both.second_noise_covar)
        return both


class _EarlierMean(Mean):  # type: ignore[misc]  # gpytorch is not typed
    """A mean that follows what was learned under other conditions, as far as it is of use."""

    def __init__(self, earlier: Surrogate, batch: torch.Size) -> None:
        super().__init__()
        self._earlier = earlier
        self.weight = torch.nn.Parameter(torch.ones(*batch, 1))
        self.shift = torch.nn.Parameter(torch.zeros(*batch, 1))
        self.register_prior("weight_prior", NormalPrior(1.0, 0.5), "weight")
        self.register_prior("shift_prior", NormalPrior(0.0, 1.0), "shift")

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The points are the same for all hyperparameters.
        mean, _ = self._earlier._standardized(x.reshape(-1, *x.shape[-2:])[0])
        return self.weight * mean.mean(dim=0) + self.shift


def _noise_constraint() -> GreaterThan:
    return GreaterThan(_LEAST_NOISE, transform=torch.exp, inv_transform=torch.log)


def _begin_with_little(noise: HomoskedasticNoise) -> None:
    """Let a fit begin with little noise.

    From much noise it would end where all is noise, which is often a maximum, but a lower one.
    """
    prior = NormalPrior(-5.0, 1.0)
    noise.register_prior("prior", prior, "raw_noise")
    noise.initialize(raw_noise=prior.mean)


@contextmanager
def _exact(model: SingleTaskGP) -> Iterator[None]:
    """Let gpytorch solve by Cholesky factors, however many observations there are."""
    with settings.max_cholesky_size(model.train_targets.shape[-1] + _CHUNK):
        yield
