"""What stands where in the figure of the frontier."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from limbeck.analysis.figures.frontier import frontier
from limbeck.analysis.figures.style import GREY
from limbeck.analysis.results import StudyResults
from limbeck.errors import NotFoundError
from limbeck.metrics import Goal, Metric
from limbeck.reference import Reference
from limbeck.runs import Forecast, Run, RunState
from limbeck.space import Choice, Float, Value

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=50.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
SPACE = (
    Float(name="rate", low=1e-4, high=1, log=True),
    Choice(name="schedule", choices=("linear", "<b>flat</b>", "unused")),
)


def make_run(
    number: int,
    exact: float | None,
    size: float | None,
    state: RunState = RunState.FINISHED,
    **parameters: Value,
) -> Run:
    given = {"exact": exact, "num_parameters": size}
    values = {name: value for name, value in given.items() if value is not None}
    return Run(number=number, parameters=parameters, state=state, values=values)


def study(*runs: Run, metrics: tuple[Metric, ...] = (EXACT, SIZE)) -> StudyResults:
    return StudyResults(name="my study", metrics=metrics, parameters=SPACE, runs=runs)


RUNS = (
    replace(make_run(0, 60, 100, rate=0.1, schedule="linear"), errors={"exact": 1.5}),
    make_run(1, 70, 80, rate=0.01, schedule="<b>flat</b>"),
    make_run(2, 55, 60, rate=0.001, schedule="linear"),
    make_run(3, 40, 20, rate=1.0, schedule="linear"),
    replace(
        make_run(4, None, 50, RunState.STOPPED),
        forecasts={"exact": Forecast(mean=45.0, std=5.0)},
    ),
    make_run(5, None, 90, RunState.INFEASIBLE),
    make_run(6, None, 10, RunState.FAILED),
    make_run(7, math.nan, 10),
)


def traces(figure: go.Figure) -> dict[str, Any]:
    """Return the traces of a figure by their names, without the numbers of runs."""
    return {trace.name.split(" (n =")[0]: trace for trace in figure.data}


def numbers(trace: Any) -> list[int]:
    return [entry[0] for entry in trace.customdata]


def points(trace: Any) -> list[tuple[float, float]]:
    return list(zip(trace.x, trace.y, strict=True))


def ends(axis: Any) -> tuple[float, float]:
    """Return what an axis shows, in the metric's unit."""
    low, high = axis.range
    return (10**low, 10**high) if axis.type == "log" else (low, high)


def test_every_group_has_its_runs() -> None:
    figure = frontier(study(*RUNS))
    groups = traces(figure)
    assert {
        name: numbers(trace) for name, trace in groups.items() if trace.customdata is not None
    } == {
        "beyond a threshold": [3],
        "dominated": [0],
        "stopped early": [4],
        "frontier": [1, 2],
        "baseline (run 0)": [0],
        "infeasible": [5],
    }
    assert points(groups["frontier"]) == [(80, 70), (60, 55)]
    assert points(groups["stopped early"]) == [(50, 45)]
    assert list(groups["infeasible"].x) == [90]
    assert groups["frontier"].name == "frontier (n = 2)"
    assert figure.layout.title.text == "my study"
    note = figure.layout.title.subtitle.text
    assert "n = 5 finished runs; not drawn: 1 failed, 1 without a finite value" in note


def test_the_line_is_the_edge_of_what_usable_runs_dominate() -> None:
    line = traces(frontier(study(*RUNS)))["frontier line"]
    assert points(line) == [(60, 55), (80, 70)]
    assert line.line.shape == "hv"  # From run 2 on to the worse size, then up to run 1.
    swapped = traces(frontier(study(*RUNS), across="exact", up="num_parameters"))["frontier line"]
    assert points(swapped) == [(55, 60), (70, 80)]
    assert swapped.line.shape == "vh"


def test_errors_are_bars_and_forecasts_have_theirs() -> None:
    groups = traces(frontier(study(*RUNS)))
    assert list(groups["dominated"].error_y.array) == [1.5]
    assert list(groups["stopped early"].error_y.array) == [5.0]
    assert groups["frontier"].error_y.array is None
    assert groups["dominated"].error_x.array is None


@pytest.mark.parametrize(
    ("metric", "beyond"),
    [(EXACT, "below"), (replace(SIZE, name="exact", threshold=50.0), "above")],
)
def test_the_side_of_a_threshold_that_is_of_no_use_is_shaded(metric: Metric, beyond: str) -> None:
    figure = frontier(study(*RUNS, metrics=(metric, SIZE)), across="num_parameters", up="exact")
    shade, line = figure.layout.shapes
    assert (line.y0, line.y1) == (50, 50)
    assert shade.y0 == 50
    low, high = figure.layout.yaxis.range
    assert shade.y1 < low if beyond == "below" else shade.y1 > high
    relation = "≥" if beyond == "below" else "≤"
    assert any(name.startswith(f"exact {relation} 50") for name in traces(figure))


