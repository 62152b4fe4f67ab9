"""The command that puts runs side by side: their settings, values, curves and layers."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    StoreUrl,
    StudyName,
    latest_study,
    make_folder,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError, NotFoundError
from limbeck.home import Home

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from limbeck.analysis.configuration import Row
    from limbeck.analysis.curves import Across
    from limbeck.analysis.results import StudyResults
    from limbeck.store import Store

app = typer.Typer()
MOST = 6
FigureFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="Figure to write (.png, .svg or .html).")
]


class AcrossChoice(StrEnum):
    """What --across takes."""

    STEPS = "steps"
    EPOCHS = "epochs"
    TIME = "time"


class FigureChoice(StrEnum):
    """What --figure takes."""

    CURVES = "curves"
    LAYERS = "layers"


AcrossOption = Annotated[AcrossChoice, typer.Option(help="What curves are drawn against.")]


@app.command(epilog="Example: limbeck compare 7 12 -o curves.html")
def compare(
    numbers: Annotated[
        list[int] | None,
        typer.Argument(
            help="Numbers of the runs; the best and the smallest if left out.",
            metavar="[RUN]...",
            min=0,
        ),
    ] = None,
    study: StudyName = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print settings that are the same in all runs, too.")
    ] = False,
    output: FigureFile = None,
    figure: Annotated[
        FigureChoice, typer.Option(help="What to draw: curves, or what is kept of each layer.")
    ] = FigureChoice.CURVES,
    across: AcrossOption = AcrossChoice.STEPS,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print the settings and values of runs beside the baseline's; with -o, draw them, too."""
    from limbeck.analysis.configuration import configuration
    from limbeck.analysis.curves import standing_out
    from limbeck.analysis.results import load_results

    check_output(output)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        results = load_results(store, name)
        shown = _chosen(numbers or standing_out(results))
        rows = configuration(results, shown)
        if as_json:
            print_json(_facts(results, shown, rows))
        else:
            _print(results, shown, rows, every=every)
        if output is not None:
            write_figure(
                draw_curves(store, results, shown, across.value)
                if figure is FigureChoice.CURVES
                else _draw_layers(results, shown),
                output,
            )


def check_output(path: Path | None) -> None:
    """Check where a figure is to be written, before the work that it is to show.

    Raises:
        ConfigError: If it cannot be written there.
    """
    if path is not None:
        from limbeck.analysis.figures.saving import check_figure_file

        check_figure_file(path)
        make_folder(path.parent, "--output")


def draw_curves(
    store: "Store", results: "StudyResults", numbers: tuple[int, ...], across: "Across"
) -> "go.Figure":
    """Return the figure of the runs' curves."""
    from limbeck.analysis.figures.curves import training_curves

    points = {number: store.points(results.name, number) for number in numbers}
    return training_curves(results, points, runs=numbers, across=across)


def write_figure(figure: "go.Figure", path: Path) -> None:
    """Write a figure, and say where."""
    from limbeck.analysis.figures.saving import save_figure

    save_figure(figure, path)
    print(f"Figure: {path}", file=sys.stderr)


def _draw_layers(results: "StudyResults", numbers: tuple[int, ...]) -> "go.Figure":
    from limbeck.analysis.figures.architecture import architecture

    return architecture(results, runs=numbers)


def _chosen(numbers: "list[int] | tuple[int, ...]") -> tuple[int, ...]:
    """Return the runs to show, the baseline first.

    Raises:
        ConfigError: If they are too many to stand side by side.
        NotFoundError: If there are none.
    """
    chosen = tuple(dict.fromkeys([0, *numbers]))
    if not numbers:
        raise NotFoundError("no run is finished yet; name the runs to compare")
    if len(chosen) > MOST:
        raise ConfigError(
            f"at most {MOST} runs stand side by side, the baseline among them, but got "
            f"{len(chosen)}; leave some out"
        )
    return chosen


def _print(
    results: "StudyResults", numbers: tuple[int, ...], rows: "tuple[Row, ...]", *, every: bool
) -> None:
    from limbeck.analysis.configuration import setting_text
    from limbeck.cli.tables import OUT, new_table, value_and_error

    runs = [results.run(number) for number in numbers]
    heads = [f"run {run.number}{' (baseline)' if run.number == 0 else ''}" for run in runs]
    values = new_table("metric", *heads)
    values.add_row("state", *(str(run.state) for run in runs))
    for metric in results.metrics:
        values.add_row(metric.name, *(value_and_error(run, metric) for run in runs))
    OUT.print(values)
    table = new_table("setting", "range", *heads)
    shown = [row for row in rows if every or row.group == "searched" or any(row.differs)]
    for row in shown:
        cells = [
            f"{setting_text(value)}{' *' if differs else ''}"
            for value, differs in zip(row.values, row.differs, strict=True)
        ]
        table.add_row(row.name, row.range_text, *cells)
    OUT.print(table)
    OUT.print("* differs from the baseline")
    if len(shown) < len(rows):
        OUT.print(f"{len(rows) - len(shown)} more are the same in all of these: --all")


def _facts(
    results: "StudyResults", numbers: tuple[int, ...], rows: "tuple[Row, ...]"
) -> dict[str, object]:
    runs = [results.run(number) for number in numbers]
    return {
        "runs": [
            {"run": run.number, "state": run.state, "values": run.values, "errors": run.errors}
            for run in runs
        ],
        "settings": [
            {
                "group": row.group,
                "name": row.name,
                "range": row.range_text,
                "baseline": row.baseline,
                "values": row.values,
                "differs": row.differs,
            }
            for row in rows
        ],
    }
