"""How a run stands in a few lines: a look at its search, and what it has cost so far.

Quick for runs of any size: nothing is read that grows with the run, but for the index of a table.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evopose.evolution.connections import DATABASE
from evopose.evolution.individual import Attempt, Individual
from evopose.evolution.overview import (
    Weights,
    attempts_by_outcome,
    count_ranked,
    last_failures,
    last_lost,
    weights,
)
from evopose.evolution.store import Store
from evopose.report.snapshot import Snapshot, read_snapshot, snapshot_json
from evopose.report.text import duration

MOST_FAILURES = 2000
"""So many of the last failures are told apart by reason."""

_TRACEBACK = "Traceback (most recent call last):\n"

MOST_LOGS = 300
"""So many logs are measured one by one; of more, an even choice is."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """What a run takes of the disk, in bytes."""

    database: int
    weights: Weights
    work: int
    """Checkpoints of what is in training, or was interrupted."""
    logs: int
    logs_estimated: bool


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What failed for one reason."""

    reason: str
    ids: tuple[str, ...]
    """The last proposed first."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """A run, as `evopose status` tells it."""

    snapshot: Snapshot
    finished: int
    """Trained, clones and repeats not among them."""
    winner: Individual | None
    attempts: Mapping[str, int]
    """How many attempts at training ended in which way, or run."""
    failures: tuple[Failure, ...]
    """Of the last `MOST_FAILURES`, the most frequent reason first."""
    last_lost: Attempt | None
    """The last attempt that went wrong."""
    disk: Disk


def read_status(run: Path, *, best: int = 10) -> Status:
    """Return how the run in a folder stands. Raises: RunError if there is none."""
    snapshot = read_snapshot(run, best=best)
    with Store.read(run) as store:
        return Status(
            snapshot=snapshot,
            finished=count_ranked(store),
            winner=store.winner(),
            attempts=attempts_by_outcome(store),
            failures=grouped(last_failures(store, MOST_FAILURES)),
            last_lost=last_lost(store),
            disk=_disk(store),
        )


def grouped(failures: Iterable[tuple[str, str]]) -> tuple[Failure, ...]:
    """Return (id, reason) pairs by the first line of the reason, the most frequent first."""
    ids: dict[str, list[str]] = defaultdict(list)
    for id, reason in failures:
        ids[first_line(reason)].append(id)
    frequent = sorted(ids.items(), key=lambda item: -len(item[1]))
    return tuple(Failure(reason=reason, ids=tuple(found)) for reason, found in frequent)


def first_line(text: str, limit: int = 240) -> str:
    """Return the first line of a text, of a traceback that of its exception; cut where it is very
    long."""
    told = text.strip().rpartition(_TRACEBACK)[2].splitlines() or [""]
    line = next((line for line in told if not line.startswith(" ")), told[0])
    return line if len(line) <= limit else f"{line[:limit]}..."


def _disk(store: Store) -> Disk:
    run, last = store.folder, store.last_birth()
    logs, estimated = _logs(run / "logs", last)
    return Disk(
        database=sum(_size(run / f"{DATABASE}{end}") for end in ("", "-wal", "-shm")),
        weights=weights(store),
        work=sum(_size(path) for path in (run / "work").rglob("*")),
        logs=logs,
        logs_estimated=estimated,
    )


def _logs(folder: Path, last_birth: int) -> tuple[int, bool]:
    """Return the bytes of all logs, and whether that is an estimate: the names alone of a hundred
    thousand files take longer to read than a status should."""
    if last_birth < MOST_LOGS:
        found = os.scandir(folder) if folder.is_dir() else ()
        return sum(entry.stat().st_size for entry in found), False
    births = range(0, last_birth + 1, -(-(last_birth + 1) // MOST_LOGS))
    measured = sum(
        _size(folder / f"{birth}{end}") for birth in births for end in (".jsonl", ".transfer.json")
    )
    return measured * (last_birth + 1) // len(births) + _size(folder / "search.jsonl"), True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # not there, or gone since
        return 0


def status_json(found: Status) -> dict[str, Any]:
    """Return a status as JSON values."""
    lost = found.last_lost
    return snapshot_json(found.snapshot) | {
        "finished": found.finished,
        "failed": found.snapshot.counts["failed"],
        "winner": found.winner and found.winner.id,
        "attempts": dict(found.attempts),
        "failures": [
            {"reason": one.reason, "count": len(one.ids), "ids": list(one.ids[:20])}
            for one in found.failures
        ],
        "last_error": lost
        and {
            "id": lost.individual_id,
            "attempt": lost.no,
            "outcome": lost.outcome,
            "error": lost.error,
            "at": lost.ended_at,
        },
        "disk": asdict(found.disk),
    }


def lost_text(lost: Attempt) -> str:
    """Return what went wrong last, in a line."""
    ago = f", {duration(time.time() - lost.ended_at)} ago" if lost.ended_at else ""
    return f"{lost.individual_id} ({lost.outcome}{ago}): {first_line(lost.error or 'no reason')}"


def attempts_text(attempts: Mapping[str, int]) -> str:
    """Return how attempts ended, in words: those that gave a result first."""
    order: Sequence[str] = ("done", "running", *sorted(attempts.keys() - {"done", "running"}))
    said = {"oom": "out of memory", "timeout": "hung or too slow", "duplicate": "told twice"}
    return ", ".join(f"{attempts[how]:,} {said.get(how, how)}" for how in order if how in attempts)
