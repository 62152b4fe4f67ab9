import dataclasses
import itertools

import numpy as np

from limbeck.metrics import Goal, Metric
from limbeck.optimize.quasirandom import QuasirandomSampler, allowed_points
from limbeck.space import Choice, Constraint, Float, Integer, SearchSpace
from tests.optimize.problems import METRICS, MIXED, mixed_size, search

SQUARE = SearchSpace((Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)))
ONLY_UNKNOWN = (Metric(name="accuracy", goal=Goal.MAXIMIZE),)


def test_points_are_spread_more_evenly_than_by_chance() -> None:
    """Each of 64 strips of equal width holds one of the 64 points: a property of Sobol's."""
    stream = allowed_points(SQUARE, ONLY_UNKNOWN, known=lambda _: {}, seed=4)
    points = [[point["x"], point["y"]] for point in itertools.islice(stream, 64)]
    strips = np.floor(64 * np.array(points, dtype=float)).astype(int)
    assert sorted(strips[:, 0]) == list(range(64))
    assert sorted(strips[:, 1]) == list(range(64))


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
