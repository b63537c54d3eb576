"""The search: generation after generation, until one of its ends is reached.

Each generation is a barrier: it is proposed when the one before it has ended, from what the store
then holds. So a search that is killed and resumed goes where an undisturbed one would have gone.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from evopose.errors import ConfigError, RunError, RunFailed
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.individual import Individual
from evopose.evolution.jobs import Executor
from evopose.evolution.proposal import Measure, Proposal, clone_of, propose_generation
from evopose.evolution.runner import Ending, MakeJob, Runner
from evopose.evolution.store import Store
from evopose.genotype import Genotype, SearchSpace


def run_search(
    store: Store,
    space: SearchSpace,
    config: EvolutionConfig,
    *,
    measure: Measure,
    make_job: MakeJob,
    executor: Executor,
    ancestor: Genotype | None = None,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Ending:
    """Begin the search in `store`, or go on with it, and return why it ended.

    `ancestor` (default: the space's) is generation 0. `on_event` is told of all that happens:
    dicts of `kind` ("proposed", "started", "progress", "done", "failed", "lost", "generation",
    "stopped") and particulars, most with the `id` of an individual. When `should_stop` says so, or
    on KeyboardInterrupt, what runs is killed and proposed again when the search goes on. A
    generation of which nothing was left but failures is tried again then.

    Raises: ConfigError if the ancestor is above the limits; RunError if the ancestor or all
    children of a generation fail, or the disk is full: nothing told is lost.
    """
    search = _Search(store, space, config, functools.cache(measure), on_event)
    search.begin(ancestor or space.ancestor)
    store.begin_session(executor.slots)
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


def ending_of(config: EvolutionConfig, best: Sequence[float], seconds: float) -> Ending | None:
    """Return why a search ends after its last generation, if it does.

    `best` holds the best fitness found up to each generation, the ancestor's first; `seconds` is
    the time spent.
    """
    generation = len(best) - 1
    if config.generations is not None and generation >= config.generations:
        return Ending(kind="generations", reason=f"all {config.generations} generations are done")
    if config.hours is not None and seconds >= config.hours * 3600:
        return Ending(kind="hours", reason="its hours are spent")
    if config.patience is not None and generation >= config.patience:
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
        num_parameters, num_macs = self.measure(genotype)
        if reason := config.fitness.refusal(num_parameters, num_macs):
            raise ConfigError(f"the ancestor: {reason}; choose a smaller one, or raise the limit")
        self._add(
            Individual(
                kind="ancestor",
                birth=0,
                generation=0,
                genotype=genotype,
                seed=config.training_seed,
                num_parameters=num_parameters,
                num_macs=num_macs,
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
        store.retain(best=max(config.parents, config.keep_best))
        self.emit(
            "generation",
            generation=generation,
            done=sum(one.status == "done" for one in born),
            failed=sum(one.status == "failed" for one in born),
            best_id=best.id,
            best_fitness=best.fitness,
            clone_fitness=next((one.fitness for one in individuals if one.kind == "clone"), None),
        )
        return ending_of(config, store.best_by_generation(), store.spent_seconds())

    def propose(self) -> Ending | None:
        """Propose the next generation; return why the search ends if there is none."""
        store, config = self.store, self.config
        parents = store.best(config.parents)
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
            known=lambda genotype: store.known(genotype.digest),
            now=store.clock(),
        )
        if not proposal.children:
            return Ending(kind="exhausted", reason="; ".join(proposal.notes))
        self._note(generation, proposal)
        clones = [clone_of(parents[0], generation=generation, now=store.clock())]
        self._add(*proposal.children, *(clones if config.clones else []))
        return None

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
