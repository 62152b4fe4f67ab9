"""`limbeck mistakes`, as a user types it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from limbeck.artifacts import register
from limbeck.config import parse_config
from limbeck.home import Home
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.study import enter
from limbeck.tasks.question_answering.mistakes import LIMIT, WRONG_KINDS
from limbeck.tasks.question_answering.scoring import score
from tests.cli.conftest import Limbeck
from tests.tiny import tiny_questions, tiny_study, write_squad

QUESTIONS = tiny_questions(12, seed=2)
GOLD = {q.id: q.answers[0].text if q.answers else "" for q in QUESTIONS.questions}
TEXTS = [
    GOLD | {"q2-000": "", "q2-003": "bob"},  # run 0: two wrong
    GOLD | {"q2-001": "of nepal", "q2-003": "\x1b[31mred\x1b[0m"},  # run 1
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the study ``tiny``, whose runs 0 and 1 and teacher answered, run 2 failed."""
    write_squad(tmp_path / "dev.json", QUESTIONS)
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    with Store(home.store_url) as store:
        enter(store, parse_config(tiny_study(), folder=tmp_path, name="study"), runs=3)
        for number in range(3):
            store.add_run("tiny", {"num_layers": number + 1}, values={}, owner="host:1:1")
            outcome = Outcome(state=RunState.FAILED)
            if number < 2:
                path = home.run("tiny", number) / "predictions.json"
                path.parent.mkdir(parents=True)
                path.write_text(json.dumps(TEXTS[number]))
                artifacts = (register("predictions.json", path),)
                outcome = replace(outcome, state=RunState.FINISHED, artifacts=artifacts)
            store.end_run("tiny", number, outcome, owner="host:1:1")
    teacher = home.teacher("tiny")
    teacher.mkdir(parents=True)
    (teacher / "predictions.json").write_text(json.dumps(GOLD))
    return home.folder


def test_kinds_of_a_run_are_counted(limbeck: Limbeck, home: Path) -> None:
    facts = json.loads(limbeck("mistakes", 1, "--home", home, "--json").out)
    assert facts["questions"] == 12
    assert facts["limit"] == LIMIT
    assert facts["models"]["run 1"]["kinds"] == {
        "correct": 10,
        "mostly correct": 0,
        "mostly wrong": 1,
        "label has answer": 0,
        "label has no answer": 1,
    }
    assert facts["models"]["run 1"]["exact"] == score(QUESTIONS, TEXTS[1])["exact"]
    assert [example["id"] for example in facts["examples"]] == ["q2-001", "q2-003"]
    assert facts["groups"].keys() == {"topic", "question word", "answer length", "context length"}
    for groups in facts["groups"].values():
        assert sum(group["n"] for group in groups) == 12


@pytest.mark.parametrize(
    ("against", "name", "lost", "gained"),
    [("baseline", "baseline", 1, 1), (0, "baseline", 1, 1), ("teacher", "teacher", 2, 0)],
)
def test_a_run_is_compared_with_what_is_named(
    limbeck: Limbeck, home: Path, against: object, name: str, lost: int, gained: int
) -> None:
    arguments = ("mistakes", 1, "--home", home, "--against", against)
    facts = json.loads(limbeck(*arguments, "--json").out)
    assert list(facts["models"]) == ["run 1", name]
    assert (facts["against"]["lost"], facts["against"]["gained"]) == (lost, gained)
    out = limbeck(*arguments).out
    assert f"Against {name}: {lost} lost, {gained} gained, " in out
    assert "McNemar's exact p = 1\n" in out or "p = 0.5" in out


def test_tables_and_examples_are_printed_without_what_steers_a_terminal(
    limbeck: Limbeck, home: Path
) -> None:
    ended = limbeck("mistakes", 1, "--home", home)
    assert (ended.code, ended.err) == (0, "")
    assert "mostly correct: token F1 of 0.5 or more" in ended.out
    assert "2 of 2 examples" in ended.out
    assert "run 1: of nepal" in ended.out
    assert "run 1: [31mred[0m" in ended.out
    assert "\x1b" not in ended.out
    assert "gold: (no answer)" in ended.out


def test_examples_are_of_the_kind_and_topic_that_are_named(limbeck: Limbeck, home: Path) -> None:
    arguments = ("mistakes", 1, "--home", home, "--json", "--examples", 20)
    wrong = json.loads(limbeck(*arguments, "--kind", "label-has-no-answer").out)
    assert [example["id"] for example in wrong["examples"]] == ["q2-003"]
    right = json.loads(limbeck(*arguments, "--kind", "correct", "--kind", "mostly-wrong").out)
    assert len(right["examples"]) == right["found"] == 11
    title = QUESTIONS.questions[0].title
    topic = json.loads(limbeck(*arguments, "--kind", "correct", "--topic", title.upper()).out)
    assert {example["title"] for example in topic["examples"]} == {title}
    assert [group["name"] for group in topic["groups"]["topic"]] == [title]
    assert sum(group["n"] for group in topic["groups"]["context length"]) == 12


def test_the_worst_topics_come_first(limbeck: Limbeck, home: Path) -> None:
    arguments = ("mistakes", 1, "--home", home, "--json", "--topics", 2)
    worst = json.loads(limbeck(*arguments, "--worst").out)["groups"]["topic"]
    largest = json.loads(limbeck(*arguments).out)["groups"]["topic"]
    assert worst[0]["interval"][1] <= worst[1]["interval"][1]
    assert worst[0]["exact"] < 100
    assert largest[0]["n"] >= largest[1]["n"]
    assert "2 of " in limbeck("mistakes", 1, "--home", home, "--topics", 2).out


