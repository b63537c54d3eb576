"""Controls and objectives: parents by chance, fronts, repeats with other seeds, latencies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolution.toys import CONFIG, SPACE, individual, measure, search
from evopose.errors import ConfigError
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.ending import ending_of
from evopose.evolution.fitness import Fitness, Size
from evopose.evolution.proposal import Stopwatch
from evopose.evolution.selection import (
    PARENTS_BY,
    Standing,
    crowding_distance,
    winner,
)
from evopose.evolution.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "run", {}) as made:
        yield made


def standing(birth, error, parameters, cost, fitness=None):
    fitness = error if fitness is None else fitness
    return Standing(str(birth), birth, fitness, error, parameters, cost)


# parents


def test_parents_by_chance_know_no_fitness(store):
    search(store, replace(CONFIG, parents_by="random", generations=12, parents=4))
    fitness = {one.id: one.fitness for one in store.individuals() if one.competes}
    parents = [one.parent_id for one in store.individuals() if one.kind == "mutant"]
    ranks = {id: rank for rank, id in enumerate(sorted(fitness, key=fitness.get))}
    middle = np.mean([ranks[id] for id in parents]) / len(ranks)
    assert 0.3 < middle < 0.85  # those of the fittest would be near 0
    assert all(one.blob for one in store.individuals())  # anyone may become a parent


@pytest.mark.parametrize("parents_by", sorted(PARENTS_BY))
def test_a_search_that_is_stopped_chooses_the_same_parents(tmp_path, parents_by):
    config = replace(CONFIG, parents_by=parents_by)
    stories = []
    for name, steps in (("whole", [4]), ("parts", [1, 2, 4])):
        with Store.create(tmp_path / name, {}):
            pass
        for generations in steps:
            with Store.open(tmp_path / name) as store:
                search(store, replace(config, generations=generations))
                story = [(one.id, one.parent_id, one.genotype) for one in store.individuals()]
        stories.append(story)
    assert stories[0] == stories[1]


def dominates(a, b):
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


@given(
    st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=24),
    st.integers(1, 12),
)
def test_fronts_are_those_of_comparing_all_pairs(points, k):
    standings = [standing(i, *point) for i, point in enumerate(points)]
    chosen = PARENTS_BY["pareto"](standings, k, np.random.default_rng(0))
    rank, left, level = {}, dict(enumerate(points)), 0
    while left:
        front = [i for i in left if not any(dominates(q, left[i]) for q in left.values())]
        rank |= dict.fromkeys(front, level)
        for i in front:
            del left[i]
        level += 1
    ranks = [rank[int(id)] for id in chosen]
    assert ranks == sorted(ranks)
    assert sorted(rank.values())[: len(chosen)] == ranks
    assert len(set(chosen)) == len(chosen) == min(k, len(points))


def test_of_a_front_the_ends_and_the_loneliest_are_taken():
    points = [(0.0, 100), (1.0, 99), (2.0, 98), (50.0, 50), (100.0, 0)]
    standings = [standing(i, error, n, 1) for i, (error, n) in enumerate(points)]
    chosen = PARENTS_BY["pareto"](standings, 3, np.random.default_rng(0))
    assert set(chosen) == {"0", "4", "3"}
    # by hand: (2 - 0) / 100 + (100 - 98) / 100; (50 - 1) / 100 twice; (100 - 2) / 100 twice
    assert crowding_distance(points) == pytest.approx([np.inf, 0.04, 0.98, 1.96, np.inf])


def test_a_search_for_the_front_ends_when_the_front_stays(store):
    config = EvolutionConfig(parents_by="pareto", patience=3)
    best = [1.0, 1.0, 1.0, 1.0, 1.0]
    assert ending_of(config, best, 0.0, newest=2) is None
    assert "nobody to the Pareto set" in ending_of(config, best, 0.0, newest=1).reason
    assert ending_of(replace(config, parents_by="best"), best, 0.0, newest=4).kind == "patience"


def test_unknown_ways_are_refused():
    with pytest.raises(ConfigError, match="parents_by must be one of best, pareto, random"):
        EvolutionConfig(parents_by="luck")
    with pytest.raises(ConfigError, match="error must be loss or oks"):
        Fitness(error="ap")


# error


def test_oks_is_an_error_that_falls_as_it_rises():
    fitness = Fitness(error="oks", target_parameters=10)
    assert fitness.error_of({"loss": 7.0, "mean_oks": 0.75}) == 0.25
    assert fitness.score(0.25, Size(num_parameters=10, num_macs=1)) == 0.25
    with pytest.raises(KeyError):
        fitness.error_of({"loss": 7.0})


# repeats


def done(birth, fitness, **values):
    values = {"status": "done", "loss": fitness, "error": fitness, "fitness": fitness} | values
    return individual(birth, **values)


def repeat(birth, seed, fitness, **values):
    return done(birth, fitness, kind="repeat", seed=seed, **values)


def test_who_was_lucky_loses_when_trained_again():
    pool = [done(0, 0.9), done(1, 0.50), done(2, 0.51), done(3, 0.8)]
    assert winner(pool).id == "1"
    again = [repeat(1, 8, 0.60), repeat(1, 9, 0.58), repeat(2, 8, 0.52), repeat(2, 9, 0.54)]
    assert winner([*pool, *again]).id == "2"
    assert winner([*pool, *again, done(4, 0.4)]).id == "4"  # came later, fitter than all before
    assert winner([*pool, *again[:1], *again[2:]]).id == "2"  # fewer repeats: not compared
    assert winner([]) is None


def test_the_best_are_trained_again_with_other_seeds(store):
    config = replace(CONFIG, rescore=3, rescore_seeds=2)
    ending = search(store, config)
    assert ending.kind == "generations"
    repeats = store.individuals(kind="repeat")
    seed = config.training_seed
    assert {one.id for one in repeats} == {
        f"{one.id}r{seed + n}" for one in store.best(3) for n in (1, 2)
    }
    for one in repeats:
        original = store.individual(str(one.birth))
        assert (one.genotype, one.parent_id) == (original.genotype, original.parent_id)
        assert one.status == "done"
        assert not one.competes
    assert store.winner().id in {one.id for one in store.best(3)}
    assert store.winner() == winner(store.individuals())
    search(store, config)  # there they are already
    assert [one.id for one in store.individuals(kind="repeat")] == [one.id for one in repeats]
    search(store, replace(config, generations=6))  # and the search goes on beside them
    assert store.last_generation() == 6
    assert store.last_birth() == 42


def test_a_search_that_is_stopped_names_no_winner_by_repeats(store):
    calls = iter(range(10**6))
    ending = search(store, replace(CONFIG, rescore=3), should_stop=lambda: next(calls) > 40)
    assert ending.kind == "stopped"
    assert not store.individuals(kind="repeat")


def test_when_the_hours_are_spent_the_best_are_still_trained_again(tmp_path):
    now = 0.0

    def clock():
        nonlocal now
        now += 10.0
        return now

    config = replace(CONFIG, generations=None, hours=1.0, rescore=2, rescore_seeds=1)
    with Store.create(tmp_path / "run", {}, clock=clock) as store:
        assert search(store, config).kind == "hours"
        assert [one.status for one in store.individuals(kind="repeat")] == ["done"] * 2


def test_a_parent_that_stays_the_best_has_clones_of_several_seeds(store):
    search(store, replace(CONFIG, generations=8))
    clones = [one for one in store.individuals() if one.kind == "clone"]
    seeds = {}
    for one in clones:
        seeds.setdefault(one.parent_id, []).append(one.seed)
    assert max(map(len, seeds.values())) > 1
    for of_one in seeds.values():
        assert of_one == list(range(CONFIG.training_seed, CONFIG.training_seed + len(of_one)))


# latency


def counting(latency):
    asked = []

    def read(genotype):
        asked.append(genotype)
        return latency(genotype)

    return Stopwatch(device="toy (one hand)", measure=read), asked


def toy_latency(genotype):
    return sum(stage.kernel for stage in genotype.stages) / 10


def test_slow_networks_are_never_trained_and_each_is_timed_once(store):
    limit = toy_latency(SPACE.ancestor)
    watch, asked = counting(toy_latency)
    fitness = Fitness(max_latency_ms=limit)
    search(store, replace(CONFIG, fitness=fitness, clones=False), stopwatch=watch)
    everyone = store.individuals()
    assert {one.latency_device for one in everyone} == {"toy (one hand)"}
    assert all(one.latency_ms == toy_latency(one.genotype) <= limit for one in everyone)
    assert len(asked) == len(set(asked)) > len(everyone)  # some were refused
    before = len(asked)
    search(store, replace(CONFIG, fitness=fitness, clones=False), stopwatch=watch)
    assert len(asked) == before


def test_what_other_limits_refuse_is_not_timed(store):
    watch, asked = counting(toy_latency)
    most = measure(SPACE.ancestor).num_parameters
    fitness = Fitness(max_parameters=most, max_latency_ms=1e9)
    search(store, replace(CONFIG, fitness=fitness), stopwatch=watch)
    assert asked
    assert max(measure(genotype).num_parameters for genotype in asked) <= most


def test_a_target_latency_weighs_in_j():
    fitness = Fitness(target_parameters=10, target_latency_ms=4.0, gamma_latency=-0.5)
    assert fitness.needs_latency
    size = Size(num_parameters=10, num_macs=1, latency_ms=16.0)
    assert fitness.score(3.0, size) == pytest.approx(6.0)  # (4 / 16) ** -0.5 = 2


def test_limits_on_latency_say_what_is_above_what():
    fitness = Fitness(max_latency_ms=2.5)
    size = Size(num_parameters=1, num_macs=1)
    assert fitness.refusal(size) is None
    assert fitness.refusal(replace(size, latency_ms=2.5)) is None
    assert fitness.refusal(replace(size, latency_ms=2.61)) == (
        "2.61 ms are above the limit of 2.5 ms"
    )
