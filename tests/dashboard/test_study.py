"""The study page, in a browser: what is shown, what is selected, and where that leads."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from limbeck.dashboard.security import Access
from tests.dashboard.conftest import serving
from tests.dashboard.studied import FAILED, RUNNING, STUDY, WAITING, Studied

pytestmark = pytest.mark.browser

ROWS = "#study-runs .ag-center-cols-container [role=row]"


def open_study(page: Page, url: str, query: str = "") -> None:
    page.goto(f"{url}/study/{STUDY}{query}")
    expect(page.locator("#study-frontier .legend")).to_contain_text("frontier (n =", timeout=20_000)
    expect(page.locator(ROWS).first).to_be_visible(timeout=20_000)
    # Nothing moves any more.
    expect(page.locator("#study-statistics dd").first).to_be_visible()
    expect(page.locator("#study-picks table")).to_be_visible()
    expect(page.locator("#study-parallel .axis-brush").first).to_be_attached(timeout=20_000)


def drag_over(page: Page, plot: str) -> None:
    """Draw a box around all points of a plot."""
    area = page.locator(f"{plot} .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)
    page.mouse.up()


def test_progress_workers_and_picks_are_shown(page: Page, url: str) -> None:
    open_study(page, url)
    expect(page.locator("#study-standing")).to_contain_text("12 of 20 runs ended")
    worker = page.locator("#study-workers tbody tr")
    expect(worker).to_contain_text(f"run {RUNNING}")
    expect(worker).to_contain_text("8 of 14")
    expect(page.locator("#study-picks")).to_contain_text("knee")
    expect(page.locator("#study-notes strong")).to_have_text("run 3")


def test_a_limit_makes_a_pick_and_a_wrong_one_says_so(page: Page, url: str) -> None:
    open_study(page, url, "?under=num_parameters%3D30k")
    expect(page.locator("#study-picks")).to_contain_text("best under the limit")
    field = page.get_by_label("Best under …")
    field.fill("num_parameter=30k")
    field.press("Enter")
    expect(page.locator("#study-picks [role=alert]")).to_contain_text("did you mean")


def test_a_box_selects_runs_everywhere_and_in_the_address(page: Page, url: str) -> None:
    open_study(page, url)
    drag_over(page, "#study-frontier")
    # Nine finished runs and one that was stopped stand in the plane, and an infeasible one beside.
    expect(page.locator("#study-selected")).to_contain_text("11 runs are selected: 0, 1, 2")
    expect(page.locator(ROWS)).to_have_count(11)
    expect(page.locator("#study-parallel-note")).to_have_text(
        "9 of the 11 selected runs are among these lines."
    )
    assert page.evaluate("window.location.search") == "?selected=0-10"
    page.get_by_role("button", name="Clear selection").click()
    expect(page.locator(ROWS)).to_have_count(WAITING + 1)
    assert page.evaluate("window.location.search") == ""


def test_an_address_brings_selection_and_controls_back(page: Page, url: str) -> None:
    open_study(page, url, "?selected=3-5.8&over=cost&lines=frontier&columns=exact,state&up=f1")
    expect(page.locator("#study-selected")).to_contain_text("4 runs are selected: 3, 4, 5, 8")
    expect(page.locator(ROWS)).to_have_count(4)
    expect(page.get_by_label("training cost")).to_be_checked()
    expect(page.get_by_label("only the frontier")).to_be_checked()
    expect(page.locator("#study-frontier .ytitle")).to_contain_text("f1")
    headings = page.locator("#study-runs .ag-header-cell-text")
    expect(headings).to_have_text(["", "run", "state", "exact (%)"])


def test_checked_rows_are_selected_and_can_be_compared(page: Page, url: str) -> None:
    open_study(page, url)
    for number in ("3", "5"):
        row = page.locator("#study-runs .ag-pinned-left-cols-container [role=row]").filter(
            has=page.get_by_role("link", name=number, exact=True)
        )
        row.locator("input[type=checkbox]").check()
    expect(page.locator("#study-selected")).to_have_text("2 runs are selected: 3, 5")
    expect(page.locator(ROWS)).to_have_count(WAITING + 1)
    link = page.get_by_role("link", name="Compare them")
    expect(link).to_have_attribute("href", f"/study/{STUDY}/compare?runs=3,5")


def test_brushed_lines_are_selected(page: Page, url: str) -> None:
    open_study(page, url)
    page.locator("#study-parallel").scroll_into_view_if_needed()
    axis = page.locator("#study-parallel .axis-brush .background").first
    expect(axis).to_be_visible()
    box = axis.bounding_box()
    assert box is not None
    x, y, height = box["x"] + box["width"] / 2, box["y"], box["height"]
    page.mouse.move(x, y + height * 0.4)
    page.mouse.down()
    page.mouse.move(x, y + height * 0.6, steps=4)
    page.mouse.up()
    # The middle of the first axis, num_layers = 2.
    expect(page.locator("#study-selected")).to_have_text("3 runs are selected: 1, 4, 7")
    expect(page.locator(ROWS)).to_have_count(3)


def test_a_click_on_a_marker_opens_its_run(page: Page, url: str) -> None:
    open_study(page, url)
    baseline = page.locator("#study-frontier .scatterlayer .trace").nth(6).locator("path.point")
    baseline.scroll_into_view_if_needed()
    box = baseline.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(f"{url}/study/{STUDY}/run/0")
    page.go_back()
    expect(page.locator("#study-frontier .legend")).to_contain_text("frontier (n =")


def test_the_table_shows_reasons_filters_and_is_saved(page: Page, url: str, tmp_path: Path) -> None:
    open_study(page, url, "?columns=state,reason,exact&selected=8.11")
    expect(page.locator(ROWS).filter(has_text="exception: the disk said no")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == f"{STUDY}.csv"
    download.value.save_as(tmp_path / "runs.csv")
    lines = (tmp_path / "runs.csv").read_text().splitlines()
    assert lines[0].endswith('"run","state","exact (%)","reason"')
    assert [line.split(",")[0].strip('"') for line in lines[1:]] == [str(FAILED), "8"]


def test_importance_is_computed_on_demand(page: Page, url: str) -> None:
    open_study(page, url)
    expect(page.locator("#study-importance")).to_be_empty()
    page.get_by_role("button", name="Compute").click()
    expect(page.locator("#study-winners li").first).to_contain_text("Winners are the runs")
    expect(page.locator("#study-importance")).to_contain_text("exact", timeout=60_000)


def test_a_note_can_be_added_where_that_is_allowed(page: Page, own_studied: Studied) -> None:
    with serving(own_studied, Access(allow_write=True)) as address:
        open_study(page, address)
        page.get_by_label("New note, in Markdown").fill("[a](javascript:alert(1)) <b>b</b> *c*")
        page.get_by_role("button", name="Add note").click()
        note = page.locator("#study-notes article").first
        expect(note.locator("em")).to_have_text("c")
        expect(note.locator("b")).to_have_count(0)
        expect(note.locator("a")).to_have_attribute("href", "javascript:void(0)")
        page.goto("about:blank")  # No request is under way when the server closes.


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_of_the_page(page: Page, url: str, scheme: str, tmp_path: Path) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_study(page, url)
    folder = Path(os.environ.get("LIMBECK_SCREENSHOTS", tmp_path))
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator("#study-parallel .axis-brush").first).to_be_visible()
        page.screenshot(path=folder / f"study-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
