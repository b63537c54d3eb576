"""Genotypes: the genes of an EvoPose2D network, four for each stage of its trunk.

Source: EvoPose2D (arXiv 2011.08446), section 3; genes as in the official `nets/evopose2d.py`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from evopose.errors import ConfigError

GENES = ("kernel", "repeats", "filters", "stride")
"""The genes of a stage, in the order of `Genotype.to_list`."""


@dataclass(frozen=True)
class Stage:
    """The genes of one stage.

    >>> Stage(kernel=3, repeats=2, filters=3, stride=2).channels
    24
    """

    kernel: int
    """Side of the depthwise kernels, odd, at least 3."""
    repeats: int
    """Number of blocks before depth scaling, at least 1."""
    filters: int
    """Output channels before width scaling, in units of eight."""
    stride: int
    """Stride of the first block: 1 or 2."""

    def __post_init__(self) -> None:
        for gene in GENES:
            value = getattr(self, gene)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"gene {gene} must be a positive integer, got {value!r}")
        if self.kernel % 2 == 0 or self.kernel < 3:
            raise ConfigError(f"gene kernel must be odd and at least 3, got {self.kernel}")
        if self.stride > 2:
            raise ConfigError(f"gene stride must be 1 or 2, got {self.stride}")

    @property
    def channels(self) -> int:
        """Output channels before width scaling."""
        return 8 * self.filters


@dataclass(frozen=True)
class Genotype:
    """A network's genes, hashable and comparable.

    >>> g = Genotype.from_list([[3, 1, 2, 1], [3, 2, 3, 2]])
    >>> g.to_list()
    [[3, 1, 2, 1], [3, 2, 3, 2]]
    >>> g == Genotype.from_json(g.to_json())
    True
    """

    stages: tuple[Stage, ...]

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
            raise ConfigError(
                f"a genotype is a list of [kernel, repeats, filters / 8, stride], got {genes!r}"
            ) from error
        for number, row in enumerate(rows, 1):
            if len(row) != len(GENES):
                raise ConfigError(
                    f"stage {number} of the genotype needs {len(GENES)} genes "
                    f"[kernel, repeats, filters / 8, stride], got {list(row)}"
                )
        return cls(tuple(Stage(*row) for row in rows))

    def to_list(self) -> list[list[int]]:
        """Return [[kernel, repeats, filters / 8, stride], ...]."""
        return [[getattr(stage, gene) for gene in GENES] for stage in self.stages]

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Return the genotype written by `to_json`. Raises: ConfigError if it is none."""
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"a genotype is JSON like [[3, 1, 2, 1], ...]: {error}") from error
        return cls.from_list(value)

    def to_json(self) -> str:
        """Return canonical JSON: equal genotypes give equal text."""
        return json.dumps(self.to_list(), separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `to_json`, in hex: the same on every machine, in every process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def with_gene(self, stage: int, gene: str, value: int) -> "Genotype":
        """Return a copy whose gene `gene` of stage `stage` (zero-based) is `value`."""
        changed = replace(self.stages[stage], **{gene: value})
        return Genotype((*self.stages[:stage], changed, *self.stages[stage + 1 :]))

    def __str__(self) -> str:
        return " ".join("-".join(map(str, row)) for row in self.to_list())
