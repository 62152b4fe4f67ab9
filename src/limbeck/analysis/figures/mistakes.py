"""Kinds of answers by model and by topic, and what one model lost and gained against another."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar
from unicodedata import east_asian_width

import plotly.graph_objects as go

from limbeck.analysis.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    new_figure,
    plain,
)
from limbeck.analysis.mistake_tables import (
    Comparison,
    Group,
    compare,
    compare_by,
    groups_by,
    overall,
)
from limbeck.analysis.mistakes import Examination, Outcome
from limbeck.tasks.question_answering.mistakes import KINDS, Kind
from limbeck.wording import p_text

_T = TypeVar("_T", Group, Comparison)

GROUPS = 10
"""How many groups a figure shows that is not told which."""

KIND_COLORS: Mapping[Kind, str] = {
    Kind.CORRECT: BLUE,
    Kind.MOSTLY_CORRECT: SKY_BLUE,
    Kind.MOSTLY_WRONG: ORANGE,
    Kind.LABEL_HAS_ANSWER: VERMILION,
    Kind.LABEL_HAS_NO_ANSWER: PURPLE,
}
_LIGHT, _DARK = "#FFFFFF", "#111111"
_TEXT_COLORS = {BLUE: _LIGHT, VERMILION: _LIGHT}

_OUTLINE = {"width": 1, "color": _DARK}

# Heights, where the bars' distance is 1: a bar, one that leaves room below it, and what is there.
_BAR, _BELOW_BAR = 0.75, 0.42
_THIN_BAR, _NET_PLACE = 0.5, 0.27

_LONGEST_NAME = 24  # characters of a name beside its bar
_LEAST_TEXT = 5.0  # percent, from which on a part of a bar has room for its number
_ROWS, _ROW_HEIGHT = 14, 30  # from so many rows on a figure grows with them; pixels
_MARGINS = 200  # pixels above and below the rows


def kinds_figure(examination: Examination) -> go.Figure:
    """Return the kinds of answers of all models, to the same questions, as stacked bars.

    The parts have as `customdata` the number of the run, None of the teacher, and the kind.
    """
    models = (examination.model, *examination.others)
    figure = new_figure("Kinds of answers", note=_note(examination))
    _stack(
        figure,
        [overall(model) for model in models],
        labels=[model.name for model in models],
        keys=[model.run for model in models],
    )
    return figure


def groups_figure(
    examination: Examination, *, trait: str = "topic", names: Sequence[str] | None = None
) -> go.Figure:
    """Return the kinds of the model's answers in groups of questions, as stacked bars.

    A mark has the share that the first of the other models gets right. The parts have as
    `customdata` the name of the group and the kind.

    Args:
        examination: The answers.
        trait: One of `limbeck.tasks.question_answering.traits.TRAITS`.
        names: Of the groups, the uppermost first; by default the first ones, of topics the largest.
    """
    every = groups_by(examination, trait)
    groups = _named(every, names)
    figure = new_figure(
        f"Kinds of answers by {trait}: {_short(examination.model.name)}", note=_note(examination)
    )
    _stack(
        figure,
        groups,
        labels=[_title(group.name) for group in groups],
        keys=[group.name for group in groups],
    )
    _say_how_many(figure, "share of questions (%)", trait, shown=len(groups), n=len(every))
    for other in examination.others[:1]:
        theirs = _named(
            groups_by(examination, trait, graded=other), [group.name for group in groups]
        )
        figure.add_scatter(
            x=[group.right for group in theirs],
            y=[place + _BELOW_BAR for place in range(len(theirs))],
            mode="markers",
            name=f"correct: {_short(other.name)}",
            marker={"symbol": "triangle-up", "size": 9, "color": _LIGHT, "line": _OUTLINE},
            hovertext=[
                f"{_whole(group.name)}<br>{_short(other.name)}: {group.right:.1f} % correct"
                for group in theirs
            ],
            hoverinfo="text",
        )
    return figure


def changes_figure(
    examination: Examination,
    other: str,
    *,
    trait: str = "topic",
    names: Sequence[str] | None = None,
) -> go.Figure:
    """Return what the model lost and gained against another, in groups of questions.

    Lost are questions that only the other has right, gained are those that only the model has
    right. The parts have as `customdata` the name of the group and the outcome.

    Args:
        examination: The answers.
        other: Name of the other model.
        trait: See `groups_figure`.
        names: See `groups_figure`.
    """
    total, every = compare(examination, other), compare_by(examination, other, trait)
    groups = _named(every, names)
    figure = new_figure(
        f"Lost and gained by {trait}: {_short(examination.model.name)} against {_short(other)}",
        note=(
            f"n = {total.n:,} questions, {total.counts[Outcome.LOST]:,} lost, "
            f"{total.counts[Outcome.GAINED]:,} gained (McNemar's exact p {p_text(total.p_value)})"
        ),
    )
    for outcome, sign, color in ((Outcome.LOST, -1, VERMILION), (Outcome.GAINED, 1, BLUE)):
        shares = [100.0 * group.counts[outcome] / group.n for group in groups]
        _add_part(
            figure,
            name=outcome,
            lengths=[sign * share for share in shares],
            color=color,
            keys=[group.name for group in groups],
            hovertexts=[_change_text(group, other) for group in groups],
        )
    figure.update_traces(width=_THIN_BAR, offset=-_BAR / 2)
    figure.add_scatter(
        x=[group.difference for group in groups],
        y=[place + _NET_PLACE for place in range(len(groups))],
        error_x={
            "array": [group.error for group in groups],
            "color": GREY,
            "thickness": 1.5,
            "width": 3,
        },
        mode="markers",
        name="gained less lost ± 1 standard error",
        marker={"symbol": "diamond", "size": 7, "color": GREY},
        hovertext=[_change_text(group, other) for group in groups],
        hoverinfo="text",
    )
    _finish(figure, [_title(group.name) for group in groups], [group.n for group in groups])
    figure.update_xaxes(zeroline=True)
    _say_how_many(figure, "share of questions (%)", trait, shown=len(groups), n=len(every))
    return figure


def _stack(
    figure: go.Figure,
    groups: Sequence[Group],
    *,
    labels: Sequence[str],
    keys: Sequence[int | str | None],
) -> None:
    """Add stacked bars of the kinds that occur."""
    for kind in KINDS:
        if any(group.counts[kind] for group in groups):
            _add_part(
                figure,
                name=kind,
                lengths=[group.share(kind) for group in groups],
                color=KIND_COLORS[kind],
                keys=keys,
                hovertexts=[
                    f"{_whole(label)}<br>{kind}: {group.counts[kind]:,} of "
                    f"{group.n:,} ({group.share(kind):.1f} %)"
                    for label, group in zip(labels, groups, strict=True)
                ],
            )
    _finish(figure, labels, [group.n for group in groups])
    figure.update_xaxes(title_text="share of questions (%)", range=[0, 100])


def _add_part(
    figure: go.Figure,
    *,
    name: str,
    lengths: Sequence[float],
    color: str,
    keys: Sequence[int | str | None],
    hovertexts: Sequence[str],
) -> None:
    """Add one part of every bar; lengths are in percent."""
    figure.add_bar(
        x=lengths,
        y=list(range(len(lengths))),
        orientation="h",
        name=name,
        marker={"color": color, "line": {"width": 0}},
        text=[f"{abs(each):.0f}" if abs(each) >= _LEAST_TEXT else "" for each in lengths],
        textposition="inside",
        insidetextanchor="middle",
        insidetextfont={"color": _TEXT_COLORS.get(color, _DARK)},
        textangle=0,
        constraintext="none",
        customdata=[[key, name] for key in keys],
        hovertext=hovertexts,
        hoverinfo="text",
    )


def _finish(figure: go.Figure, labels: Sequence[str], counts: Sequence[int]) -> None:
    """Name the bars, which are at 0, 1, 2, ..., on the left; count their questions on the right."""
    figure.update_layout(barmode="relative", bargap=1 - _BAR, margin={"r": 80})
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[_short(label) for label in labels],
        range=[len(labels) - 0.5, -0.5],
        ticks="",
        showgrid=False,
    )
    figure.update_layout(
        annotations=[
            {
                "text": f"n = {count:,}",
                "x": 1.01,
                "xref": "paper",
                "xanchor": "left",
                "y": place,
                "showarrow": False,
            }
            for place, count in enumerate(counts)
        ]
    )
    if len(labels) > _ROWS:
        figure.update_layout(
            height=_MARGINS + _ROW_HEIGHT * len(labels),
            margin={"b": _MARGINS // 2},
            legend={"yref": "container", "y": 0, "yanchor": "bottom"},
        )


def _say_how_many(figure: go.Figure, title: str, trait: str, *, shown: int, n: int) -> None:
    """Title the x axis, and say in it how many of the groups are shown, unless it is all."""
    part = f"; {shown:,} of {n:,} {trait}s" if shown < n else ""
    figure.update_xaxes(title_text=f"{title}{part}")


def _named(groups: Sequence[_T], names: Sequence[str] | None) -> list[_T]:
    """Return the groups of the given names, or the first ones."""
    if names is None:
        return list(groups[:GROUPS])
    by_name = {group.name: group for group in groups}
    return [by_name[name] for name in names]


def _note(examination: Examination) -> str:
    left_out = examination.left_out
    rest = f" ({left_out:,} not answered by all are left out)" if left_out else ""
    count = len(examination.questions)
    return (
        f"n = {count:,} questions{rest}; mostly correct: token F1 of {examination.limit:g} or more"
    )


def _change_text(group: Comparison, other: str) -> str:
    counts = group.counts
    return (
        f"{_whole(group.name)}: n = {group.n:,}<br>lost {counts[Outcome.LOST]:,}, gained "
        f"{counts[Outcome.GAINED]:,} against {_short(other)}<br>both right "
        f"{counts[Outcome.BOTH_RIGHT]:,}, both wrong {counts[Outcome.BOTH_WRONG]:,}"
    )


def _title(name: str) -> str:
    return name.replace("_", " ")


def _whole(name: str) -> str:
    return _short(_title(name), width=80)


def _short(name: str, *, width: int = _LONGEST_NAME) -> str:
    """Return a name for a figure, cut after so many letters, of which wide ones count as two.

    It may run from right to left, which is not to spread to what stands around it.
    """
    ends = accumulate(2 if east_asian_width(letter) in "WF" else 1 for letter in name)
    return f"\u2068{plain(name, limit=sum(end <= width for end in ends))}\u2069"
