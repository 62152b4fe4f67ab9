"""Commands that show what is there: status, frontier, data, show, presets, score."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    StoreUrl,
    StudyArgument,
    StudyName,
    draw,
    latest_study,
    make_folder,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError
from limbeck.home import Home

if TYPE_CHECKING:
    pass

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


@app.command(epilog="Example: limbeck frontier --under num_parameters=20M -o frontier.html")
def frontier(
    study: StudyArgument = None,
    under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE",
            help="Pick the best run under this limit, too; given twice, under both.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Picture to write (.png or .svg), or interactive figure (.html)."
        ),
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print the frontier against the baseline, and which runs to choose; with -o, draw it, too.

    A limit is METRIC=VALUE, at most for a metric to be minimized, else at least; or METRIC<=VALUE,
    METRIC>=VALUE in quotes. k, M, G and the unit may follow the value.
    """
    from limbeck.analysis.control import find_control
    from limbeck.analysis.extract import frontier_runs
    from limbeck.analysis.limits import parse_limit
    from limbeck.analysis.picks import make_picks
    from limbeck.analysis.results import StudyResults
    from limbeck.cli.picks import picks_facts, print_picks
    from limbeck.cli.tables import frontier_facts, print_frontier
    from limbeck.config import MEASURED
    from limbeck.study import stored_config

    _check_output(picture)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        config = stored_config(store, name)
        recorded = {*MEASURED, *(n for run in store.some_runs(name, {0}) for n in run.values)}
        limits = [parse_limit(text, config.metrics, sorted(recorded)) for text in under or ()]
        limited = {limit.metric.name for limit in limits}
        runs = frontier_runs(store, config, besides=limited)
        results = StudyResults(
            name=name, metrics=config.metrics, parameters=config.parameters, runs=runs
        )
        picks = make_picks(results, limits=limits)
        if as_json:
            print_json({**frontier_facts(runs, config.metrics), "picks": picks_facts(picks)})
        else:
            print_frontier(runs, config.metrics, control=find_control(runs, config))
            print_picks(picks)
        if picture is not None and picture.suffix == ".html":
            from limbeck.analysis.figures.frontier import frontier as draw_frontier
            from limbeck.analysis.figures.saving import save_figure
            from limbeck.analysis.results import load_results

            save_figure(draw_frontier(load_results(store, name, home=Home(home))), picture)
            print(f"Figure: {picture}", file=sys.stderr)
        elif picture is not None:
            draw(store, name, picture)


def _check_output(path: Path | None) -> None:
    """Check where the frontier is to be drawn, before it is printed.

    Raises:
        ConfigError: If it cannot be drawn there.
    """
    if path is None:
        return
    if path.suffix not in (".png", ".svg", ".html"):
        raise ConfigError(f"a figure's file name must end in .png, .svg or .html, but got {path}")
    if path.is_dir():
        raise ConfigError(f"a figure needs a file's name, but {path} is a folder; name another")
    make_folder(path.parent, "--output")


@app.command(epilog="Example: limbeck data -o runs.csv")
def data(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write (.csv, .parquet or .json)."),
    ],
    study: StudyArgument = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
) -> None:
    """Write all runs of a study as a table, a row for each: for pandas, a spreadsheet, or R."""
    from limbeck.analysis.frame import check_data_name, write_frame
    from limbeck.analysis.results import load_results

    check_data_name(output)
    make_folder(output.parent, "--output")
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        results = load_results(store, name)
    write_frame(results, output)
    print(f"Data: {output} ({len(results.runs)} runs)", file=sys.stderr)


@app.command(epilog="Example: limbeck show 7 -o curves.png")
def show(
    number: Annotated[int, typer.Argument(help="Number of the run.", metavar="RUN", min=0)],
    study: StudyName = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Curves to draw (.png, .svg or .html)."),
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: parameters, values, curves, what it left behind.

    With -o, its curves are drawn beside the baseline's.
    """
    from limbeck.cli.comparing import check_output, draw_curves, write_figure
    from limbeck.cli.tables import print_run, run_facts
    from limbeck.study import stored_config

    check_output(output)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        config = stored_config(store, name)
        run, points = store.run(name, number), store.points(name, number)
        if as_json:
            curve = [[point.step, point.metric, point.value, point.seconds] for point in points]
            print_json({**run_facts(run), "curves": curve})
        else:
            print_run(run, points, config, baseline=store.run(name, 0))
        if output is not None:
            from limbeck.analysis.results import load_results

            shown = tuple(dict.fromkeys([0, number]))
            runs = store.some_runs(name, shown)
            results = load_results(store, name, runs=runs)
            write_figure(draw_curves(store, results, shown, "steps"), output)


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
