"""Parameters and states there and back."""

import math
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from limbeck.integrations.optuna.translation import Translation, distribution_with
from limbeck.integrations.optuna.trials import objective_names, to_run, to_runs
from limbeck.runs import RunState
from limbeck.space import Choice, Float, Integer, Parameter, Value

X: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


@pytest.mark.parametrize(
    ("distribution", "parameter"),
    [
        (FloatDistribution(0.1, 0.7), Float(name="p", low=0.1, high=0.7)),
        (FloatDistribution(1e-5, 1.0, log=True), Float(name="p", low=1e-5, high=1.0, log=True)),
        (FloatDistribution(0.0, 0.9, step=0.3), Float(name="p", low=0.0, high=0.9, step=0.3)),
        (FloatDistribution(2.0, 2.0), Float(name="p", low=2.0, high=2.0)),
        (IntDistribution(-4, 8, step=3), Integer(name="p", low=-4, high=8, step=3)),
        (IntDistribution(1, 64, log=True), Integer(name="p", low=1, high=64, log=True)),
        (CategoricalDistribution(["a", 2, 0.5]), Choice(name="p", choices=("a", 2, 0.5))),
        (CategoricalDistribution([True]), Choice(name="p", choices=(True,))),
        (CategoricalDistribution([None, "a"]), Choice(name="p", choices=("0: None", "1: 'a'"))),
        (CategoricalDistribution([True, 1]), Choice(name="p", choices=(True,))),
        (CategoricalDistribution([1, "a", 1.0]), Choice(name="p", choices=(1, "a"))),
        (CategoricalDistribution([None, 1, True]), Choice(name="p", choices=("0: None", "1: 1"))),
        (CategoricalDistribution([math.nan, 1]), Choice(name="p", choices=("0: nan", "1: 1"))),
    ],
)
def test_distributions_become_parameters(
    distribution: BaseDistribution, parameter: Parameter
) -> None:
    translation = Translation({"p": distribution})
    assert translation.space.parameters == (parameter,)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (FloatDistribution(-10.2, 10.2, step=0.1), [-10.2, -0.1, 0.3, 10.2]),
        (FloatDistribution(1e-7, 1.0, log=True), [1e-7, 0.3, 1.0]),
        (IntDistribution(3, 9, step=2), [3, 5, 9]),
        (CategoricalDistribution([None, False, 0.5, "a"]), [None, False, 0.5, "a"]),
    ],
)
def test_values_come_back_as_they_were(distribution: BaseDistribution, values: list[Any]) -> None:
    translation = Translation({"p": distribution})
    for value in values:
        parameters = translation.to_run({"p": value, "other": 1})
        assert parameters is not None
        back = translation.to_trial(parameters)
        assert back == {"p": value}
        assert type(back["p"]) is type(value)


@pytest.mark.parametrize("params", [{}, {"x": 2.0}, {"x": "a"}, {"x": math.nan}])
def test_params_of_another_space_are_no_run(params: dict[str, Any]) -> None:
    assert Translation(X).to_run(params) is None
    assert Translation({"x": CategoricalDistribution(["b"])}).to_run(params) is None


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (Float(name="p", low=0.1, high=0.7), 0.2, FloatDistribution(0.1, 0.7)),
        (Float(name="p", low=0.1, high=0.7), 0.0, FloatDistribution(0.0, 0.7)),
        (Float(name="p", low=0.0, high=1.0, step=0.5), 0.5, FloatDistribution(0, 1, step=0.5)),
        (Float(name="p", low=0.0, high=1.0, step=0.5), 1.2, FloatDistribution(0, 1.2)),
        (
            Float(name="p", low=1.0, high=3.0, log=True, step=1.0),
            2.0,
            FloatDistribution(1, 3, log=True),
        ),
        (Float(name="p", low=1e-4, high=1e-2, log=True), 0.0, None),
        (Integer(name="p", low=2, high=6, step=2), 4, IntDistribution(2, 6, step=2)),
        (Integer(name="p", low=2, high=6, step=2), 7, IntDistribution(2, 7)),
        (
            Integer(name="p", low=32, high=96, step=32, log=True),
            64,
            IntDistribution(32, 96, log=True),
        ),
        (Integer(name="p", low=2, high=6), 2.5, None),
        (Choice(name="p", choices=("a", "b")), "b", CategoricalDistribution(("a", "b"))),
        (Choice(name="p", choices=("a", "b")), "c", None),
    ],
)
def test_parameters_become_distributions_that_have_the_value(
    parameter: Parameter, value: Value, expected: BaseDistribution | None
) -> None:
    assert distribution_with(parameter, value) == expected


