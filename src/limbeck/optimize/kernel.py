"""How alike a metric is expected to be at two points: the covariance that surrogates begin with."""

import math

import torch
from gpytorch.constraints import Positive
from gpytorch.kernels import RQKernel, ScaleKernel
from gpytorch.priors import NormalPrior
from typing_extensions import override

_WAVES = 8
"""Of each main effect: the shortest goes up and down four times over the parameter's range."""


class AdditiveRQKernel(RQKernel):  # type: ignore[misc]  # gpytorch is not typed
    """A rational quadratic kernel of all coordinates, and a kernel of each by itself.

    The metric is expected to be the sum of a function of each coordinate, the *main effects*, and
    one of all of them together (Duvenaud, Nickisch, Rasmussen: "Additive Gaussian processes",
    NeurIPS 2011, with the first and the last order). Without main effects, many coordinates are
    many corners that no run has been near, where anything may be: that a student of one layer
    answers nothing would have to be seen at every learning rate, every dropout, and so on.

    Main effects have mean 0 over the range of their coordinate. They are sums of the cosines
    ``cos(pi j x)``, whose weights fall with ``j`` as the spectral density of a rational quadratic
    kernel with ``alpha = 1`` does: so they are products of small matrices (Solin, Saerkkae:
    "Hilbert space methods for reduced-rank Gaussian process regression", Statistics and Computing
    30, 2020, with Neumann's condition at the ends).

    Attributes:
        raw_weight: Logarithm of the main effects' variance over the whole's.
        raw_main_lengthscale: Logarithms of the main effects' lengthscales.
    """

    def __init__(self, d: int, batch: torch.Size) -> None:
        """Expect functions of ``d`` coordinates, with a batch of hyperparameters."""
        super().__init__(
            ard_num_dims=d,
            batch_shape=batch,
            lengthscale_constraint=_positive(),
            alpha_constraint=_positive(),
        )
        self.raw_weight = torch.nn.Parameter(torch.zeros(*batch, 1, 1))
        self.raw_main_lengthscale = torch.nn.Parameter(torch.zeros(*batch, 1, d))

    @override
    def forward(
        self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **params: object
    ) -> torch.Tensor:
        whole: torch.Tensor = super().forward(x1, x2, diag=diag, **params)
        weighted, waves = waves_of(x1) * self.wave_variances(), waves_of(x2)
        return whole + ((weighted * waves).sum(dim=-1) if diag else weighted @ waves.mT)

    def wave_variances(self) -> torch.Tensor:
        """Return what each of `waves_of` has as variance, a ``... x 1 x 8d`` tensor."""
        lengths = self.raw_main_lengthscale.exp()[..., None]
        falls = -math.sqrt(2) * math.pi * lengths
        # As parts of all waves from j = 0 on, so that a long lengthscale leaves no main effect.
        density = torch.exp(falls * _orders(lengths)) * -torch.expm1(falls)
        return self.raw_weight.exp() / lengths.shape[-2] * density.flatten(-2)


def waves_of(x: torch.Tensor) -> torch.Tensor:
    """Return the cosines of each coordinate, a ``... x m x 8d`` tensor for ``... x m x d`` points.

    The square of each is 1 in the mean over the unit interval.
    """
    return math.sqrt(2) * torch.cos(math.pi * x[..., None] * _orders(x)).flatten(-2)


def _orders(like: torch.Tensor) -> torch.Tensor:
    return torch.arange(1, _WAVES + 1, dtype=like.dtype, device=like.device)


def surrogate_kernel(d: int, batch: torch.Size) -> ScaleKernel:
    """Return a kernel whose hyperparameters have priors.

    A rational quadratic kernel is a mixture of Gaussian kernels of all scales, the narrower the
    larger its ``alpha`` is (Rasmussen, Williams: "Gaussian processes for machine learning", 2006,
    eq. 4.19): so it is learned whether the metric is smooth, as formulas are, or rough, as training
    is.

    The prior of the lengthscales grows with their number, so that the function does not become the
    more complicated, the more parameters there are. It is that of Hvarfner, Hellsten, Nardi:
    "Vanilla Bayesian optimization performs great in high dimensions", ICML 2024, section 4, but its
    median is halfway between their median and their mode, which is where they use it: they take
    the one most likely lengthscale, on a linear scale. Main effects are of one coordinate each: the
    prior of their lengthscales, in parts of its range, does not depend on the number.
    """
    additive = AdditiveRQKernel(d, batch)
    priors = {
        "raw_lengthscale": NormalPrior(math.sqrt(2) + math.log(d) / 2 - 1.5, math.sqrt(3)),
        "raw_alpha": NormalPrior(1.0, 1.5),
        "raw_weight": NormalPrior(0.0, 1.0),
        "raw_main_lengthscale": NormalPrior(-2.0, 1.0),
    }
    for name, prior in priors.items():
        additive.register_prior(f"{name}_prior", prior, name)
        additive.initialize(**{name: prior.mean})
    kernel = ScaleKernel(additive, batch_shape=batch, outputscale_constraint=_positive())
    kernel.register_prior("prior", NormalPrior(0.0, 1.0), "raw_outputscale")
    return kernel


def _positive() -> Positive:
    """Return a constraint whose raw parameter is the logarithm."""
    return Positive(transform=torch.exp, inv_transform=torch.log)
