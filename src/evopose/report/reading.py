"""From a run folder to `SearchFacts`: the only place of this package that reads a run."""

import gc
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from evopose.errors import RunError
from evopose.evolution.accounting import overhead
from evopose.evolution.individual import Individual
from evopose.evolution.store import Store
from evopose.genotype import SearchSpace
from evopose.report.facts import SearchFacts
from evopose.report.tails import search_tail
from evopose.report.text import count

Json = Mapping[str, Any]

PROCESS_GONE = "its process is gone"
"""Why a search was interrupted that could not say so."""

TOTALS = ("samples", "train_seconds", "val_seconds")
"""What results tell of their epochs in sum; those of older versions do not."""


def read_facts(run: Path) -> SearchFacts:
    """Return what the run in folder `run` holds, also while its search goes on.

    Raises: RunError if there is no run, or its configuration is damaged.
    """
    config = read_config(run)
    with without_collection(), Store.read(run) as store:
        meta = store.meta
        individuals = read_individuals(store)
        sessions, attempts = store.sessions(), store.attempts()
        time = overhead(store, attempts)
        state, reason = search_state(store)
    return SearchFacts(
        name=str(meta.get("title") or run.resolve().name),
        folder=str(run),
        individuals=tuple(individuals),
        state=state,
        stop_reason=reason,
        settings=describe_settings(meta, config),
        data=str(meta.get("source", "")),
        data_options=tuple(meta.get("data_options", ())),
        seconds=time_spent(individuals, time),
        wall_seconds=time["wall_seconds"] or None,
        overhead=time,
        attempts=tuple(attempts),
        sessions=tuple(sessions),
        config=config,
        histories=partial(_histories, run),
    )


def read_individuals(store: Store) -> list[Individual]:
    """Return all individuals of a run, their results without the records of epochs, but with what
    these add up to: `samples`, `train_seconds`, `val_seconds`."""
    found = store.individuals(histories=False)
    older = [o for o in found if o.status == "done" and not o.result.keys() >= set(TOTALS)]
    for batch in batched(older):
        told = store.histories([one.id for one in batch])
        for one in batch:
            epochs = json.loads(told.get(one.id, "[]"))
            for name in TOTALS:
                if epochs and all(name in record for record in epochs):
                    one.result.setdefault(name, sum(record[name] for record in epochs))
    return found


