"""The executor that runs jobs in worker processes of this machine, one worker a slot."""

import contextlib
import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor

from evopose.evolution.jobs import Event, Job, add_line, execute

_PR_SET_PDEATHSIG = 1


@dataclass
class _Running:
    """A job in a worker, and how far its log has been read."""

    future: "Future[Event]"
    log: Path
    offset: int


class ProcessExecutor:
    """Worker processes that live from job to job.

    Each slot has a pool of one, so that a worker that is killed, runs out of memory or hangs
    takes no other with it; the slot's next job gets a new one. Workers ignore Ctrl-C and do not
    outlive this process, however it ends.
    """

    def __init__(
        self,
        *,
        slots: int = 1,
        initializer: str | None = None,
        settings: Any = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """`initializer`: "package.module:name", called with `settings` (plain JSON) in each
        worker before its first job; `environment`: variables set before a worker starts."""
        self._initargs = (os.getpid(), initializer, settings)
        self._environment = environment or {}
        self._pools: list[ProcessPoolExecutor | None] = [None] * slots
        self._running: dict[int, _Running] = {}
        # Made only when a job without a log has something to tell.
        self._scratch = Path(tempfile.gettempdir()) / f"evopose-{uuid.uuid4().hex}"

    @property
    def slots(self) -> Sequence[int]:
        """The numbers of the slots, which stay."""
        return range(len(self._pools))

    def submit(self, slot: int, job: Job) -> None:
        """Begin a job in a free slot, in a new worker if it has none."""
        assert slot not in self._running, f"slot {slot} is not free"
        log = Path(job.get("log") or self._scratch / f"{slot}.jsonl")
        offset = log.stat().st_size if log.exists() else 0
        work = (_work, slot, json.dumps(job), str(log))
        try:
            future = self._pool(slot).submit(*work)
        except BrokenProcessPool:  # its worker died while it had nothing to do
            self.kill(slot)
            future = self._pool(slot).submit(*work)
        self._running[slot] = _Running(future=future, log=log, offset=offset)

    def poll(self, timeout: float, tell: Callable[[Event], None]) -> None:
        """Tell the heartbeats and ends since the last call; wait up to `timeout` for an end."""
        wait([r.future for r in self._running.values()], timeout, return_when=FIRST_COMPLETED)
        for slot, running in list(self._running.items()):
            ended = running.future.done()  # asked first: what was logged before it is read below
            for progress in _new_lines(running):
                if self._running.get(slot) is running:  # not killed by who was told
                    tell(Event(slot=slot, kind="progress", data=progress))
            if ended and self._running.get(slot) is running:
                del self._running[slot]
                tell(self._end(slot, running.future))

    def kill(self, slot: int) -> None:
        """Kill the slot's worker and all its children."""
        self._running.pop(slot, None)
        pool, self._pools[slot] = self._pools[slot], None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)

    def close(self) -> None:
        """Kill all workers."""
        for slot in self.slots:
            self.kill(slot)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _pool(self, slot: int) -> ProcessPoolExecutor:
        pool = self._pools[slot]
        if pool is None:
            pool = self._pools[slot] = ProcessPoolExecutor(
                max_workers=1, initializer=_start, initargs=self._initargs, env=self._environment
            )
        return pool

    def _end(self, slot: int, future: "Future[Event]") -> Event:
        try:
            return future.result()
        except BrokenProcessPool as error:
            self.kill(slot)
            lines = [line for line in str(error).splitlines() if line]
            codes = next((line for line in lines if "exit codes" in line), lines[0])
            message = f"its worker process died. {codes}"
            return Event(slot=slot, kind="lost", data={"message": message})


def _new_lines(running: _Running) -> list[dict[str, Any]]:
    """Return the heartbeats logged since the last call; an unfinished line waits."""
    try:
        with running.log.open("rb") as file:
            file.seek(running.offset)
            text = file.read()
    except FileNotFoundError:
        return []
    whole = text[: text.rfind(b"\n") + 1]
    running.offset += len(whole)
    found = []
    for line in whole.splitlines():
        # A worker that died in mid-line leaves half of one, which its successor goes on.
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def _work(slot: int, job_json: str, log: str) -> Event:
    """Run a job; in a worker."""

    def heartbeat(**progress: Any) -> None:
        add_line(Path(log), progress)

    return execute(slot, json.loads(job_json), heartbeat)


def _start(coordinator: int, initializer: str | None, settings: Any) -> None:
    """Set a worker up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the coordinator decides
    threading.Thread(target=_die_with, args=(coordinator,), daemon=True).start()
    _die_by_kernel(coordinator)
    if initializer is not None:
        module, _, name = initializer.partition(":")
        getattr(importlib.import_module(module), name)(settings)


def _die_with(coordinator: int) -> None:
    """End this process soon after the coordinator, however that ended."""
    while os.getppid() == coordinator:
        time.sleep(0.2)
    os._exit(1)


def _die_by_kernel(coordinator: int) -> None:
    """On Linux, end this process with the coordinator at once, whatever its threads are at."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != coordinator:  # it ended before the kernel was asked
            os._exit(1)
