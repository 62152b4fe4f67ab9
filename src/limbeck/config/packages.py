"""Packages of the extra ``onnx``, which not every installation has."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from limbeck.errors import ConfigError

ONNX = ("onnxruntime", "onnx", "onnxscript")


def check_onnx() -> None:
    """Check that models can be exported to ONNX.

    Raises:
        ConfigError: If a package is missing.
    """
    for name in ONNX:
        if find_spec(name) is None:
            raise _missing(name)


def module_with_onnx(name: str) -> ModuleType:
    """Return a module of Limbeck that imports packages of the extra.

    Raises:
        ConfigError: If one is missing.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ONNX:
            raise
        raise _missing(package) from error


def _missing(name: str) -> ConfigError:
    return ConfigError(
        f"this needs {name}, which is not installed; run: pip install 'limbeck[onnx]'"
    )
