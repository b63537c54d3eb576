"""`evopose watch`: what is drawn, told by lines, and when it ends."""

import io
import json
import re
import shutil

import pytest
from rich.console import Console

from evopose.cli import watch
from evopose.cli.watch import draw, event_parts
from evopose.evolution.store import Store
from evopose.report.snapshot import read_snapshot


def drawn(found, *, width=100, height=None):
    console = Console(file=io.StringIO(), force_terminal=False, width=width, color_system=None)
    console.print(draw(found, width, height=height))
    return console.file.getvalue()


def test_once_prints_a_look(evopose, finished_run):
    done = evopose("watch", finished_run, "--once")
    assert done.code == 0, done.err
    with Store.read(finished_run) as store:
        best, clone = store.best(1)[0], store.individual("c2")
    lines = done.out.splitlines()
    assert "finished (all 2 generations are done)" in lines[0]
    assert re.match(r"generation 2 of 2 .* 4/4 trained; 9 in all", lines[1])
    assert f"best J {best.fitness:.4g}"[:11] in lines[2]
    assert f"clone {clone.fitness:.4g}"[:10] in lines[2]
    assert "ended: all 2 generations are done" in lines[-1]


def test_json_is_one_object(evopose, finished_run):
    found = evopose("watch", finished_run, "--json").json
    with Store.read(finished_run) as store:
        assert [one["id"] for one in found["best"]] == [one.id for one in store.best(8)]
        assert found["best_by_generation"] == store.best_by_generation()
    assert found["counts"] == {"proposed": 0, "running": 0, "done": 9, "failed": 0}
    assert (found["state"], found["workers"], found["seconds_left"]) == ("finished", [], None)
    assert [event["kind"] for event in found["events"]][-2:] == ["generation", "stopped"]


@pytest.fixture
def running(finished_run, tmp_path):
    """A copy of a run, as if its search went on: one individual is trained again."""
    run = shutil.copytree(finished_run, tmp_path / "run")
    with Store.open(run) as store:
        store._db.execute("UPDATE individual SET status = 'proposed' WHERE id = '6'")
        store._db.execute("DELETE FROM attempt WHERE individual_id = '6'")
        store.begin_session(1)
        store.lease("6", slot=0, seconds=60)
        step = {"epoch": 1, "epochs": 2, "step": 3, "steps": 4, "loss": 0.5,
                "images_per_second": 321.0}  # fmt: skip
        (run / "logs" / "6.jsonl").write_text(json.dumps(step) + "\n")
        yield store


def test_a_worker_is_a_line(running):
    text = drawn(read_snapshot(running.folder), width=120)
    line = next(line for line in text.splitlines() if line.startswith("0:"))
    assert "epoch 1/2, step 3/4, loss 0.5, 321 images/s" in line
    assert " 6 " in line
    assert "running" in text.splitlines()[0]


@pytest.mark.parametrize("height", [16, 24, 40])
def test_it_fits_the_screen(running, height):
    found = read_snapshot(running.folder)
    assert len(drawn(found, width=90, height=height).splitlines()) <= height
    assert "best J" in drawn(found, width=90, height=height)


def test_lines_tell_changes_until_the_search_ends(evopose, running, monkeypatch):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            result = {"mean_oks": 0.5}
            running.finish("6", 1, loss=0.001, error=0.001, fitness=0.001, result=result)
        if len(looks) == 4:
            running.log("stopped", ending="stopped", reason="it was stopped")

    monkeypatch.setattr(watch.time, "sleep", sleep)
    done = evopose("watch", running.folder, "--every", "0.5")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert looks == [0.5] * 4
    assert len(lines) == 4
    assert lines[0].startswith("running; generation 2 of 2: 3 of 4 trained; best J ")
    assert "4 of 4 trained; best J 0.001000 (6)" in lines[1]
    assert lines[2].startswith("interrupted (it was stopped); ")
    assert lines[3] == (
        f"go on with: evopose evolve {running.meta['source']} --run {running.folder} --resume "
        "--threads 1 --executor inline"
    )


def test_ctrl_c_ends_watching_alone(evopose, running, monkeypatch):
    def sleep(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", sleep)
    before = running.individuals()
    done = evopose("watch", running.folder)
    assert done.code == 0
    assert done.out.splitlines()[-1] == "watching has ended; the search has not been touched"
    assert running.individuals() == before


def test_with_follow_it_waits_for_a_resumed_search(evopose, finished_run, monkeypatch):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", sleep)
    assert evopose("watch", finished_run, "--follow").code == 0
    assert len(looks) == 3


def test_on_a_terminal_it_is_drawn_live(running, monkeypatch):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        running.log("stopped", ending="hours", reason="its hours are spent")

    monkeypatch.setattr(watch.time, "sleep", sleep)
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    found = watch._live(screen, running.folder, 2.0, False)
    assert (found.state, looks) == ("finished", [2.0])
    text = screen.file.getvalue()
    assert "321 images/s" in text
    assert "its hours are spent" in text


def test_events_in_words():
    def words(**event):
        return "".join(part if isinstance(part, str) else part[0] for part in event_parts(event))

    assert words(kind="done", id="17", loss=0.5, fitness=0.4321) == (
        "  17 has J 0.4321, loss 0.5000"
    )
    assert words(kind="failed", id="3", reason="no [/memory]") == "   3 failed: no [/memory]"
    assert words(kind="lost", id="3", outcome="oom", reason="16 TiB") == (
        "   3 oom, tried again: 16 TiB"
    )
    assert words(
        kind="generation", generation=2, best_id="9", best_fitness=0.4, clone_fitness=None
    ) == ("generation 2: best is 9 with J 0.4000")
    assert words(kind="session", pid=7, host="here") == "process 7 on here works on it"
    assert words(kind="news") == "news"


def test_no_run_is_refused(evopose, tmp_path):
    done = evopose("watch", tmp_path)
    assert done.code == 2
    assert "is not the folder of a run" in done.err
