"""The page of a run, in a browser."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from limbeck.dashboard.security import Access
from limbeck.runs import CurvePoint, Outcome, RunState
from limbeck.study import this_process
from tests.dashboard.conftest import serving
from tests.dashboard.studied import FAILED, INFEASIBLE, RUNNING, STOPPED, STUDY, Studied

pytestmark = pytest.mark.browser

LONG = 20_000
"""Milliseconds that a first view may take on a machine that has much else to do."""


def shoot(page: Page, name: str, folder: Path) -> None:
    """Take a picture of the whole page, for people to look at."""
    fits = f"document.querySelector('#{name}-curves .main-svg').clientWidth <= innerWidth"
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(fits)
        for place in {folder, Path(os.environ.get("LIMBECK_SCREENSHOTS", folder))}:
            page.screenshot(path=place / f"{name}-{width}.png", full_page=True)


def row(page: Page, table: str, name: str) -> Locator:
    return page.get_by_role("table", name=table).get_by_role("row").filter(has_text=name).first


def test_a_finished_run_tells_all_of_itself(
    page: Page, url: str, studied: Studied, tmp_path: Path
) -> None:
    run = studied.results().run(3)
    page.goto(f"{url}/study/{STUDY}/run/3")
    expect(page.get_by_role("heading", name="Run 3", level=1)).to_be_visible(timeout=LONG)
    exact = f"{run.values['exact']:.2f} ± {run.errors['exact']:.2f} %"
    expect(row(page, "Values", "exact")).to_contain_text(exact, timeout=LONG)
    expect(row(page, "Parameters", "num_layers").get_by_role("cell").first).to_have_text("1")
    rate = row(page, "Parameters", "learning_rate").get_by_role("cell")
    expect(rate.nth(0)).to_have_text("≠ 0.00274")
    expect(rate.nth(1)).to_have_text("0.001")
    expect(page.locator("#run-curves")).to_contain_text("loss")
    expect(page.locator("#run-curves")).to_contain_text("n = 1")
    expect(page.locator("#run-log")).to_contain_text("step 14 of 14")
    expect(page.locator("#run-kept")).to_contain_text("run 3")
    expect(page.locator("#run-environment")).to_contain_text("no environment.json")
    shoot(page, "run", tmp_path)


def test_an_artifact_is_downloaded_whole(page: Page, url: str, studied: Studied) -> None:
    page.goto(f"{url}/study/{STUDY}/run/3")
    with page.expect_download() as download:
        page.get_by_role("link", name="predictions.json").click(timeout=LONG)
    assert download.value.suggested_filename == f"{STUDY}-run-3-predictions.json"
    left = studied.home.run(STUDY, 3) / "predictions.json"
    assert download.value.path().read_bytes() == left.read_bytes()


def test_what_broke_a_run_off_is_shown(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/run/{FAILED}")
    story = page.locator("#run-story")
    expect(story).to_contain_text("failed: exception", timeout=LONG)
    expect(story.get_by_role("alert")).to_have_text("OSError: the disk said no")
    expect(story.locator("pre")).to_contain_text('File "train.py", line 7, in train')
    expect(page.locator("#run-among")).to_contain_text(f"run {FAILED} has no place here")
    page.goto(f"{url}/study/{STUDY}/run/{STOPPED}")
    expect(row(page, "Values", "exact")).to_contain_text("36.00 ± 5.00 % (expected)", timeout=LONG)
    page.goto(f"{url}/study/{STUDY}/run/{INFEASIBLE}")
    expect(story).to_contain_text("infeasible: diverged", timeout=LONG)
    expect(page.locator("#run-curves")).to_contain_text("no curves")


def test_links_lead_to_the_neighbours_and_to_what_else_shows_it(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/run/3")
    links = page.locator("#run-links")
    expect(links.get_by_role("link", name="Its mistakes")).to_have_attribute(
        "href", f"/study/{STUDY}/mistakes?run=3", timeout=LONG
    )
    links.get_by_role("link", name="Run 4 →").click()
    expect(page.get_by_role("heading", name="Run 4", level=1)).to_be_visible()
    expect(links.get_by_role("link", name="← Run 3")).to_be_visible()
    links.get_by_role("link", name="Compare with the baseline").click()
    expect(page).to_have_url(f"{url}/study/{STUDY}/compare?runs=0%2C4")


def test_the_address_keeps_what_the_curves_show(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/run/3?metrics=loss")
    curves = page.locator("#run-curves")
    expect(curves).to_contain_text("steps", timeout=LONG)
    expect(curves).not_to_contain_text("exact")
    page.locator("#run-across").get_by_text("epochs").click()
    expect(curves).to_contain_text("epochs")
    expect(page).to_have_url(f"{url}/study/{STUDY}/run/3?metrics=loss&across=epochs")
    page.reload()
    expect(curves).to_contain_text("epochs", timeout=LONG)
    expect(curves).not_to_contain_text("exact")


def test_a_running_run_is_followed_to_its_end(page: Page, own_studied: Studied) -> None:
    log = own_studied.home.run(STUDY, RUNNING) / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("begun\n")
    with serving(own_studied, Access()) as address, own_studied.open() as store:
        page.goto(f"{address}/study/{STUDY}/run/{RUNNING}")
        expect(page.locator("#run-progress")).to_have_text("Step 8 of 14", timeout=LONG)
        expect(page.locator("#run-log")).to_have_text("begun")
        point = CurvePoint(step=11, metric="speed", value=1.0, seconds=1.1)
        store.add_points(STUDY, RUNNING, [point], owner=this_process())
        with log.open("a") as file:
            file.write("more\n")
        expect(page.locator("#run-progress")).to_have_text("Step 11 of 14", timeout=LONG)
        expect(page.locator("#run-log")).to_contain_text("more", timeout=LONG)
        outcome = Outcome(state=RunState.FINISHED, values={"exact": 77.25}, seconds=40.0)
        store.end_run(STUDY, RUNNING, outcome, owner=this_process())
        expect(row(page, "Values", "exact")).to_contain_text("77.25 %", timeout=LONG)
        expect(page.locator("#run-progress")).to_have_text("", timeout=LONG)
