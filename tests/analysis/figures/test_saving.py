import re
from pathlib import Path

import plotly.graph_objects as go
import pytest

from limbeck.analysis.figures.saving import check_figure_file, save_figure
from limbeck.analysis.figures.style import new_figure
from limbeck.errors import ConfigError


@pytest.fixture
def figure() -> go.Figure:
    return new_figure("Title").add_scatter(x=[1, 2], y=[3, 4])


def test_a_page_needs_no_network(figure: go.Figure, tmp_path: Path) -> None:
    save_figure(figure, tmp_path / "figure.html")
    page = (tmp_path / "figure.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link)[^>]+(src|href)=", page)
    assert "Plotly.newPlot" in page


@pytest.mark.browser
def test_pictures_are_what_their_names_say(figure: go.Figure, tmp_path: Path) -> None:
    save_figure(figure, tmp_path / "figure.png")
    save_figure(figure, tmp_path / "figure.svg")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure.svg").read_text().startswith("<svg")


def test_without_a_browser_the_way_out_is_named(
    figure: go.Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"needs kaleido.* ends in \.html needs neither"):
        save_figure(figure, tmp_path / "figure.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["figure", "figure.pdf", "figure.PNG"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.png, \.svg, \.html"):
        check_figure_file(Path(name))
