"""What a search space holds: how many genotypes, and how large their networks are."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from evopose.genotype import NETWORK_GENES, STAGE_GENES, Genotype, SearchSpace, neighbours
from evopose.models.evopose2d_plan import (
    Complexity,
    EvoPose2DConfig,
    blind_genes,
    plan_complexity,
)

SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)
"""The quantiles that describe a sample."""


@dataclass(frozen=True, kw_only=True)
class GeneFacts:
    """One gene of a space, over all of its stages."""

    name: str
    values: dict[int | None, tuple[object, ...]]
    """Zero-based stage (None: the network) -> allowed values."""
    max_step: int | None
    """Of its first stage."""
    neighbours: int
    """Neighbours of the ancestor by this gene."""
    lowest: Complexity
    """Of the ancestor with this gene at its first value in every stage where the space allows."""
    highest: Complexity
    """The same for the last value."""

    @property
    def is_free(self) -> bool:
        """Whether it has a choice anywhere."""
        return any(len(values) > 1 for values in self.values.values())


@dataclass(frozen=True, kw_only=True)
class SpaceFacts:
    """A space at an input size, with the options of its networks that are no genes."""

    space: SearchSpace
    config: EvoPose2DConfig
    """Of the ancestor."""
    num_genotypes: int
    ancestor: Complexity
    genes: tuple[GeneFacts, ...]
    smallest: Complexity
    """With every gene at the end that costs fewer multiply-adds."""
    largest: Complexity
    """With every gene at the other end."""
    samples: int
    parameters: tuple[int, ...]
    """Quantiles (`SHARES`) over genotypes drawn uniformly; empty for none."""
    macs: tuple[int, ...]
    blind: dict[str, str]
    """See `blind_genes`."""


def space_facts(
    space: SearchSpace, config: EvoPose2DConfig, *, samples: int = 500, seed: int = 0
) -> SpaceFacts:
    """Return what there is in `space`, for networks with the options of `config`.

    Smallest and largest are found gene by gene and may be missed by a little: where the space
    limits strides, the first stages that may take them do.
    """
    config = replace(config, genotype=space.ancestor)
    mutants = [mutant.changes[0].gene for mutant in neighbours(space.ancestor, space)]
    genes = tuple(_gene_facts(space, config, name, mutants.count(name)) for name in _names(space))
    small, large = space.ancestor, space.ancestor
    for gene in genes:
        rising = gene.lowest.num_macs <= gene.highest.num_macs
        small = _at_end(space, small, gene.name, last=not rising)
        large = _at_end(space, large, gene.name, last=rising)
    rng = np.random.default_rng(seed)
    drawn = [_complexity(config, space.sample(rng)) for _ in range(samples)]
    return SpaceFacts(
        space=space,
        config=config,
        num_genotypes=space.size(),
        ancestor=plan_complexity(config),
        genes=genes,
        smallest=_complexity(config, small),
        largest=_complexity(config, large),
        samples=samples,
        parameters=_quantiles(one.num_parameters for one in drawn),
        macs=_quantiles(one.num_macs for one in drawn),
        blind=blind_genes(space, config),
    )


def _names(space: SearchSpace) -> list[str]:
    declared = {(stage is None, name) for stage, name, _ in space.genes()}
    order = [(False, name) for name in STAGE_GENES] + [(True, name) for name in NETWORK_GENES]
    return [name for whole, name in order if (whole, name) in declared]


def _gene_facts(
    space: SearchSpace, config: EvoPose2DConfig, name: str, num_neighbours: int
) -> GeneFacts:
    declared = {stage: gene for stage, gene_name, gene in space.genes() if gene_name == name}
    lowest, highest = (
        _complexity(config, _at_end(space, space.ancestor, name, last=last))
        for last in (False, True)
    )
    return GeneFacts(
        name=name,
        values={stage: gene.values for stage, gene in declared.items()},
        max_step=next(iter(declared.values())).max_step,
        neighbours=num_neighbours,
        lowest=lowest,
        highest=highest,
    )


def _at_end(space: SearchSpace, genotype: Genotype, name: str, *, last: bool) -> Genotype:
    """Return `genotype` with a gene at its first or last value, stage by stage where it may."""
    for stage, gene_name, gene in space.genes():
        if gene_name == name:
            changed = genotype.with_gene(stage, name, gene.values[-1 if last else 0])
            genotype = changed if changed in space else genotype
    return genotype


def _complexity(config: EvoPose2DConfig, genotype: Genotype) -> Complexity:
    return plan_complexity(replace(config, genotype=genotype))


def _quantiles(values: Iterable[int]) -> tuple[int, ...]:
    found = sorted(values)
    return tuple(found[round(share * (len(found) - 1))] for share in SHARES) if found else ()
