"""Fixtures that every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference arrays beside the checkout; skips where absent."""
    if not SHARED.is_dir():
        pytest.skip("the real data and reference arrays (../shared) are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A dataset of coloured dots, with caches in a place of its own."""
    from tiny_runs import write_dots

    folder = tmp_path_factory.mktemp("data") / "dots"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOPOSE_HOME", str(folder.parent / "home"))
        yield write_dots(folder)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Searches do not measure the machine first, and leave torch as they found it."""
    from tiny_runs import as_before, no_measurement

    monkeypatch.setattr("evopose.api.measure_throughput", no_measurement)
    with as_before():
        yield


@pytest.fixture(scope="session")
def finished_run(dots: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished search on the dots, made in this process. To be read, or copied."""
    from evopose.api import evolve
    from tiny_runs import INLINE_OPTIONS, OPTIONS, as_before, no_measurement

    run = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as patch, as_before():
        patch.setattr("evopose.api.measure_throughput", no_measurement)
        evolve(dots, run=run, **OPTIONS, **INLINE_OPTIONS)
    assert (run / "best.safetensors").is_file()
    return run
