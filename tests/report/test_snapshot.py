"""A look at a search while it runs, against what the store was told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evopose.errors import RunError
from evopose.evolution.individual import Individual
from evopose.evolution.store import Store
from evopose.report import snapshot
from evopose.report.snapshot import read_snapshot, snapshot_json
from evopose.report.tails import tail

EVOLUTION = {"children": 16, "clones": True, "generations": 6, "hours": None}


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(snapshot.time, "time", made)
    return made


@pytest.fixture
def store(tmp_path: Path, search: list[Individual], clock: Clock) -> Iterator[Store]:
    """A run in the middle of generation 1: the ancestor and three children trained, two running."""
    meta = {"title": "dots: demo", "source": "data/dots"}
    with Store.create(tmp_path / "run", meta, clock=clock) as made:
        (made.folder / "config.json").write_text(json.dumps({"evolution": EVOLUTION}))
        made.begin_session(2)
        young = [one for one in search if one.generation < 2]
        made.propose(replace(o, status="proposed", loss=None, fitness=None) for o in young)
        for one in (young[0], *young[1:3], young[-1]):
            no = made.lease(one.id, slot=0, seconds=60)
            clock.now += 20
            result = {"mean_oks": 0.5, "seconds": 20.0}
            loss = one.loss or 0.9
            made.finish(
                one.id, no, loss=loss, error=loss, fitness=one.fitness or 0.9, result=result
            )
        for slot, one in enumerate(young[3:5]):
            made.lease(one.id, slot=slot, seconds=60)
        yield made


def write(log: Path, *lines: object) -> None:
    log.parent.mkdir(exist_ok=True)
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


STEP = {"epoch": 2, "epochs": 4, "step": 5, "steps": 10, "loss": 0.7, "images_per_second": 123.0}


def test_it_shows_generation_best_clone_and_time(
    store: Store, search: list[Individual], clock: Clock
) -> None:
    found = read_snapshot(store.folder, best=2)
    assert (found.state, found.name, found.data) == ("running", "dots: demo", "data/dots")
    assert (found.generation, found.generations, found.born, found.ended) == (1, 6, 17, 3)
    assert [one.id for one in found.best] == [one.id for one in store.best(2)]
    assert found.best_by_generation == tuple(store.best_by_generation())
    assert found.clone.id == "c1"
    children = [search[1], search[2]]
    assert found.clone_rival.fitness == min(o.fitness or 0.9 for o in children)
    assert found.seconds == 80
    told = snapshot_json(found)
    assert told["gain_over_clone"] == pytest.approx(found.clone.fitness - found.clone_rival.fitness)
    # 14 individuals wait or run, 5 generations of 17 follow, 20 s each, two at once.
    assert found.seconds_left == pytest.approx((14 + 5 * 17) * 20 / 2)
    assert json.dumps(told, allow_nan=False)


def test_workers_say_what_they_train(
    store: Store, search: list[Individual], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = search[3], search[4]
    write(store.folder / "logs" / f"{first.id}.jsonl", {"phase": "inherit"}, STEP)
    write(store.folder / "logs" / f"{second.id}.jsonl", STEP, {"kind": "validation"})
    clock.now += 7
    workers = read_snapshot(store.folder).workers
    assert [(w.slot, w.individual.id, w.phase) for w in workers] == [
        (0, first.id, "training"),
        (1, second.id, "validating"),
    ]
    assert workers[0].share == pytest.approx((1 + 5 / 10) / 4)
    told = snapshot_json(read_snapshot(store.folder))["workers"][0]
    assert (told["epoch"], told["loss"], told["images_per_second"]) == (2, 0.7, 123.0)
    assert told["seconds"] == 7
    write(store.folder / "logs" / f"{first.id}.jsonl", {"phase": "inherit"})
    (inheriting, _) = read_snapshot(store.folder).workers
    assert (inheriting.phase, inheriting.share) == ("inheriting", None)


def test_what_an_earlier_attempt_logged_is_not_shown(
    store: Store, search: list[Individual], clock: Clock
) -> None:
    log = store.folder / "logs" / f"{search[3].id}.jsonl"
    write(log, STEP)
    store.lose(search[3].id, 1, outcome="lost")
    clock.now = log.stat().st_mtime + 100
    store.lease(search[3].id, slot=0, seconds=60)
    (worker, _) = read_snapshot(store.folder).workers
    assert (worker.attempt, worker.phase, worker.progress) == (2, "starting", {})


def test_an_end_is_seen(store: Store, clock: Clock) -> None:
    store.release()
    store.log("stopped", ending="stopped", reason="it was stopped")
    clock.now += 500  # passes for nobody
    found = read_snapshot(store.folder)
    assert (found.state, found.stop_reason) == ("interrupted", "it was stopped")
    assert (found.seconds, found.seconds_left, found.workers) == (80, None, ())


def test_an_error_is_the_reason_of_its_end(store: Store, clock: Clock) -> None:
    reason = "the weights that are needed take 3 GB, above the quota of 2 GB"
    error = {"at": clock.now, "kind": "stopped", "ending": "error", "reason": reason}
    write(store.folder / "logs" / "search.jsonl", {"at": 1.0, "kind": "session"}, error)
    found = read_snapshot(store.folder)
    assert (found.state, found.stop_reason, found.workers) == ("interrupted", reason, ())


def test_hours_cap_the_estimate(store: Store) -> None:
    limits = EVOLUTION | {"hours": 0.1, "generations": None}
    (store.folder / "config.json").write_text(json.dumps({"evolution": limits}))
    assert read_snapshot(store.folder).seconds_left == pytest.approx(360 - 80)
    (store.folder / "config.json").write_text(json.dumps({"evolution": {"children": 16}}))
    assert read_snapshot(store.folder).seconds_left is None


def test_events_are_the_last_ones_that_say_something(store: Store) -> None:
    quiet = [{"at": 1.0, "kind": kind, "id": "3"} for kind in ("proposed", "started")]
    done = [{"at": 2.0, "kind": "done", "id": str(n)} for n in range(5)]
    write(store.folder / "logs" / "search.jsonl", *done, *quiet)
    found = read_snapshot(store.folder, events=3).events
    assert [event["id"] for event in found] == ["2", "3", "4"]
    assert read_snapshot(store.folder, events=0).events == ()


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert tail(log) == []
    log.write_text('{"a": 1}\n{"a": 2, "b\n{"a": 3}\n[4]\n{"a": 5}\n{"a": 6')
    assert tail(log) == [{"a": 1}, {"a": 3}, {"a": 5}]
    log.write_text("".join(f'{{"a": {n}}}\n' for n in range(1000)))
    assert tail(log, 100) == [{"a": n} for n in range(991, 1000)]


def test_no_run_is_an_error_and_an_empty_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not the folder of a run"):
        read_snapshot(tmp_path)
    with Store.create(tmp_path / "run", {}) as made:
        found = read_snapshot(made.folder)
        assert (found.state, found.generation, found.born, found.best) == ("new", -1, 0, ())
