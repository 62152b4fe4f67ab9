"""Synthetic curves: ``value(share) = final * (1 - exp(-4 share)) / (1 - exp(-4))``, and noise."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import norm

from limbeck.metrics import Goal, Metric
from limbeck.optimize.forecast import Curves, forecast
from limbeck.runs import CurvePoint, Forecast, Run, RunState
from limbeck.space import Parameters, Value

SCORE = Metric(name="score", goal=Goal.MAXIMIZE)
LATENCY = Metric(name="latency", goal=Goal.MINIMIZE)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)


def _curves(
    number: int,
    final: float,
    *,
    noise: float = 0.0,
    size: float = 3e6,
    steps: int = 100,
    parameters: Parameters | None = None,
    error: float | None = None,
    values: dict[str, float] | None = None,
) -> Curves:
    rng = np.random.default_rng(number)
    run = Run(
        number=number,
        parameters=parameters or {},
        state=RunState.FINISHED,
        values={"score": final, "size": size, **(values or {})},
        errors={} if error is None else {"score": error},
        total_steps=steps,
    )
    points = [
        CurvePoint(
            step=step,
            metric="score",
            value=final * math.expm1(-4 * step / steps) / math.expm1(-4) + noise * rng.normal(),
            seconds=0.0,
        )
        for step in range(steps // 10, steps, steps // 10)
    ]
    return Curves.of(run, points)


def _population(count: int, *, noise: float, seed: int = 0) -> list[Curves]:
    rng = np.random.default_rng(seed)
    return [
        _curves(1000 * seed + i, 50 + 8 * rng.normal(), noise=noise, size=10 ** rng.uniform(6, 7))
        for i in range(count)
    ]


def _forecast(
    running: Curves, finished: list[Curves], share: float, metric: Metric = SCORE
) -> Forecast:
    return forecast(metric, running, finished, share=share, known=[SIZE])


def test_values_between_points_lie_on_a_line_and_there_are_none_before() -> None:
    run = Run(number=0, parameters={}, state=RunState.RUNNING, total_steps=10)
    points = [
        CurvePoint(step=step, metric="score", value=value, seconds=0.0)
        for step, value in ((8, 7.0), (2, 1.0), (4, 3.0), (6, math.nan))
    ]
    curves = Curves.of(run, points)
    shares = (0.2, 0.3, 0.4, 0.6, 0.8, 0.9)
    assert [curves.at("score", share) for share in shares] == pytest.approx(
        [1.0, 2.0, 3.0, 5.0, 7.0, 7.0]
    )
    assert math.isnan(curves.at("score", 0.1))
    assert math.isnan(curves.at("loss", 0.5))


def test_half_of_a_smooth_curve_tells_the_end() -> None:
    """Not the value so far, which is 0.87 of the final one, nor the mean, which is near 50."""
    finished = _population(30, noise=0.0)
    for final in (35.0, 60.0):
        said = _forecast(_curves(999, final), finished, 0.5)
        assert said.mean == pytest.approx(final, abs=1.0)
        assert said.std < 2.5


def test_runs_of_other_lengths_are_compared_by_their_share() -> None:
    finished = [_curves(i, 40.0 + i, steps=1000 if i % 2 else 50) for i in range(20)]
    assert _forecast(_curves(99, 53.5), finished, 0.5).mean == pytest.approx(53.5, abs=0.7)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_forecasts_are_calibrated(share: float) -> None:
    """Of noisy curves, with 8 to 40 finished runs, about 90 % must be within the central 90 %."""
    distances = []
    for seed in range(1, 25):
        *finished, running = _population(8 + seed % 4 * 8, noise=3.0, seed=seed)
        for other in (running, finished.pop(), finished.pop()):
            said = _forecast(other, finished, share)
            distances.append((other.run.values["score"] - said.mean) / said.std)
    inside = np.abs(distances) < norm.ppf(0.95)
    assert 0.8 < inside.mean() <= 1.0
    assert np.std(distances) > 0.5, "far too wide"


def test_the_later_the_surer() -> None:
    stds = [
        np.mean(
            [
                _forecast(running, finished, share).std
                for seed in range(1, 6)
                for *finished, running in [_population(25, noise=1.0, seed=seed)]
            ]
        )
        for share in (0.1, 0.4, 0.9)
    ]
    assert stds == sorted(stds, reverse=True)


def test_few_runs_make_wide_forecasts() -> None:
    few, many = (_forecast(_curves(999, 50.0), _population(n, noise=1.0), 0.5) for n in (3, 40))
    assert few.std > 1.3 * many.std


@pytest.mark.parametrize(("count", "share_of_error"), [(4, 0.7), (12, 0.5), (60, 0.25)])
def test_where_all_came_to_the_same_a_part_of_the_standard_error_stays(
    count: int, share_of_error: float
) -> None:
    """Runs that answer nothing all score the same; that does not make the next one certain."""
    finished = [_curves(i, 34.6, error=1.6) for i in range(count)]
    said = _forecast(_curves(99, 34.6), finished, 0.5)
    assert said.mean == pytest.approx(34.6, abs=0.1)
    assert 1.6 * share_of_error < said.std < 2 * 1.6 * share_of_error


def test_without_spread_and_errors_a_forecast_is_still_one() -> None:
    said = _forecast(_curves(99, 5.0), [_curves(i, 5.0) for i in range(5)], 0.5)
    assert said.mean == pytest.approx(5.0, abs=0.1)
    assert 0 < said.std < math.inf


def test_a_metric_without_curve_is_told_from_known_metrics_and_parameters() -> None:
    rng = np.random.default_rng(0)

    def made(number: int) -> Curves:
        size, batch = 10 ** rng.uniform(6, 8), int(rng.integers(1, 9))
        latency = {"latency": 3 * math.log10(size) + batch}
        return _curves(number, 50.0, size=size, parameters={"batch": batch}, values=latency)

    finished, running = [made(i) for i in range(40)], made(99)
    said = _forecast(running, finished, 0.5, LATENCY)
    assert said.mean == pytest.approx(running.run.values["latency"], abs=1.0)
    assert said.std < 1.5


def test_parameters_tell_what_the_start_of_a_curve_does_not() -> None:
    """All begin alike; those of one kind end 20 points higher. The rate is inactive at times."""

    def made(number: int, kind: str) -> Curves:
        final = (60.0 if kind == "good" else 40.0) + number % 3
        parameters: dict[str, Value] = {"kind": kind, "flag": number % 2 == 0}
        if number % 4:
            parameters["rate"] = 10.0 ** (-number % 5)
        curves = _curves(number, final, parameters=parameters)
        flat = np.array([0.1, 0.2]), np.array([1.0, 1.0])
        return dataclasses.replace(curves, points={"score": flat})

    finished = [made(i, "good" if i % 5 < 2 else "bad") for i in range(30)]
    for kind, expected in (("good", 61.0), ("bad", 41.0)):
        said = _forecast(made(99, kind), finished, 0.2)
        assert said.mean == pytest.approx(expected, abs=3.0)


def test_units_do_not_matter() -> None:
    """In thousandths and counted from elsewhere, a forecast is the same."""

    def moved(curves: Curves) -> Curves:
        shares, values = curves.points["score"]
        final = 0.001 * curves.run.values["score"] - 7
        return Curves(
            dataclasses.replace(curves.run, values={**curves.run.values, "score": final}),
            {"score": (shares, 0.001 * values - 7)},
        )

    *finished, running = _population(15, noise=2.0)
    said = _forecast(running, finished, 0.4)
    again = _forecast(moved(running), [moved(each) for each in finished], 0.4)
    assert again.mean == pytest.approx(0.001 * said.mean - 7, rel=1e-6)
    assert again.std == pytest.approx(0.001 * said.std, rel=1e-6)
