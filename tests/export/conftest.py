"""A study whose finished run has a student of odd widths."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from limbeck.artifacts import WEIGHTS, register
from limbeck.config import load_config
from limbeck.distill.teacher import save_model
from limbeck.files import write_json
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.students.loading import load_teacher, load_tokenizer
from limbeck.study import enter
from tests.tiny import tiny_student, write_tiny_study

LATENCY = {
    "p50_ms": 1.25,
    "p90_ms": 2.5,
    "device": "cpu",
    "threads": 1,
    "batch": 1,
    "length": 32,
    "warmup": 3,
    "repeats": 20,
}


@dataclass(frozen=True)
class Made:
    """A study in a store.

    Attributes:
        folder: Of the study file and all that it names.
        home: Has the store.
    """

    folder: Path
    home: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home / 'store.db'}"


def make_study(folder: Path) -> Made:
    """Make a study of four runs: an odd student, a whole one, a failed one, one without files."""
    config = load_config(write_tiny_study(folder))
    teacher = load_teacher(str(folder / "teacher"))
    tokenizer = load_tokenizer(str(folder / "teacher"))
    made = Made(folder, folder / "home")
    odd = tiny_student(teacher, layers=3, heads=(1, 0, 3), dropout=0.1)
    with Store(made.url) as store:
        enter(store, config, runs=4)
        for number, student in enumerate((odd, teacher)):
            place = made.home / "studies" / "tiny" / "runs" / f"{number:04d}"
            save_model(student, tokenizer, place / WEIGHTS)
            write_json(place / "latency.json", LATENCY)
            outcome = Outcome(
                state=RunState.FINISHED,
                values={"exact": 75.0, "NoAns_exact": 50.0, "total": 12.0, "num_parameters": 9e3},
                errors={"exact": 13.06},
                artifacts=tuple(register(name, place / name) for name in (WEIGHTS, "latency.json")),
            )
            add(store, outcome, num_layers=3)
        add(store, Outcome(state=RunState.FAILED, message="no luck"), num_layers=2)
        add(store, Outcome(state=RunState.FINISHED, values={"exact": 1.0}), num_layers=1)
    return made


def add(store: Store, outcome: Outcome, *, num_layers: int) -> None:
    parameters = {"num_layers": num_layers, "learning_rate": 0.01}
    store.add_run("tiny", parameters, values={}, owner="host:1:1", outcome=outcome)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The study of `make_study`; not to be changed."""
    return make_study(tmp_path_factory.mktemp("export"))


@pytest.fixture
def store(made: Made) -> Iterator[Store]:
    with Store(made.url) as store:
        yield store
