"""Commands that compute: search, distill, teach, confirm."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    Picture,
    Sets,
    StoreUrl,
    StudyArgument,
    StudyFile,
    Workers,
    assignments,
    check_picture,
    draw,
    helps_only,
    latest_study,
    make_folder,
    open_objective,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError, LimbeckError
from limbeck.home import Home
from limbeck.space import Value

if TYPE_CHECKING:
    from limbeck.cli.progress import TrainingBar
    from limbeck.config import StudyConfig
    from limbeck.objective import Objective
    from limbeck.runs import Run
    from limbeck.store import Store, StudyRecord

app = typer.Typer()


@app.command(epilog="Example: limbeck search study.toml --runs 24 --workers 1")
def search(
    study_file: StudyFile,
    runs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Runs in all; by default what the study file says, or limbeck extend said."
        ),
    ] = None,
    workers: Workers = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="auto|HOST:PORT", help="Ray cluster that makes the runs; else here."),
    ] = None,
    resources: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=AMOUNT", help="What a run takes of it, as GPU=1 or GPU=0.5."),
    ] = None,
    picture: Picture = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
) -> None:
    """Search for the frontier of smaller students: the main job.

    The first run is the baseline. Ctrl-C stops the search; started again, it goes on: finished runs
    stay, interrupted ones continue from their checkpoints.
    """
    from limbeck.analysis.control import find_control
    from limbeck.artifacts import check_artifacts_url
    from limbeck.cli.machines import machines
    from limbeck.cli.progress import SearchBars, TrainingBar
    from limbeck.cli.tables import print_frontier
    from limbeck.integrations.mirrors import open_mirrors
    from limbeck.optimize.configured import make_sampler
    from limbeck.study import Study, enter, missing, queue_all, this_process

    _refuse_launcher()
    check_picture(picture)
    bar = TrainingBar("teacher")
    objective = _objective(study_file, home, bar)
    budget = objective.config.file.budget
    first = _first_runs(objective)
    name = objective.config.file.name
    with open_store(objective.home, store_url, absent="empty") as store:
        earlier = _earlier_runs(store, objective.config)
        runs = runs or _budget(store, objective.config)
        if store.has_study(name):
            # What has changed is refused before the long preparation; new is only what passes it.
            enter(store, objective.config, runs=store.study(name).budget)
    check_artifacts_url(objective.config)
    mirrors = open_mirrors(objective.config)
    with machines(ray, resources) as run_search:
        with bar:
            objective.prepare(bar)
        with open_store(objective.home, store_url, absent="make") as store:
            enter(store, objective.config, runs=runs)
            _say_what_holds(store.study(name), len(store.runs(name)))
            study = Study(
                store=store,
                name=name,
                space=objective.space,
                sampler=make_sampler(
                    objective.config.file.optimizer,
                    objective.space,
                    objective.config.metrics,
                    known=objective.known,
                    baseline=objective.baseline,
                    seed=objective.config.file.seed,
                    budget=runs,
                    earlier=earlier,
                ),
                known=objective.known,
                owner=this_process(),
                retries=budget.retries,
            )
            queue_all(study, missing(first, study.runs))
            with (
                closing(mirrors),
                _goes_on(),
                SearchBars(store, name, objective.config.metrics) as bars,
            ):
                run_search(
                    study,
                    objective.config,
                    objective.home,
                    workers=workers or budget.workers,
                    watch=bars.update,
                    mirrors=mirrors,
                )
            made = store.runs(name)
            control = find_control(made, objective.config)
            print_frontier(made, objective.config.metrics, control=control)
            draw(store, name, picture)


@app.command(epilog="Example: limbeck distill study.toml --set num_layers=3 --set alpha_ce=0.9")
def distill(
    study_file: StudyFile,
    sets: Sets = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the student.")
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Distil, score and measure one student outside of any study.

    Interrupted, it goes on where its last checkpoint is. On several GPUs: accelerate launch -m
    limbeck.cli distill study.toml.
    """
    from limbeck.cli.progress import TrainingBar
    from limbeck.cli.tables import print_values
    from limbeck.distill.checkpoint import remove_checkpoint
    from limbeck.runs import RunState

    bar = TrainingBar("teacher")
    objective = _objective(study_file, home, bar)
    parameters = objective.baseline | assignments(objective.config, sets or [])
    objective.students.check_shape(parameters)
    folder = output or objective.home.students / _folder_name(objective, parameters)
    make_folder(folder, "--output")
    with bar:
        objective.prepare(bar)
    with TrainingBar("student") as bar:
        outcome = objective(parameters, folder, bar)
    if outcome.state is not RunState.FINISHED:
        raise LimbeckError(f"the student is {outcome.state}: {outcome.message}")
    if helps_only():
        return
    remove_checkpoint(folder / "checkpoint.safetensors")
    if as_json:
        print_json(
            {
                "parameters": parameters,
                "values": outcome.values,
                "errors": outcome.errors,
                "folder": str(folder),
            }
        )
    else:
        print_values(f"Student in {folder}", outcome.values, outcome.errors)


@app.command(epilog="Example: limbeck teach study.toml")
def teach(study_file: StudyFile, home: HomeFolder = DEFAULT_HOME) -> None:
    """Fine-tune the study's teacher, if it starts from a plain encoder, and score it.

    Interrupted, it goes on where its last checkpoint is.
    """
    from limbeck.cli.progress import TrainingBar
    from limbeck.cli.tables import print_values

    bar = TrainingBar("teacher")
    objective = _objective(study_file, home, bar)
    with bar:
        path = objective.teach(bar)
    if helps_only():
        return
    result = objective.examine(objective.teacher)
    print_values(f"Teacher {path}", result.scores, result.errors)


