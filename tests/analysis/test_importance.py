import math
from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator

from limbeck.analysis.importance import (
    FRONTIER,
    Dependence,
    forest_importances,
    frontier_distances,
    importance_targets,
    measured,
    partial_dependence,
)
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.frontier import frontier
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Forecast, Run, RunState
from limbeck.sensitivity import Importances
from limbeck.space import Choice, Float, Integer, Parameters, When
from tests.sampled import (
    ISHIGAMI_FIRST,
    ISHIGAMI_TOTAL,
    ishigami,
    ishigami_parameters,
    sampled_runs,
    sampled_study,
    sobol_g,
    sobol_g_indices,
    unit_parameters,
)

SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
SCORE = Metric(name="score", goal=Goal.MAXIMIZE)


def indices(found: Importances, names: list[str]) -> tuple[list[float], list[float]]:
    """Return first-order and total indices in the order of the names."""
    by_name = {each.parameter: each for each in found.parameters}
    return [by_name[name].first for name in names], [by_name[name].total for name in names]


def finished(number: int, values: dict[str, float], **changes: object) -> Run:
    run = Run(number=number, parameters={"x": 0.5}, state=RunState.FINISHED, values=values)
    return replace(run, **changes)  # type: ignore[arg-type]


def test_ishigamis_function_from_1024_runs() -> None:
    found = forest_importances(sampled_study(ishigami_parameters(), ishigami, n=1024), "score")
    first, total = indices(found, ["a", "b", "c"])
    np.testing.assert_allclose(first, ISHIGAMI_FIRST, atol=0.05)
    np.testing.assert_allclose(total, ISHIGAMI_TOTAL, atol=0.05)
    assert (found.n, found.inert, found.warning) == (1024, (), "")
    assert found.r2 is not None
    assert found.r2 > 0.9
    largest = found.interactions[0]
    assert set(largest.parameters) == {"a", "c"}
    assert largest.share == pytest.approx(0.2437, abs=0.05)


def test_sobols_g_function_from_512_runs() -> None:
    found = forest_importances(sampled_study(unit_parameters(6), sobol_g, n=512), "score")
    first, total = indices(found, [f"x{i}" for i in range(6)])
    expected = sobol_g_indices()
    np.testing.assert_allclose(first, expected[0], atol=0.05)
    np.testing.assert_allclose(total, expected[1], atol=0.05)
    assert [each.parameter for each in found.parameters[:2]] == ["x0", "x1"]
    assert {"x4", "x5"} <= set(found.inert)
    for each in found.parameters:
        assert each.first_interval[0] <= each.first <= each.first_interval[1]
        assert each.total_interval[0] <= each.total <= each.total_interval[1]


def test_inert_parameters_are_last_and_called_so_in_128_noisy_runs() -> None:
    def function(point: Parameters) -> float:
        return 4 * float(point["x0"]) + 3 * float(point["x4"]) + 2 * float(point["x2"])

    study = sampled_study(unit_parameters(8), function, n=128, noise=0.3)
    found = forest_importances(study, "score")
    first, total = indices(found, ["x0", "x4", "x2"])
    expected = np.array([16, 9, 4]) / 29
    np.testing.assert_allclose(first, expected, atol=0.05)
    np.testing.assert_allclose(total, expected, atol=0.05)
    assert [each.parameter for each in found.parameters[:3]] == ["x0", "x4", "x2"]
    assert not {"x0", "x4", "x2"} & set(found.inert)
    # The rule lets one in twenty through.
    assert len(found.inert) >= 4
    order = [each.parameter for each in found.parameters]
    assert set(order[-len(found.inert) :]) == set(found.inert)


def test_pure_noise_depends_on_nothing_and_is_warned_of() -> None:
    study = sampled_study(unit_parameters(6), lambda _: 0.0, n=64, noise=1.0)
    found = forest_importances(study, "score")
    assert len(found.inert) >= 4
    assert found.warning.startswith("the forest predicts ")


