"""The pages, by the names that `limbeck.dashboard.site.address` takes."""

from collections.abc import Mapping

from limbeck.dashboard.pages import studies
from limbeck.dashboard.site import Page

PAGES: Mapping[str, Page] = {"studies": studies}
