"""`evopose doctor`: a sound run has no errors, and each thing that is spoilt is named."""

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing

import pytest

from evopose.evolution.store import Store


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of a finished run, to spoil."""
    return shutil.copytree(finished_run, tmp_path / "run")


@pytest.fixture
def said(evopose):
    """What a doctor says of a run that is not ok, and the exit code."""

    def examine(run, *options):
        done = evopose("doctor", run, *options, "--json")
        told = [one for one in done.json["findings"] if one["level"] != "ok"]
        assert done.code == (1 if done.json["errors"] else 0)
        assert all(one["do"] for one in told)
        # Of the machine, which may be busy, nothing is expected here.
        return done.code, [o["what"] for o in told if "processes want" not in o["what"]]

    return examine


def spoil(run, *statements):
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def test_a_sound_run_has_no_errors(evopose, said, run):
    assert said(run, "--deep") == (0, [])
    done = evopose("doctor", run)
    assert "ok       the database is sound" in done.out
    assert "ok       nobody works on it" in done.out
    assert done.out.splitlines()[-1].startswith("0 errors, ")


def test_a_machine_alone_is_examined(evopose):
    found = evopose("doctor", "--json").json
    assert any(one["what"].startswith("torch ") for one in found["findings"])
    assert "run" not in found


def test_weights_that_are_missing_cut_or_changed(said, run):
    with Store.read(run) as store:
        first, second, third = store.best(3)
        paths = [store.blobs.path(one.blob) for one in (first, second, third)]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    data = bytearray(paths[2].read_bytes())
    data[-1] ^= 1
    paths[2].write_bytes(bytes(data))
    code, told = said(run)
    assert code == 1
    assert sorted(what.partition(": ")[0] for what in told) == sorted(
        [
            f"the weights of individual {first.id} are missing",
            f"the weights of individual {second.id} are of {paths[1].stat().st_size:,} bytes "
            f"instead of {paths[1].stat().st_size + 1:,}",
        ]
    )
    code, told = said(run, "--deep")
    assert f"the weights of individual {third.id} are damaged: {paths[2]}" in told


def test_what_was_left_over(said, run, monkeypatch):
    (run / "blobs" / "ab").mkdir(exist_ok=True)
    (run / "blobs" / "ab" / "abc.safetensors").write_bytes(b"told to nobody")
    (run / ".report.html.4711").write_text("half")
    code, told = said(run)
    assert (code, len(told)) == (0, 1)  # the young file may be being written now
    assert told[0].startswith("nobody owns 1 file in blobs/")
    now = time.time()
    monkeypatch.setattr("evopose.evolution.diagnosis.time.time", lambda: now + 3600)
    assert "1 file left half written: .report.html.4711" in said(run)[1]


def test_a_search_that_was_killed_and_one_that_hangs(said, run):
    with Store.open(run) as store:
        store.begin_session(1)
        store._db.execute("UPDATE individual SET status = 'proposed' WHERE id = '6'")
        store._db.execute("DELETE FROM attempt WHERE individual_id = '6'")
        store.lease("6", slot=0, seconds=-30)
        (late,) = said(run)[1]
        assert late.startswith("leases are over: 6 in slot 0 for 3")
    (killed,) = said(run)[1]
    assert killed.startswith("nobody works on it, yet 1 individual should be in training")


def test_failures_are_told_by_reason_with_what_to_do(evopose, run):
    reason = "MemoryError: out of memory, also with half the batch at once"
    spoil(run, f"UPDATE individual SET status = 'failed', fail_reason = '{reason}' WHERE birth > 4")
    found = evopose("doctor", run, "--json").json["findings"]
    (failed,) = [one for one in found if "failed (" in one["what"]]
    assert failed["what"] == f"2 failed (6, 5): {reason}"
    assert "fewer --workers" in failed["do"]


def test_a_damaged_database_configuration_and_data(said, run):
    spoil(
        run,
        "UPDATE meta SET value = '\"gone/people\"' WHERE key = 'source'",
        "UPDATE meta SET value = '{\"evopose\": \"0.0.1\"}' WHERE key = 'versions'",
        "UPDATE meta SET value = '{\"val\": \"gone/crops\"}' WHERE key = 'crops'",
    )
    (run / "config.json").write_text("{")
    code, told = said(run)
    assert code == 1
    assert [what[:22] for what in told] == [
        "config.json cannot be ", "the dataset gone/peopl", "1 folder of crops gone",
        "it was made by evopose",
    ]  # fmt: skip
    spoil(run, "PRAGMA foreign_keys = OFF", "DELETE FROM individual WHERE id = '0'")
    assert "a row of individual names a row of individual" in said(run)[1][0]
    (run / "run.sqlite").write_bytes(b"not SQLite at all" * 100)
    for path in run.glob("run.sqlite-*"):
        path.unlink()
    code, told = said(run)
    assert (code, len(told)) == (1, 1)
    assert told[0].startswith("it cannot be read: ")


def test_what_is_no_run_is_the_users_mistake(evopose, tmp_path):
    done = evopose("doctor", tmp_path)
    assert done.code == 2
    assert "is not the folder of a run" in done.err


def test_an_old_format_is_told(said, run):
    shutil.copy(run / "run.sqlite", run / "copy")
    spoil(
        run,
        *("DROP INDEX clones", "DROP INDEX repeats", "DROP INDEX by_outcome"),
        "CREATE INDEX open_attempts ON attempt (outcome) WHERE outcome = 'running'",
        "DROP INDEX kept_blobs",
        "PRAGMA user_version = 2",
    )
    assert said(run) == (0, ["it has format 2, of an older version; this one writes format 3"])


def test_a_database_of_something_else_has_no_recipe_to_save_it(evopose, tmp_path):
    spoil(tmp_path, "CREATE TABLE people (x)", "PRAGMA user_version = 3")
    done = evopose("doctor", tmp_path, "--json")
    (one,) = [one for one in done.json["findings"] if one["what"].startswith("it cannot be read")]
    assert done.code == 1
    assert "is not the database of a run" in one["what"]
    assert ".recover" not in one["do"]


def test_a_damaged_database_comes_with_what_to_do(evopose, tmp_path):
    (tmp_path / "run.sqlite").write_bytes(b"not SQLite at all" * 100)
    found = evopose("doctor", tmp_path, "--json").json["findings"]
    (one,) = [one for one in found if one["what"].startswith("it cannot be read")]
    assert "sqlite.org" in one["do"]
    assert one["do"].endswith("mv saved.sqlite run.sqlite")


def test_an_archive_is_looked_at_whole(evopose, said, run, monkeypatch):
    access = os.access

    def read_only(path, mode, **named):
        return (path != run or mode != os.W_OK) and access(path, mode, **named)

    monkeypatch.setattr("os.access", read_only)
    assert said(run) == (
        0, [f"{run} cannot be written: it can be looked at, its search cannot go on"],
    )  # fmt: skip
    assert "config.json is readable" in evopose("doctor", run).out


def test_a_full_disk_hides_nothing(said, run, monkeypatch):
    (run / "config.json").unlink()
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    code, told = said(run)
    assert code == 1
    assert told[-2:] == [f"0.0 GB are free for the run in {run}", "there is no config.json"]


def test_a_row_that_is_garbled_where_sqlite_sees_no_damage(said, run):
    spoil(run, "UPDATE meta SET value = '\"cut o' WHERE key = 'recipe'")
    code, (told,) = said(run)
    assert code == 1
    assert told.startswith(f"it cannot be read: {run / 'run.sqlite'} is damaged")


def test_why_a_search_stopped(evopose, said, run):
    reason = "all children of generation 3 failed"
    with Store.open(run) as store:
        store.begin_session(1)
    with (run / "logs" / "search.jsonl").open("a") as log:
        stop = {"at": time.time(), "kind": "stopped", "ending": "error", "reason": reason}
        log.write(json.dumps(stop) + "\n")
    assert said(run) == (0, [f"nobody works on it; its search stopped: {reason}"])
    assert f"interrupted ({reason})" in evopose("status", run).out
