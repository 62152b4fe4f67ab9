"""Figures by what they show: places of markers, counts in the legend, scales; not by pixels."""

import math
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.collections import PathCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from limbeck.analysis.picture import plot_frontier, save_frontier
from limbeck.errors import ConfigError
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Run, RunState

EXACT = Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=55.0)
SIZE = Metric(name="num_parameters", goal=Goal.MINIMIZE, known=True)
METRICS = (EXACT, SIZE)


def make_run(
    number: int, exact: float, size: float, state: RunState = RunState.FINISHED, **more: float
) -> Run:
    values = {"exact": exact, "num_parameters": size, **more}
    return Run(number=number, parameters={}, state=state, values=values)


RUNS = [
    make_run(0, 67.0, 66e6),
    make_run(1, 68.0, 60e6),
    make_run(2, 60.0, 40e6),
    make_run(3, 50.0, 30e6),
    make_run(4, 66.0, 70e6),
    make_run(5, math.nan, 50e6),
    make_run(6, 99.0, 1e6, RunState.FAILED),
    make_run(7, 99.0, 1e6, RunState.INFEASIBLE),
    make_run(8, 99.0, 1e6, RunState.INFEASIBLE),
]


def markers(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    """Return the places of each group's markers, by the label in the legend."""
    return {
        str(collection.get_label()): [
            tuple(place) for place in np.asarray(collection.get_offsets())
        ]
        for collection in figure.axes[0].collections
        if isinstance(collection, PathCollection)
    }


def edge(figure: Figure) -> tuple[list[tuple[float, float]], str]:
    """Return the corners of the frontier's line, and where it steps."""
    (line,) = [line for line in figure.axes[0].lines if line.get_drawstyle() != "default"]
    places = np.asarray(line.get_xydata())
    return [tuple(place) for place in places], line.get_drawstyle()


def shaded(figure: Figure) -> list[tuple[float, float, float, float]]:
    return [
        patch.get_bbox().extents for patch in figure.axes[0].patches if isinstance(patch, Rectangle)
    ]


def error_bars(figure: Figure) -> list[list[tuple[float, float]]]:
    """Return both ends of every error bar that is longer than nothing."""
    return [
        [tuple(end) for end in bar]
        for container in figure.axes[0].containers
        if isinstance(container, ErrorbarContainer)
        for lines in container.lines[2]
        for bar in lines.get_segments()
        if not np.array_equal(bar[0], bar[1])
    ]


def tick_labels(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_every_group_is_drawn_where_its_values_are_and_says_its_n():
    assert markers(plot_frontier(RUNS, METRICS, baseline=RUNS[0])) == {
        "baseline (n = 1)": [(66e6, 67.0)],
        "frontier (n = 2)": [(60e6, 68.0), (40e6, 60.0)],
        "dominated (n = 2)": [(66e6, 67.0), (70e6, 66.0)],
        "beyond a threshold (n = 1)": [(30e6, 50.0)],
    }


def test_what_is_not_drawn_is_counted():
    (legend,) = plot_frontier(RUNS, METRICS).legends
    assert legend.get_title().get_text() == (
        "not drawn: 2 infeasible, 1 failed, 1 without a finite value"
    )


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_values_with_a_standard_error_get_a_bar_of_one_to_either_side():
    runs = [
        replace(RUNS[0], errors={"exact": 1.5}),
        replace(RUNS[2], errors={"exact": 2.0, "num_parameters": 1e6}),
        RUNS[3],
        replace(RUNS[5], errors={"exact": 1.0}),  # its value cannot be drawn
    ]
    figure = plot_frontier(runs, METRICS)
    assert sorted(error_bars(figure)) == [
        [(39e6, 60.0), (41e6, 60.0)],
        [(40e6, 58.0), (40e6, 62.0)],
        [(66e6, 65.5), (66e6, 68.5)],
    ]
    assert "± one standard error" in legend_texts(figure)


def test_runs_without_standard_errors_get_no_bars():
    figure = plot_frontier(RUNS, METRICS)
    assert error_bars(figure) == []
    assert "± one standard error" not in legend_texts(figure)


def test_title_labels_and_threshold_stand_in_the_figure():
    figure = plot_frontier(RUNS, METRICS, title="Sizes")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Sizes"
    assert axes.get_xlabel() == "← better    num_parameters"
    assert axes.get_ylabel() == "exact (%)    better →"
    assert "exact ≥ 55 %" in legend_texts(figure)


def test_the_useless_side_of_a_threshold_is_shaded_within_the_limits():
    figure = plot_frontier(RUNS, METRICS)
    bottom, top = figure.axes[0].get_ylim()
    ((_, low, _, high),) = shaded(figure)
    assert (sorted((low, high)), top > 68) == ([bottom, 55.0], True)
    assert bottom < 50


def test_the_useless_side_of_a_cost_is_to_the_right():
    latency = Metric(name="latency_ms", goal=Goal.MINIMIZE, unit="ms", threshold=20.0)
    runs = [
        make_run(number, exact, 1e6, latency_ms=value)
        for number, (exact, value) in enumerate([(60, 10), (70, 15), (75, 30)])
    ]
    figure = plot_frontier(runs, (latency, Metric(name="exact", goal=Goal.MAXIMIZE)))
    ((left, _, right, _),) = shaded(figure)
    assert (left, right) == (20.0, figure.axes[0].get_xlim()[1])
    assert "latency_ms ≤ 20 ms" in legend_texts(figure)


def test_the_line_steps_on_the_side_that_the_frontier_dominates():
    places, style = edge(plot_frontier(RUNS, METRICS))
    assert (places, style) == ([(40e6, 60.0), (60e6, 68.0)], "steps-post")


def test_the_line_of_two_scores_steps_to_the_left():
    scores = (Metric(name="exact", goal=Goal.MAXIMIZE), Metric(name="f1", goal=Goal.MAXIMIZE))
    runs = [make_run(0, 60.0, 1e6, f1=80.0), make_run(1, 70.0, 1e6, f1=75.0)]
    places, style = edge(plot_frontier(runs, scores))
    assert (places, style) == ([(60.0, 80.0), (70.0, 75.0)], "steps-pre")


def test_of_three_metrics_the_first_two_are_drawn_with_the_frontier_of_all():
    latency = Metric(name="latency_ms", goal=Goal.MINIMIZE)
    runs = [
        make_run(0, 60.0, 40e6, latency_ms=9.0),
        make_run(1, 68.0, 60e6, latency_ms=9.0),
        make_run(2, 58.0, 60e6, latency_ms=1.0),
    ]
    figure = plot_frontier(runs, (*METRICS, latency))
    assert markers(figure) == {"frontier (n = 3)": [(40e6, 60.0), (60e6, 68.0), (60e6, 58.0)]}
    assert edge(figure)[0] == [(40e6, 60.0), (60e6, 68.0)]


def test_one_metric_is_drawn_over_the_run_number_with_the_best_so_far():
    latency = Metric(name="latency_ms", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=5.0)
    values = [(60.0, 1.0), (58.0, 1.0), (90.0, 9.0), (70.0, 1.0), (70.0, 1.0)]
    runs = [
        make_run(number, exact, 1e6, latency_ms=milliseconds)
        for number, (exact, milliseconds) in enumerate(values)
    ]
    figure = plot_frontier(runs, (EXACT, latency))
    assert figure.axes[0].get_xlabel() == "run number"
    assert markers(figure)["frontier (n = 2)"] == [(3.0, 70.0), (4.0, 70.0)]
    assert edge(figure) == ([(0.0, 60.0), (3.0, 70.0)], "steps-post")


@pytest.mark.parametrize(
    ("sizes", "scale", "labels"),
    [
        ((5e6, 40e6), "linear", ["10 M", "20 M", "30 M", "40 M"]),
        ((5e6, 41e6), "log", ["5 M", "10 M", "20 M"]),
        ((0.5, 40), "log", ["1", "2", "5"]),
    ],
)
def test_sizes_far_apart_get_a_log_axis_and_large_ones_a_prefix(sizes, scale, labels):
    figure = plot_frontier([make_run(i, 60.0 + i, size) for i, size in enumerate(sizes)], METRICS)
    assert figure.axes[0].get_xscale() == scale
    assert set(labels) <= set(tick_labels(figure))


@pytest.mark.parametrize("sizes", [(0.0, 40e6), (-1.0, 40e6)])
def test_sizes_that_have_no_logarithm_get_a_linear_axis(sizes):
    figure = plot_frontier([make_run(i, 60.0 + i, size) for i, size in enumerate(sizes)], METRICS)
    assert figure.axes[0].get_xscale() == "linear"


def test_scores_and_run_numbers_get_a_linear_axis():
    figure = plot_frontier([make_run(n, 1.0 + 9 * n, 1e6) for n in range(1, 20)], (EXACT,))
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("linear", "linear")


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([], "no finished run yet"),
        (
            [make_run(0, 60.0, 1e6, RunState.RUNNING), make_run(1, 60.0, 1e6, RunState.WAITING)],
            "no finished run yet\nnot drawn: 1 waiting, 1 running",
        ),
        (
            [make_run(0, math.inf, 1e6)],
            "no finished run has a finite value\nnot drawn: 1 without a finite value",
        ),
    ],
)
def test_a_figure_without_runs_says_so(runs, text):
    figure = plot_frontier(runs, METRICS, baseline=runs[0] if runs else None)
    assert [shown.get_text() for shown in figure.axes[0].texts] == [text]
    assert markers(figure) == {}


