"""The shell: addresses, what is not there, changes that show up by themselves."""

import pytest
from playwright.sync_api import Page, expect

from limbeck.dashboard.security import Access
from tests.dashboard.conftest import serving
from tests.dashboard.studied import STUDY, WAITING, Studied

pytestmark = pytest.mark.browser


def test_every_study_is_listed_and_opens(page: Page, url: str) -> None:
    page.goto(url)
    card = page.get_by_role("article")
    expect(card).to_contain_text("12 of 20 runs ended, 1 running")
    page.get_by_role("link", name=STUDY).click()
    expect(page.get_by_role("heading", name=STUDY, level=1)).to_be_visible()


def test_a_study_that_cannot_be_read_says_so_beside_the_others(
    page: Page, own_studied: Studied
) -> None:
    with serving(own_studied, Access()) as address, own_studied.open() as store:
        sound = store.study(STUDY)
        store.create_study("sound", budget=5, seed=0, config=sound.config)
        broken = sound.config.replace('"num_layers"', '"num_layer"')
        store.update_study(STUDY, budget=sound.budget, config=broken)
        page.goto(address)
        expect(page.get_by_role("article").filter(has_text=STUDY)).to_contain_text("cannot be read")
        other = page.get_by_role("article").filter(has_text="sound")
        expect(other).to_contain_text("0 of 5 runs ended")


@pytest.mark.parametrize("path", ["/nothing", "/study/tyny", f"/study/{STUDY}/run/77"])
def test_what_is_not_there_says_so_and_leads_back(page: Page, url: str, path: str) -> None:
    page.goto(url + path)
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    page.get_by_role("link", name="To all studies").click()
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()


def test_a_run_that_ends_elsewhere_shows_up(page: Page, own_studied: Studied) -> None:
    with serving(own_studied, Access()) as address, own_studied.open() as store:
        page.goto(address)
        expect(page.get_by_role("article")).to_contain_text("12 of 20 runs ended")
        store.request_stop(STUDY, WAITING)
        expect(page.get_by_role("article")).to_contain_text("13 of 20", timeout=3_000)


def test_the_theme_that_was_chosen_stays(page: Page, url: str) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(url)
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
