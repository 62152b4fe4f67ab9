"""The page that asks models: what they answer, what cannot be asked, and any text."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.studied import STUDY, WITH_MODEL

pytestmark = pytest.mark.browser

ASK = f"/study/{STUDY}/ask"
QUESTION = "who is the mayor of peru ?"
CONTEXT = "it rains and then it snows . the mayor of peru is eve . it rains ."
HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
EXPORTS_MILLISECONDS = 100_000


def fill(page: Page, question: str, context: str) -> None:
    page.get_by_label("Paragraph").fill(context)
    page.get_by_label("Question (").fill(question)


def test_teacher_and_student_answer(page: Page, url: str) -> None:
    page.goto(f"{url}{ASK}?runs={WITH_MODEL[1]}")
    fill(page, QUESTION, CONTEXT)
    page.get_by_role("button", name="Ask").click()
    cards = page.get_by_role("article")
    expect(cards).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text="…").first).to_be_visible()
    for at, name in enumerate(("Teacher", f"Run {WITH_MODEL[1]}")):
        expect(cards.nth(at).get_by_role("heading")).to_have_text(name)
        expect(cards.nth(at).locator(".answer")).to_have_text("eve", timeout=EXPORTS_MILLISECONDS)
        expect(cards.nth(at).locator("mark")).to_have_text("eve")
        expect(cards.nth(at)).to_contain_text("not above the threshold of 0")
        expect(cards.nth(at)).to_contain_text(" ms")
    # The context does not answer it, and the teacher knows.
    fill(page, QUESTION, "it rains and then it snows .")
    page.get_by_label("Question (").press("Enter")
    expect(cards.first.locator(".answer")).to_have_text("(no answer)", timeout=EXPORTS_MILLISECONDS)
    expect(cards.first).to_contain_text(": above the threshold of 0")


def test_hostile_text_is_only_text(page: Page, url: str) -> None:
    page.goto(f"{url}{ASK}?runs=none")
    fill(page, HOSTILE, f"{HOSTILE} the mayor of peru is eve {HOSTILE}")
    page.get_by_role("button", name="Ask").click()
    card = page.get_by_role("article")
    expect(card.locator(".answer")).to_be_visible(timeout=EXPORTS_MILLISECONDS)
    expect(card).to_contain_text("onerror")
    assert page.evaluate("window.hacked") is None
    assert card.locator("img, script").count() == 0


@pytest.mark.parametrize(
    ("question", "context", "reason"),
    [
        ("", CONTEXT, "the question must not be empty"),
        (QUESTION, " ", "the paragraph must not be empty"),
        (QUESTION, "a" * 20_001, "the paragraph must have at most 20,000 characters"),
        ("a" * 1_001, CONTEXT, "the question must have at most 1,000 characters"),
    ],
)
def test_what_cannot_be_asked_says_why(
    page: Page, url: str, question: str, context: str, reason: str
) -> None:
    page.goto(f"{url}{ASK}")
    fill(page, question, context)
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text(reason)


def test_models_are_read_from_the_address_and_written_to_it(page: Page, url: str) -> None:
    page.goto(f"{url}{ASK}?runs={WITH_MODEL[0]},7&teacher=no")
    # Run 7 has not kept its weights.
    expect(page.locator("#ask-runs")).to_contain_text(f"run {WITH_MODEL[0]}")
    expect(page.locator("#ask-runs")).not_to_contain_text("run 7")
    expect(page.get_by_label("the teacher")).not_to_be_checked()
    page.get_by_label("the teacher").check()
    expect(page).to_have_url(re.compile("^((?!teacher).)*$"))
    page.goto(f"{url}{ASK}?runs=none&teacher=no")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("at least one model must be asked")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_screenshot(page: Page, url: str, tmp_path: Path, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(f"{url}{ASK}?runs={WITH_MODEL[1]}")
    fill(page, QUESTION, CONTEXT)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".answer")).to_have_count(2, timeout=EXPORTS_MILLISECONDS)
    folder = Path(os.environ.get("LIMBECK_SCREENSHOTS", tmp_path))
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=folder / f"ask-{width}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
