"""What a report is made of: sections with text, figures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows and columns.

    Attributes:
        caption: Stands above it.
        headings: One for each column.
        rows: Cells of each row.
        marked: Rows and columns of the cells that stand out.
        note: Stands below it; empty for none.
        stacked: Whether a narrow window shows each row as a list of its cells: where these have
            sentences.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: frozenset[tuple[int, int]] = frozenset()
    note: str = ""
    stacked: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a report.

    Attributes:
        name: Its address within the report.
        title: Its heading.
        text: Paragraphs below the heading.
        figures: Shown below the text.
        tables: Shown below the figures.
    """

    name: str
    title: str
    text: Sequence[str] = ()
    figures: Sequence[go.Figure] = ()
    tables: Sequence[Table] = ()
