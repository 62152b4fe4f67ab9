import pytest

from limbeck.runs import Outcome, Run, RunState


def test_states_are_written_as_the_words_of_the_design():
    assert [str(state) for state in RunState] == [
        "waiting",
        "running",
        "finished",
        "stopped",
        "infeasible",
        "failed",
    ]


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        (RunState.WAITING, False),
        (RunState.RUNNING, False),
        (RunState.FINISHED, True),
        (RunState.STOPPED, True),
        (RunState.INFEASIBLE, True),
        (RunState.FAILED, True),
    ],
)
def test_an_outcome_is_an_end(state, ended):
    assert state.ended is ended
    if ended:
        assert Outcome(state=state).state is state
    else:
        with pytest.raises(
            ValueError, match=rf"^an outcome needs an ended state, but got {state}$"
        ):
            Outcome(state=state)


def test_a_standard_error_without_its_value_is_refused():
    """The store keeps it beside the value: it would be lost."""
    values, errors = {"exact": 60.0, "f1": 64.0}, {"exact": 1.5}
    assert Outcome(state=RunState.FINISHED, values=values, errors=errors).errors == errors
    with pytest.raises(
        ValueError, match=r"^a standard error needs its value, but got only em, f2$"
    ):
        Outcome(state=RunState.FINISHED, values=values, errors={"f2": 1.0, "em": 1.0, "f1": 1.0})


def test_runs_do_not_share_their_values():
    one, other = (Run(number=n, parameters={}, state=RunState.WAITING) for n in (0, 1))
    assert one.values == other.values == {}
    assert one.errors == other.errors == {}
    assert one.values is not other.values
    assert one.errors is not other.errors
