"""The queue page: what it changes, and that a read-only dashboard changes nothing."""

import json
import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from limbeck.dashboard.app import create_app
from limbeck.dashboard.pages.queue import extend, pause, queue_run, stop_runs, stoppable
from limbeck.dashboard.security import Access
from limbeck.dashboard.site import Site
from limbeck.errors import ConfigError
from limbeck.runs import RunState
from tests.dashboard.conftest import open_site, serving
from tests.dashboard.studied import FAILED, RUNNING, STUDY, WAITING, Studied


@pytest.fixture
def site(own_studied: Studied) -> Iterator[Site]:
    with open_site(own_studied, Access(allow_write=True)) as opened:
        yield opened


def test_a_queued_run_is_the_baseline_with_other_values(site: Site) -> None:
    said = queue_run(site, STUDY, {"num_layers": "2", "learning_rate": ""})
    run = site.reader.store.run(STUDY, WAITING + 1)
    assert said == f"Run {run.number} waits; a search takes it up first."
    assert run.state is RunState.WAITING
    assert run.parameters == {"num_layers": 2, "learning_rate": 0.001}
    assert run.values["num_parameters"] > 0


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"num_layers": "9"}, "must lie in its search space"),
        ({"num_layers": "two"}, "num_layers"),
        ({"num_layers": "", "learning_rate": None}, "must have parameters of its own"),
        ({"nothing": "1"}, "no such parameter"),
    ],
)
def test_a_run_that_may_not_be_is_refused(site: Site, texts: dict[str, Any], reason: str) -> None:
    before = site.reader.store.runs(STUDY)
    with pytest.raises(ConfigError, match=reason):
        queue_run(site, STUDY, texts)
    assert site.reader.store.runs(STUDY) == before


def test_pausing_and_extending_change_the_study(site: Site) -> None:
    pause(site, STUDY, paused=True)
    assert site.reader.store.study(STUDY).paused
    pause(site, STUDY, paused=False)
    assert not site.reader.store.study(STUDY).paused
    assert extend(site, STUDY, 30) == "The budget is 30 runs; before, it was 20."
    assert site.reader.store.study(STUDY).budget == 30


@pytest.mark.parametrize("budget", [13, 0, None, "40", 20.5, True])
def test_a_budget_must_be_a_number_of_at_least_the_runs(site: Site, budget: object) -> None:
    with pytest.raises(ConfigError, match="whole number of at least 14"):
        extend(site, STUDY, budget)
    assert site.reader.store.study(STUDY).budget == 20


def test_only_what_has_not_ended_can_be_stopped(site: Site) -> None:
    options = stoppable(site.reader.results(STUDY).runs)
    assert [option["value"] for option in options] == [RUNNING, WAITING]
    with pytest.raises(ConfigError, match="only a run that waits or runs can be stopped"):
        stop_runs(site, STUDY, [WAITING, FAILED])
    assert site.reader.store.run(STUDY, WAITING).state is RunState.WAITING
    assert stop_runs(site, STUDY, [RUNNING, WAITING]) == (
        f"Run {RUNNING} stops at its next report. Run {WAITING} is stopped."
    )


def post(client: FlaskClient, changed: str) -> int:
    """Ask for a callback as a page would, whether or not it has one; return the answer's status."""
    dependencies = client.get("/_dash-dependencies").get_json()
    callback = next(
        each
        for each in dependencies
        if any(f"{given['id']}.{given['property']}" == changed for given in each["inputs"])
    )

    def filled(given: dict[str, str]) -> object:
        if given["id"].startswith("{"):
            return []
        values = {"queue-name": STUDY, "study-name": STUDY, "queue-budget": 99}
        values |= {"queue-stop": [RUNNING, WAITING], "study-note": "hello"}
        return given | {"value": values.get(given["id"], 1)}

    parts = callback["output"].strip(".").split("...")
    outputs = [dict(zip(("id", "property"), part.rsplit(".", 1), strict=True)) for part in parts]
    body = {
        "output": callback["output"],
        "outputs": outputs if callback["output"].startswith("..") else outputs[0],
        "inputs": [filled(given) for given in callback["inputs"]],
        "changedPropIds": [changed],
        "state": [filled(given) for given in callback.get("state", [])],
    }
    answer = client.post(
        "/_dash-update-component", data=json.dumps(body), content_type="application/json"
    )
    return answer.status_code


ACTS = (
    "queue-add.n_clicks",
    "queue-pause.n_clicks",
    "queue-extend.n_clicks",
    "queue-confirm.submit_n_clicks",
    "study-note-add.n_clicks",
)


@pytest.mark.parametrize("act", ACTS)
def test_a_read_only_dashboard_refuses_and_changes_nothing(own_studied: Studied, act: str) -> None:
    with open_site(own_studied, Access()) as site:
        client = create_app(site).server.test_client()
        before = site.reader.pulse(STUDY)
        assert post(client, act) == HTTPStatus.FORBIDDEN
        assert site.reader.pulse(STUDY) == before


@pytest.mark.parametrize("act", ACTS[1:])
def test_the_same_requests_are_heeded_where_writing_is_allowed(site: Site, act: str) -> None:
    client = create_app(site).server.test_client()
    before = site.reader.pulse(STUDY)
    assert post(client, act) == HTTPStatus.OK
    assert site.reader.pulse(STUDY) != before


@pytest.mark.browser
def test_a_read_only_dashboard_has_no_such_page(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/queue")
    expect(page.get_by_role("alert")).to_contain_text("read-only")
    expect(page.get_by_role("button", name="Queue this run")).to_have_count(0)


@pytest.mark.browser
def test_a_study_is_changed_by_hand(page: Page, own_studied: Studied, tmp_path: Path) -> None:
    with serving(own_studied, Access(allow_write=True)) as address, own_studied.open() as store:
        page.goto(f"{address}/study/{STUDY}/queue")
        expect(page.locator("#queue-state")).to_have_text("14 runs of a budget of 20.")
        page.get_by_label("num_layers").fill("9")
        page.get_by_role("button", name="Queue this run").click()
        expect(page.locator("#queue-answer")).to_contain_text("must lie in its search space")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#queue-state")).to_contain_text("it is paused")
        page.set_viewport_size({"width": 400, "height": 900})
        page.get_by_label("Runs in all").fill("25")
        page.get_by_role("button", name="Change the budget").click()
        expect(page.locator("#queue-state")).to_contain_text("a budget of 25")
        page.locator("#queue-stop").click()
        page.get_by_text(f"run {WAITING} (waiting)").click()
        page.get_by_role("listbox").press("Escape")
        expect(page.get_by_role("listbox")).to_have_count(0)
        # Whoever does not answer a dialog at once may wait for the click for ever.
        page.once("dialog", lambda dialog: dialog.dismiss())
        with page.expect_event("dialog"):
            page.get_by_role("button", name="Stop them …").click()
        assert store.run(STUDY, WAITING).state is RunState.WAITING
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Stop them …").click()
        expect(page.locator("#queue-stop-answer")).to_have_text(f"Run {WAITING} is stopped.")
        folder = Path(os.environ.get("LIMBECK_SCREENSHOTS", tmp_path))
        for width in (1280, 400):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=folder / f"queue-{width}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.goto("about:blank")  # No request is under way when the server closes.
        assert store.run(STUDY, WAITING).state is RunState.STOPPED
