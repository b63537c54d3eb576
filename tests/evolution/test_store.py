"""The store: what is told is kept, counts once, and mistakes have their message."""

import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from evolution.toys import individual
from evopose.errors import RunError, RunFailed
from evopose.evolution.connections import connect
from evopose.evolution.database import errors_of
from evopose.evolution.selection import best, pareto_front
from evopose.evolution.store import Store
from evopose.genotype import Change


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def store(folder):
    with Store.create(folder, {"data": "abc", "space": {"name": "toy"}}) as store:
        yield store


def finish(store, id, *, loss=0.5, error=0.5, fitness=None, **result):
    no = store.lease(id, slot=0, seconds=60)
    fitness = loss if fitness is None else fitness
    return store.finish(
        id, no, loss=loss, error=loss, fitness=fitness, result={"loss": loss} | result
    )


# Folders


def test_a_run_keeps_its_meta_and_refuses_a_second_creation(store, folder):
    assert store.meta == {"data": "abc", "space": {"name": "toy"}}
    store.close()
    with pytest.raises(RunError, match="is a run already: go on with --resume"):
        Store.create(folder, {})
    with Store.open(folder) as again:
        assert again.meta["data"] == "abc"


def test_a_creation_that_was_cut_off_is_no_run_yet(folder):
    folder.mkdir()
    (folder / "run.sqlite").touch()
    with Store.create(folder, {"data": "abc"}) as store:
        assert store.meta == {"data": "abc"}


def test_a_folder_without_a_run_is_named(tmp_path):
    for way in (Store.open, Store.read):
        with pytest.raises(RunError, match=r"is not the folder of a run \(it has no run.sqlite\)"):
            way(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_format_is_not_touched(store, folder):
    store.close()
    with closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    for way in (Store.open, Store.read):
        with pytest.raises(RunError, match="has format 99, this program reads format 3"):
            way(folder)


def test_a_damaged_database_is_named(folder):
    folder.mkdir()
    (folder / "run.sqlite").write_bytes(b"not a database" * 1000)
    for way in (Store.open, Store.read):
        with pytest.raises(RunError, match=r"run\.sqlite is damaged"):
            way(folder)


@pytest.mark.parametrize(
    ("written", "instead"),
    [(b'{"name": "toy"}', b'{"name" ""toy"}'), (b'"abc"', b'"\xff\xfe\xfd"')],
)
def test_a_garbled_row_is_named(store, folder, written, instead):
    store.close()
    file = folder / "run.sqlite"
    file.write_bytes(file.read_bytes().replace(written, instead))
    with Store.read(folder) as reader, pytest.raises(RunError, match=r"run\.sqlite is damaged"):
        _ = reader.meta


def test_a_damaged_page_is_named(store, folder):
    store.propose([individual(birth) for birth in range(200)])
    store.close()
    with (folder / "run.sqlite").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"x" * (size - 4096))
    with Store.read(folder) as reader:
        for look in (reader.individuals, reader.standings, reader.counts, reader.events):
            with pytest.raises(RunError, match=r"run\.sqlite is damaged"):
                look()
    with pytest.raises(RunError, match=r"run\.sqlite is damaged"):
        Store.open(folder)


@pytest.mark.parametrize("version", [0, 2, 3])
def test_a_database_of_something_else_is_no_run_and_not_touched(folder, version):
    folder.mkdir()
    with closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.execute("CREATE TABLE meta (x)")
        db.execute(f"PRAGMA user_version = {version}")
    before = (folder / "run.sqlite").read_bytes()
    for way in (Store.open, Store.read):
        with pytest.raises(RunError, match=r"run\.sqlite is not the database of a run"):
            way(folder)
    with pytest.raises(RunError, match=r"is not the database .* choose another folder"):
        Store.create(folder, {})
    assert (folder / "run.sqlite").read_bytes() == before


def test_a_database_that_another_program_holds_is_named(store, folder, monkeypatch):
    store.close()
    monkeypatch.setattr("evopose.evolution.connections.BUSY_SECONDS", 0)
    with closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        for way in (Store.open, Store.read):
            with pytest.raises(RunError, match=r"another program holds .*run\.sqlite"):
                way(folder)


