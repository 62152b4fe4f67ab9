"""Search spaces to start from: TOML files beside this one, each a study file without its data."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files

from limbeck.errors import ConfigError, NotFoundError
from limbeck.space import did_you_mean

PRESETS = ("structured", "efficient-bert")
DEFAULT = "structured"
"""Taken by a study file that has neither a preset nor a search space."""


def preset_text(name: str) -> str:
    """Return a preset's TOML, with the comments that explain it.

    Raises:
        NotFoundError: If there is no such preset.
    """
    if name not in PRESETS:
        raise NotFoundError(f"no such preset: {name}{did_you_mean(name, PRESETS)}")
    return files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def preset_summary(name: str) -> str:
    """Return what a preset is for: its first comment, as one line."""
    head = preset_text(name).split("\n\n", maxsplit=1)[0]
    return " ".join(line.removeprefix("#").strip() for line in head.splitlines())


def with_preset(table: Mapping[str, object]) -> dict[str, object]:
    """Return a study file's content with its preset's beneath it.

    A parameter of the search space and every other key of the file takes the preset's place; if the
    file has metrics, they are all the metrics.

    Raises:
        ConfigError: If the file names a preset that does not exist.
    """
    name = table.get("preset", None if "space" in table else DEFAULT)
    if name is None:
        return dict(table)
    if name not in PRESETS:
        raise ConfigError(f"preset: must be one of {', '.join(PRESETS)}, but got {name!r}")
    below = tomllib.loads(preset_text(str(name)))
    if "metrics" in table:
        del below["metrics"]
    merged = {**below, **table, "preset": name}
    for key in below.keys() & table.keys():
        above = table[key]
        if isinstance(above, Mapping):
            merged[key] = {**below[key], **above}
    return merged
