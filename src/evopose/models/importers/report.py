"""What an importer of public weights did with a file."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """The fate of every array of an imported file, under the file's own names."""

    source: str
    """Name of the file."""
    used: tuple[str, ...]
    """Arrays that became weights."""
    adapted: tuple[str, ...] = ()
    """Those among `used` whose values or type had to change, with what was done."""
    skipped: tuple[str, ...] = ()
    """Arrays that became nothing, with the reason."""
    notes: tuple[str, ...] = ()
    """What else a user should know."""

    def summary(self) -> str:
        """Return one line for people."""
        counts = f"{len(self.used)} arrays used, {len(self.skipped)} skipped"
        return "; ".join((f"{self.source}: {counts}", *self.notes))
