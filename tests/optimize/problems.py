"""Search problems whose answers are known."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from limbeck.errors import ArchitectureError
from limbeck.metrics import Goal, Metric
from limbeck.optimize.sampler import Sampler
from limbeck.runs import Run, RunState
from limbeck.space import (
    Choice,
    Constraint,
    Float,
    Integer,
    Parameters,
    SearchSpace,
    Value,
    When,
)

METRICS = (
    Metric(name="accuracy", goal=Goal.MAXIMIZE, threshold=50.0),
    Metric(name="size", goal=Goal.MINIMIZE, threshold=900.0, known=True),
)

SQUARE = SearchSpace((Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)))
SCORE = Metric(name="score", goal=Goal.MAXIMIZE)
COST = Metric(name="cost", goal=Goal.MINIMIZE, known=True)

SMALL = SearchSpace(
    (
        Integer(name="depth", low=1, high=4),
        Choice(name="width", choices=(64, 128, 256)),
        Choice(name="tied", choices=(False, True)),
    ),
    (
        Constraint(
            name="a tied student is at least two layers deep",
            holds=lambda p: not p["tied"] or p["depth"] != 1,
        ),
    ),
)

MIXED = SearchSpace(
    (
        Integer(name="depth", low=1, high=12),
        Integer(name="width", low=32, high=768, log=True, step=32),
        Float(name="rate", low=1e-6, high=1e-2, log=True),
        Choice(name="loss", choices=("mse", "kl")),
        Float(name="dropout", low=0.0, high=0.5),
    )
)

CONDITIONAL = SearchSpace(
    (
        Float(
            name="warmup",
            low=0.0,
            high=0.2,
            step=0.1,
            when=(When(parameter="schedule", values=("linear",)),),
        ),
        Choice(
            name="schedule",
            choices=("constant", "linear"),
            when=(When(parameter="optimizer", values=("adam",)),),
        ),
        Choice(name="optimizer", choices=("sgd", "adam", "none")),
        Integer(name="depth", low=1, high=4),
        Integer(name="heads_2", low=1, high=2, when=(When(parameter="depth", at_least=3),)),
    ),
    (
        Constraint(
            name="a third layer is no wider than deep",
            holds=lambda p: float(p["depth"]) - float(p["heads_2"]) > 1,
            needs=("heads_2",),
        ),
    ),
)


def conditional_allowed() -> list[dict[str, Value]]:
    """All points of CONDITIONAL that may be run, by hand."""
    optimizers: list[dict[str, Value]] = [
        {"optimizer": "sgd"},
        {"optimizer": "none"},
        {"optimizer": "adam", "schedule": "constant"},
        {"optimizer": "adam", "schedule": "linear", "warmup": 0.0},
        {"optimizer": "adam", "schedule": "linear", "warmup": 0.1},
        {"optimizer": "adam", "schedule": "linear", "warmup": 0.2},
    ]
    students: list[dict[str, Value]] = [
        {"depth": 1},
        {"depth": 2},
        {"depth": 3, "heads_2": 1},
        {"depth": 4, "heads_2": 1},
        {"depth": 4, "heads_2": 2},
    ]
    return [one | other for one in optimizers for other in students]


def small_size(parameters: Parameters) -> dict[str, float]:
    """Depth times width; there is no student of depth 3 and width 128."""
    if (parameters["depth"], parameters["width"]) == (3, 128):
        raise ArchitectureError("no student of depth 3 and width 128")
    return {"size": float(parameters["depth"]) * float(parameters["width"])}


def small_allowed() -> list[dict[str, Value]]:
    """All points of SMALL that may be run, by brute force."""
    return [
        {"depth": depth, "width": width, "tied": tied}
        for depth, width, tied in itertools.product((1, 2, 3, 4), (64, 128, 256), (False, True))
        if not (tied and depth == 1) and (depth, width) != (3, 128) and depth * width <= 900
    ]


def mixed_size(parameters: Parameters) -> dict[str, float]:
    """Parameter count of a Transformer encoder, in units of 100,000."""
    return {"size": 10 + float(parameters["depth"]) * 12 * float(parameters["width"]) ** 2 / 1e5}


def accuracy(parameters: Parameters) -> float:
    """Saturates with depth and width; has a best learning rate, and a cliff beyond it."""
    depth, width = float(parameters.get("depth", 6)), float(parameters.get("width", 256))
    capacity = 1 - math.exp(-2 * depth / 3 * math.sqrt(width / 768))
    rate = float(parameters.get("rate", 3e-4))
    miss = math.log10(rate) - math.log10(3e-4) + 0.5 * math.log10(width / 256)
    if miss > 1:
        return 10.0
    recipe = math.exp(-(miss**2) / 0.8) * (1 - 0.2 * float(parameters.get("dropout", 0.0)))
    return 40 + 50 * capacity * recipe * (0.95 if parameters.get("loss") == "mse" else 1.0)


def finished(number: int, parameters: Parameters, values: Mapping[str, float]) -> Run:
    return Run(number=number, parameters=parameters, state=RunState.FINISHED, values=values)


def search(
    sampler: Sampler,
    known: Callable[[Parameters], Mapping[str, float]],
    count: int,
    *,
    state: RunState = RunState.FINISHED,
    measure: Callable[[Parameters], float] = accuracy,
) -> list[Run]:
    """Return the first runs of a study with one worker, all of which end in one state."""
    runs: list[Run] = []
    for number in range(count):
        parameters = sampler.suggest(runs)
        values = dict(known(parameters))
        if state is RunState.FINISHED:
            values["accuracy"] = measure(parameters)
        runs.append(Run(number=number, parameters=parameters, state=state, values=values))
    return runs


def square_cost(parameters: Parameters) -> dict[str, float]:
    return {"cost": 1 + float(parameters["x"])}


def square_runs(
    side: int = 3, *, reach: float = 0.5, **measures: Callable[[float, float], float]
) -> list[Run]:
    """Runs on a ``side x side`` grid over the square's lower left, a quarter of it or more."""
    runs = []
    for number in range(side**2):
        x, y = reach * (number % side) / (side - 1), reach * (number // side) / (side - 1)
        values = {name: float(measure(x, y)) for name, measure in measures.items()}
        runs.append(finished(number, {"x": x, "y": y}, {**square_cost({"x": x}), **values}))
    return runs


def suggested_place(sampler: Sampler, runs: Sequence[Run]) -> tuple[float, float]:
    parameters = sampler.suggest(runs)
    return float(parameters["x"]), float(parameters["y"])
