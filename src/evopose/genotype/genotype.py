"""Genotypes: the genes of an EvoPose2D network as one value.

Source: EvoPose2D (arXiv 2011.08446), section 3; genes as in the official `nets/evopose2d.py`. The
genes beyond its four a stage are ours.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from evopose.errors import ConfigError
from evopose.genotype.genes import (
    EXTRA_GENES,
    GENES,
    NETWORK_GENES,
    NetworkGenes,
    Stage,
)

_NOT_GIVEN = NetworkGenes()
_ROW = "[kernel, repeats, filters / 8, stride]"


@dataclass(frozen=True)
class Genotype:
    """A network's genes, hashable and comparable.

    >>> g = Genotype.from_list([[3, 1, 2, 1], [3, 2, 3, 2]])
    >>> g.to_list()
    [[3, 1, 2, 1], [3, 2, 3, 2]]
    >>> g == Genotype.from_json(g.to_json())
    True
    >>> g.with_gene(None, "head_blocks", 2).to_json()
    '{"stages":[[3,1,2,1],[3,2,3,2]],"network":{"head_blocks":2}}'
    """

    stages: tuple[Stage, ...]
    network: NetworkGenes = _NOT_GIVEN

    def __post_init__(self) -> None:
        if not self.stages:
            raise ConfigError("a genotype needs at least one stage")

    @classmethod
    def from_list(cls, genes: Iterable[Sequence[int]]) -> "Genotype":
        """Return the genotype of [[kernel, repeats, filters / 8, stride], ...], one row a stage.

        Raises: ConfigError for a row that has not four positive integers, a kernel that is even or
        below 3, or a stride above 2.
        """
        try:
            rows = [tuple(row) for row in genes]
        except TypeError as error:
            raise ConfigError(f"a genotype is a list of {_ROW}, got {genes!r}") from error
        for number, row in enumerate(rows, 1):
            if len(row) != len(GENES):
                raise ConfigError(
                    f"stage {number} of the genotype needs {len(GENES)} genes "
                    f"{_ROW}, got {list(row)}"
                )
        return cls(tuple(map(_stage, rows)))

    def to_list(self) -> list[list[int]]:
        """Return [[kernel, repeats, filters / 8, stride], ...].

        Raises: ConfigError if it has genes beyond these, which would be lost; see `to_value`.
        """
        if self.is_wide:
            raise ConfigError(f"{self} has more genes than {_ROW} a stage; use to_value")
        return self._rows()

    @classmethod
    def from_value(cls, value: Any) -> "Genotype":
        """Return the genotype that `to_value` described. Raises: ConfigError if it is none."""
        if not isinstance(value, dict):
            return cls.from_list(value)
        expected = ("stages", *EXTRA_GENES, "network")
        if unknown := sorted(value.keys() - set(expected)):
            raise ConfigError(
                f"a genotype has no {', '.join(unknown)}; expected here: {', '.join(expected)}"
            )
        genotype = cls.from_list(value.get("stages", ()))
        count = len(genotype.stages)
        for gene in EXTRA_GENES:
            given = value.get(gene, [None] * count)
            if not isinstance(given, list) or len(given) != count:
                raise ConfigError(
                    f"a genotype's {gene} is a list with a value (or null) for each of its "
                    f"{count} stages, got {given!r}"
                )
            for index, one in enumerate(given):
                genotype = genotype.with_gene(index, gene, one)
        network = value.get("network", {})
        if not isinstance(network, dict) or network.keys() - set(NETWORK_GENES):
            raise ConfigError(
                f"a genotype's network has some of {', '.join(NETWORK_GENES)}, got {network!r}"
            )
        return replace(genotype, network=NetworkGenes(**network)) if network else genotype

    def to_value(self) -> list[list[int]] | dict[str, Any]:
        """Return plain JSON with all genes: the rows of `to_list` where that is all, else an
        object of these rows, a list for each further gene of the stages, and the network's."""
        if not self.is_wide:
            return self._rows()
        value: dict[str, Any] = {"stages": self._rows()}
        for gene in EXTRA_GENES:
            found = [getattr(stage, gene) for stage in self.stages]
            if any(one is not None for one in found):
                value[gene] = found
        return value | ({"network": self.network.given} if self.network.given else {})

    @property
    def is_wide(self) -> bool:
        """Whether it has genes beyond the paper's four a stage."""
        return self.network != _NOT_GIVEN or any(stage.is_wide for stage in self.stages)

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Return the genotype written by `to_json`. Raises: ConfigError if it is none."""
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"a genotype is JSON like [[3, 1, 2, 1], ...]: {error}") from error
        return cls.from_value(value)

    def to_json(self) -> str:
        """Return canonical JSON: equal genotypes give equal text."""
        return json.dumps(self.to_value(), separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `to_json`, in hex: the same on every machine, in every process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def gene(self, stage: int | None, gene: str) -> Any:
        """Return a gene of a stage (zero-based), or of the network for None; None if unset."""
        return getattr(self.network if stage is None else self.stages[stage], gene)

    def with_gene(self, stage: int | None, gene: str, value: Any) -> "Genotype":
        """Return a copy whose gene `gene` of stage `stage` (zero-based) is `value`; of the whole
        network where `stage` is None."""
        if stage is None:
            return replace(self, network=replace(self.network, **{gene: value}))
        changed = replace(self.stages[stage], **{gene: value})
        return replace(self, stages=(*self.stages[:stage], changed, *self.stages[stage + 1 :]))

    def _rows(self) -> list[list[int]]:
        return [[one.kernel, one.repeats, one.filters, one.stride] for one in self.stages]

    def __str__(self) -> str:
        return " ".join(
            [*map(_stage_text, self.stages)]
            + [f"{gene}={value}" for gene, value in self.network.given.items()]
        )


def _stage(row: Sequence[Any]) -> Stage:
    """Return the stage of a row; stages are values, so equal rows share one."""
    try:
        return _known_stage(*row)
    except TypeError:  # a list among its genes, say: Stage tells what is wrong
        return Stage(*row)


_known_stage = lru_cache(maxsize=10_000, typed=True)(Stage)


@lru_cache(maxsize=10_000)
def _stage_text(stage: Stage) -> str:
    text = "-".join(str(getattr(stage, gene)) for gene in GENES)
    marks = {"expand_ratio": "e", "se_ratio": "se", "activation": ""}
    given = ((mark, getattr(stage, gene)) for gene, mark in marks.items())
    return "-".join([text, *(f"{mark}{value}" for mark, value in given if value is not None)])
