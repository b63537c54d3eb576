"""What each kind of mutation did to its children's fitness."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean, median

from evopose.evolution.individual import Individual
from evopose.genotype import NETWORK_GENES, STAGE_GENES, spoken
from evopose.report.facts import SearchFacts, fitness_of, is_failed, is_finished, transfer_of

SEVERAL = "several genes"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One kind of mutation over all children that it made; lower fitness is better."""

    kind: str
    """The gene and its direction ("filters up", "activation"), or `SEVERAL`."""
    finished: int
    failed: int
    from_parent: tuple[float, ...]
    """Each child's fitness minus its parent's. Holds the gain of training on, too."""
    from_clone: tuple[float, ...]
    """Each child's fitness minus that of its generation's clone, which trained for as long."""
    share_inherited: float | None
    """Mean share of the parameters inherited, before training; None: not recorded."""
    share_preserving: float | None
    """Share of the children that began with their parent's function; None: not recorded."""

    @property
    def median_from_parent(self) -> float | None:
        """Median of `from_parent`, None without any."""
        return median(self.from_parent) if self.from_parent else None

    @property
    def median_from_clone(self) -> float | None:
        """Median of `from_clone`, None without any."""
        return median(self.from_clone) if self.from_clone else None

    @property
    def share_better_than_clone(self) -> float | None:
        """Share of the children that beat their clone, None without any."""
        if not self.from_clone:
            return None
        return sum(change < 0 for change in self.from_clone) / len(self.from_clone)


def mutation_effects(facts: SearchFacts) -> tuple[Effect, ...]:
    """Return the effect of every kind of mutation that made a child, genes in their usual order."""
    children: dict[str, _Children] = defaultdict(_Children)
    # One after the other as they lie in memory: of many, kind after kind takes twice as long.
    for one in facts.individuals:
        if one.kind == "mutant" and one.changes:
            children[mutation_kind(one)].add(one, facts)
    return tuple(children[kind].effect(kind) for kind in kind_order(children))


def kind_order(kinds: Iterable[str]) -> list[str]:
    """Return kinds of mutations in the usual order of genes; other genes by name, several last."""
    genes = map(spoken, (*STAGE_GENES, *NETWORK_GENES))
    order = [f"{gene}{way}" for gene in genes for way in (" up", " down", "")]
    places = {kind: place for place, kind in enumerate(order)}
    return sorted(kinds, key=lambda kind: (kind == SEVERAL, places.get(kind, len(order)), kind))


def mutation_kind(one: Individual) -> str:
    """Return "GENE up" or "GENE down" for one changed gene (a name's change has no direction),
    `SEVERAL` for more."""
    return one.changes[0].kind if len(one.changes) == 1 else SEVERAL


@dataclass
class _Children:
    """What is counted of the children of one kind of mutation."""

    finished: int = 0
    failed: int = 0
    from_parent: list[float] = field(default_factory=list)
    from_clone: list[float] = field(default_factory=list)
    inherited: list[float] = field(default_factory=list)
    preserved: list[bool] = field(default_factory=list)

    def add(self, one: Individual, facts: SearchFacts) -> None:
        transfer = transfer_of(one)
        if "share_inherited" in transfer:
            self.inherited.append(float(transfer["share_inherited"]))
            self.preserved.append(bool(transfer["preserves_function"]))
        self.failed += is_failed(one)
        if not is_finished(one):
            return
        self.finished += 1
        parent = facts.by_id.get(one.parent_id or "")
        if parent is not None and is_finished(parent):
            self.from_parent.append(fitness_of(one) - fitness_of(parent))
        if (clone := facts.clone_of(one.generation)) is not None:
            self.from_clone.append(fitness_of(one) - fitness_of(clone))

    def effect(self, kind: str) -> Effect:
        return Effect(
            kind=kind,
            finished=self.finished,
            failed=self.failed,
            from_parent=tuple(self.from_parent),
            from_clone=tuple(self.from_clone),
            share_inherited=fmean(self.inherited) if self.inherited else None,
            share_preserving=fmean(self.preserved) if self.preserved else None,
        )
