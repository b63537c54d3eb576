"""A real run folder, read back from what the report writes."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evopose.errors import RunError
from evopose.evolution.individual import Individual
from evopose.evolution.store import Store
from evopose.genotype import SPACES
from evopose.report import read_facts, write_csv, write_report, write_results
from evopose.report.facts import SearchFacts
from evopose.report.files import COLUMNS, csv_text, results_text
from evopose.report.reading import describe_settings, state_of, time_spent

META = {
    "title": "people & dogs: small",
    "source": "data/people",
    "recipe": "small",
    "space": "small",
    "seed": 3,
    "persons": {"train": 6118, "fitness": 680, "val": 985},
    "input_hw": [96, 64],
    "device": "2 CPU threads",
    "workers": 2,
    "sigmas_assumed": True,
    "versions": {"evopose": "0.1.0", "torch": "2.13"},
}
CONFIG = {
    "recipe": "small",
    "space": json.loads(SPACES["small"].to_json()),
    "transfer": "exact",
    "evolution": {
        "children": 16,
        "parents": 4,
        "clones": True,
        "fitness": {
            "target_parameters": 5e6,
            "gamma": -0.07,
            "target_macs": None,
            "max_parameters": 1_000_000,
        },
    },
    "ancestor_training": {"epochs": 30},
    "child_training": {"epochs": 3, "batch_size": 32, "loss": "softmax"},
}


@pytest.fixture
def run(tmp_path: Path, search: list[Individual]) -> Path:
    """A run folder with the whole search in it."""
    folder = tmp_path / "people & dogs"
    with Store.create(folder, META) as store:
        (folder / "config.json").write_text(json.dumps(CONFIG))
        store.begin_session(2)
        fill(store, search)
        store.log("stopped", ending="generations", reason="all 6 generations are done")
    return folder


def fill(store: Store, individuals: list[Individual]) -> None:
    """Propose everyone and tell what became of them."""
    store.propose(
        replace(o, status="proposed", loss=None, fitness=None, result={}, fail_reason=None,
                finished_at=None, seconds=None)
        for o in individuals
    )  # fmt: skip
    for one in individuals:
        no = store.lease(one.id, slot=0, seconds=60)
        if one.status == "failed":
            store.fail(one.id, no, reason=one.fail_reason or "", outcome="failed")
        else:
            store.finish(
                one.id, no, loss=one.loss, error=one.loss, fitness=one.fitness, result=one.result
            )


def test_facts_are_those_of_the_store(run: Path, search: list[Individual]) -> None:
    facts = read_facts(run)
    assert facts.state == "finished"
    assert facts.stop_reason == "all 6 generations are done"
    assert facts.name == "people & dogs: small"
    assert {o.id: o.fitness for o in facts.individuals} == {o.id: o.fitness for o in search}
    with Store.read(run) as store:
        assert [o.id for o in facts.ranked[:5]] == [o.id for o in store.best(5)]
        assert facts.pareto_ids == {o.id for o in store.pareto()}


def test_every_individual_is_in_the_csv(run: Path, search: list[Individual]) -> None:
    path = write_csv(run)
    assert path == run / "individuals.csv"
    with path.open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert set(rows) == {one.id for one in search}
    for one in search:
        row = rows[one.id]
        assert list(row) == list(COLUMNS)
        assert json.loads(row["genotype"]) == one.genotype.to_list()
        assert row["parent_id"] == (one.parent_id or "")
        assert row["fail_reason"] == (one.fail_reason or "")
        assert int(row["num_parameters"]) == one.num_parameters
        if one.status == "failed":
            assert row["fitness"] == row["loss"] == row["mean_oks"] == row["best_epoch"] == ""
        else:
            assert float(row["fitness"]) == one.fitness
            assert float(row["mean_oks"]) == one.result["mean_oks"]


def test_a_script_finds_everything_in_the_results(run: Path, search: list[Individual]) -> None:
    path = write_results(run)
    assert path == run / "results.json"
    found = json.loads(path.read_text())
    assert found["format"] == 2
    assert (found["repeats"], found["noise"]) == ([], None)
    assert found["state"] == "finished"
    assert found["config"] == CONFIG
    assert {one["id"] for one in found["individuals"]} == {one.id for one in search}
    winner = min((o for o in search if o.fitness and o.kind != "clone"), key=lambda o: o.fitness)
    assert found["winner"] == winner.id
    assert found["lineage"][0] == "0"
    assert winner.id in found["pareto"]
    by_id = {one["id"]: one for one in found["individuals"]}
    assert by_id[winner.id]["genotype"] == winner.genotype.to_list()
    assert by_id[winner.id]["changes"][0]["gene"] == winner.changes[0].gene
    assert len(by_id[winner.id]["history"]) == 3
    assert found["generations"][6]["clone_fitness"] == by_id["c6"]["fitness"]
    assert found["overhead"]["slot_seconds"] >= 0


def test_results_are_strict_json(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    odd = replace(search[0], result={"mean_oks": math.nan, "history": [{"val_loss": math.inf}]})
    text = "".join(results_text(facts_of([odd], seconds={"x": math.inf})))

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    found = json.loads(text, parse_constant=refuse)
    assert found["individuals"][0]["mean_oks"] is None
    assert found["individuals"][0]["history"] == [{"val_loss": None}]
    assert found["seconds"] == {"x": None}


def test_repeats_start_losses_and_latencies_are_told(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    one = next(o for o in search if o.kind == "mutant" and o.fitness)
    began = replace(one, result=one.result | {"start_loss": 0.75})
    again = [replace(one, kind="repeat", seed=s, fitness=f) for s, f in ((2, 0.4), (3, 0.5))]
    everyone = [began if o is one else o for o in search]
    facts = facts_of([*everyone, *again])
    found = json.loads("".join(results_text(facts)))
    assert found["repeats"] == [
        {
            "individual": one.id, "fitness": one.fitness,
            "repeats": [f"{one.id}r2", f"{one.id}r3"], "repeat_fitness": [0.4, 0.5],
            "mean": pytest.approx(0.45), "std": pytest.approx(0.1 / 2**0.5),
        }
    ]  # fmt: skip
    assert found["noise"]["degrees"] == 1
    rows = {row["id"]: row for row in csv.DictReader("".join(csv_text(facts)).splitlines())}
    assert rows[one.id]["start_loss"] == "0.75"
    assert (rows[f"{one.id}r2"]["kind"], rows[f"{one.id}r2"]["latency_ms"]) == ("repeat", "")
    object.__setattr__(began, "latency_ms", 2.5)
    rows = {row["id"]: row for row in csv.DictReader("".join(csv_text(facts)).splitlines())}
    assert rows[one.id]["latency_ms"] == "2.5"


def test_a_search_without_individuals(facts_of: Callable[..., SearchFacts]) -> None:
    empty = facts_of([])
    assert json.loads("".join(results_text(empty)))["individuals"] == []
    assert "".join(csv_text(empty)).strip() == ",".join(COLUMNS)


def test_the_report_of_a_run(run: Path) -> None:
    path = write_report(run)
    page = path.read_text(encoding="utf-8")
    assert path == run / "report.html"
    for text in (
        "people &amp; dogs: small",
        "all 6 generations are done",
        "data/people; persons: 6,118 train, 680 fitness, 985 val",
        "OKS sigmas</dt><dd>assumed",
        "J = loss x (5.00 M / parameters)^-0.07; at most 1.00 M parameters",
        "16 children of at most 4 parents, a clone",
        "30 epochs for the ancestor, 3 for a child; batches of 32; softmax loss",
        "2 CPU threads; workers: 2",
    ):
        assert text in page
    assert not list(run.glob(".*"))


def test_reports_can_be_written_while_the_search_runs(
    tmp_path: Path, search: list[Individual]
) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        assert "New: nothing has finished yet" in write_report(store.folder).read_text()
        store.begin_session(1)
        fill(store, search[:4])
        facts = read_facts(store.folder)
        assert facts.state == "running"
        assert facts.name == "run"
        assert f">{facts.winner.id}</b>" in write_report(store.folder).read_text()
        write_csv(store.folder)
        write_results(store.folder)


def test_what_is_no_run_is_explained(tmp_path: Path) -> None:
    for write in (write_report, write_results, write_csv):
        with pytest.raises(RunError, match="not the folder of a run"):
            write(tmp_path)


def test_a_damaged_configuration_is_explained(run: Path) -> None:
    (run / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot read .*config\.json"):
        write_report(run)


def test_a_file_that_cannot_be_written_is_explained(run: Path) -> None:
    (run / "report.html").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*report\.html"):
        write_report(run)
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_states() -> None:
    session = {"host": "here", "pid": 2**22 + 1, "started_at": 10.0, "seen_at": 20.0}
    stop = {"kind": "stopped", "at": 20.0, "ending": "hours", "reason": "its 8 hours are spent"}
    noise = {"kind": "smaller", "at": 15.0}
    assert state_of([], [], [], host="here") == ("new", "")
    assert state_of([session], [noise, stop], [], host="here") == ("finished", stop["reason"])
    by_hand = stop | {"ending": "stopped", "reason": "it was interrupted"}
    assert state_of([session], [by_hand], [], host="here")[0] == "interrupted"
    # No such process: it was killed. On another host nobody can tell.
    assert state_of([session], [noise], [], host="here") == ("interrupted", "its process is gone")
    assert state_of([session], [], [], host="there") == ("running", "")
    # An error is told by the log alone.
    error = stop | {"ending": "error", "reason": "the disk is full"}
    assert state_of([session], [], [error], host="there") == ("interrupted", "the disk is full")
    assert state_of([session], [], [error, noise], host="there") == ("running", "")
    # A later session goes on after an earlier end.
    later = session | {"started_at": 30.0}
    assert state_of([session, later], [stop], [error], host="there") == ("running", "")


def test_seconds_add_up_to_those_of_the_slots(search: list[Individual]) -> None:
    count = sum(bool(one.result) for one in search)
    held = count * 30.0 + 50
    overhead = {"attempt_seconds": held, "lost_seconds": 50.0, "slot_seconds": held + 40}
    told = {"train_seconds": 24.0, "val_seconds": 4.5}
    spent = time_spent([replace(o, result=o.result and told) for o in search], overhead)
    assert sum(spent.values()) == pytest.approx(held + 40)
    assert spent["training (with its data)"] == count * 24.0
    assert spent["validation"] == count * 4.5
    assert spent["attempts that failed or were stopped"] == 50
    assert spent["waiting and coordinating"] == pytest.approx(40)
    nothing = dict.fromkeys(overhead, 0.0)
    assert time_spent([], nothing) == {}


def test_unknown_settings_have_no_text() -> None:
    assert set(describe_settings({}, {}).values()) == {""}
