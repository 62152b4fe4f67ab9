"""The command line as a user types it, in the process of the tests."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from limbeck.cli.app import main


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str


Limbeck = Callable[..., Ended]


@pytest.fixture
def limbeck(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Limbeck:
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["limbeck", *map(str, arguments)])
        with pytest.raises(SystemExit, match=r"^[0-9]+$") as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    return run
