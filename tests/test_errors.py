import inspect
import re

import pytest

from limbeck import errors
from limbeck.errors import (
    ArchitectureError,
    DivergedError,
    InfeasibleError,
    InputError,
    LimbeckError,
    LimbeckWarning,
    OutOfMemoryError,
)

CLASSES = {
    name: member
    for name, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, LimbeckError)
}


def drawn_parents() -> dict[str, str]:
    """Return the parent of each class in the tree that the module's docstring draws."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^ {4}([│├└─ ]*)(\w+Error)\b", errors.__doc__, re.MULTILINE):
        depth = len(indent) // 4
        path = [*path[:depth], name]
        parents[name] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_drawn_tree_is_the_tree_of_classes():
    assert drawn_parents() == {name: member.__mro__[1].__name__ for name, member in CLASSES.items()}


def test_input_errors_and_infeasible_runs_are_told_apart():
    assert not issubclass(InputError, InfeasibleError)
    assert not issubclass(InfeasibleError, InputError)


def test_a_warning_is_no_error():
    assert issubclass(LimbeckWarning, UserWarning)
    assert not issubclass(LimbeckWarning, LimbeckError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InfeasibleError, "infeasible"),
        (ArchitectureError, "architecture"),
        (DivergedError, "diverged"),
        (OutOfMemoryError, "out-of-memory"),
    ],
)
def test_an_infeasible_run_has_a_reason_in_a_word(error, reason):
    assert error("16 heads of 12").reason == reason
