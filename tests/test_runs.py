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


def test_runs_do_not_share_their_values():
    one, other = (Run(number=n, parameters={}, state=RunState.WAITING) for n in (0, 1))
    assert one.values == other.values == {}
    assert one.values is not other.values
