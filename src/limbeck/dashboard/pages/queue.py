"""Changing a study by hand: queue a run, pause, resume, extend its budget, stop runs."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from limbeck.analysis.results import StudyResults
from limbeck.config import vary
from limbeck.dashboard.components import notice, panel, study_head
from limbeck.dashboard.run_parts import cut
from limbeck.dashboard.site import Site
from limbeck.dashboard.writing import check_write
from limbeck.errors import ConfigError, LimbeckError, NotFoundError
from limbeck.runs import Run
from limbeck.space import Choice, Parameter, Value
from limbeck.study import stored_config
from limbeck.wording import short_value

_PATIENCE = 600
"""Seconds for which a run's known metrics may take to compute; mostly the libraries load."""
_LONGEST = 100
"""Letters that are shown of a value."""


def layout(site: Site, query: Mapping[str, str], **place: str | int) -> Component:  # noqa: ARG001
    """Return the page.

    Raises:
        NotFoundError: If there is no such study, or the dashboard is read-only.
    """
    study = str(place["study"])
    results = site.reader.results(study)
    if not site.access.allow_write:
        raise NotFoundError("this dashboard is read-only; serve it with --allow-write")
    return html.Div(
        [
            dcc.Store(id="queue-name", data=study),
            study_head(site, study, "queue", title="Queue"),
            html.Div(
                [_run_panel(results), _study_panel(results), _stop_panel()], className="panels"
            ),
        ]
    )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks; each refuses where nothing may be changed."""

    @app.callback(
        Output("queue-state", "children"),
        Output("queue-stop", "options"),
        Input("pulse", "data"),
        State("queue-name", "data"),
    )
    def show(_pulse: str | None, study: str) -> tuple[str, list[dict[str, Any]]]:
        results = site.reader.results(study)
        record = site.reader.store.study(study)
        paused = "; it is paused" if record.paused else ""
        text = f"{len(results.runs)} runs of a budget of {record.budget}{paused}."
        return text, stoppable(results.runs)

    @app.callback(
        Output("queue-answer", "children"),
        Input("queue-add", "n_clicks"),
        State({"type": "queue-value", "name": ALL}, "value"),
        State({"type": "queue-value", "name": ALL}, "id"),
        State("queue-name", "data"),
        prevent_initial_call=True,
        running=[(Output("queue-add", "disabled"), True, False)],
    )
    def add(
        _clicks: int | None,
        texts: Sequence[Any],
        ids: Sequence[Mapping[str, str]],
        study: str,
    ) -> Component:
        check_write(site.access)
        given = {each["name"]: text for each, text in zip(ids, texts, strict=True)}
        for parameter in site.reader.results(study).parameters:
            if isinstance(parameter, Choice) and given.get(parameter.name) is not None:
                chosen = parameter.choices[given[parameter.name]]
                given[parameter.name] = json.dumps(chosen)
        return _answer(lambda: queue_run(site, study, given))

    @app.callback(
        Output("queue-study-answer", "children"),
        Input("queue-pause", "n_clicks"),
        Input("queue-resume", "n_clicks"),
        Input("queue-extend", "n_clicks"),
        State("queue-budget", "value"),
        State("queue-name", "data"),
        prevent_initial_call=True,
    )
    def change(*values: Any) -> Component:
        check_write(site.access)
        budget, study = values[-2:]
        if ctx.triggered_id == "queue-extend":
            return _answer(lambda: extend(site, study, budget))
        return _answer(lambda: pause(site, study, paused=ctx.triggered_id == "queue-pause"))

    @app.callback(
        Output("queue-confirm", "displayed"),
        Output("queue-confirm", "message"),
        Input("queue-stop-button", "n_clicks"),
        State("queue-stop", "value"),
        prevent_initial_call=True,
    )
    def ask(_clicks: int | None, numbers: Sequence[int] | None) -> Any:
        if not numbers:
            return no_update, no_update
        runs = ", ".join(str(number) for number in numbers)
        return True, f"Stop run {runs}? A stopped run keeps its curves, but does not go on."

    @app.callback(
        Output("queue-stop-answer", "children"),
        Output("queue-stop", "value"),
        Input("queue-confirm", "submit_n_clicks"),
        State("queue-stop", "value"),
        State("queue-name", "data"),
        prevent_initial_call=True,
    )
    def stop(
        _clicks: int | None, numbers: Sequence[int] | None, study: str
    ) -> tuple[Component, list[int]]:
        check_write(site.access)
        return _answer(lambda: stop_runs(site, study, numbers or ())), []


def queue_run(site: Site, study: str, texts: Mapping[str, str | float | None]) -> str:
    """Add a run that waits: the baseline with other values. Return what came of it.

    What is known of it without training needs the libraries that train, which the dashboard does
    not load; so ``limbeck queue`` does it.

    Args:
        site: The dashboard.
        study: Name of the study.
        texts: Value of each parameter as it was typed; empty for the baseline's.

    Raises:
        ConfigError: If the run may not be added.
    """
    results = site.reader.results(study)
    if not results.runs:
        raise ConfigError(f"study {study!r} needs its baseline first; begin it with limbeck search")
    given = {name: _value(text) for name, text in texts.items() if text not in (None, "")}
    config = stored_config(site.reader.store, study)
    config.check(given)
    vary(config, results.runs[0].parameters, given)
    sets = [part for name, value in given.items() for part in _set(name, value)]
    home = str(site.reader.home.folder.resolve())
    done = subprocess.run(
        [sys.executable, "-m", "limbeck.cli", "queue", "--json", *sets, "--", study],
        env={**os.environ, "LIMBECK_HOME": home, "LIMBECK_STORE": site.reader.store.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ConfigError(lines[-1].removeprefix("Error: ") if lines else "limbeck queue failed")
    return f"Run {json.loads(done.stdout)['number']} waits; a search takes it up first."


def pause(site: Site, study: str, *, paused: bool) -> str:
    """Let no more runs of a study be started, or let them again; return what came of it."""
    site.reader.store.set_paused(study, paused=paused)
    return (
        "Paused: running runs go on to their end, and no other is started."
        if paused
        else "Resumed: a search that waits goes on."
    )


def extend(site: Site, study: str, budget: Any) -> str:
    """Give a study another budget; return what came of it.

    Raises:
        ConfigError: If it is no whole number of at least the runs that there are.
    """
    store = site.reader.store
    record, count = store.study(study), len(store.results(study, ()))
    least = max(1, count)
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < least:
        raise ConfigError(
            f"a budget must be a whole number of at least {least}, the runs that study {study!r} "
            f"has, but got {budget!r}"
        )
    store.update_study(study, budget=budget, config=record.config)
    return f"The budget is {budget} runs; before, it was {record.budget}."


def stop_runs(site: Site, study: str, numbers: Sequence[int]) -> str:
    """Ask for runs to be stopped; return what came of it.

    Raises:
        ConfigError: If none is named, or one has ended.
    """
    if not numbers:
        raise ConfigError("name the runs that are to be stopped")
    runs = site.reader.store.request_stop(study, *(int(number) for number in numbers))
    return " ".join(
        f"Run {run.number} {'stops at its next report' if run.stop_requested else 'is stopped'}."
        for run in runs
    )


def stoppable(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs that can be stopped, as options."""
    return [
        {"value": run.number, "label": f"run {run.number} ({_state(run)})"}
        for run in runs
        if not run.state.ended and not run.stop_requested
    ]


