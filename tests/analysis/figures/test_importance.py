from dataclasses import replace

import plotly.graph_objects as go

from limbeck.analysis.figures.importance import importance_bars, interaction_map
from limbeck.sensitivity import Importance, Importances, Interaction

RATE = Importance(
    parameter="rate", first=0.5, first_interval=(0.4, 0.55), total=0.6, total_interval=(0.5, 0.7)
)
DEPTH = Importance(
    parameter="depth", first=0.2, first_interval=(0.1, 0.3), total=0.35, total_interval=(0.2, 0.4)
)
IDLE = Importance(
    parameter="idle", first=0.01, first_interval=(0.0, 0.02), total=0.02, total_interval=(0.0, 0.05)
)
FOUND = Importances(
    metric="exact",
    source="forest",
    n=70,
    r2=0.915,
    parameters=(RATE, DEPTH, IDLE),
    interactions=(
        Interaction(parameters=("depth", "rate"), share=0.1),
        Interaction(parameters=("rate", "idle"), share=0.004),
        Interaction(parameters=("depth", "idle"), share=0.0),
    ),
    inert=("idle",),
    warning="",
)
FRONTIER = replace(
    FOUND, metric="frontier", n=60, r2=0.2, parameters=(DEPTH, RATE, IDLE), warning="is <b>weak</b>"
)


def texts(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_bars_stand_in_one_order_and_have_their_intervals() -> None:
    figure = importance_bars([FOUND, FRONTIER])
    bars = [trace for trace in figure.data if isinstance(trace, go.Bar)]
    assert figure.layout.yaxis.categoryarray == ("rate", "depth", "idle")
    alone, total = (
        next(bar for bar in bars if bar.name.startswith(word)) for word in ("alone", "with")
    )
    assert (alone.y, alone.x) == (("rate", "depth", "idle"), (50.0, 20.0, 1.0))
    assert total.x == (60.0, 35.0, 2.0)
    assert [round(each, 9) for each in total.error_x.array] == [10.0, 5.0, 3.0]
    assert [round(each, 9) for each in total.error_x.arrayminus] == [10.0, 15.0, 2.0]
    assert len({alone.marker.color[0], alone.marker.color[1], alone.marker.color[2]}) == 2
    beside = [trace for trace in figure.data if isinstance(trace, go.Scatter)]
    assert [trace.y for trace in beside] == [("idle",), ("idle",)]
    assert [trace.text for trace in beside] == [("no effect seen",)] * 2


def test_every_panel_has_its_evidence_and_the_caution_is_no_markup() -> None:
    figure = importance_bars([FOUND, FRONTIER])
    assert texts(figure) == [
        "<b>exact</b><br>n = 70, R² 0.92",
        "<b>distance from the frontier</b> ⚠<br>n = 60, R² 0.20",
    ]
    note = figure.layout.title.subtitle.text
    assert "Caution, distance from the frontier: is &lt;b&gt;weak&lt;/b&gt;" in note


def test_what_has_too_few_runs_is_left_out_and_alone_says_why() -> None:
    few = replace(FOUND, parameters=(), interactions=(), warning="8 <i>runs</i>")
    assert len(texts(importance_bars([FOUND, few]))) == 1
    assert texts(importance_bars([few])) == ["8 &lt;i&gt;runs&lt;/i&gt;"]
    assert texts(interaction_map(few)) == ["8 &lt;i&gt;runs&lt;/i&gt;"]
    assert texts(importance_bars([])) == ["no metric"]


def test_names_are_no_markup() -> None:
    tagged = replace(RATE, parameter="<b>rate</b>")
    figure = importance_bars([replace(FOUND, parameters=(tagged, DEPTH))])
    assert figure.layout.yaxis.categoryarray[0] == "&lt;b&gt;rate&lt;/b&gt;"
    assert figure.data[0].y[0] == "&lt;b&gt;rate&lt;/b&gt;"


def test_the_map_has_each_pair_once_below_the_diagonal() -> None:
    (heat,) = interaction_map(FOUND).data
    assert (heat.x, heat.y) == (("rate", "depth"), ("depth", "idle"))
    shares = [[round(float(share), 6) for share in row] for row in heat.z]
    assert shares[0][0] == 10.0
    assert shares[1] == [0.4, 0.0]
    assert str(shares[0][1]) == "nan"
    assert [list(row) for row in heat.text] == [["10", ""], ["", ""]]


def test_one_parameter_has_no_pairs() -> None:
    figure = interaction_map(replace(FOUND, parameters=(RATE,), interactions=(), inert=()))
    assert texts(figure) == ["a pair needs two parameters"]
