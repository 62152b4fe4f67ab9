"""The pages, by the names that `limbeck.dashboard.site.address` takes."""

from collections.abc import Mapping

from limbeck.dashboard.pages import ask, compare, mistakes, queue, run, studies, study
from limbeck.dashboard.site import Page

PAGES: Mapping[str, Page] = {
    "studies": studies,
    "study": study,
    "run": run,
    "compare": compare,
    "mistakes": mistakes,
    "ask": ask,
    "queue": queue,
}
