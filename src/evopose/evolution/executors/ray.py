"""The executor that runs jobs on a Ray cluster: one long-lived actor a slot, and no retries of
Ray's own. Machines may come and go. Job and result are JSON; nothing precious lies in Ray."""

import itertools
import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evopose.errors import ConfigError
from evopose.evolution.executors.ray_cluster import (
    Connection,
    Machine,
    actor_environment,
    out_of_memory,
    said,
    spread,
)
from evopose.evolution.executors.ray_worker import Worker
from evopose.evolution.jobs import Event, Job, add_line

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
"""Between two looks at which machines there are."""
_BEAT_SECONDS = 0.5
"""Between two questions for a worker's heartbeats."""
_START_SECONDS = 120.0
"""How long the first worker may take to come."""

Ref = Any
Tell = Callable[[Event], None]


@dataclass
class _Running:
    """A job in a worker."""

    ref: Ref
    serial: int
    log: str | None
    seen: int = 0
    doubted: bool = False
    """Its connection broke: `ref` no longer is the job's end, but whether the worker answers."""


@dataclass
class _Slot:
    """A worker."""

    actor: Any
    machine: Machine
    check: Ref | None
    """Its first job, after which it may be used."""
    running: _Running | None = None
    beat: Ref | None = None
    beat_at: float = field(default_factory=time.monotonic)

    def awaited(self) -> list[Ref]:
        """Return what may be answered next."""
        running = self.running.ref if self.running else None
        return [ref for ref in (self.check, running, self.beat) if ref is not None]