@pytest.mark.parametrize(
    ("free", "said"), [(8192, "the disk of .* is full"), (10**9, r"failed \(disk I/O error\)")]
)
def test_a_disk_that_fails_is_full_or_told_as_it_is(folder, monkeypatch, free, said):
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr("evopose.evolution.database.shutil.disk_usage", lambda path: usage)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    with pytest.raises(RunFailed, match=said), errors_of(folder):
        raise error


def test_a_run_that_found_no_room_was_not_begun(folder, monkeypatch):
    def small(folder, mode):
        connection = connect(folder, mode)
        connection.execute("PRAGMA max_page_count = 2")
        return connection

    monkeypatch.setattr("evopose.evolution.database.connect", small)
    with pytest.raises(RunFailed, match=r"no run was begun in .* Free some space"):
        Store.create(folder, {})
    monkeypatch.undo()
    for way in (Store.open, Store.read):
        with pytest.raises(RunError, match="could not begin; begin it again, without --resume"):
            way(folder)
    with Store.create(folder, {"data": "abc"}) as made:
        assert made.meta == {"data": "abc"}


def test_a_second_coordinator_is_told_who_is_at_it(store, folder):
    with pytest.raises(RunError, match=f"in use by process {os.getpid()} on "):
        Store.open(folder)
    store.propose([individual()])
    with Store.read(folder) as reader:
        assert reader.counts()["proposed"] == 1
        store.propose([individual(1)])
        assert reader.counts()["proposed"] == 2


