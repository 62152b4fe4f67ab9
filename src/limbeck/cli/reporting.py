"""The command that writes a study's report."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    HomeFolder,
    StoreUrl,
    StudyArgument,
    latest_study,
    make_folder,
    open_store,
)
from limbeck.errors import ConfigError
from limbeck.home import Home

app = typer.Typer()


@app.command(epilog="Example: limbeck report squad2 -o report.html")
def report(
    study: StudyArgument = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file; NAME-report.html if left out.")
    ] = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
) -> None:
    """Write one file with every figure and table of a study; it opens without a network."""
    if output is not None:
        if output.suffix != ".html" or output.is_dir():
            raise ConfigError(f"a report must be a file that ends in .html, but got {output}")
        make_folder(output.parent, "--output")
    from limbeck.analysis.report import read_findings, write_report

    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        path = output or Path(f"{name}-report.html")
        write_report(path, read_findings(store, name, home=Home(home)))
    print(f"Report: {path}", file=sys.stderr)
