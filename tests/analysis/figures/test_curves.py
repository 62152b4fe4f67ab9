"""Curves of runs over each other."""

import math
from typing import Any

import numpy as np
import pytest

from limbeck.analysis.figures.curves import DISTINCT, training_curves
from limbeck.analysis.figures.style import VERMILION
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.metrics import Goal, Metric
from limbeck.runs import CurvePoint, Run, RunState

METRICS = (Metric(name="exact", goal=Goal.MAXIMIZE, unit="%"),)


def study(count: int, **states: RunState) -> StudyResults:
    runs = tuple(
        Run(
            number=number,
            parameters={},
            state=states.get(f"run_{number}", RunState.FINISHED),
            epoch_steps=10,
        )
        for number in range(count)
    )
    return StudyResults(name="s", metrics=METRICS, parameters=(), runs=runs)


def curve(metric: str, *values: float, seconds: float = 1.0) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(step=5 * i, metric=metric, value=value, seconds=seconds * i)
        for i, value in enumerate(values, start=1)
    )


def points(numbers: range, *names: str) -> dict[int, tuple[CurvePoint, ...]]:
    return {n: sum((curve(name, 3.0, 2.0, 1.0 + n) for name in names), ()) for n in numbers}


def by_panel(figure: Any) -> dict[str, list[Any]]:
    panels: dict[str, list[Any]] = {}
    for trace in figure.data:
        panels.setdefault(trace.yaxis, []).append(trace)
    return panels


def test_each_metric_has_a_panel_and_all_share_the_axis() -> None:
    figure = training_curves(study(1), points(range(1), "exact", "loss", "best_f1"), runs=[0])
    assert [note.text for note in figure.layout.annotations] == ["loss", "exact (%)"]
    assert {figure.layout.xaxis.matches, figure.layout.xaxis2.matches} - {None} <= {"x", "x2"}
    assert figure.layout.xaxis.matches or figure.layout.xaxis2.matches


def test_run_looks_the_same_in_all_panels_and_is_in_the_legend_once() -> None:
    figure = training_curves(study(4), points(range(4), "loss", "exact"), runs=[2, 0, 3])
    panels = by_panel(figure)
    looks = [{t.legendgroup: (t.line.color, t.line.dash) for t in each} for each in panels.values()]
    assert looks[0] == looks[1]
    assert len(set(looks[0].values())) == 3
    assert looks[0]["0"] == (VERMILION, "solid")
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(named) == ["run 0 (baseline), finished", "run 2, finished", "run 3, finished"]


def test_run_that_has_only_the_second_metric_is_in_the_legend() -> None:
    there = {0: curve("loss", 1.0), 1: curve("exact", 1.0)}
    figure = training_curves(study(2), there, runs=[0, 1])
    assert sorted(trace.name for trace in figure.data if trace.showlegend) == [
        "run 0 (baseline), finished",
        "run 1, finished",
    ]


def test_last_value_is_marked_by_how_the_run_ended() -> None:
    states = {
        "run_1": RunState.STOPPED,
        "run_2": RunState.FAILED,
        "run_3": RunState.INFEASIBLE,
        "run_4": RunState.RUNNING,
    }
    figure = training_curves(study(5, **states), points(range(5), "loss"), runs=range(5))
    assert len({trace.marker.symbol for trace in figure.data}) == 5
    for trace in figure.data:
        assert [size > 0 for size in trace.marker.size] == [False, False, True]
        assert [entry[0] for entry in trace.customdata] == [int(trace.legendgroup)] * 3
    assert "run 1, stopped" in [trace.name for trace in figure.data]


@pytest.mark.parametrize(
    ("across", "seconds", "places", "title"),
    [
        ("steps", 1.0, [5, 10], "steps"),
        ("epochs", 1.0, [0.5, 1.0], "epochs"),
        ("time", 1.0, [1, 2], "training time (s)"),
        ("time", 300.0, [5, 10], "training time (min)"),
        ("time", 7200.0, [2, 4], "training time (h)"),
    ],
)
def test_what_curves_run_against(
    across: Any, seconds: float, places: list[float], title: str
) -> None:
    there = {0: curve("loss", 2.0, 1.0, seconds=seconds)}
    figure = training_curves(study(1), there, runs=[0], across=across)
    assert np.asarray(figure.data[0].x).tolist() == places
    assert figure.layout.xaxis.title.text == title


def test_runs_beyond_the_distinct_ones_are_one_pale_trace_with_gaps() -> None:
    figure = training_curves(study(20), points(range(20), "loss"), runs=range(20))
    assert len(figure.data) == DISTINCT + 1
    (pale,) = [trace for trace in figure.data if trace.legendgroup == "others"]
    assert pale.name == f"{20 - DISTINCT} other runs"
    assert [math.isnan(y) for y in pale.y] == [False, False, False, True] * 5
    assert {entry[0] for entry in pale.customdata} == set(range(DISTINCT, 20))


def test_only_the_metrics_asked_for_are_drawn_and_runs_without_them_are_named() -> None:
    there = {0: curve("loss", 1.0), 1: curve("best_f1", 1.0)}
    figure = training_curves(study(2), there, runs=[0, 1], metrics=["best_f1"])
    assert [trace.name for trace in figure.data] == ["run 1, finished"]
    assert "left out, no points: 0" in figure.layout.title.subtitle.text


def test_many_points_become_a_few_thousand() -> None:
    long = tuple(
        CurvePoint(step=i, metric="loss", value=float(i % 89), seconds=0.1 * i)
        for i in range(200_000)
    )
    (trace,) = training_curves(study(1), {0: long}, runs=[0]).data
    assert len(trace.x) < 3_000
    assert (min(trace.y), max(trace.y)) == (0, 88)


def test_figure_without_curves_says_why() -> None:
    def text(results: StudyResults, there: Any, **options: Any) -> str:
        return str(training_curves(results, there, **options).layout.annotations[0].text)

    assert text(study(1), {}, runs=[]) == "No run is chosen"
    assert "have no curves" in text(study(1), {}, runs=[0])
    run = Run(number=0, parameters={}, state=RunState.FINISHED)
    old = StudyResults(name="s", metrics=METRICS, parameters=(), runs=(run,))
    assert "how many steps" in text(old, points(range(1), "loss"), runs=[0], across="epochs")
    with pytest.raises(NotFoundError, match="no run 9"):
        training_curves(study(1), {}, runs=[9])


def test_text_of_data_is_no_markup() -> None:
    run = Run(number=0, parameters={}, state=RunState.FAILED, reason="<b onclick=1>")
    results = StudyResults(name="s", metrics=METRICS, parameters=(), runs=(run,))
    figure = training_curves(results, {0: curve("<i>loss", 1.0)}, runs=[0])
    assert figure.data[0].name == "run 0 (baseline), failed: &lt;b onclick=1&gt;"
    assert "onclick" not in figure.data[0].hovertemplate
    assert figure.layout.annotations[0].text == "&lt;i&gt;loss"
