"""Places on axes and the marks beside them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.analysis.figures.scales import choice_angle, metric_axis, parameter_axis
from limbeck.metrics import Goal, Metric
from limbeck.space import Choice, Float, Integer


def test_log_values_stand_at_their_logarithm_beside_their_real_text() -> None:
    axis = parameter_axis(Float(name="rate", low=1e-5, high=1e-3, log=True), [1e-4])
    assert (axis.low, axis.high) == (-5, -3)
    assert axis.place(1e-4) == pytest.approx(-4)
    ticks = axis.ticks()
    texts = dict(zip([round(place, 6) for place in ticks.places], ticks.texts, strict=True))
    assert texts[-4] == "0.0001"
    assert texts[round(math.log10(2e-5), 6)] == "2e-05"
    assert texts[round(math.log10(3e-5), 6)].strip("\u200b") == ""


def test_whole_numbers_are_marked_one_by_one_while_they_are_few() -> None:
    axis = parameter_axis(Integer(name="heads", low=4, high=12, step=4), [4])
    assert axis.ticks().texts == ("4", "8", "12")
    many = parameter_axis(Integer(name="ffn", low=64, high=3072, step=64), [64])
    assert many.continuous
    assert not axis.continuous


def test_choices_stand_at_their_index_and_true_is_not_one() -> None:
    axis = parameter_axis(Choice(name="c", choices=(1, True, "a")), [True, "a", 1])
    assert [axis.place(value) for value in (1, True, "a")] == [0, 1, 2]
    assert axis.ticks().texts == ("1", "True", "a")


def test_absent_values_have_a_place_of_their_own_below_all_others() -> None:
    axis = parameter_axis(Float(name="t", low=1.0, high=3.0), [2.0, None])
    assert axis.bottom == axis.place(None) < axis.low
    ticks = axis.ticks()
    assert (ticks.places[0], ticks.texts[0]) == (axis.bottom, "absent")
    assert parameter_axis(Float(name="t", low=1.0, high=3.0), [2.0]).bottom == 1.0


def test_metric_without_finite_values_is_absent() -> None:
    score = Metric(name="f1", goal=Goal.MAXIMIZE)
    axis = metric_axis(score, [1.0, math.inf, math.nan, None, 3.0])
    assert (axis.low, axis.high, axis.has_absent) == (1.0, 3.0, True)
    assert axis.place(math.inf) == axis.place(math.nan) == axis.place(None) < 1.0
    assert metric_axis(score, [None]).bottom < 0.0


def test_cost_over_a_wide_range_is_drawn_by_its_logarithm_and_a_score_is_not() -> None:
    for goal, log in ((Goal.MINIMIZE, True), (Goal.MAXIMIZE, False)):
        assert metric_axis(Metric(name="m", goal=goal), [1.0, 100.0]).log is log


def test_value_outside_of_the_range_widens_the_axis() -> None:
    axis = parameter_axis(Float(name="x", low=0.0, high=1.0), [1.5])
    assert axis.high == 1.5
    choice = parameter_axis(Choice(name="c", choices=("a",)), ["a", "z"])
    assert choice.place("z") == 1


def test_choices_that_look_alike_once_cut_off_keep_different_marks() -> None:
    long = "x" * 40
    axis = parameter_axis(Choice(name="c", choices=(f"{long}1", f"{long}2", "<b>")), ["<b>"])
    texts = axis.ticks().texts
    assert len(set(texts)) == 3
    assert len({text.strip("\u200b") for text in texts}) == 2
    assert texts[2] == "<b>"


@given(
    low=st.floats(1e-9, 1e9),
    factor=st.floats(1.0, 1e9),
    log=st.booleans(),
    absent=st.booleans(),
)
def test_marks_ascend_lie_on_the_axis_and_say_something(
    low: float, factor: float, log: bool, absent: bool
) -> None:
    values = [low, None] if absent else [low]
    axis = parameter_axis(Float(name="x", low=low, high=low * factor, log=log), values)
    ticks = axis.ticks()
    assert list(ticks.places) == sorted(set(ticks.places))
    slack = 1e-6 * (axis.high - axis.low) + 1e-9
    assert all(axis.bottom - slack <= place <= axis.high + slack for place in ticks.places)
    assert len(set(ticks.texts)) == len(ticks.texts)
    shown = [text for text in ticks.texts if text.strip("\u200b")]
    assert 1 + absent <= len(shown) <= 40


@pytest.mark.parametrize(
    ("choices", "angle"), [(("adam", "sgd"), 0), (("pretrained", "random", "layers"), -30)]
)
def test_choices_that_do_not_stand_beside_each_other_are_turned(
    choices: tuple[str, ...], angle: int
) -> None:
    assert choice_angle(parameter_axis(Choice(name="c", choices=choices), [])) == angle
    assert choice_angle(parameter_axis(Float(name="x", low=1e-9, high=1.0, log=True), [])) == 0
