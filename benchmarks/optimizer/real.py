"""Problems from measurements of real training runs: adapters to ``../shared/bench``."""

import importlib.util
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from problem import Problem, Values

from limbeck.metrics import Goal, Metric
from limbeck.space import Choice, Float, Integer, Parameter, Parameters, SearchSpace, Value

FOLDER = Path(__file__).parents[3] / "shared" / "bench"

NAMES = (
    "fcnet/protein_structure",
    "hpobench_mlp/australian",
    "hpobench_mlp/segment",
    "nb201/cifar10",
    "hwgpt/s",
    "yahpo/rbv2_rpart/1476",
    "yahpo/iaml_glmnet/1489",
    "fcnet/naval_propulsion",
    "hpobench_mlp/car",
    "hpobench_mlp/phoneme",
    "yahpo/rbv2_rpart/41163",
)
"""Those with parameters to search; ``nnprune`` has only tables of finished students."""

KNOWN = "n_params"


def load(name: str) -> Problem:
    """Return a problem of `NAMES`."""
    data = _evaluators().load(name)
    reference = _references()[name]
    robust = reference["hv_robust"]
    logarithmic = {
        metric: transform == "log10"
        for metric, transform in zip(data.objectives, robust["transform"], strict=True)
    }
    goals = {
        metric: Goal.MAXIMIZE if goal == "max" else Goal.MINIMIZE
        for metric, goal in data.objectives.items()
    }

    def judged(values: Values) -> dict[str, float]:
        return {
            _label(metric, log=log): math.log10(values[metric]) if log else values[metric]
            for metric, log in logarithmic.items()
            if metric in values
        }

    def corner(which: str) -> dict[str, float]:
        # Metrics to maximize are negated there, as all are to be minimized.
        return {
            metric: -value if goals[metric] is Goal.MAXIMIZE else value
            for metric, value in zip(goals, robust[which], strict=True)
        }

    def evaluate(parameters: Parameters) -> Values:
        return judged(data.evaluate(dict(parameters)))

    def known(parameters: Parameters) -> Values:
        return judged({KNOWN: data.evaluate(dict(parameters))[KNOWN]})

    thresholds = corner("ref")
    metrics = tuple(
        Metric(
            name=_label(metric, log=logarithmic[metric]),
            goal=goal,
            threshold=thresholds[metric],
            known=metric == KNOWN,
        )
        for metric, goal in goals.items()
    )
    return Problem(
        name=name,
        group="real",
        space=SearchSpace(tuple(_parameter(given) for given in data.params)),
        metrics=metrics,
        evaluate=evaluate,
        known=known if KNOWN in goals else None,
        ideal={_label(m, log=logarithmic[m]): value for m, value in corner("ideal").items()},
        best=robust["hv"],
    )


def front(name: str) -> list[dict[str, float]]:
    """Return the values on the true frontier, as the metrics of the problem judge them."""
    reference = _references()[name]
    return [
        {
            _label(metric, log=transform == "log10"): math.log10(value)
            if transform == "log10"
            else value
            for metric, transform, value in zip(
                reference["objectives"], reference["hv_robust"]["transform"], point, strict=True
            )
        }
        for point in (row[:2] for row in reference["front"])
    ]


@cache
def _evaluators() -> ModuleType:
    path = FOLDER / "problems.py"
    spec = importlib.util.spec_from_file_location("shared_bench", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise SystemExit(f"Error: the benchmark's data must be at {FOLDER}; see its README there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _references() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))
    return content


def _label(metric: str, *, log: bool) -> str:
    return f"log10_{metric}" if log else metric


def _parameter(given: Mapping[str, Any]) -> Parameter:
    """Return a parameter; conditions are left out, as the evaluators ignore inactive values."""
    name = given["name"]
    if "choices" in given:
        return Choice(
            name=name, choices=_of_one_type(given["choices"]), ordered=given["type"] == "ordinal"
        )
    if given["type"] == "int":
        return Integer(name=name, low=given["lo"], high=given["hi"], log=given["log"])
    return Float(name=name, low=given["lo"], high=given["hi"], log=given["log"])


def _of_one_type(choices: list[Value]) -> tuple[Value, ...]:
    if any(isinstance(choice, float) for choice in choices):
        return tuple(float(choice) for choice in choices)
    return tuple(choices)
