"""Figures as files: pictures for print, and pages that open without a network."""

from pathlib import Path

import plotly.graph_objects as go

from limbeck.errors import ConfigError
from limbeck.files import whole_file

SUFFIXES = (".png", ".svg", ".html")
_WIDTH, _HEIGHT = 1200, 800  # pixels; a figure may be higher by itself


def check_figure_file(path: Path) -> None:
    """Check the name of a figure's file, before the work that it is to show.

    Raises:
        ConfigError: If the ending is not one of `SUFFIXES`.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"a figure must end in {', '.join(SUFFIXES)}, but got {path}")


def save_figure(figure: go.Figure, path: Path) -> None:
    """Write a figure; the file appears, or is replaced, whole.

    Args:
        figure: Any.
        path: Its ending tells the format, one of `SUFFIXES`.

    Raises:
        ConfigError: If it is a picture, and there is no kaleido or no browser to draw it.
    """
    with whole_file(path) as file:
        if path.suffix == ".html":
            figure.write_html(file, include_plotlyjs=True)
            return
        try:
            figure.write_image(file, width=_WIDTH, height=figure.layout.height or _HEIGHT)
        except RuntimeError as error:
            raise ConfigError(
                f"{path} needs kaleido, of pip install 'limbeck[images]', and Chrome or Chromium, "
                f"but: {' '.join(str(error).split())}; a file that ends in .html needs neither"
            ) from error
