"""Search spaces as data: the values each gene may take, and which step a mutation may make."""

import json
import math
from dataclasses import dataclass
from itertools import product
from typing import Any

from evopose.errors import ConfigError
from evopose.genotype.genotype import GENES, Genotype


@dataclass(frozen=True, kw_only=True)
class Gene:
    """The values one gene of one stage may take."""

    values: tuple[int, ...]
    """Allowed values, ascending."""
    max_step: int | None = None
    """How many places in `values` a single mutation may move; None: anywhere."""

    def __post_init__(self) -> None:
        if not self.values or list(self.values) != sorted(set(self.values)):
            raise ConfigError(f"a gene's values must be ascending and differ, got {self.values}")
        if self.max_step is not None and self.max_step < 1:
            raise ConfigError(f"max_step must be at least 1, got {self.max_step}")

    def steps_from(self, value: int) -> tuple[int, ...]:
        """Return the values that one mutation may turn `value` into."""
        if value not in self.values or self.max_step is None:
            return tuple(v for v in self.values if v != value)
        at = self.values.index(value)
        near = self.values[max(0, at - self.max_step) : at + self.max_step + 1]
        return tuple(v for v in near if v != value)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What a search may propose: a `Gene` for each gene of each stage, and the stride budget."""

    name: str
    ancestor: Genotype
    """Where a search starts by default."""
    stages: tuple[dict[str, Gene], ...]
    """For each stage, gene name -> `Gene`."""
    max_strided_stages: int | None = None
    """Most stages of the trunk that may have stride 2; None: any number."""

    def __post_init__(self) -> None:
        if len(self.stages) != len(self.ancestor.stages):
            raise ConfigError(
                f"space {self.name!r} declares {len(self.stages)} stages, its ancestor has "
                f"{len(self.ancestor.stages)}"
            )
        for number, genes in enumerate(self.stages, 1):
            if set(genes) != set(GENES):
                raise ConfigError(
                    f"stage {number} of space {self.name!r} must declare the genes "
                    f"{', '.join(GENES)}; it declares {', '.join(sorted(genes)) or 'none'}"
                )
            for name, gene in genes.items():
                for value in gene.values:
                    self.ancestor.with_gene(number - 1, name, value)  # refuses what cannot be
        if reason := self.why_not(self.ancestor):
            raise ConfigError(f"the ancestor of space {self.name!r} is outside it: {reason}")

    def why_not(self, genotype: Genotype) -> str | None:
        """Return why `genotype` is outside this space, or None if it is inside."""
        if len(genotype.stages) != len(self.stages):
            return f"it has {len(genotype.stages)} stages, the space has {len(self.stages)}"
        for number, (stage, genes) in enumerate(zip(genotype.stages, self.stages, strict=True), 1):
            for name, gene in genes.items():
                if (value := getattr(stage, name)) not in gene.values:
                    return f"stage {number} has {name} {value}, allowed are {list(gene.values)}"
        strided = sum(stage.stride == 2 for stage in genotype.stages)
        if self.max_strided_stages is not None and strided > self.max_strided_stages:
            return f"{strided} stages have stride 2, at most {self.max_strided_stages} may"
        return None

    def __contains__(self, genotype: Genotype) -> bool:
        return self.why_not(genotype) is None

    def size(self) -> int:
        """Return the number of genotypes in the space."""
        others = math.prod(
            len(gene.values) for genes in self.stages for n, gene in genes.items() if n != "stride"
        )
        limit = math.inf if self.max_strided_stages is None else self.max_strided_stages
        patterns = product(*(genes["stride"].values for genes in self.stages))
        return others * sum(pattern.count(2) <= limit for pattern in patterns)

    def largest_stride(self) -> int:
        """Return the largest product of strides that a genotype of the space has."""
        strided = sum(2 in genes["stride"].values for genes in self.stages)
        limit = strided if self.max_strided_stages is None else self.max_strided_stages
        return 1 << min(strided, limit)

    def to_json(self) -> str:
        """Return the space as canonical JSON."""
        stages = [
            {n: {"values": list(g.values), "max_step": g.max_step} for n, g in genes.items()}
            for genes in self.stages
        ]
        value = {
            "name": self.name,
            "ancestor": self.ancestor.to_list(),
            "stages": stages,
            "max_strided_stages": self.max_strided_stages,
        }
        return json.dumps(value, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "SearchSpace":
        """Return the space written by `to_json`. Raises: ConfigError if it is none."""
        try:
            value = json.loads(text)
            _only(value, "name", "ancestor", "stages", "max_strided_stages")
            for genes in value["stages"]:
                for gene in genes.values():
                    _only(gene, "values", "max_step")
            return cls(
                name=str(value["name"]),
                ancestor=Genotype.from_list(value["ancestor"]),
                stages=tuple(
                    {
                        n: Gene(values=tuple(g["values"]), max_step=g.get("max_step"))
                        for n, g in genes.items()
                    }
                    for genes in value["stages"]
                ),
                max_strided_stages=value.get("max_strided_stages"),
            )
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                "a search space is JSON with name, ancestor, stages "
                f"[{{gene: {{values, max_step}}}}] and max_strided_stages: {error!r}"
            ) from error


GENOTYPES: dict[str, Genotype] = {
    "efficientnet-b0": Genotype.from_list(
        [[3, 1, 2, 1], [3, 2, 3, 2], [5, 2, 5, 2], [3, 3, 10, 2], [5, 3, 14, 1], [5, 4, 24, 2],
         [3, 1, 40, 1]]
    ),
    "evopose2d-xs": Genotype.from_list(
        [[3, 1, 2, 1], [3, 3, 3, 2], [5, 2, 5, 2], [3, 4, 10, 2], [5, 2, 14, 1], [5, 4, 16, 2],
         [3, 2, 10, 1]]
    ),
    "evopose2d-s": Genotype.from_list(
        [[3, 1, 2, 1], [3, 3, 3, 2], [5, 2, 5, 2], [3, 4, 10, 2], [5, 2, 14, 1], [5, 4, 16, 1],
         [3, 2, 10, 1]]
    ),
    "narrow": Genotype.from_list(
        [[3, 1, 1, 1], [3, 2, 2, 2], [5, 2, 2, 2], [3, 3, 4, 2], [5, 2, 5, 1], [5, 2, 6, 1],
         [3, 1, 6, 1]]
    ),
}  # fmt: skip
"""Genotypes by name: the paper's ancestor (the trunk of EfficientNet-B0), its results XS and S (M
and L are S, scaled to their input), and `narrow`, a laptop's ancestor with one stride fewer."""


