"""The asynchronous mode: no barrier, fair to slow children, and with a window repeatable."""

import hashlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from evolution.toys import CONFIG, make_job, search, story, tiny_space
from evopose.errors import ConfigError, RunFailed
from evopose.evolution.accounting import overhead
from evopose.evolution.config import MODES, EvolutionConfig
from evopose.evolution.engine import COURSES
from evopose.evolution.executors import ProcessExecutor, SimulatedExecutor
from evopose.evolution.fitness import Fitness
from evopose.evolution.selection import best
from evopose.evolution.store import Store

STEADY = replace(CONFIG, mode="async", keep_best=3)
REPEATABLE = replace(STEADY, window=6)


@pytest.fixture
def run(tmp_path):
    """What runs the toy search in virtual time, and returns its store and why it ended."""
    with ExitStack() as stack:

        def run(config, *, name="run", slots=1, times=0, **options):
            executor = SimulatedExecutor(slots=slots, seconds=seconds(times))
            created = Store.create(tmp_path / name, {}, clock=executor.clock)
            store = stack.enter_context(created)
            return store, search(store, config, executor=executor, **options)

        yield run


def seconds(times):
    """How long each job takes: log-normal of CV 0.3, drawn by `times` and the job's id."""

    def of(job):
        digest = hashlib.sha256(f"{times}/{job.get('id', 0)}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        return float(rng.lognormal(2.3, 0.3))

    return of


def test_all_children_are_born_by_one_and_generations_have_their_clone(run):
    store, ending = run(STEADY, slots=5)
    assert (ending.kind, ending.reason) == ("generations", "all 4 generations are done")
    everyone = store.individuals()
    assert Counter(one.status for one in everyone) == {"done": 1 + 4 * 8}
    mutants = [one for one in everyone if one.kind == "mutant"]
    assert [one.birth for one in mutants] == list(range(1, 29))
    assert [one.generation for one in mutants] == [1 + i // 7 for i in range(28)]
    assert [one.id for one in everyone if one.kind == "clone"] == ["c1", "c2", "c3", "c4"]


def test_a_child_is_proposed_from_what_has_ended_by_then_and_from_nothing_else(run):
    store, _ = run(STEADY, slots=5)
    everyone = store.individuals()
    for child in everyone:
        if child.kind == "mutant":
            ended = [o for o in everyone if o.finished_at <= child.created_at]
            assert child.parent_id in [one.id for one in best(ended, STEADY.parents)]


def test_slots_are_never_idle_while_there_is_somebody_to_propose(run):
    store, _ = run(STEADY, name="async", slots=5)
    steady = overhead(store)
    barrier, _ = run(CONFIG, name="barrier", slots=5)
    births = [a.started_at for a in store.attempts() if a.individual_id != "0"]
    ends = sorted(a.ended_at for a in store.attempts())
    for started in sorted(births)[5:]:
        assert started in ends  # it took over a slot the moment it fell free
    assert steady["idle_share"] < overhead(barrier)["idle_share"] / 2


def test_parents_share_a_generation_of_births_evenly(run):
    config = replace(STEADY, children=12, generations=6, parents=3)
    store, _ = run(config, slots=4)
    everyone = [one for one in store.individuals() if one.kind == "mutant"]
    for end in range(24, 72):
        recent = Counter(one.parent_id for one in everyone[end - 12 : end])
        chosen = everyone[end]
        ended = [o for o in store.individuals() if o.finished_at <= chosen.created_at]
        parents = [one.id for one in best(ended, 3)]
        least = min(recent[id] for id in parents)
        assert recent[chosen.parent_id] == least


def test_with_a_window_neither_times_nor_slots_matter(run):
    told = []
    for number, (slots, times) in enumerate([(1, 0), (2, 1), (5, 2), (6, 3), (13, 4)]):
        store, ending = run(REPEATABLE, name=str(number), slots=slots, times=times)
        assert ending.kind == "generations"
        told.append(story(store))
    assert all(one == told[0] for one in told[1:])


@pytest.mark.parametrize("parents_by", ["pareto", "random"])
def test_with_a_window_other_selections_repeat_themselves_too(run, parents_by):
    config = replace(REPEATABLE, parents_by=parents_by, keep_best=1, generations=6)
    told = []
    for number, slots in enumerate([2, 6]):
        store, _ = run(config, name=str(number), slots=slots, times=number)
        told.append(story(store))
    assert told[0] == told[1]


def test_without_a_window_times_do_matter(run):
    told = []
    for times in (1, 2):
        store, _ = run(STEADY, name=str(times), slots=5, times=times)
        told.append(story(store))
    assert told[0] != told[1]


def test_with_a_window_a_child_waits_for_those_that_it_may_see(run):
    store, _ = run(REPEATABLE, slots=13)
    everyone = {one.birth: one for one in store.individuals() if one.competes}
    for birth, child in everyone.items():
        seen = [everyone[b] for b in range(max(0, birth - 6) + 1)] if birth else []
        assert all(one.finished_at <= child.created_at for one in seen)


@pytest.mark.parametrize("config", [STEADY, REPEATABLE])
def test_a_search_that_is_stopped_at_any_event_goes_on(run, tmp_path, config):
    whole, _ = run(config, name="whole", slots=3)
    rng = np.random.default_rng(0)
    folder, executor = tmp_path / "stopped", SimulatedExecutor(slots=3, seconds=seconds(0))
    store = Store.create(folder, {}, clock=executor.clock)
    stops, ending = 0, None
    while ending is None or ending.kind == "stopped":
        left = int(rng.integers(1, 8))

        def stop():
            nonlocal left
            left -= 1
            return left < 0

        ending = search(store, config, executor=executor, should_stop=stop)
        stops += ending.kind == "stopped"
        store.close()
        store = Store.open(folder, clock=executor.clock)
    with store:
        assert stops > 3
        assert ending.kind == "generations"
        assert Counter(one.status for one in store.individuals()) == {"done": 1 + 4 * 8}
        if config.window:
            assert story(store) == story(whole)


def test_processes_tell_the_story_of_virtual_time(run, tmp_path):
    config = replace(REPEATABLE, generations=2)
    whole, _ = run(config, name="whole")
    executor = ProcessExecutor(slots=2)
    with Store.create(tmp_path / "processes", {}) as store:
        search(store, config, executor=executor)
        executor.close()
        assert story(store) == story(whole)


# Ends


def test_patience_counts_generations(run):
    config = replace(STEADY, generations=None, patience=1, min_gain=10.0)
    _, ending = run(config, slots=3)
    assert ending.kind == "patience"


@pytest.mark.parametrize("config", [STEADY, REPEATABLE])
def test_a_space_that_is_used_up_ends_the_search(run, config):
    space = tiny_space(1, 2, 3, 4)
    store, ending = run(config, slots=2, space=space)
    assert ending.kind == "exhausted"
    assert "no mutant left" in ending.reason
    assert len([one for one in store.individuals() if one.competes]) == 4


def test_children_that_all_fail_end_the_search_with_the_reason(tmp_path):
    def failing(one, attempt, parent, store):
        if one.kind == "ancestor":
            return make_job()(one, attempt, parent, store)
        return {"function": "evolution.toys:misbehave", "do": "raise", "error": "ValueError"}

    with Store.create(tmp_path / "run", {}) as store:
        executor = SimulatedExecutor(slots=2, seconds=lambda job: 1.0)
        with pytest.raises(RunFailed, match=r"all 7 children of generation 1 failed: 7 x ValueE"):
            search(store, STEADY, executor=executor, make_job=failing)
        assert search(store, STEADY, executor=executor).kind == "generations"
        assert store.counts()["failed"] == 0


def test_an_ancestor_that_fails_ends_the_search(run):
    def failing(one, attempt, parent, store):
        return {"function": "evolution.toys:misbehave", "do": "raise", "error": "diverged"}

    with pytest.raises(RunFailed, match="the ancestor failed"):
        run(STEADY, make_job=failing)


def test_every_mode_has_its_course():
    assert tuple(COURSES) == MODES


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="generations, async"):
        EvolutionConfig(mode="steady")
    with pytest.raises(ConfigError, match="mode async alone"):
        EvolutionConfig(window=4)
    with pytest.raises(ConfigError, match="never pauses"):
        EvolutionConfig(mode="async", fitness=Fitness(max_latency_ms=1.0))
