"""The status of a run in the middle of its search, against what the store was told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolution.toys import individual
from evopose.evolution.store import Store
from evopose.report import status
from evopose.report.status import (
    attempts_text,
    first_line,
    grouped,
    lost_text,
    read_status,
    status_json,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The ancestor trained, one that failed, one in training after its worker was lost, a clone."""
    with Store.create(tmp_path / "run", {"title": "dots"}) as made:
        made.begin_session(2)
        clone = individual(1, kind="clone", genotype=individual().genotype)
        made.propose([individual(), individual(1), individual(2), clone])
        no = made.lease("0", slot=0, seconds=60)
        result = {"blob": made.blobs.put(b"weights")}
        made.finish("0", no, loss=0.5, error=0.5, fitness=0.5, result=result)
        no = made.lease("1", slot=0, seconds=60)
        made.fail("1", no, reason="out of memory\nline 3", outcome="oom", error="tried 8 GB")
        no = made.lease("2", slot=1, seconds=60)
        made.lose("2", no, outcome="lost", error="its worker process died")
        made.lease("2", slot=1, seconds=600)
        (made.folder / "logs").mkdir()
        for birth in range(3):
            (made.folder / "logs" / f"{birth}.jsonl").write_bytes(b"x" * 100)
        (made.folder / "logs" / "search.jsonl").write_bytes(b"")
        (made.folder / "work" / "2").mkdir(parents=True)
        (made.folder / "work" / "2" / "half.pt").write_bytes(b"x" * 30)
        yield made


def test_it_says_what_the_store_was_told(store: Store) -> None:
    found = read_status(store.folder)
    assert found.snapshot.state == "running"
    assert (found.finished, found.winner and found.winner.id) == (1, "0")
    assert found.attempts == {"done": 1, "oom": 1, "lost": 1, "running": 1}
    assert attempts_text(found.attempts) == "1 done, 1 running, 1 lost, 1 out of memory"
    assert [(one.reason, one.ids) for one in found.failures] == [("out of memory", ("1",))]
    assert found.last_lost is not None
    assert lost_text(found.last_lost).startswith("2 (lost, ")
    assert lost_text(found.last_lost).endswith("its worker process died")
    (worker,) = found.snapshot.workers
    assert (worker.individual.id, worker.attempt, worker.slot) == ("2", 2, 1)
    assert worker.lease_until - worker.started_at == 600
    disk = found.disk
    assert (disk.weights.kept, disk.weights.kept_bytes, disk.weights.dropped) == (1, 7, 0)
    assert disk.work >= 30
    assert (disk.logs, disk.logs_estimated) == (300, False)
    told = json.loads(json.dumps(status_json(found)))
    assert told["last_error"]["error"] == "its worker process died"
    assert told["workers"][0]["lease_seconds_left"] == pytest.approx(600, abs=30)


def test_many_logs_are_estimated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "MOST_LOGS", 2)
    (store.folder / "logs" / "0.transfer.json").write_bytes(b"x" * 50)
    disk = read_status(store.folder).disk
    # Individuals 0 and 2 are measured, of three.
    assert (disk.logs, disk.logs_estimated) == (250 * 3 // 2, True)


def test_failures_are_grouped_by_first_lines_the_most_frequent_first() -> None:
    found = grouped([("9", "b\nx"), ("8", "a"), ("7", "b\ny"), ("6", "c" * 999)])
    assert (found[0].ids, found[0].reason) == (("9", "7"), "b")
    assert len(found[-1].reason) == 243


def test_of_a_traceback_its_exception_is_told() -> None:
    trace = (
        "Traceback (most recent call last):\n  File a\nOSError: first\n\nDuring handling:\n\n"
        "Traceback (most recent call last):\n  File b, line 1\n    net(x)\n"
        "RuntimeError: sizes do not fit\nsee its log\n"
    )
    assert first_line(trace) == "RuntimeError: sizes do not fit"
    assert first_line("its worker process died\nby SIGKILL") == "its worker process died"
    assert first_line("  ") == ""
