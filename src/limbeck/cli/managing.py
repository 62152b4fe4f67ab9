"""Commands that manage a study: queue, extend, pause, resume, stop, add."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    Sets,
    StoreUrl,
    StudyArgument,
    StudyName,
    assignments,
    latest_study,
    open_objective,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError
from limbeck.home import Home
from limbeck.runs import RunState

if TYPE_CHECKING:
    from limbeck.config import StudyConfig
    from limbeck.runs import Run
    from limbeck.space import Parameters
    from limbeck.store import Store

app = typer.Typer()


@app.command(epilog="Example: limbeck queue squad2 --set num_layers=3 --set learning_rate=3e-4")
def queue(
    study: StudyArgument = None,
    sets: Sets = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add a run by hand: the baseline with other values. A search takes it up before all others.

    Searched parameters must be in their ranges. Others are allowed, but of such a run the search
    learns nothing.
    """
    from limbeck.cli.progress import TrainingBar
    from limbeck.cli.tables import run_facts
    from limbeck.config import vary
    from limbeck.study import Study, this_process

    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        config, runs = _begun(store, name)
        given = assignments(config, sets or [])
        parameters = vary(config, runs[0].parameters, given)
        _refuse_second(name, runs, parameters)
        budget = store.study(name).budget
        if len(runs) >= budget:
            raise _no_room(name, len(runs), budget)
        bar = TrainingBar("teacher")
        with bar:
            objective = open_objective(config, home, bar)
            queuing = Study(
                store=store,
                name=name,
                space=config.space,
                sampler=None,
                known=objective.known,
                owner=this_process(),
            )
            run = queuing.queue(parameters)
        if run is None:
            raise _no_room(name, budget, budget)
    for parameter in given:
        if parameter not in config.space.names:
            print(
                f"Note: {parameter} is not searched, so the search learns nothing of this run.",
                file=sys.stderr,
            )
    if as_json:
        print_json(run_facts(run))
    else:
        print(f"Run {run.number} of study {name!r} waits; a search takes it up first.")


@app.command(epilog="Example: limbeck extend squad2 --runs 48")
def extend(
    runs: Annotated[int, typer.Option(min=1, help="Runs in all, those that there are included.")],
    study: StudyArgument = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a study another budget. A search that is going on heeds it at its next run."""
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        record, count = store.study(name), len(store.runs(name))
        if runs < count:
            raise ConfigError(
                f"--runs must be at least the {count} runs that study {name!r} has, but got {runs}"
            )
        store.update_study(name, budget=runs, config=record.config)
    if as_json:
        print_json({"study": name, "runs": count, "budget": runs})
    else:
        print(f"Study {name!r} has {count} of {runs} runs; before, its budget was {record.budget}.")


@app.command(epilog="Example: limbeck pause squad2")
def pause(
    study: StudyArgument = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Start no more runs of a study for now. Those that are running go on to their end."""
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        store.set_paused(name, paused=True)
        running = sum(run.state is RunState.RUNNING for run in store.runs(name))
    if as_json:
        print_json({"study": name, "paused": True, "running": running})
    else:
        print(
            f"Study {name!r} is paused; {running} running runs go on to their end. "
            f"To start more: limbeck resume {name}"
        )


@app.command(epilog="Example: limbeck resume squad2")
def resume(
    study: StudyArgument = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Let a paused study's runs be started again, by the search that waits or by a new one."""
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        store.set_paused(name, paused=False)
    if as_json:
        print_json({"study": name, "paused": False})
    else:
        print(f"Study {name!r} is not paused.")


@app.command(epilog="Example: limbeck stop 7 8")
def stop(
    numbers: Annotated[
        list[int], typer.Argument(help="Numbers of the runs.", metavar="RUN", min=0)
    ],
    study: StudyName = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Stop runs: one that waits at once, one that is running at its next report.

    A stopped run stays in the record with its curves.
    """
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        runs = store.request_stop(name, *numbers)
    if as_json:
        print_json(
            [
                {"run": run.number, "state": run.state, "stop_requested": run.stop_requested}
                for run in runs
            ]
        )
        return
    for run in runs:
        at = "stops at its next report" if run.stop_requested else "is stopped: it waited"
        print(f"Run {run.number} of study {name!r} {at}.")


@app.command(epilog="Example: limbeck add runs.csv --study squad2")
def add(
    file: Annotated[
        Path, typer.Argument(help="A row a run (.csv, .json).", metavar="FILE", show_default=False)
    ],
    study: StudyName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add runs that were made elsewhere, for the search to learn from.

    Columns are the searched parameters, metrics, and perhaps state (finished or infeasible),
    seconds, error:METRIC. All rows are checked before the first is added; rows with parameters of a
    run that is there already are left out.
    """
    from limbeck.cli.progress import TrainingBar
    from limbeck.past_runs import add_past_runs, new_among, read_past_runs
    from limbeck.study import this_process

    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        config, _ = _begun(store, name)
        bar = TrainingBar("teacher")
        with bar:
            objective = open_objective(config, home, bar)
            past = read_past_runs(file, config, objective.known)
        new = new_among(past, store.runs(name))
        if dry_run:
            numbers = []
        else:
            added = add_past_runs(store, name, new, owner=this_process())
            numbers = [run.number for run in added]
            if added:
                store.add_event(name, "added", f"{len(added)} runs from {file.resolve()}")
        count, budget = len(store.runs(name)), store.study(name).budget
    if as_json:
        print_json({"study": name, "added": numbers, "new": len(new), "rows": len(past)})
        return
    left_out = len(past) - len(new)
    print(
        f"{len(new)} runs {'can be added' if dry_run else 'added'} to study {name!r}"
        f"{f'; {left_out} rows left out, whose parameters it has' if left_out else ''}. "
        f"It has {count} of {budget} runs."
    )


def _begun(store: "Store", name: str) -> "tuple[StudyConfig, tuple[Run, ...]]":
    """Return a study's settings and its runs, of which the first is its baseline.

    Raises:
        NotFoundError: If there is no such study.
        ConfigError: If it has no run yet, or confirms another.
    """
    from limbeck.study import stored_config

    config, runs = stored_config(store, name), store.runs(name)
    if config.file.data.score_on == "test":
        raise ConfigError(
            f"study {name!r} confirms another, so its runs are finalists of that one; use limbeck "
            "confirm with --run"
        )
    if not runs:
        raise ConfigError(
            f"study {name!r} needs its baseline first, but has no run; begin it with limbeck search"
        )
    return config, runs


def _refuse_second(name: str, runs: "tuple[Run, ...]", parameters: "Parameters") -> None:
    """Refuse a run whose parameters another has that is to come or has come to something."""
    for run in runs:
        again = run.state not in (RunState.STOPPED, RunState.FAILED)
        if again and dict(run.parameters) == dict(parameters):
            raise ConfigError(
                f"a run must have parameters of its own, but run {run.number} of study {name!r} "
                f"has the same and is {run.state}; --set other values"
            )


def _no_room(name: str, count: int, budget: int) -> ConfigError:
    return ConfigError(
        f"study {name!r} must have room for another run, but has {count} of {budget}; first: "
        f"limbeck extend {name} --runs {count + 1}"
    )
