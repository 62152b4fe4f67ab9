"""The report: all of a study in one file that no text of data can break or run in."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from typing_extensions import override

from limbeck.analysis.mistakes import Answers, examine
from limbeck.analysis.report import Findings, read_findings, write_report
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Goal, Metric
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float
from limbeck.tasks.question_answering.dataset import Answer, Question, QuestionSet
from tests.dashboard.studied import STUDY, Studied

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "<!-- <script>",
    "javascript:window.hacked=1",
    "x" * 100_000,
    "\u202e\u05d0\u05d1\u05d2 right to left",
    "🙂\u200d🙂 \u2028 {{ 7 * 7 }} &lt;b&gt;",
)
METRICS = (
    Metric(name="exact", goal=Goal.MAXIMIZE, unit="%"),
    Metric(name="size", goal=Goal.MINIMIZE),
)


class Tags(HTMLParser):
    """Collects what a browser would take for tags, and the text of figures."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.figures: list[dict[str, object]] = []
        self._in_figure = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self._in_figure = tag == "script" and ("type", "application/json") in attrs

    @override
    def handle_data(self, data: str) -> None:
        if self._in_figure:
            self.figures.append(json.loads(data))
            self._in_figure = False


def read(path: Path) -> Tags:
    tags = Tags()
    tags.feed(path.read_text(encoding="utf-8"))
    return tags


def hostile_findings(text: str) -> Findings:
    runs = tuple(
        Run(
            number=number,
            parameters={"kind": text if number % 2 else "plain", "rate": 0.1 * number},
            state=RunState.FINISHED if number < 11 else RunState.FAILED,
            reason="" if number < 11 else text,
            message=text,
            values={"exact": 10.0 + number, "size": 5.0 + number % 4},
        )
        for number in range(12)
    )
    parameters = (
        Choice(name="kind", choices=("plain", text)),
        Float(name="rate", low=0.0, high=2.0),
    )
    results = StudyResults(name=text, metrics=METRICS, parameters=parameters, runs=runs)
    context = f"Here it stands: {text} and ends."
    answer = Answer(text=text.strip(), start=context.index(text.strip()))
    asked = Question(id=text, title=text, context=context, question=text, answers=(answer,))
    answers = [
        Answers(name="run 10", texts={text: "no"}, run=10),
        Answers(name="b", texts={text: text}),
    ]
    examination = examine(answers, QuestionSet((asked,)))
    return Findings(results=results, examinations={10: examination})


def test_a_report_has_every_section_and_figure_in_one_small_file(
    tmp_path: Path, studied: Studied
) -> None:
    with studied.open() as store:
        write_report(tmp_path / "r.html", read_findings(store, STUDY, home=studied.home), now=NOW)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    sections = re.findall(r'<section id="([\w-]+)">', text)
    assert sections == [
        "frontier",
        "picks",
        "history",
        "importance",
        "coordinates",
        "winners",
        "runs",
        "mistakes",
        "all-runs",
        "origin",
    ]
    assert "14 runs, 9 of them finished" in text
    found = read(tmp_path / "r.html")
    assert len(found.figures) == text.count("data-figure=") > 10
    assert all(figure["data"] or figure["layout"] for figure in found.figures)
    assert len(text) < 10_000_000
    assert not [value for value in found.addresses if "//" in value]


def test_metrics_are_drawn_along_the_parameters_that_matter(tmp_path: Path) -> None:
    runs = tuple(
        Run(
            number=number,
            parameters={"rate": number / 40, "idle": (7 * number % 40) / 40},
            state=RunState.FINISHED,
            values={"exact": 60.0 * number / 40, "size": 5.0},
        )
        for number in range(40)
    )
    parameters = tuple(Float(name=name, low=0.0, high=1.0) for name in ("idle", "rate"))
    study = StudyResults(name="s", metrics=METRICS, parameters=parameters, runs=runs)
    write_report(tmp_path / "r.html", Findings(results=study), now=NOW)
    layouts = [json.dumps(figure["layout"]) for figure in read(tmp_path / "r.html").figures]
    (expected,) = [layout for layout in layouts if "What to expect of exact" in layout]
    (slices,) = [layout for layout in layouts if "Runs along each parameter: exact" in layout]
    for layout in (expected, slices):
        assert "1 of 2 parameters" in layout
        assert '"text": "rate"' in layout
    lines = [f for f in read(tmp_path / "r.html").figures if "parcoords" in json.dumps(f["data"])]
    assert json.dumps(lines[0]["data"]).index('"rate"') < json.dumps(lines[0]["data"]).index(
        '"idle"'
    )


@pytest.mark.parametrize("runs", [0, 1])
def test_a_study_with_hardly_a_run_has_a_report(tmp_path: Path, runs: int) -> None:
    findings = hostile_findings("plain text")
    few = replace(findings.results, runs=findings.results.runs[:runs])
    write_report(tmp_path / "r.html", Findings(results=few), now=NOW)
    assert 'id="mistakes"' not in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_text_of_data_stays_text(tmp_path: Path, text: str) -> None:
    write_report(tmp_path / "harmless.html", hostile_findings("harmless"), now=NOW)
    write_report(tmp_path / "hostile.html", hostile_findings(text), now=NOW)
    harmless, hostile = read(tmp_path / "harmless.html"), read(tmp_path / "hostile.html")
    assert hostile.tags == harmless.tags
    assert hostile.attributes == harmless.attributes
    assert len(hostile.figures) == len(harmless.figures)
    assert max(map(len, (tmp_path / "hostile.html").read_text().splitlines())) < 6_000_000


@pytest.mark.browser
@pytest.mark.parametrize("text", [HOSTILE[0], HOSTILE[1], HOSTILE[6]], ids=["script", "tag", "odd"])
def test_nothing_of_data_runs_in_a_browser_without_a_network(
    tmp_path: Path, browser: Browser, text: str
) -> None:
    write_report(tmp_path / "r.html", hostile_findings(text), now=NOW)
    context = browser.new_context(offline=True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "r.html").as_uri())
    page.evaluate("places.forEach(draw)")
    page.wait_for_function(
        "[...places].every((each) => each.querySelector('.main-svg') !== null)", timeout=30_000
    )
    assert page.evaluate("window.hacked") is None
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()
