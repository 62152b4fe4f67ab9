"""The growth of the frontier as it is drawn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import plotly.graph_objects as go
import pytest

from limbeck.analysis.figures.history import Over, history
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=50.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def make_run(number: int, exact: float, size: float) -> Run:
    return Run(
        number=number,
        parameters={},
        state=RunState.FINISHED,
        values={"exact": exact, "num_parameters": size},
        seconds=1800.0,
        created=BEGUN,
        ended=BEGUN + timedelta(minutes=10 * (number + 1)),
    )


# From (50 %, 100): 10 * 20, then dominated, then 20 * 20, then 5 * 20 more.
RUNS = (make_run(0, 60, 80), make_run(1, 55, 90), make_run(2, 70, 80), make_run(3, 55, 60))
FAR = replace(make_run(4, 50, 100), values={"exact": 40.0, "num_parameters": 100.0})
RESULTS = StudyResults(name="study", metrics=(EXACT, SIZE), parameters=(), runs=(*RUNS, FAR))


def traces(figure: go.Figure) -> dict[str, Any]:
    return {trace.name.split(" (n =")[0]: trace for trace in figure.data}


@pytest.mark.parametrize(
    ("over", "places", "label"),
    [
        ("runs", [1, 2, 3, 4, 5], "runs ended"),
        ("cost", [0.5, 1.0, 1.5, 2.0, 2.5], "training time of all runs (hours)"),
        ("time", [10, 20, 30, 40, 50], "time since the study began (minutes)"),
    ],
)
def test_the_hypervolume_is_a_staircase(over: Over, places: list[float], label: str) -> None:
    figure = history(RESULTS, over=over)
    line, joined = traces(figure)["hypervolume"], traces(figure)["a run joined the frontier"]
    # The second run changed nothing, and so makes no corner.
    assert list(line.x) == pytest.approx([0, places[0], *places[2:]])
    assert list(line.y) == [0, 200, 400, 500, 500]
    assert line.line.shape == "hv"
    assert [entry[0] for entry in joined.customdata] == [0, 2, 3]
    assert list(joined.x) == pytest.approx([places[0], places[2], places[3]])
    assert list(joined.y) == [200, 400, 500]
    assert set(traces(figure)["the baseline alone"].y) == {200}
    assert figure.layout.xaxis.title.text == label
    assert "n = 5 ended runs, 3 of them" in figure.layout.title.subtitle.text
    assert "hypervolume 400 after 3 runs" in joined.hovertext[1]


def test_short_times_are_in_seconds_and_long_ones_in_days() -> None:
    short = replace(RESULTS, runs=tuple(replace(run, seconds=1.0) for run in RUNS))
    assert history(short, over="cost").layout.xaxis.title.text.endswith("(seconds)")
    long = replace(RESULTS, runs=tuple(replace(run, seconds=86400.0) for run in RUNS))
    figure = history(long, over="cost")
    assert figure.layout.xaxis.title.text.endswith("(days)")
    assert list(traces(figure)["a run joined the frontier"].x) == [1, 3, 4]


def test_an_empty_figure_says_why() -> None:
    def reason(runs: tuple[Run, ...], over: Over = "runs") -> str:
        return str(history(replace(RESULTS, runs=runs), over=over).layout.annotations[0].text)

    assert reason(()) == reason((FAR,)) == "no finished run within the thresholds yet"
    timeless = tuple(replace(run, created=None, ended=None) for run in RUNS)
    assert reason(timeless, "time") == "runs of this study have no times"
    assert traces(history(replace(RESULTS, runs=timeless), over="cost"))


def test_without_a_baseline_there_is_no_line_of_it() -> None:
    figure = history(replace(RESULTS, runs=RUNS[1:]))
    assert "the baseline alone" not in traces(figure)


def test_text_of_data_is_no_markup() -> None:
    script = "<script>alert(1)</script>"
    metric = Metric(name=script, goal=Goal.MAXIMIZE, unit=script)
    run = replace(RUNS[0], values={script: 1.0}, parameters={script: script})
    results = StudyResults(name=script, metrics=(metric,), parameters=(), runs=(run,))
    assert "<script" not in history(results).to_json()