def trial(state: TrialState, **given: Any) -> FrozenTrial:
    return create_trial(state=state, params={"x": 0.5}, distributions=X, **given)


@pytest.mark.parametrize(
    ("given", "state", "values"),
    [
        (trial(TrialState.COMPLETE, value=2.0), RunState.FINISHED, {"loss": 2.0}),
        (trial(TrialState.PRUNED, value=3.0), RunState.STOPPED, {"loss": 3.0}),
        (trial(TrialState.PRUNED), RunState.INFEASIBLE, {}),
        (trial(TrialState.FAIL), RunState.FAILED, {}),
        (trial(TrialState.RUNNING), RunState.RUNNING, {}),
        (
            trial(
                TrialState.COMPLETE,
                value=2.0,
                user_attrs={"loss": 9, "size": 7, "ok": True, "nan": math.nan, "note": "a"},
                system_attrs={"constraints": [0.5], "constraints:memory": -1.0},
            ),
            RunState.FINISHED,
            {"loss": 2.0, "size": 7.0, "constraints:0": 0.5, "constraints:memory": -1.0},
        ),
    ],
)
def test_states_and_values_of_trials(
    given: FrozenTrial, state: RunState, values: dict[str, float]
) -> None:
    run = to_run(given, Translation(X), ["loss"])
    assert run is not None
    assert (run.state, run.values) == (state, values)


def test_a_trial_without_a_constraint_teaches_what_it_has() -> None:
    constrained = {"constraints": [0.5]}
    trials = [
        trial(TrialState.COMPLETE, value=1.0, system_attrs=constrained),
        trial(TrialState.COMPLETE, value=2.0),
        trial(TrialState.COMPLETE, value=math.inf),
        trial(TrialState.FAIL),
    ]
    runs = to_runs(trials, Translation(X), ["loss"])
    assert [run.state for run in runs] == [
        RunState.FINISHED, RunState.STOPPED, RunState.FINISHED, RunState.FAILED
    ]  # fmt: skip
    assert runs[1].values == {"loss": 2.0}
    assert to_runs(trials[1:2], Translation(X), ["loss"])[0].state is RunState.FINISHED


def test_an_enqueued_trial_waits_with_its_params() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.25})
    run = to_run(study.trials[0], Translation(X), ["loss"])
    assert run is not None
    assert (run.state, run.parameters) == (RunState.WAITING, {"x": 0.25})


def test_a_pruned_trial_keeps_its_last_intermediate_value() -> None:
    study = optuna.create_study()
    running = study.ask(dict(X))
    running.report(7.0, step=0)
    running.report(4.0, step=1)
    study.tell(running, state=TrialState.PRUNED)
    run = to_run(study.trials[0], Translation(X), ["loss"])
    assert run is not None
    assert (run.state, run.values) == (RunState.STOPPED, {"loss": 4.0})


def test_objectives_are_called_as_in_tables_of_optuna() -> None:
    single = optuna.create_study()
    several = optuna.create_study(directions=["minimize", "maximize"])
    several.tell(several.ask(), (1.0, 2.0))
    assert objective_names(single) == ("value",)
    assert objective_names(several) == ("values_0", "values_1")
    assert {*objective_names(several)} <= {*several.trials_dataframe().columns}
