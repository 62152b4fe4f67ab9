"""What a running run will come to, as far as its curve and those of finished runs say.

The final value is regressed on what is known at this share of the steps: the values on the way, the
known metrics and the parameters. The regression is a Gaussian process whose mean and scale are
integrated out, so that predictions follow Student's t: with few runs they are as wide as they must
be (Rasmussen, Williams: "Gaussian processes for machine learning", 2006, sections 2.7 and 9.9;
the scale as in Gelman et al.: "Bayesian data analysis", 2013, section 14.8). How smooth it is, how
noisy, and whether parameters tell more than the curve, is averaged over a small grid, by how well
each predicts the finished runs from one another (section 5.4.2). So nothing is fitted by search,
and a forecast takes milliseconds.

Values on the way are often of fewer questions than the final ones. What that costs is learned with
the rest.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from limbeck.metrics import Metric
from limbeck.runs import CurvePoint, Forecast, Run
from limbeck.space import Value

_LENGTHSCALES = (0.7, 1.4, 2.8)
_PARAMETER_WEIGHTS = (0.0, 1.0)
_NOISES = (0.03, 0.1, 0.3, 1.0)
_MEAN_VARIANCE = 10.0
_PRIOR_RUNS = 4.0
"""The prior counts as so many runs; above 2, so that there is a variance.

It says that final values differ as they do, and that a forecast is off by a standard error of one.
The latter is for runs that all come to the same, such as those that answer nothing: they seem to be
without noise, but the next one may be the first that answers.
"""
_LOG_RATIO = 10.0
_CONSTANT = 1e-9
"""What differs by less, as a share of its size, differs by rounding."""
_NOT_SCORES = frozenset({"learning_rate"})


@dataclass(frozen=True)
class Curves:
    """The curves of a run, by metric.

    Attributes:
        run: Whose they are.
        points: For each metric, by name: shares of all steps, increasing, and finite values there.
    """

    run: Run
    points: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]

    @classmethod
    def of(cls, run: Run, curve: Sequence[CurvePoint]) -> "Curves":
        """Sort the points of a run that knows how many steps it takes."""
        assert run.total_steps, "a share of the steps needs their number"
        rows: dict[str, dict[int, float]] = {}
        for point in curve:
            if math.isfinite(point.value):
                rows.setdefault(point.metric, {})[point.step] = point.value
        return cls(
            run,
            {
                metric: (
                    np.array(sorted(values)) / run.total_steps,
                    np.array([values[step] for step in sorted(values)]),
                )
                for metric, values in rows.items()
            },
        )

    def at(self, metric: str, share: float) -> float:
        """Return a metric's value at a share of the steps, between points on a line; NaN before."""
        if metric not in self.points:
            return math.nan
        shares, values = self.points[metric]
        return float(np.interp(share, shares, values, left=math.nan))


def forecast(
    metric: Metric,
    running: Curves,
    finished: Sequence[Curves],
    *,
    share: float,
    known: Sequence[Metric],
) -> Forecast:
    """Predict the final value of a running run.

    A metric without values on the way, such as a latency, is predicted from the rest.

    Args:
        metric: What to predict.
        running: The run's curves so far.
        finished: Those of at least two finished runs, all with a finite value of the metric.
        share: Of its steps that the run has done.
        known: Metrics that follow from the parameters; all runs have finite values of them.
    """
    everyone = [*finished, running]
    final = np.array([each.run.values[metric.name] for each in finished])
    so_far = np.array([each.at(metric.name, share) for each in everyone])
    curve = _curve_features(everyone, share)
    traits = _standardized(
        np.hstack([_known_features(everyone, known), _parameter_features(everyone)])
    )
    least = _median([each.run.errors.get(metric.name, math.nan) for each in finished])
    scale = max(float(np.std(final)), least) or 1.0
    guesses = [
        guess
        for length, weight in product(_LENGTHSCALES, _PARAMETER_WEIGHTS)
        for guess in _guesses(
            _kernel(curve, length) + weight * _kernel(traits, length),
            final,
            offsets=[np.zeros(len(everyone)), so_far][: 1 + bool(np.isfinite(so_far).all())],
            scale=scale,
        )
    ]
    doubt = least**2 * _PRIOR_RUNS / (_PRIOR_RUNS + len(finished))
    return _averaged(guesses, doubt=doubt)


@dataclass(frozen=True, kw_only=True)
class _Guess:
    """Student's t for the final value, by one model.

    Attributes:
        log_weight: How well the model predicts each finished run from the others: the logarithm of
            the densities' product, up to a constant.
        mean: In the metric's unit.
        variance: In the metric's unit, squared.
    """

    log_weight: float
    mean: float
    variance: float


