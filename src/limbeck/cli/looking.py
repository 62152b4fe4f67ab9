"""Commands that show what is there: status, frontier, show, presets, score."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    Picture,
    StoreUrl,
    StudyArgument,
    StudyName,
    check_picture,
    draw,
    latest_study,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError
from limbeck.home import Home

app = typer.Typer()


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

    with open_store(Home(home), store_url) as store:
        if study is None:
            facts = [
                study_facts(
                    record, store.runs(record.name), stored_config(store, record.name).metrics
                )
                for record in store.studies()
            ]
            print_json(facts) if as_json else print_studies(facts)
            return
        runs = store.runs(study)
        if as_json:
            print_json([run_facts(run) for run in runs])
            return
        print_runs(runs, stored_config(store, study).metrics)
        if store.study(study).paused:
            print(f"Paused: no run is started until limbeck resume {study}.")


@app.command(epilog="Example: limbeck frontier -o frontier.svg")
def frontier(
    study: StudyArgument = None,
    picture: Picture = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print the frontier against the baseline; with -o, draw it, too."""
    from limbeck.analysis.control import find_control
    from limbeck.analysis.extract import frontier_runs
    from limbeck.cli.tables import frontier_facts, print_frontier
    from limbeck.study import stored_config

    check_picture(picture)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        config = stored_config(store, name)
        runs = frontier_runs(store, config)
        if as_json:
            print_json(frontier_facts(runs, config.metrics))
        else:
            print_frontier(runs, config.metrics, control=find_control(runs, config))
        if picture is not None:
            draw(store, name, picture)


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

    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        config = stored_config(store, name)
        run, points = store.run(name, number), store.points(name, number)
        if as_json:
            curve = [[point.step, point.metric, point.value, point.seconds] for point in points]
            print_json({**run_facts(run), "curves": curve})
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
        print_json(score_v1(questions, answers))
        return
    na_probs = read_na_probs(na_prob_file) if na_prob_file else None
    print_json(score(questions, answers, na_probs=na_probs, na_prob_thresh=na_prob_thresh))


@app.command(epilog="Example: limbeck presets efficient-bert")
def presets(
    name: Annotated[
        str | None, typer.Argument(help="Print this preset's TOML.", metavar="[PRESET]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the search spaces to start from, or print one: a study file without its data.

    A study file takes one with preset = "NAME"; what the file says itself takes the preset's place.
    """
    from limbeck.cli.presets import print_preset
    from limbeck.config import PRESETS, preset_summary, preset_text

    if name is not None:
        print(preset_text(name), end="")
    elif as_json:
        print_json({preset: preset_summary(preset) for preset in PRESETS})
    else:
        for preset in PRESETS:
            print_preset(preset)