def test_all_runs_beyond_the_threshold_leave_no_frontier():
    assert markers(plot_frontier([RUNS[3]], METRICS)) == {
        "beyond a threshold (n = 1)": [(30e6, 50.0)]
    }


def is_title(artist: Artist) -> bool:
    return isinstance(artist, Text) and artist.get_text() == "A study of sixty runs"


def test_no_label_lies_on_another_or_outside_the_figure():
    latency = Metric(name="latency_ms", goal=Goal.MINIMIZE, unit="ms", threshold=20.0)
    runs = [
        replace(
            make_run(
                number, 50.0 + number, 1e6, list(RunState)[number % 6], latency_ms=1.0 + number
            ),
            errors={"exact": 1.5},
        )
        for number in range(60)
    ]
    figure = plot_frontier(runs, (EXACT, latency), baseline=runs[2], title="A study of sixty runs")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [
        axes.xaxis.get_tightbbox(),
        axes.yaxis.get_tightbbox(),
        *(text.get_window_extent() for text in axes.findobj(is_title)),
        figure.legends[0].get_window_extent(),
    ]
    width, height = figure.bbox.size
    found = [box for box in boxes if box is not None]
    assert len(found) == 4
    for index, box in enumerate(found):
        assert min(box.x0, box.y0) >= 0
        assert (box.x1 <= width, box.y1 <= height) == (True, True)
        # The corner of the two axes is the one place where neighbours may touch.
        assert not any(box.overlaps(other.padded(-4)) for other in found[index + 1 :])


