"""Limbeck finds the frontier of smaller models worth having for a fine-tuned Transformer.

Importing it loads neither torch nor transformers. It lets the `Auto` classes of transformers open
the folder of a student, whichever of the two packages is imported first.

What a search for any function needs stands here too, and is loaded when it is first named.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from limbeck.metrics import Goal, Metric, Role
    from limbeck.optimize.optimizer import Optimizer, load_runs
    from limbeck.space import Choice, Constraint, Float, Integer, Prior, SearchSpace, When

__all__ = [
    "Choice",
    "Constraint",
    "Float",
    "Goal",
    "Integer",
    "Metric",
    "Optimizer",
    "Prior",
    "Role",
    "SearchSpace",
    "When",
    "load_runs",
]
__version__ = version("limbeck")

_HOMES = {
    **dict.fromkeys(("Goal", "Metric", "Role"), "limbeck.metrics"),
    **dict.fromkeys(("Optimizer", "load_runs"), "limbeck.optimize.optimizer"),
    **dict.fromkeys(
        ("Choice", "Constraint", "Float", "Integer", "Prior", "SearchSpace", "When"),
        "limbeck.space",
    ),
}


if not TYPE_CHECKING:  # A type checker would believe that it has every name.

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'limbeck' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_first(
    wrapped: Callable[..., object],
    _instance: object,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> object:
    import_module("limbeck.students.modeling").register()
    return wrapped(*args, **kwargs)


def _wrap_from_pretrained(module: ModuleType) -> None:
    """Register students when the first configuration is read.

    Every `Auto` class reads the configuration by this method. Upon the import of transformers'
    `Auto` modules it would be too early: that happens in the middle of importing its BERT.
    """
    wrapt.wrap_function_wrapper(module, "AutoConfig.from_pretrained", _register_first)


wrapt.register_post_import_hook(
    _wrap_from_pretrained, "transformers.models.auto.configuration_auto"
)
