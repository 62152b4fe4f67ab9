"""What every page knows: the addresses, what is shown, who may do what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from dash import Dash
from dash.development.base_component import Component
from werkzeug.routing import Map, Rule

from limbeck.dashboard.reader import Reader
from limbeck.dashboard.security import Access

_PLACES = Map(
    [
        Rule("/", endpoint="studies"),
        Rule("/study/<study>", endpoint="study"),
        Rule("/study/<study>/run/<int:number>", endpoint="run"),
        Rule("/study/<study>/compare", endpoint="compare"),
        Rule("/study/<study>/mistakes", endpoint="mistakes"),
        Rule("/study/<study>/ask", endpoint="ask"),
        Rule("/study/<study>/queue", endpoint="queue"),
        Rule("/artifact/<study>/<int:number>/<name>", endpoint="artifact"),
    ]
).bind("")
_PLACES.map.strict_slashes = False


@dataclass(frozen=True, kw_only=True)
class Site:
    """One dashboard.

    Attributes:
        reader: Reads what is shown.
        access: Who may see and change it.
    """

    reader: Reader
    access: Access


class Page(Protocol):
    """A module of `limbeck.dashboard.pages`."""

    def layout(self, site: Site, query: Mapping[str, str], **place: str | int) -> Component:
        """Return what the page shows at first, from the values in its address.

        Args:
            site: The dashboard.
            query: What stands behind the question mark.
            place: What the path names: ``study``, ``number``.

        Raises:
            NotFoundError: If there is no such study or run.
        """

    def register(self, app: Dash, site: Site) -> None:
        """Add the page's callbacks."""


def address(page: str, query: Mapping[str, str | int] | None = None, **place: str | int) -> str:
    """Return where a page is: ``address("run", study="squad2", number=7)``."""
    path = _PLACES.build(page, place)
    return f"{path}?{urlencode(query)}" if query else path


def find_place(path: str) -> tuple[str, dict[str, str | int]]:
    """Return the page of a path, and what the path names.

    Raises:
        werkzeug.exceptions.NotFound: If there is none.
    """
    page, place = _PLACES.match(path)
    return page, dict(place)


def read_query(search: str | None) -> dict[str, str]:
    """Return what stands behind the question mark of an address."""
    return dict(parse_qsl((search or "").removeprefix("?")))
