"""Whether a running run may still matter: the chance that it ends on the frontier.

Known metrics are exact from the start, so that a run competes only with those frontier runs that
are at least as good in every one of them: of one score and the size, with those that are no larger.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import moocore
import numpy as np
from scipy.stats import norm

from limbeck.config import StoppingSettings
from limbeck.frontier import frontier
from limbeck.metrics import Metric, Role, optimized
from limbeck.optimize.forecast import Curves, forecast
from limbeck.runs import CurvePoint, Forecast, Run, RunState

_RATE = "learning_rate"
_MOST_EXAMPLES = 200
"""The newest finished runs that are learned from: the time grows with the cube of their number."""
_SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is thought of a running run.

    Attributes:
        stop: Whether it should be stopped.
        chance: That it ends on the frontier; 1 as long as nothing can be said.
        forecasts: What its unknown metrics would come to, by name; empty as long as nothing can be
            said.
        message: The same for people, in a line; else empty.
    """

    stop: bool = False
    chance: float = 1.0
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True)
class StopRule:
    """Stops runs that hardly can matter any more; see docs/early-stopping.md.

    Verdicts depend on nothing but what is given.

    Attributes:
        metrics: All metrics of the study.
        settings: How cautious the rule is.
        seed: Of the choice of the runs that are never stopped.
    """

    metrics: tuple[Metric, ...]
    settings: StoppingSettings
    seed: int

    def decide(
        self,
        run: Run,
        curve: Sequence[CurvePoint],
        runs: Sequence[Run],
        curves: Mapping[int, Sequence[CurvePoint]],
    ) -> Verdict:
        """Return what is thought of a run.

        Nothing is said during warm-up, before the settings allow it, while no metric to optimize
        has a value on the way, and as long as no run is on the frontier: from runs that are of no
        use it cannot be learned how a run comes to be of use.

        A run may also surprise: do what no finished one did. By the rule of succession, of ``n``
        runs none of which did, that is one in ``n + 2``; it then matters as often as they do.

        Args:
            run: The running run; it has its known metrics.
            curve: Its points so far.
            runs: All runs of the study.
            curves: Points of the other runs, by number.
        """
        step = max((point.step for point in curve if point.metric in self._awaited), default=0)
        if not self.settings.chance or not run.total_steps or not step:
            return Verdict()
        share = step / run.total_steps
        finished = self._examples(run, runs, curves, share=share)
        too_early = share < self.settings.after or _is_warming_up(curve)
        best = frontier(runs, self.metrics)
        if too_early or len(finished) < self.settings.runs or not best:
            return Verdict()
        running = Curves.of(run, curve)
        forecasts = {
            metric.name: forecast(
                metric, running, finished, share=share, known=self._judged(known=True)
            )
            for metric in self._judged(known=False)
        }
        surprise = 1 / (len(finished) + 2)
        chance = (1 - surprise) * chance_of_mattering(forecasts, run, runs, self.metrics)
        chance += surprise * (len(best) + 1) / (len(finished) + 2)
        hopeless = chance < self.settings.chance
        spared = is_spared(run.number, share=self.settings.spare, seed=self.seed)
        return Verdict(
            stop=hopeless and not spared,
            chance=chance,
            forecasts=forecasts,
            message=f"chance of mattering {100 * chance:.2g} % {'<' if hopeless else '>='} "
            f"{100 * self.settings.chance:g} %{', but never stopped' if spared else ''}: "
            f"{self._reasons(run, runs, forecasts)} (step {step} of {run.total_steps})",
        )

    @property
    def _awaited(self) -> frozenset[str]:
        return frozenset(metric.name for metric in optimized(self.metrics) if not metric.known)

    def _judged(self, *, known: bool) -> tuple[Metric, ...]:
        return tuple(
            metric
            for metric in self.metrics
            if metric.role is not Role.STORE and metric.known == known
        )

    def _examples(
        self,
        run: Run,
        runs: Sequence[Run],
        curves: Mapping[int, Sequence[CurvePoint]],
        *,
        share: float,
    ) -> list[Curves]:
        """Return the other finished runs that have a score as early as this share of the steps."""
        needed = [*self._judged(known=True), *self._judged(known=False)]
        ended = [
            other
            for other in sorted(runs, key=lambda other: other.number)
            if other.number != run.number
            and other.state is RunState.FINISHED
            and other.total_steps
            and all(math.isfinite(other.values.get(metric.name, math.nan)) for metric in needed)
        ]
        found = [
            Curves.of(other, curves.get(other.number, ())) for other in ended[-_MOST_EXAMPLES:]
        ]
        return [
            each
            for each in found
            if any(math.isfinite(each.at(name, share)) for name in self._awaited)
        ]

    def _reasons(self, run: Run, runs: Sequence[Run], forecasts: Mapping[str, Forecast]) -> str:
        parts = [
            f"{name} forecast {_rounded(each.mean, each.std)} ± {_rounded(each.std, each.std)}"
            for name, each in forecasts.items()
        ]
        unknown = [metric for metric in optimized(self.metrics) if not metric.known]
        known = [metric for metric in optimized(self.metrics) if metric.known]
        if len(unknown) == 1:
            (metric,) = unknown
            rivals = [each.values[metric.name] for each in _rivals(run, runs, self.metrics)]
            bounds = rivals if metric.threshold is None else [*rivals, metric.threshold]
            if bounds:
                needed = max(bounds, key=metric.larger_is_better)
                parts.append(f"needs {_rounded(needed, forecasts[metric.name].std)}")
        at = " and ".join(f"{_short(run.values[metric.name])} {metric.name}" for metric in known)
        return ", ".join(parts) + (f" at {at}" if at else "")