def test_a_parameter_counts_only_where_it_is_active() -> None:
    # Of 1[on] * strength the shares are .6 and .2 alone and .2 together: strength is on half the
    # time, with mean 1/2 and variance 1/12.
    parameters = (
        Choice(name="mode", choices=("off", "on")),
        Float(name="strength", low=0.0, high=1.0, when=(When(parameter="mode", values=("on",)),)),
        Float(name="other", low=0.0, high=1.0),
    )
    study = sampled_study(parameters, lambda p: float(p.get("strength", 0.0)), n=512)
    found = forest_importances(study, "score")
    first, total = indices(found, ["mode", "strength", "other"])
    np.testing.assert_allclose(first, [0.6, 0.2, 0.0], atol=0.03)
    np.testing.assert_allclose(total, [0.8, 0.4, 0.0], atol=0.03)
    assert found.inert == ("other",)
    curves = {each.parameter: each for each in partial_dependence(study, "score")}
    np.testing.assert_allclose(curves["strength"].means, np.linspace(0, 1, 17), atol=0.05)
    assert curves["mode"].values == ("off", "on")
    np.testing.assert_allclose(curves["mode"].means, [0.0, 0.5], atol=0.06)
    np.testing.assert_allclose(curves["other"].means, 0.25, atol=0.06)


def test_a_choice_is_one_parameter_and_log_scales_are_followed() -> None:
    parameters = (
        Choice(name="kind", choices=("a", "b", "c", "d")),
        Float(name="rate", low=1e-4, high=1e-1, log=True),
        Integer(name="layers", low=1, high=6),
    )
    worth = {"a": 0.0, "b": 1.0, "c": 4.0, "d": 0.0}

    def function(point: Parameters) -> float:
        return (
            worth[str(point["kind"])] + math.log10(float(point["rate"])) + int(point["layers"]) / 2
        )

    study = sampled_study(parameters, function, n=256)
    first, _ = indices(forest_importances(study, "score"), ["kind", "rate", "layers"])
    variances = np.array([np.var([0, 1, 4, 0]), 9 / 12, 35 / 12 / 4])
    np.testing.assert_allclose(first, variances / variances.sum(), atol=0.05)


def test_optunas_fanova_says_about_the_same() -> None:
    def function(point: Parameters) -> float:
        x, y, z = (float(point[f"x{i}"]) for i in range(3))
        return 4 * x + 3 * (y - 0.5) ** 2 + z + 2 * x * z

    study = sampled_study(unit_parameters(5), function, n=256, noise=0.05)
    theirs = optuna.create_study(direction="maximize")
    ranges: dict[str, BaseDistribution] = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(5)}
    for run in study.runs:
        trial = optuna.trial.create_trial(
            params=dict(run.parameters), distributions=ranges, value=run.values["score"]
        )
        theirs.add_trial(trial)
    evaluated = optuna.importance.get_param_importances(
        theirs, evaluator=FanovaImportanceEvaluator(seed=0)
    )
    found = forest_importances(study, "score")
    names = list(ranges)
    first, _ = indices(found, names)
    assert [each.parameter for each in found.parameters[:2]] == list(evaluated)[:2]
    shares = np.array(first) / sum(first)  # Theirs sum up to 1.
    np.testing.assert_allclose(shares, [evaluated[name] for name in names], atol=0.06)


