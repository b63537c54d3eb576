"""The search: generation after generation, until one of its ends is reached.

Each generation is a barrier: it is proposed when the one before it has ended, from what the store
then holds. So a search that is killed and resumed goes where an undisturbed one would have gone.
At the end the best are trained again with other seeds, if the configuration says so.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from evopose.errors import ConfigError, RunError, RunFailed
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.individual import Individual
from evopose.evolution.jobs import Executor
from evopose.evolution.proposal import (
    Measure,
    Proposal,
    Stopwatch,
    clone_of,
    propose_generation,
    repeat_of,
    timed,
)
from evopose.evolution.runner import Ending, MakeJob, Runner
from evopose.evolution.selection import PARENTS_BY
from evopose.evolution.store import Store
from evopose.genotype import Genotype, SearchSpace

_PARENTS = 1
"""Third word of the seed with which parents are drawn: no child's draws have three."""


def run_search(
    store: Store,
    space: SearchSpace,
    config: EvolutionConfig,
    *,
    measure: Measure,
    make_job: MakeJob,
    executor: Executor,
    ancestor: Genotype | None = None,
    stopwatch: Stopwatch | None = None,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Ending:
    """Begin the search in `store`, or go on with it, and return why it ended.

    `ancestor` (default: the space's) is generation 0. `stopwatch` measures latencies while nothing
    else runs; fitness that needs them needs it. `on_event` is told of all that happens:
    dicts of `kind` ("proposed", "started", "progress", "done", "failed", "lost", "generation",
    "stopped") and particulars, most with the `id` of an individual. When `should_stop` says so, or
    on KeyboardInterrupt, what runs is killed and proposed again when the search goes on. A
    generation of which nothing was left but failures is tried again then.

    Raises: ConfigError if the ancestor is above the limits; RunError if the ancestor or all
    children of a generation fail, or the disk is full: nothing told is lost.
    """
    assert stopwatch or not config.fitness.needs_latency, "latencies need a stopwatch"
    search = _Search(
        store, space, config, functools.cache(measure), remembering(store, stopwatch), on_event
    )
    search.begin(ancestor or space.ancestor)
    store.begin_session(len(executor.slots))
    hours = math.inf if config.hours is None else config.hours
    runner = Runner(
        store,
        executor,
        make_job=make_job,
        fitness=config.fitness,
        lease_seconds=config.lease_seconds,
        max_attempts=config.max_attempts,
        deadline=store.clock() + hours * 3600 - store.spent_seconds(),
        should_stop=should_stop,
        emit=search.emit,
    )
    try:
        ending = _generations(search, runner)
        if ending.kind != "stopped":
            runner.extend()
            ending = runner.run(search.propose_repeats()) or ending
    except KeyboardInterrupt:
        ending = Ending(kind="stopped", reason="it was interrupted")
    except BaseException:
        with suppress(RunError):  # on a full disk; the next session does it
            runner.abandon()
        raise
    runner.abandon()
    store.log("stopped", ending=ending.kind, reason=ending.reason)
    search.emit("stopped", ending=ending.kind, reason=ending.reason)
    return ending


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


def ending_of(
    config: EvolutionConfig, best: Sequence[float], seconds: float, newest: int
) -> Ending | None:
    """Return why a search ends after its last generation, if it does.

    `best` holds the best fitness found up to each generation, the ancestor's first; `seconds` is
    the time spent; `newest` the last generation that has someone in the Pareto set: a search for
    that set loses patience when it stays as it is.
    """
    generation = len(best) - 1
    if config.generations is not None and generation >= config.generations:
        return Ending(kind="generations", reason=f"all {config.generations} generations are done")
    if config.hours is not None and seconds >= config.hours * 3600:
        return Ending(kind="hours", reason="its hours are spent")
    if config.patience is not None and generation >= config.patience:
        if config.parents_by == "pareto":
            if generation - newest < config.patience:
                return None
            reason = f"the last {config.patience} generations added nobody to the Pareto set"
            return Ending(kind="patience", reason=reason)
        before = best[-1 - config.patience]
        gain = (before - best[-1]) / before if before else 0.0
        if gain <= config.min_gain:
            reason = f"the last {config.patience} generations improved the best by {gain:.2%}"
            return Ending(kind="patience", reason=reason)
    return None


def _generations(search: "_Search", runner: Runner) -> Ending:
    while True:
        if ending := runner.run(search.store.individuals(status="proposed")):
            return ending
        if ending := search.close_generation():
            return ending
        if ending := search.propose():
            return ending


@dataclass
class _Search:
    """A search in progress: what it holds is in the store."""

    store: Store
    space: SearchSpace
    config: EvolutionConfig
    measure: Measure
    stopwatch: Stopwatch | None
    on_event: Callable[[dict[str, Any]], None]

    def emit(self, kind: str, **particulars: Any) -> None:
        """Tell the caller."""
        self.on_event({**particulars, "kind": kind})

    def begin(self, genotype: Genotype) -> None:
        """Propose the ancestor; in a run that goes on, what failed as a whole generation."""
        store, config = self.store, self.config
        if (last := store.last_generation()) >= 0:
            generation = store.individuals(generation=last)
            if all(one.status == "failed" for one in generation if one.competes):
                store.propose_again(generation)
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

    def close_generation(self) -> Ending | None:
        """Judge the generation that has ended; return why the search ends with it, if it does."""
        store, config = self.store, self.config
        generation = store.last_generation()
        individuals = store.individuals(generation=generation)
        born = [one for one in individuals if one.competes]
        if all(one.status == "failed" for one in born):
            raise RunFailed(_all_failed(generation, born))
        (best,) = store.best(1)
        if config.parents_by != "random":  # there anyone may become a parent
            keep = max(config.parents, config.keep_best, config.rescore)
            store.retain(best=keep, also=self.parent_ids())
        self.emit(
            "generation",
            generation=generation,
            done=sum(one.status == "done" for one in born),
            failed=sum(one.status == "failed" for one in born),
            best_id=best.id,
            best_fitness=best.fitness,
            clone_fitness=next((one.fitness for one in individuals if one.kind == "clone"), None),
        )
        newest = max(one.generation for one in store.pareto())
        return ending_of(config, store.best_by_generation(), store.spent_seconds(), newest)

    def propose(self) -> Ending | None:
        """Propose the next generation; return why the search ends if there is none."""
        store, config = self.store, self.config
        parents = [store.individual(id) for id in self.parent_ids()]
        generation = store.last_generation() + 1
        proposal = propose_generation(
            parents,
            self.space,
            generation=generation,
            first_birth=store.last_birth() + 1,
            count=config.children,
            search_seed=config.seed,
            training_seed=config.training_seed,
            fitness=config.fitness,
            measure=self.measure,
            stopwatch=self.stopwatch,
            known=lambda genotype: store.known(genotype.digest),
            now=store.clock(),
        )
        if not proposal.children:
            return Ending(kind="exhausted", reason="; ".join(proposal.notes))
        self._note(generation, proposal)
        clones = []
        if config.clones:
            number = store.count_clones(parents[0].id)
            clones = [clone_of(parents[0], number=number, generation=generation, now=store.clock())]
        self._add(*proposal.children, *clones)
        return None

    def parent_ids(self) -> list[str]:
        """Return who has children in the generation after the last: a function of the store."""
        config, generation = self.config, self.store.last_generation() + 1
        rng = np.random.default_rng([config.seed, generation, _PARENTS])
        return PARENTS_BY[config.parents_by](self.store.standings(), config.parents, rng)

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

    def _note(self, generation: int, proposal: Proposal) -> None:
        if missing := self.config.children - len(proposal.children):
            self.store.log(
                "smaller", generation=generation, missing=missing, reasons=list(proposal.notes)
            )

    def _add(self, *individuals: Individual) -> None:
        self.store.propose(individuals)
        for one in individuals:
            self.emit("proposed", id=one.id, generation=one.generation, parent_id=one.parent_id)


def _all_failed(generation: int, born: Sequence[Individual]) -> str:
    reasons = Counter(one.fail_reason for one in born)
    told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
    children = f"all {len(born)} children of generation {generation}"
    who = "the ancestor" if generation == 0 else children
    return f"{who} failed: {told}. Mend the cause, then go on with --resume: it tries again"
