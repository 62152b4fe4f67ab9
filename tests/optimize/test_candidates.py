import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import qmc

from limbeck.optimize.candidates import Candidate, CandidateSearch
from limbeck.optimize.sampler import Identity, identity
from limbeck.space import Choice, Float, Integer, Parameters, Prior, SearchSpace
from tests.optimize.problems import CONDITIONAL, METRICS, SMALL, small_allowed, small_size

SPACE = SearchSpace(
    (
        Float(name="rate", low=1e-6, high=1.0, log=True),
        Float(name="dropout", low=0.0, high=0.5),
        Integer(name="depth", low=1, high=48),
        Choice(name="loss", choices=("mse", "kl", "ce")),
        Choice(name="size", choices=("s", "m", "l", "xl"), ordered=True),
        Integer(name="fixed", low=3, high=3),
    )
)
TARGET: Parameters = {
    "rate": 1e-5, "dropout": 0.5, "depth": 31, "loss": "kl", "size": "s", "fixed": 3,
}  # fmt: skip


def _search(
    space: SearchSpace = SPACE, taken: frozenset[Identity] = frozenset(), seed: int = 0
) -> CandidateSearch:
    return CandidateSearch(
        space=space,
        metrics=(),
        known=lambda _: {},
        taken=taken,
        rng=np.random.default_rng(seed),
    )


def _closeness(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    target = SPACE.encode(TARGET)
    return np.array([-float(np.abs(c.unit - target).sum()) for c in candidates])


@pytest.mark.parametrize("seed", range(3))
def test_finds_the_maximum_of_a_function_with_one_peak(seed: int) -> None:
    best = _search(seed=seed).best(_closeness, near=[])
    assert best is not None
    for name in ("loss", "size", "fixed"):
        assert best.parameters[name] == TARGET[name]
    assert _closeness([best])[0] > -0.1


def test_looks_near_good_runs() -> None:
    """Away from the given run there is nothing but a plain."""
    start: dict[str, bool | int | float | str] = {
        "rate": 1e-2, "dropout": 0.2, "depth": 12, "loss": "ce", "size": "l", "fixed": 3,
    }  # fmt: skip
    unit = SPACE.encode(start)

    def needle(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return np.array([float((np.abs(c.unit - unit) > 1e-6).sum() <= 1) for c in candidates])

    best = _search(taken=frozenset({identity(SPACE, start)})).best(needle, near=[start])
    assert best is not None
    assert needle([best])[0] == 1.0


def test_every_candidate_is_allowed_new_and_as_it_would_be_run() -> None:
    allowed = {identity(SMALL, point) for point in small_allowed()}
    taken = frozenset(sorted(allowed)[:5])
    judged: list[Candidate] = []

    def record(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        judged.extend(candidates)
        return np.zeros(len(candidates))

    search = CandidateSearch(
        space=SMALL,
        metrics=METRICS,
        known=small_size,
        taken=taken,
        rng=np.random.default_rng(0),
    )
    best = search.best(record, near=[{"depth": 4, "width": 256, "tied": True}])
    keys = [identity(SMALL, candidate.parameters) for candidate in judged]
    assert sorted(keys) == sorted(allowed - taken)
    assert best is judged[0]
    for candidate in judged:
        np.testing.assert_array_equal(candidate.unit, SMALL.encode(candidate.parameters))
        assert candidate.known == small_size(candidate.parameters)


def _first_batch(space: SearchSpace) -> list[Candidate]:
    """Return the candidates that are judged before any is known to be good."""
    batches: list[list[Candidate]] = []

    def record(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        batches.append(list(candidates))
        return np.zeros(len(candidates))

    _search(space).best(record, near=[])
    return batches[0]


LINE = Float(name="x", low=0.0, high=1.0)


def test_without_priors_candidates_are_the_points_of_the_sequence() -> None:
    judged = [candidate.parameters["x"] for candidate in _first_batch(SearchSpace((LINE,)))]
    sequence = qmc.Sobol(1, scramble=True, rng=np.random.default_rng(0)).random(512)
    assert judged == sequence[:, 0].tolist()


def test_half_of_the_candidates_follow_the_priors_and_half_are_even() -> None:
    """Of the prior's distribution 0.2 % are below 0.6, of the whole line 60 %."""
    believed = dataclasses.replace(LINE, prior=Prior(near=0.9, spread=0.1))
    places = np.array([c.parameters["x"] for c in _first_batch(SearchSpace((believed,)))])
    assert (places[:256] < 0.6).sum() <= 1
    assert sorted(np.floor(256 * places[256:])) == list(range(256))


def test_there_may_be_nothing_left() -> None:
    space = SearchSpace((Integer(name="depth", low=2, high=2),))
    only: Parameters = {"depth": 2}
    search = _search(space, taken=frozenset({identity(space, only)}))
    assert search.best(lambda candidates: np.zeros(len(candidates)), near=[only]) is None


def test_mutants_gain_what_becomes_active_and_lose_what_becomes_inactive() -> None:
    points = list(CONDITIONAL.points())
    pairs: list[tuple[Parameters, Parameters]] = [
        (
            {"optimizer": "sgd", "depth": 1},
            {"optimizer": "adam", "schedule": "constant", "depth": 1},
        ),
        ({"optimizer": "sgd", "depth": 2}, {"optimizer": "sgd", "depth": 3, "heads_2": 1}),
        ({"optimizer": "none", "depth": 3, "heads_2": 1}, {"optimizer": "none", "depth": 2}),
        (
            {"optimizer": "adam", "schedule": "linear", "warmup": 0.1, "depth": 1},
            {"optimizer": "sgd", "depth": 1},
        ),
    ]
    for parent, child in pairs:
        mutants = [_search(CONDITIONAL, seed=seed)._mutant(parent, 0.2) for seed in range(60)]
        assert child in mutants
        assert all(mutant in points for mutant in mutants)


def test_of_a_spread_the_best_is_taken_and_nothing_is_looked_for_near_it() -> None:
    judged: list[Candidate] = []

    def height(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        judged.extend(candidates)
        return np.array([c.unit[0] for c in candidates])

    best = _search(SearchSpace((LINE,))).best_of_spread(height)
    assert best is not None
    sequence = qmc.Sobol(1, scramble=True, rng=np.random.default_rng(0)).random(512)
    assert [candidate.parameters["x"] for candidate in judged] == sequence[:, 0].tolist()
    assert best.parameters["x"] == sequence.max()


def test_of_a_spread_only_what_is_allowed_and_new_is_judged() -> None:
    allowed = {identity(SMALL, point) for point in small_allowed()}
    taken = frozenset(sorted(allowed)[:5])
    search = CandidateSearch(
        space=SMALL,
        metrics=METRICS,
        known=small_size,
        taken=taken,
        rng=np.random.default_rng(0),
    )
    judged: list[Candidate] = []

    def record(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        judged.extend(candidates)
        return np.zeros(len(candidates))

    assert search.best_of_spread(record) is judged[0]
    keys = [identity(SMALL, candidate.parameters) for candidate in judged]
    assert sorted(keys) == sorted(allowed - taken)
    everything = dataclasses.replace(search, taken=frozenset(allowed))
    assert everything.best_of_spread(record) is None
