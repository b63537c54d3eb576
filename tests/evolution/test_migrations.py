"""Runs of older formats: read as they are, and made runs of this one with a copy kept."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from evolution.toys import CONFIG, individual, search, story
from evopose.errors import RunError
from evopose.evolution import database
from evopose.evolution.schema import FORMAT, MIGRATIONS
from evopose.evolution.store import Store

FORMAT_2 = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE session (
    no INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    started_at REAL NOT NULL,
    seen_at REAL NOT NULL
);
CREATE TABLE blob (
    sha TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('kept', 'dropped'))
);
CREATE TABLE individual (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('ancestor', 'mutant', 'clone', 'repeat')),
    birth INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    parent_id TEXT REFERENCES individual (id),
    genotype TEXT NOT NULL,
    digest TEXT NOT NULL,
    changes TEXT NOT NULL,
    seed INTEGER NOT NULL,
    num_parameters INTEGER NOT NULL,
    num_macs INTEGER NOT NULL,
    latency_ms REAL,
    latency_device TEXT,
    created_at REAL NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('proposed', 'running', 'done', 'failed')),
    fail_reason TEXT,
    loss REAL,
    error REAL,
    fitness REAL,
    result TEXT NOT NULL,
    blob TEXT REFERENCES blob (sha),
    finished_at REAL,
    seconds REAL
);
CREATE UNIQUE INDEX one_birth ON individual (birth) WHERE kind IN ('ancestor', 'mutant');
CREATE UNIQUE INDEX one_genotype ON individual (digest) WHERE kind IN ('ancestor', 'mutant');
CREATE INDEX by_status ON individual (status);
CREATE INDEX by_generation ON individual (generation, status);
CREATE INDEX by_fitness ON individual (fitness, birth) WHERE status = 'done'
    AND kind IN ('ancestor', 'mutant');
CREATE INDEX by_blob ON individual (blob);
CREATE TABLE attempt (
    individual_id TEXT NOT NULL REFERENCES individual (id),
    no INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    started_at REAL NOT NULL,
    lease_until REAL NOT NULL,
    ended_at REAL,
    outcome TEXT NOT NULL CHECK (outcome IN ('running', 'done', 'failed', 'diverged', 'oom',
                                             'lost', 'timeout', 'interrupted', 'duplicate')),
    error TEXT,
    busy_seconds REAL,
    PRIMARY KEY (individual_id, no)
);
CREATE UNIQUE INDEX one_result ON attempt (individual_id) WHERE outcome = 'done';
CREATE INDEX open_attempts ON attempt (outcome) WHERE outcome = 'running';
CREATE TABLE latency (
    digest TEXT NOT NULL,
    device TEXT NOT NULL,
    milliseconds REAL NOT NULL,
    PRIMARY KEY (digest, device)
);
CREATE TABLE event (
    no INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL
)
"""
"""The tables as the first released version made them."""


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """A run of format 2, two generations into its search."""
    with Store.create(tmp_path / "made", {"data": "abc"}) as store:
        search(store, replace(CONFIG, generations=2))
        rows = {
            table: [tuple(row) for row in store._db.rows(f"SELECT * FROM {table}")]
            for table in ("meta", "session", "blob", "individual", "attempt", "latency", "event")
        }
        blobs = store.blobs.folder
        run = tmp_path / "old"
        run.mkdir()
        blobs.rename(run / "blobs")
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        db.executescript(FORMAT_2)
        for table, found in rows.items():
            if found:
                db.executemany(
                    f"INSERT INTO {table} VALUES ({','.join('?' * len(found[0]))})", found
                )
        db.execute("PRAGMA user_version = 2")
        db.commit()
        db.execute("PRAGMA journal_mode = WAL")
    return run


def shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table's columns and every index's, by name."""
    with closing(sqlite3.connect(path)) as db:
        names = db.execute("SELECT type, name FROM sqlite_master").fetchall()
        details = {"table": "table_info", "index": "index_xinfo"}
        found = {
            name: db.execute(f"PRAGMA {details[kind]}({name})").fetchall() for kind, name in names
        }
        partial = db.execute(
            "SELECT name, substr(sql, instr(sql, 'WHERE')) FROM sqlite_master "
            "WHERE sql LIKE '%INDEX%WHERE%'"
        ).fetchall()
        version = db.execute("PRAGMA user_version").fetchall()
    return found | {
        "partial": sorted((n, " ".join(t.split())) for n, t in partial),
        "version": version,
    }


def test_every_older_format_has_its_next_one() -> None:
    assert list(MIGRATIONS) == list(range(2, FORMAT))


def test_an_old_run_goes_on_where_it_was(old_run: Path, tmp_path: Path) -> None:
    with Store.open(old_run) as store:
        search(store, CONFIG)
        gone_on = story(store)
    with Store.create(tmp_path / "whole", {"data": "abc"}) as store:
        search(store, CONFIG)
        assert story(store) == gone_on
    assert shape(old_run / "run.sqlite") == shape(tmp_path / "whole" / "run.sqlite")
    with closing(sqlite3.connect(old_run / "run.sqlite.format-2")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert db.execute("SELECT max(generation) FROM individual").fetchone() == (2,)


def test_reading_an_old_run_changes_nothing(old_run: Path) -> None:
    before = (old_run / "run.sqlite").read_bytes()
    with Store.read(old_run) as store:
        assert store.last_generation() == 2
        assert (
            store.best(1)
            == sorted(
                (one for one in store.individuals() if one.competes and one.fitness is not None),
                key=lambda one: (one.fitness, one.birth),
            )[:1]
        )
    assert (old_run / "run.sqlite").read_bytes() == before
    assert {path.name for path in old_run.iterdir()} <= {
        "blobs", "run.sqlite", "run.sqlite-shm", "run.sqlite-wal",
    }  # fmt: skip


def test_a_migration_that_breaks_off_has_done_nothing(
    old_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shape(old_run / "run.sqlite")
    monkeypatch.setitem(database.MIGRATIONS, 2, MIGRATIONS[2] + "; CREATE TABLE meta (x)")
    with pytest.raises(sqlite3.OperationalError, match="meta already exists"):
        Store.open(old_run)
    assert shape(old_run / "run.sqlite") == before
    monkeypatch.undo()
    with Store.open(old_run) as store:
        store.propose([individual(5000, generation=9)])
        assert store.last_birth() == 5000


def test_a_format_that_nobody_knows_is_refused(old_run: Path) -> None:
    with closing(sqlite3.connect(old_run / "run.sqlite")) as db:
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(RunError, match="has format 1, this program reads format"):
        Store.open(old_run)
    assert not list(old_run.glob("*.format-*"))
