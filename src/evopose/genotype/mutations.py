"""Mutations: the valid one-gene neighbours of a genotype, and a uniform choice among them.

Differs from the official `mutate`: no rejection loop. The neighbours are enumerated, so the choice
is uniform and an exhausted neighbourhood is seen (the official code then never returns).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evopose.errors import ConfigError
from evopose.genotype.genes import NETWORK_GENES, STAGE_GENES, GeneValue, rank, spoken
from evopose.genotype.genotype import Genotype
from evopose.genotype.space import SearchSpace
from evopose.genotype.spaces import SPACES


@dataclass(frozen=True, kw_only=True)
class Change:
    """One gene, before and after.

    >>> print(Change(stage=None, gene="head_channels", before=32, after=48))
    head channels 32 -> 48
    """

    stage: int | None
    """Zero-based; None for a gene of the whole network."""
    gene: str
    before: GeneValue
    after: GeneValue

    def to_value(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "stage": self.stage, "gene": self.gene, "before": self.before, "after": self.after
        }  # fmt: skip

    @cached_property
    def kind(self) -> str:
        """The gene and its direction in words, like "filters up"; names have no direction."""
        old, new = rank(self.gene, self.before), rank(self.gene, self.after)
        if old is None or new is None:
            return spoken(self.gene)
        return f"{spoken(self.gene)} {'up' if new > old else 'down'}"

    def __str__(self) -> str:
        place = "" if self.stage is None else f"stage {self.stage + 1} "
        return f"{place}{spoken(self.gene)} {self.before} -> {self.after}"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A genotype and the changes that made it from its parent."""

    genotype: Genotype
    changes: tuple[Change, ...]


class NeighbourhoodExhausted(Exception):
    """Every genotype within two mutations was refused or seen; the message counts them."""


def _gene_neighbours(gene: str) -> Callable[[Genotype, SearchSpace], Iterator[Mutant]]:
    def neighbours(genotype: Genotype, space: SearchSpace) -> Iterator[Mutant]:
        for stage, name, allowed in space.genes():
            if name != gene:
                continue
            before = genotype.gene(stage, gene)
            for after in allowed.steps_from(before):
                mutant = genotype.with_gene(stage, gene, after)
                if mutant in space:
                    change = Change(stage=stage, gene=gene, before=before, after=after)
                    yield Mutant(genotype=mutant, changes=(change,))

    return neighbours


MUTATIONS: dict[str, Callable[[Genotype, SearchSpace], Iterator[Mutant]]] = {
    gene: _gene_neighbours(gene) for gene in (*STAGE_GENES, *NETWORK_GENES)
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
    """Return a mutant drawn from the one-gene neighbours that `allowed` accepts: uniformly, or by
    the weights of their genes where the space has some.

    Where none is left, from the two-gene neighbours. `allowed` says whether a genotype is new and
    within the limits; it is asked about one candidate after another, in random order.

    Raises: NeighbourhoodExhausted if no genotype within two mutations is allowed; ConfigError if
    `genotype` is outside `space`.
    """
    if reason := space.why_not(genotype):
        raise ConfigError(f"cannot mutate {genotype}: outside space {space.name!r}: {reason}")
    near = neighbours(genotype, space)
    for candidate in _shuffled(near, space, rng):
        if allowed(candidate.genotype):
            return candidate
    tried = {genotype, *(m.genotype for m in near)}
    for first in _shuffled(near, space, rng):
        for second in _shuffled(neighbours(first.genotype, space), space, rng):
            if second.genotype not in tried and allowed(second.genotype):
                changes = (*first.changes, *second.changes)
                return Mutant(genotype=second.genotype, changes=changes)
            tried.add(second.genotype)
    raise NeighbourhoodExhausted(
        f"all {len(tried) - 1} genotypes within two mutations of {genotype} are known or refused"
    )


def _shuffled(mutants: list[Mutant], space: SearchSpace, rng: np.random.Generator) -> list[Mutant]:
    """Return mutants of one gene each in random order.

    With weights the first is of a gene drawn by weight, uniform among that gene's, and so each
    next one among those that are left.

    Source: Efraimidis and Spirakis, weighted random sampling with a reservoir (2006).
    """
    if not space.gene_weights:
        order = rng.permutation(len(mutants))
    else:
        genes = [mutant.changes[0].gene for mutant in mutants]
        counts = Counter(genes)
        weights = [space.gene_weights.get(gene, 1.0) / counts[gene] for gene in genes]
        order = np.argsort(rng.exponential(size=len(mutants)) / weights)
    return [mutants[int(index)] for index in order]
