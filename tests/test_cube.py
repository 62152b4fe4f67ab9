import numpy as np
import pytest

from limbeck.cube import ParameterCube
from limbeck.space import Choice, Float, Integer, SearchSpace, Value, When

WITH_COSINE = (When(parameter="schedule", values=("cosine",)),)
AT_HIGH_RATES = (When(parameter="rate", at_least=1e-3),)
WITH_FEW_CYCLES = (When(parameter="cycles", at_most=1.0),)
SPACE = SearchSpace(
    (
        Integer(name="layers", low=1, high=6),
        Float(name="rate", low=1e-5, high=1e-1, log=True),
        Choice(name="schedule", choices=("linear", "cosine", "constant")),
        Float(name="cycles", low=0.5, high=2.0, step=0.5, when=WITH_COSINE),
        Choice(name="keep", choices=("few", "some", "all"), ordered=True, when=AT_HIGH_RATES),
        Integer(name="width", low=16, high=1024, log=True, when=WITH_FEW_CYCLES),
        Integer(name="many", low=0, high=10**6),
        Float(name="one", low=2.0, high=2.0),
        Choice(name="nested", choices=(True, False), when=(When(parameter="layers", at_least=3),)),
    )
)
CUBE = ParameterCube(SPACE)


def point_at(places: np.ndarray) -> dict[str, Value]:
    """Return the point that `SearchSpace` makes of the values at places."""
    columns = dict(zip(SPACE.names, enumerate(places.tolist()), strict=True))
    return SPACE.complete(lambda parameter: CUBE.value(*columns[parameter.name]))


def test_places_have_the_coordinates_of_their_points() -> None:
    places = np.random.default_rng(0).random((500, len(SPACE.names)))
    expected = np.array([SPACE.encode(point_at(row)) for row in places])
    # One of a million values is taken for a real number, hence the tolerance.
    np.testing.assert_allclose(CUBE.encode(places), expected, atol=1e-6)


def test_what_is_inactive_has_the_value_that_is_asked_for() -> None:
    places = np.random.default_rng(1).random((200, len(SPACE.names)))
    points = [point_at(row) for row in places]
    active = CUBE.active(places)
    assert active.tolist() == [[name in point for name in SPACE.names] for point in points]
    assert 0 < active[:, SPACE.names.index("width")].sum() < 100
    encoded = CUBE.encode(places, inactive=-1.0)
    np.testing.assert_allclose(CUBE.encode_points(points, inactive=-1.0), encoded, atol=1e-6)
    assert ((encoded == -1.0).sum(axis=1) > 0).tolist() == (~active.all(axis=1)).tolist()


def test_all_choices_and_all_cells_of_numbers_are_equally_likely() -> None:
    places = np.random.default_rng(2).random((30_000, len(SPACE.names)))
    columns = CUBE.encode(places, inactive=np.nan)
    schedules = columns[:, 2:5]
    np.testing.assert_allclose(schedules.mean(axis=0), 1 / 3, atol=0.01)
    layers, counts = np.unique(columns[:, 0], return_counts=True)
    assert len(layers) == 6
    np.testing.assert_allclose(counts / len(places), 1 / 6, atol=0.01)


def test_a_grid_has_every_value_of_a_small_parameter_and_the_ends_of_a_large_one() -> None:
    values = [[CUBE.value(i, u) for u in CUBE.grid(i, most=9).tolist()] for i in range(9)]
    assert values[0] == [1, 2, 3, 4, 5, 6]
    assert values[2] == ["linear", "cosine", "constant"]
    assert values[3] == [0.5, 1.0, 1.5, 2.0]
    assert len(values[1]) == 9
    assert [values[1][0], values[1][-1]] == pytest.approx([1e-5, 1e-1])
    assert (values[6][0], values[6][-1]) == (0, 10**6)


def test_bins_are_cells_of_small_parameters_and_strips_of_large_ones() -> None:
    places = np.tile(np.array([[0.0], [0.49], [0.99], [1.0]]), len(SPACE.names))
    bins = CUBE.bins(places, most=10)
    assert bins[:, 0].tolist() == [0, 2, 5, 5]
    assert bins[:, 1].tolist() == [0, 4, 9, 9]
    assert bins[:, 2].tolist() == [0, 1, 2, 2]
