"""Parallel coordinates: which runs are drawn, where, and which ones a selection keeps."""

import math
from typing import Any

import pytest

from limbeck.analysis.figures.parallel import parallel_coordinates
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float, Integer, Value, When

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=20.0)
SIZE = Metric(name="size", goal=Goal.MINIMIZE, known=True)
PARAMETERS = (
    Integer(name="layers", low=1, high=6),
    Float(name="rate", low=1e-5, high=1e-3, log=True),
    Choice(name="kept", choices=("first", "last")),
    Float(name="heat", low=1.0, high=8.0, when=(When(parameter="kept", values=("last",)),)),
)


def run(number: int, exact: float, size: float, **parameters: Value) -> Run:
    values = {"exact": exact, "size": size}
    return Run(number=number, parameters=parameters, state=RunState.FINISHED, values=values)


RUNS = (
    run(0, 50.0, 100.0, layers=6, rate=1e-4, kept="first"),
    run(1, 60.0, 120.0, layers=5, rate=2e-4, kept="last", heat=2.0),
    run(2, 40.0, 50.0, layers=2, rate=5e-5, kept="first"),
    run(3, 10.0, 10.0, layers=1, rate=1e-3, kept="last", heat=8.0),
    run(4, 52.0, 300.0, layers=6, rate=1e-5, kept="first"),
    Run(number=5, parameters={"layers": 3}, state=RunState.FAILED, values={"size": 60.0}),
)
STUDY = StudyResults(name="s", metrics=(EXACT, SIZE), parameters=PARAMETERS, runs=RUNS)


def labels(figure: Any) -> list[str]:
    return [dimension.label for dimension in figure.data[0].dimensions]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (2, 0, 1)),
        ({"runs": "all"}, (0, 1, 2, 3, 4)),
        ({"runs": "at least the baseline"}, (0, 1, 4)),
        ({"limit": 50.0}, (0, 1)),
        ({"runs": "all", "limit": 51.0}, (1, 4)),
    ],
)
def test_runs_that_are_drawn(options: dict[str, Any], expected: tuple[int, ...]) -> None:
    figure = parallel_coordinates(STUDY, **options)
    assert tuple(figure.data[0].customdata) == expected
    assert f"n = {len(expected)} of 5" in figure.layout.title.subtitle.text
    assert "baseline (run 0): exact 50.00 %" in figure.layout.title.subtitle.text


def test_axes_come_in_the_given_order_and_metrics_last() -> None:
    figure = parallel_coordinates(STUDY, order=["heat", "rate", "no such"])
    assert labels(figure)[:4] == ["heat", "rate", "layers", "kept"]
    assert labels(figure)[4:] == ["<b>exact</b> (%) ↑", "<b>size</b> ↓"]


def test_values_stand_where_the_axis_says() -> None:
    layers, rate, kept, heat, exact, _ = parallel_coordinates(STUDY, runs="all").data[0].dimensions
    assert list(layers.values) == [6, 5, 2, 1, 6]
    assert list(layers.ticktext) == ["1", "2", "3", "4", "5", "6"]
    assert list(rate.values) == pytest.approx([-4, math.log10(2e-4), math.log10(5e-5), -3, -5])
    assert list(kept.ticktext) == ["first", "last"]
    assert heat.ticktext[0] == "absent"
    assert [value < 1 for value in heat.values] == [True, False, True, False, True]
    assert heat.range[0] == min(heat.values)
    assert list(exact.values) == [50, 60, 40, 10, 52]


def test_colour_is_the_leading_score_unless_another_metric_is_asked_for() -> None:
    assert list(parallel_coordinates(STUDY).data[0].line.color) == [40, 50, 60]
    assert list(parallel_coordinates(STUDY, color="size").data[0].line.color) == [50, 100, 120]
    wide = parallel_coordinates(STUDY, runs="all", color="size").data[0].line
    assert list(wide.color) == pytest.approx([math.log10(run.values["size"]) for run in RUNS[:5]])
    with pytest.raises(NotFoundError, match="no 'speed'"):
        parallel_coordinates(STUDY, color="speed")


def test_run_without_a_value_of_the_colour_is_left_out_of_the_count() -> None:
    runs = (*RUNS[:2], run(2, math.nan, 5.0, layers=1, rate=1e-4, kept="first"))
    figure = parallel_coordinates(
        StudyResults(name="s", metrics=(EXACT, SIZE), parameters=PARAMETERS, runs=runs), runs="all"
    )
    assert list(figure.data[0].customdata) == [0, 1]


def test_figure_without_runs_says_why() -> None:
    def study(*runs: Run) -> StudyResults:
        return StudyResults(name="s", metrics=(EXACT, SIZE), parameters=PARAMETERS, runs=runs)

    def text(figure: Any) -> str:
        return str(figure.layout.annotations[0].text)

    assert text(parallel_coordinates(study())) == "No run is finished yet"
    without = parallel_coordinates(study(RUNS[1]), runs="at least the baseline")
    assert "baseline, is not finished" in text(without)
    assert "No run of these" in text(parallel_coordinates(study(RUNS[3])))


def test_text_of_data_is_no_markup() -> None:
    name = "<script>alert(1)</script>"
    study = StudyResults(
        name=name,
        metrics=(Metric(name=name, goal=Goal.MAXIMIZE),),
        parameters=(Choice(name=name, choices=("a",)),),
        runs=(Run(number=0, parameters={name: "a"}, state=RunState.FINISHED, values={name: 1.0}),),
    )
    figure = parallel_coordinates(study)
    shown = [*labels(figure), figure.layout.title.subtitle.text]
    shown.append(figure.data[0].line.colorbar.title.text)
    assert not any("<script" in text for text in shown)
