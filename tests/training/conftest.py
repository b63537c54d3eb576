"""Fixtures of the training tests."""

import pytest

from tiny_runs import as_before
from training.toys import Toy, make_toy


@pytest.fixture(autouse=True)
def settings():
    """Torch's settings are as they were after each test."""
    with as_before():
        yield


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Toy:
    return make_toy(tmp_path_factory.mktemp("toy"))
