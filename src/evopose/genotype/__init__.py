"""Genes, the spaces they are drawn from, and mutations. Pure Python: no files, no torch."""

from evopose.genotype.genotype import GENES, Genotype, Stage
from evopose.genotype.mutations import (
    MUTATIONS,
    Change,
    Mutant,
    NeighbourhoodExhausted,
    mutate,
    neighbours,
)
from evopose.genotype.space import GENOTYPES, SPACES, Gene, SearchSpace

__all__ = [
    "GENES",
    "GENOTYPES",
    "MUTATIONS",
    "SPACES",
    "Change",
    "Gene",
    "Genotype",
    "Mutant",
    "NeighbourhoodExhausted",
    "SearchSpace",
    "Stage",
    "mutate",
    "neighbours",
]
