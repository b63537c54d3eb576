"""The last lines of logs: what was said last, of a log of any length."""

import json
from pathlib import Path
from typing import Any

TAIL_BYTES = 65_536
"""So much of the end of a log is read."""


def search_tail(run: Path) -> list[dict[str, Any]]:
    """Return the last events that the search in the folder `run` logged, oldest first."""
    return tail(run / "logs" / "search.jsonl")


def tail(log: Path, limit: int = TAIL_BYTES) -> list[dict[str, Any]]:
    """Return the last lines of a log of JSON lines, as many as fit; none where there is no log.

    A line that is being written, or that a killed writer left unfinished, is passed over.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            text = file.read()
    except FileNotFoundError:
        return []
    lines = text.split(b"\n")[0 if size <= limit else 1 : -1]
    return [found for line in lines if (found := _parsed(line)) is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
