"""The search: an ancestor, then its offspring, until one of its ends is reached.

At the end the best are trained again with other seeds, if the configuration says so.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from evopose.errors import RunError
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.ending import Ending
from evopose.evolution.generational import by_generations
from evopose.evolution.jobs import Executor
from evopose.evolution.population import Population
from evopose.evolution.proposal import Measure, Stopwatch
from evopose.evolution.runner import MakeJob, Runner
from evopose.evolution.steady import steadily
from evopose.evolution.store import Store
from evopose.genotype import Genotype, SearchSpace

COURSES: dict[str, Callable[[Population, Runner], Ending]] = {
    "generations": by_generations,
    "async": steadily,
}
"""Name of a mode (`config.MODES`) -> the search's course in it."""


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
    dicts of `kind` ("proposed", "started", "progress", "done", "failed", "lost", "passed_over",
    "slots", "generation", "stopped") and particulars, most with the `id` of an individual. When
    `should_stop` says so, or on KeyboardInterrupt, what runs is killed and proposed again when the
    search goes on. A generation of which nothing was left but failures is tried again then.

    Raises: ConfigError if the ancestor is above the limits; RunError if the ancestor or all
    children of a generation fail, or the disk is full: nothing told is lost.
    """
    assert stopwatch or not config.fitness.needs_latency, "latencies need a stopwatch"
    population = Population(store, space, config, measure, stopwatch, on_event)
    population.begin(ancestor or space.ancestor)
    store.begin_session(len(executor.slots))
    hours = math.inf if config.hours is None else config.hours
    runner = Runner(
        store,
        executor,
        make_job=make_job,
        fitness=config.fitness,
        lease_seconds=config.lease_seconds,
        timeout_seconds=math.inf if config.timeout_seconds is None else config.timeout_seconds,
        max_attempts=config.max_attempts,
        deadline=store.clock() + hours * 3600 - store.spent_seconds(),
        should_stop=should_stop,
        emit=population.emit,
    )
    try:
        ending = COURSES[config.mode](population, runner)
        if ending.kind != "stopped":
            runner.extend()
            ending = runner.run(population.propose_repeats()) or ending
    except KeyboardInterrupt:
        ending = Ending(kind="stopped", reason="it was interrupted")
    except BaseException:
        with suppress(RunError):  # on a full disk; the next session does it
            runner.abandon()
        raise
    runner.abandon()
    store.log("stopped", ending=ending.kind, reason=ending.reason)
    population.emit("stopped", ending=ending.kind, reason=ending.reason)
    return ending
