"""What a report tells about: a search's individuals and settings as plain values.

Nothing here reads a file; `evopose.report.reading` makes these values from a run folder.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from evopose.evolution.individual import Attempt, Individual
from evopose.evolution.selection import best, pareto_front, winner


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One generation in numbers; None where nothing has finished yet."""

    number: int
    finished: int
    """Children (clones not among them) with a fitness."""
    failed: int
    pending: int
    best: Individual | None
    """The child of this generation with the lowest fitness."""
    best_so_far: Individual | None
    clone: Individual | None
    """The unmutated copy of the best parent, trained for the same budget, once it is scored."""
    better_than_clone: int
    """Children of lower fitness than the clone."""

    @property
    def gain(self) -> float | None:
        """How much lower the best child's fitness is than the clone's: what mutation added."""
        if self.best is None or self.clone is None:
            return None
        return fitness_of(self.clone) - fitness_of(self.best)


@dataclass(frozen=True, kw_only=True)
class SearchFacts:
    """A search, running or finished."""

    name: str
    """What the page is called: the run folder's name."""
    folder: str
    """The run folder as a command line names it."""
    individuals: tuple[Individual, ...]
    """All of them, failed ones and clones included, in the order of their birth."""
    state: str = "running"
    """"new", "running", "finished" or "interrupted"."""
    stop_reason: str = ""
    """Why it stopped; empty: it did not, or nobody knows."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What was searched and with what, as label -> text, in the order to show."""
    data: str = ""
    """The dataset as the command line names it, for the command to go on with; empty: unknown."""
    data_options: tuple[str, ...] = ()
    """The options that open the same data again: --annotations, --with, --rename."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Worker seconds by what they were spent on ("training", "validation", ...)."""
    wall_seconds: float | None = None
    """From the first proposal to the last result."""
    overhead: Mapping[str, float] = field(default_factory=dict)
    """What `evopose.evolution.accounting.overhead` says."""
    attempts: tuple[Attempt, ...] = ()
    """All tries at training an individual, in the order in which they began."""
    sessions: tuple[Mapping[str, Any], ...] = ()
    """Who worked on the run and when (see `Store.sessions`)."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The resolved configuration, for whoever wants to know exactly."""
    histories: Callable[[Sequence[str]], Mapping[str, str]] | None = None
    """Finds the records of the epochs of these ids, as JSON, where the results of `individuals`
    were read without them: of many individuals they would fill the memory."""

    def histories_of(self, individuals: Sequence[Individual]) -> dict[str, str]:
        """Return the records of the epochs of these individuals, a JSON list each, by id."""
        if self.histories is not None:
            return dict(self.histories([one.id for one in individuals]))
        known = {one.id: one.result.get("history") for one in individuals}
        return {id: json.dumps(history) for id, history in known.items() if history}

    @cached_property
    def by_id(self) -> dict[str, Individual]:
        """Every individual by its id."""
        return {one.id: one for one in self.individuals}

    @cached_property
    def ranked(self) -> tuple[Individual, ...]:
        """The finished individuals, clones aside, best first; ties by birth."""
        return tuple(best(self.individuals, len(self.individuals)))

    @cached_property
    def pareto_ids(self) -> frozenset[str]:
        """Ids of those that none equals or beats in error, parameters and cost alike."""
        return frozenset(one.id for one in pareto_front(self.individuals))

    @property
    def error_name(self) -> str:
        """What the fitness makes small, in words."""
        fitness = self.config.get("evolution", {}).get("fitness", {})
        return "1 - mean OKS" if fitness.get("error") == "oks" else "loss"

    @cached_property
    def winner(self) -> Individual | None:
        """Who wins (see `selection.winner`), or None while none is finished."""
        return winner(self.individuals)

    @cached_property
    def failures(self) -> tuple[Individual, ...]:
        """What failed, in the order of birth; repeats have a table of their own."""
        return tuple(o for o in self.individuals if is_failed(o) and o.kind != "repeat")

    @cached_property
    def generations(self) -> tuple[Generation, ...]:
        """Every generation in numbers, in order."""
        groups: dict[int, list[Individual]] = defaultdict(list)
        for one in self.individuals:
            if one.kind != "repeat":
                groups[one.generation].append(one)
        found: list[Generation] = []
        for number in sorted(groups):
            before = found[-1].best_so_far if found else None
            found.append(_generation(number, groups[number], before))
        return tuple(found)

    def lineage(self, one: Individual) -> tuple[Individual, ...]:
        """Return the ancestors of `one`, oldest first, and `one` itself."""
        line = [one]
        while (parent := self.by_id.get(line[-1].parent_id or "")) is not None:
            line.append(parent)
        return tuple(reversed(line))

    def clone_of(self, generation: int) -> Individual | None:
        """Return the scored clone of a generation, or None."""
        return self._clones.get(generation)

    @cached_property
    def _clones(self) -> dict[int, Individual]:
        return {g.number: g.clone for g in self.generations if g.clone is not None}


def is_finished(one: Individual) -> bool:
    """Return whether `one` is trained and has a fitness."""
    return one.status == "done" and one.fitness is not None


def is_failed(one: Individual) -> bool:
    """Return whether `one` was given up."""
    return one.status == "failed"


def fitness_of(one: Individual) -> float:
    """Return the fitness of a finished individual."""
    assert one.fitness is not None
    return one.fitness


def transfer_of(one: Individual) -> Mapping[str, Any]:
    """Return the report of what `one` inherited (see `TransferReport.to_json`), or nothing."""
    found = one.result.get("transfer") or {}
    return json.loads(found) if isinstance(found, str) else found


def mean_oks_of(one: Individual) -> float | None:
    """Return the mean OKS on the persons that measured the fitness, where it was measured."""
    return one.result.get("mean_oks")


def latency_of(one: Individual) -> float | None:
    """Return the milliseconds that one crop takes, where they were measured."""
    found: float | None = getattr(one, "latency_ms", None)
    return found


def start_loss_of(one: Individual) -> float | None:
    """Return the validation loss right after inheriting, before any training, where it is known."""
    return one.result.get("start_loss")


def _generation(
    number: int, members: Sequence[Individual], before: Individual | None
) -> Generation:
    children = [one for one in members if one.competes]
    clone = next((o for o in members if o.kind == "clone" and is_finished(o)), None)
    scored = [one for one in children if is_finished(one)]
    leader = min(scored, key=fitness_of, default=None)
    candidates = [one for one in (before, leader) if one is not None]
    failed = sum(is_failed(one) for one in children)
    return Generation(
        number=number,
        finished=len(scored),
        failed=failed,
        pending=len(children) - len(scored) - failed,
        best=leader,
        best_so_far=min(candidates, key=fitness_of, default=None),
        clone=clone,
        better_than_clone=sum(fitness_of(o) < fitness_of(clone) for o in scored) if clone else 0,
    )
