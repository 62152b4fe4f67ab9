import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from limbeck.config import StoppingSettings
from limbeck.metrics import Goal, Metric, Role, is_usable, optimized
from limbeck.optimize.stopping import StopRule, Verdict, chance_of_mattering, is_spared
from limbeck.runs import CurvePoint, Forecast, Run, RunState

SCORE = Metric(name="score", goal=Goal.MAXIMIZE, threshold=30.0)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
LATENCY = Metric(name="latency", goal=Goal.MINIMIZE)
MEMORY = Metric(name="memory", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=9.0)
BOTH = (SCORE, SIZE)


def _run(number: int, state: RunState = RunState.FINISHED, **values: float) -> Run:
    return Run(number=number, parameters={}, state=state, values=values, total_steps=100)


def _running(size: float, number: int = 50) -> Run:
    return _run(number, RunState.RUNNING, size=size)


FRONTIER = [_run(1, score=40.0, size=2e6), _run(2, score=50.0, size=4e6)]


@pytest.mark.parametrize(
    ("size", "needed"), [(1e6, 30.0), (2e6, 40.0), (3e6, 40.0), (4e6, 50.0), (9e6, 50.0)]
)
def test_a_run_must_beat_the_best_that_is_no_larger(size: float, needed: float) -> None:
    """Or the threshold, as long as nothing is as small."""
    said = {"score": Forecast(mean=38.0, std=5.0)}
    chance = chance_of_mattering(said, _running(size), FRONTIER, BOTH)
    assert chance == pytest.approx(norm.sf((needed - 38) / 5))


def test_only_finished_runs_within_the_thresholds_are_rivals() -> None:
    others = [
        _run(3, RunState.STOPPED, score=90.0, size=1.0),
        _run(4, RunState.RUNNING, score=90.0, size=1.0),
        _run(5, score=29.0, size=1.0),
        _run(6, score=math.nan, size=1.0),
        _run(50, score=90.0, size=1.0),
    ]
    said = {"score": Forecast(mean=30.0, std=1.0)}
    assert chance_of_mattering(said, _running(1e6), others, BOTH) == pytest.approx(0.5)


def test_a_known_metric_beyond_its_threshold_leaves_no_chance() -> None:
    bounded = (SCORE, dataclasses.replace(SIZE, threshold=1e6))
    said = {"score": Forecast(mean=90.0, std=1.0)}
    assert chance_of_mattering(said, _running(1e6), [], bounded) == pytest.approx(1.0)
    assert chance_of_mattering(said, _running(1.1e6), [], bounded) == 0.0


def test_a_constraint_that_is_likely_broken_takes_its_share() -> None:
    said = {"score": Forecast(mean=30.0, std=1.0), "memory": Forecast(mean=8.0, std=1.0)}
    chance = chance_of_mattering(said, _running(1e6), [], (*BOTH, MEMORY))
    assert chance == pytest.approx(0.5 * norm.cdf(1.0))


def test_what_is_not_forecast_may_become_anything() -> None:
    rivals = [_run(1, score=40.0, latency=5.0)]
    metrics = (SCORE, LATENCY)
    said = {"score": Forecast(mean=30.0, std=1.0)}
    run = _run(9, RunState.RUNNING)
    assert chance_of_mattering(said, run, rivals, metrics) == pytest.approx(0.5)
    assert chance_of_mattering({}, run, rivals, metrics) == 1.0


def test_where_all_that_is_optimized_is_known_a_rival_leaves_no_chance() -> None:
    run, said = _running(3e6), {"memory": Forecast(mean=9.0, std=1.0)}
    assert chance_of_mattering(said, run, [], (SIZE, MEMORY)) == pytest.approx(0.5)
    rival = _run(1, size=2e6, memory=1.0)
    assert chance_of_mattering(said, run, [rival], (SIZE, MEMORY)) == 0.0


_numbers = st.floats(-3.0, 3.0)


