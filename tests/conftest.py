"""Fixtures that several test files share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks._postgres import Databases, existing_server, find_programs, private_server
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from tests.dashboard.studied import Studied, write_studied

# The machine may be busy: a slow example is no wrong one.
settings.register_profile("limbeck", deadline=None)
settings.load_profile("limbeck")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("LIMBECK_REQUIRE_SHARED"):
            pytest.fail(f"{SHARED_DATA} must be there in this run")
        pytest.skip(f"needs {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL server to make databases on; tests that need it skip where there is none."""
    if url := os.environ.get("LIMBECK_TEST_POSTGRES"):
        yield existing_server(url)
        return
    programs = find_programs()
    if programs is None:
        if os.environ.get("LIMBECK_REQUIRE_POSTGRES"):
            pytest.fail("PostgreSQL must be installed in this run")
        pytest.skip("needs PostgreSQL, or LIMBECK_TEST_POSTGRES: the URL of a database on a server")
    with private_server(programs) as server:
        yield server


# Chromium draws parallel coordinates with WebGL, here without a graphics card.
BROWSER_OPTIONS = ["--no-sandbox", "--ignore-gpu-blocklist", "--use-angle=swiftshader"]


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    """A study that tests only read."""
    return write_studied(tmp_path_factory.mktemp("studied"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; tests that need it skip where there is none."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("LIMBECK_REQUIRE_BROWSER"):
            pytest.fail("Chromium must be installed in this run")
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
