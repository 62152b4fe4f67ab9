"""What made a run: program, libraries, machine, and how they were called."""

import os
import platform
import re
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from limbeck.config import StudyConfig
from limbeck.files import write_json
from limbeck.space import Parameters

PACKAGES = (
    *("limbeck", "torch", "transformers", "tokenizers", "safetensors", "datasets", "accelerate"),
    *("numpy", "scipy", "botorch", "gpytorch"),
)
"""Those whose version may change what comes of a run."""

_PASSWORDS = re.compile(r"(://[^/\s:@\"]*:)[^/\s@\"]+@|((?:password|token|secret)=)[^&\s\"]+")
_GIT_SECONDS = 20


def write_origin(
    folder: Path,
    config: StudyConfig,
    parameters: Parameters,
    *,
    baseline: Parameters,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Write to a run's folder what it is made from: ``config.json`` and ``environment.json``.

    Args:
        folder: The run's.
        config: The study file in force.
        parameters: The run's.
        baseline: The baseline's.
        device: Where the run computes.
        dtype: In what it multiplies matrices.
    """
    student, recipe = config.student(parameters), config.recipe(parameters)
    facts = {
        "parameters": dict(parameters),
        "baseline": dict(baseline),
        "student": student.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json"),
        "study_file": config.file.model_dump(mode="json"),
        "folder": str(config.folder),
    }
    write_json(folder / "config.json", {name: _masked(fact) for name, fact in facts.items()})
    seeds = {
        "seed": config.file.seed,
        "data.seed": config.file.data.seed,
        "student.pruning_seed": student.pruning_seed,
        "recipe.seed": recipe.seed,
    }
    environment = describe_environment(device=device, dtype=dtype)
    write_json(folder / "environment.json", {**environment, "seeds": seeds})


def describe_environment(*, device: torch.device, dtype: torch.dtype) -> dict[str, object]:
    """Return what is to be known of this process, as JSON-ready facts.

    Args:
        device: Where it computes.
        dtype: In what it multiplies matrices.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "limbeck_commit": _commit(Path(__file__)),
        "folder": str(Path.cwd()),
        "folder_commit": _commit(Path.cwd()),
        "host": socket.gethostname(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "device": _device_name(device),
        "precision": str(dtype).removeprefix("torch."),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),  # That train together.
        "threads": torch.get_num_threads(),
        "command": [without_passwords(argument) for argument in sys.argv],
    }


def without_passwords(text: str) -> str:
    """Return a text with ``***`` for the passwords of the URLs in it."""

    def mask(match: re.Match[str]) -> str:
        return f"{match[1]}***@" if match[1] else f"{match[2]}***"

    return _PASSWORDS.sub(mask, text)


def _masked(value: object) -> object:
    """Return JSON-ready facts without the passwords in their texts."""
    match value:
        case str():
            return without_passwords(value)
        case list():
            return [_masked(item) for item in value]
        case dict():
            return {name: _masked(item) for name, item in value.items()}
        case _:
            return value


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda:{torch.cuda.current_device()} {torch.cuda.get_device_name()}"
    return device.type


def _processor() -> str:
    """Return the processor's name, where Linux or Python knows it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit(path: Path) -> str | None:
    """Return the commit that a file or folder is of, with ``-dirty`` if something was changed.

    None if it is in no repository, the file is not of the one that it lies in (an installed
    package in somebody's checkout), or there is no git.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_file() and _git(folder, "ls-files", "--error-unmatch", path.name) is None:
        return None
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        ended = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None
