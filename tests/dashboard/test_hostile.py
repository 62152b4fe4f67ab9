"""Text that means harm, in every field of a study and of an address: nothing of it runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Dialog, Page, expect

from limbeck.artifacts import register
from limbeck.config import load_config
from limbeck.dashboard.security import Access
from limbeck.home import Home
from limbeck.reference import Reference, write_reference
from limbeck.runs import Artifact, CurvePoint, Outcome, RunState
from limbeck.space import Value
from limbeck.store import Store
from limbeck.study import enter
from tests.dashboard.conftest import serving
from tests.dashboard.studied import Studied
from tests.tiny import write_tiny_study

pytestmark = pytest.mark.browser

EVIL = (
    "</title></script><script>window.__ran=1</script><img src=x onerror=window.__ran=1>"
    '"><svg onload=window.__ran=1> [x](javascript:window.__ran=1) <a href="javascript:window.'
    "__ran=1\">y</a> '-window.__ran=1-' ${window.__ran=1} {{window.__ran=1}} %{x} "
    "\u202egnp.exe\u202c \x07\x1b[31m \U0001f600"
)
SEEN = "<script>window.__ran=1</script>"
"""What of it can be read wherever it is shown whole."""
LONG = "m" * 1_000_000
NAME = "javascript." + "w" * 89
"""The longest name that a study may have: it has no spaces to break lines at."""
FINISHED, FAILED, RUNNING, WAITING = 2, 3, 4, 5
"""Numbers of runs; those up to the first of these are finished."""
LOADED = 30_000
WIDTHS = (1280, 400)


def write_hostile(folder: Path) -> Studied:
    """Write a home with a study of which every text is one that means harm."""
    path = write_tiny_study(folder / "files", name=NAME, budget={"runs": 20})
    key = f"space.{json.dumps(EVIL, ensure_ascii=False)}"
    choices = json.dumps([EVIL, LONG, "plain"], ensure_ascii=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(f'{key}.type = "choice"\n{key}.inert = true\n{key}.choices = {choices}\n')
        file.write(f"mirrors = {json.dumps([f'mlflow:{SEEN}'])}\n")
    write_questions(folder / "files" / "dev.json")
    made = Studied(home=Home(folder / "home"), config=load_config(path))
    write_answers(made.home.teacher(NAME))
    reference = Reference(values={"exact": 70.0, "num_parameters": 52_000.0, EVIL: 1.0}, errors={})
    write_reference(made.home.teacher(NAME), reference)
    with made.open() as store:
        enter(store, made.config, runs=20)
        for number in range(WAITING + 1):
            add_run(made, store, number)
        for text in (f"{EVIL}\n\n```js\n{EVIL}\n```\n\n[x]: javascript:window.__ran=1", LONG):
            store.add_event(NAME, "note", text)
            store.add_event(NAME, EVIL, text)
            store.add_event(NAME, EVIL, text, number=FAILED)
    return made


def write_questions(path: Path) -> None:
    def asked(at: int) -> dict[str, object]:
        answers = [{"text": EVIL, "answer_start": 0}] if at % 2 == 0 else []
        question: dict[str, object] = {"id": f"{EVIL} {at}", "question": f"{EVIL} {at}"}
        question |= {"answers": answers, "is_impossible": not answers}
        return {"context": f"{EVIL} {at} {LONG if at == 0 else ''}", "qas": [question]}

    articles = [
        {"title": f"{EVIL} {at % 3} {LONG if at == 0 else ''}", "paragraphs": [asked(at)]}
        for at in range(6)
    ]
    path.write_text(json.dumps({"version": "v2.0", "data": articles}))


def write_answers(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    answers = {f"{EVIL} {at}": (EVIL, f"{EVIL}{LONG}", "")[at % 3] for at in range(6)}
    (folder / "predictions.json").write_text(json.dumps(answers))
    (folder / "null_odds.json").write_text(json.dumps(dict.fromkeys(answers, 1.0)))


def add_run(made: Studied, store: Store, number: int) -> None:
    value = (EVIL, LONG, "plain")[number % 3]
    parameters: dict[str, Value] = {
        "num_layers": 1 + number % 3,
        "learning_rate": 0.01,
        EVIL: value,
    }
    # A worker names itself: with the host's name, which is not ours either.
    owner = None if number == WAITING else f"{EVIL} {LONG if number == RUNNING else ''}:1:2.00"
    known = {"num_parameters": 20_000.0 + 500 * number}
    run = store.add_run(NAME, parameters, values=known, owner=owner)
    assert run is not None
    if owner is None:
        return
    folder = made.home.run(NAME, number)
    write_answers(folder)
    (folder / "log.txt").write_text(f"{EVIL}\n{LONG}\n\x1b[2J{EVIL}\nlast line\n")
    (folder / "environment.json").write_text(json.dumps({EVIL: EVIL, "long": LONG}))
    store.begin_run(NAME, number, step=0, total_steps=14, epoch_steps=7, owner=owner)
    metrics = ("loss", EVIL)
    points = [CurvePoint(step=s, metric=m, value=s, seconds=s) for s in (2, 4) for m in metrics]
    store.add_points(NAME, number, points, owner=owner)
    if number <= FINISHED:
        store.end_run(NAME, number, finished(folder, number), owner=owner)
    elif number == FAILED:
        store.end_run(NAME, number, failed(folder), owner=owner)


def finished(folder: Path, number: int) -> Outcome:
    files = ("predictions.json", "null_odds.json", "log.txt", "environment.json")
    strange = Artifact(name=EVIL, path=f"javascript:{EVIL}", sha256=EVIL, bytes=1)
    return Outcome(
        state=RunState.FINISHED,
        values={"exact": 50.0 + number, "latency_ms": 3.0, EVIL: float(number)},
        artifacts=(*(register(name, folder / name) for name in files), strange),
        seconds=30.0,
    )


def failed(folder: Path) -> Outcome:
    return Outcome(
        state=RunState.FAILED,
        reason=EVIL,
        message=f"{EVIL} {LONG}",
        error_type=EVIL,
        traceback=f"{LONG}\n{EVIL}",
        artifacts=(register("log.txt", folder / "log.txt"),),
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard of `write_hostile`'s study, which may change it."""
    made = write_hostile(tmp_path_factory.mktemp("hostile"))
    with serving(made, Access(allow_write=True)) as address:
        yield address


