"""Parameters and their image in the unit cube: worked places, and properties of all of them."""

import itertools
import math
import pickle
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from limbeck.errors import ConfigError, ParameterError
from limbeck.space import (
    Choice,
    Constraint,
    Float,
    Integer,
    Parameter,
    Prior,
    SearchSpace,
    Value,
    When,
    did_you_mean,
)

UNIT = st.floats(min_value=0.0, max_value=1.0)
# The middles of 5,040 equal cells: a number that 1 to 10 divide.
FINE_GRID = [(index + 0.5) / 5040 for index in range(5040)]


@st.composite
def floats(draw: st.DrawFn, *, stepped: bool) -> Float:
    log = draw(st.booleans())
    low = draw(st.floats(min_value=1e-6, max_value=1e3))
    if not log:
        low *= draw(st.sampled_from([-1, 0, 1]))
    if not stepped:
        high = low + draw(st.floats(min_value=0.0, max_value=1e4))
        return Float(name="x", low=low, high=high, log=log)
    step = draw(st.floats(min_value=1e-3, max_value=1e2))
    high = low + draw(st.integers(min_value=0, max_value=50)) * step
    return Float(name="x", low=low, high=high, log=log, step=step)


@st.composite
def integers(draw: st.DrawFn) -> Integer:
    log = draw(st.booleans())
    low = draw(st.integers(min_value=1 if log else -100, max_value=100))
    step = draw(st.integers(min_value=1, max_value=16))
    high = low + draw(st.integers(min_value=0, max_value=50)) * step
    return Integer(name="x", low=low, high=high, log=log, step=step)


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    values: list[Value] = draw(
        st.lists(st.integers() | st.text(), min_size=1, max_size=8, unique=True)
    )
    return Choice(name="x", choices=tuple(values), ordered=draw(st.booleans()))


def discrete() -> st.SearchStrategy[Parameter]:
    return st.one_of(integers(), choices(), floats(stepped=True))


def values_of(parameter: Parameter) -> list[Value]:
    """Return every value of a parameter that has an end of them."""
    match parameter:
        case Integer():
            return list(range(parameter.low, parameter.high + 1, parameter.step))
        case Choice():
            return list(parameter.choices)
        case Float():
            assert parameter.step is not None
            count = round((parameter.high - parameter.low) / parameter.step)
            return [parameter.low + index * parameter.step for index in range(count + 1)]


@given(discrete(), st.data())
def test_every_value_comes_back_from_the_cube(parameter, data):
    value = data.draw(st.sampled_from(values_of(parameter)))
    unit = parameter.encode(value)
    assert len(unit) == parameter.width
    assert all(0 <= coordinate <= 1 for coordinate in unit)
    assert parameter.decode(unit) == parameter.validate(value)


@given(discrete(), st.data())
def test_every_place_in_the_cube_is_a_value_that_stays_where_it_is(parameter, data):
    unit = data.draw(st.tuples(*[UNIT] * parameter.width))
    value = parameter.decode(unit)
    assert parameter.validate(value) == value
    assert parameter.decode(parameter.encode(value)) == value


@given(floats(stepped=False), UNIT)
def test_a_float_without_step_is_where_it_was_decoded(parameter, place):
    # Not as narrow as rounding, nor among the numbers too small for all their digits.
    assume(parameter.high - parameter.low > max(1e-6 * abs(parameter.high), 1e-300))
    value = parameter.decode([place])
    assert parameter.low <= value <= parameter.high
    assert parameter.encode(value)[0] == pytest.approx(place, abs=1e-8)
    assert parameter.decode(parameter.encode(value)) == pytest.approx(value, rel=1e-12, abs=1e-9)


@given(st.one_of(integers(), floats(stepped=True), floats(stepped=False)), UNIT, UNIT)
def test_numbers_lie_in_order(parameter, one, other):
    first, second = sorted((one, other))
    assert parameter.decode([first]) <= parameter.decode([second])


