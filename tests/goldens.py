"""Texts kept in the repository: compared, or written anew with EVOPOSE_WRITE_GOLDENS=1."""

import os
from pathlib import Path

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
