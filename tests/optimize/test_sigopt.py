import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from limbeck.errors import ConfigError
from limbeck.frontier import hypervolume
from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.optimize.sampler import Sampler
from limbeck.optimize.sigopt import SigOptSampler
from limbeck.optimize.sigopt_schedule import Aim, Phase, epsilon_value, find_aim, find_phase
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float, Integer, Parameters, SearchSpace
from tests.optimize.problems import METRICS, MIXED, SMALL, finished, mixed_size, search

LINE = SearchSpace((Float(name="x", low=0.0, high=1.0),))
RISING = Metric(name="rising", goal=Goal.MAXIMIZE)
FALLING = Metric(name="falling", goal=Goal.MINIMIZE)
"""To be minimized, least at x = 0, where `RISING` is worst: every x is on the frontier."""


def _measured(x: float) -> dict[str, float]:
    return {"rising": 100 * x, "falling": 7 * x**2}


def _line(xs: Sequence[float], *, first: int = 0) -> list[Run]:
    return [finished(first + i, {"x": x}, _measured(x)) for i, x in enumerate(xs)]


def _sampler(*metrics: Metric, budget: int, seed: int = 0) -> SigOptSampler:
    return SigOptSampler(
        LINE,
        metrics or (RISING, FALLING),
        known=lambda _: {},
        baseline=None,
        seed=seed,
        budget=budget,
    )


def _next(sampler: SigOptSampler, runs: Sequence[Run]) -> float:
    return float(sampler.suggest(runs)["x"])


@pytest.mark.parametrize(
    ("observed", "phase", "done"),
    [
        (0, Phase.INITIALISATION, 0.0),
        (10, Phase.INITIALISATION, 2 / 3),
        (15, Phase.INITIALISATION, 1.0),
        (16, Phase.ONE_METRIC, 1 / 15),
        (30, Phase.ONE_METRIC, 1.0),
        (31, Phase.SPREAD, 1 / 15),
        (45, Phase.SPREAD, 1.0),
        (46, Phase.SEQUENTIAL, 0.1),
        (55, Phase.SEQUENTIAL, 1.0),
        (56, Phase.POLISH, 0.1),
        (65, Phase.POLISH, 1.0),
        (66, Phase.EPSILON, 1 / 30),
        (95, Phase.EPSILON, 1.0),
        (96, Phase.COMPLETION, 1.0),
        (120, Phase.COMPLETION, 1.0),
    ],
)
def test_phases_of_a_hundred_runs(observed: int, phase: Phase, done: float) -> None:
    found = find_phase(observed=observed, pending=0, failures=0, budget=100, has_threshold=False)
    assert found[0] is phase
    assert found[1] == pytest.approx(done)


@pytest.mark.parametrize(
    ("observed", "phase", "done"),
    [(55, Phase.SEQUENTIAL, 1.0), (56, Phase.EPSILON, 1 / 40), (95, Phase.EPSILON, 1.0)],
)
def test_nothing_is_polished_with_thresholds(observed: int, phase: Phase, done: float) -> None:
    found = find_phase(observed=observed, pending=0, failures=0, budget=100, has_threshold=True)
    assert found[0] is phase
    assert found[1] == pytest.approx(done)


@pytest.mark.parametrize(
    ("observed", "pending", "failures", "budget", "phase"),
    [
        (20, 20, 0, 100, Phase.SPREAD),  # Pending runs are served.
        (10, 30, 0, 100, Phase.INITIALISATION),  # But a tenth must be observed.
        (11, 30, 0, 100, Phase.SPREAD),
        (40, 0, 20, 100, Phase.SEQUENTIAL),  # 40 of 80: failures are gone from the budget.
        (10, 3, 10, 5, Phase.COMPLETION),  # 13 of 3.
        (0, 0, 0, 0, Phase.INITIALISATION),
    ],
)
def test_pending_runs_and_failures_move_the_schedule(
    observed: int, pending: int, failures: int, budget: int, phase: Phase
) -> None:
    found, _ = find_phase(
        observed=observed, pending=pending, failures=failures, budget=budget, has_threshold=False
    )
    assert found is phase


