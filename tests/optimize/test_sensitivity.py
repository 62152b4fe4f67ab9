from dataclasses import replace

import numpy as np
import pytest

from limbeck.cube import ParameterCube
from limbeck.metrics import Metric
from limbeck.optimize.sensitivity import draw_paths, left_out_r2, surrogate_importances
from limbeck.optimize.surrogate import Surrogate
from limbeck.runs import Run, RunState
from limbeck.sensitivity import Importances
from limbeck.space import Choice, Float, Parameter, Parameters, SearchSpace, When
from tests.sampled import (
    ISHIGAMI_FIRST,
    ISHIGAMI_TOTAL,
    SCORE,
    ishigami,
    ishigami_parameters,
    sampled_runs,
    sobol_g,
    sobol_g_indices,
    unit_parameters,
)

# Beyond no threshold, nothing is squeezed: the shares are those of the values themselves.
OPEN = replace(SCORE, threshold=-1000.0)


def importances(
    parameters: tuple[Parameter, ...], runs: tuple[Run, ...], metric: Metric = OPEN
) -> Importances:
    (found,) = surrogate_importances(
        runs, space=SearchSpace(parameters), metrics=(metric,), seed=0, given_noise=False
    )
    return found


def indices(found: Importances, names: list[str]) -> tuple[list[float], list[float]]:
    by_name = {each.parameter: each for each in found.parameters}
    return [by_name[name].first for name in names], [by_name[name].total for name in names]