@contextmanager
def without_collection() -> Iterator[None]:
    """Do what is inside without looking for cycles: among millions of values, all of them in use,
    Python would look for garbage again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def batched(individuals: Sequence[Individual], size: int = 1000) -> Iterator[Sequence[Individual]]:
    """Yield parts of that size, the last one smaller."""
    yield from (individuals[i : i + size] for i in range(0, len(individuals), size))


def _histories(run: Path, ids: Sequence[str]) -> dict[str, str]:
    with Store.read(run) as store:
        return store.histories(ids)


def read_config(run: Path) -> dict[str, Any]:
    """Return what `config.json` of a run holds, {} where there is none.

    Raises: RunError if it is damaged.
    """
    path = run / "config.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}; restore it from a copy") from error
    return found


def search_state(store: Store) -> tuple[str, str]:
    """Return the state of the search in a store, seen from here, and the reason of its end."""
    sessions, events = store.sessions(), store.events()
    return state_of(sessions, events, search_tail(store.folder), host=socket.gethostname())


def state_of(
    sessions: Sequence[Json], events: Sequence[Json], log: Sequence[Json], *, host: str
) -> tuple[str, str]:
    """Return the state of a search ("new", "running", "finished" or "interrupted") and the reason
    of its end, if it has one.

    `log` holds the last lines of its log: an error that ended it, a full disk for one, is only
    there. A session that noted no end is running if its process lives; on another host, where
    nobody can see it, it is taken to.
    """
    if not sessions:
        return "new", ""
    last = sessions[-1]
    stops = [event for event in events if event["kind"] == "stopped"]
    if stops and stops[-1]["at"] >= last["started_at"]:
        stop = stops[-1]
        return "interrupted" if stop["ending"] == "stopped" else "finished", str(stop["reason"])
    if log and log[-1].get("ending") == "error" and log[-1]["at"] >= last["started_at"]:
        return "interrupted", str(log[-1]["reason"])
    if last["host"] != host or psutil.pid_exists(last["pid"]):
        return "running", ""
    return "interrupted", PROCESS_GONE


def time_spent(individuals: Sequence[Individual], time: Json) -> dict[str, float]:
    """Return worker seconds by what they were spent on, adding up to those of all sessions.

    `time` is what `overhead` returned. What a job does not tell (in `train_seconds` and
    `val_seconds`) counts as the rest.
    """
    training = sum(one.result.get("train_seconds", 0.0) for one in individuals)
    validation = sum(one.result.get("val_seconds", 0.0) for one in individuals)
    other = max(0.0, time["attempt_seconds"] - training - validation)
    lost = min(time["lost_seconds"], other)
    parts = {
        "training (with its data)": training,
        "validation": validation,
        "attempts that failed or were stopped": lost,
        "starting, inheriting, saving": other - lost,
        "waiting and coordinating": max(0.0, time["slot_seconds"] - time["attempt_seconds"]),
    }
    return {what: seconds for what, seconds in parts.items() if seconds > 0}


def describe_settings(meta: Json, config: Json) -> dict[str, str]:
    """Return the settings of a search as label -> text; what is not known has no text."""
    persons, versions = meta.get("persons", {}), meta.get("versions", {})
    sizes = ", ".join(f"{number:,} {split}" for split, number in persons.items())
    evolution = config.get("evolution", {})
    return {
        "data": _joined(str(meta.get("source", "")), sizes and f"persons: {sizes}"),
        "OKS sigmas": "assumed" if meta.get("sigmas_assumed") else "",
        "recipe": str(meta.get("recipe", "")),
        "input": "x".join(map(str, meta.get("input_hw", ()))),
        "space": _space(meta, config),
        "generation": _generation(evolution),
        "fitness": _fitness(evolution.get("fitness", {})),
        "training": _training(config),
        "inheritance": str(config.get("transfer", "")),
        "device": _joined(str(meta.get("device", "")), _workers(meta)),
        "seed": str(meta.get("seed", "")),
        "versions": ", ".join(f"{what} {version}" for what, version in versions.items()),
    }


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _workers(meta: Json) -> str:
    return f"workers: {meta['workers']}" if "workers" in meta else ""


def _space(meta: Json, config: Json) -> str:
    if "space" not in config:
        return str(meta.get("space", ""))
    space = SearchSpace.from_json(json.dumps(config["space"]))
    return f"{space.name}: {space.size():.2g} genotypes of {len(space.stages)} stages"


def _generation(evolution: Json) -> str:
    if "children" not in evolution:
        return ""
    clone = ", a clone" if evolution.get("clones") else ""
    return f"{evolution['children']} children of at most {evolution['parents']} parents{clone}"


def _fitness(fitness: Json) -> str:
    if "gamma" not in fitness:
        return ""
    error = "(1 - mean OKS)" if fitness.get("error") == "oks" else "loss"
    formula = (
        f"J = {error} x ({count(fitness['target_parameters'])} / parameters)^{fitness['gamma']}"
    )
    if fitness.get("target_macs"):
        formula += f" x ({count(fitness['target_macs'])} / multiply-adds)^{fitness['gamma_macs']}"
    if fitness.get("target_latency_ms"):
        formula += f" x ({fitness['target_latency_ms']:g} ms / latency)^{fitness['gamma_latency']}"
    limits = {"parameters": fitness.get("max_parameters"), "multiply-adds": fitness.get("max_macs")}
    said = [f"at most {count(most)} {what}" for what, most in limits.items() if most]
    if fitness.get("max_latency_ms"):
        said.append(f"at most {fitness['max_latency_ms']:g} ms")
    return _joined(formula, *said)


def _training(config: Json) -> str:
    ancestor, child = config.get("ancestor_training"), config.get("child_training")
    if not ancestor or not child:
        return ""
    epochs = f"{ancestor['epochs']} epochs for the ancestor, {child['epochs']} for a child"
    return _joined(epochs, f"batches of {child['batch_size']}", f"{child['loss']} loss")
