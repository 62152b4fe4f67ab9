"""What was made of a study is made again only when the study has changed."""

import math
from concurrent.futures import ThreadPoolExecutor

from limbeck.analysis.results import StudyResults
from limbeck.dashboard.reader import Reader
from limbeck.dashboard.security import Access
from tests.dashboard.conftest import open_site
from tests.dashboard.studied import STUDY, WAITING, Studied


def test_visitors_share_what_was_made_until_the_study_changes(own_studied: Studied) -> None:
    made: list[str] = []

    def ended(results: StudyResults, word: str) -> str:
        made.append(word)
        return f"{sum(run.state.ended for run in results.runs)} {word}"

    with open_site(own_studied, Access()) as site, ThreadPoolExecutor(8) as visitors:
        answers = list(visitors.map(lambda _: site.reader.made(ended, STUDY, "a"), range(20)))
        assert answers == ["12 a"] * 20
        assert made == ["a"]
        assert site.reader.made(ended, STUDY, "b") == "12 b"
        site.reader.store.request_stop(STUDY, WAITING)
        assert site.reader.made(ended, STUDY, "a") == "13 a"
        assert made == ["a", "b", "a"]


def test_what_was_asked_for_longest_ago_is_forgotten_first(own_studied: Studied) -> None:
    made: list[int] = []

    def number(_results: StudyResults, value: int) -> int:
        made.append(value)
        return value

    with open_site(own_studied, Access()) as site:
        for value in (*range(32), 0, 32, 0, 1):
            assert site.reader.made(number, STUDY, value) == value
    assert made == [*range(33), 1]


def test_a_study_counts_as_it_was_until_its_pulse_is_read_again(own_studied: Studied) -> None:
    with own_studied.open() as store:
        reader = Reader(store, own_studied.home, patience=math.inf)
        before = reader.pulse(STUDY)
        assert not reader.results(STUDY).run(WAITING).state.ended
        store.request_stop(STUDY, WAITING)
        assert not reader.results(STUDY).run(WAITING).state.ended
        assert reader.pulse(STUDY) != before
        assert reader.results(STUDY).run(WAITING).state.ended
