"""The asynchronous mode: a steady state without barriers.

Whenever a slot falls free, one child is proposed from what is known then; no slot waits for
another. `children` births make a generation, for the clones, for reports, and for the ends of the
search. Parents share the last generation's worth of births evenly: networks that train quickly
come back sooner, but have no more children for it, and who was slow to become a parent is served
first.

With a window W the search repeats itself: birth i is proposed when all births up to i - W have
ended, and from these alone. However long a training takes, on whatever machine and after whatever
interruption, the same results then lead to the same children.
"""

from evopose.evolution.ending import Ending
from evopose.evolution.individual import Individual
from evopose.evolution.population import Population
from evopose.evolution.runner import Runner


def steadily(population: Population, runner: Runner) -> Ending:
    """Train and propose child after child until an end is reached, and return which."""
    course = _Course(population)
    waiting = population.store.individuals(status="proposed")
    return runner.run(waiting, course.more) or course.end()


class _Course:
    """How far a steady search is: which generations are judged, and why it ends."""

    def __init__(self, population: Population) -> None:
        self._population = population
        self._ending: Ending | None = None
        self._exhausted: tuple[str, ...] = ()
        last = population.store.last_birth()
        # In a run that goes on the youngest is judged once more: it may have been in the middle.
        self._closed = max(-1, self._complete(self._sight(last)) - 1)

    def more(self) -> list[Individual]:
        """Propose the next child, with a clone before each generation's first, and return them."""
        store, config = self._population.store, self._population.config
        birth = store.last_birth() + 1
        sight = self._sight(birth)
        if store.ended_up_to() < (sight or 0):
            return []
        self._close(sight)
        if self._ending or (config.generations is not None and birth > self._last_birth()):
            return []
        ranked = self._parent_ids(birth, sight)
        shares = store.count_children(since=birth - config.children)
        served = sorted(ranked, key=lambda id: shares.get(id, 0))  # equals stay by rank
        opens = (birth - 1) % config.children == 0
        proposal = self._population.propose(
            [store.individual(id) for id in served],
            generation=self._generation(birth),
            count=1,
            cloned=ranked[0] if config.clones and opens else None,
        )
        self._exhausted = () if proposal.children else proposal.notes
        if self._exhausted and config.window is not None:
            # What else is in training must not count, or the end would depend on the machine.
            self._ending = Ending(kind="exhausted", reason="; ".join(proposal.notes))
        return store.individuals(status="proposed") if proposal.children else []

    def end(self) -> Ending:
        """Judge what has ended since; return why the search ended, now that nothing runs."""
        self._close(None)
        if self._ending:
            return self._ending
        return Ending(kind="exhausted", reason="; ".join(self._exhausted))

    def _close(self, sight: int | None) -> None:
        complete = self._complete(sight)
        while self._closed < complete and self._ending is None:
            self._closed += 1
            self._ending = self._population.close(self._closed, upto=sight)

    def _complete(self, sight: int | None) -> int:
        """Return the last generation that is in sight as a whole and, as all before it, has ended;
        -1 if there is none."""
        store, children = self._population.store, self._population.config.children
        seen = store.last_birth() if sight is None else sight
        ended = min(seen, store.ended_up_to())
        return ended // children

    def _sight(self, birth: int) -> int | None:
        """Return the last birth whose result the proposal of `birth` may see; None: any."""
        window = self._population.config.window
        return None if window is None else max(0, birth - window)

    def _generation(self, birth: int) -> int:
        return 1 + (birth - 1) // self._population.config.children

    def _last_birth(self) -> int:
        config = self._population.config
        assert config.generations is not None
        return config.generations * config.children

    def _parent_ids(self, birth: int, sight: int | None) -> list[str]:
        """Return who may be the parent of `birth`, best first: a function of what is in sight.

        What the store holds but retention may have dropped is left out by rule, not by whether it
        was: the order of results must not show.
        """
        store, config = self._population.store, self._population.config
        if config.parents_by == "random":
            seen = store.standings(upto=sight)
        else:
            front = config.parents_by == "pareto"
            seen = store.candidates(best=config.parents, front=front, upto=sight)
        return self._population.choose_parents(seen, draw=birth, upto=sight)
