"""One contract for all executors, and what only processes survive."""

import json
import os
import time

import psutil
import pytest

from evopose.evolution.executors import EXECUTORS, ProcessExecutor, RayExecutor

RAY = pytest.mark.xdist_group("ray")
MISBEHAVE = "evolution.toys:misbehave"


@pytest.fixture(scope="module")
def on_a_cluster(ray_cluster):
    """An executor that begins slowly, for all tests of the contract."""
    executor = RayExecutor(address=ray_cluster.address, slots=1)
    yield executor
    executor.close()


@pytest.fixture(params=["inline", "process", pytest.param("ray", marks=RAY)])
def executor(request):
    if request.param == "ray":
        yield request.getfixturevalue("on_a_cluster")
        return
    executor = EXECUTORS[request.param]()
    yield executor
    executor.close()


def test_every_executor_is_under_contract():
    assert list(EXECUTORS) == ["inline", "process", "ray"]


@pytest.fixture
def process():
    executor = ProcessExecutor(
        slots=2, initializer="evolution.toys:note_settings", settings="from the coordinator"
    )
    yield executor
    executor.close()


def a_slot(executor, seconds=20.0):
    """A slot to use; of a cluster, where one was killed, when its successor has come."""
    deadline = time.monotonic() + seconds
    while not executor.slots:
        assert time.monotonic() < deadline, "no slot came"
        executor.poll(0.1, lambda event: pytest.fail(f"nothing runs, but {event}"))
    return executor.slots[0]


def run(executor, slot=None, seconds=20.0, until=("done", "failed", "lost"), **job):
    """Submit a job and return the events up to its end."""
    slot = a_slot(executor) if slot is None else slot
    executor.submit(slot, {"function": MISBEHAVE} | job)
    return wait_for(executor, until, seconds)


def wait_for(executor, until, seconds=20.0):
    events = []
    deadline = time.monotonic() + seconds
    while not (events and events[-1].kind in until):
        assert time.monotonic() < deadline, f"nothing ended: {events}"
        executor.poll(0.1, events.append)
    return events


def test_progress_comes_before_the_result_and_both_are_plain(executor):
    events = run(executor, do="tell")
    assert [event.kind for event in events] == ["progress"] * 3 + ["done"]
    assert [event.data for event in events[:3]] == [{"step": n} for n in range(3)]
    assert events[-1].data["loss"] == 1.0
    assert {event.slot for event in events} == {executor.slots[0]}


def test_a_slot_is_free_for_the_next_job_after_an_end(executor):
    for loss in (1.0, 2.0):
        assert run(executor, do="return", result={"loss": loss})[-1].data == {"loss": loss}


def test_a_large_result_arrives_whole(executor):
    assert len(run(executor, do="large")[-1].data["text"]) == 5_000_000


def test_results_are_what_json_makes_of_them(executor):
    assert run(executor, do="return", result={"pair": [1, 2], "none": None})[-1].data == {
        "pair": [1, 2],
        "none": None,
    }


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("ValueError", "error"),
        ("exit", "error"),
        ("MemoryError", "oom"),
        ("cuda", "oom"),
        ("cpu", "oom"),
        ("ENOSPC", "disk_full"),
        ("diverged", "diverged"),
    ],
)
def test_an_exception_is_told_with_its_cause(executor, error, cause):
    failed = run(executor, do="raise", error=error)[-1]
    assert (failed.kind, failed.data["cause"]) == ("failed", cause)
    assert ": " in failed.data["message"]
    assert "in misbehave" in failed.data["traceback"]


@pytest.mark.parametrize("function", ["evolution.toys:nothing", "no.such:thing", "nonsense"])
def test_a_function_that_is_not_there_is_a_failure_of_the_job(executor, function):
    failed = run(executor, function=function)[-1]
    assert (failed.kind, failed.data["cause"]) == ("failed", "error")


def test_heartbeats_are_lines_of_the_log(executor, tmp_path):
    log = tmp_path / "logs" / "1.jsonl"
    for _ in range(2):
        run(executor, do="tell", log=str(log))
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [0, 1, 2] * 2


def test_a_killed_job_is_told_of_no_more(executor):
    events = []

    def tell(event):
        events.append(event)
        executor.kill(event.slot)

    executor.submit(a_slot(executor), {"function": MISBEHAVE, "do": "wait"})
    deadline = time.monotonic() + 20
    while not events and time.monotonic() < deadline:
        executor.poll(0.1, tell)
    executor.poll(0.1, tell)
    assert [event.kind for event in events] == ["progress"]
    assert run(executor, do="return", result={"loss": 3.0})[-1].data == {"loss": 3.0}


def test_workers_are_set_up_once_and_live_from_job_to_job(process):
    first, second = (run(process, do="tell")[-1].data for _ in range(2))
    assert first["settings"] == "from the coordinator"
    assert first["pid"] == second["pid"] != os.getpid()


def test_a_killed_worker_takes_no_other_with_it(process):
    process.submit(1, {"function": MISBEHAVE, "do": "wait"})
    wait_for(process, ["progress"])
    lost = next(e for e in run(process, 0, until=["lost"], do="die") if e.slot == 0)
    assert lost.kind == "lost"
    assert "SIGKILL" in lost.data["message"]
    assert all(event.slot == 1 for event in wait_for(process, ["progress"]))
    done = [e for e in run(process, 0, until=["done"], do="tell") if e.kind == "done"]
    assert done[0].slot == 0


def test_a_worker_that_dies_between_two_jobs_costs_none(process):
    pid = run(process, do="tell")[-1].data["pid"]
    psutil.Process(pid).kill()
    psutil.wait_procs([p for p in [_find(pid)] if p], timeout=5)
    time.sleep(0.3)
    assert run(process, do="tell")[-1].kind == "done"


def test_a_hung_worker_is_killed_for_good(process):
    pid = run(process, do="hang", until=["progress"])[-1].data["pid"]
    begun = time.monotonic()
    process.kill(0)
    assert time.monotonic() - begun < 5
    assert _find(pid) is None
    assert run(process, do="tell")[-1].kind == "done"


def test_closing_ends_all_workers():
    executor = ProcessExecutor(slots=2)
    for slot in range(2):
        executor.submit(slot, {"function": MISBEHAVE, "do": "wait"})
    pids = set()
    while len(pids) < 2:
        pids |= {event.data["pid"] for event in wait_for(executor, ["progress"])}
    executor.close()
    assert [pid for pid in pids if _find(pid)] == []


def test_workers_get_their_environment_before_they_start():
    executor = ProcessExecutor(environment={"TOY": "from the start"})
    assert run(executor, do="tell")[-1].data["settings"] == "from the start"
    executor.close()


def _find(pid):
    """The living process of this id, if there is one."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None
