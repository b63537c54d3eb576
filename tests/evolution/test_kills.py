"""SIGKILL of coordinator and workers at 20 random moments: nothing is lost, nothing happens twice.

Coordinator and workers are the program `toys.py`; the moments are drawn with a seed, but what they
hit depends on the machine.
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

from evolution.toys import CONFIG, search, story
from evopose.evolution.store import Store

GENERATIONS = 16
SECONDS = 0.12
TOYS = Path(__file__).with_name("toys.py")


class Coordinator:
    """A running `toys.py`."""

    def __init__(self, folder):
        environment = os.environ | {"PYTHONPATH": str(TOYS.parents[1])}
        self.popen = subprocess.Popen(
            [sys.executable, str(TOYS), str(folder), str(GENERATIONS), str(SECONDS)],
            env=environment,
        )
        self.process = psutil.Process(self.popen.pid)

    def workers(self):
        """Its worker processes."""
        with suppress(psutil.NoSuchProcess):
            return [p for p in self.process.children() if "popen_loky" in " ".join(p.cmdline())]
        return []

    def running(self):
        return self.popen.poll() is None

    def wait_for_workers(self):
        while self.running() and len(self.workers()) < 2:
            time.sleep(0.01)

    def kill(self):
        """Kill it, and return which of its children are alive two seconds later."""
        alive = self.process.children(recursive=True)
        self.popen.kill()
        self.popen.wait()
        deadline = time.monotonic() + 2
        while alive and time.monotonic() < deadline:
            alive = [process for process in alive if lives(process)]
            time.sleep(0.02)
        return alive


def lives(process):
    """Whether a process does anything still; one that init has yet to bury does not."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def disturb(folder, rng, moments):
    """Run the search to its end in spite of kills, and return how many hit whom."""
    hits = {"coordinator": 0, "worker": 0}
    coordinator = Coordinator(folder)
    while moments and coordinator.running():
        victim = moments.pop()
        if victim == "worker":
            coordinator.wait_for_workers()
        time.sleep(rng.uniform(0.0, 0.8))  # a coordinator takes half of it to start
        if victim == "worker" and (workers := coordinator.workers()):
            rng.choice(workers).kill()
            hits["worker"] += 1
        elif victim == "coordinator" and coordinator.running():
            assert coordinator.kill() == []
            hits["coordinator"] += 1
            coordinator = Coordinator(folder)
    assert coordinator.popen.wait(timeout=60) == 0
    return hits


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_killed_at_twenty_moments_a_search_ends_as_an_undisturbed_one(tmp_path):
    rng = random.Random(20)
    moments = ["coordinator"] * 10 + ["worker"] * 10
    rng.shuffle(moments)
    hits = disturb(tmp_path / "killed", rng, moments)
    assert hits == {"coordinator": 10, "worker": 10}

    with Store.create(tmp_path / "undisturbed", {}) as store:
        search(store, replace(CONFIG, generations=GENERATIONS))
        expected = story(store)
    with Store.open(tmp_path / "killed") as store:
        assert story(store) == expected
        assert {one.status for one in store.individuals()} == {"done"}
        for one in store.individuals():
            outcomes = [attempt.outcome for attempt in store.attempts(one.id)]
            assert outcomes.count("done") == 1
            assert set(outcomes) <= {"done", "lost", "interrupted"}
        lost = [a for a in store.attempts() if a.outcome != "done"]
        assert len(lost) >= 5  # many moments hit somebody at work
        assert store.blobs.clean({one.blob for one in store.individuals()} - {None}) == []
