"""Search spaces as data: the values each gene may take, and which step a mutation may make."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from evopose.errors import ConfigError
from evopose.genotype.genes import (
    EXTRA_GENES,
    GENES,
    NETWORK_GENES,
    STAGE_GENES,
    GeneValue,
    NetworkGenes,
    Stage,
    rank,
    size_text,
    spoken,
)
from evopose.genotype.genotype import Genotype


@dataclass(frozen=True, kw_only=True)
class Gene:
    """The values one gene may take, of one stage or of the network."""

    values: tuple[GeneValue, ...]
    """Allowed values: numbers ascend, names differ."""
    max_step: int | None = None
    """How many places in `values` a single mutation may move; None: anywhere."""

    def __post_init__(self) -> None:
        numbers = [value for value in self.values if not isinstance(value, str)]
        differ = len(set(self.values)) == len(self.values)
        if not self.values or not differ or (numbers and numbers != sorted(numbers)):
            raise ConfigError(f"a gene's values must be ascending and differ, got {self.values}")
        if numbers and len(numbers) != len(self.values):
            raise ConfigError(f"a gene's values are all numbers or all names, got {self.values}")
        if self.max_step is not None and self.max_step < 1:
            raise ConfigError(f"max_step must be at least 1, got {self.max_step}")

    def steps_from(self, value: GeneValue) -> tuple[GeneValue, ...]:
        """Return the values that one mutation may turn `value` into."""
        if value not in self.values or self.max_step is None:
            return tuple(v for v in self.values if v != value)
        at = self.values.index(value)
        near = self.values[max(0, at - self.max_step) : at + self.max_step + 1]
        return tuple(v for v in near if v != value)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What a search may propose: a `Gene` for each gene of each stage, those of the whole network,
    and the stride budget."""

    name: str
    ancestor: Genotype
    """Where a search starts by default."""
    stages: tuple[dict[str, Gene], ...]
    """For each stage, gene name -> `Gene`: all of `GENES`, and any of `EXTRA_GENES`."""
    network: dict[str, Gene] = field(default_factory=dict)
    """Any of `NETWORK_GENES` -> `Gene`."""
    max_strided_stages: int | None = None
    """Most stages of the trunk that may have stride 2; None: any number."""
    gene_weights: dict[str, float] = field(default_factory=dict)
    """How often a mutation changes this gene, of any stage, against the others; those that are not
    named weigh 1. Empty: every neighbour is drawn equally often, so genes with many values more
    often than those with few."""

    def __post_init__(self) -> None:
        if len(self.stages) != len(self.ancestor.stages):
            raise ConfigError(
                f"space {self.name!r} declares {len(self.stages)} stages, its ancestor has "
                f"{len(self.ancestor.stages)}"
            )
        for number, genes in enumerate(self.stages, 1):
            if not set(GENES) <= set(genes) <= set(STAGE_GENES):
                raise ConfigError(
                    f"stage {number} of space {self.name!r} must declare the genes "
                    f"{', '.join(GENES)}, and may declare {', '.join(EXTRA_GENES)}; it declares "
                    f"{', '.join(sorted(genes)) or 'none'}"
                )
        if unknown := sorted(self.network.keys() - set(NETWORK_GENES)):
            raise ConfigError(
                f"networks have no gene {', '.join(unknown)}; space {self.name!r} may declare "
                f"{', '.join(NETWORK_GENES)}"
            )
        for stage, name, gene in self.genes():
            for value in gene.values:
                self.ancestor.with_gene(stage, name, value)  # refuses what cannot be
            ranks = [one for value in gene.values if (one := rank(name, value)) is not None]
            if ranks != sorted(ranks):
                raise ConfigError(f"values of {name} must be ascending, got {gene.values}")
        self._check_weights()
        if reason := self.why_not(self.ancestor):
            raise ConfigError(f"the ancestor of space {self.name!r} is outside it: {reason}")

    def _check_weights(self) -> None:
        known = {name for _, name, _ in self.genes()}
        if unknown := sorted(self.gene_weights.keys() - known):
            raise ConfigError(
                f"space {self.name!r} weighs {', '.join(unknown)}, which it does not declare"
            )
        if not all(
            isinstance(w, int | float) and 0 < w < math.inf for w in self.gene_weights.values()
        ):
            raise ConfigError(f"gene_weights must be positive numbers, got {self.gene_weights}")

    def genes(self) -> Iterator[tuple[int | None, str, Gene]]:
        """Yield (zero-based stage, name, `Gene`) of every gene; the network's have no stage."""
        for index, genes in enumerate(self.stages):
            yield from ((index, name, gene) for name, gene in genes.items())
        yield from ((None, name, gene) for name, gene in self.network.items())

    def why_not(self, genotype: Genotype) -> str | None:
        """Return why `genotype` is outside this space, or None if it is inside."""
        if len(genotype.stages) != len(self.stages):
            return f"it has {len(genotype.stages)} stages, the space has {len(self.stages)}"
        for number, (stage, genes) in enumerate(zip(genotype.stages, self.stages, strict=True), 1):
            if reason := _outside(stage, genes, EXTRA_GENES):
                return f"stage {number} has {reason}"
        if reason := _outside(genotype.network, self.network, NETWORK_GENES):
            return f"the network has {reason}"
        strided = sum(stage.stride == 2 for stage in genotype.stages)
        if self.max_strided_stages is not None and strided > self.max_strided_stages:
            return f"{strided} stages have stride 2, at most {self.max_strided_stages} may"
        return None

    def __contains__(self, genotype: Genotype) -> bool:
        return self.why_not(genotype) is None

    def size(self) -> int:
        """Return the number of genotypes in the space."""
        others = math.prod(len(gene.values) for _, name, gene in self.genes() if name != "stride")
        return others * len(self._stride_patterns())

    def _stride_patterns(self) -> list[tuple[GeneValue, ...]]:
        limit = math.inf if self.max_strided_stages is None else self.max_strided_stages
        patterns = product(*(genes["stride"].values for genes in self.stages))
        return [pattern for pattern in patterns if pattern.count(2) <= limit]

    def sample(self, rng: np.random.Generator) -> Genotype:
        """Return a genotype, each of the space equally likely."""
        genotype = self.ancestor
        patterns = self._stride_patterns()
        pattern = patterns[int(rng.integers(len(patterns)))]
        for stage, name, gene in self.genes():
            if name == "stride" and stage is not None:
                value = pattern[stage]
            else:
                value = gene.values[int(rng.integers(len(gene.values)))]
            genotype = genotype.with_gene(stage, name, value)
        return genotype

    def largest_stride(self) -> int:
        """Return the largest product of strides that a genotype of the space has."""
        strided = sum(2 in genes["stride"].values for genes in self.stages)
        limit = strided if self.max_strided_stages is None else self.max_strided_stages
        return 1 << min(strided, limit)

    def to_json(self) -> str:
        """Return the space as canonical JSON."""
        return json.dumps(self._value(), sort_keys=True)

    def to_text(self) -> str:
        """Return the space as JSON to edit: a line a gene."""
        return f"{_lines(self._value())}\n"

    def _value(self) -> dict[str, Any]:
        stages = [{name: _gene_value(g) for name, g in genes.items()} for genes in self.stages]
        value: dict[str, Any] = {
            "name": self.name,
            "ancestor": self.ancestor.to_value(),
            "max_strided_stages": self.max_strided_stages,
        }
        if self.gene_weights:
            value["gene_weights"] = self.gene_weights
        if self.network:
            value["network"] = {name: _gene_value(gene) for name, gene in self.network.items()}
        return value | {"stages": stages}

    @classmethod
    def from_json(cls, text: str) -> "SearchSpace":
        """Return the space written by `to_json`. Raises: ConfigError if it is none.

        A gene that the ancestor has and the text does not declare stays as it is.
        """
        try:
            value = json.loads(text)
            _only(value, "name", "ancestor", "stages", "network", "max_strided_stages",
                  "gene_weights")  # fmt: skip
            ancestor = Genotype.from_value(value["ancestor"])
            stages = [_genes_of(genes, STAGE_GENES) for genes in value["stages"]]
            for fixed, stage in zip(stages, ancestor.stages, strict=False):
                _keep(fixed, {name: getattr(stage, name) for name in STAGE_GENES})
            network = _genes_of(value.get("network", {}), NETWORK_GENES)
            _keep(network, ancestor.network.given)
            return cls(
                name=str(value["name"]),
                ancestor=ancestor,
                stages=tuple(stages),
                network=network,
                max_strided_stages=value.get("max_strided_stages"),
                gene_weights=dict(value.get("gene_weights", {})),
            )
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                "a search space is JSON with name, ancestor, stages "
                f"[{{gene: {{values, max_step}}}}] and max_strided_stages: {error!r}"
            ) from error