def _aim(phase: Phase, done: float, observed: int = 0, seed: int = 0) -> Aim:
    return find_aim(phase, done, observed=observed, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("phase", [Phase.ONE_METRIC, Phase.POLISH, Phase.EPSILON])
def test_metrics_take_turns(phase: Phase) -> None:
    turns = [_aim(phase, 0.5, observed).weights for observed in (6, 7, 8)]
    assert turns == [(1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]


@pytest.mark.parametrize("phase", [Phase.INITIALISATION, Phase.COMPLETION])
def test_either_metric_comes_by_chance_first_and_last(phase: Phase) -> None:
    assert {_aim(phase, 1.0, seed=seed).weights for seed in range(20)} == {(1.0, 0.0), (0.0, 1.0)}


@pytest.mark.parametrize(
    ("phase", "done", "weight"),
    [
        # 0.1 + 0.8 h for h = 1/2, 1/4, 3/4 and 1/8 of the van der Corput sequence.
        (Phase.SPREAD, 0.0, 0.5),
        (Phase.SPREAD, 0.011, 0.3),
        (Phase.SPREAD, 0.021, 0.7),
        (Phase.SPREAD, 0.031, 0.2),
        (Phase.SEQUENTIAL, 0.0, 0.1),
        (Phase.SEQUENTIAL, 0.25, 0.3),
        (Phase.SEQUENTIAL, 1.0, 0.9),
    ],
)
def test_weights(phase: Phase, done: float, weight: float) -> None:
    aim = _aim(phase, done)
    assert aim.weights == pytest.approx((weight, 1 - weight))
    assert aim.epsilon is None


def test_spread_weights_keep_their_distance_from_the_ends() -> None:
    weights = sorted(_aim(Phase.SPREAD, step / 100 + 1e-9).weights[0] for step in range(101))
    assert len(set(weights)) == 101
    assert 0.1 < weights[0] < 0.11
    assert 0.88 < weights[-1] < 0.9


@pytest.mark.parametrize(("done", "epsilon"), [(0.0, 0.1), (0.5, 0.5), (1.0, 0.9)])
def test_epsilon_is_swept(done: float, epsilon: float) -> None:
    assert _aim(Phase.EPSILON, done).epsilon == pytest.approx(epsilon)


def test_epsilon_is_random_at_the_end() -> None:
    values = [_aim(Phase.COMPLETION, 1.0, seed=seed).epsilon for seed in range(30)]
    numbers = [value for value in values if value is not None]
    assert len(numbers) == 30
    assert 0.1 <= min(numbers) < 0.2
    assert 0.8 < max(numbers) < 0.9
    assert len(set(numbers)) > 20


FRONT = np.array([[0.0, 8.0], [2.0, 6.0], [4.0, 4.0], [6.0, 2.0], [8.0, 0.0], [1.0, 1.0]])
"""Five runs on the frontier and one that is not."""


@pytest.mark.parametrize(
    ("thresholds", "constrained", "epsilon", "expected"),
    [
        ((None, None), 0, 0.25, 6.0),  # From 8 to 0.
        ((None, None), 1, 0.25, 6.0),
        ((3.0, None), 0, 0.25, 6.5),  # From 8 to 2, the last of the runs beyond.
        ((3.0, None), 1, 0.25, 4.5),  # From 6, which the run with 2 has, to 0.
        ((3.0, 1.0), 0, 0.25, 6.5),  # From 8, which the run with 0 has, to 2.
        ((3.0, 3.0), 0, 0.25, 5.0),  # From 6 to 2.
        ((5.0, 5.0), 0, 0.25, 6.0),  # Nothing within both: as without thresholds.
        ((-1.0, -1.0), 1, 0.25, 6.0),  # Nothing beyond.
    ],
)
def test_epsilon_value(
    thresholds: tuple[float | None, float | None],
    constrained: int,
    epsilon: float,
    expected: float,
) -> None:
    value = epsilon_value(FRONT, thresholds, constrained=constrained, epsilon=epsilon)
    assert value == pytest.approx(expected)


def test_epsilon_of_a_single_run() -> None:
    value = epsilon_value(FRONT[:1], (None, None), constrained=1, epsilon=0.3)
    assert value == pytest.approx(8.0)


@pytest.mark.parametrize(("observed", "low", "high"), [(8, 0.8, 1.0), (9, 0.0, 0.2)])
def test_one_metric_at_a_time(observed: int, low: float, high: float) -> None:
    """After an even number of runs the first metric is to grow, after an odd one the second."""
    runs = _line(np.linspace(0.25, 0.75, observed).tolist())
    assert low <= _next(_sampler(budget=40), runs) <= high


def test_weights_move_along_the_frontier() -> None:
    """The sum of 100 wx and -7 (1 - w) x^2, scaled to their ranges, is best at x = w / 2(1 - w)."""
    xs = [0.0, 1.0, 0.1, 0.9, 0.3, 0.7, 0.8, 0.2, 0.95, 0.05, 0.65, 0.35]
    for weight in (0.3, 0.42):
        done = (weight - 0.1) / 0.8
        budget = round(len(xs) / (0.45 + 0.1 * done))
        phase, at = find_phase(
            observed=len(xs), pending=0, failures=0, budget=budget, has_threshold=False
        )
        chosen = _aim(phase, at).weights[0]
        assert phase is Phase.SEQUENTIAL
        assert _next(_sampler(budget=budget), _line(xs)) == pytest.approx(
            chosen / (2 * (1 - chosen)), abs=0.05
        )


XS = [0.0, 1.0, 0.1, 0.9, 0.3, 0.6, 0.8, 0.2, 0.95, 0.05, 0.65, 0.35]


@pytest.mark.parametrize(("observed", "expected"), [(12, math.sqrt(0.5)), (11, 0.5)])
def test_one_metric_grows_with_the_other_held(observed: int, expected: float) -> None:
    """Half-way through the phase epsilon is half of the other's range: x^2 < 1/2, or x > 1/2."""
    runs = _line(XS[:observed])
    assert _next(_sampler(budget=round(observed / 0.8)), runs) == pytest.approx(expected, abs=0.08)


def test_failed_runs_are_gone_from_the_budget() -> None:
    """With 12 of 15 runs epsilon is half of the range; with 12 of 20 it were 0.1 of it."""
    failed = [Run(number=20 + i, parameters={"x": 0.5}, state=RunState.FAILED) for i in range(5)]
    runs = [*_line(XS), *failed]
    assert _next(_sampler(budget=20), runs) == pytest.approx(math.sqrt(0.5), abs=0.08)


@pytest.mark.parametrize("state", [RunState.INFEASIBLE, RunState.FINISHED])
def test_what_has_no_value_counts_as_the_worst(state: RunState) -> None:
    runs = _line([0.05, 0.2, 0.35, 0.5, 0.6, 0.7])
    there = _next(_sampler(budget=24), runs)
    without = [
        Run(number=6 + i, parameters={"x": x}, state=state, values={"rising": math.nan})
        for i, x in enumerate((0.8, 0.86, 0.92, 0.98))
    ]
    # Ten of 38 - 4 runs: the first metric's turn, as with six of 24.
    assert there > 0.8
    assert _next(_sampler(budget=38), [*runs, *without]) < 0.78


def test_pending_runs_are_kept_away_from() -> None:
    runs = [
        finished(i, {"x": x}, {"rising": math.sin(6 * x), "falling": math.cos(5 * x)})
        for i, x in enumerate((0.05, 0.275, 0.5, 0.725, 0.95))
    ]
    sampler = _sampler(budget=60)
    first = _next(sampler, runs)
    runs.append(Run(number=5, parameters={"x": first}, state=RunState.RUNNING))
    assert abs(_next(sampler, runs) - first) > 0.1


def test_unknown_constraint_metrics_hold() -> None:
    heat = Metric(name="heat", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.5)
    runs = [
        dataclasses.replace(run, values={**run.values, "heat": run.values["rising"] / 100})
        for run in _line([0.05, 0.2, 0.35, 0.45, 0.6, 0.7])
    ]
    assert 0.4 < _next(_sampler(RISING, FALLING, heat, budget=24), runs) <= 0.52


def test_known_metrics_are_modelled_like_any_other() -> None:
    """Their values of runs alone are looked at, not what the function would say elsewhere."""
    runs = _line(XS)
    known = (RISING, dataclasses.replace(FALLING, known=True))
    lying = SigOptSampler(
        LINE, known, known=lambda _: {"falling": 1e9}, baseline=None, seed=0, budget=22
    )
    assert lying.suggest(runs) == _sampler(budget=22).suggest(runs)


@pytest.mark.parametrize("metrics", [(RISING,), (RISING, FALLING, METRICS[0])])
def test_needs_two_optimized_metrics(metrics: tuple[Metric, ...]) -> None:
    with pytest.raises(ConfigError, match=r"needs two optimized metrics, but got \['rising'"):
        _sampler(*metrics, budget=10)


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (LINE, 4),
        (SMALL, 5),  # (3 + 2) x 1
        (MIXED, 8),  # 2 x 4
        (SearchSpace((Choice(name="loss", choices=tuple(range(30)), ordered=True),)), 4),
        (
            SearchSpace(
                (
                    Choice(name="seed", choices=tuple(range(60))),
                    *(Integer(name=name, low=0, high=999) for name in ("a", "b")),
                )
            ),
            100,
        ),
    ],
)
def test_begins_with_the_quasirandom_sequence(space: SearchSpace, count: int) -> None:
    metrics = (Metric(name="a", goal=Goal.MINIMIZE), Metric(name="b", goal=Goal.MINIMIZE))
    sampler = SigOptSampler(space, metrics, known=lambda _: {}, baseline=None, seed=3, budget=200)
    evenly = QuasirandomSampler(space, metrics, known=lambda _: {}, baseline=None, seed=3)
    runs: list[Run] = []
    while (parameters := evenly.suggest(runs)) == sampler.suggest(runs):
        number = len(runs)
        runs.append(finished(number, parameters, {"a": float(number % 7), "b": float(number % 5)}))
    assert len(runs) == count


def test_covers_more_than_the_quasirandom_sequence() -> None:
    """24 runs each, eight of them the same; for two seeds together."""
    metrics = (METRICS[0], dataclasses.replace(METRICS[1], threshold=None))
    start: Parameters = {"depth": 6, "width": 384, "rate": 1e-4, "loss": "mse", "dropout": 0.1}

    def volume(sampler: Sampler) -> float:
        runs = search(sampler, mixed_size, 24)
        return hypervolume(runs, metrics, {"accuracy": 50.0, "size": 900.0})

    by_schedule = evenly = 0.0
    for seed in range(2):
        by_schedule += volume(
            SigOptSampler(MIXED, metrics, known=mixed_size, baseline=start, seed=seed, budget=24)
        )
        evenly += volume(
            QuasirandomSampler(MIXED, metrics, known=mixed_size, baseline=start, seed=seed)
        )
    assert by_schedule > evenly