def chance_of_mattering(
    forecasts: Mapping[str, Forecast], run: Run, runs: Sequence[Run], metrics: tuple[Metric, ...]
) -> float:
    """Return the chance that a run ends within every threshold and dominated by no finished run.

    Forecasts are taken as normal and independent of each other. A score on a sample of questions is
    a forecast, too, of the score on all: with its standard error as deviation.

    Each unknown metric to optimize is mapped to the unit interval by its forecast's distribution
    function. Outcomes are uniform there, and the chance of being dominated is a hypervolume: exact,
    for any number of metrics.

    Args:
        forecasts: Of the unknown metrics, by name. What there is none of may become anything.
        run: The run; it has its known metrics.
        runs: All runs of the study.
        metrics: All metrics of the study.
    """
    judged = [metric for metric in metrics if metric.role is not Role.STORE]
    within = 1.0
    for metric in judged:
        if metric.known:
            within *= metric.within_threshold(run.values[metric.name])
        elif metric.role is Role.CONSTRAIN and metric.threshold is not None:
            within *= 1 - _below(metric, metric.threshold, forecasts)
    unknown = [metric for metric in optimized(metrics) if not metric.known]
    rivals = _rivals(run, runs, metrics)
    if not unknown:
        return 0.0 if rivals else within
    least = [
        0.0 if metric.threshold is None else _below(metric, metric.threshold, forecasts)
        for metric in unknown
    ]
    free = math.prod(1 - each for each in least)
    if rivals:
        reached = np.array(
            [
                [_below(metric, rival.values[metric.name], forecasts) for metric in unknown]
                for rival in rivals
            ]
        )
        free -= float(moocore.hypervolume(reached, ref=least, maximise=True))
    return max(within * free, 0.0)


def is_spared(number: int, *, share: float, seed: int) -> bool:
    """Whether a run is among the share that is never stopped; the baseline always is."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return number == 0 or int.from_bytes(digest[:8]) < share * 2**64


def _rivals(run: Run, runs: Sequence[Run], metrics: tuple[Metric, ...]) -> tuple[Run, ...]:
    """Return the frontier runs that are at least as good in every known metric to optimize."""
    known = [metric for metric in optimized(metrics) if metric.known]
    return tuple(
        other
        for other in frontier(runs, metrics)
        if other.number != run.number
        and all(
            metric.larger_is_better(other.values[metric.name])
            >= metric.larger_is_better(run.values[metric.name])
            for metric in known
        )
    )


def _below(metric: Metric, value: float, forecasts: Mapping[str, Forecast]) -> float:
    """Return the chance of an outcome that is worse than a value; 0 without a forecast."""
    expected = forecasts.get(metric.name)
    if expected is None:
        return 0.0
    distance = metric.larger_is_better(value) - metric.larger_is_better(expected.mean)
    return float(norm.cdf(distance / expected.std))


def _is_warming_up(curve: Sequence[CurvePoint]) -> bool:
    """Whether the learning rate has only risen in proportion to the steps so far."""
    rates = {point.step: point.value for point in curve if point.metric == _RATE}
    if len(rates) < 2:
        return False
    first, last = min(rates), max(rates)
    return math.isclose(rates[first] / first, rates[last] / last, rel_tol=1e-3)


def _rounded(value: float, deviation: float) -> str:
    """Return a value with two digits of its standard deviation."""
    return f"{value:.{max(0, 1 - math.floor(math.log10(deviation)))}f}"


def _short(value: float) -> str:
    for size, letter in _SCALES:
        if abs(value) >= size:
            return f"{value / size:.1f} {letter}"
    return f"{value:.4g}"
