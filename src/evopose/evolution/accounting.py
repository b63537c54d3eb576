"""Where the time of a search went."""

from evopose.evolution.store import Store


def overhead(store: Store) -> dict[str, float]:
    """Return how much of a search's time was not spent in jobs, and where it went.

    - `wall_seconds`: from the first proposal to the last end of an attempt, without the time
      between sessions.
    - `slot_seconds`: that, times the slots of each session.
    - `attempt_seconds`: slot-seconds within attempts, whatever came of them.
    - `busy_seconds`: slot-seconds that jobs which gave a result say they spent at their own work
      (all of the attempt where a job does not say).
    - `lost_seconds`: slot-seconds within attempts that gave no result.
    - `idle_share`: share of the slot-seconds in no attempt: slots that wait for the generation's
      last child, and the coordinator's own work.
    - `overhead_share`: share of the slot-seconds that is neither busy nor lost.
    """
    attempts = [a for a in store.attempts() if a.ended_at is not None]
    begin = min((one.created_at for one in store.individuals(generation=0)), default=0.0)
    end = max((a.ended_at for a in attempts if a.ended_at is not None), default=begin)
    wall = slot = 0.0
    for session in store.sessions():
        seconds = max(0.0, min(session["seen_at"], end) - max(session["started_at"], begin))
        wall += seconds
        slot += seconds * session["slots"]
    held = busy = lost = 0.0
    for attempt in attempts:
        assert attempt.ended_at is not None
        seconds = attempt.ended_at - attempt.started_at
        held += seconds
        if attempt.outcome != "done":
            lost += seconds
        else:
            busy += seconds if attempt.busy_seconds is None else attempt.busy_seconds
    return {
        "wall_seconds": wall,
        "slot_seconds": slot,
        "attempt_seconds": held,
        "busy_seconds": busy,
        "lost_seconds": lost,
        "idle_share": 1 - held / slot if slot else 0.0,
        "overhead_share": 1 - (busy + lost) / slot if slot else 0.0,
    }