@app.command(epilog="Example: limbeck confirm squad2 --seeds 3 --data dev-v2.0.json")
def confirm(
    study: StudyArgument = None,
    run: Annotated[
        list[int] | None,
        typer.Option("--run", "-r", help="A finalist; by default the frontier and the baseline."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="New seeds for each finalist.")] = 3,
    data: Annotated[
        str | None,
        typer.Option(help="Questions that selected nothing; else the file's data.test."),
    ] = None,
    questions: Annotated[
        int | None,
        typer.Option(min=1, help="How many of them, by chance; else data.test_questions."),
    ] = None,
    new_name: Annotated[
        str | None, typer.Option("--name", help="Of the confirming study; else NAME.confirm.")
    ] = None,
    workers: Workers = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Train finalists again with new seeds, and score them on questions that selected nothing.

    The runs are a study of their own. Interrupted, the same command goes on with it.
    """
    from limbeck.artifacts import check_artifacts_url
    from limbeck.cli.confirmation import confirmation_facts, print_confirmation
    from limbeck.cli.progress import SearchBars, TrainingBar
    from limbeck.distill.thresholds import raise_thresholds
    from limbeck.execute.confirm import confirm as run_confirm
    from limbeck.execute.confirm import confirmation_config
    from limbeck.frontier import frontier
    from limbeck.study import stored_config

    _refuse_launcher()
    with open_store(Home(home.resolve()), store_url) as store:
        name = study or latest_study(store)
        chosen_from = stored_config(store, name)
        runs, metrics = store.runs(name), chosen_from.metrics
        numbers = set(run or [0, *(member.number for member in frontier(runs, metrics))])
        finalists = [store.run(name, number) for number in sorted(numbers)]
        bar = TrainingBar("teacher")
        test = str(Path(data).resolve()) if data and Path(data).exists() else data
        objective = open_objective(
            confirmation_config(chosen_from, name=new_name, test=test, questions=questions),
            home,
            bar,
        )
        objective.questions.check_test()
        check_artifacts_url(objective.config)
        with bar:
            objective.prepare(bar)
        with _goes_on(), SearchBars(store, objective.config.file.name, metrics) as bars:
            repeats = run_confirm(
                store,
                objective.config,
                objective.home,
                finalists=finalists,
                seeds=seeds,
                known=objective.known,
                workers=workers or chosen_from.file.budget.workers,
                watch=bars.update,
            )
    judged = raise_thresholds(metrics, objective.questions)
    if as_json:
        print_json(confirmation_facts(finalists, repeats, judged))
    else:
        print_confirmation(finalists, repeats, judged)


def _first_runs(objective: "Objective") -> list[dict[str, Value]]:
    """Return the baseline and, if the study file wants it, the control.

    Raises:
        ArchitectureError: If the baseline cannot exist.
        ConfigError: If it is not in the search space, or is the control itself.
    """
    baseline = objective.baseline
    objective.students.check_shape(baseline)
    if not objective.config.file.budget.control:
        return [baseline]
    return [baseline, objective.config.control(baseline)]


def _earlier_runs(store: "Store", config: "StudyConfig") -> tuple["Run", ...]:
    """Return the runs of the earlier study that the search starts from, and say how many.

    Raises:
        ConfigError: If the study file names a study that has none.
    """
    from limbeck.study import earlier_runs

    name = config.file.optimizer.earlier
    if name is None:
        return ()
    earlier = earlier_runs(store, name, config=config)
    count = len(store.runs(name))
    print(f"Starting from {len(earlier)} of the {count} runs of study {name!r}.", file=sys.stderr)
    return earlier


def _budget(store: "Store", config: "StudyConfig") -> int:
    """Return how many runs a study is to have: what was said last, here or in the study file."""
    from limbeck.study import stored_config

    name, asked = config.file.name, config.file.budget.runs
    if not store.has_study(name):
        return asked
    if stored_config(store, name).file.budget.runs != asked:
        return asked
    return max(asked, store.study(name).budget)


def _say_what_holds(study: "StudyRecord", count: int) -> None:
    """Say why a search starts no run, if that may surprise."""
    if study.paused:
        print(
            f"Study {study.name!r} is paused: no run is started until limbeck resume {study.name}.",
            file=sys.stderr,
        )
    if count > study.budget:
        print(
            f"Study {study.name!r} has {count} runs already, more than the {study.budget} asked "
            "for: no new one is started.",
            file=sys.stderr,
        )


def _refuse_launcher() -> None:
    """Check that no launcher has started this command several times.

    Raises:
        ConfigError: If one has.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "a search starts its own workers, one for each GPU, but a launcher started "
            f"{os.environ['WORLD_SIZE']} of it; start it without one, with --workers"
        )


@contextmanager
def _goes_on() -> Iterator[None]:
    """Say what Ctrl-C has not undone."""
    try:
        yield
    except KeyboardInterrupt:
        print("Stopped. The same command goes on with this search.", file=sys.stderr)
        sys.exit(130)


def _objective(study_file: Path, home: Path, bar: "TrainingBar") -> "Objective":
    from limbeck.config import load_config

    return open_objective(load_config(study_file), home, bar)


def _folder_name(objective: "Objective", parameters: dict[str, Value]) -> str:
    import hashlib

    made_from = json.dumps([objective.config.identity, parameters], sort_keys=True)
    return f"{objective.config.file.name}-{hashlib.sha256(made_from.encode()).hexdigest()[:8]}"