@pytest.mark.parametrize("count", range(1, 11))
@pytest.mark.parametrize(
    "make",
    [
        lambda n: Integer(name="x", low=3, high=3 + n - 1),
        lambda n: Integer(name="x", low=-64, high=-64 + 16 * (n - 1), step=16),
        lambda n: Float(name="x", low=-0.5, high=-0.5 + 0.1 * (n - 1), step=0.1),
        lambda n: Choice(name="x", choices=tuple(range(n)), ordered=True),
    ],
    ids=["integer", "integer with step", "float with step", "ordered choice"],
)
def test_every_value_has_an_equal_share_of_the_line(make, count):
    parameter = make(count)
    assert parameter.count == count
    shares = Counter(parameter.decode([place]) for place in FINE_GRID)
    assert list(shares.values()) == [len(FINE_GRID) // count] * count


def test_every_unordered_choice_has_an_equal_share_of_the_cube():
    parameter = Choice(name="x", choices=("a", "b", "c"))
    corners = itertools.permutations((0.1, 0.2, 0.7))
    assert Counter(map(parameter.decode, corners)) == {"a": 2, "b": 2, "c": 2}


def test_integers_on_a_log_line_have_shares_by_their_factors():
    parameter = Integer(name="x", low=1, high=8, log=True)
    shares = Counter(parameter.decode([place]) for place in FINE_GRID)
    for value in range(1, 9):
        # The cell of a value is from half below it to half above it; all of them, 0.5 to 8.5.
        share = math.log((value + 0.5) / (value - 0.5)) / math.log(8.5 / 0.5)
        assert shares[value] == pytest.approx(share * len(FINE_GRID), abs=1.0)


@pytest.mark.parametrize(
    ("parameter", "value", "place"),
    [
        (Float(name="x", low=-1.0, high=3.0), 0.0, 0.25),
        (Float(name="x", low=1e-5, high=1e-3, log=True), 1e-4, 0.5),
        (Float(name="x", low=0.0, high=10.0, step=2.5), 2.5, 0.3),
        (Float(name="x", low=1.0, high=4.0, step=1.0, log=True), 2.0, math.log(4) / math.log(9)),
        (Float(name="x", low=2.0, high=2.0), 2.0, 0.5),
        (Float(name="x", low=2.0, high=2.0, log=True), 2.0, 0.5),
        (Integer(name="x", low=1, high=4), 1, 0.125),
        (Integer(name="x", low=1, high=4), 4, 0.875),
        (Integer(name="x", low=64, high=256, step=64), 128, 0.375),
        (Integer(name="x", low=5, high=5), 5, 0.5),
        # Half a step below 1 there is no logarithm: the first cell begins at half of 1.
        (Integer(name="x", low=1, high=31, step=10, log=True), 1, math.log(2) / math.log(72)),
        (Choice(name="x", choices=("a", "b"), ordered=True), "b", 0.75),
    ],
)
def test_places_worked_by_hand(parameter, value, place):
    assert parameter.encode(value) == (pytest.approx(place),)
    assert parameter.decode([place]) == pytest.approx(value)


def test_an_unordered_choice_is_one_hot():
    parameter = Choice(name="x", choices=("relu", "gelu", 3))
    assert parameter.encode("gelu") == (0.0, 1.0, 0.0)
    assert parameter.decode((0.2, 0.3, 0.9)) == 3


@pytest.mark.parametrize("place", [-0.1, -0.0])
def test_places_before_the_line_are_its_start(place):
    assert Float(name="x", low=1.0, high=4.0).decode([place]) == 1.0
    assert Integer(name="x", low=1, high=4).decode([place]) == 1
    assert Choice(name="x", choices=("a", "b"), ordered=True).decode([place]) == "a"


@pytest.mark.parametrize("place", [1.0, 1.1])
def test_places_behind_the_line_are_its_end(place):
    assert Float(name="x", low=1.0, high=4.0).decode([place]) == 4.0
    assert Integer(name="x", low=1, high=4).decode([place]) == 4
    assert Choice(name="x", choices=("a", "b"), ordered=True).decode([place]) == "b"


@pytest.mark.parametrize("kind", [Float, Integer])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 3, "high": 1}, r"low <= high must hold, but got \(low=3, high=1\)"),
        (
            {"low": math.nan, "high": 1},
            r"low <= high must hold, but got \(low=nan, high=1\)",
        ),
        ({"low": 0, "high": math.inf}, r"low <= high must hold, but got \(low=0, high=inf\)"),
        ({"low": 0, "high": 1, "log": True}, r"log = true needs low > 0, but got low=0"),
        ({"low": 0, "high": 1, "step": 0}, r"step must be positive and finite, but got 0"),
        ({"low": 0, "high": 1, "step": -1}, r"step must be positive and finite, but got -1"),
        ({"low": 0, "high": 1, "step": math.nan}, r"step must be positive and finite, but got nan"),
        ({"low": 0, "high": 1, "step": math.inf}, r"step must be positive and finite, but got inf"),
        (
            {"low": 0, "high": 10, "step": 4},
            r"high must be low plus a multiple of step, but got \(low=0, high=10, step=4\)",
        ),
    ],
)
def test_a_range_that_is_none_is_refused(kind, arguments, message):
    with pytest.raises(ConfigError, match=rf"^space\.width: {message}$"):
        kind(name="width", **arguments)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ((), r"choices must not be empty; give at least one"),
        (("a", "b", "a"), r"choices must differ, but got \['a', 'b', 'a'\]"),
        ((1, 1.0), r"choices must differ, but got \[1, 1\.0\]"),
    ],
)
def test_choices_that_are_none_are_refused(choices, message):
    with pytest.raises(ConfigError, match=rf"^space\.loss: {message}$"):
        Choice(name="loss", choices=choices)


