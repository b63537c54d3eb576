"""The paper's mode: generation after generation.

Each generation is a barrier: it is proposed when the one before it has ended, from what the store
then holds. So a search that is killed and resumed goes where an undisturbed one would have gone.
"""

from evopose.evolution.ending import Ending
from evopose.evolution.population import Population
from evopose.evolution.runner import Runner


def by_generations(population: Population, runner: Runner) -> Ending:
    """Train and propose generations until an end is reached, and return which."""
    store = population.store
    while True:
        if ending := runner.run(store.individuals(status="proposed")):
            return ending
        if ending := population.close(store.last_generation(), also=_parent_ids(population)):
            return ending
        if ending := _propose(population):
            return ending


def _propose(population: Population) -> Ending | None:
    """Propose the next generation; return why the search ends if there is none."""
    store, config = population.store, population.config
    parents = [store.individual(id) for id in _parent_ids(population)]
    generation = store.last_generation() + 1
    proposal = population.propose(
        parents,
        generation=generation,
        count=config.children,
        cloned=parents[0].id if config.clones else None,
    )
    if not proposal.children:
        return Ending(kind="exhausted", reason="; ".join(proposal.notes))
    if missing := config.children - len(proposal.children):
        store.log("smaller", generation=generation, missing=missing, reasons=list(proposal.notes))
    return None


def _parent_ids(population: Population) -> list[str]:
    """Return who has children in the generation after the last: a function of the store."""
    store = population.store
    return population.choose_parents(store.standings(), draw=store.last_generation() + 1)
