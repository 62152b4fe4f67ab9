"""What several commands share: their options, the store that these name, JSON for programs."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from limbeck.errors import ConfigError, NotFoundError, StoreError, UnavailableError
from limbeck.home import Home
from limbeck.space import Value

if TYPE_CHECKING:
    from limbeck.cli.progress import TrainingBar
    from limbeck.config import StudyConfig
    from limbeck.objective import Objective
    from limbeck.store import Store

StudyFile = Annotated[Path, typer.Argument(help="The study file (TOML).", metavar="STUDY.toml")]
StudyName = Annotated[
    str | None,
    typer.Option("--study", "-s", help="Study name; the one last begun if left out."),
]
StudyArgument = Annotated[
    str | None,
    typer.Argument(help="Study name; the one last begun if left out.", metavar="[STUDY]"),
]
HomeFolder = Annotated[
    Path,
    typer.Option("--home", envvar="LIMBECK_HOME", help="Folder of store, caches and runs."),
]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", envvar="LIMBECK_STORE", help="Database URL; by default in --home."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter; the rest is the baseline's."),
]
DEFAULT_HOME = Path(".limbeck")
Workers = Annotated[
    int | None, typer.Option(min=1, help="Runs at a time; by default the study file's.")
]
Picture = Annotated[
    Path | None, typer.Option("--output", "-o", help="Frontier picture to write (.png or .svg).")
]


def open_store(
    home: Home, url: str | None, *, absent: Literal["refuse", "empty", "make"] = "refuse"
) -> "Store":
    """Return the store that the options name; the caller closes it.

    Args:
        home: Where it is without a URL.
        url: Its address.
        absent: What to do about a file that is not there: refuse to go on, let an empty store in
            memory stand for it, or make it. A home without a store is never refused.

    Raises:
        NotFoundError: If the URL names a file that is not there, and that is refused.
        ConfigError: If it cannot be opened.
    """
    from limbeck.store import Store
    from limbeck.store.connection import parse_url

    address = url or home.store_url
    try:
        parsed = parse_url(address)
        file = parsed.database if parsed.get_backend_name() == "sqlite" else None
        if absent != "make" and file and not Path(file).exists():
            if url and absent == "refuse":
                raise NotFoundError(
                    f"--store must name a store, but there is no file {file}; begin one with "
                    "limbeck search STUDY.toml, or name another"
                )
            address = "sqlite://"
        return Store(address)
    except UnavailableError:
        raise
    except StoreError as error:
        raise ConfigError(str(error)) from error


def make_folder(folder: Path, option: str) -> None:
    """Make a folder that an option names, if need be.

    Raises:
        ConfigError: If it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK) else "it cannot be written"
    except OSError as error:
        reason = error.strerror
    if reason:
        raise ConfigError(
            f"{option} must name a folder that can be written, but got {folder}: {reason}; name "
            "another"
        )


def open_objective(config: "StudyConfig", home: Path, bar: "TrainingBar") -> "Objective":
    """Return what a study file asks for, and show on a bar what it prepares.

    Raises:
        ConfigError: If the home cannot be written, or the study file breaks a rule together with
            its teacher.
        ModelError: If the teacher cannot be read.
    """
    from transformers.utils.logging import disable_progress_bar

    from limbeck.objective import Objective

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
    objective = Objective(config, Home(home.resolve()), progress=bar.prepare)
    make_folder(objective.home.folder, "--home")
    return objective


def assignments(config: "StudyConfig", sets: Sequence[str]) -> dict[str, Value]:
    """Read NAME=VALUE arguments; a name may be any that can be searched.

    Raises:
        ConfigError: If one is none, is of no parameter or comes twice, or its value breaks a rule.
    """
    values: dict[str, Value] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set must be NAME=VALUE, but got {text!r}")
        if name in values:
            raise ConfigError(f"--set must name a parameter once, but got {name!r} twice")
        values[name] = _json_value(value)
    config.check(values)
    return values


def _json_value(text: str) -> Value:
    try:
        value: Value = json.loads(text)
    except (ValueError, RecursionError):  # The first also for numbers of thousands of digits.
        return text
    return value


def latest_study(store: "Store") -> str:
    """Return the name of the study last begun; those that confirm another have to be named.

    Raises:
        NotFoundError: If there is none.
    """
    from limbeck.study import stored_config

    studies = [
        study
        for study in store.studies()
        if stored_config(store, study.name).file.data.score_on == "dev"
    ]
    if not studies:
        raise NotFoundError("the store holds no study; begin one with limbeck search STUDY.toml")
    return max(studies, key=lambda study: study.created).name


def print_json(value: object) -> None:
    """Print a value for programs."""
    print(json.dumps(value, indent=2, default=str))


def check_picture(picture: Path | None) -> None:
    """Check the name of a picture, before the work that it is to show.

    Raises:
        ConfigError: If it cannot be drawn there.
    """
    if picture is not None:
        from limbeck.analysis.picture import check_file_name

        check_file_name(picture)
        make_folder(picture.parent, "--output")


def draw(store: "Store", name: str, picture: Path | None) -> None:
    """Draw a study's frontier, by default to ``NAME-frontier.png``."""
    from limbeck.analysis.picture import save_frontier
    from limbeck.study import stored_config

    path = picture or Path(f"{name}-frontier.png")
    runs = store.runs(name)
    baseline = next((run for run in runs if run.number == 0), None)
    save_frontier(path, runs, stored_config(store, name).metrics, baseline=baseline, title=name)
    print(f"Picture: {path}", file=sys.stderr)


def helps_only() -> bool:
    """Whether a launcher started this process to help the main one, which shows what came of it."""
    return os.environ.get("RANK", "0") != "0"