RATE = Float(name="rate", low=0.0, high=1.0)
STEPPED = Float(name="rate", low=0.0, high=1.0, step=0.25)
LAYERS = Integer(name="layers", low=1, high=6)
WIDTH = Integer(name="width", low=8, high=64, step=8)
LOSS = Choice(name="loss", choices=("kl", "mse"))
HEADS = Choice(name="heads", choices=(1, 2))


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (RATE, 1.5, r"rate must be between 0\.0 and 1\.0, but got 1\.5"),
        (RATE, -0.1, r"rate must be between 0\.0 and 1\.0, but got -0\.1"),
        (RATE, math.nan, r"rate must be a finite number, but got nan"),
        (RATE, "0.5", r"rate must be a finite number, but got '0\.5'"),
        (RATE, True, r"rate must be a finite number, but got True"),
        (
            STEPPED,
            0.6,
            r"rate must be 0\.0 plus a multiple of 0\.25, but got 0\.6; the nearest is 0\.5",
        ),
        (LAYERS, 2.5, r"layers must be a whole number, but got 2\.5"),
        (LAYERS, math.inf, r"layers must be a whole number, but got inf"),
        (LAYERS, "2", r"layers must be a whole number, but got '2'"),
        (LAYERS, True, r"layers must be a whole number, but got True"),
        (LAYERS, 7, r"layers must be between 1 and 6, but got 7"),
        (LAYERS, 0, r"layers must be between 1 and 6, but got 0"),
        (WIDTH, 12, r"width must be 8 plus a multiple of 8, but got 12"),
        (LOSS, "l1", r"loss must be one of \['kl', 'mse'\], but got 'l1'"),
        (HEADS, True, r"heads must be one of \[1, 2\], but got True"),
    ],
)
def test_a_value_outside_its_parameter_is_refused(parameter, value, message):
    for use in (parameter.validate, parameter.encode):
        with pytest.raises(ParameterError, match=rf"^{message}$"):
            use(value)


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (Float(name="x", low=0.0, high=2.0), 1, 1.0),
        (Float(name="x", low=0.0, high=1.0, step=0.1), 0.7 + 1e-13, 0.7),
        (Integer(name="x", low=0, high=4), 3.0, 3),
        (Choice(name="x", choices=(1, 2)), 2.0, 2),
        (Choice(name="x", choices=(1, True)), True, True),
    ],
)
def test_a_value_takes_the_type_and_place_of_its_parameter(parameter, value, expected):
    validated = parameter.validate(value)
    assert (validated, type(validated)) == (expected, type(expected))


