"""Problems of our own that mimic this domain: cliffs, plateaus, parameters without effect.

None of them has its optimum in the middle of the space, where some optimizers begin. Of each,
`FRONTIERS` computes values that no run can beat and all but the continuous parameters' last digits
reach; the hypervolumes in the problems were computed with it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from problem import Problem, Values

from limbeck.config import parse_config, with_preset
from limbeck.metrics import Goal, Metric
from limbeck.space import Choice, Float, Integer, SearchSpace

Numbers = Mapping[str, Any]
"""Parameters, of whose types the space takes care."""

NOTHING = 50.07
"""Score of a model that answers nothing, as on SQuAD 2.0."""


def students17() -> Problem:
    """Students of BERT-base in the space of 2020: 17 parameters, of which 3 have no effect.

    Deeper and wider is better with diminishing returns. Too large a learning rate scores as
    answering nothing, a larger one diverges.
    """
    path = "unused"
    table = {
        "name": "students17",
        "preset": "efficient-bert",
        "task": "question-answering",
        "teacher": {"model": path},
        "data": {"train": path, "dev": path},
    }
    given = parse_config(with_preset(table), folder=Path(), name="students17").parameters
    return Problem(
        name="analytic/students17",
        group="analytic",
        # Nobody is told which parameters are inert.
        space=SearchSpace(tuple(replace(parameter, inert=False) for parameter in given)),
        metrics=(
            Metric(name="exact", goal=Goal.MAXIMIZE, threshold=50.5),
            Metric(name="log10_size", goal=Goal.MINIMIZE, threshold=_bert_size(20, 12), known=True),
        ),
        evaluate=_train_student,
        known=_students_size,
        ideal={"exact": _student_score(20, 12, 1.0), "log10_size": _bert_size(1, 1)},
        best=0.657284,
        diverges=True,
    )


def _students_size(p: Numbers) -> Values:
    return {"log10_size": _bert_size(p["num_layers"], p["num_heads"])}


def _bert_size(layers: float, heads: float) -> float:
    """Return the log10 of the parameters of a BERT with 768 wide layers and 64 wide heads."""
    attention = 4 * 768 * 64 * heads + 3 * 64 * heads + 768
    feed_forward = 2 * 768 * 3072 + 3072 + 768
    layer = attention + feed_forward + 4 * 768
    return math.log10((30522 + 512 + 2 + 2) * 768 + layers * layer + 2 * 768 + 2)


def _student_score(layers: float, heads: float, recipe: float) -> float:
    learned = 40 * (1 - math.exp(-layers / 4)) * (1 - math.exp(-heads / 3)) * recipe - 6
    return NOTHING + max(0.0, learned)


HEADS_DROPPED = np.random.default_rng(17).uniform(0.0, 0.1, size=100)
HEADS_DROPPED -= HEADS_DROPPED.min()
"""What it costs, as a part of what is learned, to drop the heads that a seed says."""


def _train_student(p: Numbers) -> Values | None:
    layers, heads, rate = p["num_layers"], p["num_heads"], math.log10(p["learning_rate"])
    size = _bert_size(layers, heads)
    if rate > -2.0:
        return None
    if rate > -3.3 + 0.3 * math.log2(p["batch_size"] / 8):
        return {"exact": NOTHING, "log10_size": size}
    dropped = HEADS_DROPPED[p["pruning_seed"] - 1] * (1 - heads / 12)
    recipe = (
        _bell(rate, -4.0 - 0.02 * layers, 0.9)
        * _bell(math.log2(p["batch_size"]), 3.0, 4.0)
        * _bell(p["alpha_ce"], 0.8, 1.5)
        * _bell(p["temperature"], 3.0, 12.0)
        * _bell(p["dropout"], 0.0, 0.6)
        * _bell(p["attention_dropout"], 0.0, 0.8)
        * _bell(p["qa_dropout"], 0.0, 1.0)
        * _bell(p["initializer_range"], 0.02, 1.2)
        * _bell(p["warmup_steps"], 80.0, 400.0)
        * _bell(math.log10(p["weight_decay"]), -5.0, 20.0)
        * _bell(math.log10(p["adam_epsilon"]), -8.0, 20.0)
        * (1 - dropped)
    )
    return {"exact": _student_score(layers, heads, recipe), "log10_size": size}


def _students_frontier() -> list[Values]:
    """Every depth and number of heads with the best recipe."""
    return [
        {"exact": _student_score(layers, heads, 1.0), "log10_size": _bert_size(layers, heads)}
        for layers, heads in product(range(1, 21), range(1, 13))
    ]


def cliff() -> Problem:
    """Training diverges just beyond the best learning rate, which momentum and width move."""
    space = SearchSpace(
        (
            Float(name="learning_rate", low=1e-5, high=1.0, log=True),
            Float(name="momentum", low=0.0, high=0.99),
            Integer(name="width", low=8, high=512, log=True),
            Choice(name="precision", choices=("half", "full")),
        )
    )
    return Problem(
        name="analytic/cliff",
        group="analytic",
        space=space,
        metrics=(
            Metric(name="log10_error", goal=Goal.MINIMIZE, threshold=math.log10(0.5)),
            Metric(name="log10_latency", goal=Goal.MINIMIZE, threshold=_latency(512, "full")),
        ),
        evaluate=_train_at_the_cliff,
        known=None,
        ideal={
            "log10_error": _error(512, "full", 0.0),
            "log10_latency": _latency(8, "half"),
        },
        best=0.749231,
        diverges=True,
    )


def _latency(width: float, precision: str) -> float:
    return math.log10((1.0 if precision == "full" else 0.6) * (1 + (width / 60) ** 1.3))


def _error(width: float, precision: str, decades_slow: float) -> float:
    floor = 0.04 if precision == "full" else 0.05
    return math.log10(floor + 0.4 * (width / 8) ** -0.7 + 0.06 * decades_slow**2)


def _train_at_the_cliff(p: Numbers) -> Values | None:
    largest = (0.3 if p["precision"] == "full" else 0.03) / math.sqrt(p["width"] / 8)
    decades_slow = math.log10(largest * (1 - p["momentum"]) / p["learning_rate"])
    if decades_slow < 0:
        return None
    return {
        "log10_error": _error(p["width"], p["precision"], decades_slow),
        "log10_latency": _latency(p["width"], p["precision"]),
    }


def _cliff_frontier() -> list[Values]:
    """Every width and precision at the very edge."""
    return [
        {"log10_error": _error(w, precision, 0.0), "log10_latency": _latency(w, precision)}
        for w, precision in product(range(8, 513), ("half", "full"))
    ]


def plateau() -> Problem:
    """Nine in ten students answer nothing, and the threshold is just above that."""
    space = SearchSpace(
        (
            Float(name="learning_rate", low=1e-6, high=1e-1, log=True),
            Float(name="dropout", low=0.0, high=0.6),
            Float(name="alpha_ce", low=0.0, high=1.0),
            Integer(name="epochs", low=1, high=10),
            Integer(name="num_layers", low=1, high=12),
            Integer(name="ffn_size", low=64, high=3072, step=64),
        )
    )
    return Problem(
        name="analytic/plateau",
        group="analytic",
        space=space,
        metrics=(
            Metric(name="exact", goal=Goal.MAXIMIZE, threshold=NOTHING + 0.1),
            Metric(name="log10_size", goal=Goal.MINIMIZE, threshold=_size(12, 3072), known=True),
        ),
        evaluate=_train_on_the_plateau,
        known=_plateau_size,
        ideal={"exact": _score(12, 3072, 1.0), "log10_size": _size(1, 64)},
        best=0.562903,
    )


def _plateau_size(p: Numbers) -> Values:
    return {"log10_size": _size(p["num_layers"], p["ffn_size"])}


def _size(layers: float, ffn_size: float) -> float:
    return math.log10(24e6 + layers * (2.4e6 + 1536 * ffn_size))


def _score(layers: float, ffn_size: float, recipe: float) -> float:
    capacity = (1 - math.exp(-layers / 3)) * (0.4 + 0.6 * math.pow(ffn_size / 3072, 0.4))
    return NOTHING + max(0.0, 60 * capacity * recipe - 22)


def _train_on_the_plateau(p: Numbers) -> Values:
    recipe = (
        _bell(math.log10(p["learning_rate"]), -4.2, 0.7)
        * _bell(p["dropout"], 0.05, 0.5)
        * _bell(p["alpha_ce"], 0.75, 0.9)
        * (1 - math.exp(-p["epochs"] / 2))
        / (1 - math.exp(-5))
    )
    return {
        "exact": _score(p["num_layers"], p["ffn_size"], recipe),
        "log10_size": _size(p["num_layers"], p["ffn_size"]),
    }


def _plateau_frontier() -> list[Values]:
    """Every depth and width with the best recipe."""
    return [
        {"exact": _score(layers, size, 1.0), "log10_size": _size(layers, size)}
        for layers, size in product(range(1, 13), range(64, 3073, 64))
    ]


OPTIMUM = (0.21, 0.64, 0.83, 0.37, 0.09, 0.72)


def ordinary() -> Problem:
    """Return DTLZ2 with two objectives and its optimum moved: smooth, and both metrics unknown.

    Deb, Thiele, Laumanns, Zitzler: "Scalable test problems for evolutionary multiobjective
    optimization", 2005.
    """
    names = [f"x{i}" for i in range(1 + len(OPTIMUM))]
    return Problem(
        name="analytic/ordinary",
        group="analytic",
        space=SearchSpace(tuple(Float(name=name, low=0.0, high=1.0) for name in names)),
        metrics=(
            Metric(name="f0", goal=Goal.MINIMIZE, threshold=1.1),
            Metric(name="f1", goal=Goal.MINIMIZE, threshold=1.1),
        ),
        evaluate=_dtlz2,
        known=None,
        ideal={"f0": 0.0, "f1": 0.0},
        best=0.350907,
    )


def _dtlz2(p: Numbers) -> Values:
    distance = sum((p[f"x{i}"] - best) ** 2 for i, best in enumerate(OPTIMUM, start=1))
    angle = p["x0"] * math.pi / 2
    return {"f0": (1 + distance) * math.cos(angle), "f1": (1 + distance) * math.sin(angle)}


def _ordinary_frontier() -> list[Values]:
    """A quarter of a circle, in 100,000 points."""
    angles = np.linspace(0, np.pi / 2, 100_000)
    return [
        {"f0": f0, "f1": f1}
        for f0, f1 in zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True)
    ]


BEST_RATE = {"adam": -3.1, "sgd": -1.2, "lion": -4.2}
ACTIVATION = {"relu": 0.06, "tanh": 0.15, "gelu": 0.0}


def mixed() -> Problem:
    """Numbers and choices that depend on each other, and a known size."""
    space = SearchSpace(
        (
            Float(name="learning_rate", low=1e-6, high=1.0, log=True),
            Float(name="weight_decay", low=1e-7, high=1e-1, log=True),
            Float(name="dropout", low=0.0, high=0.8),
            Integer(name="layers", low=1, high=8),
            Integer(name="units", low=16, high=1024, log=True),
            Choice(name="optimizer", choices=("adam", "sgd", "lion")),
            Choice(name="activation", choices=("relu", "tanh", "gelu")),
        )
    )
    return Problem(
        name="analytic/mixed",
        group="analytic",
        space=space,
        metrics=(
            Metric(name="loss", goal=Goal.MINIMIZE, threshold=1.0),
            Metric(name="log10_size", goal=Goal.MINIMIZE, threshold=_weights(8, 1024), known=True),
        ),
        evaluate=_train_mixed,
        known=_mixed_size,
        ideal={"loss": _loss(8, 1024), "log10_size": _weights(1, 16)},
        best=0.761162,
    )


def _mixed_size(p: Numbers) -> Values:
    return {"log10_size": _weights(p["layers"], p["units"])}


def _weights(layers: float, units: float) -> float:
    return math.log10(64 * units + (layers - 1) * units**2)


def _loss(layers: float, units: float) -> float:
    return 0.1 + 0.5 / math.sqrt(units / 16) + 0.35 / math.pow(layers, 0.8)


def _train_mixed(p: Numbers) -> Values:
    rate = math.log10(p["learning_rate"])
    far = rate - BEST_RATE[p["optimizer"]] + 0.1 * (p["layers"] - 1)
    regularized = p["dropout"] / 0.8 + (math.log10(p["weight_decay"]) + 7) / 6
    wanted = 0.2 + 0.8 * math.log2(p["units"] / 16) / 6
    loss = (
        _loss(p["layers"], p["units"])
        + (0.12 if p["optimizer"] == "sgd" else 0.16) * far**2
        + 0.3 * (regularized - wanted) ** 2
        + ACTIVATION[p["activation"]]
        + (0.03 if p["optimizer"] == "sgd" else 0.0)
    )
    return {"loss": loss, "log10_size": _weights(p["layers"], p["units"])}


def _mixed_frontier() -> list[Values]:
    """Every depth and width with the best of all else."""
    return [
        {"loss": _loss(layers, units), "log10_size": _weights(layers, units)}
        for layers, units in product(range(1, 9), range(16, 1025))
    ]


def _bell(value: float, center: float, width: float) -> float:
    return math.exp(-(((value - center) / width) ** 2) / 2)


LOADERS: Mapping[str, Callable[[], Problem]] = {
    "analytic/students17": students17,
    "analytic/plateau": plateau,
    "analytic/ordinary": ordinary,
    "analytic/mixed": mixed,
    "analytic/cliff": cliff,
}

FRONTIERS: Mapping[str, Callable[[], list[Values]]] = {
    "analytic/students17": _students_frontier,
    "analytic/plateau": _plateau_frontier,
    "analytic/ordinary": _ordinary_frontier,
    "analytic/mixed": _mixed_frontier,
    "analytic/cliff": _cliff_frontier,
}
