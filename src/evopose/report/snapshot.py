"""A look at a search while it runs: cheap enough to be taken every second, of runs of any size.

Only the store and the logs are read; the search itself never notices.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evopose.evolution.individual import Individual
from evopose.evolution.store import Store
from evopose.report.reading import read_config, search_state
from evopose.report.tails import search_tail, tail

QUIET_EVENTS = ("proposed", "started")
"""Events that say nothing beyond what the rest of a snapshot shows."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What one slot of the search is at."""

    slot: int
    individual: Individual
    attempt: int
    started_at: float
    lease_until: float
    """Without a sign of life before, its worker is killed then and its training begun again."""
    progress: Mapping[str, Any]
    """Its last word: `epoch`, `epochs`, `step`, `steps`, `loss`, `images_per_second`; empty while
    it has said nothing."""
    phase: str
    """"starting", "inheriting", "training" or "validating"."""

    @property
    def share(self) -> float | None:
        """How much of its training is done, 0 to 1; None while nobody knows."""
        if "steps" not in self.progress:
            return None
        told = self.progress
        return float((told["epoch"] - 1 + told["step"] / told["steps"]) / told["epochs"])


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """How a search stands at one moment."""

    name: str
    state: str
    """"new", "running", "finished" or "interrupted"."""
    stop_reason: str
    generation: int
    """The youngest; -1 while there is none."""
    generations: int | None
    """After how many the search ends, if that is set."""
    born: int
    """Individuals of the youngest generation, controls included."""
    ended: int
    """Of these, done or failed."""
    counts: Mapping[str, int]
    """Individuals of the whole run by status, controls included."""
    best: tuple[Individual, ...]
    best_by_generation: tuple[float, ...]
    """The best fitness found up to each generation; infinite while there is none."""
    clone: Individual | None
    """The youngest clone that is scored."""
    clone_rival: Individual | None
    """The best child of that clone's generation."""
    workers: tuple[Worker, ...]
    slots: int
    seconds: float
    """For how long the run was worked on, in all sessions."""
    seconds_left: float | None
    """An estimate; None while nobody knows or no end is set."""
    events: tuple[Mapping[str, Any], ...]
    """The last ones of the search's log, oldest first, `QUIET_EVENTS` aside."""
    data: str
    """The dataset as the command line names it."""
    data_options: tuple[str, ...]
    """The options that open the same data again."""


def read_snapshot(run: Path, *, best: int = 8, events: int = 8) -> Snapshot:
    """Return how the search in the folder `run` stands, with so many of the best and last events.

    Raises: RunError if there is no run, or its configuration is damaged.
    """
    evolution = read_config(run).get("evolution", {})
    with Store.read(run) as store:
        meta, sessions = store.meta, store.sessions()
        state, reason = search_state(store)
        generation = store.last_generation()
        members = store.individuals(generation=generation)
        running = store.individuals(status="running") if state == "running" else []
        workers = tuple(sorted((_worker(store, one) for one in running), key=lambda w: w.slot))
        clone, rival = _clone(store, generation, members)
        counts = store.counts()
        best_by_generation, ranked = store.best_by_generation(), store.best(best)
    seconds = _spent(sessions, state)
    slots = sessions[-1]["slots"] if sessions else 0
    waiting = counts["proposed"] + counts["running"]
    left = _seconds_left(evolution, generation, waiting, members, workers, slots, seconds)
    return Snapshot(
        name=str(meta.get("title") or run.resolve().name),
        state=state,
        stop_reason=reason,
        generation=generation,
        generations=evolution.get("generations"),
        born=len(members),
        ended=sum(one.status in ("done", "failed") for one in members),
        counts=counts,
        best=tuple(ranked),
        best_by_generation=tuple(best_by_generation),
        clone=clone,
        clone_rival=rival,
        workers=workers,
        slots=slots,
        seconds=seconds,
        seconds_left=left if state == "running" else None,
        events=_last_events(run, events),
        data=str(meta.get("source", "")),
        data_options=tuple(meta.get("data_options", ())),
    )


def _last_events(run: Path, most: int) -> tuple[dict[str, Any], ...]:
    told = [e for e in search_tail(run) if e.get("kind") not in QUIET_EVENTS]
    return tuple(told[max(0, len(told) - most) :])


