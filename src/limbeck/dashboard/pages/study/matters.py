"""What matters and what winners share: computed when a visitor asks, beside the server."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from threading import Lock
from typing import Any

from dash import Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component

from limbeck.analysis.figures.dependence import MOST_SLICED, slice_figure, worth_drawing
from limbeck.analysis.figures.importance import importance_bars
from limbeck.analysis.figures.style import Theme
from limbeck.analysis.figures.winners import winners_figure
from limbeck.analysis.importance import forest_importances, importance_targets
from limbeck.analysis.results import StudyResults
from limbeck.analysis.winners import Rule, find_winners, in_words
from limbeck.dashboard.components import graph, notice, shown
from limbeck.dashboard.site import Site
from limbeck.sensitivity import Importances

_KEPT = 8
"""So many studies' importances are kept: those last asked for."""


class ImportanceDesk:
    """Computes importances in a process of its own, one after the other, and keeps the last.

    Of 10,000 runs they take minutes and hundreds of megabytes, which the process gives back.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, str], tuple[Future[Importances], ...]] = OrderedDict()
        self._lock = Lock()
        self._pool: ProcessPoolExecutor | None = None

    def ask(self, results: StudyResults, pulse: str) -> tuple[Future[Importances], ...]:
        """Return what is being computed of a study as it was at a pulse, a metric each."""
        key = (results.name, pulse)
        with self._lock:
            if key not in self._found:
                self._found[key] = self._begin(results)
                if len(self._found) > _KEPT:
                    _, oldest = self._found.popitem(last=False)
                    for future in oldest:
                        future.cancel()
            self._found.move_to_end(key)
            return self._found[key]

    def _begin(self, results: StudyResults) -> tuple[Future[Importances], ...]:
        if self._pool is None:
            # The only worker ends after each metric, and a fresh one has no threads of the server.
            self._pool = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), max_tasks_per_child=1
            )
        pool, bare = self._pool, replace(results, config=None, teacher=None)
        return tuple(
            pool.submit(forest_importances, bare, target) for target in importance_targets(results)
        )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the panel."""
    desk = ImportanceDesk()

    @app.callback(
        Output("study-asked", "data"),
        Input("study-matters-button", "n_clicks"),
        State("study-pulse", "data"),
        prevent_initial_call=True,
    )
    def ask(_clicks: int | None, pulse: str) -> str:
        return pulse

    @app.callback(
        Output("study-importance", "children"),
        Output("study-importance-shown", "data"),
        Output("study-importance-tick", "disabled"),
        Input("study-asked", "data"),
        Input("study-importance-tick", "n_intervals"),
        Input("theme", "data"),
        State("study-importance-shown", "data"),
        State("study-name", "data"),
    )
    def show_importance(
        asked: str | None, _tick: int | None, theme: Theme | None, before: str | None, study: str
    ) -> Any:
        if not asked:
            return no_update, no_update, True
        results = site.reader.results(study)
        futures = desk.ask(results, asked)
        done = sum(future.done() for future in futures)
        now = f"{asked} {done} {theme}"
        complete = done == len(futures)
        if now == before:
            return no_update, no_update, complete
        return _importance(results, futures, theme), now, complete

    @app.callback(
        Output("study-winners", "children"),
        Input("study-asked", "data"),
        Input("study-rule", "value"),
        Input("theme", "data"),
        State("study-name", "data"),
    )
    def show_winners(asked: str | None, rule: Rule, theme: Theme | None, study: str) -> Any:
        return _winners(site.reader.results(study), rule, theme) if asked else no_update


def _importance(
    results: StudyResults, futures: tuple[Future[Importances], ...], theme: Theme | None
) -> list[Component]:
    finished = [future for future in futures if future.done()]
    problems = [future.exception() for future in finished if future.exception() is not None]
    found = [future.result() for future in finished if future.exception() is None]
    parts: list[Component] = [notice(f"{error}", kind="error") for error in problems]
    if len(finished) < len(futures):
        parts.append(notice(f"Computing: {len(finished)} of {len(futures)} are done."))
    if found:
        figure = importance_bars(found)
        height = int(figure.layout.height or 300)
        figure.update_layout(title_text="")
        parts.append(graph("study-importance-figure", shown(figure, theme), height=height))
    if len(results.runs) <= MOST_SLICED:
        parts += _slices(results, found, theme)
    return parts


def _slices(
    results: StudyResults, found: Sequence[Importances], theme: Theme | None
) -> Iterator[Component]:
    """Yield the runs along the parameters that matter, for each metric that has to be measured."""
    unknown = {metric.name for metric in results.judged if not metric.known}
    for index, each in enumerate(found):
        if each.metric in unknown and (names := worth_drawing(each)):
            figure = slice_figure(results, each.metric, parameters=names)
            height = int(figure.layout.height)
            yield graph(f"study-slices-{index}", shown(figure, theme), height=height)


def _winners(results: StudyResults, rule: Rule, theme: Theme | None) -> list[Component]:
    figure = winners_figure(results, rule=rule)
    height = int(figure.layout.height or 300)
    figure.update_layout(title_text="")
    sentences = html.Ul([html.Li(text) for text in in_words(find_winners(results, rule))])
    place = graph("study-winners-figure", shown(figure, theme), height=height)
    return [sentences, place]
