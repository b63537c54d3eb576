"""The log of a search: every event, in order, through crashes and resuming; TensorBoard's files."""

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from evopose.api import evolve
from evopose.errors import RunFailed
from evopose.evolution.store import Store
from evopose.search.logs import SEARCH_LOG, search_board, search_log
from tiny_runs import INLINE_OPTIONS, OPTIONS


def lines(run):
    return [json.loads(line) for line in (run / SEARCH_LOG).read_text().splitlines()]


def test_the_log_tells_what_the_store_holds(finished_run):
    events = lines(finished_run)
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    kinds = Counter(event["kind"] for event in events)
    assert kinds == {
        "session": 1, "proposed": 9, "started": 9, "done": 9, "generation": 3, "stopped": 1,
    }  # fmt: skip
    assert events[0]["pid"] == os.getpid()
    assert events[0]["slots"] == 1
    with Store.read(finished_run) as store:
        individuals = {one.id: one for one in store.individuals()}
        (stopped,) = [event for event in store.events() if event["kind"] == "stopped"]
        best = store.best_by_generation()
    for event in events:
        match event["kind"]:
            case "done":
                one = individuals[event["id"]]
                assert (event["loss"], event["fitness"]) == (one.loss, one.fitness)
                assert event["at"] == pytest.approx(one.finished_at, abs=5)
            case "generation":
                assert event["best_fitness"] == best[event["generation"]]
                clone = individuals.get(f"c{event['generation']}")
                assert event["clone_fitness"] == (clone and clone.fitness)
    assert (events[-1]["ending"], events[-1]["reason"]) == (stopped["ending"], stopped["reason"])


def test_a_run_that_goes_on_adds_to_its_log(finished_run, dots, tmp_path, quick):
    run = shutil.copytree(finished_run, tmp_path / "run")
    with (run / SEARCH_LOG).open("a") as file:
        file.write('{"at": 1, "kind": "do')  # a coordinator that was killed in mid-line
    before = (run / SEARCH_LOG).read_text()
    evolve(dots, run=run, resume=True, generations=3, **INLINE_OPTIONS)
    after = (run / SEARCH_LOG).read_text()
    assert after.startswith(before + "\n")
    added = [json.loads(line) for line in after[len(before) + 1 :].splitlines()]
    assert added[0]["kind"] == "session"
    assert sum(event["kind"] == "done" for event in added) == 4
    assert added[-1]["kind"] == "stopped"


def fail(run, events, error):
    """Log some events of a search that an error then ends."""
    with search_log(run, slots=2) as log:
        for event in events:
            log(event)
        if error is not None:
            raise error


STARTED = {"kind": "started", "id": "0", "generation": 0, "slot": 0, "attempt": 1}


def test_an_error_that_ends_a_search_is_logged_and_goes_on_up(tmp_path):
    progress = {"kind": "progress", "id": "0", "slot": 0, "progress": {}}
    with pytest.raises(RunFailed, match="all of them"):
        fail(tmp_path, [progress, STARTED], RunFailed("all of them failed"))
    session, started, stopped = lines(tmp_path)
    assert session["slots"] == 2
    assert started["id"] == "0"
    assert stopped["ending"] == "error"
    assert stopped["reason"] == "all of them failed"


def test_a_full_disk_is_explained(tmp_path, monkeypatch):
    fail(tmp_path, [STARTED], None)
    before = lines(tmp_path)
    monkeypatch.setattr("pathlib.Path.open", _full)
    with pytest.raises(RunFailed, match="is full"):
        fail(tmp_path, [STARTED], None)
    monkeypatch.undo()
    assert lines(tmp_path) == before


def _full(*arguments, **options):
    raise OSError(28, "No space left on device")


def test_tensorboard_reads_back_every_epoch(dots, tmp_path, quick):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    evolve(dots, run=run, tensorboard=True, **OPTIONS | {"generations": 1}, **INLINE_OPTIONS)

    def scalars(name):
        found = accumulator.EventAccumulator(str(run / "tensorboard" / name))
        found.Reload()
        tags = found.Tags()["scalars"]
        return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in tags}

    with Store.read(run) as store:
        individuals = store.individuals(status="done")
    assert {path.name for path in (run / "tensorboard").iterdir()} == {
        "search", *(one.id for one in individuals)
    }  # fmt: skip
    names = {
        "loss/train": "train_loss", "loss/val": "val_loss", "mean OKS": "val_oks",
        "learning rate": "learning_rate",
    }  # fmt: skip
    for one in individuals:
        history = one.result["history"]
        assert scalars(one.id) == {
            tag: [(r["epoch"], pytest.approx(r[field], rel=1e-6)) for r in history]
            for tag, field in names.items()
        }
    best = {
        g: min(o.fitness for o in individuals if o.competes and o.generation <= g) for g in (0, 1)
    }
    clone = next(one.fitness for one in individuals if one.kind == "clone")
    assert scalars("search") == {
        "J/best": [(g, pytest.approx(value, rel=1e-6)) for g, value in best.items()],
        "J/clone": [(1, pytest.approx(clone, rel=1e-6))],
    }


def test_a_training_that_begins_again_takes_the_place_of_its_first_try(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def epoch(number, loss):
        return {
            "kind": "progress", "id": "7", "slot": 0,
            "progress": {"kind": "epoch", "epoch": number, "val_loss": loss},
        }  # fmt: skip

    with search_board(tmp_path) as tell:
        for event in (epoch(1, 9.0), epoch(2, 8.0), {"kind": "lost", "id": "7"}, epoch(1, 0.5)):
            tell(event)
        tell(epoch(2, 0.25))
    found = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / "7"))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("loss/val")] == [(1, 0.5), (2, 0.25)]


def test_the_documentation_names_every_field(finished_run):
    page = (Path(__file__).parents[2] / "docs" / "following.md").read_text()
    rows = {
        cells[1].strip(): set(re.findall(r"`(\w+)`", cells[2]))
        for line in page.splitlines()
        if len(cells := line.split("|")) >= 4
    }
    for event in lines(finished_run):
        assert rows[f"`{event['kind']}`"] == set(event) - {"at", "kind"}
    told_by_worker = (finished_run / "logs" / "1.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in told_by_worker]
    assert {*map(len, steps)} >= {1, 6, 9}
    for told in steps:
        match told.get("kind"):
            case "epoch":
                assert rows["the end of an epoch"] == {*told}
            case None if "steps" in told:
                assert rows["a step"] == set(told)
