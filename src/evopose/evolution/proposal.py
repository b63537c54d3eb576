"""Proposing the children of a generation: a pure function of parents, seed and what is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evopose.evolution.fitness import Fitness
from evopose.evolution.individual import Individual
from evopose.genotype import Genotype, Mutant, NeighbourhoodExhausted, SearchSpace, mutate

Measure = Callable[[Genotype], tuple[int, int]]
"""Genotype -> its (num_parameters, num_macs), the same whenever it is asked."""


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
        new = genotype not in proposed and not known(genotype)
        return new and fitness.refusal(*measure(genotype)) is None

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
            children.append(_child(parent, mutant, birth, generation, training_seed, measure, now))
            break
    return Proposal(children=tuple(children), notes=tuple(exhausted.values()))


def clone_of(parent: Individual, *, generation: int, now: float) -> Individual:
    """Return the clone of a generation: the parent's genotype, trained once more like a child."""
    return Individual(
        kind="clone",
        birth=generation,
        generation=generation,
        parent_id=parent.id,
        genotype=parent.genotype,
        seed=parent.seed,
        num_parameters=parent.num_parameters,
        num_macs=parent.num_macs,
        created_at=now,
    )


def _child(
    parent: Individual,
    mutant: Mutant,
    birth: int,
    generation: int,
    seed: int,
    measure: Measure,
    now: float,
) -> Individual:
    num_parameters, num_macs = measure(mutant.genotype)
    return Individual(
        kind="mutant",
        birth=birth,
        generation=generation,
        parent_id=parent.id,
        genotype=mutant.genotype,
        changes=mutant.changes,
        seed=seed,
        num_parameters=num_parameters,
        num_macs=num_macs,
        created_at=now,
    )
