"""Attempts as rows of a run's database: begun, kept alive, ended, and counted once."""

import json
from collections.abc import Iterable
from typing import Any

from evopose.evolution.database import Database
from evopose.evolution.individual import Attempt


def attempts(db: Database, id: str | None = None) -> list[Attempt]:
    """Return the attempts at one individual, or all, in the order in which they began."""
    of_one = "WHERE individual_id = ?" if id is not None else ""
    values = [] if id is None else [id]
    query = f"SELECT * FROM attempt {of_one} ORDER BY started_at, no"
    with db.reading():
        return [Attempt(**dict(row)) for row in db.execute(query, *values)]


def lease(db: Database, id: str, *, slot: int, now: float, seconds: float) -> int:
    """Begin an attempt at a proposed individual, and return the attempt's number."""
    leased = db.execute(
        "UPDATE individual SET status = 'running' WHERE id = ? AND status = 'proposed'", id
    )
    assert leased.rowcount == 1, f"individual {id} is not proposed"
    no = 1 + int(db.value("SELECT count(*) FROM attempt WHERE individual_id = ?", id))
    db.execute(
        "INSERT INTO attempt (individual_id, no, slot, started_at, lease_until, outcome) "
        "VALUES (?, ?, ?, ?, ?, 'running')",
        *(id, no, slot, now, now + seconds),
    )
    return no


def renew(db: Database, id: str, no: int, *, until: float) -> None:
    """Note how long the lease of an attempt runs."""
    db.execute(
        "UPDATE attempt SET lease_until = ? WHERE individual_id = ? AND no = ?", until, id, no
    )


def end(db: Database, id: str, no: int, outcome: str, error: str | None, at: float) -> bool:
    """End an attempt, and return whether it was running."""
    ended = db.execute(
        "UPDATE attempt SET outcome = ?, error = ?, ended_at = ? "
        "WHERE individual_id = ? AND no = ? AND outcome = 'running'",
        *(outcome, error, at, id, no),
    )
    return ended.rowcount == 1


def accept(
    db: Database,
    id: str,
    no: int,
    at: float,
    *,
    loss: float,
    error: float,
    fitness: float,
    result: dict[str, Any],
) -> bool:
    """End an individual with its result; return False, and change nothing, if it has ended."""
    accepted = db.execute(
        "UPDATE individual SET status = 'done', loss = ?, error = ?, fitness = ?, result = ?, "
        "blob = ?, finished_at = ?, seconds = coalesce(?, (SELECT ? - started_at FROM attempt "
        "WHERE individual_id = ? AND no = ?)) WHERE id = ? AND status IN ('proposed', 'running')",
        *(loss, error, fitness, json.dumps(result), result.get("blob"), at),
        *(result.get("seconds"), at, id, no, id),
    )
    if accepted.rowcount == 0:
        return False
    db.execute(
        "UPDATE attempt SET outcome = 'done', ended_at = ?, busy_seconds = ? "
        "WHERE individual_id = ? AND no = ?",
        *(at, result.get("busy_seconds"), id, no),
    )
    return True


def fail(
    db: Database, id: str, no: int, at: float, *, reason: str, outcome: str, error: str | None
) -> bool:
    """End an individual that cannot be trained; False if the attempt had ended before."""
    if ended := end(db, id, no, outcome, error, at):
        db.execute(
            "UPDATE individual SET status = 'failed', fail_reason = ?, finished_at = ? "
            "WHERE id = ? AND status = 'running'",
            *(reason, at, id),
        )
    return ended


def lose(db: Database, id: str, no: int, at: float, *, outcome: str, error: str | None) -> bool:
    """Propose an individual again whose attempt was lost; False if it had ended before."""
    if ended := end(db, id, no, outcome, error, at):
        db.execute(
            "UPDATE individual SET status = 'proposed' WHERE id = ? AND status = 'running'", id
        )
    return ended


def forgive(db: Database, ids: Iterable[str]) -> None:
    """Propose failed individuals again."""
    for id in ids:
        db.execute(
            "UPDATE individual SET status = 'proposed', fail_reason = NULL, finished_at = NULL "
            "WHERE id = ? AND status = 'failed'",
            id,
        )


def release(db: Database, at: float) -> None:
    """End all running attempts, at no charge: what was running is proposed again."""
    db.execute(
        "UPDATE attempt SET outcome = 'interrupted', ended_at = ? WHERE outcome = 'running'", at
    )
    db.execute("UPDATE individual SET status = 'proposed' WHERE status = 'running'")
