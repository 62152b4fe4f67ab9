"""What runs keep of the model they are cut from, layer by layer."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from limbeck.analysis.figures.style import (
    BLUE,
    ORANGE,
    SKY_BLUE,
    empty_figure,
    new_figure,
    plain,
)
from limbeck.analysis.kept import Kept, Layer, what_is_kept
from limbeck.analysis.results import StudyResults
from limbeck.runs import Run
from limbeck.wording import format_value

MOST = 6
"""Runs that are drawn; more cannot be told apart."""

_COLUMNS = ("heads of each layer", "neurons of each layer", "embeddings")
_SQUARE = 9  # Pixels: side of a head.
_ROW_HEIGHT = 210  # Pixels.
_PALE = "rgba(128, 128, 128, 0.22)"


def architecture(results: StudyResults, *, runs: Sequence[int]) -> go.Figure:
    """Draw which heads and how many neurons of each layer runs keep, and what of the embeddings.

    What is dropped is pale. Layers that the source does not have stand above its last one. The
    baseline comes first, whether it is named or not.

    Args:
        results: The study.
        runs: Numbers of the runs; of more than `MOST`, the baseline among them, the first ones.

    Returns:
        A figure with a row for each run; its height follows from their number.

    Raises:
        NotFoundError: If the study has no run of a number.
    """
    config = results.config
    if config is None:
        return empty_figure("This study has no study file that says what its students keep")
    named = [results.run(number) for number in dict.fromkeys([0, *runs])][:MOST]
    found = [(run, kept) for run in named if (kept := what_is_kept(run, config))]
    if not found:
        return empty_figure("Neither models nor the teacher's configuration are on this machine")
    rows = len(found)
    figure = new_figure("What is kept of each layer", note=_note(found, len(named)))
    make_subplots(
        rows=rows,
        cols=3,
        figure=figure,
        column_widths=[0.42, 0.33, 0.25],
        vertical_spacing=0.24 / rows,
        horizontal_spacing=0.09,
    )
    for row, (run, kept) in enumerate(found, start=1):
        _draw_layers(figure, run, kept, row=row)
        _draw_embeddings(figure, run, kept, row=row)
        _write_heading(figure, _heading(results, run), row=row)
    _set_axes(figure, [kept for _, kept in found])
    for kind in _HEADS:
        first = next(iter(figure.select_traces({"legendgroup": kind})), None)
        if first is not None:
            first.showlegend = True
    return figure.update_layout(
        height=150 + _ROW_HEIGHT * rows,
        barmode="overlay",
        bargap=0.25,
        legend={"yref": "container", "y": 0, "yanchor": "bottom"},
        margin={"t": 110},
    )


def _set_axes(figure: go.Figure, found: Sequence[Kept]) -> None:
    """Give all rows the same axes, which are written below the last one."""
    lines = [line for kept in found for line in _lines(kept)]
    heads = max(max(own, layer.heads if layer else 0) for _, own, _, layer in lines)
    neurons = max(max(own, layer.neurons if layer else 0) for _, _, own, layer in lines)
    figure.update_xaxes(showticklabels=False, ticks="")
    figure.update_xaxes(range=[-0.7, heads - 0.3], showgrid=False, nticks=7, col=1)
    figure.update_xaxes(range=[0, 1.02 * neurons], nticks=5, col=2)
    figure.update_xaxes(range=[0, 102], ticksuffix=" %", nticks=3, col=3)
    for column, name in enumerate(_COLUMNS, start=1):
        title = {"text": name, "font": {"size": 13}}
        figure.update_xaxes(
            title=title, showticklabels=True, ticks="outside", row=len(found), col=column
        )


def _write_heading(figure: go.Figure, text: str, *, row: int) -> None:
    _, top = next(figure.select_yaxes(row=row, col=1)).domain
    figure.add_annotation(
        text=text,
        x=0,
        y=top,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font={"size": 12},
    )


def _draw_layers(figure: go.Figure, run: Run, kept: Kept, *, row: int) -> None:
    """Draw heads and neurons of a run, a line for each layer of the source and each new one."""
    lines = _lines(kept)
    squares: dict[str, list[tuple[int, str]]] = {"kept": [], "count": [], "new": [], "dropped": []}
    for text, own, _, layer in lines:
        for head in range(max(own, layer.heads if layer else 0)):
            squares[_kind(layer, head)].append((head, text))
    for kind, places in squares.items():
        if not places:
            continue
        figure.add_trace(_heads(run, kind, places), row=row, col=1)
    names = [text for text, *_ in lines]
    figure.add_trace(
        _bar([own for _, _, own, _ in lines], names, color=_PALE, hover="%{x:,} neurons there"),
        row=row,
        col=2,
    )
    figure.add_trace(
        _bar(
            [layer.neurons if layer else 0 for *_, layer in lines],
            names,
            color=[ORANGE if _is_new(layer) else BLUE for *_, layer in lines],
            hover=f"run {run.number}: %{{x:,}} neurons",
        ),
        row=row,
        col=2,
    )
    order = {"categoryorder": "array", "categoryarray": names, "type": "category"}
    figure.update_yaxes(**order, dtick=1, showgrid=False, tickfont={"size": 11}, row=row, col=1)
    figure.update_yaxes(**order, dtick=1, showticklabels=False, row=row, col=2)


def _draw_embeddings(figure: go.Figure, run: Run, kept: Kept, *, row: int) -> None:
    """Draw the share of the source's tokens, and of the width of its embeddings, that is kept."""
    source = kept.source
    tokens, width = (source.vocab_size, source.embedding_size) if source else (None, None)
    shares = {
        "tokens": _share(kept.vocab_size, tokens),
        "rank": _share(kept.embedding_rank or width, width),
    }
    names = list(shares)
    figure.add_trace(_bar([100] * len(names), names, color=_PALE, hover=""), row=row, col=3)
    figure.add_trace(
        go.Bar(
            x=[share or 0 for share, _ in shares.values()],
            y=names,
            orientation="h",
            marker={"color": BLUE},
            text=[text for _, text in shares.values()],
            textposition="inside",
            insidetextanchor="start",
            textangle=0,
            constraintext="none",
            textfont={"size": 11, "color": "#FFFFFF"},
            hovertemplate="%{y}: %{text}<extra></extra>",
            customdata=[[run.number]] * len(names),
            showlegend=False,
        ),
        row=row,
        col=3,
    )
    figure.update_yaxes(showgrid=False, tickfont={"size": 11}, row=row, col=3)


