"""The command that shows, and frees, what Limbeck takes on disk."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    StoreUrl,
    StudyArgument,
    open_store,
    print_json,
)
from limbeck.home import Home

if TYPE_CHECKING:
    from limbeck.cli.tables import Facts
    from limbeck.store import Store

app = typer.Typer()


@app.command(epilog="Example: limbeck disk squad2 --clean")
def disk(
    study: StudyArgument = None,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean", help="Remove what the retention rule does without, and crashes left."
        ),
    ] = False,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what takes how much disk: every study, or one; and what could be removed.

    Retention is what artifacts.keep_weights of the study file does without; leftovers are models
    and checkpoints of ended runs that nothing refers to. With --clean both are removed, and nothing
    else.
    """
    from limbeck.disk import shared_bytes

    folder = Home(home.resolve())
    with open_store(folder, store_url) as store:
        names = [store.study(study).name] if study else [each.name for each in store.studies()]
        freed = sum(_clean(store, name, folder) for name in names) if clean else None
        facts = [_study_facts(store, name, folder) for name in names]
    shared = {} if study else dict(shared_bytes(folder))
    if as_json:
        print_json({"studies": facts, "shared": shared, "freed": freed})
        return
    if freed is not None:
        print(f"Freed {_shown(freed)}.", file=sys.stderr)
    _print(facts, shared)


def _study_facts(store: "Store", name: str, home: Home) -> "Facts":
    """Return what a study takes, in bytes, as JSON-ready facts."""
    from limbeck.disk import away_bytes, study_bytes
    from limbeck.retention import leftovers, superfluous
    from limbeck.study import stored_config

    config, runs = stored_config(store, name), store.runs(name)
    return {
        "study": name,
        **study_bytes(home, name),
        "elsewhere": away_bytes(runs),
        "retention": sum(artifact.bytes for _, artifact in superfluous(runs, config)),
        "leftovers": sum(leftover.bytes for leftover in leftovers(runs, config, home)),
    }


def _clean(store: "Store", name: str, home: Home) -> int:
    """Remove what a study can do without; return the bytes."""
    from limbeck.retention import clean, drop_weights, leftovers
    from limbeck.study import stored_config

    config = stored_config(store, name)
    dropped = drop_weights(store, config, store.runs(name))
    found = leftovers(store.runs(name), config, home)
    clean(found)
    return sum(artifact.bytes for _, artifact in dropped) + sum(each.bytes for each in found)


def _print(facts: "list[Facts]", shared: "Facts") -> None:
    from limbeck.cli.tables import OUT, new_table

    if facts:
        table = new_table(*facts[0])
        for fact in facts:
            name, *counts = fact.values()
            table.add_row(str(name), *map(_shown, counts))
        OUT.print(table)
    for name, count in shared.items():
        print(f"{name}: {_shown(count)}")
    removable = sum(int(str(fact[key])) for fact in facts for key in ("retention", "leftovers"))
    if removable:
        print(f"limbeck disk --clean would free {_shown(removable)}.")


def _shown(count: object) -> str:
    """Return bytes as people read them: ``4.2 MB``."""
    number = float(str(count))
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
