"""Proposing the children of a generation: a pure function of parents, seed and what is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evopose.evolution.fitness import Fitness, Size
from evopose.evolution.individual import Individual
from evopose.genotype import Genotype, NeighbourhoodExhausted, SearchSpace, mutate

Measure = Callable[[Genotype], Size]
"""Genotype -> its size, the same whenever it is asked."""


@dataclass(frozen=True, kw_only=True)
class Stopwatch:
    """How the latency of a network is measured, before it is trained."""

    device: str
    """Where, in words."""
    measure: Callable[[Genotype], float]
    """Genotype -> milliseconds an image."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The children of a generation, and why there are fewer than asked for, if so."""

    children: tuple[Individual, ...]
    """In order of birth."""
    notes: tuple[str, ...]
    """One for each parent that had no mutant left."""


def propose_generation(
    parents: Sequence[Individual],
    space: SearchSpace,
    *,
    generation: int,
    first_birth: int,
    count: int,
    search_seed: int,
    training_seed: int,
    fitness: Fitness,
    measure: Measure,
    stopwatch: Stopwatch | None = None,
    known: Callable[[Genotype], bool],
    now: float,
) -> Proposal:
    """Return at most `count` mutants, new and within the limits of `fitness`.

    The j-th is a mutant of the j-th parent, counted round and round; of the next one that has a
    mutant left, if that has none. The child of birth i draws from (`search_seed`, i) alone, so a
    child depends on nothing but its seed, the parents, and who was born before it.

    Source: official `ga.py` at ea05b81 (parents interleaved). Differs from it: any number of
    children and parents goes together, and a generation may end smaller instead of never.
    """
    children: list[Individual] = []
    proposed: set[Genotype] = set()
    exhausted: dict[str, str] = {}

    def allowed(genotype: Genotype) -> bool:
        if genotype in proposed or known(genotype) or fitness.refusal(measure(genotype)):
            return False
        return not fitness.refusal(timed(measure(genotype), genotype, stopwatch))

    for slot in range(count):
        birth = first_birth + len(children)
        for turn in range(len(parents)):
            parent = parents[(slot + turn) % len(parents)]
            if parent.id in exhausted:
                continue
            rng = np.random.default_rng([search_seed, birth])
            try:
                mutant = mutate(parent.genotype, space, rng=rng, allowed=allowed)
            except NeighbourhoodExhausted as error:
                exhausted[parent.id] = f"individual {parent.id} has no mutant left: {error}"
                continue
            proposed.add(mutant.genotype)
            size = timed(measure(mutant.genotype), mutant.genotype, stopwatch)
            child = Individual(
                kind="mutant",
                birth=birth,
                generation=generation,
                parent_id=parent.id,
                genotype=mutant.genotype,
                changes=mutant.changes,
                seed=training_seed,
                num_parameters=size.num_parameters,
                num_macs=size.num_macs,
                latency_ms=size.latency_ms,
                latency_device=stopwatch.device if stopwatch else None,
                created_at=now,
            )
            children.append(child)
            break
    return Proposal(children=tuple(children), notes=tuple(exhausted.values()))


def timed(size: Size, genotype: Genotype, stopwatch: Stopwatch | None) -> Size:
    """Return the size with the latency that the stopwatch measures, if there is one."""
    return replace(size, latency_ms=stopwatch.measure(genotype)) if stopwatch else size


def clone_of(parent: Individual, *, number: int, generation: int, now: float) -> Individual:
    """Return the clone of a generation: the parent's genotype, trained once more like a child.

    The first clone of a parent (`number` 0) has the seed of its children. While a parent stays the
    best its further clones have others: they tell what chance does.
    """
    return replace(
        parent,
        kind="clone",
        birth=generation,
        generation=generation,
        parent_id=parent.id,
        changes=(),
        seed=parent.seed + number,
        created_at=now,
        **_UNTRAINED,
    )


def repeat_of(one: Individual, *, seed: int, now: float) -> Individual:
    """Return the repeat of an individual: trained once more from the same parent, by `seed`."""
    return replace(one, kind="repeat", seed=seed, created_at=now, **_UNTRAINED)


_UNTRAINED: dict[str, Any] = {
    "status": "proposed",
    "fail_reason": None,
    "loss": None,
    "error": None,
    "fitness": None,
    "result": {},
    "blob": None,
    "finished_at": None,
    "seconds": None,
}
