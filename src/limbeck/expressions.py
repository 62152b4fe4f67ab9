"""Rules between parameters, written as text: ``ffn_size <= 4 * 64 * num_heads``.

The text has Python's syntax, but only a small part of it, and is never run as Python.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

from typing_extensions import override

from limbeck.errors import ConfigError, ParameterError
from limbeck.space import Choice, Constraint, Parameter, Parameters, Value, did_you_mean

_Operators: TypeAlias = Mapping[type[ast.AST], Callable[[Any, Any], Any]]

_ARITHMETIC: _Operators = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ORDER: _Operators = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY: _Operators = {ast.Eq: operator.eq, ast.NotEq: operator.ne}
_SIGN: Mapping[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_NUMBER, _TEXT, _TRUTH, _ANY = "a number", "text", "true or false", "text or a number"


def parse_constraint(text: str, parameters: Sequence[Parameter]) -> Constraint:
    """Return the constraint that a text says. It can be pickled.

    The text compares sums, differences, products and quotients of numbers and parameters, or a
    choice with one of its texts: ``schedule == "linear"``. Comparisons are joined by ``and``,
    ``or`` and ``not``. While one of its parameters is inactive, the constraint does not apply.
    Parameters for which it would divide by zero break it.

    Args:
        text: The rule.
        parameters: Those of the search space.

    Raises:
        ConfigError: If the text is no such rule, or is about a parameter that there is not.
    """
    rule = _Rule(text.strip(), tuple(parameters))
    try:
        return Constraint(name=rule.text, holds=rule, needs=rule.needs)
    except (SyntaxError, ValueError, ArithmeticError) as error:
        reason = getattr(error, "msg", error)
        raise ConfigError(f"constraint {text!r}: must be an expression, but: {reason}") from error
    except (RecursionError, MemoryError) as error:
        raise ConfigError("a constraint must be shorter; split it into several") from error
    except (ConfigError, ParameterError) as error:
        raise ConfigError(f"constraint {text!r}: {error}") from error


@dataclass(frozen=True)
class _Rule:
    """What a text says of parameters; only text and parameters are pickled."""

    text: str
    parameters: tuple[Parameter, ...]

    def __call__(self, parameters: Parameters) -> bool:
        """Return whether parameters keep the rule."""
        try:
            return bool(self._term.value(parameters))
        except ArithmeticError:
            return False

    @override
    def __reduce__(self) -> tuple[type["_Rule"], tuple[str, tuple[Parameter, ...]]]:
        return _Rule, (self.text, self.parameters)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the parameters that it is about."""
        return self._term.names

    @cached_property
    def _term(self) -> "_Term":
        named = {parameter.name: parameter for parameter in self.parameters}
        tree = ast.parse(self.text, mode="eval").body
        term = _as(_TRUTH, tree, named)
        if not term.names:
            raise ConfigError("must be about a parameter, but names none")
        return term


@dataclass(frozen=True)
class _Term:
    """A part of a rule: what kind of value it has, which, and the parameters it follows from."""

    kind: str
    value: Callable[[Parameters], Value]
    names: tuple[str, ...]


_Named: TypeAlias = Mapping[str, Parameter]


def _read(node: ast.expr, named: _Named) -> _Term:
    match node:
        case ast.Constant(value=value):
            return _constant(node, value)
        case ast.Name(id=name):
            return _parameter(name, named)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGN:
            return _combined(_SIGN[type(op)], _NUMBER, [_as(_NUMBER, operand, named)])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _combined(operator.not_, _TRUTH, [_as(_TRUTH, operand, named)])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            numbers = [_as(_NUMBER, each, named) for each in (left, right)]
            return _combined(_ARITHMETIC[type(op)], _NUMBER, numbers)
        case ast.BoolOp(op=op, values=operands):
            truths = [_as(_TRUTH, each, named) for each in operands]
            return _joined(all if isinstance(op, ast.And) else any, truths)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = pairwise([left, *comparators])
            pairs = [_comparison(op, *pair, named) for op, pair in zip(ops, sides, strict=True)]
            return _joined(all, pairs)
        case _:
            raise _forbidden(node)


def _as(kind: str, node: ast.expr, named: _Named) -> _Term:
    """Return a part that has to be of a kind."""
    term = _read(node, named)
    if term.kind != kind:
        raise ConfigError(f"{ast.unparse(node)} must be {kind}, but is {term.kind}")
    return term


def _constant(node: ast.Constant, value: object) -> _Term:
    if not isinstance(value, bool | int | float | str):
        raise _forbidden(node)
    return _Term(_kind(value), lambda _: value, ())


def _parameter(name: str, named: _Named) -> _Term:
    if name not in named:
        raise ConfigError(f"no such parameter {name!r}{did_you_mean(name, [*named])}")
    parameter = named[name]
    kind = _NUMBER
    if isinstance(parameter, Choice):
        kinds = {_kind(choice) for choice in parameter.choices}
        kind = kinds.pop() if len(kinds) == 1 else _ANY
    return _Term(kind, lambda parameters: parameters[name], (name,))


def _comparison(op: ast.cmpop, left: ast.expr, right: ast.expr, named: _Named) -> _Term:
    if type(op) in _ORDER:
        numbers = [_as(_NUMBER, each, named) for each in (left, right)]
        return _combined(_ORDER[type(op)], _TRUTH, numbers)
    if type(op) not in _EQUALITY:
        raise _forbidden(ast.Compare(left, [op], [right]))
    one, other = _read(left, named), _read(right, named)
    if one.kind != other.kind and _ANY not in (one.kind, other.kind):
        raise ConfigError(
            f"what is compared must be of one kind, but {ast.unparse(left)} is {one.kind} and "
            f"{ast.unparse(right)} is {other.kind}"
        )
    for name, side in ((left, other), (right, one)):
        if isinstance(name, ast.Name) and not side.names:
            choice = named[name.id]
            if isinstance(choice, Choice):
                choice.validate(side.value({}))
    return _combined(_EQUALITY[type(op)], _TRUTH, [one, other])


def _combined(function: Callable[..., Any], kind: str, terms: Sequence[_Term]) -> _Term:
    def value(parameters: Parameters) -> Value:
        result: Value = function(*(term.value(parameters) for term in terms))
        return result

    return _Term(kind, value, _names(terms))


def _joined(function: Callable[[Iterable[Value]], bool], terms: Sequence[_Term]) -> _Term:
    """Return the truth of some or all terms, of which no more are asked than decide it."""

    def value(parameters: Parameters) -> Value:
        return function(term.value(parameters) for term in terms)

    return _Term(_TRUTH, value, _names(terms))


def _names(terms: Sequence[_Term]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for term in terms for name in term.names))


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return _TRUTH
    return _TEXT if isinstance(value, str) else _NUMBER


def _forbidden(node: ast.expr) -> ConfigError:
    return ConfigError(
        "must be made of parameters, numbers, texts, + - * /, parentheses, comparisons, and, or, "
        f"not, but got {ast.unparse(node)}"
    )
