"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest
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
