from collections.abc import Sequence

import pytest

from limbeck.errors import ArchitectureError
from limbeck.students.layers import choose_layers, parse_layers


@pytest.mark.parametrize(
    ("depth", "num_layers", "how", "kept"),
    [
        (12, 6, "spread", (0, 2, 4, 7, 9, 11)),
        (6, 4, "spread", (0, 2, 3, 5)),
        (4, 3, "spread", (0, 2, 3)),
        (5, 2, "spread", (0, 4)),
        (5, 1, "spread", (0,)),
        (5, 2, "first", (0, 1)),
        (5, 2, "last", (3, 4)),
        (5, 1, "last", (4,)),
        (12, 3, "0,2,11", (0, 2, 11)),
        (12, 1, "7", (7,)),
        (12, 2, "3, 4", (3, 4)),
    ],
)
def test_choose_layers(depth: int, num_layers: int, how: str, kept: Sequence[int]) -> None:
    assert choose_layers(depth, num_layers, how) == kept


@pytest.mark.parametrize("how", ["first", "last", "spread"])
def test_chosen_layers_are_as_many_as_asked_for_and_ascend(how: str) -> None:
    for depth in range(1, 25):
        for num_layers in range(1, depth + 1):
            kept = choose_layers(depth, num_layers, how)
            assert len(kept) == num_layers
            assert list(kept) == sorted(set(kept))
            assert set(kept) <= set(range(depth))


@pytest.mark.parametrize("how", ["first", "last", "spread"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_deeper_student_keeps_all_layers(how: str, depth: int) -> None:
    assert choose_layers(depth, depth + 3, how) == tuple(range(depth))


@pytest.mark.parametrize(
    ("num_layers", "how", "message"),
    [
        (0, "first", "num_layers must be at least 1, but got 0; raise it"),
        (2, "1,4", "must be between 0 and 3, the last one there is, but got 4; leave it out"),
        (3, "0,1", "must be the number of the listed layers, but got 3 and 2 of them"),
        (1, "0,1", "must be the number of the listed layers, but got 1 and 2 of them"),
        (2, "1,0", "listed layers must ascend, but got '1,0'; sort them"),
        (2, "1,1", "listed layers must ascend, but got '1,1'"),
        (2, "middle", """"first", "last", "spread" or a list such as "0,2,5", but got 'middle'"""),
        (2, "0,,1", "or a list such as .* but got '0,,1'"),
        (2, "-1,0", "or a list such as .* but got '-1,0'"),
        (1, "", "or a list such as .* but got ''"),
    ],
)
def test_choose_layers_refuses_what_cannot_be_kept(num_layers: int, how: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        choose_layers(4, num_layers, how)


@pytest.mark.parametrize(
    ("how", "listed"),
    [("first", None), ("last", None), ("spread", None), ("4", (4,)), ("0, 2,11", (0, 2, 11))],
)
def test_parse_layers(how: str, listed: tuple[int, ...] | None) -> None:
    assert parse_layers(how) == listed
