"""Individuals of a search, and the attempts to train them."""

import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from evopose.evolution.fitness import Size
from evopose.genotype import Change, Genotype

Kind = Literal["ancestor", "mutant", "clone", "repeat"]
Status = Literal["proposed", "running", "done", "failed"]
Outcome = Literal[
    "running", "done", "failed", "diverged", "oom", "lost", "timeout", "interrupted", "duplicate"
]


@dataclass(frozen=True, kw_only=True)
class Individual:
    """One genotype of a search and what became of it.

    Ancestor and mutants compete. Two kinds are controls, never parents, nor in the Pareto set: a
    clone is an unmutated copy of the best parent, trained like a child; a repeat is an individual
    trained once more from the same parent with another seed, to know how far its score is luck.
    """

    kind: Kind
    birth: int
    """0 for the ancestor, then 1, 2, ... over all mutants of the search; a clone's is its
    generation, a repeat's that of whom it repeats."""
    generation: int
    parent_id: str | None = None
    genotype: Genotype
    changes: tuple[Change, ...] = ()
    """What the mutation changed in the parent's genotype."""
    seed: int
    """Seed of its training."""
    num_parameters: int
    num_macs: int
    latency_ms: float | None = None
    """Median time of one image, measured before training; None: nobody asked for it."""
    latency_device: str | None = None
    """Where that was measured."""
    created_at: float
    """Seconds since the epoch, as all times of a run."""
    status: Status = "proposed"
    fail_reason: str | None = None
    loss: float | None = None
    error: float | None = None
    """What fitness judges: the loss, or 1 - mean OKS."""
    fitness: float | None = None
    """Lower is better."""
    result: dict[str, Any] = field(default_factory=dict)
    """What the job returned, plain JSON."""
    blob: str | None = None
    """Digest of its weights; None while there are none, or when they are no longer kept."""
    finished_at: float | None = None
    seconds: float | None = None
    """How long the job that gave the result took, by its own clock if it told."""

    @cached_property
    def id(self) -> str:
        """Its public name: "0" is the ancestor, "17" a mutant, "c3" the clone of generation 3,
        "17r2" the repeat of 17 with seed 2."""
        if self.kind == "repeat":
            return f"{self.birth}r{self.seed}"
        return f"c{self.birth}" if self.kind == "clone" else str(self.birth)

    @property
    def size(self) -> Size:
        """What its network costs."""
        return Size(
            num_parameters=self.num_parameters, num_macs=self.num_macs, latency_ms=self.latency_ms
        )

    @property
    def competes(self) -> bool:
        """Whether it may win and be a parent: no control does."""
        return self.kind in ("ancestor", "mutant")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at training an individual, in one slot of the executor."""

    individual_id: str
    no: int
    """1, 2, ... for each individual."""
    slot: int
    started_at: float
    lease_until: float
    """When the attempt counts as hung, unless it gives a sign of life before."""
    ended_at: float | None
    outcome: Outcome
    error: str | None
    """Message and last lines of the traceback."""
    busy_seconds: float | None
    """Of these the job spent at its own work, by its own account."""


def changes_to_json(changes: tuple[Change, ...]) -> str:
    """Return `changes` as JSON."""
    return json.dumps([change.to_value() for change in changes])


@lru_cache(maxsize=10_000)  # they are values, and few
def changes_from_json(text: str) -> tuple[Change, ...]:
    """Return the changes written by `changes_to_json`."""
    return tuple(Change(**change) for change in json.loads(text))
