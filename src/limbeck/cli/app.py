"""The commands. Heavy libraries are imported by the commands that need them, so help is instant."""

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from limbeck.errors import ConfigError, InputError, LimbeckError, LimbeckWarning, NotFoundError
from limbeck.home import Home
from limbeck.space import Value

if TYPE_CHECKING:
    from limbeck.cli.progress import TrainingBar
    from limbeck.objective import Objective
    from limbeck.store import Store

app = typer.Typer(
    name="limbeck",
    help="Find the frontier of smaller models worth having for a fine-tuned Transformer.",
    epilog="Start with: limbeck search study.toml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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


def main() -> None:
    """Run the command line; what goes wrong on purpose is one line and an exit code."""
    warnings.showwarning = _show_warning
    try:
        app()
    except LimbeckError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)


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
    result = objective.examine(objective.teacher)
    print_values(f"Teacher {path}", result.scores)


@app.command(epilog="Example: limbeck distill study.toml --set num_layers=3 --set alpha_ce=0.9")
def distill(
    study_file: StudyFile,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A parameter; the rest is the baseline's."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the student.")
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Distil, score and measure one student outside of any study.

    Interrupted, it goes on where its last checkpoint is.
    """
    from limbeck.cli.progress import TrainingBar
    from limbeck.cli.tables import print_values
    from limbeck.runs import RunState

    bar = TrainingBar("teacher")
    objective = _objective(study_file, home, bar)
    parameters = objective.baseline | _assignments(objective, sets or [])
    folder = output or objective.home.students / _folder_name(objective, parameters)
    with bar:
        objective.prepare(bar)
    with TrainingBar("student") as bar:
        outcome = objective(parameters, folder, bar)
    if outcome.state is not RunState.FINISHED:
        raise LimbeckError(f"the student is {outcome.state}: {outcome.message}")
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    if as_json:
        _print_json({"parameters": parameters, "values": outcome.values, "folder": str(folder)})
    else:
        print_values(f"Student in {folder}", outcome.values)


@app.command(epilog="Example: limbeck search study.toml --runs 24 --workers 1")
def search(
    study_file: StudyFile,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Runs in all; by default the study file's budget.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; by default the study file's.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--output", "-o", help="Frontier picture (.png or .svg).")
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
) -> None:
    """Search for the frontier of smaller students: the main job.

    The first run is the baseline. Ctrl-C stops the search; started again, it goes on: finished runs
    stay, interrupted ones continue from their checkpoints.
    """
    from limbeck.cli.progress import SearchBars, TrainingBar
    from limbeck.cli.tables import print_frontier
    from limbeck.execute.local import search as run_search
    from limbeck.optimize.configured import make_sampler
    from limbeck.study import Study, enter, this_process

    bar = TrainingBar("teacher")
    objective = _objective(study_file, home, bar)
    budget = objective.config.file.budget
    with _store(objective.home, store_url) as store:
        name = objective.config.file.name
        enter(store, objective.config, runs=runs or budget.runs)
        with bar:
            objective.prepare(bar)
        study = Study(
            store=store,
            name=name,
            sampler=make_sampler(
                objective.config.file.optimizer,
                objective.space,
                objective.config.metrics,
                known=objective.known,
                baseline=objective.baseline,
                seed=objective.config.file.seed,
            ),
            known=objective.known,
            owner=this_process(),
        )
        try:
            with SearchBars(store, name, objective.config.metrics) as bars:
                run_search(
                    study,
                    objective.config,
                    objective.home,
                    workers=workers or budget.workers,
                    watch=bars.update,
                )
        except KeyboardInterrupt:
            print("Stopped. The same command goes on with this search.", file=sys.stderr)
            sys.exit(130)
        print_frontier(store.runs(name), objective.config.metrics)
        _draw(store, name, picture)


@app.command(epilog="Example: limbeck status")
def status(
    study: StudyArgument = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened: every study, or all runs of one."""
    from limbeck.cli.tables import print_runs, print_studies, run_facts, study_facts
    from limbeck.study import stored_config

    with _store(Home(home), store_url) as store:
        if study is None:
            facts = [
                study_facts(
                    record, store.runs(record.name), stored_config(store, record.name).metrics
                )
                for record in store.studies()
            ]
            _print_json(facts) if as_json else print_studies(facts)
            return
        runs = store.runs(study)
        if as_json:
            _print_json([run_facts(run) for run in runs])
        else:
            print_runs(runs, stored_config(store, study).metrics)


@app.command(epilog="Example: limbeck frontier -o frontier.svg")
def frontier(
    study: StudyArgument = None,
    picture: Annotated[
        Path | None, typer.Option("--output", "-o", help="Picture to write (.png or .svg).")
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print the frontier against the baseline, and draw it."""
    from limbeck.cli.tables import frontier_facts, print_frontier
    from limbeck.study import stored_config

    with _store(Home(home), store_url) as store:
        name = study or _latest(store)
        metrics, runs = stored_config(store, name).metrics, store.runs(name)
        if as_json:
            _print_json(frontier_facts(runs, metrics))
        else:
            print_frontier(runs, metrics)
        _draw(store, name, picture)


@app.command(epilog="Example: limbeck show 7")
def show(
    number: Annotated[int, typer.Argument(help="Number of the run.", metavar="RUN", min=0)],
    study: StudyName = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: parameters, values, curves, what it left behind."""
    from limbeck.cli.tables import print_run, run_facts
    from limbeck.study import stored_config

    with _store(Home(home), store_url) as store:
        name = study or _latest(store)
        config = stored_config(store, name)
        run, points = store.run(name, number), store.points(name, number)
        if as_json:
            curve = [[point.step, point.metric, point.value, point.seconds] for point in points]
            _print_json({**run_facts(run), "curves": curve})
        else:
            print_run(run, points, config, baseline=store.run(name, 0))


@app.command(epilog="Example: limbeck score dev-v2.0.json predictions.json")
def score(
    data: Annotated[Path, typer.Argument(help="SQuAD 1.1 or 2.0 (.json, .json.gz).")],
    predictions: Annotated[Path, typer.Argument(help="JSON object: question id to answer.")],
    na_prob_file: Annotated[
        Path | None, typer.Option(help="JSON object: question id to no-answer score.")
    ] = None,
    na_prob_thresh: Annotated[
        float, typer.Option(help="Above this no-answer score, no answer is predicted.")
    ] = 1.0,
) -> None:
    """Score predictions as the official SQuAD 1.1 or 2.0 script does, to all digits."""
    from limbeck.tasks.question_answering.dataset import read_squad
    from limbeck.tasks.question_answering.scoring import (
        read_na_probs,
        read_predictions,
        score,
        score_v1,
    )

    questions = read_squad(data)
    answers = read_predictions(predictions)
    if not questions.has_unanswerable:
        if na_prob_file:
            raise ConfigError(
                "--na-prob-file needs SQuAD 2.0 data, but every question is answerable"
            )
        _print_json(score_v1(questions, answers))
        return
    na_probs = read_na_probs(na_prob_file) if na_prob_file else None
    _print_json(score(questions, answers, na_probs=na_probs, na_prob_thresh=na_prob_thresh))


def _objective(study_file: Path, home: Path, bar: "TrainingBar") -> "Objective":
    from transformers.utils.logging import disable_progress_bar

    from limbeck.config import load_config
    from limbeck.objective import Objective

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'
    return Objective(load_config(study_file), Home(home.resolve()), progress=bar.prepare)


def _store(home: Home, url: str | None) -> "Store":
    from limbeck.store import Store

    if url is None:
        home.folder.mkdir(parents=True, exist_ok=True)
    return Store(url or home.store_url)


def _latest(store: "Store") -> str:
    studies = store.studies()
    if not studies:
        raise NotFoundError("the store holds no study; begin one with limbeck search STUDY.toml")
    return max(studies, key=lambda study: study.created).name


def _assignments(objective: "Objective", sets: list[str]) -> dict[str, Value]:
    """Read NAME=VALUE arguments; a name may be any that can be searched."""
    values: dict[str, Value] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set must be NAME=VALUE, but got {text!r}")
        values[name] = _json_value(value)
    objective.config.check(values)
    return values


def _json_value(text: str) -> Value:
    try:
        value: Value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value


def _folder_name(objective: "Objective", parameters: dict[str, Value]) -> str:
    import hashlib

    made_from = json.dumps([objective.config.identity, parameters], sort_keys=True)
    return f"{objective.config.file.name}-{hashlib.sha256(made_from.encode()).hexdigest()[:8]}"


def _draw(store: "Store", name: str, picture: Path | None) -> None:
    from limbeck.analysis.figures import save_frontier
    from limbeck.study import stored_config

    path = picture or Path(f"{name}-frontier.png")
    runs = store.runs(name)
    baseline = next((run for run in runs if run.number == 0), None)
    save_frontier(path, runs, stored_config(store, name).metrics, baseline=baseline, title=name)
    print(f"Picture: {path}", file=sys.stderr)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, default=str))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, LimbeckWarning):
        print(f"Warning: {message}", file=sys.stderr)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        print(text, end="", file=file or sys.stderr)
