"""What onlookers ask of a run, and a search does not: cheap of a run of any size."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from evopose.evolution.individual import Attempt, Outcome
from evopose.evolution.store import Store

LOST: tuple[Outcome, ...] = ("failed", "diverged", "oom", "lost", "timeout")
"""How attempts end that went wrong."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How many blobs a run has, and how large they are."""

    kept: int
    kept_bytes: int
    dropped: int
    """Those that nobody needs any more: their files are gone."""


def attempts_by_outcome(store: Store) -> dict[str, int]:
    """Return how many attempts ended in which way, or run still."""
    found = store._db.rows("SELECT outcome, count(*) FROM attempt GROUP BY outcome")
    return {row[0]: row[1] for row in found}


def running_attempts(store: Store) -> list[Attempt]:
    """Return the attempts that have not ended, as far as the run knows."""
    found = store._db.rows("SELECT * FROM attempt WHERE outcome = 'running' ORDER BY slot")
    return [Attempt(**dict(row)) for row in found]


def last_lost(store: Store) -> Attempt | None:
    """Return the attempt that was the last to go wrong."""
    query = "SELECT * FROM attempt WHERE outcome = ? ORDER BY ended_at DESC LIMIT 1"
    found = [Attempt(**dict(row)) for outcome in LOST for row in store._db.rows(query, outcome)]
    return max(found, key=lambda attempt: attempt.ended_at or 0.0, default=None)


def last_failures(store: Store, most: int) -> list[tuple[str, str]]:
    """Return id and reason of at most so many that failed, the last proposed first; repeats have
    their own place."""
    found = store._db.rows(
        "SELECT id, fail_reason FROM individual WHERE status = 'failed' AND kind <> 'repeat' "
        "ORDER BY rowid DESC LIMIT ?",
        most,
    )
    return [(row["id"], row["fail_reason"] or "") for row in found]


def count_ranked(store: Store) -> int:
    """Return how many compete and are trained."""
    return int(
        store._db.value(
            "SELECT count(*) FROM individual INDEXED BY by_fitness "
            "WHERE status = 'done' AND kind IN ('ancestor', 'mutant')"
        )
    )


def trained_among(store: Store, ids: Sequence[str]) -> list[str]:
    """Return which of these ids are those of trained individuals."""
    query = (
        "SELECT id FROM individual WHERE status = 'done' AND id IN (SELECT value FROM json_each(?))"
    )
    return [row["id"] for row in store._db.rows(query, json.dumps(ids))]


def weights(store: Store) -> Weights:
    """Return how many weights are kept."""
    kept, size = store._db.rows(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM blob WHERE state = 'kept'"
    )[0]
    return Weights(
        kept=kept, kept_bytes=size, dropped=store._db.value("SELECT count(*) FROM blob") - kept
    )


def kept_sizes(store: Store) -> dict[str, int]:
    """Return the bytes of each blob that should be there, by digest."""
    found = store._db.rows("SELECT sha, bytes FROM blob WHERE state = 'kept'")
    return {row["sha"]: row["bytes"] for row in found}


def owners(store: Store, sha: str) -> list[str]:
    """Return the ids of those whose weights a blob holds."""
    return [r["id"] for r in store._db.rows("SELECT id FROM individual WHERE blob = ?", sha)]