def test_a_threshold_on_a_log_axis_is_shaded_in_its_own_numbers() -> None:
    size = replace(SIZE, threshold=1e6)
    results = study(make_run(0, 60, 1e3), make_run(1, 70, 2e6), metrics=(EXACT, size))
    figure = frontier(results)
    assert figure.layout.xaxis.type == "log"
    low, high = figure.layout.xaxis.range
    assert (low < 3, high > math.log10(2e6)) == (True, True)
    shade = figure.layout.shapes[0]
    assert shade.x0 == 1e6
    assert shade.x1 > 10**high
    assert list(figure.layout.xaxis.tickvals) == [1e3, 1e4, 1e5, 1e6]


def test_the_teacher_is_a_star_or_a_line_where_only_its_score_is_known() -> None:
    whole = Reference(values={"exact": 90.0, "num_parameters": 400.0}, errors={"exact": 1.0})
    figure = frontier(replace(study(*RUNS), teacher=whole))
    star = traces(figure)["teacher"]
    assert points(star) == [(400, 90)]
    assert star.hovertext == ("<b>teacher</b><br>num_parameters 400<br>exact 90.00 ± 1.00 %",)
    assert ends(figure.layout.xaxis)[1] > 400
    scored = Reference(values={"exact": 90.0}, errors={})
    line = traces(frontier(replace(study(*RUNS), teacher=scored)))["teacher: exact 90.00 %"]
    assert set(line.y) == {90}
    assert "teacher" not in traces(frontier(study(*RUNS)))


def test_colour_of_a_number_on_a_log_scale() -> None:
    figure = frontier(study(*RUNS), color="rate")
    groups = traces(figure)
    assert list(groups["frontier"].marker.color) == pytest.approx([-2.0, -3.0])
    assert groups["frontier"].marker.coloraxis == "coloraxis"
    assert list(groups["stopped early"].marker.color) == [GREY]  # It has no rate.
    assert figure.layout.coloraxis.colorbar.ticktext[0] == "0.001"
    assert groups["baseline (run 0)"].marker.coloraxis is None


def test_colour_of_a_metric_and_of_few_whole_numbers() -> None:
    figure = frontier(study(*RUNS), color="exact")
    assert list(traces(figure)["frontier"].marker.color) == [70, 55]
    bar = figure.layout.coloraxis.colorbar
    assert bar.title.text == "exact (%)"
    assert list(bar.tickvals) == [40, 55, 60, 70]
    large = [
        replace(run, values={**run.values, "bytes": 1e6 * run.number + 0.5})
        for run in RUNS
        if "exact" in run.values
    ]
    assert frontier(study(*large), color="bytes").layout.coloraxis.colorbar.tickformat == "~s"


def test_the_pointer_tells_a_forecast_from_a_value() -> None:
    groups = traces(frontier(study(*RUNS)))
    assert groups["stopped early"].hovertext == (
        "<b>run 4</b> stopped<br>exact 45.00 ± 5.00 % (forecast)<br>num_parameters 50",
    )
    assert groups["dominated"].hovertext == (
        "<b>run 0</b> (baseline) finished<br>exact 60.00 ± 1.50 %<br>num_parameters 100<br>"
        "rate 0.1 · schedule linear",
    )


def test_colour_of_a_choice_is_explained_in_the_legend_as_text() -> None:
    groups = traces(frontier(study(*RUNS), color="schedule"))
    flat, linear = groups["frontier"].marker.color
    names = ["schedule = linear", "schedule = &lt;b&gt;flat&lt;/b&gt;"]
    assert [name for name in groups if name.startswith("schedule")] == names
    assert [groups[name].marker.color for name in names] == [linear, flat]
    assert groups[names[0]].name.endswith("(n = 3)")


def test_the_area_grows_with_a_metric() -> None:
    figure = frontier(study(*RUNS), size="num_parameters")
    sizes = {
        number: size
        for trace in figure.data
        if trace.customdata is not None
        and "infeasible" not in trace.name
        and "baseline" not in trace.name
        for number, size in zip(numbers(trace), trace.marker.size, strict=True)
    }
    area = {number: size**2 for number, size in sizes.items()}
    assert sizes[3] == min(sizes.values())
    # 20 is the least, 100 the largest, 60 half way.
    assert area[2] == pytest.approx((area[3] + area[0]) / 2)
    assert "area: num_parameters, 20 to 100" in figure.layout.title.subtitle.text


def test_any_two_recorded_metrics_are_axes() -> None:
    runs = [replace(run, values={**run.values, "latency_ms": 5.0, "total": 7.0}) for run in RUNS]
    figure = frontier(study(*runs), across="latency_ms", up="total")
    assert figure.layout.xaxis.title.text == "← better   latency_ms (ms)"
    assert figure.layout.yaxis.title.text == "total"  # Nobody said which way is better.
    with pytest.raises(NotFoundError, match="no metric 'latency'; did you mean 'latency_ms'"):
        frontier(study(*runs), across="latency")
    with pytest.raises(NotFoundError, match="no parameter or metric 'rat'; did you mean 'rate'"):
        frontier(study(*runs), color="rat")
    with pytest.raises(NotFoundError, match="no parameter or metric 'nothing'"):
        frontier(study(*runs), size="nothing")


