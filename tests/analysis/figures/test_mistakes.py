"""Figures of mistakes: what is drawn is what was counted, and data is no markup."""

import json
from collections.abc import Sequence

import plotly.graph_objects as go
import pytest

from limbeck.analysis.figures.mistakes import changes_figure, groups_figure, kinds_figure
from limbeck.analysis.mistakes import Answers, Examination, examine
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet

ROWS = (
    ("Big_one", True, "x y", "x y"),
    ("Big_one", True, "x y", "z"),
    ("Big_one", True, "x", "x y"),
    ("Big_one", True, "z", ""),
    ("<b>b</b>", True, "", "x y"),
    ("<b>b</b>", False, "z", ""),
)


def examined(rows: Sequence[tuple[str, bool, str, str]], *, others: int = 1) -> Examination:
    questions = tuple(
        Question(str(n), title, "x y", "who?", (Answer("x y", 0),) if answerable else ())
        for n, (title, answerable, _, _) in enumerate(rows)
    )
    mine = {str(n): row[2] for n, row in enumerate(rows)}
    theirs = {str(n): row[3] for n, row in enumerate(rows)}
    answers = [Answers(name="run 3", texts=mine, run=3), Answers(name="<i>", texts=theirs)]
    return examine(answers[: 1 + others], QuestionSet(questions))


def bars(figure: go.Figure) -> dict[str, list[float]]:
    return {trace.name: list(trace.x) for trace in figure.data if trace.type == "bar"}


def labels(figure: go.Figure) -> list[str]:
    return [label.strip("\u2068\u2069") for label in figure.layout.yaxis.ticktext]


def test_kinds_of_models_add_up_to_a_hundred() -> None:
    figure = kinds_figure(examined(ROWS))
    found = bars(figure)
    assert found["correct"] == pytest.approx([100 * 2 / 6, 100 * 4 / 6])
    assert [sum(parts) for parts in zip(*found.values(), strict=True)] == pytest.approx([100, 100])
    assert labels(figure) == ["run 3", "&lt;i&gt;"]
    assert [list(each) for each in figure.data[0].customdata] == [[3, "correct"], [None, "correct"]]
    assert "n = 6 questions" in figure.layout.title.subtitle.text


def test_topics_show_kinds_numbers_and_what_the_other_has_right() -> None:
    figure = groups_figure(examined(ROWS))
    found = bars(figure)
    assert labels(figure) == ["Big one", "&lt;b&gt;b&lt;/b&gt;"]
    assert found["mostly correct"] == [25, 0]
    assert found["label has answer"] == [0, 50]
    assert [note.text for note in figure.layout.annotations] == ["n = 4", "n = 2"]
    assert list(figure.data[-1].x) == [50, 100]
    assert list(figure.data[0].customdata[1]) == ["<b>b</b>", "correct"]


def test_kinds_that_do_not_occur_are_left_out() -> None:
    figure = groups_figure(examined(ROWS[:2]))
    assert bars(figure).keys() == {"correct"}


def test_topics_come_in_the_order_that_is_asked_for() -> None:
    figure = groups_figure(examined(ROWS, others=0), names=["<b>b</b>", "Big_one"])
    assert labels(figure) == ["&lt;b&gt;b&lt;/b&gt;", "Big one"]
    assert all(trace.type == "bar" for trace in figure.data)


def test_the_ten_largest_are_drawn_unless_others_are_asked_for() -> None:
    rows = [(f"t{n:02}", True, "x y", "") for n in range(20) for _ in range(20 - n)]
    examination = examined(rows)
    assert labels(groups_figure(examination)) == [f"t{n:02}" for n in range(10)]
    assert labels(changes_figure(examination, "<i>")) == [f"t{n:02}" for n in range(10)]
    every = groups_figure(examination, names=[f"t{n:02}" for n in range(20)])
    assert len(labels(every)) == 20
    assert every.layout.xaxis.title.text == "share of questions (%)"
    assert groups_figure(examination).layout.xaxis.title.text.endswith("; 10 of 20 topics")
    assert every.layout.height > 20 * 20


def test_changes_go_left_where_lost_and_right_where_gained() -> None:
    figure = changes_figure(examined(ROWS), "<i>")
    assert bars(figure) == {"lost": [-25, -100], "gained": [25, 0]}
    net = figure.data[-1]
    assert list(net.x) == [0, -100]
    assert list(net.error_x.array) == pytest.approx([100 * (2 / 3 / 4) ** 0.5, 0])
    assert "3 lost, 1 gained (McNemar's exact p = 0.62)" in figure.layout.title.subtitle.text


def test_questions_that_not_all_answered_are_counted() -> None:
    questions = QuestionSet(tuple(Question(str(n), "t", "c", "q?") for n in range(3)))
    answers = [Answers(name="a", texts={"0": ""}), Answers(name="b", texts={"0": "", "1": ""})]
    figure = kinds_figure(examine(answers, questions))
    note = figure.layout.title.subtitle.text
    assert note.startswith("n = 1 questions (2 not answered by all are left out)")


WILD = (
    "<script>alert(1)</script>",
    "\u0645\u0631\u062d\u0628\u0627_(1984)",
    "\U0001f600" * 60,
    "x" * 500,
    "two\nlines",
    "\u202eright to left",
)


def test_wild_titles_are_short_plain_and_kept_to_themselves() -> None:
    rows = [(title, True, "x y", "x") for title in WILD]
    figure = groups_figure(examined(rows))
    shown = figure.layout.yaxis.ticktext
    assert all(label.startswith("\u2068") and label.endswith("\u2069") for label in shown)
    assert all("<" not in label and "\n" not in label for label in shown)
    assert labels(figure)[2] == "\U0001f600" * 11 + "…"  # as wide as twice as many letters
    assert labels(figure)[3] == "x" * 23 + "…"
    texts = [text for trace in figure.data for text in trace.hovertext]
    assert not any("<script" in text for text in texts)


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS[4:5]])
def test_one_question_can_be_drawn(rows: Sequence[tuple[str, bool, str, str]]) -> None:
    examination = examined(rows)
    for figure in (
        kinds_figure(examination),
        groups_figure(examination, trait="context length"),
        changes_figure(examination, "<i>", trait="answer length"),
    ):
        assert json.loads(figure.to_json())["data"]