def test_png_is_1200_pixels_wide(tmp_path):
    save_frontier(tmp_path / "frontier.png", RUNS, METRICS, baseline=RUNS[0], title="Sizes")
    with Image.open(tmp_path / "frontier.png") as image:
        assert (image.format, image.width) == ("PNG", 1200)
    assert [path.name for path in tmp_path.iterdir()] == ["frontier.png"]


def test_svg_holds_the_title(tmp_path):
    path = tmp_path / "frontier.svg"
    path.write_text("an older figure")
    save_frontier(path, RUNS, METRICS, title="Sizes")
    assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "Sizes" in path.read_text()


def test_another_suffix_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(ConfigError, match=r"must end in \.png or \.svg, but got .*frontier\.pdf"):
        save_frontier(tmp_path / "frontier.pdf", RUNS, METRICS)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path):
    (tmp_path / "frontier.png").mkdir()
    with pytest.raises(ConfigError, match=r"frontier\.png is a folder"):
        save_frontier(tmp_path / "frontier.png", RUNS, METRICS)
    assert [path.name for path in tmp_path.iterdir()] == ["frontier.png"]


def test_importing_figures_loads_neither_windows_nor_torch():
    script = (
        "import sys, limbeck.analysis.picture; "
        "sys.stdout.write(repr({'torch', 'botorch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "set()"
