"""Rules written as text, against the same rules in Python, and what is no rule."""

import itertools
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from limbeck.errors import ConfigError
from limbeck.expressions import parse_constraint
from limbeck.space import Choice, Integer, Parameters

HEADS = Integer(name="heads", low=0, high=3)
WIDTH = Integer(name="width", low=64, high=256, step=64)
PARAMETERS = (
    HEADS,
    WIDTH,
    Choice(name="loss", choices=("kl", "mse")),
    Choice(name="tied", choices=(True, False)),
    Choice(name="rank", choices=("full", 8, 16)),
    Choice(name="batch", choices=(8, 32), ordered=True),
)
POINTS: list[Parameters] = [
    dict(zip([parameter.name for parameter in PARAMETERS], values, strict=True))
    for values in itertools.product(*(parameter.values for parameter in PARAMETERS))
]

RULES: dict[str, Callable[[Any], Any]] = {
    "width <= 64 * heads": lambda p: p["width"] <= 64 * p["heads"],
    "64 < width < 256 != width and 8 != batch": lambda p: 64 < p["width"] < 256 and p["batch"] != 8,
    "heads + batch - 2 * width / 64 >= -(1 - 3.5)": (
        lambda p: p["heads"] + p["batch"] - 2 * p["width"] / 64 >= 2.5
    ),
    "(heads + 1) * 64 == width": lambda p: (p["heads"] + 1) * 64 == p["width"],
    'loss == "kl" or tied and not heads > 1': (
        lambda p: p["loss"] == "kl" or (p["tied"] and p["heads"] <= 1)
    ),
    "(loss == 'kl' or tied) and heads != 1": (
        lambda p: (p["loss"] == "kl" or p["tied"]) and p["heads"] != 1
    ),
    "rank == 'full' or rank == 8": lambda p: p["rank"] in ("full", 8),
    " tied == True ": lambda p: p["tied"],
    "'mse' != loss": lambda p: p["loss"] != "mse",
    "width / heads <= 64": lambda p: p["heads"] > 0 and p["width"] / p["heads"] <= 64,
    "heads == 0 or width / heads <= 64": (
        lambda p: p["heads"] == 0 or p["width"] / p["heads"] <= 64
    ),
}


@pytest.mark.parametrize("text", RULES)
def test_a_rule_says_what_it_says_in_python_also_in_another_process(text):
    constraint = parse_constraint(text, PARAMETERS)
    sent = pickle.loads(pickle.dumps(constraint))
    assert sent == constraint
    expected = [bool(RULES[text](point)) for point in POINTS]
    assert 0 < sum(expected) < len(POINTS)
    assert [constraint.holds(point) for point in POINTS] == expected
    assert [sent.holds(point) for point in POINTS] == expected


def test_a_rule_needs_the_parameters_that_it_names():
    constraint = parse_constraint("width < 8 or not (tied and heads < width)", PARAMETERS)
    assert constraint.needs == ("width", "tied", "heads")
    assert constraint.name == "width < 8 or not (tied and heads < width)"


FORBIDDEN = (
    "must be made of parameters, numbers, texts, + - * /, parentheses, comparisons, and, or, not, "
    "but got "
)
NO_RULES = {
    "": "must be an expression, but: invalid syntax",
    "heads = 2": "must be an expression, but: invalid syntax",
    "heads <": "must be an expression, but: invalid syntax",
    "heads < 2\nwidth < 3": "must be an expression, but: invalid syntax",
    "head < 2": "no such parameter 'head'; did you mean 'heads'?",
    "zzz < 2": "no such parameter 'zzz'; valid names are batch, heads, loss, rank, tied, width",
    "heads + 1": "heads + 1 must be true or false, but is a number",
    "heads and tied": "heads must be true or false, but is a number",
    "not heads": "heads must be true or false, but is a number",
    "loss < 2": "loss must be a number, but is text",
    "'a' * heads < 2": "'a' must be a number, but is text",
    "rank < 9": "rank must be a number, but is text or a number",
    "tied + 1 < 2": "tied must be a number, but is true or false",
    "heads == 'kl'": "what is compared must be of one kind, but heads is a number and 'kl' is text",
    "tied == 1": (
        "what is compared must be of one kind, but tied is true or false and 1 is a number"
    ),
    "loss == 'kll'": "loss must be one of ['kl', 'mse'], but got 'kll'",
    "3 == batch": "batch must be one of [8, 32], but got 3",
    "1 < 2": "must be about a parameter, but names none",
    "heads ** 2 < 3": f"{FORBIDDEN}heads ** 2",
    "heads % 2 == 0": f"{FORBIDDEN}heads % 2",
    "~heads < 0": f"{FORBIDDEN}~heads",
    "heads in (1, 2)": f"{FORBIDDEN}heads in (1, 2)",
    "heads is 2": f"{FORBIDDEN}heads is 2",
    "abs(heads) < 2": f"{FORBIDDEN}abs(heads)",
    "__import__('os').system('true') == heads": f"{FORBIDDEN}__import__('os').system('true')",
    "heads.real < 2": f"{FORBIDDEN}heads.real",
    "heads < 1j": f"{FORBIDDEN}1j",
    "heads == None": f"{FORBIDDEN}None",
    "heads < (2 if tied else 3)": f"{FORBIDDEN}2 if tied else 3",
    "(lambda: 1)() < heads": f"{FORBIDDEN}(lambda: 1)()",
    "f'{heads}' == loss": f"{FORBIDDEN}f'{{heads}}'",
}


@pytest.mark.filterwarnings("ignore:\"is\" with '.*' literal:SyntaxWarning")
@pytest.mark.parametrize("text", NO_RULES)
def test_what_is_no_rule_is_refused_in_one_line(text):
    start = re.escape(f"constraint {text!r}: {NO_RULES[text]}")
    with pytest.raises(ConfigError, match=f"^{start}") as raised:
        parse_constraint(text, PARAMETERS)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["-" * 100_000 + "heads < 1", "+".join(["heads"] * 20_000) + " < 1"]
)
def test_a_rule_without_end_is_refused(text):
    with pytest.raises(ConfigError, match=r"^a constraint must be shorter; split it into several$"):
        parse_constraint(text, PARAMETERS)


def test_a_rule_with_a_null_character_is_refused():
    with pytest.raises(ConfigError, match=r"must be an expression, but: .*null"):
        parse_constraint("heads \0< 2", PARAMETERS)
