"""Where the time of a search went."""

from collections.abc import Sequence

from evopose.evolution.individual import Attempt
from evopose.evolution.store import Store


def overhead(store: Store, attempts: Sequence[Attempt] | None = None) -> dict[str, float]:
    """Return how much of a search's time was not spent on training, and where it went.

    `attempts` are all of the store's, from whoever has them.

    - `wall_seconds`: from the first proposal to the last end of an attempt, without the time
      between sessions.
    - `slot_seconds`: that, times the slots of each session; while the ancestor is trained there is
      work for one slot alone, and one is counted.
    - `attempt_seconds`: slot-seconds within attempts, whatever came of them.
    - `busy_seconds`: slot-seconds that jobs which gave a result say they spent at their own work
      (all of the attempt where a job does not say).
    - `lost_seconds`: slot-seconds within attempts that gave no result.
    - `idle_share`: share of the slot-seconds in which a slot waited for the last of its generation
      in another one.
    - `overhead_share`: share of the slot-seconds that was neither busy, lost nor idle: starting,
      inheriting and saving in attempts, and all time in which no attempt ran.
    """
    everything = store.attempts() if attempts is None else attempts
    attempts = [a for a in everything if a.ended_at is not None]
    first = store.individuals(generation=0)
    begin = min((one.created_at for one in first), default=0.0)
    end = max((_end(a) for a in attempts), default=begin)
    wall = slot = gaps = 0.0
    for session in store.sessions():
        since = max(session["started_at"], begin)
        until = max(since, min(session["seen_at"], end))
        covered = _covered(attempts, since, until)
        alone = _covered([a for a in attempts if a.individual_id == "0"], since, until)
        wall += until - since
        slot += (until - since) * session["slots"] - alone * (session["slots"] - 1)
        gaps += (until - since - covered) * session["slots"]
    held = sum(_end(a) - a.started_at for a in attempts)
    lost = sum(_end(a) - a.started_at for a in attempts if a.outcome != "done")
    busy = sum(
        _end(a) - a.started_at if a.busy_seconds is None else a.busy_seconds
        for a in attempts
        if a.outcome == "done"
    )
    own = held - lost - busy + gaps
    return {
        "wall_seconds": wall,
        "slot_seconds": slot,
        "attempt_seconds": held,
        "busy_seconds": busy,
        "lost_seconds": lost,
        "idle_share": max(0.0, slot - held - gaps) / slot if slot else 0.0,
        "overhead_share": own / slot if slot else 0.0,
    }


def _end(attempt: Attempt) -> float:
    assert attempt.ended_at is not None
    return attempt.ended_at


def _covered(attempts: list[Attempt], since: float, until: float) -> float:
    """Return the seconds between `since` and `until` in which at least one attempt ran."""
    covered, reached = 0.0, since
    for attempt in sorted(attempts, key=lambda a: a.started_at):
        start, stop = max(attempt.started_at, reached), min(_end(attempt), until)
        if stop > start:
            covered += stop - start
            reached = stop
    return covered
