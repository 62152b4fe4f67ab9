"""The command line. Commands import heavy libraries when they run, so help is instant."""

import gc
import sys
import warnings
from typing import TextIO

import typer

from limbeck.cli import (
    comparing,
    dashboard,
    disk,
    exporting,
    importance,
    looking,
    making,
    managing,
    mistakes,
    optuna,
    reporting,
    store,
)
from limbeck.errors import ArchitectureError, InputError, LimbeckError, LimbeckWarning

app = typer.Typer(
    name="limbeck",
    help="Find the frontier of smaller models worth having for a fine-tuned Transformer.",
    epilog="Start with: limbeck search study.toml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(making.app)
app.add_typer(looking.app)
app.add_typer(comparing.app)
app.add_typer(importance.app)
app.add_typer(mistakes.app)
app.add_typer(reporting.app)
app.add_typer(dashboard.app)
app.add_typer(managing.app)
app.add_typer(exporting.app)
app.add_typer(disk.app)
app.add_typer(optuna.app, name="optuna")
app.add_typer(store.app, name="store")


def main() -> None:
    """Run the command line; what goes wrong on purpose is one line and an exit code."""
    warnings.showwarning = _show_warning
    # Modules and thousands of runs are no garbage: to look through them less often saves 5 %.
    gc.set_threshold(10_000)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.TyperException as error:
        if error.format_message():  # Without arguments, help has been shown instead.
            _show_error(error.format_message())
        sys.exit(error.exit_code)
    except LimbeckError as error:
        _show_error(str(error))
        sys.exit(2 if isinstance(error, InputError | ArchitectureError) else 1)


def _show_error(message: str) -> None:
    """Print an error in one line, also where it quotes something that has several."""
    print(f"Error: {' '.join(message.splitlines())}", file=sys.stderr)


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