def test_zero_is_on_a_grid_that_rounding_moves_off_it():
    # In floating point, -0.3 + 3 * 0.1 is 5.6e-17.
    parameter = Float(name="x", low=-0.3, high=0.3, step=0.1)
    assert parameter.validate(0.0) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("parameter", "count"),
    [
        (Float(name="x", low=0.0, high=1.0), None),
        (Float(name="x", low=1.0, high=1.0), 1),
        (Float(name="x", low=0.0, high=0.3, step=0.1), 4),
        (Integer(name="x", low=64, high=256, step=64), 4),
        (Choice(name="x", choices=("a", "b", "c")), 3),
        (Choice(name="x", choices=("a", "b", "c"), ordered=True), 3),
    ],
)
def test_values_are_counted(parameter, count):
    assert parameter.count == count


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (Float(name="x", low=1e-5, high=0.1, log=True), "1e-05 to 0.1, log"),
        (Integer(name="x", low=1, high=6), "1 to 6"),
        (Choice(name="x", choices=("first", 2)), "first | 2"),
    ],
)
def test_a_range_is_written_for_people(parameter, text):
    assert parameter.range_text == text


DEEP = Constraint(name="deep students must be narrow", holds=lambda p: p["layers"] != 6)
WIDE = Constraint(name="wide students must be shallow", holds=lambda p: p["width"] != 64)
SPACE = SearchSpace(
    (
        LAYERS,
        Choice(name="loss", choices=("kl", "mse", "cosine")),
        WIDTH,
    ),
    (DEEP, WIDE),
)
PARAMETERS: dict[str, Value] = {"width": 16, "loss": "mse", "layers": 2}


def test_a_space_joins_the_coordinates_of_its_parameters_in_order():
    assert (SPACE.names, SPACE.dimension) == (("layers", "loss", "width"), 5)
    unit = SPACE.encode(PARAMETERS)
    assert unit.dtype == np.float64
    assert unit.tolist() == [1.5 / 6, 0.0, 1.0, 0.0, 1.5 / 8]
    decoded = SPACE.decode(unit)
    assert decoded == PARAMETERS
    assert list(decoded) == ["layers", "loss", "width"]


@given(st.lists(discrete(), min_size=1, max_size=5), st.data())
def test_every_place_in_the_cube_of_a_space_comes_back(parameters, data):
    named = tuple(replace(p, name=f"parameter{i}") for i, p in enumerate(parameters))
    space = SearchSpace(named)
    unit = np.array(data.draw(st.tuples(*[UNIT] * space.dimension)))
    values = space.decode(unit)
    assert space.decode(space.encode(values)) == values


def test_the_points_of_a_space_are_counted():
    assert SPACE.count == 6 * 3 * 8
    assert SearchSpace((*SPACE.parameters, Float(name="rate", low=0, high=1))).count is None


def test_validated_parameters_stand_in_the_order_of_the_space_in_their_own_types():
    validated = SPACE.validate({"width": 16.0, "loss": "mse", "layers": 2})
    assert list(validated.items()) == [("layers", 2), ("loss", "mse"), ("width", 16)]
    assert type(validated["width"]) is int


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({**PARAMETERS, "layer": 1}, r"unknown parameter 'layer'; did you mean 'layers'\?"),
        (
            {**PARAMETERS, "zzz": 1},
            r"unknown parameter 'zzz'; valid names are layers, loss, width",
        ),
        ({"loss": "kl"}, r"parameters must be complete, but \['layers', 'width'\] are missing"),
        ({**PARAMETERS, "layers": 9}, r"layers must be between 1 and 6, but got 9"),
    ],
)
def test_parameters_outside_the_space_are_refused(parameters, message):
    for use in (SPACE.validate, SPACE.encode):
        with pytest.raises(ParameterError, match=rf"^{message}$"):
            use(parameters)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (PARAMETERS, True),
        ({**PARAMETERS, "width": 16.0}, True),
        ({**PARAMETERS, "layers": 6}, True),  # A constraint is no matter of the space's size.
        ({**PARAMETERS, "layer": 1}, False),
        ({"loss": "kl"}, False),
        ({}, False),
        ({**PARAMETERS, "layers": 9}, False),
        ({**PARAMETERS, "layers": "2"}, False),
        ({**PARAMETERS, "width": 12}, False),
        ({**PARAMETERS, "loss": "l1"}, False),
    ],
)
def test_a_space_contains_what_it_validates(parameters, expected):
    assert SPACE.contains(parameters) is expected


