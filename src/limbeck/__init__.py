"""Limbeck finds the frontier of smaller models worth having for a fine-tuned Transformer.

Importing it loads neither torch nor transformers. It lets the `Auto` classes of transformers open
the folder of a student, whichever of the two packages is imported first.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any

import wrapt

__version__ = version("limbeck")


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
