"""Commands that look after the store, and carry studies from one to another."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    StoreUrl,
    StudyArgument,
    latest_study,
    make_folder,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError, NotFoundError, StoreError, UnavailableError
from limbeck.home import Home

app = typer.Typer(
    no_args_is_help=True,
    help="Look after the store, or carry a study to another one.",
    epilog="Example: limbeck store check",
)


@app.command(
    epilog="Example: limbeck store upgrade --store postgresql://limbeck@db.example.org/runs"
)
def upgrade(
    home: HomeFolder = DEFAULT_HOME, store_url: StoreUrl = None, as_json: AsJson = False
) -> None:
    """Bring the store's tables to this version's, and say what was done.

    Every command does so with a store of an older version; an older Limbeck cannot read it then.
    """
    from limbeck.store.maintenance import upgrade_store

    url = store_url or Home(home).store_url
    try:
        done = upgrade_store(url)
    except UnavailableError:
        raise
    except StoreError as error:
        raise ConfigError(str(error)) from error
    if as_json:
        print_json({"from": done.before, "to": done.after})
    elif done.before is None:
        print(f"{_shown(url)} was empty: it has schema {done.after} now.")
    elif done.before == done.after:
        print(f"{_shown(url)} has schema {done.after}, the newest that this version knows.")
    else:
        print(f"{_shown(url)} had schema {done.before}: it has {done.after} now.")


@app.command(epilog="Example: limbeck store check --hashes")
def check(
    hashes: Annotated[
        bool, typer.Option("--hashes", help="Read all artifacts, and compare their sha256.")
    ] = False,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Look for damage: in the database, in what it says of runs, and in their artifacts.

    Exits with code 1 if something is wrong.
    """
    from limbeck.artifacts import fault_of
    from limbeck.store import Store
    from limbeck.store.maintenance import check_store

    url = _address(home, store_url)
    faults = list(check_store(url))
    runs = artifacts = 0
    if not faults:  # Else, runs may not be readable.
        with Store(url) as store:
            for study in store.studies():
                for run in store.runs(study.name):
                    runs, artifacts = runs + 1, artifacts + len(run.artifacts)
                    found = (fault_of(artifact, hashes=hashes) for artifact in run.artifacts)
                    faults += (
                        f"study {study.name!r}: run {run.number}: {fault}"
                        for fault in found
                        if fault
                    )
    if as_json:
        print_json({"faults": faults})
    else:
        for fault in faults:
            print(fault)
        if not faults:
            print(f"{_shown(url)} is sound: {runs} runs, {artifacts} artifacts.")
    if faults:
        raise typer.Exit(1)


@app.command(epilog="Example: limbeck store vacuum")
def vacuum(
    home: HomeFolder = DEFAULT_HOME, store_url: StoreUrl = None, as_json: AsJson = False
) -> None:
    """Give the space of what was deleted back to the disk.

    Nobody can use the store meanwhile: let no search go on.
    """
    from limbeck.store.maintenance import vacuum_store

    url = _address(home, store_url)
    before, after = vacuum_store(url)
    if as_json:
        print_json({"bytes_before": before, "bytes_after": after})
    else:
        print(f"{_shown(url)} took {before:,} bytes, and takes {after:,} now.")


@app.command(epilog="Example: limbeck store export squad2 -o squad2.jsonl.gz")
def export(
    study: StudyArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write; STUDY.jsonl.gz if left out. .gz: compressed."
        ),
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write a whole study to a file: runs, values, curves, events, and where artifacts are.

    The file is JSON Lines; docs/store.md describes it.
    """
    from limbeck.store import Store
    from limbeck.store.exchange import export_study

    url = _address(home, store_url)
    with Store(url) as store:
        name = store.study(study).name if study else latest_study(store)
    path = output or Path(f"{name}.jsonl.gz")
    make_folder(path.parent, "--output")
    carried = export_study(url, name, path)
    if as_json:
        print_json({"file": path, "runs": carried.runs, "points": carried.points})
    else:
        print(f"{path} has study {name!r}: {carried.runs} runs, {carried.points} curve points.")


@app.command(
    "import",
    epilog="Example: limbeck store import squad2.jsonl.gz --store postgresql://limbeck@host/runs",
)
def import_(
    file: Annotated[Path, typer.Argument(help="What limbeck store export wrote.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the study here, if not the same.")
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add the study of such a file to a store, whole or not at all.

    Artifacts stay where they are. The study goes on with limbeck search and its study file.
    """
    from limbeck.store.exchange import import_study

    url = _address(home, store_url, make=True)
    carried = import_study(url, file, name=name)
    if as_json:
        print_json({"study": carried.study, "runs": carried.runs, "points": carried.points})
    else:
        print(
            f"{_shown(url)} has study {carried.study!r} now: {carried.runs} runs, "
            f"{carried.points} curve points."
        )


def _address(home: Path, url: str | None, *, make: bool = False) -> str:
    """Return the URL of the store that the options name, once it has been opened.

    Raises:
        NotFoundError: If it is a file that is not there, and is not to be made.
        ConfigError: If it cannot be opened.
    """
    address = url or Home(home).store_url
    if url is None and not make and not (home / "store.db").exists():
        raise NotFoundError(
            f"{home} has no store; name another with --store or --home, or begin one with "
            "limbeck search STUDY.toml"
        )
    open_store(Home(home), address, absent="make" if make else "refuse").close()
    return address


def _shown(url: str) -> str:
    from limbeck.store.connection import parse_url
    from limbeck.store.refusals import display_name

    return display_name(parse_url(url))
