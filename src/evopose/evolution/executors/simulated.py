"""The executor that runs jobs in virtual time: how busy would so many slots be?"""

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from evopose.evolution.jobs import Event, Job, execute


class SimulatedExecutor:
    """Slots of a machine that is not there; each job takes as long as it is said to take.

    A store whose clock is `clock` sees the search as it would have been on that machine. Jobs
    run in this process, one by one, when their time has come; they should do little.
    """

    def __init__(self, *, slots: int, seconds: Callable[[Job], float]) -> None:
        """`seconds`: how long a job takes."""
        self.slots: Sequence[int] = range(slots)
        self._seconds = seconds
        self._now = 0.0
        self._jobs: dict[int, Job] = {}
        self._ends: list[tuple[float, int]] = []

    def clock(self) -> float:
        """Return the seconds since this executor was made, by its own time."""
        return self._now

    def submit(self, slot: int, job: Job) -> None:
        """Begin a job in a free slot."""
        assert slot not in self._jobs, f"slot {slot} is not free"
        self._jobs[slot] = job
        heapq.heappush(self._ends, (self._now + self._seconds(job), slot))

    def poll(self, timeout: float, tell: Callable[[Event], None]) -> None:
        """Let time pass until the next job ends, and tell of it."""
        if self._ends:
            self._now, slot = heapq.heappop(self._ends)
            tell(execute(slot, self._jobs.pop(slot), _silent))

    def kill(self, slot: int) -> None:
        """Drop the job of a slot."""
        self._jobs.pop(slot, None)
        self._ends = [end for end in self._ends if end[1] != slot]
        heapq.heapify(self._ends)

    def close(self) -> None:
        """Drop all jobs."""
        self._jobs.clear()
        self._ends.clear()


def _silent(**progress: Any) -> None:
    """Nobody listens to the heartbeats."""
