"""A random forest that stands for a metric between the runs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

_MOST_CORRECTIONS = 2
_LEAST_GAIN = 0.01
"""A correction that takes less than this share of the squared error away is left out."""


@dataclass(frozen=True, kw_only=True)
class Forest:
    """A random forest, and up to two that correct it.

    A forest (Breiman: "Random forests", Machine Learning 45, 2001) draws everything towards the
    middle, weak effects most, so that shares of variance would favour the strongest parameter. The
    next one learns what is left of each value after those trees predicted it that did not see it
    (Ghosal, Hooker: "Boosting random forests to reduce bias; one-step boosted forest and its
    variance estimate", Journal of Computational and Graphical Statistics 30, 2021, section 2).
    Where that is mostly noise it would do harm: so it gets the weight that is best for unseen
    values.

    Attributes:
        forests: The first one and its corrections.
        weights: Of each: 1 for the first, more than 0 and at most 1 for a correction.
        unseen: An ``n`` array: predictions of the values it was fitted to, each by trees that did
            not see it.
    """

    forests: tuple[RandomForestRegressor, ...]
    weights: tuple[float, ...]
    unseen: NDArray[np.float64]

    @classmethod
    def fit(
        cls, X: NDArray[np.float64], y: NDArray[np.float64], *, trees: int, seed: int
    ) -> "Forest":
        """Fit the forest, and corrections as long as they help.

        Args:
            X: An ``n x d`` array.
            y: An ``n`` array of finite values.
            trees: Of each forest; with fewer than 40 some value may be seen by all of them.
            seed: Of the trees.
        """
        first = _fitted(X, y, trees=trees, seed=seed)
        forests, weights, left = [first], [1.0], y - first.oob_prediction_
        for number in range(1, _MOST_CORRECTIONS + 1):
            correction = _fitted(X, left, trees=trees, seed=seed + number)
            change = correction.oob_prediction_
            weight = min(float(left @ change) / (float(change @ change) or 1.0), 1.0)
            remaining = left - weight * change
            if weight <= 0 or remaining @ remaining > (1 - _LEAST_GAIN) * (left @ left):
                break
            forests.append(correction)
            weights.append(weight)
            left = remaining
        return cls(forests=(*forests,), weights=(*weights,), unseen=y - left)

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return an ``m`` array of predictions for an ``m x d`` array."""
        parts = [
            weight * np.asarray(forest.predict(X), dtype=np.float64)
            for forest, weight in zip(self.forests, self.weights, strict=True)
        ]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


def _fitted(
    X: NDArray[np.float64], y: NDArray[np.float64], *, trees: int, seed: int
) -> RandomForestRegressor:
    return RandomForestRegressor(trees, oob_score=True, random_state=seed).fit(X, y)