@given(
    means=st.lists(_numbers, min_size=3, max_size=3),
    rivals=st.lists(st.tuples(_numbers, _numbers, _numbers, _numbers), max_size=6),
    goals=st.lists(st.sampled_from(Goal), min_size=4, max_size=4),
    bounded=st.booleans(),
)
def test_of_several_unknown_metrics_it_is_what_drawing_finds(
    means: list[float],
    rivals: list[tuple[float, float, float, float]],
    goals: list[Goal],
    bounded: bool,
) -> None:
    """Three unknown metrics and a known one, either way, against 20,000 draws."""
    names = ("a", "b", "c", "known")
    metrics = tuple(
        Metric(
            name=name,
            goal=goal,
            known=name == "known",
            threshold=0.5 if bounded and name == "a" else None,
        )
        for name, goal in zip(names, goals, strict=True)
    )
    finished = [
        dataclasses.replace(_run(number), values=dict(zip(names, values, strict=True)))
        for number, values in enumerate(rivals)
    ]
    said = {
        name: Forecast(mean=mean, std=1.0 + i)
        for i, (name, mean) in enumerate(zip(names, means, strict=False))
    }
    run = _run(50, RunState.RUNNING, known=0.0)
    chance = chance_of_mattering(said, run, finished, metrics)
    assert chance == pytest.approx(_drawn(said, finished, metrics), abs=0.02)


def _drawn(
    said: dict[str, Forecast], finished: Sequence[Run], metrics: tuple[Metric, ...]
) -> float:
    """The share of draws that no usable run dominates, by its definition."""
    rng = np.random.default_rng(0)
    draws = {name: rng.normal(each.mean, each.std, 20_000) for name, each in said.items()}
    sign = {metric.name: metric.larger_is_better(1.0) for metric in metrics}
    kept = np.ones(20_000, dtype=bool)
    for metric in metrics:
        if metric.threshold is not None:
            kept &= sign[metric.name] * (draws[metric.name] - metric.threshold) >= 0
    for rival in finished:
        if is_usable(metrics, rival.values) and sign["known"] * rival.values["known"] >= 0:
            kept &= ~np.logical_and.reduce(
                [sign[name] * (rival.values[name] - drawn) >= 0 for name, drawn in draws.items()]
            )
    assert optimized(metrics) == metrics
    return float(kept.mean())


def test_the_baseline_is_always_spared_and_others_by_their_share() -> None:
    assert is_spared(0, share=0.0, seed=0)
    assert not any(is_spared(number, share=0.0, seed=0) for number in range(1, 1000))
    assert all(is_spared(number, share=1.0, seed=0) for number in range(1000))
    spared = {number for number in range(1, 10_001) if is_spared(number, share=0.05, seed=1)}
    assert 400 < len(spared) < 600
    assert spared != {
        number for number in range(1, 10_001) if is_spared(number, share=0.05, seed=2)
    }


def _curve(final: float, until: int, *, metric: str = "score") -> list[CurvePoint]:
    return [
        CurvePoint(step=step, metric=metric, value=final * (step / 100) ** 0.3, seconds=0.0)
        for step in range(10, until + 1, 10)
    ]


def _search(count: int = 20) -> tuple[list[Run], dict[int, Sequence[CurvePoint]]]:
    """Finished runs of all sizes, one of 60 among them and no larger than any."""
    finals = {number: 35.0 + 20 * math.sin(number) for number in range(count)}
    finals[3] = 60.0
    runs = [
        _run(number, score=final, size=1e6 if number == 3 else 2e6 + number)
        for number, final in finals.items()
    ]
    return runs, {number: _curve(final, 90) for number, final in finals.items()}


EARLY = {"chance": 0.02, "after": 0.1, "spare": 0.0}


def _decide(
    final: float,
    *,
    until: int = 30,
    number: int = 50,
    size: float = 3e6,
    count: int = 20,
    extra: Sequence[CurvePoint] = (),
    metrics: tuple[Metric, ...] = BOTH,
    **settings: float,
) -> Verdict:
    runs, curves = _search(count)
    rule = StopRule(metrics, StoppingSettings.model_validate({**EARLY, **settings}), 0)
    run = _running(size, number)
    return rule.decide(run, [*_curve(final, until), *extra], [*runs, run], curves)


def test_a_run_far_below_the_frontier_is_stopped_and_says_why() -> None:
    verdict = _decide(35.0)
    assert verdict.stop
    assert 0 < verdict.chance < 0.02
    assert verdict.forecasts["score"].mean == pytest.approx(35.0, abs=2.0)
    assert verdict.message.startswith("chance of mattering 0.")
    assert " % < 2 %: score forecast 3" in verdict.message
    assert verdict.message.endswith(" at 3.0 M size (step 30 of 100)")
    assert ", needs 60." in verdict.message


