"""Small multiples of what the winners share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from limbeck.analysis.figures.winners import MOST_MARKED, winners_figure
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float, Integer, Parameter, Value

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE)
LAYERS = Integer(name="layers", low=1, high=3)
RATE = Float(name="rate", low=1e-4, high=1e-2, log=True)
KEPT = Choice(name="kept", choices=("first", "last"))


def study(
    *parameters: Parameter, runs: Sequence[tuple[float, Mapping[str, Value]]]
) -> StudyResults:
    return StudyResults(
        name="s",
        metrics=(EXACT,),
        parameters=parameters,
        runs=tuple(
            Run(
                number=number,
                parameters=given,
                state=RunState.FINISHED,
                values={"exact": exact},
            )
            for number, (exact, given) in enumerate(runs)
        ),
    )


def bars(figure: Any) -> dict[str, list[float]]:
    return {
        trace.name: np.asarray(trace.y).tolist() for trace in figure.data if trace.type == "bar"
    }


def test_bars_are_shares_of_winners_and_of_all_other_than_the_baseline() -> None:
    runs = [(50.0, {"layers": 2})]
    runs += [(60.0, {"layers": 3}), (55.0, {"layers": 3}), (20.0, {"layers": 1})]
    runs += [(10.0, {"layers": 3})]
    figure = winners_figure(study(LAYERS, runs=runs))
    assert bars(figure) == {
        "all finished runs (n = 4)": [25.0, 0.0, 75.0],
        "winners (n = 2)": [0.0, 0.0, 100.0],
    }
    centers = next(trace.x for trace in figure.data if trace.type == "bar")
    assert np.asarray(centers).tolist() == [1, 2, 3]


def test_runs_below_the_bars_carry_their_numbers_and_the_baseline_its_line() -> None:
    runs = [(50.0, {"rate": 1e-3}), (60.0, {"rate": 1e-2}), (20.0, {"rate": 1e-4})]
    figure = winners_figure(study(RATE, runs=runs))
    marks = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers"]
    assert [[entry[0] for entry in trace.customdata] for trace in marks] == [[1, 2], [1]]
    assert list(marks[0].x) == pytest.approx([-2, -4])
    (line,) = [trace for trace in figure.data if trace.name == "baseline (run 0)"]
    assert list(line.x) == pytest.approx([-3, -3])


def test_absent_values_and_choices_have_bars_of_their_own() -> None:
    runs: list[tuple[float, dict[str, Value]]] = [
        (50.0, {}),
        (60.0, {"kept": "last"}),
        (60.0, {}),
        (10.0, {"kept": "first"}),
    ]
    figure = winners_figure(study(KEPT, runs=runs))
    assert bars(figure)["winners (n = 2)"] == [50.0, 0.0, 50.0]
    assert list(figure.layout.xaxis.ticktext) == ["absent", "first", "last"]


def test_all_runs_are_in_some_bar() -> None:
    generator = np.random.default_rng(0)
    runs = [(50.0, {"rate": 1e-3})]
    runs += [(60.0, {"rate": float(10 ** generator.uniform(-4, -2))}) for _ in range(40)]
    runs += [(60.0, {"rate": 1e-4}), (60.0, {"rate": 1e-2})]
    for shares in bars(winners_figure(study(RATE, runs=runs))).values():
        assert sum(shares) == pytest.approx(100)


def test_every_parameter_has_a_panel_and_makes_the_figure_higher() -> None:
    parameters = [Float(name=f"p{i}", low=0.0, high=1.0) for i in range(7)]
    runs = [(50.0 + i, {f"p{j}": 0.5 for j in range(7)}) for i in range(3)]
    figure = winners_figure(study(*parameters, runs=runs))
    assert [note.text for note in figure.layout.annotations] == [f"p{i}" for i in range(7)]
    few = winners_figure(study(*parameters[:3], runs=runs))
    assert figure.layout.height == few.layout.height + 2 * 230


def test_figure_without_winners_says_why() -> None:
    def text(results: StudyResults) -> str:
        return str(winners_figure(results).layout.annotations[0].text)

    assert text(study(LAYERS, runs=[])) == "No run is finished yet"
    lonely = study(LAYERS, runs=[(50.0, {"layers": 2}), (40.0, {"layers": 1})])
    assert "No run is with at least the baseline" in text(lonely)


def test_groups_of_too_many_runs_have_no_marks_below_the_bars() -> None:
    runs = [(50.0, {"rate": 1e-3})] + [(60.0 + i, {"rate": 1e-3}) for i in range(MOST_MARKED + 1)]
    figure = winners_figure(study(RATE, runs=runs))
    assert not [t for t in figure.data if t.type == "scatter" and t.mode == "markers"]
    assert bars(figure).keys() == {"all finished runs (n = 1001)", "winners (n = 1001)"}


def test_parameters_that_differ_are_bold_and_say_how_surely() -> None:
    runs = [(50.0, {"layers": 2})] + [(60.0, {"layers": 3})] * 9 + [(40.0, {"layers": 1})] * 9
    (note,) = winners_figure(study(LAYERS, runs=runs)).layout.annotations
    assert note.text == "<b>layers</b><br>p < 0.001"
