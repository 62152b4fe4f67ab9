"""Rings stand where the markers of the runs do."""

import pytest

from limbeck.analysis.figures.highlight import highlight
from limbeck.analysis.figures.style import new_figure


@pytest.mark.parametrize("kind", ["scatter", "scattergl"])
def test_a_ring_is_where_the_marker_of_the_run_is(kind: str) -> None:
    figure = new_figure()
    figure.add_traces([{"type": kind, "x": [1, 2], "y": [3, 4], "customdata": [[0], [7]]}])
    figure.add_scatter(x=[9], y=[9], customdata=[[5]])
    figure.add_scatter(x=[8], y=[8])
    assert highlight(figure, [7, 6, 5]) == (7, 5)
    rings = figure.data[3:]
    assert [(ring.x[0], ring.y[0], ring.text[0]) for ring in rings] == [
        (2, 4, "<b>7</b>"),
        (9, 9, "<b>5</b>"),
    ]
    assert rings[0].type == kind


def test_without_markers_nothing_is_drawn() -> None:
    figure = new_figure()
    assert highlight(figure, [1]) == ()
    assert len(figure.data) == 0
