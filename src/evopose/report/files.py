"""The files that a search leaves for people and for scripts: report.html, results.json, CSV."""

import csv
import errno
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import Any

from evopose.errors import RunError, RunFailed
from evopose.evolution.individual import Individual
from evopose.report.effects import mutation_effects
from evopose.report.facts import (
    SearchFacts,
    latency_of,
    mean_oks_of,
    start_loss_of,
    transfer_of,
)
from evopose.report.page import Picture, render_page
from evopose.report.reading import batched, read_facts, without_collection
from evopose.report.repeats import noise_of, repeated

RESULTS_FORMAT = 2
"""Version of the layout of results.json. 2: repeats (among `individuals`, and `repeats`, `noise`),
start losses and latencies."""

Column = tuple[str, Callable[[Individual], object]]

COLUMNS: dict[str, Column] = {
    "id": (
        "0 the ancestor, 17 a mutant, c3 the clone of generation 3, 17r2 a repeat of 17",
        attrgetter("id"),
    ),
    "kind": ("ancestor, mutant, clone or repeat", attrgetter("kind")),
    "generation": ("0 the ancestor's", attrgetter("generation")),
    "birth": (
        "order of proposal; a clone's is its generation, a repeat's that of whom it repeats",
        attrgetter("birth"),
    ),
    "parent_id": ("whose weights it inherited", attrgetter("parent_id")),
    "status": ("proposed, running, done or failed", attrgetter("status")),
    "fail_reason": ("why it failed", attrgetter("fail_reason")),
    "genotype": (
        "[[kernel, repeats, filters / 8, stride], ...], or an object with more genes",
        lambda i: i.genotype.to_json(),
    ),
    "changes": ("what the mutation changed", lambda i: ", ".join(map(str, i.changes))),
    "fitness": ("J, lower is better", attrgetter("fitness")),
    "loss": ("lowest loss over its epochs, on the fitness persons", attrgetter("loss")),
    "mean_oks": ("mean OKS on the fitness persons", mean_oks_of),
    "num_parameters": ("with batch-norm running statistics", attrgetter("num_parameters")),
    "num_macs": ("multiply-adds of one crop", attrgetter("num_macs")),
    "latency_ms": ("milliseconds of one crop, where measured", latency_of),
    "latency_device": ("where it was measured", attrgetter("latency_device")),
    "start_loss": ("loss after inheriting, before any training", start_loss_of),
    "best_epoch": ("from 1", lambda i: i.result.get("best_epoch")),
    "share_inherited": (
        "share of parameters copied from the parent",
        lambda i: transfer_of(i).get("share_inherited"),
    ),
    "preserves_function": (
        "whether it began with its parent's function",
        lambda i: transfer_of(i).get("preserves_function"),
    ),
    "seed": ("of its training", attrgetter("seed")),
    "created_at": ("seconds since 1970", attrgetter("created_at")),
    "finished_at": ("seconds since 1970", attrgetter("finished_at")),
    "seconds": ("how long its job took", attrgetter("seconds")),
    "blob": ("digest of its weights, while they are kept", attrgetter("blob")),
}
"""Columns of individuals.csv: name -> (meaning, value). A missing value is an empty cell."""


def write_report(run: Path, *, pictures: Sequence[Picture] = ()) -> Path:
    """Write `report.html` into the run folder and return its path; also while the search goes on.

    Raises: RunError if there is no run, or the file cannot be written.
    """
    with without_collection():
        return _write(run / "report.html", [render_page(read_facts(run), pictures=pictures)])


def write_results(run: Path) -> Path:
    """Write `results.json` (see `results_text`) into the run folder and return its path.

    Raises: RunError if there is no run, or the file cannot be written.
    """
    return _write(run / "results.json", results_text(read_facts(run)))


def write_csv(run: Path) -> Path:
    """Write `individuals.csv` into the run folder and return its path.

    One row an individual, failures and clones included; `COLUMNS` says what its columns mean.

    Raises: RunError if there is no run, or the file cannot be written.
    """
    return _write(run / "individuals.csv", csv_text(read_facts(run)))


def write_all(run: Path, *, pictures: Sequence[Picture] = ()) -> None:
    """Write the three, of one look at the run.

    Raises: RunError if there is no run, or a file cannot be written.
    """
    with without_collection():
        facts = read_facts(run)
        _write(run / "report.html", [render_page(facts, pictures=pictures)])
        _write(run / "results.json", results_text(facts))
        _write(run / "individuals.csv", csv_text(facts))


