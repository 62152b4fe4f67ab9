"""The line that a number's values lie on, and beliefs about where on it the good ones are."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A range of numbers, and its image between 0 and 1.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether equal factors, rather than equal differences, are equally far apart.
        step: Distance of neighbouring values, from ``low`` on; any value if None.
    """

    low: float
    high: float
    log: bool
    step: float | None

    def check(self, name: str) -> None:
        """Check the range of the parameter called ``name``.

        Raises:
            ConfigError: If it is empty, not finite, or does not fit ``log`` and ``step``.
        """
        low, high, step = self.low, self.high, self.step
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ConfigError(f"space.{name}: low <= high must hold, but got ({low=}, {high=})")
        if self.log and low <= 0:
            raise ConfigError(f"space.{name}: log = true needs low > 0, but got {low=}")
        if step is None:
            return
        if not 0 < step < math.inf:
            raise ConfigError(f"space.{name}: step must be positive and finite, but got {step}")
        steps = (high - low) / step
        if not math.isclose(steps, round(steps), abs_tol=1e-6):
            raise ConfigError(
                f"space.{name}: high must be low plus a multiple of step, but got "
                f"({low=}, {high=}, {step=})"
            )

    @property
    def text(self) -> str:
        """For people: ``1e-05 to 0.1, log``."""
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"

    def nearest(self, number: float) -> float:
        """Return the value nearest to a number of the range."""
        if self.step is None:
            return float(number)
        on_grid = self.low + round((number - self.low) / self.step) * self.step
        # 0.1 + 2 * 0.1 is a little more than 0.3; people and duplicates want 0.3.
        rounded = round(on_grid, 12 - math.floor(math.log10(self.step)))
        return min(max(rounded, self.low), self.high)

    def to_unit(self, number: float) -> float:
        """Return the place between 0 and 1 of a number of the range."""
        start, end = self._cell_bounds
        if start == end:
            return 0.5
        return ((math.log(number) if self.log else number) - start) / (end - start)

    def from_unit(self, unit: float) -> float:
        """Return the value at, or in whose cell is, a place between 0 and 1."""
        start, end = self._cell_bounds
        place = start + min(max(unit, 0.0), 1.0) * (end - start)
        return self.nearest(min(max(math.exp(place) if self.log else place, self.low), self.high))

    @property
    def _cell_bounds(self) -> tuple[float, float]:
        """The range widened by half a step, so that all values have cells of full size."""
        half = 0.0 if self.step is None else self.step / 2
        if self.log:
            # A whole step wide, a first value at or below half a step would have no logarithm.
            return math.log(max(self.low - half, self.low / 2)), math.log(self.high + half)
        return self.low - half, self.high + half


@dataclass(frozen=True, kw_only=True)
class BellCurve:
    """A normal distribution truncated to the places between 0 and 1.

    Attributes:
        center: Its most likely place, between 0 and 1.
        spread: Its standard deviation before the truncation.
    """

    center: float
    spread: float

    def log_density(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log density, elementwise, up to a constant: 0 at the center."""
        return -0.5 * ((unit - self.center) / self.spread) ** 2

    def quantile(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the places below which the given shares of the distribution lie, elementwise.

        Uniform shares thus become places that follow the distribution.
        """
        if self.spread > 1e4:
            return share  # The curve is flat to eight digits, and its ends too near to tell apart.
        normal = NormalDist(self.center, self.spread)
        start, end = normal.cdf(0.0), normal.cdf(1.0)
        # The normal distribution has no quantile at 0 and 1.
        inner = np.clip(start + share * (end - start), np.finfo(float).tiny, 1 - 2**-53)
        places = np.array([normal.inv_cdf(each) for each in inner.ravel().tolist()])
        return np.asarray(np.clip(places.reshape(inner.shape), 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Prior:
    """A belief about where good values of a number lie: a bell curve cut off at the range's ends.

    Attributes:
        near: The value that is believed in most.
        spread: Standard deviation, as a part of the range: of its logarithm if the scale has
            ``log``; with steps, the range begins and ends half a step further out.
    """

    near: float
    spread: float

    def check(self, name: str, scale: Scale) -> None:
        """Check the prior of the parameter called ``name``.

        Raises:
            ConfigError: If ``near`` is outside the range, or ``spread`` is not positive and finite.
        """
        if not scale.low <= self.near <= scale.high:
            raise ConfigError(
                f"space.{name}.prior: near must be between {scale.low} and {scale.high}, "
                f"but got {self.near}"
            )
        if not 0 < self.spread < math.inf:
            raise ConfigError(
                f"space.{name}.prior: spread must be positive and finite, but got {self.spread}"
            )

    def over(self, scale: Scale) -> BellCurve:
        """Return the belief about places between 0 and 1."""
        return BellCurve(center=scale.to_unit(self.near), spread=self.spread)
