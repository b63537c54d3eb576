"""The population of a search: who is proposed, and what becomes of a generation that has ended.

What it holds is in the store; the modes of a search differ only in when they ask for what.
"""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evopose.errors import ConfigError, RunError, RunFailed
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.ending import Ending, ending_of
from evopose.evolution.individual import Individual
from evopose.evolution.overview import weights
from evopose.evolution.proposal import (
    Measure,
    Proposal,
    Stopwatch,
    clone_of,
    propose_generation,
    repeat_of,
    timed,
)
from evopose.evolution.selection import PARENTS_BY, Standing
from evopose.evolution.store import Store
from evopose.genotype import Genotype, SearchSpace

_PARENTS = 1
"""Third word of the seed with which parents are drawn: no child's draws have three."""


@dataclass
class Population:
    """The individuals of a search in progress."""

    store: Store
    space: SearchSpace
    config: EvolutionConfig
    measure: Measure
    stopwatch: Stopwatch | None
    on_event: Callable[[dict[str, Any]], None]

    def __post_init__(self) -> None:
        self._told: set[str] = set()
        self.measure = functools.cache(self.measure)
        self.stopwatch = remembering(self.store, self.stopwatch)

    def emit(self, kind: str, **particulars: Any) -> None:
        """Tell the caller."""
        self.on_event({**particulars, "kind": kind})

    def begin(self, genotype: Genotype) -> None:
        """Propose the ancestor; in a run that goes on, what failed as a whole generation."""
        store, config = self.store, self.config
        if store.last_generation() >= 0:
            for generation in store.failed_generations():
                born = store.individuals(generation=generation)
                if not self._orphaned(born):
                    store.propose_again(born)
            return
        if reason := self.space.why_not(genotype):
            raise ConfigError(f"the ancestor is outside the space {self.space.name!r}: {reason}")
        size = timed(self.measure(genotype), genotype, self.stopwatch)
        if reason := config.fitness.refusal(size):
            raise ConfigError(f"the ancestor: {reason}; choose a smaller one, or raise the limit")
        self._add(
            Individual(
                kind="ancestor",
                birth=0,
                generation=0,
                genotype=genotype,
                seed=config.training_seed,
                num_parameters=size.num_parameters,
                num_macs=size.num_macs,
                latency_ms=size.latency_ms,
                latency_device=self.stopwatch.device if self.stopwatch else None,
                created_at=store.clock(),
            )
        )

    def choose_parents(
        self, seen: Sequence[Standing], *, draw: int, upto: int | None = None
    ) -> list[str]:
        """Return the ids of who may have children, of those in `seen`; `draw` is the number of the
        choice, of which chance is a function.

        Whose weights are missing or damaged is passed over, and the choice is made again, then of
        all that have weights, up to the birth `upto`.

        Raises: RunFailed if nobody's weights are left.
        """
        config = self.config
        lost: set[str] = set()
        while True:
            rng = np.random.default_rng([config.seed, draw, _PARENTS])
            chosen = PARENTS_BY[config.parents_by](seen, config.parents, rng)
            found = {id for id in chosen if self._lost(id)}
            if not found:
                break
            lost |= found
            seen = [one for one in self.store.standings(upto=upto) if one.id not in lost]
        if lost and not chosen:
            raise RunFailed(
                "the weights of all that may have children are missing or damaged: restore blobs/ "
                "of the run from a copy, then go on with --resume"
            )
        return chosen

    def _lost(self, id: str) -> bool:
        """Return whether the weights of an individual, which had some, cannot be read any more;
        tell it the first time."""
        one = self.store.individual(id)
        digest = one.result.get("blob")
        if digest is None:
            return False
        try:
            self.store.blobs.check(digest)
        except RunError as error:
            if id not in self._told:
                self._told.add(id)
                self.emit("passed_over", id=id, generation=one.generation, reason=str(error))
            return True
        return False

    def _orphaned(self, born: Sequence[Individual]) -> bool:
        """Return whether none of these can be trained, because their parents' weights are lost."""
        parents = {one.parent_id for one in born}
        return all(parent is not None and self._lost(parent) for parent in parents)

    def propose(
        self, parents: Sequence[Individual], *, generation: int, count: int, cloned: str | None
    ) -> Proposal:
        """Propose at most `count` children of `parents`, interleaved, and with them a clone of the
        individual `cloned`, if there are children at all."""
        store, config = self.store, self.config
        proposal = propose_generation(
            parents,
            self.space,
            generation=generation,
            first_birth=store.last_birth() + 1,
            count=count,
            search_seed=config.seed,
            training_seed=config.training_seed,
            fitness=config.fitness,
            measure=self.measure,
            stopwatch=self.stopwatch,
            known=lambda genotype: store.known(genotype.digest),
            now=store.clock(),
        )
        clones = []
        if cloned is not None and proposal.children:
            parent, number = store.individual(cloned), store.count_clones(cloned)
            clones = [clone_of(parent, number=number, generation=generation, now=store.clock())]
        self._add(*proposal.children, *clones)
        return proposal

    def propose_repeats(self) -> list[Individual]:
        """Propose the best once more with other seeds, and return what is yet to be trained."""
        store, config = self.store, self.config
        seeds = range(config.training_seed + 1, config.training_seed + 1 + config.rescore_seeds)
        wanted = [
            repeat_of(one, seed=seed, now=store.clock())
            for one in store.best(config.rescore)
            for seed in seeds
        ]
        there = {one.id for one in store.individuals(kind="repeat")}
        self._add(*(one for one in wanted if one.id not in there))
        return store.individuals(status="proposed", kind="repeat")

    def close(
        self, generation: int, *, also: Sequence[str] = (), upto: int | None = None
    ) -> Ending | None:
        """Judge a generation that has ended; return why the search ends with it, if it does.

        Weights that nobody needs any more are dropped: kept are those of the ids `also`, and of
        whom a proposal may choose that sees the births up to `upto` alone (see `Store.retain`).

        Raises: RunFailed if nothing is left of the generation but failures, unless the weights of
        its parents are lost; or if the weights that are needed are above the quota.
        """
        store, config = self.store, self.config
        individuals = store.individuals(generation=generation)
        born = [one for one in individuals if one.competes]
        if all(one.status == "failed" for one in born) and not self._orphaned(born):
            raise RunFailed(_all_failed(generation, born))
        (best,) = store.best(1, upto=upto)
        self._retain(also, upto)
        self.emit(
            "generation",
            generation=generation,
            done=sum(one.status == "done" for one in born),
            failed=sum(one.status == "failed" for one in born),
            best_id=best.id,
            best_fitness=best.fitness,
            clone_fitness=next((one.fitness for one in individuals if one.kind == "clone"), None),
        )
        newest = max(one.generation for one in store.pareto(upto=upto))
        found = store.best_by_generation()[: generation + 1]
        return ending_of(config, found, store.spent_seconds(), newest)

    def _retain(self, also: Sequence[str], upto: int | None) -> None:
        """Drop the weights that nobody needs, and of the best those that the quota has no room for.

        Raises: RunFailed if that does not make room enough.
        """
        store, config = self.store, self.config
        least = max(config.parents, config.rescore)
        keep = config.keep
        if config.parents_by != "random":  # there anyone may become a parent
            store.retain(best=keep, also=also, upto=upto)
        if config.quota_gb is None:
            return
        while (size := weights(store).kept_bytes) > config.quota_gb * 1e9:
            if keep == least or config.parents_by == "random":
                raise RunFailed(
                    f"the weights that are needed take {size / 1e9:.3g} GB, above the quota of "
                    f"{config.quota_gb:g} GB. All results so far are kept: go on with --resume and "
                    "a higher --quota"
                )
            keep = max(least, keep // 2)
            store.retain(best=keep, also=also, upto=upto)

    def _add(self, *individuals: Individual) -> None:
        self.store.propose(individuals)
        for one in individuals:
            self.emit("proposed", id=one.id, generation=one.generation, parent_id=one.parent_id)


def remembering(store: Store, stopwatch: Stopwatch | None) -> Stopwatch | None:
    """Return a stopwatch that measures a genotype once: what was measured is in the store."""
    if stopwatch is None:
        return None

    def measure(genotype: Genotype) -> float:
        found = store.latency(genotype.digest, stopwatch.device)
        if found is None:
            found = stopwatch.measure(genotype)
            store.note_latency(genotype.digest, stopwatch.device, found)
        return found

    return Stopwatch(device=stopwatch.device, measure=measure)


def _all_failed(generation: int, born: Sequence[Individual]) -> str:
    reasons = Counter(one.fail_reason for one in born)
    told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
    children = f"all {len(born)} children of generation {generation}"
    who = "the ancestor" if generation == 0 else children
    return f"{who} failed: {told}. Mend the cause, then go on with --resume: it tries again"
