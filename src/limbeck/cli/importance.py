"""The command that shows which parameters matter."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.comparing import FigureFile, check_output, write_figure
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

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from limbeck.analysis.importance import MetricForests
    from limbeck.analysis.results import StudyResults
    from limbeck.sensitivity import Importances, Interval
    from limbeck.store import Store

app = typer.Typer()

_SHOWN_INTERACTIONS = 3
_LEAST_SHARE = 0.02
"""Interactions below this are not printed."""


class FigureChoice(StrEnum):
    """What --figure takes."""

    BARS = "bars"
    DEPENDENCE = "dependence"
    SLICES = "slices"


@app.command(epilog="Example: limbeck importance -o importance.png")
def importance(
    study: StudyArgument = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help='A metric, or "frontier"; by default all optimized.'),
    ] = None,
    surrogate: Annotated[
        bool,
        typer.Option("--surrogate", help="As the optimizer believes, not as a forest sees it."),
    ] = False,
    output: FigureFile = None,
    figure: Annotated[
        FigureChoice | None,
        typer.Option(
            help="What to draw: shares, the default; or the first metric along each parameter, "
            "as the forest expects it (dependence) or as the runs measured it (slices)."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Of all chance in it; by default 0, or with --surrogate the study's."
        ),
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show which parameters matter, for each metric and for being on the frontier."""
    from limbeck.analysis.results import load_results

    check_output(output)
    _check_figure(figure, output, surrogate=surrogate)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        results = load_results(store, name)
        learned = [] if surrogate else _forests(results, metric or [], seed)
        if surrogate:
            found = _of_surrogate(store, name, metric or [], seed)
        else:
            found = tuple(each.importances for each in learned)
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        for each in found:
            _print(each)
    if output is not None:
        write_figure(_drawn(results, found, learned, figure), output)


def _check_figure(figure: FigureChoice | None, output: Path | None, *, surrogate: bool) -> None:
    if figure is not None and output is None:
        raise ConfigError("--figure needs -o: the file to draw it to")
    if surrogate and figure in (FigureChoice.DEPENDENCE, FigureChoice.SLICES):
        raise ConfigError(f"--figure {figure} goes with the forest; leave out --surrogate")


def _drawn(
    results: "StudyResults",
    found: "Sequence[Importances]",
    learned: "Sequence[MetricForests]",
    figure: FigureChoice | None,
) -> "go.Figure":
    """Return a figure; one of a metric is of the first, its most important parameters first."""
    from limbeck.analysis.figures.dependence import dependence_figure, slice_figure
    from limbeck.analysis.figures.importance import importance_bars

    if figure is None or figure is FigureChoice.BARS:
        return importance_bars(found)
    metric = found[0].metric
    order = [each.parameter for each in found[0].parameters] or None  # None: too few runs
    if figure is FigureChoice.SLICES:
        return slice_figure(results, metric, parameters=order)
    return dependence_figure(results, metric, learned[0].dependence(), parameters=order)


def _forests(
    results: "StudyResults", metrics: Sequence[str], seed: int | None
) -> "list[MetricForests]":
    from limbeck.analysis.importance import MetricForests, importance_targets

    chosen = tuple(metrics) or importance_targets(results)
    return [MetricForests.fit(results, each, seed=seed or 0) for each in chosen]


def _of_surrogate(
    store: "Store", name: str, metrics: Sequence[str], seed: int | None
) -> "tuple[Importances, ...]":
    """Return what the optimizer of a study believes.

    Raises:
        ConfigError: If a metric has no surrogate.
    """
    from limbeck.optimize.sensitivity import surrogate_importances
    from limbeck.study import earlier_runs, stored_config

    config = stored_config(store, name)
    unknown = [m.name for m in config.metrics if m.role != "store" and not m.known]
    for each in metrics:
        if each not in unknown:
            raise ConfigError(
                f"--surrogate knows the metrics {', '.join(unknown)}, but got {each!r}; leave "
                "out --surrogate"
            )
    before = config.file.optimizer.earlier
    found = surrogate_importances(
        store.runs(name),
        space=config.space,
        metrics=config.metrics,
        seed=config.file.seed if seed is None else seed,
        given_noise=config.file.optimizer.noise == "given",
        earlier=earlier_runs(store, before, config=config) if before else (),
    )
    return tuple(each for each in found if not metrics or each.metric in metrics)


def _print(found: "Importances") -> None:
    """Print the importances of one metric as a table."""
    from limbeck.analysis.importance import target_name
    from limbeck.cli.tables import OUT, new_table

    r2 = "" if found.r2 is None else f", R² {found.r2:.2f} on runs left out"
    title = f"{target_name(found.metric)}: {found.source}, n = {found.n}{r2}"
    if found.parameters:
        table = new_table("parameter", "alone", "", "with interactions", "", "", title=title)
        for each in found.parameters:
            table.add_row(
                each.parameter,
                f"{100 * each.first:.1f} %",
                _interval(each.first_interval),
                f"{100 * each.total:.1f} %",
                _interval(each.total_interval),
                "no effect seen" if each.parameter in found.inert else "",
            )
        OUT.print(table)
    else:
        OUT.print(title)
    pairs = [each for each in found.interactions if each.share >= _LEAST_SHARE]
    for pair in pairs[:_SHOWN_INTERACTIONS]:
        OUT.print(f"Together: {' and '.join(pair.parameters)}, {100 * pair.share:.1f} %")
    if found.warning:
        OUT.print(f"Caution: {found.warning}")


def _interval(ends: "Interval") -> str:
    return f"({100 * ends[0]:.1f} to {100 * ends[1]:.1f})"
