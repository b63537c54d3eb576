"""A run of 100,000 individuals: proposing, status, report and memory, against their limits.

    python benchmarks/large_run.py [--individuals 100000] [--epochs 10] [--folder DIR]

Fills a run folder as a search would have: a family of mutants in generations of 64 with their
clones, each with the record of its epochs, what it inherited, an attempt and (the best only) its
weights; 64 of the last generation are still in training. Then measures, on a copy that is thrown
away, what the coordinator does for every child and generation, and in processes of their own
`evopose status` and the files of the report. Exits 1 if a limit is missed.

Sizes and losses are made up; no weights are written. With --folder the run is kept, and used again
if it is there.
"""

import argparse
import functools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evopose.evolution import attempts
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.fitness import Fitness, Size
from evopose.evolution.individual import Individual
from evopose.evolution.proposal import propose_generation
from evopose.evolution.selection import PARENTS_BY
from evopose.evolution.store import Store
from evopose.genotype import SPACES, Change, Genotype
from evopose.models.evopose2d_plan import EvoPose2DConfig, plan_complexity
from evopose.recipes import SEARCH_RECIPES

SPACE = SPACES["paper"]
CHILDREN = 64
BEGAN = 1.7e9
SECONDS = 600.0
"""A child's training."""


def measure(genotype: Genotype) -> Size:
    """Parameters and multiply-adds of the network at 256x192."""
    size = plan_complexity(
        EvoPose2DConfig(genotype=genotype, input_hw=(256, 192), num_keypoints=17)
    )
    return Size(num_parameters=size.num_parameters, num_macs=size.num_macs)


cached_measure = functools.cache(measure)


# The run