@pytest.mark.parametrize("kind", [Float, Integer])
@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(near=7, spread=0.1), r"near must be between 1 and 6, but got 7"),
        (Prior(near=2, spread=0.0), r"spread must be positive and finite, but got 0\.0"),
    ],
)
def test_a_prior_that_does_not_fit_its_range_is_refused(kind, prior, message):
    with pytest.raises(ConfigError, match=rf"^space\.width\.prior: {message}$"):
        kind(name="width", low=1, high=6, prior=prior)


BELIEVED = SearchSpace(
    (
        Choice(name="loss", choices=("kl", "mse", "cosine")),
        Float(name="rate", low=1e-5, high=1e-1, log=True, prior=Prior(near=1e-4, spread=0.5)),
        Float(name="dropout", low=0.0, high=0.5),
        Integer(name="layers", low=1, high=5, prior=Prior(near=5, spread=0.2)),
    ),
    (DEEP,),
)


def test_log_priors_add_up_over_the_parameters_that_have_one():
    """At a quarter of the rate's line and nine tenths of the layers' (the last of five cells)."""
    units = np.array(
        [[1, 0, 0, 0.25, 0.3, 0.9], [0, 1, 0, 0.75, 0.8, 0.9], [0, 0, 1, 0.75, 0, 0.3]]
    )
    one_spread = -0.5
    np.testing.assert_allclose(
        BELIEVED.log_prior(units), [0.0, one_spread, one_spread + 9 * one_spread], atol=1e-12
    )
    np.testing.assert_array_equal(BELIEVED.without_priors().log_prior(units), np.zeros(3))


def test_points_that_follow_priors_are_as_frequent_as_these_say():
    even = np.tile((np.arange(2000)[:, None] + 0.5) / 2000, BELIEVED.dimension)
    before = even.copy()
    moved = BELIEVED.follow_priors(even)
    np.testing.assert_array_equal(even, before)
    np.testing.assert_array_equal(moved[:, [0, 1, 2, 4]], even[:, [0, 1, 2, 4]])
    np.testing.assert_array_equal(moved[7], BELIEVED.follow_priors(even[7]))
    shares = Counter(BELIEVED.decode(unit)["layers"] for unit in moved)
    curve = truncnorm(-0.9 / 0.2, 0.1 / 0.2, loc=0.9, scale=0.2)
    for layers in range(1, 6):
        expected = curve.cdf(layers / 5) - curve.cdf((layers - 1) / 5)
        assert shares[layers] == pytest.approx(2000 * expected, abs=1.0)
    below = np.mean([float(BELIEVED.decode(unit)["rate"]) < 1e-4 for unit in moved])
    assert below == pytest.approx(truncnorm(-0.5, 1.5, loc=0.25, scale=0.5).cdf(0.25), abs=1e-3)


def test_without_priors_points_stay_where_they_are():
    plain = BELIEVED.without_priors()
    assert (plain.names, plain.constraints) == (BELIEVED.names, BELIEVED.constraints)
    assert plain == plain.without_priors() != BELIEVED
    units = np.random.default_rng(0).uniform(size=(50, plain.dimension))
    np.testing.assert_array_equal(plain.follow_priors(units), units)


@pytest.mark.parametrize("parameter", [RATE, LAYERS, LOSS], ids=[RATE.name, LAYERS.name, LOSS.name])
def test_an_inert_parameter_is_searched_like_any_other(parameter):
    inert = replace(parameter, inert=True)
    assert inert.inert
    assert not parameter.inert
    for place in (0.1, 0.5, 0.9):
        unit = (place, 0.4)
        assert inert.decode(unit) == parameter.decode(unit)
        assert inert.encode(inert.decode(unit)) == parameter.encode(parameter.decode(unit))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"layers": 6}, DEEP.name),
        ({"width": 64}, WIDE.name),
        ({"layers": 6, "width": 64}, DEEP.name),
    ],
)
def test_the_first_broken_constraint_is_named(change, expected):
    assert SPACE.violated({**PARAMETERS, **change}) == expected


def test_a_space_without_parameters_is_refused():
    with pytest.raises(
        ConfigError,
        match=r"^a search space needs at least one parameter; add a \[space\.NAME\] table$",
    ):
        SearchSpace(())


def test_a_space_with_two_parameters_of_one_name_is_refused():
    with pytest.raises(
        ConfigError, match=r"^parameter names must differ, but got \['layers', 'layers'\]$"
    ):
        SearchSpace((LAYERS, LAYERS))