def _state(run: Run) -> str:
    return f"running on {run.owner.partition(':')[0]}" if run.owner else str(run.state)


def _answer(act: Any) -> Component:
    """Do something, and return what is said about it."""
    try:
        return notice(act())
    except (LimbeckError, subprocess.TimeoutExpired) as error:
        return notice(cut(" ".join(str(error).splitlines())), kind="error")


def _value(text: str | float | None) -> Value:
    """Return what somebody typed: a number, true or false where it is one, else a text."""
    if not isinstance(text, str):
        return text if text is not None else ""
    try:
        value: Value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _set(name: str, value: Value) -> tuple[str, str]:
    return "--set", f"{name}={json.dumps(value)}"


def _run_panel(results: StudyResults) -> Component:
    baseline = results.runs[0].parameters if results.runs else {}
    fields = [_field(parameter, baseline.get(parameter.name)) for parameter in results.parameters]
    return panel(
        "Queue a run",
        html.P("The baseline with other values; a field that is left empty keeps the baseline's."),
        html.Div(fields, className="queue-fields"),
        html.Button("Queue this run", id="queue-add"),
        dcc.Loading(html.Div(id="queue-answer"), delay_show=300),
        note="a search takes it up before all others",
        name="wide",
    )


def _field(parameter: Parameter, start: Value | None) -> Component:
    name = {"type": "queue-value", "name": parameter.name}
    shown = "not active" if start is None else cut(short_value(start), _LONGEST)
    field: Component
    if isinstance(parameter, Choice):
        options = [
            {"value": at, "label": cut(short_value(value), _LONGEST)}
            for at, value in enumerate(parameter.choices)
        ]
        field = dcc.Dropdown(id=name, options=options, placeholder=shown)
    else:
        field = dcc.Input(id=name, type="text", placeholder=shown, maxLength=40)
    needs = "".join(f", if {each.text}" for each in parameter.when)
    about = html.Small(cut(f"{parameter.range_text}{needs}", 2 * _LONGEST), className="quiet")
    return html.Label([parameter.name, field, about])


def _study_panel(results: StudyResults) -> Component:
    budget = dcc.Input(
        id="queue-budget",
        type="number",
        min=max(1, len(results.runs)),
        step=1,
        value=results.budget,
    )
    return panel(
        "The study",
        html.P(id="queue-state", role="status"),
        html.Div(
            [
                html.Button("Pause", id="queue-pause"),
                html.Button("Resume", id="queue-resume"),
                html.Label(["Runs in all", budget]),
                html.Button("Change the budget", id="queue-extend"),
            ],
            className="controls",
        ),
        html.Div(id="queue-study-answer"),
    )


def _stop_panel() -> Component:
    runs = dcc.Dropdown(id="queue-stop", multi=True, placeholder="runs that wait or run")
    return panel(
        "Stop runs",
        html.P("One that waits is stopped at once, one that is running at its next report."),
        html.Div(
            [html.Label(["Runs", runs]), html.Button("Stop them …", id="queue-stop-button")],
            className="controls",
        ),
        dcc.ConfirmDialog(id="queue-confirm"),
        html.Div(id="queue-stop-answer"),
    )
