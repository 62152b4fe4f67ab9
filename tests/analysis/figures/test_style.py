"""What figures share: text of data as text, axes that say which way is better."""

import pytest

from limbeck.analysis.figures.style import (
    axis_of,
    heading,
    in_theme,
    log_ticks,
    new_figure,
    plain,
)
from limbeck.metrics import Goal, Metric

SIZE = Metric(name="size", goal=Goal.MINIMIZE, unit="B")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("two\nlines\t here", "two lines here"),
        (7, "7"),
        ("x" * 90, "x" * 79 + "…"),
        ("<" * 90, "&lt;" * 79 + "…"),
    ],
)
def test_text_of_data_is_one_short_line_without_markup(text: object, shown: str) -> None:
    assert plain(text) == shown


def test_headings_are_broken_between_the_words_of_names() -> None:
    assert heading("per_compute_train_batch_size") == "per_compute_<br>train_batch_<br>size"
    assert heading("<i>_x", width=4) == "&lt;i&gt;_<br>x"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (8.0, 120.0, [10, 20, 50, 100]),
        (1e6, 2e7, [1e6, 2e6, 5e6, 1e7, 2e7]),
        (0.5, 5e4, [1, 10, 100, 1000, 1e4]),
    ],
)
def test_ticks_of_a_log_axis_are_round_and_few(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_a_cost_that_spans_much_gets_a_log_axis() -> None:
    assert axis_of(SIZE, [1.0, 9.0])["type"] == "log"
    assert "type" not in axis_of(SIZE, [1.0, 8.0])
    assert "type" not in axis_of(SIZE, [0.0, 9.0])
    score = Metric(name="<i>", goal=Goal.MAXIMIZE)
    axis = axis_of(score, [1.0, 20_000.0])
    assert "type" not in axis
    assert axis["title"] == {"text": "&lt;i&gt;   better →"}
    assert axis["tickformat"] == "~s"


def test_a_theme_changes_a_copy() -> None:
    figure = new_figure("Title")
    dark = in_theme(figure, "dark")
    assert dark.layout.template.layout.paper_bgcolor == "#16181D"
    assert figure.layout.template.layout.paper_bgcolor == "#FFFFFF"
