"""Fixtures that every test may use."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference arrays beside the checkout; skips where absent."""
    if not SHARED.is_dir():
        pytest.skip("the real data and reference arrays (../shared) are not on this machine")
    return SHARED