# Adam has a second beta, and a warm-up of its own if the schedule warms up; the schedule is one of
# four, of which two warm up; only deep students have a width of their third layer.
CONDITIONAL = SearchSpace(
    (
        Float(
            name="steps",
            low=0.0,
            high=1.0,
            step=0.5,
            prior=Prior(near=1.0, spread=0.1),
            when=(
                When(parameter="schedule", values=("linear", "cosine")),
                When(parameter="optimizer", values=("adam",)),
            ),
        ),
        Choice(
            name="schedule",
            choices=("constant", "linear", "cosine", "step"),
            when=(When(parameter="optimizer", values=("adam", "lamb")),),
        ),
        Choice(name="optimizer", choices=("sgd", "adam", "lamb")),
        Integer(name="layers", low=1, high=6),
        Integer(
            name="width_2",
            low=1,
            high=3,
            when=(When(parameter="layers", at_least=3, at_most=5),),
        ),
        Choice(
            name="tied",
            choices=(True, False),
            ordered=True,
            when=(When(parameter="width_2", values=(3.0,)),),
        ),
    )
)
FULL: dict[str, Value] = {
    "steps": 0.5,
    "schedule": "cosine",
    "optimizer": "adam",
    "layers": 4,
    "width_2": 3,
    "tied": True,
}


def conditional_points() -> list[dict[str, Value]]:
    """Return every point of the space above, by hand."""
    optimizers: list[dict[str, Value]] = [{"optimizer": "sgd"}]
    for schedule in ("constant", "linear", "cosine", "step"):
        optimizers.append({"optimizer": "lamb", "schedule": schedule})
        if schedule in ("constant", "step"):
            optimizers.append({"optimizer": "adam", "schedule": schedule})
        else:
            optimizers += [
                {"optimizer": "adam", "schedule": schedule, "steps": steps}
                for steps in (0.0, 0.5, 1.0)
            ]
    students: list[dict[str, Value]] = [{"layers": layers} for layers in (1, 2, 6)]
    for layers in (3, 4, 5):
        students += [{"layers": layers, "width_2": width} for width in (1, 2)]
        students += [{"layers": layers, "width_2": 3, "tied": tied} for tied in (True, False)]
    return [one | other for one in optimizers for other in students]


def in_order(points: Iterable[Mapping[str, Value]]) -> list[str]:
    return sorted(str(sorted(point.items())) for point in points)


def test_the_points_of_a_conditional_space_are_those_that_differ():
    points = list(CONDITIONAL.points())
    assert in_order(points) == in_order(conditional_points())
    assert CONDITIONAL.count == len(points) == 13 * 15
    assert all(list(point) == [n for n in CONDITIONAL.names if n in point] for point in points)


def test_what_is_inactive_stands_always_at_the_same_place():
    point: dict[str, Value] = {"optimizer": "sgd", "layers": 6}
    assert CONDITIONAL.validate(point) == point
    expected = [0.5, 0, 0, 0, 0, 1, 0, 0, 5.5 / 6, 0.5, 0.5]
    assert CONDITIONAL.encode(point).tolist() == expected


@given(st.data())
def test_coordinates_of_what_is_inactive_do_not_matter(data):
    unit = np.array(data.draw(st.tuples(*[UNIT] * CONDITIONAL.dimension)))
    values = CONDITIONAL.decode(unit)
    assert values in conditional_points()
    assert CONDITIONAL.validate(values) == values
    encoded = CONDITIONAL.encode(values)
    assert CONDITIONAL.decode(encoded) == values
    columns = {"steps": [0], "schedule": [1, 2, 3, 4], "width_2": [9], "tied": [10]}
    for name in columns.keys() - values.keys():
        unit[columns[name]] = data.draw(UNIT)
        encoded[columns[name]] = data.draw(UNIT)
    assert CONDITIONAL.decode(unit) == CONDITIONAL.decode(encoded) == values


