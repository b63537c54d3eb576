"""The executor on a Ray cluster: machines and workers that die, come, and are not fit for use."""

import json
import logging
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from evolution.conftest import NODE
from evolution.toys import make_job, search, story
from evopose.api import evolve
from evopose.errors import ConfigError
from evopose.evolution.executors.ray import RayExecutor
from evopose.evolution.store import Store
from evopose.search.places import check_job, places_of
from evopose.search.versions import versions
from tiny_runs import OPTIONS
from tiny_runs import story as told

MISBEHAVE = "evolution.toys:misbehave"
pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def executor(ray_cluster):
    executor = RayExecutor(address=ray_cluster.address)
    yield executor
    executor.close()


def wait_for(executor, *kinds, seconds=40.0):
    """Return the events up to the first of these kinds."""
    events = []
    deadline = time.monotonic() + seconds
    while not (events and events[-1].kind in kinds):
        assert time.monotonic() < deadline, f"none of {kinds} came: {events}"
        executor.poll(0.1, events.append)
    return events


def wait_until(executor, condition, seconds=40.0):
    """Poll an executor that does nothing until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, executor.slots
        executor.poll(0.1, lambda event: pytest.fail(f"nothing runs, but {event}"))


def test_a_worker_that_is_killed_or_dies_has_a_successor_of_another_number(executor, tmp_path):
    assert len(executor.slots) == 3
    first, second, third = executor.slots
    log = tmp_path / "logs" / "1.jsonl"
    executor.submit(first, {"function": MISBEHAVE, "do": "tell", "log": str(log)})
    events = wait_for(executor, "done")
    assert [event.data for event in events[:-1]] == [{"step": n} for n in range(3)]
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [0, 1, 2]
    pid = events[-1].data["pid"]
    executor.submit(first, {"function": MISBEHAVE, "do": "tell"})
    assert wait_for(executor, "done")[-1].data["pid"] == pid  # it lives from job to job

    executor.submit(first, {"function": MISBEHAVE, "do": "wait"})
    executor.submit(second, {"function": MISBEHAVE, "do": "die"})
    lost = wait_for(executor, "lost")[-1]
    assert (lost.slot, lost.data["machine_gone"]) == (second, False)
    assert "died" in lost.data["message"]
    executor.kill(first)
    executor.submit(third, {"function": MISBEHAVE, "do": "raise", "error": "MemoryError"})
    (failed,) = wait_for(executor, "failed")  # nothing more is told of the one that was killed
    assert (failed.slot, failed.data["cause"]) == (third, "oom")
    wait_until(executor, lambda: len(executor.slots) == 3)
    assert third in executor.slots
    assert {first, second}.isdisjoint(executor.slots)
    executor.submit(second, {"function": MISBEHAVE, "do": "tell"})  # of a slot that has gone
    assert wait_for(executor, "lost")[-1].data["machine_gone"]


def test_a_search_goes_on_when_machines_go_and_come(ray_cluster, executor, tmp_path, capfd):
    """The story is that of an undisturbed search in one process, and no attempt is charged."""
    (victim, *_) = ray_cluster.worker_nodes
    seen, changes = [], []

    def watch(event):
        if event["kind"] == "slots":
            changes.append(event["count"])
        if event["kind"] == "progress":
            seen.append(event["slot"])
            if len(seen) == 8:
                ray_cluster.remove_node(victim, allow_graceful=False)
                ray_cluster.add_node(wait=False, **NODE)

    with Store.create(tmp_path / "inline", {}) as undisturbed:
        search(undisturbed)
        expected = story(undisturbed)
    with Store.create(tmp_path / "ray", {}) as store:
        search(store, executor=executor, make_job=make_job(0.7), on_event=watch)
        assert story(store) == expected
        assert {one.status for one in store.individuals()} == {"done"}
        outcomes = [attempt.outcome for attempt in store.attempts()]
        assert outcomes.count("done") == len(expected)
        assert set(outcomes) <= {"done", "interrupted"}
        for one in store.individuals():
            assert (store.folder / "logs" / f"{one.id}.jsonl").is_file()
    assert "interrupted" in outcomes
    assert changes
    assert len(set(seen)) > 3
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("quick")
def test_trainings_on_a_cluster_give_what_they_give_in_one_process(
    ray_cluster, dots, finished_run, tmp_path
):
    """Crops and weights travel by a URL; the machines have caches of their own."""
    options = {"executor": "ray", "address": ray_cluster.address, "threads": 1}
    shared = f"file://{tmp_path / 'shared'}"
    done = evolve(dots, run=tmp_path / "run", **OPTIONS, **options, workers=2, shared=shared)
    assert done.best is not None
    assert told(tmp_path / "run") == told(finished_run)
    assert (tmp_path / "run" / "logs" / "1.transfer.json").is_file()
    left = {path.name for path in (tmp_path / "shared").rglob("*") if path.is_file()}
    assert left == {"images.u8", "samples.npz", "meta.json"}


def test_a_cluster_that_cannot_see_the_data_is_said(ray_cluster, tmp_path):
    """Crops whose place is there on no machine."""
    nowhere = replace(places_of(tmp_path, None), crops=str(tmp_path / "nowhere"))
    check = check_job(nowhere, {"/crops/abc"}, versions())
    with pytest.raises(ConfigError, match=r"cannot read the crops at .*nowhere/abc.*give --shared"):
        RayExecutor(address=ray_cluster.address, slots=1, check=check)


def test_a_machine_whose_workers_fail_their_check_is_not_used(ray_cluster, caplog):
    check = {"function": MISBEHAVE, "do": "raise", "error": "ValueError"}
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ConfigError, match=r"machine .* is not used: no such thing"),
    ):
        RayExecutor(address=ray_cluster.address, slots=1, check=check)
    assert "is not used" in caplog.text


def test_what_no_machine_has_is_refused(ray_cluster):
    with pytest.raises(ConfigError, match=r"no machine of the cluster has room for .* 7 CPUs"):
        RayExecutor(address=ray_cluster.address, threads=7)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_said_at_once(address):
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(ConfigError, match=f"no Ray cluster can be used at --address {address}: "):
        RayExecutor(address=address)


WITHOUT = """
import sys
sys.modules["ray"] = None
from evopose.api import evolve
from evopose.errors import ConfigError
from evopose.evolution.executors import EXECUTORS
EXECUTORS["inline"](); EXECUTORS["process"]().close()
try:
    EXECUTORS["ray"]()
except ConfigError as error:
    print(error)
"""


def test_without_ray_only_its_executor_fails_and_says_what_to_install():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert "pip install 'evopose[ray]'" in done.stdout


def test_importing_executors_imports_no_ray():
    code = "import sys, evopose.evolution.executors; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
