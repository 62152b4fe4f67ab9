import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.metrics import Goal, Metric
from limbeck.optimize.lessons import (
    Lessons,
    cost_lessons,
    encode_all,
    is_barren,
    metric_lessons,
    success_lessons,
)
from limbeck.runs import Forecast, Run, RunState
from limbeck.space import Float, Integer, SearchSpace
from tests.optimize.problems import finished

SPACE = SearchSpace((Integer(name="place", low=0, high=100),))
ACCURACY = Metric(name="accuracy", goal=Goal.MAXIMIZE)
BOUNDED = dataclasses.replace(ACCURACY, threshold=50.0)
LOSS = Metric(name="loss", goal=Goal.MINIMIZE)
SPEED = Metric(name="speed", goal=Goal.MAXIMIZE)


def _runs(*states_and_values: tuple[RunState, float | None], name: str = "accuracy") -> list[Run]:
    """Runs whose only parameter is their number."""
    return [
        Run(
            number=number,
            parameters={"place": number},
            state=state,
            values={} if value is None else {name: value},
        )
        for number, (state, value) in enumerate(states_and_values)
    ]


def _finished(*values: float, name: str = "accuracy") -> list[Run]:
    return _runs(*[(RunState.FINISHED, value) for value in values], name=name)


def _by_number(lessons: Lessons | None) -> dict[int, float]:
    """What was learned, by the number of the run it was learned from."""
    if lessons is None:
        return {}
    return {
        round(100 * x): y for x, y in zip(lessons.X[:, 0].tolist(), lessons.y.tolist(), strict=True)
    }


def _taught(runs: list[Run], metric: Metric = ACCURACY) -> dict[int, float]:
    return _by_number(metric_lessons(runs, metric, SPACE))


def test_what_each_state_teaches_about_a_metric() -> None:
    runs = _runs(
        (RunState.FINISHED, 70.0),
        (RunState.FINISHED, 60.0),
        (RunState.STOPPED, 65.0),
        (RunState.STOPPED, None),
        (RunState.INFEASIBLE, None),
        (RunState.INFEASIBLE, 99.0),
        (RunState.FAILED, 99.0),
        (RunState.WAITING, None),
        (RunState.RUNNING, 99.0),
        (RunState.FINISHED, math.nan),
        (RunState.FINISHED, math.inf),
        (RunState.STOPPED, -math.inf),
    )
    assert _taught(runs, BOUNDED) == {0: 70.0, 1: 60.0, 2: 65.0}


@pytest.mark.parametrize("other", list(RunState))
def test_one_finished_run_teaches_nothing(other: RunState) -> None:
    value = math.nan if other is RunState.FINISHED else 60.0
    runs = _runs((RunState.FINISHED, 70.0), (other, value), (other, value))
    assert metric_lessons(runs, ACCURACY, SPACE) is None
    assert metric_lessons([*runs, *_finished(65.0)], ACCURACY, SPACE) is not None


def test_beyond_the_threshold_values_are_squeezed() -> None:
    """The best is 10 above it, so that 20 beyond it are 10 log 3, and 50 are 10 log 6."""
    assert _taught(_finished(60.0, 55.0, 50.0, 30.0, 0.0), BOUNDED) == pytest.approx(
        {0: 60.0, 1: 55.0, 2: 50.0, 3: 50 - 10 * math.log(3), 4: 50 - 10 * math.log(6)}
    )


def test_a_metric_to_be_minimized_is_turned() -> None:
    metric = dataclasses.replace(LOSS, threshold=5.0)
    assert _taught(_finished(1.0, 5.0, 9.0, name="loss"), metric) == pytest.approx(
        {0: -1.0, 1: -5.0, 2: -5 - 4 * math.log(2)}
    )


def test_without_a_threshold_values_below_the_median_are_squeezed() -> None:
    """It is that of finished runs, 3; the best, 5, is of any."""
    runs = _runs(
        *[(RunState.FINISHED, value) for value in (1.0, 2.0, 3.0, 4.0, 4.0)],
        (RunState.STOPPED, 5.0),
        (RunState.STOPPED, -7.0),
    )
    expected = {0: 3 - 2 * math.log(2), 1: 3 - 2 * math.log(1.5), 2: 3.0, 3: 4.0, 4: 4.0, 5: 5.0}
    assert _taught(runs) == pytest.approx({**expected, 6: 3 - 2 * math.log(6)})


