"""What several commands share: their options, the store that these name, JSON for programs."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.errors import NotFoundError
from limbeck.home import Home

if TYPE_CHECKING:
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
DEFAULT_HOME = Path(".limbeck")
Workers = Annotated[
    int | None, typer.Option(min=1, help="Runs at a time; by default the study file's.")
]
Picture = Annotated[
    Path | None, typer.Option("--output", "-o", help="Frontier picture to write (.png or .svg).")
]


def open_store(home: Home, url: str | None) -> "Store":
    """Return the store that the options name; the caller closes it."""
    from limbeck.store import Store

    if url is None:
        home.folder.mkdir(parents=True, exist_ok=True)
    return Store(url or home.store_url)


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


def draw(store: "Store", name: str, picture: Path | None) -> None:
    """Draw a study's frontier, by default to ``NAME-frontier.png``."""
    from limbeck.analysis.figures import save_frontier
    from limbeck.study import stored_config

    path = picture or Path(f"{name}-frontier.png")
    runs = store.runs(name)
    baseline = next((run for run in runs if run.number == 0), None)
    save_frontier(path, runs, stored_config(store, name).metrics, baseline=baseline, title=name)
    print(f"Picture: {path}", file=sys.stderr)


def helps_only() -> bool:
    """Whether a launcher started this process to help the main one, which shows what came of it."""
    return os.environ.get("RANK", "0") != "0"