def observations(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.random((n, 2))
    return X, np.sin(5 * X[:, 0]) + X[:, 1] + 0.1 * rng.standard_normal(n)


def test_ishigamis_function_from_256_runs() -> None:
    parameters = ishigami_parameters()
    runs = sampled_runs(parameters, lambda p: {"score": ishigami(p)}, n=256)
    found = importances(parameters, runs)
    first, total = indices(found, ["a", "b", "c"])
    np.testing.assert_allclose(first, ISHIGAMI_FIRST, atol=0.05)
    np.testing.assert_allclose(total, ISHIGAMI_TOTAL, atol=0.05)
    assert (found.source, found.n, found.warning) == ("surrogate", 256, "")
    assert set(found.interactions[0].parameters) == {"a", "c"}
    assert found.interactions[0].share == pytest.approx(0.2437, abs=0.05)
    assert found.r2 is not None
    assert found.r2 > 0.95


def test_sobols_g_function_from_256_runs() -> None:
    parameters = unit_parameters(6)
    runs = sampled_runs(parameters, lambda p: {"score": sobol_g(p)}, n=256)
    found = importances(parameters, runs)
    first, total = indices(found, [f"x{i}" for i in range(6)])
    expected = sobol_g_indices()
    np.testing.assert_allclose(first, expected[0], atol=0.05)
    np.testing.assert_allclose(total, expected[1], atol=0.05)
    assert [each.parameter for each in found.parameters[:2]] == ["x0", "x1"]


def test_inert_parameters_are_last_and_called_so() -> None:
    parameters = unit_parameters(8)

    def values(point: Parameters) -> dict[str, float]:
        return {"score": 4 * float(point["x1"]) + 2 * float(point["x6"]) + float(point["x3"])}

    found = importances(parameters, sampled_runs(parameters, values, n=64))
    assert [each.parameter for each in found.parameters[:3]] == ["x1", "x6", "x3"]
    first, total = indices(found, ["x1", "x6", "x3"])
    np.testing.assert_allclose([first, total], [np.array([16, 4, 1]) / 21] * 2, atol=0.02)
    assert set(found.inert) == {"x0", "x2", "x4", "x5", "x7"}


def test_choices_and_inactive_parameters() -> None:
    parameters = (
        Choice(name="mode", choices=("off", "on", "out")),
        Float(name="strength", low=0.0, high=1.0, when=(When(parameter="mode", values=("on",)),)),
    )

    def values(point: Parameters) -> dict[str, float]:
        return {"score": 3 * float(point.get("strength", 0.0))}

    found = importances(parameters, sampled_runs(parameters, values, n=64))
    # Strength counts in one of three modes, with mean 1/2 and variance 1/12: of the variance 1/12,
    # the mode has 1/18 alone, strength 1/108, both together the rest, 2/108.
    first, total = indices(found, ["mode", "strength"])
    np.testing.assert_allclose(first, [2 / 3, 1 / 9], atol=0.04)
    np.testing.assert_allclose(total, [8 / 9, 1 / 3], atol=0.05)


def test_only_ended_runs_of_the_space_count_and_known_metrics_have_no_surrogate() -> None:
    parameters = unit_parameters(1)
    runs = list(sampled_runs(parameters, lambda p: {"score": float(p["x0"]), "size": 1.0}, n=16))
    runs.append(Run(number=16, parameters={"x0": 0.3}, state=RunState.RUNNING))
    runs.append(replace(runs[0], number=17, parameters={"x0": 0.3, "alpha": 0.0}))
    size = Metric(name="size", goal="minimize", known=True)  # type: ignore[arg-type]
    stored = Metric(name="f1", goal="maximize", role="store")  # type: ignore[arg-type]
    found = surrogate_importances(
        runs, space=SearchSpace(parameters), metrics=(OPEN, size, stored), seed=0, given_noise=False
    )
    assert [(each.metric, each.n) for each in found] == [("score", 16)]
    assert found[0].parameters[0].total == pytest.approx(1.0, abs=0.02)


def test_too_few_runs_say_so() -> None:
    parameters = unit_parameters(1)
    runs = sampled_runs(parameters, lambda p: {"score": float(p["x0"])}, n=8)
    assert importances(parameters, runs[:1]).warning == (
        "the runs have too few values, or no different ones, for a surrogate"
    )
    few = importances(parameters, runs[:7])
    assert few.warning == "importance needs at least 8 runs with a value, but there are 7"
    assert few.parameters == ()


def test_drawn_functions_have_mean_and_deviation_of_the_posterior() -> None:
    X, y = observations(30)
    surrogate = Surrogate.fit(X, y, seed=0)
    sets = len(surrogate.posteriors(X[:1])[0])
    fresh = np.random.default_rng(1).random((5, 2))
    draws = [draw_paths(surrogate.model, seed=seed)(fresh) for seed in range(100)]
    values = np.array(draws).reshape(100, sets, -1, 5).transpose(1, 0, 2, 3).reshape(sets, -1, 5)
    means, deviations = surrogate.posteriors(fresh)
    scale = np.std(y, ddof=1)
    np.testing.assert_allclose(
        values.mean(axis=1) * scale + y.mean(), means, atol=0.3 * deviations.max()
    )
    np.testing.assert_allclose(values.std(axis=1) * scale, deviations, rtol=0.3)


def test_a_drawn_function_is_one_function_however_its_points_come() -> None:
    X, y = observations(12)
    paths = draw_paths(Surrogate.fit(X, y, seed=0).model, seed=0)
    fresh = np.random.default_rng(1).random((1500, 2))
    halves = [paths(fresh[:700]), paths(fresh[700:])]
    np.testing.assert_allclose(paths(fresh), np.hstack(halves), atol=1e-9)


def test_what_is_left_out_is_predicted_as_without_it() -> None:
    X, y = observations(15)
    surrogate = Surrogate.fit(X, y, seed=0)
    model = surrogate.model
    standard = (y - y.mean()) / np.std(y, ddof=1)
    predictions = np.empty(len(y))
    # The same kernel and noise on all observations but one, solved with plain numpy.
    K = model.covar_module(model.train_inputs[0]).to_dense().detach().numpy()
    noise = model.likelihood.noise.detach().numpy().reshape(len(K), -1)
    constant = model.mean_module.constant.detach().numpy().reshape(-1)
    for i in range(len(y)):
        rest = np.delete(np.arange(len(y)), i)
        each = []
        for s in range(len(K)):
            covariance = K[s][np.ix_(rest, rest)] + noise[s][0] * np.eye(len(rest))
            weights = np.linalg.solve(covariance, standard[rest] - constant[s])
            each.append(constant[s] + K[s][i, rest] @ weights)
        predictions[i] = np.mean(each)
    expected = 1 - np.square(standard - predictions).sum() / np.square(standard).sum()
    assert left_out_r2(model) == pytest.approx(expected, abs=1e-6)


def test_places_go_to_the_surrogate_as_the_optimizer_encodes_them() -> None:
    # An inactive parameter stands at a half for the optimizer, not where forests put it.
    space = SearchSpace(
        (
            Choice(name="mode", choices=("off", "on")),
            Float(name="x", low=0.0, high=1.0, when=(When(parameter="mode", values=("on",)),)),
        )
    )
    assert ParameterCube(space).encode(np.array([[0.2, 0.9]])).tolist() == [[1.0, 0.0, 0.5]]
