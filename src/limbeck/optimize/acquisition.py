"""How much a run may be expected to improve the frontier, in closed form.

In this module every metric is turned so that larger is better, and the outcome of a candidate is
independent normal numbers ``Y_1 .. Y_o``, one for each of ``o`` optimized metrics: those of an
unknown metric have the surrogate's posterior mean and standard deviation, those of a known metric
have standard deviation 0.

The part of outcome space that is better than the reference point and not dominated by the
frontier is cut into ``K`` boxes ``[l_k, u_k]`` that do not overlap. Inside box ``k`` a candidate
adds the volume ``prod_i (min(Y_i, u_ki) - l_ki)+``, so that by independence

    EHVI = sum_k prod_i E[(min(Y_i, u_ki) - l_ki)+] = sum_k prod_i (EI_i(l_ki) - EI_i(u_ki))

with the expected improvement ``EI_i(t) = E[(Y_i - t)+]`` (Yang, Emmerich, Deutz, Baeck: "Efficient
computation of expected hypervolume improvement using box decomposition algorithms", Journal of
Global Optimization 75, 2019). Two cases are worth knowing by their look:

- One unknown metric and one known metric, accuracy and size: the boxes are the strips below the
  steps of the staircase A(t), the best accuracy on the frontier at a size of at most t. The known
  metric's factor is the width ``w_k`` of the strip's part at sizes above the candidate's own, and
  ``EHVI = sum_k w_k EI(A_k)``: the integral of ``EI(A(t))`` over t, from the candidate's size to
  the reference size.
- One optimized metric: one box, from the best value on; EHVI is the expected improvement.

All is computed as logarithms, since far from the frontier the improvement itself would vanish
(Ament, Daulton, Eriksson, Balandat, Bakshy: "Unexpected improvements to expected improvement for
Bayesian optimization", NeurIPS 2023, section 4).
"""

from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import (
    FastNondominatedPartitioning,
)
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, logsumexp

_ASYMPTOTIC = -1e4
"""Below it, ``1 - |u| sqrt(pi/2) erfcx(|u|/sqrt 2)`` loses more digits than its limit ``1/u^2``."""


@dataclass(frozen=True)
class Boxes:
    """The part of outcome space in which a run would improve the frontier, cut into boxes.

    Attributes:
        lower: A ``K x o`` array of lower corners.
        upper: A ``K x o`` array of upper corners; may be infinite.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def improvement_boxes(outcomes: NDArray[np.float64], reference: NDArray[np.float64]) -> Boxes:
    """Return what the runs leave to be improved.

    Args:
        outcomes: An ``n x o`` array of finite values, larger is better; dominated rows and rows
            that are not better than the reference point in every metric change nothing.
        reference: An ``o`` array, the outcome that is just not of use.
    """
    if outcomes.shape[1] == 1:
        best = np.max(outcomes, initial=reference[0])
        return Boxes(lower=np.array([[best]]), upper=np.array([[np.inf]]))
    partitioning = FastNondominatedPartitioning(
        ref_point=torch.as_tensor(reference, dtype=torch.float64),
        Y=torch.as_tensor(outcomes, dtype=torch.float64),
    )
    lower, upper = partitioning.get_hypercell_bounds()
    return Boxes(lower=lower.numpy(), upper=upper.numpy())


def log_expected_hypervolume_improvement(
    mean: NDArray[np.float64], std: NDArray[np.float64], boxes: Boxes
) -> NDArray[np.float64]:
    """Return the logarithm of the expected hypervolume improvement; see the module's docstring.

    Args:
        mean: A ``... x m x o`` array of posterior means, larger is better.
        std: A ``... x m x o`` array of posterior standard deviations; 0 where the value is known.
        boxes: What is left to be improved.

    Returns:
        A ``... x m`` array; ``-inf`` where an improvement is impossible.
    """
    log_volumes = sum(
        _log_expected_side(
            mean[..., i], std[..., i], lower=boxes.lower[:, i], upper=boxes.upper[:, i]
        )
        for i in range(mean.shape[-1])
    )
    return np.asarray(logsumexp(log_volumes, axis=-1))


def log_probability_within(
    mean: NDArray[np.float64], std: NDArray[np.float64], threshold: float
) -> NDArray[np.float64]:
    """Return ``log P(Y >= threshold)``, elementwise; the deviations must be positive."""
    return np.asarray(log_ndtr((mean - threshold) / std))


def log_average(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the average over the first axis of what has these logarithms."""
    return np.asarray(logsumexp(logs, axis=0) - np.log(len(logs)))


def _log_expected_side(
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    *,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return ``log E[(min(Y, upper) - lower)+]`` of ``K`` boxes, a ``... x m x K`` array."""
    with np.errstate(divide="ignore"):
        if not std.any():
            return np.log(np.maximum(np.minimum(mean[..., None], upper) - lower, 0.0))
        # Boxes share their sides: each is looked at once.
        sides, places = np.unique(np.concatenate([lower, upper]), return_inverse=True)
        from_lower, from_upper = (
            _log_expected_improvement(mean, std, sides)[..., part] for part in np.split(places, 2)
        )
        return from_lower + np.log(-np.expm1(np.minimum(from_upper - from_lower, 0.0)))


def _log_expected_improvement(
    mean: NDArray[np.float64], std: NDArray[np.float64], best: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``log E[(Y - best)+]``, a ``... x m x b`` array, for each of ``b`` values."""
    finite = np.isfinite(best)
    logs = np.full((*mean.shape, len(best)), -np.inf)
    u = (mean[..., None] - best[finite]) / std[..., None]
    logs[..., finite] = np.log(std)[..., None] + _log_h(u)
    return logs


def _log_h(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``log(phi(u) + u Phi(u))``: the log expected improvement of a standard normal number.

    Where u is small, ``phi(u) + u Phi(u) = phi(u) (1 - |u| sqrt(pi/2) erfcx(|u| / sqrt 2))``, and
    ``phi(u) / u^2`` in the limit (Ament et al. 2023; the same as in botorch.acquisition.analytic).
    """
    log_phi = -0.5 * u**2 - 0.5 * np.log(2 * np.pi)
    upper = np.maximum(u, -1.0)
    middle = np.clip(u, _ASYMPTOTIC, -1.0)
    lower = np.minimum(u, _ASYMPTOTIC)
    from_upper = np.log(
        np.exp(-0.5 * upper**2) / np.sqrt(2 * np.pi) + upper * np.exp(log_ndtr(upper))
    )
    from_middle = log_phi + np.log1p(-np.sqrt(np.pi / 2) * -middle * erfcx(-middle / np.sqrt(2)))
    from_lower = log_phi - 2 * np.log(-lower)
    return np.asarray(
        np.where(u > -1.0, from_upper, np.where(u > _ASYMPTOTIC, from_middle, from_lower))
    )