def _guesses(
    kernel: NDArray[np.float64],
    final: NDArray[np.float64],
    *,
    offsets: Sequence[NDArray[np.float64]],
    scale: float,
) -> Iterator[_Guess]:
    """Yield what the models of one kernel say, for all offsets and noises.

    Args:
        kernel: An ``(n + 1) x (n + 1)`` matrix; the last is the running run.
        final: An ``n`` array of the others' final values.
        offsets: Arrays of ``n + 1`` values that the final value is expected to keep a distance
            from.
        scale: What the final values differ by, positive.
    """
    n = len(final)
    covariance = kernel + _MEAN_VARIANCE
    eigenvalues, axes = np.linalg.eigh(covariance[:n, :n])
    eigenvalues = np.maximum(eigenvalues, 0.0)
    across = axes.T @ covariance[:n, n]
    for offset in offsets:
        distances = final - offset[:n]
        center = float(np.median(distances))
        along = axes.T @ ((distances - center) / scale)
        for noise in _NOISES:
            precision = 1 / (eigenvalues + noise)
            # Each of the others, predicted from the rest, is off by weights / diagonal.
            weights = axes @ (along * precision)
            diagonal = (axes**2) @ precision
            misfit = _PRIOR_RUNS + float(np.sum(weights**2 / diagonal))
            spread = covariance[n, n] + noise - float(np.sum(across**2 * precision))
            yield _Guess(
                log_weight=0.5 * float(np.sum(np.log(diagonal)))
                - 0.5 * (_PRIOR_RUNS + n) * math.log(misfit),
                mean=float(offset[n]) + center + scale * float(np.sum(across * along * precision)),
                variance=scale**2 * misfit / (_PRIOR_RUNS + n - 2) * spread,
            )


def _averaged(guesses: Sequence[_Guess], *, doubt: float) -> Forecast:
    """Return mean and standard deviation of the mixture, and of a doubt, a variance, about all."""
    logs = np.array([guess.log_weight for guess in guesses])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    means = np.array([guess.mean for guess in guesses])
    mean = float(weights @ means)
    variance = weights @ (np.array([guess.variance for guess in guesses]) + (means - mean) ** 2)
    return Forecast(mean=mean, std=math.sqrt(variance + doubt))


def _kernel(features: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Return the sum of a linear and a Gaussian kernel of ``m x d`` features, an ``m x m`` matrix.

    Both are about 1 on the diagonal, however many features there are.
    """
    d = max(features.shape[1], 1)
    inner = features @ features.T / d
    norms = np.diag(inner)
    distances = np.maximum(norms[:, None] + norms - 2 * inner, 0.0)
    kernel: NDArray[np.float64] = inner + np.exp(-0.5 * distances / length**2)
    return kernel


def _curve_features(everyone: Sequence[Curves], share: float) -> NDArray[np.float64]:
    """Return what is known from the curves: an ``m x d`` array, standardized.

    These are all scores there, and how far the metric came in the second half of the way.
    """
    names = sorted(set.intersection(*(set(each.points) for each in everyone)) - _NOT_SCORES)
    columns = [[each.at(name, share) for each in everyone] for name in names]
    columns += [
        [each.at(name, share) - each.at(name, share / 2) for each in everyone] for name in names
    ]
    return _standardized(np.array(columns).reshape(len(columns), len(everyone)).T)


def _known_features(everyone: Sequence[Curves], known: Sequence[Metric]) -> NDArray[np.float64]:
    columns = [_scaled([each.run.values[metric.name] for each in everyone]) for metric in known]
    return np.array(columns).reshape(len(columns), len(everyone)).T


def _parameter_features(everyone: Sequence[Curves]) -> NDArray[np.float64]:
    """Return numbers as they are or by their logarithm, and a column for each value of a choice.

    Where a parameter is inactive, it is as it is on average.
    """
    columns: list[NDArray[np.float64]] = []
    for name in sorted({name for each in everyone for name in each.run.parameters}):
        values = [each.run.parameters.get(name) for each in everyone]
        given = [value for value in values if value is not None]
        if all(_is_number(value) for value in given):
            columns.append(_scaled([math.nan if v is None else float(v) for v in values]))
        else:
            columns += [
                np.array(
                    [math.nan if value is None else float(value == choice) for value in values]
                )
                for choice in sorted(set(given), key=str)
            ]
    return np.array(columns).reshape(len(columns), len(everyone)).T


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scaled(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the logarithms of positive values that differ by large factors, else the values."""
    array = np.array(values, dtype=np.float64)
    least, most = np.nanmin(array), np.nanmax(array)
    if least > 0 and most > _LOG_RATIO * least:
        array = np.log(array)
    return array


def _standardized(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the columns of an ``m x d`` array with mean 0 and deviation 1; constants are left out.

    What is missing is as it is on average.
    """
    there = features[:, np.isfinite(features).any(axis=0)]
    centered = there - np.nanmean(there, axis=0)
    deviation = np.sqrt(np.nanmean(centered**2, axis=0))
    varied = deviation > _CONSTANT * np.nanmax(np.abs(there), axis=0, initial=0.0)
    standardized: NDArray[np.float64] = centered[:, varied] / deviation[varied]
    return np.nan_to_num(standardized, nan=0.0)


def _median(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else 0.0
