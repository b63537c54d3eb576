"""What a check finds, and how it is told."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

LEVELS = ("error", "warning", "note")
"""error: evopose refuses the dataset, or would measure on images that it trained on. warning:
likely wrong, or hurts. note: to be known."""

SHOWN = 5
"""How many offenders a finding names."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found, with all who have it."""

    level: str
    """One of `LEVELS`."""
    kind: str
    """A name for programs, say "image-missing"."""
    split: str
    """Where; empty: in the dataset as a whole."""
    text: str
    """What it is, for "N x TEXT"."""
    count: int
    first: tuple[str, ...]
    """The first offenders: annotation ids, or image files."""
    mend: str
    """What to do about it; empty where there is nothing to do."""

    def describe(self) -> str:
        """Return all of it in a line or two."""
        more = ", ..." if self.count > len(self.first) else ""
        named = f": {', '.join(self.first)}{more}" if self.first else ""
        times = f"{self.count:,} x " if self.count > 1 or self.first else ""
        where = f"{self.split}: " if self.split else ""
        return f"{where}{times}{self.text}{named}{self.mend and f'. {self.mend}'}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def finding(
    level: str, kind: str, split: str, text: str, offenders: Iterable[object], mend: str = ""
) -> list[Finding]:
    """Return one finding about the offenders, none if there are none."""
    names = [str(one) for one in offenders]
    if not names:
        return []
    return [
        Finding(
            level=level, kind=kind, split=split, text=text, count=len(names),
            first=tuple(names[:SHOWN]), mend=mend,
        )
    ]  # fmt: skip


def remark(level: str, kind: str, split: str, text: str, mend: str = "") -> Finding:
    """Return a finding about a whole file or dataset."""
    return Finding(level=level, kind=kind, split=split, text=text, count=1, first=(), mend=mend)