def test_a_run_that_may_beat_it_goes_on() -> None:
    verdict = _decide(62.0)
    assert not verdict.stop
    assert verdict.chance > 0.3
    assert " % >= 2 %: " in verdict.message


def test_the_same_curve_goes_on_where_nothing_is_as_small() -> None:
    assert _decide(35.0, size=3e6).stop
    small = _decide(35.0, size=0.5e6)
    assert not small.stop
    assert small.chance > 0.5
    assert ", needs 30." in small.message


@pytest.mark.parametrize(
    "changes",
    [
        {"chance": 0.0},
        {"after": 0.4},
        {"runs": 21},
        {"until": 0},
        {"metrics": (dataclasses.replace(SCORE, threshold=70.0), SIZE)},
        {"metrics": (LATENCY, SIZE)},
    ],
)
def test_nothing_is_said_before_there_is_something_to_say(changes: dict[str, object]) -> None:
    assert _decide(35.0, **changes) == Verdict()  # type: ignore[arg-type]  # one of several


def test_nothing_is_said_of_a_run_that_does_not_know_its_steps() -> None:
    runs, curves = _search()
    rule = StopRule(BOTH, StoppingSettings(after=0.1), 0)
    run = dataclasses.replace(_running(3e6), total_steps=None)
    assert rule.decide(run, _curve(35.0, 30), runs, curves) == Verdict()


def test_runs_that_cannot_be_learned_from_do_not_count() -> None:
    runs, curves = _search(20)
    rule = StopRule(BOTH, StoppingSettings(after=0.1, runs=20), 0)
    decide = rule.decide(_running(3e6), _curve(35.0, 30), runs, curves)
    assert decide != Verdict()
    for changes in ({"total_steps": None}, {"state": RunState.STOPPED}, {"values": {"size": 1.0}}):
        spoiled = [*runs[:-1], dataclasses.replace(runs[-1], **changes)]
        assert rule.decide(_running(3e6), _curve(35.0, 30), spoiled, curves) == Verdict()
    late = {**curves, 19: [point for point in curves[19] if point.step > 30]}
    assert rule.decide(_running(3e6), _curve(35.0, 30), runs, late) == Verdict()


def test_warm_up_is_over_once_the_rate_no_longer_rises_with_the_steps() -> None:
    def rates(*values: float) -> list[CurvePoint]:
        return [
            CurvePoint(step=10 * i, metric="learning_rate", value=value, seconds=0.0)
            for i, value in enumerate(values, start=1)
        ]

    assert _decide(35.0, extra=rates(0.1, 0.2, 0.3)) == Verdict()
    assert _decide(35.0, extra=rates(0.1, 0.2, 0.25)).stop
    assert _decide(35.0, extra=rates(0.3, 0.3, 0.3)).stop


def test_spared_runs_and_the_baseline_are_judged_but_not_stopped() -> None:
    stopped, spared, baseline = _decide(35.0), _decide(35.0, spare=1.0), _decide(35.0, number=0)
    assert stopped.stop
    assert not spared.stop
    assert not baseline.stop
    assert spared.chance == stopped.chance
    assert "never stopped" in spared.message


def test_more_caution_stops_no_run_that_less_would_not() -> None:
    for final in np.linspace(20, 65, 10).tolist():
        stops = [_decide(final, chance=chance).stop for chance in (0.001, 0.02, 0.3)]
        assert stops == sorted(stops)


def test_few_runs_leave_room_for_a_surprise() -> None:
    """With 3 of them, one in 5 may do what none did, and matters as one of the frontier does."""
    assert _decide(1.0, count=4, runs=2).chance > 1 / 6 * 2 / 6 * 0.9


def test_of_two_unknown_metrics_one_may_have_no_curve() -> None:
    """Latency follows from the size: a slow run must score, a fast one need not."""
    runs, curves = _search(30)
    runs = [
        dataclasses.replace(
            run, values={**run.values, "size": 1e6 * (5 + run.number), "latency": 5.0 + run.number}
        )
        for run in runs
    ]
    metrics = (SCORE, LATENCY, dataclasses.replace(SIZE, role=Role.CONSTRAIN, threshold=1e9))
    rule = StopRule(metrics, StoppingSettings(after=0.1, spare=0.0), 0)
    slow, fast = (
        rule.decide(_running(size), _curve(35.0, 60), runs, curves) for size in (30e6, 1e6)
    )
    assert set(slow.forecasts) == {"score", "latency"}
    assert slow.stop
    assert fast.chance > 0.5
