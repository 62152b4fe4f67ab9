"""Random forests that stand for a metric between the runs, and say how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

_FORESTS = 12
_TREES = 8
"""Of each forest: 96 trees in all, as many again for each correction."""
_MOST_CORRECTIONS = 2
_LEAST_GAIN = 0.01
"""A correction that takes less than this share of the squared error away is left out."""
_INTERVAL = (0.05, 0.95)


@dataclass(frozen=True, kw_only=True)
class Forests:
    """Twelve random forests, each of resampled values, and up to two that correct each.

    Each forest (Breiman: "Random forests", Machine Learning 45, 2001) is fitted to values that are
    drawn with replacement from all but a twelfth of them, another twelfth each time. Their mean
    predicts, those that did not see a value tell the error, and how much they differ shows the
    uncertainty of whatever is computed from each (Efron, Tibshirani: "An introduction to the
    bootstrap", 1993, chapter 13). So that costs no forest more than the prediction does.

    A forest draws everything towards the middle, weak effects most, so that shares of variance
    would favour the strongest parameter. The next ones learn what is left of each value after those
    forests predicted it that did not see it (Ghosal, Hooker: "Boosting random forests to reduce
    bias; one-step boosted forest and its variance estimate", Journal of Computational and Graphical
    Statistics 30, 2021, section 2). Where that is mostly noise it would do harm: so it gets the
    weight that is best for unseen values.

    Beside the given columns a forest learns from random ones, its own, which show how important
    chance makes what has no effect (Kursa, Rudnicki: "Feature selection with the Boruta package",
    Journal of Statistical Software 36, 2010).

    Attributes:
        layers: The first twelve forests, and the twelve of each correction.
        weights: Of each layer: 1 for the first, more than 0 and at most 1 for a correction.
        unseen: An ``n`` array: predictions of the values they were fitted to, each by the forests
            that did not see it.
    """

    layers: tuple[tuple[RandomForestRegressor, ...], ...]
    weights: tuple[float, ...]
    unseen: NDArray[np.float64]

    @classmethod
    def fit(
        cls, X: NDArray[np.float64], y: NDArray[np.float64], *, random_columns: int = 0, seed: int
    ) -> "Forests":
        """Fit the forests, and corrections as long as they help.

        Args:
            X: An ``n x d`` array, ``n`` at least 2.
            y: An ``n`` array of finite values.
            random_columns: So many are added after the others.
            seed: Of what is drawn, the random columns and the trees.
        """
        samples = _samples(X, random_columns, np.random.default_rng(seed))
        first, predicted = _layer(samples, y, seed=seed)
        layers, weights, left = [first], [1.0], y - predicted
        for number in range(1, _MOST_CORRECTIONS + 1):
            correction, change = _layer(samples, left, seed=seed + number)
            weight = min(float(left @ change) / (float(change @ change) or 1.0), 1.0)
            remaining = left - weight * change
            if weight <= 0 or remaining @ remaining > (1 - _LEAST_GAIN) * (left @ left):
                break
            layers.append(correction)
            weights.append(weight)
            left = remaining
        return cls(layers=(*layers,), weights=(*weights,), unseen=y - left)

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a ``12 x m`` array: what each forest predicts of an ``m x d`` array.

        Args:
            X: With the random columns after the others; their values hardly matter.
        """

        def one(forests: tuple[RandomForestRegressor, ...]) -> NDArray[np.float64]:
            parts = [w * forest.predict(X) for w, forest in zip(self.weights, forests, strict=True)]
            return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

        return np.array([one(forests) for forests in zip(*self.layers, strict=True)])


def interval(
    estimate: NDArray[np.float64], of_each: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both ends of 90 % intervals: as far away as forests are from their median.

    Args:
        estimate: Computed from the mean of the twelve forests, of any shape.
        of_each: The same, computed from each of them: an axis of length 12 comes first.
    """
    low, high = np.quantile(of_each, _INTERVAL, axis=0) - np.median(of_each, axis=0)
    return estimate + low, estimate + high


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """What a forest is fitted to.

    Attributes:
        X: All rows, with its random columns.
        rows: Those it sees, some of them several times.
        unseen: Those it does not.
        number: Of the forest.
    """

    X: NDArray[np.float64]
    rows: NDArray[np.intp]
    unseen: NDArray[np.intp]
    number: int


def _samples(
    X: NDArray[np.float64], random_columns: int, rng: np.random.Generator
) -> list[_Sample]:
    """Draw what each forest sees."""
    n, samples = len(X), []
    for number, left_out in enumerate(np.array_split(rng.permutation(n), _FORESTS)):
        rows = rng.choice(np.setdiff1d(np.arange(n), left_out), size=n)
        samples.append(
            _Sample(
                X=np.hstack([X, rng.random((n, random_columns))]),
                rows=rows,
                unseen=np.setdiff1d(np.arange(n), rows),
                number=number,
            )
        )
    return samples


def _layer(
    samples: Sequence[_Sample], y: NDArray[np.float64], *, seed: int
) -> tuple[tuple[RandomForestRegressor, ...], NDArray[np.float64]]:
    """Return a forest for each sample, and an array of what they predict of unseen values."""

    def one(sample: _Sample) -> tuple[RandomForestRegressor, NDArray[np.float64]]:
        state = np.random.RandomState([seed, sample.number])
        forest = RandomForestRegressor(_TREES, random_state=state)
        forest.fit(sample.X[sample.rows], y[sample.rows])
        return forest, forest.predict(sample.X[sample.unseen])

    fitted = [one(sample) for sample in samples]
    total, count = np.zeros(len(y)), np.zeros(len(y))
    for sample, (_, predicted) in zip(samples, fitted, strict=True):
        total[sample.unseen] += predicted
        count[sample.unseen] += 1
    return tuple(forest for forest, _ in fitted), total / count
