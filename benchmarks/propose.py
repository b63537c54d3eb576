"""Times the search's own work in a large run: proposing a child, selection, status, retention.

    python benchmarks/propose.py [--individuals 10000] [--limit-ms 5]

Fills a store in a temporary folder with mutants of mutants, half of them with weights, then
proposes generations of 64 as a search would. Exits 1 if the median child takes longer than the
limit.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from evopose.evolution.fitness import Fitness
from evopose.evolution.individual import Individual
from evopose.evolution.proposal import propose_generation
from evopose.evolution.store import Store
from evopose.genotype import SPACES, Genotype, mutate
from evopose.models.evopose2d_plan import EvoPose2DConfig, plan_complexity

SPACE = SPACES["paper"]
CHILDREN = 64


def measure(genotype: Genotype) -> tuple[int, int]:
    """Parameters and multiply-adds of the network at 256x192."""
    size = plan_complexity(
        EvoPose2DConfig(genotype=genotype, input_hw=(256, 192), num_keypoints=17)
    )
    return size.num_parameters, size.num_macs


def population(count: int, rng: np.random.Generator) -> list[Individual]:
    """Return a random family of `count` individuals, sizes made up."""
    known = {SPACE.ancestor: None}
    genotypes = [SPACE.ancestor]
    while len(genotypes) < count:
        parent = genotypes[rng.integers(max(0, len(genotypes) - 50), len(genotypes))]
        genotypes.append(mutate(parent, SPACE, rng=rng, allowed=lambda g: g not in known).genotype)
        known[genotypes[-1]] = None
    ancestor = Individual(
        kind="ancestor",
        birth=0,
        generation=0,
        genotype=SPACE.ancestor,
        seed=0,
        num_parameters=4_000_000,
        num_macs=10**9,
        created_at=0.0,
    )
    sizes = rng.integers(10**6, 10**7, (count, 2)).tolist()
    return [
        replace(
            ancestor,
            kind="mutant" if birth else "ancestor",
            birth=birth,
            generation=-(-birth // CHILDREN),
            parent_id="0" if birth else None,
            genotype=genotype,
            num_parameters=sizes[birth][0],
            num_macs=sizes[birth][1],
        )
        for birth, genotype in enumerate(genotypes)
    ]


def fill(store: Store, individuals: list[Individual], rng: np.random.Generator) -> None:
    """Propose and finish them all, in one transaction for the benchmark's sake."""
    store.propose(individuals)
    losses = rng.uniform(0.1, 1.0, len(individuals)).tolist()
    with store._db.transaction():
        for one, loss in zip(individuals, losses, strict=True):
            store._db.execute(
                "UPDATE individual SET status = 'done', loss = ?, fitness = ? WHERE id = ?",
                *(loss, Fitness().score(loss, one.num_parameters, one.num_macs), one.id),
            )


def milliseconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def propose(store: Store, seed: int) -> None:
    """Propose one generation and put it into the store."""
    proposal = propose_generation(
        store.best(4),
        SPACE,
        generation=store.last_generation() + 1,
        first_birth=store.last_birth() + 1,
        count=CHILDREN,
        search_seed=seed,
        training_seed=0,
        fitness=Fitness(max_parameters=6_000_000),
        measure=measure,
        known=lambda genotype: store.known(genotype.digest),
        now=0.0,
    )
    assert len(proposal.children) == CHILDREN
    store.propose(proposal.children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--individuals", type=int, default=10_000)
    parser.add_argument("--limit-ms", type=float, default=5.0)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "run", {})
        begun = time.perf_counter()
        fill(store, population(options.individuals, rng), rng)
        print(f"{options.individuals:,} individuals in {time.perf_counter() - begun:.1f} s")
        size = (store.folder / "run.sqlite").stat().st_size
        print(f"database: {size / 1e6:.1f} MB")
        seeds = iter(range(1000))
        child = milliseconds(lambda: propose(store, next(seeds)), repeats=7) / CHILDREN
        print(f"propose and store a child: {child:.2f} ms (limit {options.limit_ms:g} ms)")
        no = milliseconds(lambda: store.finish(one_leased(store), 1, loss=1, fitness=1, result={}))
        print(f"lease a child and tell its result: {no:.2f} ms")
        with Store.read(store.folder) as reader:
            status = milliseconds(lambda: (reader.counts(), reader.best(10), reader.sessions()))
            print(f"status (counts and the best ten): {status:.1f} ms")
            print(f"best by generation: {milliseconds(reader.best_by_generation):.1f} ms")
            print(f"Pareto set: {milliseconds(reader.pareto):.1f} ms")
            print(f"all individuals: {milliseconds(reader.individuals, 3):.0f} ms")
        print(f"retention: {milliseconds(lambda: store.retain(best=10), 3):.1f} ms")
        store.close()
    sys.exit(child > options.limit_ms)


def one_leased(store: Store) -> str:
    """Lease a proposed individual."""
    query = "SELECT id FROM individual WHERE status = 'proposed' LIMIT 1"
    id = str(store._db.value(query))
    store.lease(id, slot=0, seconds=60)
    return id


if __name__ == "__main__":
    main()
