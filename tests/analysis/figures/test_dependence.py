import math
from dataclasses import replace

import plotly.graph_objects as go
import pytest

from limbeck.analysis.figures.dependence import (
    MOST_SLICED,
    dependence_figure,
    slice_figure,
    worth_drawing,
)
from limbeck.analysis.importance import Dependence
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState
from limbeck.sensitivity import Importance, Importances
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


@pytest.mark.parametrize("kind", ["dependence", "slices"])
def test_only_the_named_parameters_are_drawn_in_their_order(kind: str) -> None:
    names = ["<kind>", "rate"]
    if kind == "slices":
        figure = slice_figure(STUDY, "score", parameters=names)
    else:
        figure = dependence_figure(STUDY, "score", CURVES, parameters=names)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["&lt;kind&gt;", "rate"]
    assert "2 of 4 parameters" in figure.layout.title.subtitle.text
    assert {trace.xaxis for trace in figure.data} == {"x", "x2"}


def test_the_height_follows_the_drawn_parameters_and_their_curves() -> None:
    # "extra" ends at 2, far below the 5 of the others.
    figure = dependence_figure(STUDY, "score", CURVES, parameters=["extra"])
    assert 2 < figure.layout.yaxis.range[1] < 3
    assert figure.layout.height < dependence_figure(STUDY, "score", CURVES).layout.height


def test_a_parameter_that_is_not_there_is_refused() -> None:
    with pytest.raises(NotFoundError, match="no parameter 'dept'; did you mean 'depth'"):
        slice_figure(STUDY, "score", parameters=["dept"])


def test_worth_drawing_are_the_first_with_an_effect() -> None:
    def importance(name: str, total: float) -> Importance:
        ends = (0.0, 1.0)
        return Importance(
            parameter=name, first=total, first_interval=ends, total=total, total_interval=ends
        )

    found = Importances(
        metric="score",
        source="forest",
        n=4,
        r2=0.5,
        parameters=tuple(map(importance, ("b", "a", "d", "c"), (0.6, 0.3, 0.2, 0.1))),
        interactions=(),
        inert=("d",),
        warning="",
    )
    assert worth_drawing(found) == ("b", "a", "c")
    assert worth_drawing(found, most=2) == ("b", "a")
    assert worth_drawing(replace(found, parameters=(), inert=())) == ()


def test_every_panel_has_the_baseline_and_one_of_them_its_entry() -> None:
    lines = [t for t in slice_figure(STUDY, "score").data if t.name == "baseline (run 0)"]
    assert [line.y for line in lines] == [(50.0, 50.0)] * 4
    assert [bool(line.showlegend) for line in lines] == [True, False, False, False]
    later = replace(STUDY, runs=RUNS[1:])
    names = {trace.name for trace in slice_figure(later, "score").data}
    assert "baseline (run 0)" not in names


def test_runs_of_few_whole_numbers_are_spread_within_their_axis() -> None:
    figure = slice_figure(STUDY, "score")
    low, high = figure.layout.xaxis2.range
    spread = {
        data[0]: place
        for trace in panel(figure, "x2")
        if trace.customdata
        for data, place in zip(trace.customdata, trace.x, strict=True)
    }
    assert set(spread) == {0, 1, 2, 3}
    for number, place in spread.items():
        assert abs(place - RUNS[number].parameters["depth"]) < 0.2
        assert low < place < high
    assert spread[0] != spread[3]  # Both have one layer.


def test_of_many_runs_some_are_marked_and_the_graphics_card_draws_the_slices() -> None:
    count = 2 * MOST_SLICED + 1
    many = replace(STUDY, runs=tuple(replace(RUNS[n % 4], number=n) for n in range(count)))
    figure = dependence_figure(many, "score", CURVES)
    assert "n = 2001 runs, one in 3 marked" in figure.layout.title.subtitle.text
    assert len(panel(figure, "x")[-1].x) == 667
    assert {trace.type for trace in slice_figure(many, "score").data} == {"scattergl"}


def test_slices_tell_the_frontier_from_the_rest() -> None:
    *markers, _ = panel(slice_figure(STUDY, "score"), "x")
    groups = {trace.name: trace for trace in markers}
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
    *markers, _ = panel(figure, "x4")
    places = {d[0]: x for t in markers for d, x in zip(t.customdata, t.x, strict=True)}
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
    assert [t.name for t in by_kind.data if t.showlegend is not False] == [
        "baseline (run 0)",
        "a",
        "b",
    ]
    with pytest.raises(NotFoundError, match="no parameter or metric 'nope'"):
        slice_figure(STUDY, "score", color="nope")


def test_nothing_to_draw_says_so() -> None:
    empty = replace(STUDY, runs=())
    bare = replace(STUDY, parameters=())
    for figure, text in (
        (slice_figure(bare, "score"), "no parameter to draw"),
        (dependence_figure(STUDY, "score", CURVES, parameters=()), "no parameter to draw"),
        (slice_figure(empty, "score"), "no finished run has a value of score"),
        (dependence_figure(empty, "score", ()), "too few runs for score along the parameters: 0"),
    ):
        assert [annotation.text for annotation in figure.layout.annotations] == [text]
