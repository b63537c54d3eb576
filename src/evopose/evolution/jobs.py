"""What an executor is, and what all of them share: how a job is run and its end is told."""

import errno
import importlib
import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from evopose.errors import TrainingDiverged

Job = dict[str, Any]
"""Plain JSON. `function`: "package.module:name" of what is called as `function(job, heartbeat)`,
and returns plain JSON; `log`, if given: the file to which each heartbeat adds a line of JSON."""

Heartbeat = Callable[..., None]
"""Called by a job with what it wants to tell, as keyword arguments of plain JSON: it is alive."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to the job in a slot."""

    slot: int
    kind: Literal["progress", "done", "failed", "lost"]
    data: dict[str, Any] = field(default_factory=dict)
    """progress: what the heartbeat told. done: what the job returned. failed: `cause` ("error",
    "oom", "diverged" or "disk_full"), `message`, `traceback`. lost: `message`, why the worker
    died, and `machine_gone`, true if its whole machine went: then the job is not to blame."""


class Executor(Protocol):
    """Runs jobs, one at a time in each of its slots. It never tries a job twice."""

    @property
    def slots(self) -> Sequence[int]:
        """The numbers of the slots there are now: as many jobs run at once.

        Where machines come and go, so do slots; the number of one that went is not used again.
        """
        ...

    def submit(self, slot: int, job: Job) -> None:
        """Begin a job in a free slot. If the slot has just gone, the next `poll` tells `lost`."""
        ...

    def poll(self, timeout: float, tell: Callable[[Event], None]) -> None:
        """Tell what happened since the last call, waiting up to `timeout` seconds for an end.

        After `done`, `failed` or `lost` the slot is free. `tell` may call `kill`.
        """
        ...

    def kill(self, slot: int) -> None:
        """End what runs in a slot, if anything does; nothing is told of it any more."""
        ...

    def close(self) -> None:
        """Kill all that runs and give all resources back."""
        ...


def execute(slot: int, job: Job, heartbeat: Heartbeat) -> Event:
    """Run a job here and return how it ended, `done` or `failed`; it raises for nobody's fault."""
    try:
        module, _, name = job["function"].partition(":")
        result = getattr(importlib.import_module(module), name)(job, heartbeat)
        return Event(slot=slot, kind="done", data=json.loads(json.dumps(result)))
    except (Exception, SystemExit) as error:
        data = {
            "cause": cause_of(error),
            "message": f"{type(error).__name__}: {error}",
            "traceback": "".join(traceback.format_exception(error)[-8:]),
        }
        return Event(slot=slot, kind="failed", data=data)


def cause_of(error: BaseException) -> str:
    """Return what kind of failure an exception is: "error", "oom", "diverged" or "disk_full"."""
    if isinstance(error, TrainingDiverged):
        return "diverged"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full"
    text = str(error).lower()
    no_memory = "out of memory" in text or "can't allocate memory" in text
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and no_memory):
        return "oom"
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return "oom"
    return "error"


def add_line(log: Path, progress: dict[str, Any]) -> None:
    """Add a heartbeat to a log of JSON lines."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(progress) + "\n")
