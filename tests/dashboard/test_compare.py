"""Runs side by side, in a browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from limbeck.analysis.mistake_tables import compare
from limbeck.analysis.mistakes import Outcome, examine, run_answers
from limbeck.analysis.picks import make_picks
from limbeck.dashboard.choice import spread
from limbeck.questions import Questions
from tests.dashboard.studied import FAILED, STUDY, Studied
from tests.dashboard.test_run import LONG, shoot

pytestmark = pytest.mark.browser


def cells(page: Page, table: str, name: str) -> Locator:
    rows = page.get_by_role("table", name=table).get_by_role("row")
    return rows.filter(has=page.get_by_role("rowheader", name=name, exact=True)).get_by_role("cell")


def test_three_runs_stand_side_by_side(
    page: Page, url: str, studied: Studied, tmp_path: Path
) -> None:
    results = studied.results()
    page.goto(f"{url}/study/{STUDY}/compare?runs=0,3,7")
    start, other = results.run(0).values["exact"], results.run(7).values["exact"]
    exact = cells(page, "Values", "exact")
    expect(exact.nth(0)).to_contain_text(f"{start:.2f}", timeout=LONG)
    expect(exact.nth(2)).to_contain_text(f"{other:.2f}")
    expect(exact.nth(2)).to_contain_text(f"{other - start:+.2f}")
    expect(page.locator("#compare-curves")).to_contain_text("n = 3")
    expect(page.locator("#compare-kinds")).to_contain_text("run 7")
    shoot(page, "compare", tmp_path)


def test_questions_won_and_lost_are_those_of_the_other_run(
    page: Page, url: str, studied: Studied
) -> None:
    results = studied.results()
    answers = [run_answers(STUDY, results.run(n), studied.home) for n in (7, 0)]
    examination = examine(answers, Questions(studied.config).scored)
    seen = compare(examination, "baseline")
    page.goto(f"{url}/study/{STUDY}/compare?runs=0,7")
    won = cells(page, "Questions won and lost", "run 7")
    expect(won.nth(0)).to_have_text(f"{seen.counts[Outcome.GAINED]}", timeout=LONG)
    expect(won.nth(1)).to_have_text(f"{seen.counts[Outcome.LOST]}")
    expect(won.nth(4)).to_contain_text(f"{seen.difference:+.2f}")
    expect(won.nth(5)).to_have_text(f"{seen.p_value:.2g}")


def test_only_what_differs_is_listed_until_all_is_asked_for(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/compare?runs=0,3")
    settings = page.get_by_role("table", name="Configurations")
    expect(settings).to_contain_text("learning_rate", timeout=LONG)
    expect(cells(page, "Configurations", "learning_rate").nth(2)).to_have_text("≠ 0.00274")
    expect(settings).not_to_contain_text("num_layers")  # 1 in both.
    page.get_by_text("only what differs").click()
    expect(settings).to_contain_text("num_layers")
    expect(page).to_have_url(f"{url}/study/{STUDY}/compare?runs=0,3&only=all")
    page.reload()
    expect(settings).to_contain_text("num_layers", timeout=LONG)


def test_what_cannot_be_compared_says_why(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/compare?runs=0,77,<b>")
    expect(page.locator("#compare-notice")).to_contain_text("but got '<b>'", timeout=LONG)
    expect(page.locator("#compare-body")).to_be_hidden()


def test_runs_are_chosen_by_hand_by_pick_and_across_the_frontier(
    page: Page, url: str, studied: Studied
) -> None:
    results = studied.results()
    page.goto(f"{url}/study/{STUDY}/compare?runs=0")
    expect(page.locator("#compare-notice")).to_contain_text("choose 2 to 6", timeout=LONG)
    pick = next(each for each in make_picks(results) if each.run and each.run.number != 0)
    assert pick.run is not None
    page.get_by_role("button", name=f"+ {pick.name}: run {pick.run.number}").click()
    expect(page).to_have_url(f"{url}/study/{STUDY}/compare?runs=0,{pick.run.number}")
    expect(page.locator("#compare-body")).to_be_visible()
    page.get_by_role("button", name="Across the frontier").click()
    expected = ",".join(map(str, spread(results)))
    expect(page).to_have_url(f"{url}/study/{STUDY}/compare?runs={expected}")
    page.locator("#compare-runs").click()
    page.get_by_role("option", name=f"run {FAILED} failed").click()
    expect(page).to_have_url(f"{url}/study/{STUDY}/compare?runs={expected},{FAILED}")


def test_a_run_without_answers_is_compared_in_all_else(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/compare?runs={FAILED},3,0")
    silent = page.locator("#compare-questions")
    expect(silent).to_contain_text(f"Without answers, and so left out: run {FAILED}", timeout=LONG)
    expect(cells(page, "Questions won and lost", "baseline")).to_have_count(6)
    expect(cells(page, "Values", "state").nth(0)).to_have_text("failed: exception")


def test_without_an_address_it_begins_with_those_that_stand_out(page: Page, url: str) -> None:
    page.goto(f"{url}/study/{STUDY}/compare")
    expect(page.locator("#compare-body")).to_be_visible(timeout=LONG)
    expect(page.locator("#compare-runs")).to_contain_text("run 0")
    expect(page).to_have_url(f"{url}/study/{STUDY}/compare")