@pytest.fixture
def unwritable():
    """A folder that this process, if need be as another user, may read but not write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        if os.geteuid() != os.getuid():
            os.seteuid(os.getuid())
        folder.chmod(0o755)


def make_unwritable(folder):
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:
        os.seteuid(65534)  # the superuser may write anywhere


def test_a_folder_that_cannot_be_written_is_named_and_still_read(unwritable):
    with Store.create(unwritable, {}) as store:
        store.propose([individual()])
    make_unwritable(unwritable)
    with Store.read(unwritable) as reader:
        assert reader.individual("0") == individual()
    with pytest.raises(
        RunError, match=f"{unwritable} cannot be written: make it a folder that can be"
    ):
        Store.open(unwritable)


def test_a_run_cannot_be_made_where_nobody_may_write(unwritable):
    make_unwritable(unwritable)
    with pytest.raises(RunError, match=r"run cannot be written: .* choose another"):
        Store.create(unwritable / "run", {})


def test_a_folder_that_cannot_be_made_is_told_and_a_file_that_is_gone_is_not_the_folders_fault(
    tmp_path,
):
    for folder in (tmp_path / "gone" / "run", tmp_path / ("a" * 300)):
        with pytest.raises(RunError, match="cannot be written"), errors_of(folder):
            folder.mkdir()
    with pytest.raises(FileNotFoundError), errors_of(tmp_path):
        (tmp_path / "gone").read_bytes()


def fill_disk(store):
    """Let the database grow no more."""
    pages = store._db.value("PRAGMA page_count")
    store._db.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_says_what_is_kept_and_loses_nothing(store, folder):
    store.propose([individual()])
    fill_disk(store)
    many = [individual(birth) for birth in range(1, 1000)]
    with pytest.raises(RunError, match="All results so far are kept: free some space, then go on"):
        store.propose(many)
    assert store.counts()["proposed"] == 1
    store.close()
    with Store.open(folder) as again:
        again.propose(many)
        assert again.last_birth() == 999


# Individuals


def test_an_individual_comes_back_as_it_was_proposed(store):
    ancestor = individual()
    change = Change(stage=0, gene="filters", before=1, after=2)
    child = individual(1, changes=(change,))
    clone = individual(1, kind="clone", genotype=ancestor.genotype)
    store.propose([ancestor, child, clone])
    assert [one.id for one in store.individuals()] == ["0", "1", "c1"]
    assert store.individuals() == [ancestor, child, clone]
    assert store.individual("c1") == clone
    assert store.individuals(generation=1, status="proposed") == [child, clone]
    assert store.individuals(status="done") == []
    assert (store.last_birth(), store.last_generation()) == (1, 1)
    with pytest.raises(
        RunError, match="no individual '7': its ancestor is 0, its mutants are 1 to"
    ):
        store.individual("7")


def test_an_empty_run_has_neither_births_nor_generations(store):
    assert (store.last_birth(), store.last_generation()) == (-1, -1)
    assert store.best(3) == store.pareto() == store.best_by_generation() == []
    assert store.spent_seconds() == 0


def test_a_generation_is_proposed_whole_or_not_at_all(store):
    twin = replace(individual(2), genotype=individual(1).genotype)
    with pytest.raises(sqlite3.IntegrityError, match="digest"):
        store.propose([individual(), individual(1), twin])
    assert store.counts()["proposed"] == 0
    assert not store.known(twin.genotype.digest)


def test_clones_are_neither_known_nor_born(store):
    store.propose([individual(), individual(3, kind="clone")])
    assert store.last_birth() == 0
    assert not store.known(individual(3).genotype.digest)
    assert store.known(individual().genotype.digest)


def test_a_result_is_kept_with_its_times(store):
    store.propose([individual()])
    assert finish(store, "0", loss=0.25, fitness=0.2, seconds=8.5, busy_seconds=8.0, note=[1])
    one = store.individual("0")
    assert (one.status, one.loss, one.fitness, one.seconds) == ("done", 0.25, 0.2, 8.5)
    assert one.result["note"] == [1]
    (attempt,) = store.attempts("0")
    assert (attempt.no, attempt.outcome, attempt.busy_seconds) == (1, "done", 8.0)


# Results count once


def test_a_result_told_twice_counts_once(store):
    store.propose([individual()])
    assert finish(store, "0", loss=0.5)
    assert not store.finish("0", 1, loss=0.1, error=0.1, fitness=0.1, result={})
    assert store.individual("0").loss == 0.5
    assert [a.outcome for a in store.attempts()] == ["done"]


def test_the_later_of_two_twins_is_a_duplicate(store):
    store.propose([individual()])
    first = store.lease("0", slot=0, seconds=60)
    assert store.lose("0", first, outcome="timeout")
    second = store.lease("0", slot=1, seconds=60)
    assert store.finish("0", second, loss=0.5, error=0.5, fitness=0.5, result={})
    assert not store.finish("0", first, loss=0.1, error=0.1, fitness=0.1, result={})
    assert store.individual("0").loss == 0.5
    assert [a.outcome for a in store.attempts("0")] == ["timeout", "done"]


def test_a_late_result_counts_while_its_twin_still_runs(store):
    store.propose([individual()])
    first = store.lease("0", slot=0, seconds=60)
    store.lose("0", first, outcome="timeout")
    second = store.lease("0", slot=1, seconds=60)
    assert store.finish("0", first, loss=0.1, error=0.1, fitness=0.1, result={})
    assert not store.finish("0", second, loss=0.5, error=0.5, fitness=0.5, result={})
    assert store.individual("0").loss == 0.1
    assert [a.outcome for a in store.attempts("0")] == ["done", "duplicate"]


def test_a_late_failure_does_not_end_what_runs_again(store):
    store.propose([individual()])
    first = store.lease("0", slot=0, seconds=60)
    store.lose("0", first, outcome="lost")
    store.lease("0", slot=0, seconds=60)
    assert not store.fail("0", first, reason="late", outcome="failed")
    assert not store.lose("0", first, outcome="lost")
    assert store.individual("0").status == "running"


def test_the_database_itself_refuses_a_second_result(store):
    store.propose([individual()])
    finish(store, "0")
    with pytest.raises(sqlite3.IntegrityError):
        store._db.execute(
            "INSERT INTO attempt (individual_id, no, slot, started_at, lease_until, outcome) "
            "VALUES ('0', 2, 0, 0, 0, 'done')"
        )


def test_a_failure_has_its_reason_and_may_get_another_chance(store):
    store.propose([individual()])
    no = store.lease("0", slot=0, seconds=60)
    assert store.fail("0", no, reason="no memory", outcome="oom", error="line 3")
    one = store.individual("0")
    assert (one.status, one.fail_reason) == ("failed", "no memory")
    assert (store.attempts()[0].outcome, store.attempts()[0].error) == ("oom", "line 3")
    store.propose_again([one])
    assert store.individual("0") == individual()


def test_what_ran_when_the_coordinator_died_is_proposed_again_at_no_charge(folder):
    now = 100.0
    with Store.create(folder, {}, clock=lambda: now) as store:
        store.propose([individual()])
        store.begin_session(slots=1)
        now = 110.0
        store.lease("0", slot=0, seconds=60)
        orphan = store.blobs.put(b"told to nobody")
    now = 9000.0
    with Store.open(folder, clock=lambda: now) as store:
        assert store.individual("0").status == "proposed"
        (attempt,) = store.attempts()
        # It ended when it was last heard of, not when somebody looked.
        assert (attempt.outcome, attempt.ended_at) == ("interrupted", 110.0)
        assert not store.blobs.path(orphan).exists()
        assert store.spent_seconds() == 10.0


def test_time_is_counted_over_all_sessions(folder):
    times = iter([100.0, 130.0, 500.0, 505.0])
    now = 0.0

    def work(store):
        nonlocal now
        now = next(times)
        store.begin_session(slots=2)
        now = next(times)
        store.log("tick", n=1)

    with Store.create(folder, {}, clock=lambda: now) as store:
        work(store)
    with Store.open(folder, clock=lambda: now) as store:
        work(store)
    with Store.read(folder) as reader:
        assert reader.spent_seconds() == 35.0
        assert reader.events() == [
            {"at": 130.0, "kind": "tick", "n": 1},
            {"at": 505.0, "kind": "tick", "n": 1},
        ]


# Selection and retention


def populate(store):
    """An ancestor and six mutants with weights; the smaller, the worse. And a clone."""
    store.propose([individual(), *(individual(n, num_parameters=9 - n) for n in range(1, 7))])
    store.propose([individual(1, kind="clone", genotype=individual().genotype)])
    losses = {"0": 0.9, "1": 0.1, "2": 0.2, "3": 0.9, "4": 0.95, "5": 0.3, "6": 0.99, "c1": 0.05}
    for id, loss in losses.items():
        blob = store.blobs.put(f"weights of {id}".encode())
        finish(store, id, loss=loss, blob=blob)


def test_queries_select_as_the_functions_do(store):
    populate(store)
    everyone = store.individuals()
    assert store.best(3) == best(everyone, 3)
    assert [one.id for one in store.best(3)] == ["1", "2", "5"]
    assert store.pareto() == pareto_front(everyone)
    assert store.best_by_generation() == [0.9, 0.1]


def test_retention_keeps_what_somebody_needs_and_the_rows(store, folder):
    populate(store)
    front = {one.id for one in store.pareto()}
    dropped = store.retain(best=1)
    kept = {one.id for one in store.individuals() if one.blob}
    assert kept == front | {"0", "1"}
    assert "c1" not in kept
    assert 2 < len(kept) < 8
    assert dropped == 8 - len(kept)
    for one in store.individuals():
        assert one.status == "done"
        if one.blob:
            assert store.blobs.read(one.blob) == f"weights of {one.id}".encode()
    assert store.blobs.total_bytes() == sum(len(f"weights of {id}") for id in kept)


def test_parents_of_waiting_children_keep_their_weights(store):
    populate(store)
    loser = individual(7, num_parameters=99, num_macs=9999)
    orphan = individual(8, num_parameters=99, num_macs=9999)
    store.propose([loser, orphan])
    for one in (loser, orphan):
        finish(store, one.id, loss=5.0, blob=store.blobs.put(one.id.encode()))
    store.propose([individual(9, parent_id="7", generation=2)])
    store.retain(best=1)
    assert store.individual("7").blob is not None
    assert store.individual("8").blob is None


def test_a_dropped_blob_that_is_made_again_is_kept_again(store):
    store.propose([individual(), individual(1), individual(2)])
    finish(store, "0", loss=0.1, blob=store.blobs.put(b"first"))
    finish(store, "1", loss=0.9, blob=store.blobs.put(b"same"))
    store.retain(best=1)
    assert store.individual("1").blob is None
    finish(store, "2", loss=0.05, blob=store.blobs.put(b"same"))
    assert store.individual("2").blob is not None
    assert store.blobs.read(store.individual("2").blob) == b"same"


def test_the_files_of_a_run_are_those_that_are_told_of(store, folder):
    populate(store)
    names = {re.sub("-(wal|shm)$", "", path.name) for path in folder.iterdir()}
    assert names == {"run.sqlite", "LOCK", "blobs"}