def _lines(kept: Kept) -> list[tuple[str, int, int, Layer | None]]:
    """Return, from the bottom on, name, heads and neurons of each source layer, and what is kept.

    Layers that are new, or whose place in the source is not known, come last.
    """
    by_source = {layer.source: layer for layer in kept.layers if layer.source is not None}
    source = kept.source
    if source is not None:
        own = list(zip(source.heads_per_layer, source.ffn_per_layer, strict=True))
    else:
        own = [
            (by_source[i].heads, by_source[i].neurons) if i in by_source else (0, 0)
            for i in range(max(by_source, default=-1) + 1)
        ]
    lines: list[tuple[str, int, int, Layer | None]] = [
        (str(index), heads, neurons, by_source.get(index))
        for index, (heads, neurons) in enumerate(own)
    ]
    word = "new" if source is not None or by_source else "layer"
    return lines + [
        (f"{word} {index}", 0, 0, layer)
        for index, layer in enumerate(kept.layers)
        if layer.source is None
    ]


def _kind(layer: Layer | None, head: int) -> str:
    """Return what became of a head: kept, one of so many that are, new, or dropped."""
    if layer is None:
        return "dropped"
    if _is_new(layer):
        return "new"
    if layer.kept_heads is None:
        return "count" if head < layer.heads else "dropped"
    return "kept" if head in layer.kept_heads else "dropped"


def _is_new(layer: Layer | None) -> bool:
    return layer is not None and layer.source is None and layer.kept_heads is not None


_HEADS = {
    "kept": ("kept", "square", BLUE),
    "count": ("kept, but which is unknown", "square", SKY_BLUE),
    "new": ("new", "square", ORANGE),
    "dropped": ("dropped", "square", _PALE),
}


def _heads(run: Run, kind: str, places: Sequence[tuple[int, str]]) -> go.Scatter:
    name, symbol, color = _HEADS[kind]
    return go.Scatter(
        x=[head for head, _ in places],
        y=[text for _, text in places],
        mode="markers",
        marker={"symbol": symbol, "size": _SQUARE, "color": color},
        name=name,
        legendgroup=kind,
        showlegend=False,
        customdata=[[run.number]] * len(places),
        hovertemplate=f"run {run.number}, layer %{{y}}, head %{{x}}: {name}<extra></extra>",
    )


def _bar(x: Sequence[float], y: Sequence[str], *, color: Any, hover: str) -> go.Bar:
    return go.Bar(
        x=list(x),
        y=list(y),
        orientation="h",
        marker={"color": color},
        hovertemplate=f"{hover}<extra></extra>" if hover else None,
        hoverinfo=None if hover else "skip",
        showlegend=False,
    )


def _share(kept: int | None, of: int | None) -> tuple[float | None, str]:
    """Return a share in percent, and both numbers."""
    if kept is None:
        return None, "unknown"
    if of is None:
        return 100.0, f"{kept:,}"
    return 100 * kept / of, f"{kept:,} of {of:,}"


def _heading(results: StudyResults, run: Run) -> str:
    values = ", ".join(
        f"{format_value(run.values[goal.name], goal)} {goal.name}"
        for goal in results.goals
        if goal.name in run.values
    )
    name = f"run {run.number}{' (baseline)' if run.number == 0 else ''}"
    return f"<b>{name}</b>  {plain(values)}"


def _note(found: Sequence[tuple[Run, Kept]], named: int) -> str:
    """Return how many runs are drawn, of what they are cut, and how it is known."""
    sources = dict.fromkeys(plain(kept.source_name, limit=40) for _, kept in found)
    note = f"n = {len(found)}; cut from {', '.join(sources)}"
    if any(kept.source is None for _, kept in found):
        note += ", whose configuration is not here"
    guessed = [str(run.number) for run, kept in found if not kept.measured]
    if guessed:
        note += f"; from the parameters alone: run {', '.join(guessed)}"
    missing = named - len(found)
    return f"{note}; unknown of {missing}" if missing else note