def test_the_seed_decides() -> None:
    study = sampled_study(unit_parameters(2), lambda p: float(p["x0"]), n=16, noise=0.2)
    one, same, other = (forest_importances(study, "score", seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_too_few_runs_and_runs_that_do_not_differ_say_so() -> None:
    study = sampled_study(unit_parameters(2), lambda _: 1.0, n=8)
    seven = replace(study, runs=study.runs[:7])
    assert forest_importances(seven, "score").warning == (
        "importance needs at least 8 finished runs, but there are 7"
    )
    assert forest_importances(study, "score").warning == (
        "all 8 runs have the same value, so no parameter explains a difference"
    )
    assert partial_dependence(seven, "score") == partial_dependence(study, "score") == ()
    with pytest.raises(NotFoundError, match="but no 'nope'; 'frontier' is there, too"):
        forest_importances(study, "nope")


def test_finished_runs_and_forecasts_of_stopped_ones_count() -> None:
    parameters = (Float(name="x", low=0.0, high=1.0),)
    forecast = {"score": Forecast(mean=60.0, std=1.0)}
    runs = (
        finished(0, {"score": 70.0, "size": 9.0}),
        finished(1, {"score": 50.0, "size": 8.0}, state=RunState.STOPPED, forecasts=forecast),
        finished(2, {"score": 40.0, "size": 7.0}, state=RunState.STOPPED),
        finished(3, {"score": 20.0, "size": 6.0}, state=RunState.INFEASIBLE),
        finished(4, {"score": math.nan, "size": 5.0}),
        finished(5, {"score": 30.0, "size": 4.0}, parameters={"x": 0.5, "alpha_ce": 0.0}),
        finished(6, {"score": 35.0, "size": 3.0}, forecasts=forecast),
        finished(7, {"size": 2.0}, state=RunState.RUNNING),
    )
    study = StudyResults(name="s", metrics=(SCORE, SIZE), parameters=parameters, runs=runs)
    counted, values = measured(study, "score")
    assert [run.number for run in counted] == [0, 1, 6]
    assert values.tolist() == [70.0, 60.0, 60.0]
    counted, values = measured(study, "size")
    assert [run.number for run in counted] == [0, 1, 2, 4, 6]
    counted, _ = measured(study, FRONTIER)
    assert [run.number for run in counted] == [0, 1, 6]
    assert importance_targets(study) == ("score", "size", "frontier")


def test_the_distance_from_a_frontier_made_by_hand() -> None:
    score = replace(SCORE, threshold=65.0)
    runs = (
        finished(0, {"score": 90.0, "size": 1000.0}),
        finished(1, {"score": 70.0, "size": 10.0}),
        finished(2, {"score": 75.0, "size": 100.0}),
        finished(3, {"score": 72.0, "size": 10**2.5}),  # 3 points below run 2, of a range of 20
        finished(4, {"score": 60.0, "size": 10.0}),  # 5 points below the threshold
        finished(5, {"score": 10.0, "size": 1.0}),  # more than the whole range
        finished(6, {"score": 80.0, "size": math.inf}),
        finished(
            7, {"score": 74.0, "size": 10**2.1}
        ),  # run 2 is smaller by a twentieth of the range
    )
    distances = frontier_distances(runs, (score, SIZE))
    np.testing.assert_allclose(
        distances, [0.0, 0.0, 0.0, 0.15, 0.25, 1.0, math.nan, 0.05], atol=1e-12
    )


def test_a_constraint_adds_its_own_distance_and_no_rivals() -> None:
    latency = Metric(name="ms", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=8.0)
    runs = (
        finished(0, {"score": 90.0, "ms": 8.0}),
        finished(1, {"score": 80.0, "ms": 2.0}),  # faster, which does not count
        finished(2, {"score": 95.0, "ms": 16.0}),  # twice the limit; the range is a factor of 4
    )
    assert frontier_distances(runs, (SCORE, latency)).tolist() == pytest.approx([0.0, 1.0, 0.5])
    assert np.isnan(frontier_distances(runs[2:], (SCORE, latency))).all()
    assert frontier_distances((), (SCORE, latency)).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=12))
def test_a_little_more_than_its_distance_brings_a_run_to_the_frontier(
    pairs: list[tuple[int, int]],
) -> None:
    # Scores alone: no logarithms, so that the way to go is the distance times the range.
    metrics = (SCORE, replace(SCORE, name="other"))
    runs = [finished(i, {"score": a, "other": b}) for i, (a, b) in enumerate(pairs)]
    spans = [float(np.ptp([pair[k] for pair in pairs])) or 1.0 for k in (0, 1)]
    distances = frontier_distances(runs, metrics)
    for run, distance in zip(runs, distances.tolist(), strict=True):
        others = [each for each in runs if each is not run]
        for change, reaches in ((1e-6, True), (-1e-6, False)):
            step = distance + change
            values = {
                "score": run.values["score"] + step * spans[0],
                "other": run.values["other"] + step * spans[1],
            }
            front = frontier([*others, replace(run, values=values)], metrics)
            if reaches or distance > 0:
                assert (run.number in {each.number for each in front}) == reaches


def test_what_brings_runs_to_the_frontier_is_the_recipe_not_the_size() -> None:
    # Size moves a run along the frontier; the rate decides how far behind it is.
    parameters = (*unit_parameters(1), Float(name="rate", low=0.0, high=1.0))

    def values(point: Parameters) -> dict[str, float]:
        size = 10 + 90 * float(point["x0"])
        return {"size": size, "score": 20 * math.log(size) - 40 * abs(float(point["rate"]) - 0.5)}

    runs = sampled_runs(parameters, values, n=128)
    study = StudyResults(name="s", metrics=(SCORE, SIZE), parameters=parameters, runs=runs)
    found = forest_importances(study, FRONTIER)
    first, _ = indices(found, ["rate", "x0"])
    assert first[0] > 0.75
    assert first[1] < 0.1
    curve: Dependence = partial_dependence(study, FRONTIER)[1]
    lowest = curve.values[int(np.argmin(curve.means))]
    assert lowest == pytest.approx(0.5, abs=0.15)
    assert all(low <= high for low, high in zip(curve.low, curve.high, strict=True))


def test_of_very_many_runs_some_are_drawn() -> None:
    study = sampled_study(unit_parameters(2), lambda point: float(point["x0"]), n=2048)
    found = forest_importances(study, "score")
    assert found.n == 1024
    assert found.parameters[0].parameter == "x0"
