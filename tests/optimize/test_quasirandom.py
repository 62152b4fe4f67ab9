import dataclasses
import itertools

import numpy as np
from scipy.stats import qmc, truncnorm

from limbeck.metrics import Goal, Metric
from limbeck.optimize.quasirandom import QuasirandomSampler, allowed_points
from limbeck.space import Choice, Constraint, Float, Integer, Prior, SearchSpace
from tests.optimize.problems import (
    METRICS,
    MIXED,
    SMALL,
    mixed_size,
    search,
    small_allowed,
    small_size,
)

X, Y = Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)
SQUARE = SearchSpace((X, Y))
ONLY_UNKNOWN = (Metric(name="accuracy", goal=Goal.MAXIMIZE),)


def test_points_are_spread_more_evenly_than_by_chance() -> None:
    """Each of 64 strips of equal width holds one of the 64 points: a property of Sobol's."""
    stream = allowed_points(SQUARE, ONLY_UNKNOWN, known=lambda _: {}, seed=4)
    points = [[point["x"], point["y"]] for point in itertools.islice(stream, 64)]
    strips = np.floor(64 * np.array(points, dtype=float)).astype(int)
    assert sorted(strips[:, 0]) == list(range(64))
    assert sorted(strips[:, 1]) == list(range(64))


def test_without_priors_the_points_are_those_of_the_sequence() -> None:
    stream = allowed_points(MIXED, ONLY_UNKNOWN, known=lambda _: {}, seed=4)
    sequence = qmc.Sobol(MIXED.dimension, scramble=True, rng=np.random.default_rng(4)).random(64)
    expected = [MIXED.decode(unit) for unit in sequence]
    assert list(itertools.islice(stream, 64)) == expected


def test_points_are_as_frequent_as_a_prior_says() -> None:
    """Each 64th of the prior's distribution holds one of 64 points; the other parameter stays."""
    believed = SearchSpace((dataclasses.replace(X, prior=Prior(near=0.8, spread=0.1)), Y))
    stream = allowed_points(believed, ONLY_UNKNOWN, known=lambda _: {}, seed=4)
    even = allowed_points(SQUARE, ONLY_UNKNOWN, known=lambda _: {}, seed=4)
    points = list(itertools.islice(stream, 64))
    shares = truncnorm(-8, 2, loc=0.8, scale=0.1).cdf([point["x"] for point in points])
    assert sorted(np.floor(64 * shares).astype(int)) == list(range(64))
    assert [point["y"] for point in points] == [p["y"] for p in itertools.islice(even, 64)]


def test_a_narrow_prior_hides_nothing_of_a_small_space() -> None:
    depth = SMALL.parameters[0]
    assert isinstance(depth, Integer)
    believed = dataclasses.replace(depth, prior=Prior(near=2, spread=1e-3))
    space = dataclasses.replace(SMALL, parameters=(believed, *SMALL.parameters[1:]))
    found = list(allowed_points(space, METRICS, known=small_size, seed=0))
    assert [point["depth"] for point in found[:6]] == [2] * 6
    assert sorted(map(str, found)) == sorted(map(str, small_allowed()))


def test_a_narrow_prior_ends_no_search_in_a_large_space() -> None:
    """Every point that follows it is the same one; after that the rest of the space is left."""
    line = Integer(name="line", low=1, high=100_000, prior=Prior(near=7, spread=1e-9))
    stream = allowed_points(SearchSpace((line,)), ONLY_UNKNOWN, known=lambda _: {}, seed=0)
    points = [int(point["line"]) for point in itertools.islice(stream, 65)]
    assert points[0] == 7
    assert sorted(np.floor(64 * (np.array(points[1:]) - 0.5) / 100_000)) == list(range(64))


def test_every_value_of_every_type_is_enumerated() -> None:
    """All but one point is forbidden, so that the sequence alone would rarely find it."""
    wanted = {"a": 0.3, "b": 7, "c": "z", "d": 0.25, "e": 1000.0}
    space = SearchSpace(
        (
            Float(name="a", low=0.0, high=0.7, step=0.1),
            Integer(name="b", low=1, high=16, step=3),
            Choice(name="c", choices=("x", "y", "z"), ordered=True),
            Float(name="d", low=0.25, high=0.25),
            Float(name="e", low=1.0, high=1000.0, log=True, step=111.0),
        ),
        (
            Constraint(
                name="the one",
                holds=lambda p: abs(float(p["a"]) - 0.3) < 1e-9 and {**p, "a": 0.3} == wanted,
            ),
        ),
    )
    found = list(allowed_points(space, ONLY_UNKNOWN, known=lambda _: {}, seed=0))
    assert [{**point, "a": 0.3} for point in found] == [wanted]


def test_the_gap_of_a_missing_run_is_filled_first() -> None:
    sampler = QuasirandomSampler(MIXED, METRICS, known=mixed_size, baseline=None, seed=3)
    runs = search(sampler, mixed_size, 6)
    resumed = QuasirandomSampler(MIXED, METRICS, known=mixed_size, baseline=None, seed=3)
    assert resumed.suggest([run for run in runs if run.number != 2]) == runs[2].parameters


def test_values_do_not_matter() -> None:
    sampler = QuasirandomSampler(MIXED, METRICS, known=mixed_size, baseline=None, seed=3)
    runs = search(sampler, mixed_size, 6)
    blank = [dataclasses.replace(run, values={}) for run in runs]
    assert sampler.suggest(blank) == sampler.suggest(runs)


def test_an_endless_space_without_allowed_points_is_given_up() -> None:
    nothing = SearchSpace(
        (Float(name="x", low=0.0, high=1.0),), (Constraint(name="no", holds=lambda _: False),)
    )
    assert list(allowed_points(nothing, ONLY_UNKNOWN, known=lambda _: {}, seed=0)) == []
