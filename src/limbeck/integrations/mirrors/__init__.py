"""Experiment trackers that show runs while a search goes on."""

import importlib

from limbeck.config import StudyConfig
from limbeck.environment import without_passwords
from limbeck.errors import ConfigError
from limbeck.mirror import Mirror, Mirrors

_PACKAGES = ("mlflow", "tensorboard", "wandb")


def open_mirrors(config: StudyConfig) -> Mirrors:
    """Return the mirrors that a study file asks for.

    Raises:
        ConfigError: If the package of one is not installed, or it cannot be used as it is.
    """
    return Mirrors({without_passwords(text): _open(text, config) for text in config.file.mirrors})


def _open(text: str, config: StudyConfig) -> Mirror:
    kind, _, target = text.partition(":")
    try:
        module = importlib.import_module(f"limbeck.integrations.mirrors.{kind}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _PACKAGES:
            raise
        raise ConfigError(
            f"mirrors: {kind!r} needs a package that is not installed; run: "
            f"pip install 'limbeck[{kind}]'"
        ) from error
    mirror: Mirror = module.open_mirror(target, study=config.file.name, folder=config.folder)
    return mirror
