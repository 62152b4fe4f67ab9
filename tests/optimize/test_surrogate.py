import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import torch
from botorch.exceptions.errors import InputDataError
from gpytorch.priors import NormalPrior
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from limbeck.optimize.surrogate import _LEAST_PRECISION, Surrogate, _Observations, one_thread


@pytest.fixture(autouse=True)
def _single_thread() -> Iterator[None]:
    with one_thread():
        yield


def _wave(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(70 + 5 * np.sin(4 * X[:, 0]) - 3 * X[:, 1])


def _points(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(size=(count, 2))


def _kernel(
    each: Mapping[str, NDArray[np.float64]], A: NDArray[np.float64], B: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rational quadratic covariances (Rasmussen, Williams: 2006, eq. 4.19) and main effects'."""
    lengths, alpha = np.exp(each[LENGTHS]), np.exp(each[ALPHA]).item()
    covariance = (1 + cdist(A / lengths, B / lengths, "sqeuclidean") / (2 * alpha)) ** -alpha
    weight = np.exp(each[WEIGHT]).item() / A.shape[1]
    for a, b, length in zip(A.T, B.T, np.exp(each[MAIN_LENGTHS]), strict=True):
        ratio = math.exp(-math.sqrt(2) * math.pi * length)
        for order in range(1, 9):
            waves = np.outer(np.cos(np.pi * order * a), np.cos(np.pi * order * b))
            covariance = covariance + weight * (1 - ratio) * ratio**order * 2 * waves
    return np.asarray(math.exp(each[SCALE].item()) * covariance)


def _hyperparameters(surrogate: Surrogate) -> list[dict[str, NDArray[np.float64]]]:
    """Those of each sample, by the name of their place in the model."""
    named = {
        name: values.detach().numpy().reshape(len(surrogate._samples), -1)
        for name, values in surrogate._model.named_parameters()
    }
    return [
        {name: values[i] for name, values in named.items()} for i in range(len(surrogate._samples))
    ]


NOISE = "likelihood.noise_covar.raw_noise"
CONSTANT = "mean_module.raw_constant"
SCALE = "covar_module.raw_outputscale"
LENGTHS = "covar_module.base_kernel.raw_lengthscale"
ALPHA = "covar_module.base_kernel.raw_alpha"
WEIGHT = "covar_module.base_kernel.raw_weight"
MAIN_LENGTHS = "covar_module.base_kernel.raw_main_lengthscale"
LEAST_NOISE = 1e-4


def _by_hand(
    each: Mapping[str, NDArray[np.float64]],
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    noise: NDArray[np.float64],
    at: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The posterior of standardized values (Rasmussen, Williams: 2006, eq. 2.25 and 2.26)."""
    covariance = _kernel(each, X, X) + np.diag(noise)
    cross = _kernel(each, at, X)
    mean = each[CONSTANT] + cross @ np.linalg.solve(covariance, y - each[CONSTANT])
    explained = np.einsum("mn,nm->m", cross, np.linalg.solve(covariance, cross.T))
    return mean, np.sqrt(np.diag(_kernel(each, at, at)) - explained)


def test_predicts_a_smooth_function() -> None:
    surrogate = Surrogate.fit(_points(30), _wave(_points(30)), seed=0)
    mean, std = surrogate.posterior(_points(50, seed=1))
    errors = mean - _wave(_points(50, seed=1))
    assert np.abs(errors).max() < 1.0
    assert (np.abs(errors) < 4 * std + 0.05).all()


@pytest.mark.parametrize("given", [False, True])
def test_each_posterior_is_that_of_a_gaussian_process_computed_by_hand(given: bool) -> None:
    """At the very hyperparameters, from the values on their own scale and back."""
    X, at = _points(9), _points(70, seed=1)
    y = _wave(X)
    errors = np.linspace(0.1, 1.0, 9) if given else None
    surrogate = Surrogate.fit(X, y, seed=0, errors=errors)
    offset, scale = y.mean(), y.std(ddof=1)
    expected = [
        _by_hand(
            each,
            X,
            (y - offset) / scale,
            noise=np.full(9, LEAST_NOISE + np.exp(each[NOISE].item()))
            if errors is None
            else (errors / scale) ** 2,
            at=at,
        )
        for each in _hyperparameters(surrogate)
    ]
    means, stds = surrogate.posteriors(at)
    np.testing.assert_allclose(means, [offset + scale * mean for mean, _ in expected], rtol=1e-6)
    np.testing.assert_allclose(stds, [scale * std for _, std in expected], rtol=1e-3)
    assert len(np.unique(means[:, 0])) == len(means) > 1


def test_the_posterior_is_that_of_the_mixture() -> None:
    """Mean and deviation of numbers drawn from all the posteriors alike."""
    surrogate = Surrogate.fit(_points(5), _wave(_points(5)), seed=0)
    at = _points(3, seed=1)
    means, stds = surrogate.posteriors(at)
    draws = np.random.default_rng(0).normal(means, stds, size=(40_000, *means.shape))
    mean, std = surrogate.posterior(at)
    np.testing.assert_allclose(mean, draws.mean(axis=(0, 1)), atol=0.02)
    np.testing.assert_allclose(std, draws.std(axis=(0, 1)), rtol=0.01)


def _log_posterior(
    vector: NDArray[np.float64],
    surrogate: Surrogate,
    X: NDArray[np.float64],
    y: NDArray[np.float64],
) -> float:
    """Of standardized values and hyperparameters, up to a constant; the priors are the model's."""
    model = surrogate._model
    names = [name for name, _ in model.named_parameters()]
    d = X.shape[1]
    sizes = {NOISE: 1, CONSTANT: 1, SCALE: 1, LENGTHS: d, ALPHA: 1, WEIGHT: 1, MAIN_LENGTHS: d}
    assert sorted(names) == sorted(sizes)
    parts = np.split(vector, np.cumsum([sizes[name] for name in names])[:-1])
    each = dict(zip(names, parts, strict=True))
    covariance = _kernel(each, X, X)
    covariance += np.diag(np.full(len(X), LEAST_NOISE + np.exp(each[NOISE]).item()))
    log = multivariate_normal.logpdf(y, np.full(len(X), each[CONSTANT]), covariance)
    priors = {
        "likelihood.noise_covar.prior": each[NOISE],
        "covar_module.prior": each[SCALE],
        **{f"{name}_prior": each[name] for name in (LENGTHS, ALPHA, WEIGHT, MAIN_LENGTHS)},
    }
    for name, _, prior, _, _ in model.named_priors():  # type: ignore[operator]  # gpytorch is not typed
        assert isinstance(prior, NormalPrior)
        log += norm.logpdf(priors.pop(name), prior.loc.item(), prior.scale.item()).sum()
    assert not priors
    return float(log)


def test_hyperparameters_are_drawn_from_the_laplace_approximation() -> None:
    """Against the slope and curvature of a log posterior by hand, at the mode."""
    X, y = _points(7), _wave(_points(7))
    standardized = (y - y.mean()) / y.std(ddof=1)
    surrogate = Surrogate.fit(X, y, seed=0)
    mode = surrogate._samples[0].numpy()
    steps = 1e-3 * np.eye(len(mode))

    def log(*moves: NDArray[np.float64]) -> float:
        return _log_posterior(np.sum([mode, *moves], axis=0), surrogate, X, standardized)

    slope = np.array([(log(step) - log(-step)) / 2e-3 for step in steps])
    np.testing.assert_allclose(slope, 0.0, atol=0.02)
    hessian = np.array(
        [[(log(a, b) - log(a, -b) - log(-a, b) + log(-a, -b)) / 4e-6 for b in steps] for a in steps]
    )
    precision, axes = np.linalg.eigh(-hessian)
    expected = axes @ np.diag(1 / np.maximum(precision, _LEAST_PRECISION)) @ axes.T
    drawn = surrogate._observations.samples(surrogate._samples[0], count=4097, seed=1).numpy()
    np.testing.assert_array_equal(drawn[0], mode)
    np.testing.assert_allclose(drawn[1:].mean(axis=0), mode, atol=0.01)
    np.testing.assert_allclose(np.cov(drawn[1:].T), expected, atol=0.02, rtol=0.02)


def test_the_mixture_is_better_calibrated_than_the_mode_alone() -> None:
    """Mean log density of 100 true values after six observations, for eight designs."""

    def ripples(X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sin(7 * X[:, 0]) + np.cos(5 * X[:, 1]))

    of_mode, of_mixture = [], []
    for seed in range(8):
        X, at = _points(6, seed=seed), _points(100, seed=seed + 50)
        means, stds = Surrogate.fit(X, ripples(X), seed=seed).posteriors(at)
        log = norm.logpdf(ripples(at), means, stds)
        of_mode.append(log[0].mean())
        of_mixture.append((logsumexp(log, axis=0) - math.log(len(log))).mean())
    assert np.mean(of_mixture) > np.mean(of_mode) + 0.1


def test_of_hyperparameters_that_are_not_drawn_the_most_likely_remain() -> None:
    X = _points(9)
    means, stds = Surrogate.fit(X, _wave(X), seed=0).posteriors(_points(5, seed=1))
    alone = Surrogate.fit(X, _wave(X), seed=0, sampled=False)
    np.testing.assert_allclose(alone.posteriors(_points(5, seed=1)), (means[:1], stds[:1]))
    np.testing.assert_allclose(alone.posterior(_points(5, seed=1)), (means[0], stds[0]))


def test_the_seed_decides() -> None:
    X, at = _points(6), _points(5, seed=1)
    first = Surrogate.fit(X, _wave(X), seed=3).posteriors(at)
    torch.rand(1)
    np.testing.assert_array_equal(Surrogate.fit(X, _wave(X), seed=3).posteriors(at), first)
    assert (Surrogate.fit(X, _wave(X), seed=4).posteriors(at)[0] != first[0]).any()


@pytest.mark.parametrize("seed", range(4))
def test_waves_are_not_taken_for_noise(seed: int) -> None:
    """That all is noise is a maximum of the likelihood, too, but a much lower one."""

    def waves(X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.cos(4 * math.pi * X[:, 0]) - X[:, 1])

    X, at = _points(25, seed=seed), 0.1 + 0.8 * _points(100, seed=9)
    mean, _ = Surrogate.fit(X, waves(X), seed=0).posterior(at)
    assert np.mean((mean - waves(at)) ** 2) < 0.2 * np.var(waves(at))


def test_is_uncertain_far_from_observations() -> None:
    surrogate = Surrogate.fit(0.3 * _points(12), _wave(0.3 * _points(12)), seed=0)
    _, near = surrogate.posterior(0.3 * _points(12))
    _, far = surrogate.posterior(np.ones((1, 2)))
    assert far[0] > 3 * near.max()


def test_scale_and_offset_of_values_do_not_matter() -> None:
    X = _points(12)
    mean, std = Surrogate.fit(X, _wave(X), seed=0).posterior(_points(5, seed=1))
    scaled = Surrogate.fit(X, 1e-3 * _wave(X) - 7, seed=0)
    scaled_mean, scaled_std = scaled.posterior(_points(5, seed=1))
    np.testing.assert_allclose(scaled_mean, 1e-3 * mean - 7, rtol=1e-6)
    np.testing.assert_allclose(scaled_std, 1e-3 * std, rtol=1e-3)


@pytest.mark.parametrize("errors", [None, np.full(6, 0.5)], ids=["learned", "given"])
def test_equal_values_are_expected_everywhere(errors: NDArray[np.float64] | None) -> None:
    surrogate = Surrogate.fit(_points(6), np.full(6, 70.0), seed=0, errors=errors)
    mean, std = surrogate.posterior(_points(5, seed=1))
    np.testing.assert_allclose(mean, 70.0, atol=0.1)
    assert np.isfinite(std).all()


@pytest.mark.parametrize("errors", [None, np.full(12, 0.1)], ids=["learned", "given"])
def test_believing_takes_the_uncertainty_but_keeps_each_mean(
    errors: NDArray[np.float64] | None,
) -> None:
    X = 0.5 * _points(12)
    surrogate = Surrogate.fit(X, _wave(X), seed=0, errors=errors)
    pending, at = np.array([[0.9, 0.9], [0.8, 0.1]]), _points(5, seed=1)
    means, stds = surrogate.posteriors(pending)
    believing = surrogate.believing(pending)
    believed_means, believed_stds = believing.posteriors(pending)
    np.testing.assert_allclose(believed_means, means, rtol=1e-3)
    assert (believed_stds < 0.3 * stds).all()
    np.testing.assert_allclose(believing.posteriors(at)[0], surrogate.posteriors(at)[0], rtol=1e-3)
    np.testing.assert_array_equal(surrogate.posteriors(pending)[1], stds)


def test_believing_twice_is_believing_both_and_nothing_changes_nothing() -> None:
    X = 0.5 * _points(12)
    surrogate = Surrogate.fit(X, _wave(X), seed=0)
    pending, at = np.array([[0.9, 0.9], [0.8, 0.1]]), _points(5, seed=1)
    both = surrogate.believing(pending).posteriors(at)
    in_turn = surrogate.believing(pending[:1]).believing(pending[1:]).posteriors(at)
    np.testing.assert_allclose(in_turn, both, rtol=1e-6)
    nothing = surrogate.believing(np.empty((0, 2)))
    np.testing.assert_allclose(nothing.posteriors(at), surrogate.posteriors(at), rtol=1e-9)


def test_one_value_of_no_use_does_not_make_beliefs_uncertain() -> None:
    """The noise of what is believed is what is usual among the observations."""
    X = 0.5 * _points(12)
    errors = np.where(np.arange(12) == 3, 1e6, 0.1)
    surrogate = Surrogate.fit(X, _wave(X), seed=0, errors=errors)
    pending = np.array([[0.9, 0.9]])
    _, stds = surrogate.posteriors(pending)
    assert (surrogate.believing(pending).posteriors(pending)[1] < 0.3 * stds).all()


def test_a_value_with_a_large_error_does_not_bend_the_mean() -> None:
    X, at = _points(12), _points(12)[:1]
    y = _wave(X)
    y[0] += 20.0
    unsure = Surrogate.fit(X, y, seed=0, errors=np.where(np.arange(12) == 0, 100.0, 0.05))
    sure = Surrogate.fit(X, y, seed=0, errors=np.full(12, 0.05))
    assert unsure.posterior(at)[0] == pytest.approx(_wave(at), abs=2.0)
    assert sure.posterior(at)[0] == pytest.approx(y[:1], abs=0.5)


def test_errors_are_on_the_scale_of_the_values() -> None:
    """The mean of two contradicting values weights them by 1 / error^2."""
    X = np.vstack([_points(8), np.full((2, 2), 0.5)])
    y = np.array([*np.full(8, 70.0), 72.0, 68.0])
    for factor in (1.0, 1000.0):
        errors = factor * np.array([*np.full(8, 0.1), 0.1, 1.0])
        surrogate = Surrogate.fit(X, factor * y, seed=0, errors=errors)
        assert surrogate.posterior(X[-1:])[0] == pytest.approx(factor * 71.9, abs=0.3 * factor)


def test_exact_values_are_allowed() -> None:
    X = _points(8)
    mean, _ = Surrogate.fit(X, _wave(X), seed=0, errors=np.zeros(8)).posterior(X)
    np.testing.assert_allclose(mean, _wave(X), atol=0.1)


def _swirl(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.cos(9 * X[:, 1]) * np.sin(8 * X[:, 0]))


@pytest.mark.parametrize(
    ("then", "count", "most"),
    [
        (lambda X: 3 * _wave(X) - 500, 5, 0.3),
        (lambda X: -_wave(X), 5, 0.3),
        (lambda X: np.full(len(X), 7.0), 5, 1.2),
        (_swirl, 20, 1.3),
    ],
    ids=["related", "upside down", "constant", "unrelated"],
)
def test_what_was_learned_earlier_helps_and_a_wrong_lesson_is_overcome(
    then: Callable[[NDArray[np.float64]], NDArray[np.float64]], count: int, most: float
) -> None:
    """Errors after so many observations of now, as a part of those without an earlier study."""
    earlier = Surrogate.fit(_points(30), then(_points(30)), seed=0)
    at = _points(100, seed=1)

    def miss(surrogate: Surrogate) -> float:
        return float(np.sqrt(np.mean((surrogate.posterior(at)[0] - _wave(at)) ** 2)))

    ratios = []
    for seed in range(10, 14):
        X = _points(count, seed=seed)
        with_it = Surrogate.fit(X, _wave(X), seed=0, earlier=earlier)
        ratios.append(miss(with_it) / miss(Surrogate.fit(X, _wave(X), seed=0)))
    assert np.exp(np.mean(np.log(ratios))) < most


def test_pending_points_are_believed_on_top_of_an_earlier_study() -> None:
    then = Surrogate.fit(_points(12), 2 * _wave(_points(12)), seed=0)
    X, pending = 0.5 * _points(4, seed=1), np.array([[0.9, 0.9]])
    surrogate = Surrogate.fit(X, _wave(X), seed=0, earlier=then)
    means, stds = surrogate.posteriors(pending)
    believed_means, believed_stds = surrogate.believing(pending).posteriors(pending)
    np.testing.assert_allclose(believed_means, means, rtol=1e-3)
    assert (believed_stds < 0.9 * stds).all()


def test_thousands_of_observations() -> None:
    """More than hyperparameters are fitted to or drawn for; each of them still counts."""
    X, at = _points(2000), _points(70, seed=1)
    surrogate = Surrogate.fit(X, _wave(X), seed=0)
    means, stds = surrogate.posteriors(at)
    assert means.shape == stds.shape == (1, 70)
    np.testing.assert_allclose(surrogate.posterior(at)[0], _wave(at), atol=0.05)


def test_of_many_observations_the_best_half_and_random_others_are_kept() -> None:
    y = torch.as_tensor(np.random.default_rng(0).permutation(100).astype(float))
    X = torch.stack([y, -y], dim=1)
    many = _Observations(X=X, y=y[None], noise=y + 0.5, doubt=y, earlier=None)
    few = many.some(20, seed=1)
    assert few.noise is not None
    kept = sorted(few.y[0].tolist(), reverse=True)
    assert kept[:10] == list(range(99, 89, -1))
    assert len(set(kept)) == 20
    assert kept[-1] < 50
    assert torch.equal(few.X, torch.stack([few.y[0], -few.y[0]], dim=1))
    assert torch.equal(few.noise, few.y[0] + 0.5)
    assert torch.equal(many.some(20, seed=1).y, few.y)
    assert many.some(100, seed=1) is many


def test_a_value_that_is_not_finite_is_an_error_and_not_hidden() -> None:
    with pytest.raises(InputDataError, match="NaN"):
        Surrogate.fit(_points(3), np.array([1.0, math.nan, 2.0]), seed=0)


@pytest.mark.parametrize("side", [3, 4, 5, 6])
@pytest.mark.parametrize(
    "values",
    [
        lambda X: np.cos(30 * X[:, 0]),
        lambda X: np.sign(X[:, 0] - 0.4),
        lambda X: np.where(np.arange(len(X)) == 3, 1.0, 0.0),
        lambda X: np.random.default_rng(0).standard_cauchy(size=len(X)),
    ],
    ids=["waves", "cliff", "needle", "outliers"],
)
def test_no_step_of_a_fit_goes_so_far_that_it_warns(
    values: Callable[[NDArray[np.float64]], NDArray[np.float64]], side: int
) -> None:
    """Unbounded ones end at variances so large that gpytorch or botorch warn of them."""
    X = np.stack(np.meshgrid(*2 * [np.linspace(0, 1, side)]), axis=-1).reshape(-1, 2)
    mean, _ = Surrogate.fit(X, values(X), seed=0).posterior(X)
    assert np.isfinite(mean).all()


def test_one_thread_restores_the_number() -> None:
    torch.set_num_threads(2)  # The fixture sets it back.
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_one_thread_restores_the_number_after_an_error() -> None:
    torch.set_num_threads(2)
    with pytest.raises(KeyError, match="inside"), one_thread():
        raise KeyError("inside")
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("errors", [None, np.full(12, 0.05)], ids=["learned", "given"])
def test_a_doubtful_value_counts_less_than_a_sure_one(errors: NDArray[np.float64] | None) -> None:
    """One of twelve is 3 too high. Doubted by 3, it hardly moves the mean; the others still do."""
    X = _points(12)
    y = _wave(X) + np.where(np.arange(12) == 0, 3.0, 0.0)
    doubts = np.where(np.arange(12) == 0, 3.0, 0.0)
    sure = Surrogate.fit(X, y, seed=0, errors=errors)
    unsure = Surrogate.fit(X, y, seed=0, errors=errors, doubts=doubts)
    there = X[:1]
    assert sure.posterior(there)[0][0] > _wave(there)[0] + 1.0
    assert abs(unsure.posterior(there)[0][0] - _wave(there)[0]) < 0.7
    rest = X[1:]
    off = [np.abs(each.posterior(rest)[0] - _wave(rest)).mean() for each in (unsure, sure)]
    assert off[0] < 0.15
    assert off[0] < off[1] + 0.02


def test_no_doubt_is_as_good_as_none_given() -> None:
    X = _points(10)
    plain = Surrogate.fit(X, _wave(X), seed=0)
    doubtless = Surrogate.fit(X, _wave(X), seed=0, doubts=np.zeros(10))
    at = _points(5, seed=3)
    np.testing.assert_allclose(doubtless.posterior(at)[0], plain.posterior(at)[0], atol=0.02)
    np.testing.assert_allclose(doubtless.posterior(at)[1], plain.posterior(at)[1], atol=0.02)


def test_pending_points_are_believed_beside_doubtful_values() -> None:
    X, pending = _points(10), np.array([[0.9, 0.9], [0.1, 0.8]])
    surrogate = Surrogate.fit(X, _wave(X), seed=0, doubts=np.linspace(0, 1, 10))
    means, stds = surrogate.posteriors(pending)
    believed_means, believed_stds = surrogate.believing(pending).posteriors(pending)
    np.testing.assert_allclose(believed_means, means, rtol=1e-2, atol=1e-3)
    assert (believed_stds < 0.9 * stds).all()
