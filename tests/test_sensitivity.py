import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from limbeck.cube import ParameterCube
from limbeck.sensitivity import doubts, interactions, ranked, sobol_shares
from limbeck.space import Choice, Float, Integer, SearchSpace
from tests.sampled import ISHIGAMI_FIRST, ISHIGAMI_TOTAL, ishigami_parameters, unit_parameters

UNIT = ParameterCube(SearchSpace(unit_parameters(3)))


def ishigami_places(places: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = (2 * places.T - 1) * np.pi
    return np.asarray(np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a))


def test_several_functions_at_once_have_their_known_indices() -> None:
    # Of 4 a + 2 b + c the shares are those of 16, 4 and 1; a constant has no variance to share.
    def functions(places: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(
            [ishigami_places(places), places @ [4.0, 2.0, 1.0], np.full(len(places), 0.3)]
        )

    cube = ParameterCube(SearchSpace(ishigami_parameters()))
    shares = sobol_shares(functions, cube, seed=0, points=2048, pairs=True)
    linear, constant = (16 / 21, 4 / 21, 1 / 21), (0.0, 0.0, 0.0)
    np.testing.assert_allclose(shares.first, [ISHIGAMI_FIRST, linear, constant], atol=0.02)
    np.testing.assert_allclose(shares.total, [ISHIGAMI_TOTAL, linear, constant], atol=0.02)
    assert shares.pairs is not None
    np.testing.assert_allclose(shares.pairs, shares.pairs.transpose(0, 2, 1))
    np.testing.assert_allclose(shares.pairs[0, 0, 2], 0.2437, atol=0.025)
    others = [shares.pairs[0, 0, 1], shares.pairs[0, 1, 2], *shares.pairs[1:].ravel()]
    np.testing.assert_allclose(others, 0.0, atol=0.01)


def test_discrete_parameters_share_the_variance_of_the_table_of_their_values() -> None:
    table = np.random.default_rng(3).normal(size=(3, 4, 2))
    space = SearchSpace(
        (
            Choice(name="a", choices=("x", "y", "z")),
            Integer(name="b", low=1, high=4),
            Choice(name="c", choices=(True, False), ordered=True),
        )
    )
    cube = ParameterCube(space)

    def function(places: NDArray[np.float64]) -> NDArray[np.float64]:
        X = cube.encode(places)
        a = X[:, :3].argmax(axis=1)
        b, c = np.round(X[:, 3] * 4 - 0.5).astype(int), (X[:, 4] > 0.5).astype(int)
        return np.asarray(table[a, b, c])[None]

    shares = sobol_shares(function, cube, seed=0, points=2048, pairs=True)
    axes = {0, 1, 2}
    variance = table.var()
    first = [table.mean(axis=tuple(axes - {i})).var() for i in range(3)]
    rest = [table.mean(axis=i).var() for i in range(3)]
    np.testing.assert_allclose(shares.first[0], np.array(first) / variance, atol=0.02)
    np.testing.assert_allclose(shares.total[0], 1 - np.array(rest) / variance, atol=0.02)
    assert shares.pairs is not None
    for i, j in itertools.combinations(range(3), 2):
        (other,) = axes - {i, j}
        expected = table.mean(axis=other).var() - first[i] - first[j]
        assert shares.pairs[0, i, j] == pytest.approx(expected / variance, abs=0.02)


def test_one_parameter_explains_all() -> None:
    cube = ParameterCube(SearchSpace((Float(name="x", low=0.0, high=1.0),)))
    shares = sobol_shares(lambda u: (u**2).T, cube, seed=0, points=256, pairs=True)
    np.testing.assert_allclose([shares.first, shares.total], 1.0, atol=0.02)
    assert shares.pairs is not None
    assert shares.pairs.tolist() == [[[0.0]]]


def test_the_seed_decides() -> None:
    def function(places: NDArray[np.float64]) -> NDArray[np.float64]:
        return ishigami_places(places)[None]

    one, same, other = (sobol_shares(function, UNIT, seed=s, points=256) for s in (0, 0, 1))
    assert one.total.tolist() == same.total.tolist()
    assert one.total.tolist() != other.total.tolist()


def test_inert_parameters_come_last_whatever_their_total() -> None:
    ends = np.zeros((3, 2))
    found = ranked(
        ("a", "b", "c"),
        first=(np.array([0.1, 0.0, 0.3]), ends),
        total=(np.array([0.2, 0.5, 0.4]), ends + np.array([0.1, 0.6])),
        inert=["b"],
    )
    assert [each.parameter for each in found] == ["c", "a", "b"]
    assert (found[0].first, found[0].total) == (0.3, 0.4)
    assert found[0].total_interval == (0.1, 0.6)


def test_interactions_are_sorted_and_each_pair_comes_once() -> None:
    pairs = np.array([[0.0, 0.1, 0.3], [0.1, 0.0, 0.2], [0.3, 0.2, 0.0]])
    found = [(each.parameters, each.share) for each in interactions(("a", "b", "c"), pairs)]
    assert found == [(("a", "c"), 0.3), (("b", "c"), 0.2), (("a", "b"), 0.1)]


@pytest.mark.parametrize(
    ("n", "r2", "expected"),
    [
        (34, 0.3, ""),
        (33, 0.9, "33 runs are few for 17 parameters: the order may be chance before run 34"),
        (34, 0.29, "the forest predicts only 29 % of the variance of runs that it did not see"),
        (34, -0.2, "the forest predicts nothing of the variance of runs that it did not see"),
    ],
)
def test_the_warning_says_what_is_too_little(n: int, r2: float, expected: str) -> None:
    assert doubts(n=n, parameters=17, r2=r2, source="forest") == expected


def test_two_warnings_stand_side_by_side() -> None:
    both = doubts(n=8, parameters=5, r2=None, source="surrogate")
    assert both.startswith("8 runs are few for 5 parameters")
    assert "; the surrogate predicts nothing of the variance" in both
