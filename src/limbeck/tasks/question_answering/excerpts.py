"""The part of a context that tells whether an answer is right, as pieces with roles."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from limbeck.tasks.question_answering.dataset import Question

MARGIN = 80
"""Characters of context that an excerpt has on either side of an answer."""

_ELLIPSIS = "…"
_LONGEST_WORD = 20  # characters; a longer word may be cut

Span = tuple[int, int]
"""The first character, and the one after the last."""


class Role(StrEnum):
    """What a piece of an excerpt is."""

    CONTEXT = "context"
    GOLD = "gold"
    PREDICTED = "predicted"
    BOTH = "both"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some characters of an excerpt.

    Attributes:
        text: As they stand in the context; of `Role.CUT`, an ellipsis for what is left out.
        role: What they are.
    """

    text: str
    role: Role


def find_answer(question: Question, answer: str) -> int | None:
    """Return where in the context an answer stands; None if it is empty or stands nowhere.

    Of several places, whole words go before parts of words; of these, it is the one nearest to the
    start of a gold answer, and without any the first.
    """
    if not answer.strip():
        return None
    text = re.escape(answer)
    for pattern in (rf"(?<!\w){text}(?!\w)", text):
        places = [match.start() for match in re.finditer(pattern, question.context)]
        if places:
            starts = [gold.start for gold in question.answers] or [0]
            return min(places, key=lambda at: min(abs(at - start) for start in starts))
    return None


def excerpt(question: Question, answer: str, *, margin: int = MARGIN) -> tuple[Piece, ...]:
    """Return what stands around the gold answers and a given one, with both marked.

    Args:
        question: With context and gold answers.
        answer: The given one; if it does not stand in the context, it is not marked.
        margin: Characters on either side of an answer, fewer if a word would be cut. Without any
            answer to mark, the excerpt is the beginning of the context, four margins long.

    Returns:
        The pieces in the order of the context; no two neighbours have the same role.
    """
    gold = [(each.start, each.start + len(each.text)) for each in question.answers]
    start = find_answer(question, answer)
    predicted = [] if start is None else [(start, start + len(answer))]
    context = question.context
    windows = _windows(context, [*gold, *predicted], margin)
    pieces = [Piece(_ELLIPSIS, Role.CUT)] if windows[0][0] > 0 else []
    for window in windows:
        pieces += _marked(context, window, gold, predicted)
        if window[1] < len(context):
            pieces.append(Piece(_ELLIPSIS, Role.CUT))
    return tuple(pieces)


def _windows(context: str, spans: Sequence[Span], margin: int) -> list[Span]:
    """Return the parts of a context that are shown, in order, with a gap between any two."""
    if not spans:
        return [(0, _word_end(context, 4 * margin, 4 * margin))]
    windows: list[Span] = []
    for start, end in sorted(spans):
        first = _word_start(context, start - margin, margin)
        last = _word_end(context, end + margin, margin)
        if windows and first <= windows[-1][1] + 1:
            windows[-1] = (windows[-1][0], max(last, windows[-1][1]))
        else:
            windows.append((first, last))
    return windows


def _word_start(context: str, place: int, margin: int) -> int:
    """Return the place, or that of the next word if it is within a word."""
    if place <= 0:
        return 0
    ahead = context[place - 1 : place + min(_LONGEST_WORD, margin)]
    space = re.search(r"\s+", ahead)
    return place - 1 + space.end() if space else place


def _word_end(context: str, place: int, margin: int) -> int:
    """Return the place, or the end of the word before if it is within a word."""
    if place >= len(context):
        return len(context)
    first = place - min(_LONGEST_WORD, margin)
    space = re.search(r"\s+\S*$", context[first : place + 1])
    return first + space.start() if space else place


def _marked(
    context: str, window: Span, gold: Sequence[Span], predicted: Sequence[Span]
) -> list[Piece]:
    """Return the pieces of a window."""
    start, end = window
    edges = {edge for span in (*gold, *predicted) for edge in span if start < edge < end}
    pieces: list[Piece] = []
    for first, last in pairwise(sorted({start, end, *edges})):
        text, role = context[first:last], _role(first, gold, predicted)
        if pieces and pieces[-1].role is role:
            text = pieces.pop().text + text
        pieces.append(Piece(text, role))
    return pieces


def _role(place: int, gold: Sequence[Span], predicted: Sequence[Span]) -> Role:
    """Return what a character of the context is."""
    is_gold = any(start <= place < end for start, end in gold)
    if any(start <= place < end for start, end in predicted):
        return Role.BOTH if is_gold else Role.PREDICTED
    return Role.GOLD if is_gold else Role.CONTEXT
