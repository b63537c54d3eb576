"""The executor that runs jobs in this process: for tests, debugging, and machines of one core."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evopose.evolution.jobs import Event, Job, add_line, execute


class _Killed(BaseException):
    """Unwinds a job that was killed, out of its heartbeat."""


class InlineExecutor:
    """One slot, in this process. A job is killed at its next heartbeat; a hung one cannot be."""

    slots = (0,)

    def __init__(self) -> None:
        self._job: Job | None = None

    def submit(self, slot: int, job: Job) -> None:
        """Keep the job for the next `poll`."""
        assert self._job is None, f"slot {slot} is not free"
        self._job = job

    def poll(self, timeout: float, tell: Callable[[Event], None]) -> None:
        """Run the job to its end, telling its heartbeats as they come."""
        job = self._job
        if job is None:
            return

        def heartbeat(**progress: Any) -> None:
            if log := job.get("log"):
                add_line(Path(log), progress)
            tell(Event(slot=0, kind="progress", data=progress))
            if self._job is None:
                raise _Killed

        try:
            event = execute(0, job, heartbeat)
        except _Killed:
            return
        finally:
            self._job = None
        tell(event)

    def kill(self, slot: int) -> None:
        """Drop the job."""
        self._job = None

    def close(self) -> None:
        """Drop the job."""
        self._job = None
