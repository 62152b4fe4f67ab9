"""The page of mistakes: what is counted, found and marked, of any text."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from limbeck.analysis.mistake_tables import compare, groups_by
from limbeck.analysis.mistakes import Examination, Outcome, examine_run
from limbeck.dashboard.security import Access
from limbeck.tasks.question_answering.mistakes import KINDS, Kind
from tests.dashboard.conftest import serving
from tests.dashboard.studied import FAILED, STUDY, Studied

pytestmark = pytest.mark.browser

RUN = 3
MISTAKES = f"/study/{STUDY}/mistakes"


@pytest.fixture(scope="module")
def examined(studied: Studied) -> Examination:
    return examine_run(studied.results(), RUN, home=studied.home)


def kinds_of(examination: Examination) -> list[Kind]:
    return [record.kind for record in examination.records]


def click_bar(page: Page, figure: str, trace: str, at: int) -> None:
    """Click a part of a bar, found by the name of its trace and its place from above."""
    page.wait_for_function(
        """([id, name]) => {
            const plot = document.querySelector(`#${id} .js-plotly-plot`);
            return plot && plot._fullData && plot._fullData.some((each) => each.name === name);
        }""",
        arg=[figure, trace],
    )
    place = page.evaluate(
        """([id, name, at]) => {
            const plot = document.querySelector(`#${id} .js-plotly-plot`);
            plot.scrollIntoView({block: "center"});
            const index = plot._fullData.findIndex((each) => each.name === name);
            const path = plot.querySelectorAll(".barlayer .trace")[index]
                .querySelectorAll(".point path")[at];
            const box = path.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }""",
        [figure, trace, at],
    )
    page.mouse.click(*place)


def test_the_page_counts_what_the_analysis_does(
    page: Page, url: str, examined: Examination
) -> None:
    page.goto(f"{url}{MISTAKES}?run={RUN}")
    wrong = sum(kind is not Kind.CORRECT for kind in kinds_of(examined))
    expect(page.locator("#mistakes-count")).to_have_text(f"{wrong} of 12 questions")
    against = compare(examined, "baseline")
    row = page.get_by_role("row", name="baseline").first
    for outcome in Outcome:
        expect(row).to_contain_text(str(against.counts[outcome]))
    expect(row).to_contain_text(f"{against.difference:+.2f} ± {against.error:.2f} points")
    expect(page.get_by_role("table", name="Lost and gained")).to_contain_text("teacher")


def test_filters_are_read_from_the_address_and_written_to_it(
    page: Page, url: str, examined: Examination
) -> None:
    lost = [each for each in examined.records if each.outcome("teacher") is Outcome.LOST]
    address = f"{url}{MISTAKES}?run={RUN}&against=teacher&kind=all&outcome=lost"
    page.goto(address)
    expect(page.locator("#mistakes-count")).to_have_text(f"{len(lost)} of 12 questions")
    word = lost[0].title
    page.get_by_label("Words in question").fill(f"{word.upper()} {lost[0].question.split()[-1]}")
    fitting = [each for each in lost if word in each.question + each.context]
    expect(page.locator("#mistakes-count")).to_have_text(f"{len(fitting)} of 12 questions")
    expect(page).to_have_url(re.compile(r"outcome=lost.*&q="))
    page.reload()
    expect(page.locator("#mistakes-count")).to_have_text(f"{len(fitting)} of 12 questions")
    page.get_by_role("button", name="All mistakes").click()
    wrong = sum(kind is not Kind.CORRECT for kind in kinds_of(examined))
    expect(page.locator("#mistakes-count")).to_have_text(f"{wrong} of 12 questions")


def test_a_click_on_a_bar_lists_its_questions(page: Page, url: str, examined: Examination) -> None:
    page.goto(f"{url}{MISTAKES}?run={RUN}")
    kinds = kinds_of(examined)
    kind = next(kind for kind in KINDS[1:] if kind in kinds)
    click_bar(page, "mistakes-kinds", str(kind), 0)
    count = kinds.count(kind)
    expect(page.locator("#mistakes-count")).to_have_text(f"{count} of 12 questions")
    at, group = next(
        (at, group)
        for at, group in enumerate(groups_by(examined, "topic"))
        if group.counts[Kind.CORRECT]
    )
    click_bar(page, "mistakes-groups", "correct", at)
    right = group.counts[Kind.CORRECT]
    expect(page.locator("#mistakes-count")).to_have_text(f"{right} of 12 questions")
    expect(page).to_have_url(re.compile(f"topic={group.name}"))
    page.get_by_label("question word").check()
    expect(page).to_have_url(re.compile(r"^((?!topic=).)*by=question\+word((?!topic=).)*$"))


def test_a_question_is_shown_with_its_answers_marked(
    page: Page, url: str, examined: Examination
) -> None:
    record = next(
        each for each in examined.records if each.kind in (Kind.MOSTLY_WRONG, Kind.MOSTLY_CORRECT)
    )
    page.goto(f"{url}{MISTAKES}?run={RUN}")
    page.locator(f"#mistakes-rows [row-id='{record.id}'] [col-id='2']").click()
    question = page.locator(".question")
    expect(question.get_by_role("heading", name=record.question)).to_be_visible()
    expect(question.locator("p:not(.quiet) mark.gold").first).to_have_text(record.gold[0])
    expect(question.locator("p:not(.quiet) mark.predicted").first).to_have_text(record.prediction)
    expect(page).to_have_url(re.compile(f"question={record.id}"))
    page.reload()
    expect(question.get_by_role("heading", name=record.question)).to_be_visible()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (f"run={FAILED}", f"run {FAILED} of study 'tiny' must have left predictions.json"),
        ("run=77", "has runs 0 to 13, but no run 77"),
        ("run=3&against=3", "run 3 must be compared with another model than itself"),
        ("run=0&against=baseline", "run 0 must be compared with another model than itself"),
        ("run=3&against=nobody", "a run is compared with baseline, teacher or the number of a run"),
        ("run=3&against=10", "run 10 of study 'tiny' must have left predictions.json"),
    ],
)
def test_what_cannot_be_compared_says_why(page: Page, url: str, query: str, reason: str) -> None:
    page.goto(f"{url}{MISTAKES}?{query}")
    expect(page.get_by_role("alert")).to_contain_text(reason)
    expect(page.locator("#mistakes-body")).to_be_hidden()


def test_missing_questions_are_one_line(page: Page, own_studied: Studied) -> None:
    (own_studied.config.folder / "dev.json").unlink()
    with serving(own_studied, Access()) as address:
        page.goto(f"{address}{MISTAKES}?run={RUN}")
        expect(page.get_by_role("alert")).to_contain_text("dev.json")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_screenshot(
    page: Page, url: str, tmp_path: Path, examined: Examination, theme: str
) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(f"{url}{MISTAKES}?run={RUN}&question={examined.records[0].id}")
    expect(page.locator(".question")).to_be_visible()
    expect(page.locator("#mistakes-changes .barlayer")).to_be_visible()
    folder = Path(os.environ.get("LIMBECK_SCREENSHOTS", tmp_path))
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        cell = page.locator("#mistakes-rows .ag-cell").first
        cell.scroll_into_view_if_needed()
        expect(cell).not_to_have_text("", use_inner_text=True)
        page.screenshot(path=folder / f"mistakes-{width}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
