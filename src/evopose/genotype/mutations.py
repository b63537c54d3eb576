"""Mutations: the valid one-gene neighbours of a genotype, and a uniform choice among them.

Differs from the official `mutate`: no rejection loop. The neighbours are enumerated, so the choice
is uniform and an exhausted neighbourhood is seen (the official code then never returns).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from evopose.errors import ConfigError
from evopose.genotype.genotype import GENES, Genotype
from evopose.genotype.space import SPACES, SearchSpace


@dataclass(frozen=True, kw_only=True)
class Change:
    """One gene of one stage, before and after."""

    stage: int
    """Zero-based."""
    gene: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"stage {self.stage + 1} {self.gene} {self.before} -> {self.after}"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A genotype and the changes that made it from its parent."""

    genotype: Genotype
    changes: tuple[Change, ...]


class NeighbourhoodExhausted(Exception):
    """Every genotype within two mutations was refused or seen; the message counts them."""


def _gene_neighbours(gene: str) -> Callable[[Genotype, SearchSpace], Iterator[Mutant]]:
    def neighbours(genotype: Genotype, space: SearchSpace) -> Iterator[Mutant]:
        for index, (stage, genes) in enumerate(zip(genotype.stages, space.stages, strict=True)):
            before = getattr(stage, gene)
            for after in genes[gene].steps_from(before):
                mutant = genotype.with_gene(index, gene, after)
                if mutant in space:
                    change = Change(stage=index, gene=gene, before=before, after=after)
                    yield Mutant(genotype=mutant, changes=(change,))

    return neighbours


MUTATIONS: dict[str, Callable[[Genotype, SearchSpace], Iterator[Mutant]]] = {
    gene: _gene_neighbours(gene) for gene in GENES
}
"""Kind of mutation -> all its valid mutants of a genotype, in a fixed order."""


def neighbours(genotype: Genotype, space: SearchSpace) -> list[Mutant]:
    """Return every genotype of `space` that differs from `genotype` in one gene, in fixed order.

    >>> len(neighbours(SPACES["paper"].ancestor, SPACES["paper"]))
    110
    """
    return [m for kind in MUTATIONS.values() for m in kind(genotype, space)]


def mutate(
    genotype: Genotype,
    space: SearchSpace = SPACES["paper"],
    *,
    rng: np.random.Generator,
    allowed: Callable[[Genotype], bool] = lambda genotype: True,
) -> Mutant:
    """Return a mutant drawn uniformly from the one-gene neighbours that `allowed` accepts.

    Where none is left, from the two-gene neighbours. `allowed` says whether a genotype is new and
    within the limits; it is asked about one candidate after another, in random order.

    Raises: NeighbourhoodExhausted if no genotype within two mutations is allowed; ConfigError if
    `genotype` is outside `space`.
    """
    if reason := space.why_not(genotype):
        raise ConfigError(f"cannot mutate {genotype}: outside space {space.name!r}: {reason}")
    near = neighbours(genotype, space)
    for candidate in _shuffled(near, rng):
        if allowed(candidate.genotype):
            return candidate
    tried = {genotype, *(m.genotype for m in near)}
    for first in _shuffled(near, rng):
        for second in _shuffled(neighbours(first.genotype, space), rng):
            if second.genotype not in tried and allowed(second.genotype):
                changes = (*first.changes, *second.changes)
                return Mutant(genotype=second.genotype, changes=changes)
            tried.add(second.genotype)
    raise NeighbourhoodExhausted(
        f"all {len(tried) - 1} genotypes within two mutations of {genotype} are known or refused"
    )


def _shuffled(mutants: list[Mutant], rng: np.random.Generator) -> list[Mutant]:
    return [mutants[int(index)] for index in rng.permutation(len(mutants))]
