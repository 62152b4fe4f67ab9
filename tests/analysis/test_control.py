from pathlib import Path

from limbeck.analysis.control import find_control
from limbeck.config import StudyConfig, parse_config
from limbeck.runs import Run, RunState
from limbeck.space import Value
from tests.tiny import merged, tiny_study


def config(**recipe: float) -> StudyConfig:
    table = merged(tiny_study(), {"recipe": recipe})
    return parse_config(table, folder=Path(), name="study.toml")


def run(number: int, state: RunState = RunState.FINISHED, **parameters: Value) -> Run:
    return Run(number=number, parameters={"num_layers": 2, **parameters}, state=state)


def test_the_control_is_the_finished_run_that_differs_in_distillation_alone() -> None:
    runs = (run(0), run(1, alpha_ce=0.0, num_layers=1), run(2, alpha_ce=0.0), run(3, alpha_ce=0.1))
    assert find_control(runs, config()) == runs[2]
    unfinished = (runs[0], run(2, RunState.RUNNING, alpha_ce=0.0))
    assert find_control(unfinished, config()) is None
    assert find_control((), config()) is None


def test_a_run_that_still_imitates_hidden_states_is_no_control() -> None:
    hidden = config(alpha_hidden=1.0)
    assert find_control((run(0), run(1, alpha_ce=0.0)), hidden) is None
    control = run(2, alpha_ce=0.0, alpha_hidden=0.0)
    assert find_control((run(0), control), hidden) == control


def test_a_baseline_without_distillation_has_no_control() -> None:
    assert find_control((run(0), run(1)), config(alpha_ce=0.0)) is None
