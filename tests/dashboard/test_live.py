"""What a search in another process writes shows up in the pages that are open."""

import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from limbeck.dashboard.security import Access
from tests.dashboard.conftest import serving
from tests.dashboard.studied import STUDY, WAITING, Studied
from tests.dashboard.test_study import ROWS, open_study

pytestmark = pytest.mark.browser

NEW = WAITING + 1
SEARCH = f"""
import sys
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.study import this_process

def wait_for(word):
    assert sys.stdin.readline().strip() == word

with Store(sys.argv[1]) as store:
    print("there", flush=True)
    wait_for("begin")
    owner = this_process()
    parameters = {{"num_layers": 3, "learning_rate": 0.002}}
    known = {{"num_parameters": 21_000.0}}
    assert store.add_run({STUDY!r}, parameters, values=known, owner=owner).number == {NEW}
    store.begin_run({STUDY!r}, {NEW}, step=0, total_steps=14, epoch_steps=7, owner=owner)
    print("begun", flush=True)
    wait_for("end")
    outcome = Outcome(state=RunState.FINISHED, values={{"exact": 99.5}}, seconds=1.0)
    store.end_run({STUDY!r}, {NEW}, outcome, owner=owner)
    print("ended", flush=True)
"""
"""Begins and ends a run as a worker does, each when it is told to; says when it has."""
SOON = 3_000
"""Milliseconds within which a change must show."""
LATER = 20_000
"""Milliseconds for the panels that wait until those above are drawn, on a busy machine."""


def test_a_run_of_another_process_shows_up_soon(page: Page, own_studied: Studied) -> None:
    command = [sys.executable, "-c", SEARCH, own_studied.home.store_url]
    with (
        serving(own_studied, Access()) as address,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as search,
    ):
        assert search.stdin is not None
        assert search.stdout is not None
        assert search.stdout.readline() == "there\n"
        open_study(page, address)
        top = page.locator(f"{ROWS}[row-index='0']")
        expect(top).to_contain_text("waiting")
        print("begin", file=search.stdin)
        assert search.stdout.readline() == "begun\n"
        worker = page.locator("#study-workers tbody tr").filter(has_text=f"run {NEW}")
        expect(worker).to_contain_text("0 of 14", timeout=SOON)
        expect(top).to_contain_text("running", timeout=LATER)
        print("end", file=search.stdin)
        assert search.stdout.readline() == "ended\n"
        expect(page.locator("#study-standing")).to_contain_text("13 of 20", timeout=SOON)
        expect(top).to_contain_text("99.5", timeout=LATER)
        expect(top).to_contain_text("21 k")
        expect(page.locator("#study-picks")).to_contain_text(f"run {NEW}", timeout=LATER)
        page.goto("about:blank")  # No request is under way when the server closes.
    assert search.returncode == 0
