"""What is kept of each layer, drawn."""

import json
from pathlib import Path
from typing import Any

from limbeck.analysis.figures.architecture import MOST, architecture
from limbeck.analysis.results import StudyResults
from limbeck.artifacts import register
from limbeck.runs import Run, RunState
from limbeck.space import Value
from tests.analysis.test_kept import STUDENT, study


def results_of(folder: Path, *parameters: dict[str, Value], **student: Any) -> StudyResults:
    config = study(folder, student)
    runs = tuple(
        Run(
            number=number,
            parameters=given,
            state=RunState.FINISHED,
            values={"exact": 40.0, "num_parameters": 1e6},
        )
        for number, given in enumerate(parameters)
    )
    return StudyResults(
        name="tiny", metrics=config.metrics, parameters=config.parameters, runs=runs, config=config
    )


def squares(figure: Any, run: int, kind: str) -> set[tuple[int, str]]:
    return {
        (head, layer)
        for trace in figure.data
        if trace.legendgroup == kind and trace.customdata[0][0] == run
        for head, layer in zip(trace.x, trace.y, strict=True)
    }


def test_squares_are_the_heads_that_the_model_keeps(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(STUDENT))
    results = results_of(tmp_path, {}, num_layers=1)
    run = Run(
        number=1,
        parameters={},
        state=RunState.FINISHED,
        artifacts=(register("model", model),),
    )
    both = StudyResults(
        name="tiny",
        metrics=results.metrics,
        parameters=(),
        runs=(*results.runs, run),
        config=results.config,
    )
    figure = architecture(both, runs=[1])
    assert squares(figure, 1, "kept") == {(0, "1"), (3, "1"), (2, "3")}
    assert squares(figure, 1, "new") == {(head, "new 2") for head in range(4)}
    teacher = {(head, str(layer)) for head in range(4) for layer in range(4)}
    assert squares(figure, 1, "dropped") == teacher - squares(figure, 1, "kept")
    neurons = [trace for trace in figure.data if trace.type == "bar" and "new 2" in trace.y]
    assert [list(trace.x) for trace in neurons] == [[20, 20, 20, 20, 0], [0, 6, 0, 9, 20]]
    shares = [t for t in figure.data if t.type == "bar" and t.customdata and t.text]
    assert shares[-1].text == ("40 of 50", "3 of 8")
    assert list(shares[-1].x) == [80.0, 37.5]


def test_heads_of_which_only_the_number_is_known_say_so(tmp_path: Path) -> None:
    figure = architecture(results_of(tmp_path, {}, num_layers=1, num_heads=3), runs=[])
    assert squares(figure, 0, "count") == {(0, "0"), (1, "0"), (2, "0")}
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(named) == ["dropped", "kept, but which is unknown"]
    assert "from the parameters alone: run 0" in figure.layout.title.subtitle.text


def test_the_baseline_comes_first_and_the_rest_in_the_given_order(tmp_path: Path) -> None:
    figure = architecture(results_of(tmp_path, {}, {}, {}, num_layers=1), runs=[2, 1])
    headings = [note.text for note in figure.layout.annotations]
    assert [text.split("</b>")[0] for text in headings] == [
        "<b>run 0 (baseline)",
        "<b>run 2",
        "<b>run 1",
    ]
    assert "40.00 % exact, 1.00 M num_parameters" in headings[0]


def test_no_more_runs_are_drawn_than_can_be_told_apart(tmp_path: Path) -> None:
    figure = architecture(results_of(tmp_path, *[{}] * 9, num_layers=1), runs=range(9))
    assert len(figure.layout.annotations) == MOST


def test_student_whose_source_is_not_here_is_drawn_beside_nothing(tmp_path: Path) -> None:
    results = results_of(tmp_path, {}, num_layers=2, num_heads=3, ffn_size=7)
    (tmp_path / "teacher" / "config.json").unlink()
    figure = architecture(results, runs=[0])
    assert squares(figure, 0, "count") == {(i, f"layer {n}") for i in range(3) for n in range(2)}
    assert squares(figure, 0, "dropped") == set()
    assert "whose configuration is not here" in figure.layout.title.subtitle.text
    (shares,) = [trace for trace in figure.data if trace.type == "bar" and trace.text]
    assert shares.text == ("unknown", "unknown")


def test_figure_without_anything_known_says_why(tmp_path: Path) -> None:
    results = results_of(tmp_path, {}, num_layers=1)
    (tmp_path / "teacher" / "config.json").unlink()
    assert "on this machine" in architecture(results, runs=[0]).layout.annotations[0].text
    without = StudyResults(name="s", metrics=results.metrics, parameters=(), runs=results.runs)
    assert "no study file" in architecture(without, runs=[0]).layout.annotations[0].text