@st.composite
def conditional_spaces(draw: st.DrawFn) -> SearchSpace:
    """Any discrete parameters, some of which depend on others: chains, forks, and both."""
    made: list[Parameter] = []
    for number, parameter in enumerate(draw(st.lists(discrete(), min_size=1, max_size=6))):
        when = []
        for other in draw(st.lists(st.sampled_from(made), max_size=2, unique=True)) if made else []:
            some = draw(st.lists(st.sampled_from(other.values), min_size=1, max_size=3))
            if isinstance(other, Choice) or draw(st.booleans()):
                when.append(When(parameter=other.name, values=tuple(some)))
            else:
                ends = sorted(float(value) for value in some)
                when.append(When(parameter=other.name, at_least=ends[0], at_most=ends[-1]))
        made.append(replace(parameter, name=f"parameter{number}", when=tuple(when)))
    return SearchSpace(tuple(draw(st.permutations(made))))


@given(conditional_spaces(), st.data())
def test_every_place_in_the_cube_of_a_conditional_space_comes_back(space, data):
    values = space.decode(np.array(data.draw(st.tuples(*[UNIT] * space.dimension))))
    assert list(values) == [name for name in space.names if name in values]
    unit = space.encode(values)
    assert len(unit) == space.dimension
    assert space.decode(unit) == space.validate(values) == values
    assert space.without_inactive(values) == values
    for parameter in space.parameters:
        asked = [
            when.parameter in values
            and (
                values[when.parameter] in when.values
                if when.values is not None
                else when.at_least <= values[when.parameter] <= when.at_most
            )
            for when in parameter.when
        ]
        assert (parameter.name in values) is all(asked)


@given(conditional_spaces())
def test_points_are_counted_as_they_are_enumerated(space):
    assert space.count is not None
    assume(space.count < 2000)
    points = in_order(space.points())
    assert len(points) == len(set(points)) == space.count
    assert all(space.contains(point) for point in itertools.islice(space.points(), 50))


@pytest.mark.parametrize("high", [2**14, 2**14 + 1])
def test_points_that_depend_on_too_many_values_are_not_counted(high):
    space = SearchSpace(
        (
            Integer(name="seed", low=1, high=high),
            Choice(name="loss", choices=("kl", "mse"), when=(When(parameter="seed", values=(7,)),)),
        )
    )
    assert space.count == (2**14 + 1 if high == 2**14 else None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"schedule": "step"},
            "steps must be left out unless schedule is linear | cosine and optimizer is adam, "
            "but got 0.5",
        ),
        ({"layers": 2}, "width_2 must be left out unless layers is at least 3 and at most 5, but "),
        ({"width_2": 1}, "tied must be left out unless width_2 is 3.0, but got True"),
        ({"optimizer": "sgd"}, "schedule must be left out unless optimizer is adam | lamb, but go"),
        ({"tied": None}, "parameters must be complete, but ['tied'] are missing"),
        ({"layers": None}, "parameters must be complete, but ['layers'] are missing"),
        ({"width_2": None, "steps": None}, "parameters must be complete, but ['steps', 'width_2']"),
        ({"layers": 7}, "layers must be between 1 and 6, but got 7"),
    ],
)
def test_what_is_inactive_is_refused_and_what_is_active_is_needed(change, message):
    parameters = {name: v for name, v in (FULL | change).items() if v is not None}
    assert CONDITIONAL.validate(FULL) == FULL
    assert not CONDITIONAL.contains(parameters)
    for use in (CONDITIONAL.validate, CONDITIONAL.encode):
        with pytest.raises(ParameterError, match=f"^{re.escape(message)}"):
            use(parameters)


def test_inactive_parameters_are_dropped_down_the_chain_and_foreign_ones_stay():
    given_ones = {"seed": 3, **FULL, "optimizer": "sgd", "width_2": 2}
    expected = {"seed": 3, "optimizer": "sgd", "layers": 4, "width_2": 2}
    assert CONDITIONAL.without_inactive(given_ones) == expected
    assert given_ones["tied"] is True


def test_values_are_asked_for_when_those_they_depend_on_are_known():
    asked: list[str] = []

    def value_of(parameter: Parameter) -> Value:
        asked.append(parameter.name)
        return FULL[parameter.name]

    assert list(CONDITIONAL.complete(value_of).items()) == list(FULL.items())
    for first, then in [("optimizer", "schedule"), ("schedule", "steps"), ("width_2", "tied")]:
        assert asked.index(first) < asked.index(then)