def test_an_exploded_loss_does_not_hide_the_differences_of_the_others() -> None:
    """Nor do three, of eight; nor does the large standard error that goes with one."""
    taught = _taught(_finished(1.0, 2.0, 3.0, 3.0, 1e9, name="loss"), LOSS)
    assert taught[0] - taught[1] == 1.0
    assert np.std(list(taught.values())) < 30
    three = _taught(_finished(1.0, 2.0, 3.0, 3.0, 4.0, 1e9, 1e9, 1e9, name="loss"), LOSS)
    assert np.std(list(three.values())) < 50
    unsure = [
        dataclasses.replace(run, errors={"loss": 1e-8 * run.values["loss"]})
        for run in _finished(1.0, 2.0, 3.0, 3.0, 1e9, name="loss")
    ]
    lessons = metric_lessons(unsure, LOSS, SPACE)
    assert lessons is not None
    assert lessons.errors is not None
    assert lessons.errors[-1] == pytest.approx(10 / (1 + (1e9 - 3) / 2))


def test_a_best_value_just_within_the_threshold_does_not_flatten_the_others() -> None:
    """The scale is the median distance from the median then: 10."""
    assert _taught(_finished(50.0 + 1e-12, 40.0, 30.0, 20.0), BOUNDED) == pytest.approx(
        {0: 50.0, **{i: 50 - 10 * math.log(1 + i) for i in (1, 2, 3)}}
    )


@pytest.mark.parametrize("metric", [ACCURACY, BOUNDED], ids=["unbounded", "bounded"])
@pytest.mark.parametrize("value", [70.0, 50.0, 0.0, -3.0])
def test_equal_values_remain_equal(metric: Metric, value: float) -> None:
    taught = list(_taught(_finished(value, value, value), metric).values())
    assert len(set(taught)) == 1
    if metric is ACCURACY or value >= 50:
        assert taught == [value] * 3


@given(
    values=st.lists(st.integers(-1_000_000, 1_000_000), min_size=2, max_size=8),
    threshold=st.none() | st.integers(-100, 100),
    goal=st.sampled_from(Goal),
)
def test_squeezing_keeps_the_order_and_what_is_of_use(
    values: list[int], threshold: int | None, goal: Goal
) -> None:
    metric = Metric(name="accuracy", goal=goal, threshold=threshold)
    taught = _taught(_finished(*values), metric)
    turned = np.array([metric.larger_is_better(value) for value in values])
    after = np.array([taught[number] for number in range(len(values))])
    order = np.argsort(turned)
    np.testing.assert_array_equal(np.diff(after[order]) > 0, np.diff(turned[order]) > 0)
    pivot = float(np.median(turned)) if threshold is None else metric.larger_is_better(threshold)
    of_use = turned >= pivot
    np.testing.assert_array_equal(after[of_use], turned[of_use])
    assert (after[~of_use] <= pivot).all()
    assert (after[~of_use] >= turned[~of_use]).all()


def test_values_are_paired_with_parameters_by_run() -> None:
    """Out of order, and one without a value in the middle."""
    runs = _runs((RunState.FINISHED, 60.0), (RunState.FAILED, 1.0), (RunState.FINISHED, 80.0))
    assert _taught([runs[2], runs[1], runs[0]], BOUNDED) == {0: 60.0, 2: 80.0}


def test_runs_without_a_standard_error_have_the_median_of_the_others() -> None:
    errors = {0: 0.5, 1: math.nan, 3: 0.1, 4: 9.0, 5: math.inf}
    runs = [
        dataclasses.replace(run, errors={"accuracy": errors[i]} if i in errors else {"loss": 7.0})
        for i, run in enumerate(_finished(61.0, 62.0, 63.0, 64.0, 65.0, 66.0))
    ]
    lessons = metric_lessons(runs, BOUNDED, SPACE)
    assert lessons is not None
    assert lessons.errors is not None
    assert lessons.errors.tolist() == [0.5, 0.5, 0.5, 0.1, 9.0, 0.5]


@pytest.mark.parametrize("errors", [{}, {"loss": 1.0}, {"accuracy": math.nan}], ids=str)
def test_without_any_standard_error_there_is_none(errors: dict[str, float]) -> None:
    runs = [dataclasses.replace(run, errors=errors) for run in _finished(61.0, 62.0)]
    lessons = metric_lessons(runs, BOUNDED, SPACE)
    assert lessons is not None
    assert lessons.errors is None


def test_what_each_state_teaches_about_success() -> None:
    """A stopped run could be made, whether it has a value yet or not."""
    runs = _runs(
        (RunState.FINISHED, 70.0),
        (RunState.FINISHED, None),
        (RunState.FINISHED, math.nan),
        (RunState.FINISHED, -math.inf),
        (RunState.STOPPED, 65.0),
        (RunState.STOPPED, None),
        (RunState.INFEASIBLE, None),
        (RunState.INFEASIBLE, 99.0),
        (RunState.FAILED, None),
        (RunState.WAITING, None),
        (RunState.RUNNING, None),
    )
    lessons = success_lessons(runs, [ACCURACY], SPACE)
    assert _by_number(lessons) == {0: 1, 1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 6: 0, 7: 0}


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.STOPPED, RunState.FAILED])
def test_where_all_could_be_made_there_is_nothing_to_learn_about_success(state: RunState) -> None:
    assert success_lessons(_runs((state, 70.0), (state, 60.0)), [ACCURACY], SPACE) is None
    assert success_lessons([], [ACCURACY], SPACE) is None


