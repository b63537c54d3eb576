"""Texts kept in the repository: compared, or written anew with EVOPOSE_WRITE_GOLDENS=1."""

import json
import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden")


def check_golden(name: str, text: str) -> None:
    """Assert that `text` is what tests/golden/`name` holds, spaces at the ends of lines aside."""
    path = GOLDEN / name
    text = "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
    if os.environ.get("EVOPOSE_WRITE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"there is no {path}; write it with `make goldens`"
    assert text == path.read_text(encoding="utf-8")


def check_golden_numbers(name: str, found: dict[str, list[float]], *, rel: float) -> None:
    """Assert that each list in tests/golden/`name` (JSON) is `found`, to a share `rel`."""
    path = GOLDEN / name
    if os.environ.get("EVOPOSE_WRITE_GOLDENS"):
        rows = (f"  {json.dumps(key)}: {json.dumps(values)}" for key, values in found.items())
        path.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    assert path.is_file(), f"there is no {path}; write it with `make goldens`"
    expected = json.loads(path.read_text(encoding="utf-8"))
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, rel=rel), key