def family(count: int, rng: np.random.Generator) -> Iterator[Individual]:
    """Yield `count` individuals, each with a gene of one some sixty before it changed; sizes are
    made up."""
    genotypes = [SPACE.ancestor]
    known = {SPACE.ancestor}
    sizes = rng.integers(10**6, 10**7, (count, 2)).tolist()
    for birth in range(count):
        changes: tuple[Change, ...] = ()
        parent = int(rng.integers(max(0, birth - 2 * CHILDREN), max(1, birth - CHILDREN)))
        while birth and not changes:
            changed, change = changed_gene(genotypes[parent], rng)
            if changed not in known:
                genotypes.append(changed)
                known.add(changed)
                changes = (change,)
        yield Individual(
            kind="mutant" if birth else "ancestor",
            birth=birth,
            generation=-(-birth // CHILDREN),
            parent_id=str(parent) if birth else None,
            genotype=genotypes[birth],
            changes=changes,
            seed=0,
            num_parameters=sizes[birth][0],
            num_macs=100 * sizes[birth][1],
            created_at=BEGAN + SECONDS * -(-birth // CHILDREN),
        )


def changed_gene(genotype: Genotype, rng: np.random.Generator) -> tuple[Genotype, Change]:
    """Return a genotype with another value of one gene, whatever the space says of it."""
    stage = int(rng.integers(len(genotype.stages)))
    gene = ("kernel", "repeats", "filters")[int(rng.integers(3))]
    value = 1 + 2 * int(rng.integers(1, 4)) if gene == "kernel" else int(rng.integers(1, 32))
    return genotype.with_gene(stage, gene, value), Change(
        stage=stage, gene=gene, before=genotype.gene(stage, gene), after=value
    )


def with_clones(individuals: Iterator[Individual]) -> Iterator[Individual]:
    """Yield them and, after the first child of each generation, a clone of its parent."""
    generation = 0
    for one in individuals:
        yield one
        if one.generation > generation:
            generation = one.generation
            yield replace(one, kind="clone", birth=generation, changes=())


def result_of(loss: float, epochs: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return what a job tells, as `search.child` does."""
    noise = rng.uniform(0, 0.1, (epochs, 3)).tolist()
    history = [
        {
            "epoch": epoch,
            "learning_rate": 0.01 * (1 - epoch / epochs) + 1e-5 * noise[epoch - 1][0],
            "train_loss": loss * (1 + 1 / epoch) + noise[epoch - 1][1],
            "val_loss": loss * (1 + 1 / epoch) + noise[epoch - 1][2],
            "val_oks": 1 - loss / epoch,
            "train_seconds": SECONDS / epochs * (0.9 + noise[epoch - 1][0]),
            "val_seconds": 1 + noise[epoch - 1][1],
            "samples": 6092,
        }
        for epoch in range(1, epochs + 1)
    ]
    return {
        "start_loss": loss * 2,
        "start_oks": 0.2,
        "transfer": {
            "rule": "exact",
            "share_inherited": 0.97,
            "preserves_function": False,
            "reasons": ["stage 2: channels 16 -> 8"],
            "needs_bn_reestimation": True,
        },
        "blob": rng.bytes(32).hex(),
        "loss": loss,
        "mean_oks": 1 - loss / 2,
        "best_epoch": epochs,
        "history": history,
        "samples": 6092 * epochs,
        "train_seconds": sum(record["train_seconds"] for record in history),
        "val_seconds": sum(record["val_seconds"] for record in history),
        "busy_seconds": 0.97 * SECONDS,
        "seconds": SECONDS,
        "pid": 17000,
    }


def fill(folder: Path, count: int, epochs: int, rng: np.random.Generator) -> None:
    """Make the run, in few transactions for the benchmark's sake."""
    config = SEARCH_RECIPES["paper"]()
    with Store.create(folder, {"title": "a large run", "source": "people"}) as store:
        (folder / "config.json").write_text(config.to_json())
        store.begin_session(CHILDREN)
        everyone = list(with_clones(family(count, rng)))
        store.propose(everyone)
        last = max(one.generation for one in everyone)
        store.clock = lambda: BEGAN
        store._db.execute("UPDATE session SET started_at = ?", BEGAN)
        with store._db.transaction():
            for one in everyone:
                finish(store, one, rng, epochs=epochs, running=one.generation == last)
    log = folder / "logs" / "search.jsonl"
    log.parent.mkdir()
    log.write_text("".join(json.dumps(line) + "\n" for line in events(everyone)))


def finish(
    store: Store, one: Individual, rng: np.random.Generator, *, epochs: int, running: bool
) -> None:
    """Finish one in the way that the store does, without its transactions."""
    begun = one.created_at
    slot = one.birth % CHILDREN
    store._db.execute(
        "INSERT INTO attempt (individual_id, no, slot, started_at, lease_until, outcome) "
        "VALUES (?, 1, ?, ?, ?, 'running')",
        *(one.id, slot, begun, begun + 60),
    )
    if running:
        store._db.execute("UPDATE individual SET status = 'running' WHERE id = ?", one.id)
        return
    if rng.random() < 0.01:
        attempts.end(store._db, one.id, 1, "oom", "out of memory", begun + 9)
        store._db.execute(
            "UPDATE individual SET status = 'failed', fail_reason = 'out of memory', "
            "finished_at = ? WHERE id = ?",
            *(begun + 9, one.id),
        )
        return
    loss = float(0.2 + 0.8 * rng.random() + 0.5 / (1 + one.generation))
    result = result_of(loss, epochs, rng)
    store._db.execute("INSERT INTO blob VALUES (?, ?, 'kept')", result["blob"], 10_000_000)
    fitness = Fitness().score(loss, one.size)
    attempts.accept(
        store._db, one.id, 1, begun + SECONDS, loss=loss, error=loss, fitness=fitness, result=result
    )


def events(everyone: list[Individual]) -> Iterator[dict[str, Any]]:
    """Yield lines of a search's log."""
    for one in everyone:
        yield {"at": one.created_at, "kind": "done", "id": one.id, "loss": 0.5, "fitness": 0.5}


# What is measured


def milliseconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def generation(store: Store, config: EvolutionConfig, number: int, parts: dict[str, float]) -> None:
    """Propose a generation, store it, tell a result of each child and close it, as the engine."""

    def timed(name: str, call: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        found = call()
        parts[name] = parts.get(name, 0.0) + 1000 * (time.perf_counter() - begun)
        return found

    def parents() -> list[str]:
        rng = np.random.default_rng([number])
        return PARENTS_BY[config.parents_by](store.standings(), config.parents, rng)

    ids = timed("parents", parents)
    proposal = timed(
        "mutate",
        lambda: propose_generation(
            [store.individual(id) for id in ids],
            SPACE,
            generation=store.last_generation() + 1,
            first_birth=store.last_birth() + 1,
            count=CHILDREN,
            search_seed=number,
            training_seed=0,
            fitness=Fitness(max_parameters=6_000_000),
            measure=cached_measure,
            known=lambda genotype: store.known(genotype.digest),
            now=0.0,
        ),
    )
    assert len(proposal.children) == CHILDREN
    timed("store", lambda: store.propose(proposal.children))
    rng = np.random.default_rng(number)
    for one in proposal.children:
        no = timed("lease", lambda one=one: store.lease(one.id, slot=0, seconds=60))
        loss = float(rng.uniform(0.2, 1.0))
        result = result_of(loss, 10, rng)
        del result["blob"]
        told = {"loss": loss, "error": loss, "fitness": Fitness().score(loss, one.size)}
        timed("result", lambda one=one: store.finish(one.id, no, result=result, **told))
    timed("best", lambda: store.best(1))
    timed("retain", lambda: store.retain(best=config.keep_best, also=ids))
    timed("Pareto set", store.pareto)
    timed("best by generation", store.best_by_generation)
    timed("time spent", store.spent_seconds)


def coordinate(folder: Path, parents_by: str) -> None:
    """Be the coordinator for some generations; print JSON: milliseconds a child, and peak MB."""
    config = EvolutionConfig(parents_by=parents_by)
    parts: list[dict[str, float]] = []
    begun = time.perf_counter()
    with Store.open(folder) as store:
        opened = time.perf_counter() - begun
        store._db.execute("UPDATE individual SET status = 'failed' WHERE status = 'proposed'")
        store.begin_session(CHILDREN)
        for number in range(6):
            parts.append({})
            generation(store, config, number, parts[-1])
    warm = {name: statistics.median(p[name] for p in parts[1:]) / CHILDREN for name in parts[0]}
    print(json.dumps({"open": opened, "first": sum(parts[0].values()), "parts": warm, **peak()}))


def write_files(folder: Path) -> None:
    """Write the report's files; print JSON: seconds each, and peak MB."""
    from evopose.report import write_csv, write_report, write_results

    times = {}
    for name, write in {
        "report.html": write_report, "results.json": write_results, "individuals.csv": write_csv,
    }.items():  # fmt: skip
        begun = time.perf_counter()
        path = write(folder)
        times[name] = time.perf_counter() - begun, path.stat().st_size / 1e6
    print(json.dumps({"files": times, **peak()}))


def look(folder: Path) -> None:
    """Take what `evopose status` says, in this process; print JSON: seconds, and peak MB."""
    from evopose.report.snapshot import read_snapshot

    times = [milliseconds(lambda: read_snapshot(folder), 1) for _ in range(5)]
    print(json.dumps({"first": times[0], "median": statistics.median(times), **peak()}))


def peak() -> dict[str, float]:
    """Return the most memory that this process held; not `ru_maxrss`, which a parent passes on."""
    status = Path("/proc/self/status").read_text()
    return {"peak_mb": int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6}


def apart(what: str, folder: Path, *words: str) -> dict[str, Any]:
    """Return what this script prints in a process of its own."""
    command = [sys.executable, __file__, "--do", what, "--folder", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


ROLES = {"coordinate": coordinate, "files": write_files, "look": look}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--individuals", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--do", choices=ROLES, help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        ROLES[options.do](options.folder, *options.words)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "run"
        if not folder.exists():
            begun = time.perf_counter()
            fill(folder, options.individuals, options.epochs, np.random.default_rng(0))
            print(f"filled in {time.perf_counter() - begun:.0f} s")
        print(f"database: {(folder / 'run.sqlite').stat().st_size / 1e6:.0f} MB")
        for by in PARENTS_BY:
            copy = Path(scratch) / f"copy-{by}"
            shutil.copytree(folder, copy)
            found = apart("coordinate", copy, by)
            child = sum(found["parts"].values())
            print(
                f"coordinator, parents by {by}: {child:.2f} ms a child, peak {found['peak_mb']:.0f} MB"
            )
            print(json.dumps(found))
            shutil.rmtree(copy)
        print(apart("look", folder))
        print(apart("files", folder))


if __name__ == "__main__":
    main()