def test_a_run_without_one_of_several_values_is_barren() -> None:
    run = finished(0, {"place": 0}, {"accuracy": 70.0, "speed": math.nan})
    assert is_barren(run, [ACCURACY, SPEED])
    assert not is_barren(run, [ACCURACY])
    assert is_barren(run, [ACCURACY, LOSS])


def test_costs_are_logarithms_of_the_seconds_of_finished_runs() -> None:
    states = (RunState.FINISHED, RunState.FINISHED, RunState.STOPPED, RunState.FINISHED)
    runs = [
        dataclasses.replace(run, seconds=seconds)
        for run, seconds in zip(
            _runs(*[(state, 70.0) for state in states]), (10.0, 1000.0, 5.0, 0.0), strict=True
        )
    ]
    assert _by_number(cost_lessons(runs, SPACE)) == pytest.approx(
        {0: math.log(10), 1: math.log(1000)}
    )
    assert cost_lessons(runs[1:], SPACE) is None


def test_points_are_encoded_in_the_order_of_the_runs() -> None:
    space = SearchSpace((Float(name="x", low=0, high=2), Float(name="y", low=-1, high=1)))
    runs = [finished(0, {"x": 2.0, "y": 0.0}, {}), finished(1, {"y": -1.0, "x": 0.5}, {})]
    np.testing.assert_allclose(encode_all(space, runs), [[1.0, 0.5], [0.25, 0.0]])


def _foretold(run: Run, mean: float, std: float) -> Run:
    return dataclasses.replace(run, forecasts={"accuracy": Forecast(mean=mean, std=std)})


def test_what_was_forecast_counts_and_not_the_last_value() -> None:
    """Of a finished run, too, which answered only the first questions; but of this metric only."""
    runs = _runs(
        (RunState.FINISHED, 70.0),
        (RunState.FINISHED, 60.0),
        (RunState.STOPPED, 20.0),
        (RunState.STOPPED, None),
        (RunState.STOPPED, 55.0),
    )
    other = dataclasses.replace(runs[4], forecasts={"loss": Forecast(mean=9.0, std=1.0)})
    told = [
        runs[0],
        _foretold(runs[1], 60.5, 1.0),
        *(_foretold(run, 65.0, 3.0) for run in runs[2:4]),
        other,
    ]
    lessons = metric_lessons(told, BOUNDED, SPACE)
    assert _by_number(lessons) == {0: 70.0, 1: 60.5, 2: 65.0, 3: 65.0, 4: 55.0}
    assert lessons is not None
    assert lessons.doubts is not None
    assert lessons.doubts.tolist() == [0.0, 1.0, 3.0, 3.0, 0.0]
    assert lessons.errors is None


def test_without_forecasts_there_is_no_doubt() -> None:
    lessons = metric_lessons(
        _runs((RunState.FINISHED, 70.0), (RunState.FINISHED, 60.0), (RunState.STOPPED, 20.0)),
        BOUNDED,
        SPACE,
    )
    assert lessons is not None
    assert lessons.doubts is None


def test_a_forecast_beyond_the_threshold_is_squeezed_with_its_deviation() -> None:
    """It is 30 beyond, the best 10 above: at 50 - 10 log 4, where the slope is 1 / 4."""
    runs = [*_finished(60.0, 55.0), *_runs((RunState.STOPPED, 1.0))]
    runs[2] = _foretold(dataclasses.replace(runs[2], parameters={"place": 2}), 20.0, 8.0)
    lessons = metric_lessons(runs, BOUNDED, SPACE)
    assert _by_number(lessons)[2] == pytest.approx(50 - 10 * math.log(4))
    assert lessons is not None
    assert lessons.doubts is not None
    assert lessons.doubts.tolist() == [0.0, 0.0, 2.0]


def test_a_forecast_has_the_median_of_the_standard_errors() -> None:
    """Not the error of the value it had on the way."""
    runs = _runs((RunState.FINISHED, 70.0), (RunState.FINISHED, 60.0), (RunState.STOPPED, 20.0))
    told = [
        dataclasses.replace(run, errors={"accuracy": error})
        for run, error in zip(runs, (1.0, 3.0, 50.0), strict=True)
    ]
    lessons = metric_lessons([*told[:2], _foretold(told[2], 65.0, 4.0)], BOUNDED, SPACE)
    assert lessons is not None
    assert lessons.errors is not None
    assert lessons.errors.tolist() == [1.0, 3.0, 2.0]