def test_one_metric_goes_over_the_run_number() -> None:
    runs = [make_run(number, exact, None) for number, exact in enumerate((60, 55, 70))]
    figure = frontier(study(*runs, metrics=(EXACT,)))
    assert points(traces(figure)["frontier line"]) == [(0, 60), (2, 70)]
    assert figure.layout.xaxis.title.text == "run number"


def repeated(values: Sequence[tuple[float, float]]) -> list[Run]:
    return [
        make_run(number, exact, size, layers=int(size), seed=number)
        for number, (size, exact) in enumerate(values)
    ]


def test_the_band_lies_between_what_one_and_what_all_repetitions_attain() -> None:
    again = repeated([(10, 60), (10, 50), (20, 80), (20, 70)])
    figure = frontier(study(*RUNS), repeats=again)
    band = traces(figure)["repeated, any to all"]
    (low, top), (left, right) = ends(figure.layout.yaxis), ends(figure.layout.xaxis)
    best = [(10, low), (10, 60), (20, 60), (20, 80), (right, 80)]
    worst = [(10, low), (10, 50), (20, 50), (20, 70), (right, 70)]
    assert np.array(points(band)) == pytest.approx(np.array([*best, *reversed(worst)]))
    assert (top > 80, left < 10) == (True, True)
    note = figure.layout.title.subtitle.text
    assert "n = 2 repetitions of 2 configurations" in note
    own = frontier(study(*again))
    assert "repeated, any to all" in traces(own)
    assert "repeated, any to all" not in traces(frontier(study(*RUNS)))


def test_the_band_where_larger_is_better_across() -> None:
    again = repeated([(10, 60), (10, 50), (20, 80), (20, 70)])
    figure = frontier(study(*RUNS), across="exact", up="num_parameters", repeats=again)
    left, high = ends(figure.layout.xaxis)[0], ends(figure.layout.yaxis)[1]
    band = points(traces(figure)["repeated, any to all"])
    # From the top right to the left: 80 at 20, then 60 at 10.
    best = [(80, high), (80, 20), (60, 20), (60, 10), (left, 10)]
    assert np.array(band[:5]) == pytest.approx(np.array(best))


def test_an_empty_figure_says_why() -> None:
    def reason(*runs: Run) -> str:
        figure = frontier(study(*runs))
        assert not figure.data
        return str(figure.layout.annotations[0].text)

    assert reason() == "no finished run yet"
    assert reason(make_run(0, None, 100, RunState.RUNNING)) == "no finished run yet"
    assert reason(make_run(0, math.inf, 100)) == (
        "no finished run has finite values of num_parameters and exact"
    )


def test_one_run_is_enough() -> None:
    figure = frontier(study(make_run(0, 60, 100)))
    low, high = figure.layout.xaxis.range
    assert low < 100 < high


def test_text_of_data_is_no_markup() -> None:
    script = "<script>alert(1)</script>"
    run = make_run(0, 60, 100, RunState.FINISHED, **{script: script})
    stopped = replace(make_run(1, 70, 100, RunState.STOPPED), reason=script)
    metric = replace(EXACT, name="exact")
    results = replace(study(run, stopped, metrics=(metric, SIZE)), name=script)
    assert "<script" not in frontier(results).to_json()
    strange = Metric(name=script, goal=Goal.MAXIMIZE, unit=script, threshold=1.0)
    runs = [replace(run, values={script: 1.0, "num_parameters": 2.0})]
    figure = frontier(study(*runs, metrics=(strange, SIZE)), color=script, size=script)
    assert "<script" not in figure.to_json()


def test_where_a_figure_can_be_zoomed_a_part_of_thousands_is_drawn_at_a_time() -> None:
    runs = [make_run(number, 60 - number / 1e4, 100.0 + number) for number in range(1602)]
    figure = frontier(study(*runs), most=1000)
    groups = {(trace.name or "").split(" (")[0]: trace for trace in figure.data}
    assert groups["dominated"].type == "scatter"
    assert groups["dominated"].marker.maxdisplayed == 1000
    assert [entry[0] for entry in groups["dominated"].customdata] == list(range(1, 1602))
    assert groups["frontier"].marker.maxdisplayed is None
    assert "1,000 runs are drawn" in figure.layout.title.subtitle.text
    # A text for each would be most of what a browser has to load.
    assert groups["dominated"].hovertext is None
    assert groups["dominated"].hovertemplate.startswith("<b>run %{customdata[0]}</b><br>num_para")
    assert "run 0" in groups["frontier"].hovertext[0]


def test_thousands_of_runs_are_drawn_by_the_graphics_card() -> None:
    runs = [make_run(number, 60 + number / 1e4, 100.0) for number in range(1600)]
    kinds = {trace.type for trace in frontier(study(*runs)).data if trace.customdata is not None}
    assert kinds == {"scattergl"}
    kinds = {
        trace.type for trace in frontier(study(*runs[:100])).data if trace.customdata is not None
    }
    assert kinds == {"scatter"}
