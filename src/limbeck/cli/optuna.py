"""Commands that write and read studies of Optuna's."""

import sys
from typing import Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    StoreUrl,
    StudyArgument,
    latest_study,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError
from limbeck.home import Home

app = typer.Typer(
    no_args_is_help=True,
    help="Write a study for Optuna's tools, or take over the trials of one.",
    epilog="Example: limbeck optuna export squad2 --to sqlite:///optuna.db",
)


@app.command(epilog="Example: limbeck optuna export squad2 --to sqlite:///optuna.db")
def export(
    study: StudyArgument = None,
    to: Annotated[
        str, typer.Option("--to", help="URL of Optuna's storage; made if need be.")
    ] = "sqlite:///optuna.db",
    study_name: Annotated[
        str | None, typer.Option(help="Name in Optuna's storage, if not the same.")
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write a study into Optuna's storage, where optuna-dashboard shows it.

    Exported again, it is brought up to date: no run comes twice.
    """
    _require_optuna()
    from limbeck.integrations.optuna import export_study, open_storage, shown_url

    with open_store(Home(home), store_url) as store:
        name = store.study(study or latest_study(store)).name
        exported = export_study(store, name, open_storage(to), study_name=study_name)
    facts = {
        "study_name": exported.study.study_name,
        "trials": len(exported.study.get_trials(deepcopy=False)),
        "added": exported.added,
        "ended": exported.ended,
    }
    if as_json:
        print_json(facts)
    else:
        print(
            f"{shown_url(to)} has study {facts['study_name']!r} with {facts['trials']} trials: "
            f"{exported.added} added, {exported.ended} ended since. "
            f"See it with: optuna-dashboard {shown_url(to)}"
        )


@app.command("import", epilog="Example: limbeck optuna import squad2 --from sqlite:///optuna.db")
def import_(
    study: StudyArgument = None,
    source: Annotated[
        str, typer.Option("--from", help="URL of Optuna's storage.")
    ] = "sqlite:///optuna.db",
    study_name: Annotated[
        str | None, typer.Option(help="Name in Optuna's storage, if it holds several.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="What an objective is called here, in their order."),
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add completed trials of an Optuna study to a study that has been begun, as finished runs.

    Trials that do not fit are named and left out; so are parameters that a run has already.
    """
    _require_optuna()
    from limbeck.integrations.optuna import add_trials, load_optuna_study, open_storage
    from limbeck.study import this_process

    storage = open_storage(source, create=False)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        runs, skipped = add_trials(
            store,
            name,
            load_optuna_study(storage, study_name),
            owner=this_process(),
            metrics=metric,
        )
        budget, count = store.study(name).budget, len(store.runs(name))
    if as_json:
        left_out = [{"trial": each.number, "reason": each.reason} for each in skipped]
        print_json({"added": [run.number for run in runs], "skipped": left_out})
        return
    for each in skipped:
        print(f"Left out trial {each.number}: {each.reason}", file=sys.stderr)
    print(
        f"{len(runs)} runs added to study {name!r}, {len(skipped)} trials left out. "
        f"It has {count} of {budget} runs."
    )


def _require_optuna() -> None:
    """Check that Optuna is there, and have it say only what matters.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ConfigError(
            "this command needs Optuna, which is not installed; run: pip install 'limbeck[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