def _worker(store: Store, one: Individual) -> Worker:
    attempt = store.attempts(one.id)[-1]
    log = store.folder / "logs" / f"{one.id}.jsonl"
    fresh = log.exists() and log.stat().st_mtime >= attempt.started_at
    told = tail(log) if fresh else []
    steps = [line for line in told if "steps" in line]
    phase = "starting"
    if told:
        kind = told[-1].get("kind")
        phase = "validating" if kind == "validation" else "training"
        phase = "inheriting" if told[-1].get("phase") == "inherit" else phase
    return Worker(
        slot=attempt.slot,
        individual=one,
        attempt=attempt.no,
        started_at=attempt.started_at,
        lease_until=attempt.lease_until,
        progress=steps[-1] if steps and phase != "inheriting" else {},
        phase=phase,
    )


def _clone(
    store: Store, generation: int, members: Sequence[Individual]
) -> tuple[Individual | None, Individual | None]:
    """Return the youngest scored clone and the best child of its generation."""
    for number in range(generation, max(generation - 3, 0), -1):
        found = members if number == generation else store.individuals(generation=number)
        scored = [one for one in found if one.fitness is not None]
        clone = next((one for one in scored if one.kind == "clone"), None)
        if clone is not None:
            children = [one for one in scored if one.competes]
            return clone, min(children, key=lambda o: o.fitness or 0.0, default=None)
    return None, None


def _spent(sessions: Sequence[Mapping[str, Any]], state: str) -> float:
    if not sessions:
        return 0.0
    before = sum(one["seen_at"] - one["started_at"] for one in sessions[:-1])
    last = sessions[-1]
    until = time.time() if state == "running" else last["seen_at"]
    return float(before + max(0.0, until - last["started_at"]))


def _seconds_left(
    evolution: Mapping[str, Any],
    generation: int,
    waiting: int,
    members: Sequence[Individual],
    workers: Sequence[Worker],
    slots: int,
    spent: float,
) -> float | None:
    """Return how long it may take still: what is left to train, at the pace of this generation.

    Capped by the hours that were set; None while no child has been trained or no end is set.
    """
    hours, last = evolution.get("hours"), evolution.get("generations")
    by_hours: float | None = max(0.0, 3600 * hours - spent) if hours else None
    took = [one.seconds for one in members if one.seconds is not None and generation > 0]
    took += [] if took or generation <= 0 else _pace(workers)
    if last is None or not took or not slots:
        return by_hours
    each = evolution.get("children", 0) + bool(evolution.get("clones"))
    done = sum(worker.share or 0.0 for worker in workers)
    trainings = max(0.0, waiting - done + each * max(0, last - generation))
    by_work: float = trainings * (sum(took) / len(took)) / slots
    return by_work if by_hours is None else min(by_work, by_hours)


def _pace(workers: Sequence[Worker]) -> list[float]:
    """Return how long the trainings in progress will have taken."""
    now = time.time()
    return [
        (now - worker.started_at) / worker.share
        for worker in workers
        if worker.share is not None and worker.share > 0.05
    ]


def snapshot_json(found: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON values."""
    clone, rival = found.clone, found.clone_rival
    gain = None
    if clone and rival and clone.fitness is not None and rival.fitness is not None:
        gain = clone.fitness - rival.fitness
    return {
        "name": found.name,
        "state": found.state,
        "stop_reason": found.stop_reason,
        "generation": found.generation,
        "generations": found.generations,
        "born": found.born,
        "ended": found.ended,
        "counts": dict(found.counts),
        "best": [_brief(one) for one in found.best],
        "best_by_generation": [v if v < float("inf") else None for v in found.best_by_generation],
        "clone": clone and _brief(clone),
        "gain_over_clone": gain,
        "workers": [
            {
                "slot": worker.slot,
                "id": worker.individual.id,
                "attempt": worker.attempt,
                "phase": worker.phase,
                "seconds": time.time() - worker.started_at,
                "lease_seconds_left": worker.lease_until - time.time(),
                "share": worker.share,
                **worker.progress,
            }
            for worker in found.workers
        ],
        "slots": found.slots,
        "seconds": found.seconds,
        "seconds_left": found.seconds_left,
        "events": [dict(event) for event in found.events],
    }


def _brief(one: Individual) -> dict[str, Any]:
    return {
        "id": one.id,
        "generation": one.generation,
        "parent_id": one.parent_id,
        "fitness": one.fitness,
        "loss": one.loss,
        "mean_oks": one.result.get("mean_oks"),
        "num_parameters": one.num_parameters,
    }