class RayExecutor:
    """One actor a slot. A worker that dies, is killed, or goes with its machine has a successor,
    in a slot of a new number, as soon as there is room."""

    def __init__(
        self,
        *,
        address: str | None = None,
        slots: int | None = None,
        cpus: int = 1,
        threads: int = 1,
        gpus: float = 0.0,
        environment: dict[str, str] | None = None,
        check: Job | None = None,
    ) -> None:
        """`address`: see `Connection`; there, `cpus` is those of a cluster of this machine.
        `slots`: at most so many workers; None: all there is room for. `threads`, `gpus`: what Ray
        keeps for each. `check`: a job that each worker runs first; where it fails, the machine is
        not used, and its message said once.

        Returns when the workers there is room for have come. Raises: ConfigError if none does.
        """
        self._limit, self._threads, self._gpus = slots, threads, gpus
        self._may_grow = address is not None and slots is not None
        self._check = check or {"function": "evopose.evolution.executors.ray:no_check"}
        self._refused: dict[str, str] = {}
        self._slots: dict[int, _Slot] = {}
        self._missed: list[int] = []
        self._numbers, self._serials = itertools.count(), itertools.count()
        self._next_look = 0.0
        self._connection = Connection(address, cpus=cpus, gpus=gpus * (slots or 1))
        try:
            self._ray = self._connection.ray
            self._errors = self._ray.exceptions
            env = {"env_vars": actor_environment(threads, environment or {})}
            self._class = self._ray.remote(
                num_cpus=threads,
                num_gpus=gpus,
                max_restarts=0,
                max_task_retries=0,
                concurrency_groups={"beats": 1},
                runtime_env=env,
            )(Worker)
            if self._may_grow:
                self._ask_autoscaler(slots or 0)
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def slots(self) -> Sequence[int]:
        """The numbers of the workers that may be used now."""
        return tuple(number for number, slot in self._slots.items() if slot.check is None)

    def submit(self, slot: int, job: Job) -> None:
        """Send a job to a free worker."""
        found = self._slots.get(slot)
        if found is None:
            self._missed.append(slot)
            return
        assert found.running is None, f"slot {slot} is not free"
        serial = next(self._serials)
        ref = found.actor.run.remote(serial, json.dumps(job))
        found.running = _Running(ref=ref, serial=serial, log=job.get("log"))
        found.beat, found.beat_at = None, time.monotonic()

    def poll(self, timeout: float, tell: Tell) -> None:
        """Tell heartbeats and ends; wait up to `timeout` for one."""
        while self._missed:
            data = {"message": "its worker had just gone", "machine_gone": True}
            tell(Event(slot=self._missed.pop(), kind="lost", data=data))
        self._look(tell)
        ready = self._ready(timeout)
        for number, slot in list(self._slots.items()):
            if slot.check in ready:
                self._admit(number, slot)
            if slot.beat in ready:
                self._hear(number, slot, tell)
            if self._slots.get(number) is slot and slot.running and slot.running.ref in ready:
                self._end(number, slot, slot.running, tell)

    def kill(self, slot: int) -> None:
        """Kill the slot's worker; another comes in its place, in another slot."""
        if (found := self._slots.pop(slot, None)) is not None:
            self._kill(found)
            self._next_look = 0.0

    def close(self) -> None:
        """Kill all workers and disconnect; a cluster that was begun here ends."""
        for slot in self._slots.values():
            self._kill(slot)
        self._slots.clear()
        self._connection.close()

    # Machines

    def _begin(self) -> None:
        """Wait for the first workers."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self.poll(0.2, lambda event: None)
            checked = all(slot.check is None for slot in self._slots.values())
            if self.slots and checked:
                return
            hopeless = not self._slots and (self._refused or not self._may_grow)
            if hopeless or time.monotonic() > deadline:
                if self.slots:
                    return
                raise ConfigError(self._nobody())

    def _look(self, tell: Tell) -> None:
        """Give up workers whose machine has gone, and begin those there is room for."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_SECONDS
        machines = self._connection.machines()
        for number, slot in list(self._slots.items()):
            if slot.machine.id not in machines:
                self._lose(number, slot, f"its machine {slot.machine.address} has gone", tell, True)
        for machine in spread(machines, self._begun(), self._threads, self._gpus):
            if len(self._slots) == self._limit:
                return
            if machine.id not in self._refused:
                self._add(machine)

    def _begun(self) -> list[str]:
        return [slot.machine.id for slot in self._slots.values()]

    def _add(self, machine: Machine) -> None:
        strategies = self._ray.util.scheduling_strategies
        there = strategies.NodeAffinitySchedulingStrategy(machine.id, soft=False)
        actor = self._class.options(scheduling_strategy=there).remote()
        check = actor.run.remote(-1, json.dumps(self._check))
        self._slots[next(self._numbers)] = _Slot(actor=actor, machine=machine, check=check)

    def _admit(self, number: int, slot: _Slot) -> None:
        """Use a worker that has passed its check, or no worker of its machine."""
        try:
            ended = json.loads(self._ray.get(slot.check))
        except self._errors.RayError as error:
            del self._slots[number]
            if not self._machine_gone(slot, error):
                self._refuse(slot.machine, f"its worker did not start: {said(error)}")
            return
        slot.check = None
        if ended["kind"] == "failed":
            self.kill(number)
            self._refuse(slot.machine, ended["data"]["message"].partition(": ")[2])

    def _refuse(self, machine: Machine, reason: str) -> None:
        if machine.id not in self._refused:
            self._refused[machine.id] = f"machine {machine.address} is not used: {reason}"
            logger.warning("%s", self._refused[machine.id])

    def _nobody(self) -> str:
        if self._refused:
            return "; ".join(self._refused.values())
        found = self._connection.machines().values()
        has = ", ".join(f"{m.address} {m.cpus:g} CPUs {m.gpus:g} GPUs" for m in found)
        return (
            f"no machine of the cluster has room for a worker of {self._threads} CPUs and "
            f"{self._gpus:g} GPUs ({has}); give other --threads or --gpus-per-worker"
        )

    def _ask_autoscaler(self, count: int) -> None:
        """Let a cluster that grows by itself grow."""
        bundle = {"CPU": self._threads} | ({"GPU": self._gpus} if self._gpus else {})
        with suppress(ImportError):
            from ray.autoscaler.sdk import request_resources

            request_resources(bundles=[bundle] * count)

    # Workers

    def _ready(self, timeout: float) -> set[Ref]:
        """Ask for heartbeats that are due, and return what was answered by now."""
        for slot in self._slots.values():
            due = time.monotonic() - slot.beat_at > _BEAT_SECONDS
            if due and slot.check is None and slot.beat is None:
                slot.beat, slot.beat_at = _ask(slot), time.monotonic()
        refs = [ref for slot in self._slots.values() for ref in slot.awaited()]
        if not refs:
            time.sleep(timeout)
            return set()
        self._ray.wait(refs, num_returns=1, timeout=timeout)
        return set(self._ray.wait(refs, num_returns=len(refs), timeout=0)[0])

    def _hear(self, number: int, slot: _Slot, tell: Tell) -> None:
        """Tell the heartbeats that came."""
        beat, slot.beat = slot.beat, None
        try:
            told = json.loads(self._ray.get(beat))
        except self._errors.RayError as error:
            if slot.running is None and not isinstance(error, self._errors.ActorUnavailableError):
                self.kill(number)  # it died while it had nothing to do
            return
        self._pass_on(number, slot, told, tell)

    def _pass_on(self, number: int, slot: _Slot, told: dict[str, Any], tell: Tell) -> None:
        running = slot.running
        if running is None:
            return
        for progress in told["beats"][max(0, running.seen - told["first"]) :]:
            running.seen += 1
            if running.log:
                add_line(Path(running.log), progress)
            tell(Event(slot=number, kind="progress", data=progress))
            if self._slots.get(number) is not slot:  # killed by who was told
                return

    def _end(self, number: int, slot: _Slot, running: _Running, tell: Tell) -> None:
        """Tell how a job ended."""
        try:
            told = json.loads(self._ray.get(running.ref))
        except self._errors.ActorUnavailableError:
            # Either the machine goes, which Ray knows later, or it was the network alone.
            running.ref, running.doubted = _ask(slot), True
            return
        except self._errors.RayError as error:
            gone = self._machine_gone(slot, error)
            message = f"its worker on {slot.machine.address} died: {said(error)}"
            if gone:
                message = f"its machine {slot.machine.address} has gone"
            if not gone and out_of_memory(error):
                self._forget(number, slot)
                tell(Event(slot=number, kind="failed", data={"cause": "oom", "message": message}))
                return
            self._lose(number, slot, message, tell, gone)
            return
        if running.doubted:
            message = f"the connection to its machine {slot.machine.address} broke"
            self._lose(number, slot, message, tell, True)
            return
        self._pass_on(number, slot, told, tell)
        if self._slots.get(number) is slot:
            slot.running = None
            tell(Event(slot=number, kind=told["kind"], data=told["data"]))

    def _lose(self, number: int, slot: _Slot, message: str, tell: Tell, gone: bool) -> None:
        """Give a worker up, and tell of what it ran."""
        self._forget(number, slot)
        if slot.running is not None:
            data = {"message": message, "machine_gone": gone}
            tell(Event(slot=number, kind="lost", data=data))

    def _forget(self, number: int, slot: _Slot) -> None:
        self._slots.pop(number, None)
        self._kill(slot)
        self._next_look = 0.0

    def _kill(self, slot: _Slot) -> None:
        with suppress(self._errors.RayError, ValueError):  # it is dead, or was never there
            self._ray.kill(slot.actor, no_restart=True)

    def _machine_gone(self, slot: _Slot, error: Exception) -> bool:
        if getattr(error, "preempted", False) or "node has died" in str(error):
            return True
        return slot.machine.id not in self._connection.machines()


def no_check(job: Job, heartbeat: Callable[..., None]) -> None:
    """The check of workers that need none."""


def _ask(slot: _Slot) -> Ref:
    """Ask a worker, whatever it is at, for the heartbeats that have not come yet."""
    serial, seen = (slot.running.serial, slot.running.seen) if slot.running else (-1, 0)
    return slot.actor.progress.options(concurrency_group="beats").remote(serial, seen)