def test_a_prior_says_nothing_of_where_its_parameter_is_inactive():
    points: list[dict[str, Value]] = [
        FULL, FULL | {"steps": 1.0}, {"optimizer": "sgd", "layers": 6},
    ]  # fmt: skip
    units = np.stack([CONDITIONAL.encode(point) for point in points])
    # Three steps: the first is two thirds of the line from the last, the second one third.
    expected = [-0.5 * ((1 / 3) / 0.1) ** 2, 0.0, 0.0]
    np.testing.assert_allclose(CONDITIONAL.log_prior(units), expected, atol=1e-12)


def test_a_constraint_about_what_is_inactive_does_not_apply():
    narrow = Constraint(
        name="narrow", holds=lambda p: int(p["width_2"]) < int(p["layers"]) - 1, needs=("width_2",)
    )
    space = replace(CONDITIONAL, constraints=(narrow,))
    assert space.violated(FULL) == "narrow"
    assert space.violated({**FULL, "layers": 5}) is None
    assert space.violated({"optimizer": "sgd", "layers": 1}) is None


NUMBER, FLAG = Integer(name="number", low=1, high=6), Choice(name="flag", choices=("on", "off"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            (NUMBER, replace(LAYERS, when=(When(parameter="numbr", values=(1,)),))),
            "space.layers.when: no such parameter 'numbr'; did you mean 'number'?",
        ),
        (
            (replace(LAYERS, when=(When(parameter="layers", values=(1,)),)),),
            "space.layers.when: no parameter may depend on itself, but layers needs layers; drop",
        ),
        (
            (
                replace(FLAG, when=(When(parameter="number", values=(1,)),)),
                replace(NUMBER, when=(When(parameter="layers", values=(1,)),)),
                replace(LAYERS, when=(When(parameter="flag", values=("on",)),)),
            ),
            "space.flag.when: no parameter may depend on itself, but flag needs number needs layer",
        ),
        (
            (FLAG, replace(LAYERS, when=(When(parameter="flag", values=("onn",)),))),
            "space.layers.when.flag: flag must be one of ['on', 'off'], but got 'onn'",
        ),
        (
            (NUMBER, replace(LAYERS, when=(When(parameter="number", values=(1, 7)),))),
            "space.layers.when.number: number must be between 1 and 6, but got 7",
        ),
        (
            (FLAG, replace(LAYERS, when=(When(parameter="flag", at_least=1),))),
            "space.layers.when.flag: a choice has no at_least and at_most; list the values",
        ),
        (
            (RATE, replace(LAYERS, when=(When(parameter="rate", values=(0.5,)),))),
            "space.layers.when.rate: values need a parameter that has an end of them, but got [0.5]"
            " of all between 0 to 1; give at_least or at_most",
        ),
        *[
            (
                (NUMBER, replace(LAYERS, when=(When(parameter="number", **ends),))),
                "space.layers.when.number: must be met by a value from 1 to 6, but got number is ",
            )
            for ends in ({"at_least": 7}, {"at_most": 0.5}, {"at_least": 4, "at_most": 3})
        ],
        *[
            (
                (NUMBER, replace(LAYERS, when=(When(parameter="number", **nothing),))),
                "space.layers.when.number: needs values, or at_least or at_most, and not both; gi",
            )
            for nothing in ({}, {"values": ()}, {"values": (1,), "at_least": 1})
        ],
    ],
)
def test_a_condition_that_is_none_is_refused(parameters, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        SearchSpace(parameters)


def test_a_constraint_about_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"^constraint 'x': no such parameter 'layer'; did you m"):
        SearchSpace((LAYERS,), (Constraint(name="x", holds=lambda _: True, needs=("layer",)),))


def test_a_conditional_space_can_be_sent_to_another_process():
    """Also when it has been used, and remembers what it has computed."""
    assert CONDITIONAL.count
    sent = pickle.loads(pickle.dumps(CONDITIONAL))
    assert sent == CONDITIONAL
    assert sent.validate(FULL) == FULL


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("num_layer", "; did you mean 'num_layers'?"),
        ("qqqq", "; valid names are heads, num_layers"),
    ],
)
def test_the_nearest_name_is_shown(name, expected):
    assert did_you_mean(name, ["num_layers", "heads"]) == expected
