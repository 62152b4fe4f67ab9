import math
from dataclasses import replace

import plotly.graph_objects as go
import pytest

from limbeck.analysis.figures.dependence import dependence_figure, slice_figure
from limbeck.analysis.importance import Dependence
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float, Integer, When

SCORE = Metric(name="score", goal=Goal.MAXIMIZE, unit="%", threshold=20.0)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
PARAMETERS = (
    Float(name="rate", low=1e-5, high=1e-1, log=True),
    Integer(name="depth", low=1, high=3),
    Choice(name="<kind>", choices=("a", "b")),
    Float(name="extra", low=0.0, high=1.0, when=(When(parameter="<kind>", values=("b",)),)),
)


def run(number: int, score: float, size: float, **parameters: object) -> Run:
    return Run(
        number=number,
        parameters=parameters,  # type: ignore[arg-type]
        state=RunState.FINISHED,
        values={"score": score, "size": size},
    )


RUNS = (
    run(0, 50.0, 1000.0, rate=1e-3, depth=1, **{"<kind>": "a"}),
    run(1, 60.0, 2000.0, rate=1e-2, depth=2, **{"<kind>": "b"}, extra=0.25),
    run(2, 40.0, 30_000.0, rate=1e-5, depth=3, **{"<kind>": "a"}),
    run(3, 10.0, 500.0, rate=1e-4, depth=1, **{"<kind>": "a"}),
    run(4, math.nan, 500.0, rate=1e-4, depth=2, **{"<kind>": "a"}),
)
STUDY = StudyResults(name="s", metrics=(SCORE, SIZE), parameters=PARAMETERS, runs=RUNS)
CURVES = (
    Dependence(
        parameter="rate", values=(1e-5, 1e-3, 1e-1), means=(1, 2, 3), low=(0, 1, 2), high=(2, 3, 5)
    ),
    Dependence(parameter="depth", values=(1, 2, 3), means=(1, 2, 2), low=(1, 1, 1), high=(2, 3, 3)),
    Dependence(parameter="<kind>", values=("a", "b"), means=(1, 4), low=(0, 2), high=(2, 5)),
    Dependence(parameter="extra", values=(0.0, 1.0), means=(1, 2), low=(1, 1), high=(2, 2)),
)


def panel(figure: go.Figure, axis: str) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.xaxis == axis]


def test_a_line_in_its_band_and_the_runs_below() -> None:
    figure = dependence_figure(STUDY, "score", CURVES)
    band, line, rug = panel(figure, "x")
    assert (line.x, line.y, line.mode) == ((-5.0, -3.0, -1.0), (1, 2, 3), "lines")
    assert (band.x, band.y) == ((-5.0, -3.0, -1.0, -1.0, -3.0, -5.0), (2, 3, 5, 2, 1, 0))
    assert rug.x == pytest.approx((-3.0, -2.0, -5.0, -4.0))
    assert [data[0] for data in rug.customdata] == [0, 1, 2, 3]
    assert max(rug.y) < 0
    assert figure.layout.yaxis.range[0] < rug.y[0]
    assert "n = 4 runs" in figure.layout.title.subtitle.text
    _, steps, _ = panel(figure, "x2")
    assert steps.mode == "lines+markers"


def test_choices_are_points_with_their_spread() -> None:
    points, _ = panel(dependence_figure(STUDY, "score", CURVES), "x3")
    assert (points.x, points.y) == ((0.0, 1.0), (1, 4))
    assert list(points.error_y.array) == [1, 1]
    assert list(points.error_y.arrayminus) == [1, 2]


def test_the_most_important_come_first() -> None:
    figure = slice_figure(STUDY, "score", order=["depth", "rate"])
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["depth", "rate", "&lt;kind&gt;", "extra"]
    assert sum(bool(trace.showlegend) for trace in figure.data) == 3


def test_slices_tell_the_frontier_from_the_rest() -> None:
    groups = {trace.name: trace for trace in panel(slice_figure(STUDY, "score"), "x")}
    numbers = {name: [data[0] for data in trace.customdata] for name, trace in groups.items()}
    assert numbers == {
        "not usable: beyond a threshold or stopped (n = 1)": [3],
        "other runs (n = 1)": [2],
        "on the frontier (n = 2)": [0, 1],
    }
    front = groups["on the frontier (n = 2)"]
    assert front.x == pytest.approx((-3.0, -2.0))
    assert front.y == (50.0, 60.0)


def test_inactive_parameters_stand_beside_their_axis() -> None:
    figure = slice_figure(STUDY, "score")
    places = {d[0]: x for t in panel(figure, "x4") for d, x in zip(t.customdata, t.x, strict=True)}
    assert places[1] == 0.25
    assert places[0] == places[2] == places[3] < 0
    assert "absent" in figure.layout.xaxis4.ticktext


def test_a_cost_of_a_wide_range_has_a_log_axis_and_a_distance_has_none() -> None:
    assert slice_figure(STUDY, "size").layout.yaxis.type == "log"
    assert slice_figure(STUDY, "frontier").layout.yaxis.type is None
    assert dependence_figure(STUDY, "size", CURVES).layout.yaxis.type is None


def test_colours_by_a_number_and_by_a_choice() -> None:
    by_size = slice_figure(STUDY, "score", color="size")
    assert by_size.data[0].marker.color == (1000.0, 2000.0, 30_000.0, 500.0)
    assert by_size.layout.coloraxis.colorbar.title.text == "size"
    by_kind = slice_figure(STUDY, "score", color="<kind>")
    colors = by_kind.data[0].marker.color
    assert colors[0] == colors[2] == colors[3] != colors[1]
    assert [t.name for t in by_kind.data if t.showlegend is not False] == ["a", "b"]
    with pytest.raises(NotFoundError, match="no parameter or metric 'nope'"):
        slice_figure(STUDY, "score", color="nope")


def test_nothing_to_draw_says_so() -> None:
    empty = replace(STUDY, runs=())
    for figure, text in (
        (slice_figure(empty, "score"), "no finished run has a value of score"),
        (dependence_figure(empty, "score", ()), "too few runs for score along the parameters: 0"),
    ):
        assert [annotation.text for annotation in figure.layout.annotations] == [text]
