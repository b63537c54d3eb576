"""Genes, the spaces they are drawn from, and mutations. Pure Python: no files, no torch."""

from evopose.genotype.genes import (
    ACTIVATIONS,
    EXTRA_GENES,
    GENES,
    NETWORK_GENES,
    STAGE_GENES,
    GeneValue,
    NetworkGenes,
    Stage,
    rank,
    size_hw,
    spoken,
)
from evopose.genotype.genotype import Genotype
from evopose.genotype.mutations import (
    MUTATIONS,
    Change,
    Mutant,
    NeighbourhoodExhausted,
    mutate,
    neighbours,
)
from evopose.genotype.space import Gene, SearchSpace
from evopose.genotype.spaces import GENOTYPES, SPACES

__all__ = [
    "ACTIVATIONS",
    "EXTRA_GENES",
    "GENES",
    "GENOTYPES",
    "MUTATIONS",
    "NETWORK_GENES",
    "SPACES",
    "STAGE_GENES",
    "Change",
    "Gene",
    "GeneValue",
    "Genotype",
    "Mutant",
    "NeighbourhoodExhausted",
    "NetworkGenes",
    "SearchSpace",
    "Stage",
    "mutate",
    "neighbours",
    "rank",
    "size_hw",
    "spoken",
]
