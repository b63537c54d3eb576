"""What a doctor says: how bad it is, what it is, what to do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "warning", "error"]
    what: str
    do: str = ""
    """How to mend it; empty if there is nothing to mend."""


def ok(what: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(level="ok", what=what)


def warning(what: str, do: str) -> Finding:
    """Return that something may go wrong, or has cost something."""
    return Finding(level="warning", what=what, do=do)


def error(what: str, do: str) -> Finding:
    """Return that something does not work, or is lost."""
    return Finding(level="error", what=what, do=do)


def findings_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return findings as JSON values, and how many there are of each level above "ok"."""
    return {
        "findings": [asdict(one) for one in findings],
        "errors": sum(one.level == "error" for one in findings),
        "warnings": sum(one.level == "warning" for one in findings),
    }
