"""Running the individuals of a generation: leases, failures, and what is tried again."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evopose.evolution.database import disk_full
from evopose.evolution.ending import Ending
from evopose.evolution.fitness import Fitness
from evopose.evolution.individual import Individual, Outcome
from evopose.evolution.jobs import Event, Executor, Job
from evopose.evolution.store import Store

MakeJob = Callable[[Individual, int, Individual | None, Store], Job]
"""(individual, number of the attempt, its parent, store) -> the job that trains it."""

More = Callable[[], Sequence[Individual]]
"""Proposes, and returns whom; nobody while there is nobody to propose."""

Emit = Callable[..., None]

_POLL_SECONDS = 0.2
_RENEW_SECONDS = 30.0


@dataclass
class _Running:
    """An attempt in a slot of the executor."""

    individual: Individual
    no: int
    started_at: float
    """By the monotonic clock, as the others."""
    signed_at: float
    """When its worker last gave a sign of life."""
    renewed_at: float
    """When the store last heard of that."""


class Runner:
    """Leases individuals to the executor's slots, and tells the store what comes of them."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        *,
        make_job: MakeJob,
        fitness: Fitness,
        lease_seconds: float,
        timeout_seconds: float,
        max_attempts: int,
        deadline: float,
        should_stop: Callable[[], bool],
        emit: Emit,
    ) -> None:
        """`deadline`: after it, by the store's clock, no training begins."""
        self._store = store
        self._executor = executor
        self._make_job = make_job
        self._fitness = fitness
        self._lease_seconds = lease_seconds
        self._timeout_seconds = timeout_seconds
        self._max_attempts = max_attempts
        self._deadline = deadline
        self._should_stop = should_stop
        self._emit = emit
        self._stopping = False
        self._waiting: list[Individual] = []
        self._running: dict[int, _Running] = {}
        self._num_slots = len(executor.slots)

    def run(self, individuals: list[Individual], more: More | None = None) -> Ending | None:
        """Train proposed individuals; None when all have ended, or why not all were trained.

        The costliest go first, so that the slots end together. `more` is asked for further ones
        whenever a slot is free and nobody waits; while it returns none, what runs goes on.
        """
        self._waiting = sorted(individuals, key=lambda one: -one.num_macs)
        while True:
            if self._must_stop():
                return Ending(kind="stopped", reason="it was stopped")
            self._count_slots()
            late = self._store.clock() >= self._deadline
            if not late:
                self._fill(more)
            if not self._running and not self._waiting and not (late and more):
                return None
            if not self._running and late:
                return Ending(kind="hours", reason="its hours are spent")
            self._executor.poll(_POLL_SECONDS, self._tell)
            self._expire()

    def extend(self) -> None:
        """Let trainings begin although the hours are spent."""
        self._deadline = math.inf

    def abandon(self) -> None:
        """Kill what runs; it is proposed again."""
        for slot in self._running:
            self._executor.kill(slot)
        self._running.clear()
        self._store.release()

    def _count_slots(self) -> None:
        """Tell the store where machines have come or gone."""
        if (count := len(self._executor.slots)) != self._num_slots:
            self._num_slots = count
            self._store.begin_session(count)
            self._emit("slots", count=count)

    def _fill(self, more: More | None) -> None:
        """Give every free slot somebody, as long as there is anybody."""
        for slot in self._executor.slots:
            if slot in self._running:
                continue
            if not self._waiting and more is not None:
                self._waiting = list(more())
            if not self._waiting:
                return
            self._start(slot, self._waiting.pop(0))

    def _start(self, slot: int, one: Individual) -> None:
        parent = None if one.parent_id is None else self._store.individual(one.parent_id)
        divisor = 2 if self._endings(one, "oom") else 1
        no = self._store.lease(one.id, slot=slot, seconds=self._lease_seconds)
        job = self._make_job(one, no, parent, self._store) | {"micro_batch_divisor": divisor}
        self._executor.submit(slot, job)
        now = time.monotonic()
        self._running[slot] = _Running(
            individual=one, no=no, started_at=now, signed_at=now, renewed_at=now
        )
        self._emit("started", id=one.id, generation=one.generation, slot=slot, attempt=no)

    def _tell(self, event: Event) -> None:
        if event.kind == "progress":
            self._progress(event.slot, event.data)
            return
        running = self._running.pop(event.slot)
        if event.kind == "done":
            self._finish(running, event.data)
        elif event.kind == "lost" and event.data.get("machine_gone"):
            self._again(running, "interrupted", event.data["message"])
        elif event.kind == "lost":
            self._lose(running, "lost", event.data["message"])
        elif event.data["cause"] == "disk_full":
            self._store.lose(running.individual.id, running.no, outcome="interrupted")
            raise disk_full(self._store.folder)
        elif event.data["cause"] == "oom" and not self._endings(running.individual, "oom"):
            self._again(running, "oom", event.data["message"])
        else:
            self._fail(running, event.data)

    def _progress(self, slot: int, data: dict[str, Any]) -> None:
        running = self._running[slot]
        running.signed_at = time.monotonic()
        if running.signed_at - running.renewed_at > min(_RENEW_SECONDS, self._lease_seconds / 4):
            running.renewed_at = running.signed_at
            self._store.renew(running.individual.id, running.no, seconds=self._lease_seconds)
        self._emit("progress", id=running.individual.id, slot=slot, progress=data)
        if self._must_stop():
            self._executor.kill(slot)

    def _finish(self, running: _Running, result: Any) -> None:
        one = running.individual
        try:
            loss = float(result["loss"])
            if not math.isfinite(loss):
                data = {"cause": "diverged", "message": f"its loss is {loss}"}
                return self._fail(running, data)
            judged = self._fitness.error_of(result)
            fitness = self._fitness.score(judged, one.size)
            sha = result.get("blob")
            if sha is not None and not self._store.blobs.path(sha).is_file():
                raise ValueError(f"it names weights that are not there: {sha}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"its job returned no result that can be used: {error!r}"
            return self._fail(running, {"cause": "error", "message": message})
        self._store.finish(
            one.id, running.no, loss=loss, error=judged, fitness=fitness, result=result
        )
        return self._emit("done", id=one.id, generation=one.generation, loss=loss, fitness=fitness)

    def _fail(self, running: _Running, data: dict[str, Any]) -> None:
        outcomes: dict[str, Outcome] = {"oom": "oom", "diverged": "diverged", "timeout": "timeout"}
        reason = data["message"]
        if data["cause"] == "oom":
            reason = f"out of memory, also with half the batch at once: {reason}"
        self._store.fail(
            running.individual.id,
            running.no,
            reason=reason,
            outcome=outcomes.get(data["cause"], "failed"),
            error=data.get("traceback", reason),
        )
        self._emit_failed(running.individual, reason)

    def _expire(self) -> None:
        """Kill the workers that have given no sign of life for too long, or take too long."""
        now = time.monotonic()
        for slot, running in list(self._running.items()):
            hung = now - running.signed_at > self._lease_seconds
            if not hung and now - running.started_at <= self._timeout_seconds:
                continue
            self._executor.kill(slot)
            del self._running[slot]
            if hung:
                message = f"it gave no sign of life for {self._lease_seconds:g} s and was killed"
                self._lose(running, "timeout", message)
            else:
                message = f"it took more than {self._timeout_seconds:g} s and was killed"
                self._fail(running, {"cause": "timeout", "message": message})

    def _lose(self, running: _Running, outcome: Outcome, message: str) -> None:
        one = running.individual
        lost = 1 + self._endings(one, "lost", "timeout")
        if lost < self._max_attempts:
            return self._again(running, outcome, message)
        reason = f"given up after {lost} lost attempts; the last: {message}"
        self._store.fail(one.id, running.no, reason=reason, outcome=outcome, error=message)
        return self._emit_failed(one, reason)

    def _again(self, running: _Running, outcome: Outcome, message: str) -> None:
        self._store.lose(running.individual.id, running.no, outcome=outcome, error=message)
        self._waiting.append(running.individual)
        self._emit("lost", id=running.individual.id, outcome=outcome, reason=message)

    def _emit_failed(self, one: Individual, reason: str) -> None:
        self._emit("failed", id=one.id, generation=one.generation, reason=reason)

    def _must_stop(self) -> bool:
        self._stopping = self._stopping or self._should_stop()
        return self._stopping

    def _endings(self, one: Individual, *outcomes: Outcome) -> int:
        """Return how many attempts at an individual ended so."""
        return sum(attempt.outcome in outcomes for attempt in self._store.attempts(one.id))