def _lines(value: Any, indent: str = "") -> str:
    """Return JSON with a line an entry of the space, of its network, and of each stage."""
    keyed = isinstance(value, dict)
    parts = []
    for key, one in value.items() if keyed else enumerate(value):
        inner = key in ("network", "stages") if keyed and not indent else not keyed
        text = _lines(one, indent + "  ") if inner else json.dumps(one)
        parts.append(f"{indent}  {json.dumps(key)}: {text}" if keyed else f"{indent}  {text}")
    first, last = "{}" if keyed else "[]"
    return f"{first}\n" + ",\n".join(parts) + f"\n{indent}{last}"


def _outside(
    found: Stage | NetworkGenes, genes: dict[str, Gene], optional: tuple[str, ...]
) -> str | None:
    """Return which gene of a stage, or of the network, is not as `genes` say; None if all are."""
    for name, gene in genes.items():
        if (value := getattr(found, name)) not in gene.values:
            has = f"no gene {name}" if value is None else f"{spoken(name)} {value}"
            return f"{has}, allowed are {list(gene.values)}"
    for name in optional:
        if name not in genes and getattr(found, name) is not None:
            return f"a gene {name}, which the space does not declare"
    return None


def _gene_value(gene: Gene) -> dict[str, Any]:
    return {"values": list(gene.values), "max_step": gene.max_step}


def _genes_of(declared: dict[str, Any], names: tuple[str, ...]) -> dict[str, Gene]:
    """Return the genes of one stage, or of the network, in the order of `names`."""
    _only(declared, *names)
    found = {}
    for name in names:
        if name in declared:
            _only(declared[name], "values", "max_step")
            values = declared[name]["values"]
            if name == "input_size":
                values = map(size_text, values)
            found[name] = Gene(values=tuple(values), max_step=declared[name].get("max_step"))
    return found


def _keep(genes: dict[str, Gene], ancestor: dict[str, Any]) -> None:
    """Add what the ancestor has and nobody declared, as it is."""
    for name, value in ancestor.items():
        if value is not None and name not in genes:
            genes[name] = Gene(values=(value,))


def _only(value: dict[str, Any], *names: str) -> None:
    """Raise ConfigError for a key that no declaration has: a misspelt one would be ignored."""
    if unknown := sorted(value.keys() - set(names)):
        raise ConfigError(
            f"a search space has no {', '.join(unknown)}; expected here: {', '.join(names)}"
        )