def csv_text(facts: SearchFacts) -> Iterator[str]:
    """Yield individuals.csv, piece after piece."""
    yield _csv_lines([COLUMNS])
    for batch in batched(facts.individuals):
        yield _csv_lines(_row(one).values() for one in batch)


def _csv_lines(rows: Iterable[Iterable[object]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def results_text(facts: SearchFacts) -> Iterator[str]:
    """Yield results.json, piece after piece: strict JSON, one line an individual.

    What JSON cannot say (infinite, not a number) becomes null.
    """
    yield json.dumps(_finite(results(facts)), indent=1)[:-2]
    yield ',\n "individuals": [\n'
    between = ""
    for batch in batched(facts.individuals):
        histories = facts.histories_of(batch)
        yield between + ",\n".join(_line(one, histories.get(one.id, "[]")) for one in batch)
        between = ",\n"
    yield "\n ]\n}\n"


def results(facts: SearchFacts) -> dict[str, Any]:
    """Return what a script may want to know of a search as a whole, as JSON values."""
    return {
        "format": RESULTS_FORMAT,
        "name": facts.name,
        "state": facts.state,
        "stop_reason": facts.stop_reason,
        "settings": dict(facts.settings),
        "config": dict(facts.config),
        "winner": facts.winner and facts.winner.id,
        "lineage": [one.id for one in facts.lineage(facts.winner)] if facts.winner else [],
        "pareto": [one.id for one in facts.ranked if one.id in facts.pareto_ids],
        "seconds": dict(facts.seconds),
        "overhead": dict(facts.overhead),
        "generations": [
            {
                "generation": g.number,
                "finished": g.finished,
                "failed": g.failed,
                "pending": g.pending,
                "best": g.best and g.best.id,
                "best_fitness": g.best and g.best.fitness,
                "clone_fitness": g.clone and g.clone.fitness,
                "gain_over_clone": g.gain,
                "better_than_clone": g.better_than_clone,
            }
            for g in facts.generations
        ],
        "mutations": [
            {
                "kind": e.kind,
                "finished": e.finished,
                "failed": e.failed,
                "median_from_parent": e.median_from_parent,
                "median_from_clone": e.median_from_clone,
                "share_better_than_clone": e.share_better_than_clone,
                "share_inherited": e.share_inherited,
                "share_preserving": e.share_preserving,
            }
            for e in mutation_effects(facts)
        ],
        **_repeats(facts),
    }


def _repeats(facts: SearchFacts) -> dict[str, Any]:
    found = repeated(facts.individuals)
    noise = noise_of(found)
    return {
        "repeats": [
            {
                "individual": one.individual.id,
                "fitness": one.individual.fitness,
                "repeats": [repeat.id for repeat in one.repeats],
                "repeat_fitness": list(one.values),
                "mean": one.mean,
                "std": one.std,
            }
            for one in found
        ],
        "noise": noise and asdict(noise),
    }


def _record(one: Individual) -> dict[str, Any]:
    """Return what results.json says of an individual, but for genotype and history."""
    transfer = transfer_of(one)
    record = _row(one) | {
        "changes": [change.to_value() for change in one.changes],
        "not_preserved": list(transfer.get("reasons", ())),
    }
    del record["genotype"]
    return record


def _row(one: Individual) -> dict[str, Any]:
    return {name: value(one) for name, (_, value) in COLUMNS.items()}


def _line(one: Individual, history: str) -> str:
    """Return the record of an individual with the history of its training, as JSON."""
    record = _record(one)
    try:
        told = _strict(record)
    except ValueError:  # a number that JSON cannot say
        told = _strict(_finite(record))
    if "NaN" in history or "Infinity" in history:
        history = _strict(_finite(json.loads(history)))
    return f'{told[:-1]}, "genotype": {one.genotype.to_json()}, "history": {history}}}'


_strict = json.JSONEncoder(allow_nan=False).encode


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, pieces: Iterable[str]) -> Path:
    """Write a whole file, or nothing: whoever reads it meanwhile sees the old one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        if error.errno == errno.ENOSPC:
            raise RunFailed(
                f"cannot write {path}: its disk is full; the search itself has lost nothing: free "
                f"some space, then write it with `evopose report {path.parent}`"
            ) from error
        raise RunError(
            f"cannot write {path}: {error.strerror or error}; the search itself has lost nothing"
        ) from error
    return path
