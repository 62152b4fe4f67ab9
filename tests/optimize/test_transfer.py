import dataclasses
import math

import numpy as np
import pytest

from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.transfer import experience
from limbeck.runs import Run, RunState
from limbeck.space import Float, SearchSpace
from tests.optimize.problems import finished

SPACE = SearchSpace((Float(name="x", low=0.0, high=1.0),))
SCORE = Metric(name="score", goal=Goal.MAXIMIZE)
LOSS = Metric(name="loss", goal=Goal.MINIMIZE)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
HEAT = Metric(name="heat", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.5)


def _line(count: int = 9, **more: float) -> list[Run]:
    """Runs whose score, on the scale of another study, rises with the size."""
    return [
        finished(number, {"x": x}, {"score": 1000 + 5 * x, "size": 1 + x, **more})
        for number, x in enumerate(np.linspace(0, 1, count).tolist())
    ]


def _best(runs: list[Run], *metrics: Metric) -> list[float]:
    found = experience(runs, space=SPACE, metrics=metrics, seed=0)
    return [float(parameters["x"]) for parameters in found.best]


def test_each_unknown_metric_that_was_known_well_enough_is_learned() -> None:
    """Larger is better; a known metric needs no surrogate, one run alone teaches nothing."""
    runs = _line(loss=3.0)
    runs[0] = dataclasses.replace(runs[0], values={**runs[0].values, "heat": 1.0})
    found = experience(runs, space=SPACE, metrics=(SCORE, SIZE, LOSS, HEAT), seed=0)
    assert sorted(found.surrogates) == ["loss", "score"]
    mean, _ = found.surrogates["score"].posterior(np.array([[0.3], [0.8]]))
    np.testing.assert_allclose(mean, [1001.5, 1004.0], atol=0.3)
    mean, _ = found.surrogates["loss"].posterior(np.array([[0.3]]))
    np.testing.assert_allclose(mean, [-3.0], atol=0.01)


def test_no_threshold_of_now_applies_to_values_of_then() -> None:
    """All would be beyond it, and squeezed: the line would be bent to a logarithm."""
    bounded = dataclasses.replace(SCORE, threshold=1e6)
    alike = [
        experience(_line(), space=SPACE, metrics=(metric, SIZE), seed=0)
        for metric in (SCORE, bounded)
    ]
    at = np.array([[0.1], [0.6]])
    np.testing.assert_array_equal(
        alike[0].surrogates["score"].posterior(at), alike[1].surrogates["score"].posterior(at)
    )
    assert alike[1].best == alike[0].best


def test_runs_that_are_not_of_the_space_are_left_out() -> None:
    """Another parameter, none, or out of range; they would be best."""
    strange = [
        finished(20 + i, parameters, {"score": 2000.0, "size": 0.1})
        for i, parameters in enumerate(({"y": 0.5}, {}, {"x": 1.5}, {"x": 0.5, "y": 0.5}))
    ]
    metrics = (SCORE, SIZE)
    found = experience([*strange, *_line()], space=SPACE, metrics=metrics, seed=0)
    alone = experience(_line(), space=SPACE, metrics=metrics, seed=0)
    at = np.array([[0.1], [0.6]])
    np.testing.assert_array_equal(
        found.surrogates["score"].posterior(at), alone.surrogates["score"].posterior(at)
    )
    assert found.best == alone.best
    nothing = experience(strange, space=SPACE, metrics=metrics, seed=0)
    assert (dict(nothing.surrogates), list(nothing.best)) == ({}, [])


def test_the_best_come_in_the_order_of_the_hypervolume_they_add() -> None:
    """Scaled to their ranges and measured from a tenth below the worst.

    The first of them spans 0.7 * 0.7. The second alone would span nearly as much, but adds only
    0.02 * 0.66 to it; the third adds 0.2 * 0.4, the fourth 0.4 * 0.1.
    """
    outcomes = [(0.6, 0.6), (0.62, 0.56), (0.1, 1.0), (1.0, 0.0), (0.5, 0.5), (0.0, 0.0)]
    runs = [
        finished(i, {"x": i / 10}, {"score": 7 + 100 * score, "size": 50 - 3 * good})
        for i, (score, good) in enumerate(outcomes)
    ]
    assert _best(runs, SCORE, SIZE) == [0.0, 0.2, 0.3, 0.1]


def test_the_best_of_one_metric_is_one_and_among_equals_the_first() -> None:
    assert _best(_line(), SCORE) == [1.0]
    equal = [finished(i, {"x": i / 10}, {"score": 5.0}) for i in range(3)]
    assert _best(equal, SCORE)[0] == 0.0
    assert _best(_line(), SCORE, SIZE)[0] == 0.5


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.FINISHED])
def test_the_best_are_finished(state: RunState) -> None:
    other = Run(number=9, parameters={"x": 0.77}, state=state, values={"score": 9e3, "size": 0.1})
    assert 0.77 not in _best([*_line(), other], SCORE, SIZE)


@pytest.mark.parametrize("values", [{"score": 9e3}, {"score": math.nan, "size": 0.1}], ids=str)
def test_the_best_have_all_values(values: dict[str, float]) -> None:
    other = finished(9, {"x": 0.77}, values)
    assert 0.77 not in _best([*_line(), other], SCORE, SIZE)


def test_without_an_earlier_study_there_is_no_experience() -> None:
    found = experience([], space=SPACE, metrics=(SCORE, SIZE), seed=0)
    assert (dict(found.surrogates), list(found.best)) == ({}, [])
