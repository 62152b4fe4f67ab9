"""Fixtures that several test files share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks._postgres import Databases, existing_server, find_programs, private_server
from hypothesis import settings

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