@pytest.fixture
def visitor(page: Page) -> Iterator[Page]:
    """A page of which nothing may run, open a dialog, lead out or break the width."""
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    yield page
    assert dialogs == []
    page.goto("about:blank")  # No request is under way when the server closes.


def check(page: Page) -> None:
    """Look for anything that ran, or could, at both widths."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator("main")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("typeof window.__ran") == "undefined"
    # Dash's Markdown puts this in the place of what it does not let through.
    loose = page.evaluate(
        """Array.from(document.querySelectorAll("[href], [src], [action]"),
                      (each) => each.getAttribute("href") || each.getAttribute("src") || "")
            .filter((to) => /^\\s*(javascript|data|vbscript):/i.test(to))
            .filter((to) => to !== "javascript:void(0)" && !to.startsWith("data:image/"))"""
    )
    assert loose == []
    assert page.locator("main script, main [onerror], main [onload], main iframe").count() == 0
    assert page.title() == "Limbeck"


def unfold(page: Page) -> None:
    """Open all that is folded."""
    for summary in page.locator("details:not([open]) > summary").all():
        summary.click()


def hover(page: Page, marker: str) -> str:
    """Point at a marker of a figure; return what is said about it."""
    place = page.locator(marker).first
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator(".hoverlayer .hovertext").first
    expect(label).to_be_visible()
    return label.text_content() or ""


def test_studies(visitor: Page, hostile: str) -> None:
    visitor.goto(hostile)
    expect(visitor.get_by_role("article")).to_contain_text(NAME, timeout=LOADED)
    check(visitor)


def test_study(visitor: Page, hostile: str) -> None:
    visitor.goto(f"{hostile}/study/{NAME}?matters=yes&columns=state,reason&color={quote(EVIL)}")
    rows = visitor.locator("#study-runs .ag-center-cols-container [role=row]")
    expect(rows).to_have_count(WAITING + 1, timeout=LOADED)
    expect(visitor.locator("#study-workers")).to_contain_text(SEEN, timeout=LOADED)
    expect(visitor.locator("#study-notes article")).to_have_count(2)
    expect(visitor.locator("#study-notes article").last).to_contain_text(SEEN)
    expect(visitor.locator("#study-winners li").first).to_be_visible()
    unfold(visitor)
    expect(visitor.locator("#study-notes li").last).to_contain_text(SEEN)
    assert "run 0" in hover(visitor, "#study-frontier .scatterlayer .point")
    reason = rows.get_by_text(SEEN).first
    reason.scroll_into_view_if_needed()
    reason.hover()
    expect(visitor.locator(".ag-tooltip")).to_contain_text(SEEN)
    check(visitor)
    visitor.get_by_label("Best under …").fill(EVIL)
    visitor.get_by_label("Best under …").press("Enter")
    expect(visitor.locator("#study-picks [role=alert]")).to_be_visible()
    visitor.get_by_label("New note, in Markdown").fill(EVIL)
    visitor.get_by_role("button", name="Add note").click()
    expect(visitor.locator("#study-notes article")).to_have_count(3)
    check(visitor)


@pytest.mark.parametrize("number", [0, FAILED, RUNNING])
def test_run(visitor: Page, hostile: str, number: int) -> None:
    visitor.goto(f"{hostile}/study/{NAME}/run/{number}?metrics={quote(EVIL)}")
    expect(visitor.locator("#run-log")).to_contain_text("last line", timeout=LOADED)
    expect(visitor.locator("#run-log")).to_contain_text(SEEN)
    expect(visitor.get_by_role("table", name="Parameters")).to_contain_text(SEEN)
    expect(visitor.get_by_role("table", name="Environment")).to_contain_text(SEEN)
    if number == FAILED:
        expect(visitor.locator("#run-story .traceback")).to_contain_text(SEEN)
        expect(visitor.locator("#run-story [role=alert]")).to_contain_text(SEEN)
        expect(visitor.locator("#run-events")).to_contain_text(SEEN)
    if number == 0:
        expect(visitor.get_by_role("table", name="Artifacts")).to_contain_text(SEEN)
        expect(visitor.get_by_role("table", name="Values")).to_contain_text(SEEN)
    unfold(visitor)
    expect(visitor.locator("#run-curves .point").first).to_be_attached()
    assert "__ran" in (visitor.locator("#run-curves").text_content() or "")
    check(visitor)
    assert len(visitor.content()) < 1_000_000


def test_compare(visitor: Page, hostile: str) -> None:
    visitor.goto(f"{hostile}/study/{NAME}/compare?runs=0,1,{FAILED}")
    values = visitor.get_by_role("table", name="Values")
    expect(values).to_contain_text(SEEN, timeout=LOADED)
    expect(visitor.get_by_role("table", name="Configurations")).to_contain_text(SEEN)
    expect(visitor.get_by_role("table", name="Questions won and lost")).to_be_visible()
    check(visitor)
    assert len(visitor.content()) < 1_000_000
    visitor.goto(f"{hostile}/study/{NAME}/compare?runs={quote(EVIL)}")
    expect(visitor.locator("#compare-notice")).to_contain_text("</title>", timeout=LOADED)
    check(visitor)


def test_mistakes(visitor: Page, hostile: str) -> None:
    mistakes = f"{hostile}/study/{NAME}/mistakes?run=1"
    visitor.goto(f"{mistakes}&kind=all&q=onerror&against=teacher")
    expect(visitor.locator("#mistakes-count")).to_have_text("6 of 6 questions", timeout=LOADED)
    visitor.locator("#mistakes-rows [row-index='0'] [col-id='2']").click()
    expect(visitor.locator(".question h3")).to_contain_text(f"{EVIL.split()[-1]} 0")
    unfold(visitor)
    expect(visitor.locator(".question details p")).to_contain_text(SEEN)
    expect(visitor.locator("#mistakes-groups .ytick").first).to_be_attached()
    check(visitor)
    assert len(visitor.content()) < 1_000_000
    visitor.goto(f"{mistakes}&topic={quote(EVIL)}&question={quote(EVIL)} 1")
    expect(visitor.locator(".question h3")).to_contain_text(f"{EVIL.split()[-1]} 1", timeout=LOADED)
    check(visitor)
    visitor.goto(f"{mistakes}&against={quote(EVIL)}")
    expect(visitor.get_by_role("alert")).to_contain_text("a run is compared with", timeout=LOADED)
    check(visitor)


def test_ask(visitor: Page, hostile: str) -> None:
    visitor.goto(f"{hostile}/study/{NAME}/ask?runs={quote(EVIL)}&teacher=no")
    visitor.get_by_label("Paragraph").fill(EVIL, timeout=LOADED)
    visitor.get_by_label("Question (").fill(EVIL)
    visitor.get_by_role("button", name="Ask").click()
    expect(visitor.get_by_role("alert")).to_contain_text("at least one model must be asked")
    check(visitor)


def test_queue(visitor: Page, hostile: str) -> None:
    visitor.goto(f"{hostile}/study/{NAME}/queue")
    expect(visitor.locator("#queue-state")).to_contain_text("6 runs of a budget", timeout=LOADED)
    expect(visitor.locator(".queue-fields")).to_contain_text(SEEN)
    visitor.locator(".queue-fields .dash-dropdown").click()
    expect(visitor.get_by_role("option")).to_have_count(3)
    visitor.get_by_role("option", name="plain").press("Escape")
    visitor.get_by_label("num_layers").fill(EVIL)
    visitor.get_by_role("button", name="Queue this run").click()
    expect(visitor.locator("#queue-answer [role=alert]")).to_be_visible(timeout=LOADED)
    check(visitor)


@pytest.mark.parametrize("path", ["/{}", "/study/{}", f"/study/{NAME}/run/{{}}", "/?{}", "/#{}"])
def test_addresses(visitor: Page, hostile: str, path: str) -> None:
    visitor.goto(hostile + path.format(quote(EVIL.replace("/", ""))))
    expect(visitor.locator("main h1")).to_be_visible(timeout=LOADED)
    check(visitor)
