"""What runs on a cluster's machines: the actor of one slot. It knows no ray."""

import json
import threading
from typing import Any

from evopose.evolution.jobs import Job, execute


class Worker:
    """Runs jobs one after the other, and keeps their heartbeats until they are asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._serial = -1
        self._first = 0
        """How many heartbeats of the job are known to have arrived, and are dropped."""
        self._beats: list[dict[str, Any]] = []

    def run(self, serial: int, job: str) -> str:
        """Return how the job, JSON, ended: JSON of `kind`, `data`, and the `beats` from `first`.

        `serial` is its number, so that nobody takes one job's heartbeats for another's.
        """
        with self._lock:
            self._serial, self._first, self._beats = serial, 0, []
        read: Job = json.loads(job)
        event = execute(0, read, self._beat)
        with self._lock:
            told = {"first": self._first, "beats": self._beats}
        return json.dumps({"kind": event.kind, "data": event.data, **told})

    def progress(self, serial: int, seen: int) -> str:
        """Return JSON of the heartbeats of job `serial` after the first `seen`, never waiting."""
        with self._lock:
            if serial != self._serial:
                return json.dumps({"first": seen, "beats": []})
            del self._beats[: seen - self._first]
            self._first = seen
            return json.dumps({"first": seen, "beats": self._beats})

    def _beat(self, **progress: Any) -> None:
        with self._lock:
            self._beats.append(progress)
