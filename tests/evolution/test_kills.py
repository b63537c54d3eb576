"""SIGKILL of coordinator and workers at random moments: nothing is lost, nothing happens twice.

Coordinator and workers are the program `toys.py`; the moments are drawn with a seed, but what they
hit depends on the machine. EVOPOSE_KILLS sets how often each is killed, under each executor and in
each course of the search; a few times by default.
"""

import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from evolution.toys import CONFIG, COURSES, search, story
from evopose.evolution.store import Store

KILLS = int(os.environ.get("EVOPOSE_KILLS", 0))
SECONDS = 0.12
TOYS = Path(__file__).with_name("toys.py")
WORKERS = {"process": "popen_loky", "ray": "ray::Worker"}
"""Executor -> what the command line of its workers holds."""


class Coordinator:
    """A running `toys.py`."""

    def __init__(self, scratch, folder, generations, course, executor, *address):
        path = os.pathsep.join([str(TOYS.parents[1]), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, "TMPDIR": str(scratch)}
        self.logs, self.idle_since = folder / "logs", time.time()
        words = (folder, generations, SECONDS, course, executor, *address)
        self.popen = subprocess.Popen(
            [sys.executable, TOYS, *map(str, words)], env=environment, stderr=subprocess.DEVNULL
        )
        self.process = psutil.Process(self.popen.pid)
        self.executor = executor

    def workers(self):
        """Its worker processes. Ray's are children of its own processes; of one search only."""
        kind = WORKERS[self.executor]
        found = self.process.children() if self.executor == "process" else psutil.process_iter()
        with suppress(psutil.NoSuchProcess):
            return [p for p in found if kind in " ".join(p.cmdline())]
        return []

    def running(self):
        return self.popen.poll() is None

    def wait_for_work(self):
        """Wait until somebody trains."""
        while self.running():
            with suppress(FileNotFoundError):
                told = [log.stat().st_mtime for log in self.logs.glob("*")]
                if max(told, default=0.0) > self.idle_since:
                    return
            time.sleep(0.01)

    def kill(self):
        """Kill it, and return which of its children are alive some seconds later."""
        alive = [*self.process.children(recursive=True), *self.workers_of_ray()]
        self.popen.kill()
        self.popen.wait()
        deadline = time.monotonic() + 10
        while alive and time.monotonic() < deadline:
            alive = [process for process in alive if lives(process)]
            time.sleep(0.02)
        return alive

    def workers_of_ray(self):
        return self.workers() if self.executor == "ray" else []


def lives(process):
    """Whether a process does anything still; one that init has yet to bury does not."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def disturb(rng, moments, *words):
    """Run the search to its end in spite of kills, and return how many hit whom.

    A moment that hits nobody, as while a worker that was killed has no successor yet, comes again.
    """
    hits = {"coordinator": 0, "worker": 0}
    coordinator = Coordinator(*words)
    while moments and coordinator.running():
        victim = moments[-1]
        if victim == "worker" or rng.random() < 0.8:  # else it may be hit while it starts
            coordinator.wait_for_work()
        time.sleep(rng.uniform(0.0, 0.5))
        if victim == "worker" and (workers := coordinator.workers()):
            with suppress(psutil.NoSuchProcess):
                rng.choice(workers).kill()
                hits[moments.pop()] += 1
                coordinator.idle_since = time.time()
        elif victim == "coordinator" and coordinator.running():
            assert coordinator.kill() == []
            hits[moments.pop()] += 1
            coordinator = Coordinator(*words)
    assert coordinator.popen.wait(timeout=300) == 0
    return hits


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("executor", ["inline", "process", "ray"])
@pytest.mark.xdist_group("ray")
def test_killed_at_random_moments_a_search_ends_as_an_undisturbed_one(
    tmp_path, request, executor, course
):
    address = ()
    if executor == "ray":
        address = (request.getfixturevalue("ray_cluster").address,)
    kills = KILLS or {"inline": 3, "process": 8, "ray": 2}[executor]
    victims = ["coordinator"] if executor == "inline" else ["coordinator", "worker"]
    rng, moments = random.Random(20), kills * victims
    rng.shuffle(moments)
    generations = 3 + len(moments)
    killed, scratch = tmp_path / "killed", tmp_path / "scratch"
    scratch.mkdir()
    hits = disturb(rng, moments, scratch, killed, generations, course, executor, *address)
    assert sum(hits.values()) >= 0.8 * len(victims) * kills  # the search may end before the last
    assert [path for path in scratch.iterdir() if path.name.startswith("evopose")] == []

    config = replace(CONFIG, generations=generations, **COURSES[course])
    with Store.create(tmp_path / "undisturbed", {}) as store:
        search(store, config)
        expected = story(store)
    with Store.open(killed) as store:
        assert story(store) == expected
        assert {one.status for one in store.individuals()} == {"done"}
        for one in store.individuals():
            outcomes = [attempt.outcome for attempt in store.attempts(one.id)]
            assert outcomes.count("done") == 1
            assert set(outcomes) <= {"done", "lost", "interrupted"}
        lost = [a for a in store.attempts() if a.outcome != "done"]
        assert len(lost) >= kills / 2  # many moments hit somebody at work
        assert store.blobs.clean({one.blob for one in store.individuals()} - {None}) == []
    told = f"{executor}, {course}: {hits}, {len(expected)} individuals, {len(lost)} lost attempts"
    if KILLS:
        sys.stderr.write(told + "\n")