def _only(value: dict[str, Any], *names: str) -> None:
    """Raise ConfigError for a key that no declaration has: a misspelt one would be ignored."""
    if unknown := sorted(value.keys() - set(names)):
        raise ConfigError(
            f"a search space has no {', '.join(unknown)}; expected here: {', '.join(names)}"
        )


def _space(
    name: str, ancestor: Genotype, *, widest: tuple[int, ...], filter_step: int | None
) -> SearchSpace:
    stages = []
    for number, (stage, top) in enumerate(zip(ancestor.stages, widest, strict=True), 1):
        strides = (1, 2) if number >= 5 else (stage.stride,)
        stages.append(
            {
                "kernel": Gene(values=(3, 5)),
                "repeats": Gene(values=(1, 2, 3, 4), max_step=1),
                "filters": Gene(values=tuple(range(1, top + 1)), max_step=filter_step),
                "stride": Gene(values=strides),
            }
        )
    return SearchSpace(name=name, ancestor=ancestor, stages=tuple(stages), max_strided_stages=4)


SPACES: dict[str, SearchSpace] = {
    "paper": _space(
        "paper",
        GENOTYPES["efficientnet-b0"],
        widest=tuple(s.filters for s in GENOTYPES["efficientnet-b0"].stages),
        filter_step=None,
    ),
    "small": _space(
        "small",
        GENOTYPES["narrow"],
        widest=tuple(2 * s.filters for s in GENOTYPES["narrow"].stages),
        filter_step=2,
    ),
}
"""The declared search spaces. `paper`: filters up to the ancestor's, by any step. `small`: around
`narrow`, filters up to twice the ancestor's, by at most two units of eight a mutation."""