def test_questions_are_written_one_a_line(limbeck: Limbeck, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "made" / "all.csv"
    arguments = ("mistakes", 1, "--home", home, "--against", "baseline", "--csv", path)
    assert limbeck(*arguments).err == f"Questions: {path}\n"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"]: row["prediction"] for row in rows} == TEXTS[1]
    assert {row["id"]: row["prediction of baseline"] for row in rows} == TEXTS[0]
    assert {row["id"]: row["gold"] for row in rows} == GOLD
    assert rows[0]["kind of baseline"] == "label has answer"
    limbeck(*arguments, "--kind", "wrong")
    with path.open(encoding="utf-8", newline="") as file:
        assert {row["kind"] for row in csv.DictReader(file)} <= set(WRONG_KINDS)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        ((), "Kinds of answers by topic"),
        (("--against", "baseline"), "Lost and gained by topic"),
        (("--against", "baseline", "--figure", "topics"), "Kinds of answers by topic"),
        (("--against", "baseline", "--figure", "kinds"), '"text":"Kinds of answers"'),
    ],
)
def test_the_figure_is_the_one_that_is_asked_for(
    limbeck: Limbeck, home: Path, tmp_path: Path, arguments: tuple[str, ...], title: str
) -> None:
    path = tmp_path / "figure.html"
    ended = limbeck("mistakes", 1, "--home", home, "-o", path, *arguments)
    assert ended.err == f"Figure: {path}\n"
    assert title in path.read_text(encoding="utf-8")


def test_files_need_no_study(limbeck: Limbeck, home: Path, tmp_path: Path) -> None:
    names = ("a.json", "b.json", "b/a.json")
    (tmp_path / "b").mkdir()
    for name, texts in zip(names, (*TEXTS, GOLD), strict=True):
        (tmp_path / name).write_text(json.dumps(texts))
    odds = tmp_path / "odds.json"
    odds.write_text(json.dumps({key: 2.0 * (key == "q2-003") for key in GOLD}))
    asked = ("mistakes", "--json", "--data", tmp_path / "dev.json")
    arguments = (*asked, "--predictions", tmp_path / "a.json")
    facts = json.loads(limbeck(*arguments, "--against", tmp_path / "b.json").out)
    assert {name: model["kinds"]["correct"] for name, model in facts["models"].items()} == {
        "a.json": 10,
        "b.json": 10,
    }
    silent = json.loads(limbeck(*arguments, "--na-probs", odds).out)
    assert silent["models"]["a.json"]["kinds"]["correct"] == 11
    high = json.loads(limbeck(*arguments, "--na-prob-file", odds, "--na-prob-thresh", 2).out)
    assert high["models"]["a.json"]["kinds"]["correct"] == 10
    same_name = json.loads(limbeck(*arguments, "--against", tmp_path / "b" / "a.json").out)
    assert list(same_name["models"]) == [str(tmp_path / "a.json"), str(tmp_path / "b" / "a.json")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "a run must be named, as in limbeck mistakes 7"),
        ((2,), "run 2 of study 'tiny' must have left predictions.json, but it has none: it is fai"),
        ((9,), "study 'tiny' has no run 9"),
        ((1, "--against", 1), "--against must name another model, but run 1 is the same"),
        ((0, "--against", "baseline"), "but run 0 is the same"),
        ((1, "--against", "nothing.json"), "nothing.json: no such file"),
        ((1, "--topic", "perus"), "there is no question of 'perus'; did you mean 'peru'?"),
        ((1, "--worst", "--topic", "peru"), "leave one out"),
        ((1, "--limit", 1.5), "the F1 limit must be above 0 and at most 1, but got 1.5"),
        ((1, "-o", "x.pdf"), "a figure must end in .png, .svg, .html, but got x.pdf"),
        ((1, "--figure", "kinds"), "--figure needs -o"),
        ((1, "--figure", "changes", "-o", "x.html"), "--figure changes needs --against"),
        (("--data", "dev.json"), "--data and --predictions go together"),
        ((1, "--data", "d.json", "--predictions", "p.json"), "go without a run, but got run 1"),
        ((1, "--kind", "bad"), "'bad' is not one of"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    limbeck: Limbeck, home: Path, arguments: tuple[object, ...], message: str
) -> None:
    ended = limbeck("mistakes", *arguments, "--home", home)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_a_teacher_that_was_not_examined_is_named(limbeck: Limbeck, home: Path) -> None:
    (home / "studies" / "tiny" / "teacher" / "predictions.json").unlink()
    ended = limbeck("mistakes", 1, "--home", home, "--against", "teacher")
    assert "the teacher of 'tiny', but it was not examined" in ended.err


def test_questions_that_are_not_the_scored_ones_are_refused(
    limbeck: Limbeck, home: Path, tmp_path: Path
) -> None:
    write_squad(tmp_path / "dev.json", tiny_questions(11, seed=2))
    ended = limbeck("mistakes", 1, "--home", home)
    assert "the answers of run 1 must be to the 11 questions at hand, but 1 of 12" in ended.err


def test_a_run_that_answered_few_questions_is_compared_on_these(
    limbeck: Limbeck, home: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.json"
    few.write_text(json.dumps({key: GOLD[key] for key in ("q2-000", "q2-001", "q2-002")}))
    ended = limbeck("mistakes", 1, "--home", home, "--against", few)
    assert "3 questions, 9 not answered by all left out" in ended.out
