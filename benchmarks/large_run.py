"""A run of 100,000 individuals: proposing, status, report and memory, against their limits.

    python benchmarks/large_run.py [--individuals 100000] [--epochs 10] [--folder DIR]

Fills a run folder as a search would have: a family of mutants in generations of 64 with their
clones, each with the record of its epochs, what it inherited and an attempt; the last generation
is in training. Then does, on copies, what the coordinator does for every child and generation, and
in processes of their own what `evopose status` and `evopose report` do. Exits 1 if a limit is
missed.

Sizes and losses are made up, and no weights are written. Results of the coordinator's steps hold
the time in which the disk makes them durable.
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
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@functools.cache
def measure(genotype: Genotype) -> Size:
    """Parameters and multiply-adds of the network at 256x192."""
    size = plan_complexity(
        EvoPose2DConfig(genotype=genotype, input_hw=(256, 192), num_keypoints=17)
    )
    return Size(num_parameters=size.num_parameters, num_macs=size.num_macs)


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


def generation(store: Store, config: EvolutionConfig, number: int) -> dict[str, float]:
    """Propose a generation, tell a result of each child and close it, as the engine does; return
    the milliseconds of each step, a child."""
    parts: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        parts[name] += 1000 * (time.perf_counter() - begun) / CHILDREN

    rng = np.random.default_rng([number])
    with step("choosing parents"):
        ids = PARENTS_BY[config.parents_by](store.standings(), config.parents, rng)
    with step("mutating"):
        proposal = propose_generation(
            [store.individual(id) for id in ids],
            SPACE,
            generation=store.last_generation() + 1,
            first_birth=store.last_birth() + 1,
            count=CHILDREN,
            search_seed=number,
            training_seed=0,
            fitness=Fitness(max_parameters=6_000_000),
            measure=measure,
            known=lambda genotype: store.known(genotype.digest),
            now=0.0,
        )
    assert len(proposal.children) == CHILDREN
    with step("storing children"):
        store.propose(proposal.children)
    for one in proposal.children:
        with step("leasing"):
            no = store.lease(one.id, slot=0, seconds=60)
        loss = float(rng.uniform(0.2, 1.0))
        result = result_of(loss, 10, rng)
        del result["blob"]
        fitness = Fitness().score(loss, one.size)
        with step("taking a result"):
            store.finish(one.id, no, loss=loss, error=loss, fitness=fitness, result=result)
    with step("closing a generation"):
        store.best(1)
        if config.parents_by != "random":
            store.retain(best=config.keep_best, also=ids)
        store.pareto()
        store.best_by_generation()
        store.spent_seconds()
    return dict(parts)


def coordinate(folder: Path, parents_by: str) -> dict[str, Any]:
    """Be the coordinator for some generations; return milliseconds a child, and peak memory."""
    config = EvolutionConfig(parents_by=parents_by)
    with Store.open(folder) as store:
        store.begin_session(CHILDREN)
        generation(store, config, 0)  # reads the ranking, and drops all weights that can go
        parts = [generation(store, config, number) for number in range(1, 6)]
    return {name: statistics.median(part[name] for part in parts) for name in parts[0]}


def write_files(folder: Path) -> dict[str, Any]:
    """Write the report's files; return seconds."""
    from evopose.report import write_all

    begun = time.perf_counter()
    write_all(folder)
    return {"seconds": time.perf_counter() - begun}


def look(folder: Path) -> dict[str, Any]:
    """Take what `evopose status` says; return seconds, the median of five."""
    from evopose.report.status import read_status

    times = []
    for _ in range(5):
        begun = time.perf_counter()
        read_status(folder)
        times.append(time.perf_counter() - begun)
    return {"seconds": statistics.median(times)}


ROLES: dict[str, Callable[..., dict[str, Any]]] = {
    "coordinate": coordinate,
    "files": write_files,
    "look": look,
}


def peak_mb() -> float:
    """Return the most memory that this process held; `ru_maxrss` would begin at its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def apart(role: str, folder: Path, *words: str) -> dict[str, Any]:
    """Return what a role found in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--do", role, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


def command_seconds(folder: Path) -> float:
    """Return how long `evopose status` takes, its start included."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "evopose", "status", str(folder)], capture_output=True, check=True
    )
    return time.perf_counter() - begun


def measured(folder: Path, scratch: Path) -> Iterator[tuple[str, float, str, float | None]]:
    """Yield what was measured: its name, the figure, its unit, and its limit if it has one."""
    for by in PARENTS_BY:
        copy = scratch / f"copy-{by}"
        shutil.copytree(folder, copy)
        found = apart("coordinate", copy, by)
        shutil.rmtree(copy)
        memory = found.pop("peak_mb")
        child = sum(found[name] for name in ("choosing parents", "mutating", "storing children"))
        yield f"parents by {by}: proposing a child", child, "ms", 5.0
        for name, figure in found.items():
            yield f"    {name}, a child", figure, "ms", None
        yield f"parents by {by}: memory of the coordinator", memory, "MB", 500.0
    found = apart("look", folder)
    yield "status", found["seconds"], "s", 0.2
    yield "    evopose status, its start included", command_seconds(folder), "s", None
    yield "    memory", found["peak_mb"], "MB", None
    found = apart("files", folder)
    yield "report.html, results.json, individuals.csv", found["seconds"], "s", 10.0
    yield "    memory", found["peak_mb"], "MB", 500.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--individuals", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="Keep the run here, or use the one there.")
    parser.add_argument("--do", choices=ROLES, help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        found = ROLES[options.do](options.folder, *options.words)
        print(json.dumps(found | {"peak_mb": peak_mb()}))
        return
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = options.folder or scratch / "run"
        if not folder.exists():
            begun = time.perf_counter()
            fill(folder, options.individuals, options.epochs, np.random.default_rng(0))
            print(
                f"{options.individuals:,} individuals made up in {time.perf_counter() - begun:.0f} s"
            )
        size = (folder / "run.sqlite").stat().st_size
        print(f"database: {size / 1e6:.0f} MB; {options.individuals * options.epochs:,} epochs")
        for what, figure, unit, limit in measured(folder, scratch):
            above = limit is not None and figure > limit
            missed += above
            said = "" if limit is None else f"(limit {limit:g} {unit}){' MISSED' if above else ''}"
            print(f"{what:52} {figure:9.3f} {unit} {said}", flush=True)
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
