"""What a search is said to cost is arithmetic on what was measured."""

import time
from dataclasses import replace

import pytest

from evopose.models.evopose2d_plan import Complexity
from evopose.recipes import SEARCH_RECIPES
from evopose.search.estimate import Throughput, estimate, measure_job, measure_throughput
from evopose.search.overrides import override
from evopose.search.session import Workers
from evopose.training.compute import Compute
from tiny_runs import as_before

SPEED = Throughput(
    images_per_second=50.0,
    memory_bytes=10**9,
    free_memory_bytes=3 * 10**9,
    complexity=Complexity(num_parameters=250_000, num_trainable=240_000, num_macs=10**7),
)
PERSONS = {"train": 900, "fitness": 300, "val": 100}
PASS_SECONDS = (900 + 300 / 3) / 50  # an epoch of one worker, validation at three times the speed


@pytest.fixture
def config():
    made = override(
        SEARCH_RECIPES["demo"](),
        children=5, generations=4, epochs=2, ancestor_epochs=10, parents=2,
    )  # fmt: skip
    return replace(made, evolution=replace(made.evolution, hours=None, rescore=0))


def test_trainings_hours_and_memory(config):
    cost = estimate(config, SPEED, persons=PERSONS, workers=2)
    assert cost.trainings == 1 + 4 * (5 + 1)
    assert cost.trainings_per_generation == 6
    generation = 3 * 2 * PASS_SECONDS  # six trainings of two epochs on two workers
    assert cost.hours_per_generation * 3600 == pytest.approx(generation)
    assert cost.hours * 3600 == pytest.approx(10 * PASS_SECONDS + 4 * generation)
    assert cost.memory_bytes == 2 * 10**9
    assert cost.free_memory_bytes == 3 * 10**9
    again = replace(config, evolution=replace(config.evolution, rescore=3, rescore_seeds=1))
    more = estimate(again, SPEED, persons=PERSONS, workers=2)
    assert more.trainings == cost.trainings + 3
    assert 3600 * (more.hours - cost.hours) == pytest.approx(2 * 2 * PASS_SECONDS)


def test_workers_that_find_nothing_to_do_save_no_time(config):
    four = estimate(config, SPEED, persons=PERSONS, workers=4)
    three = estimate(config, SPEED, persons=PERSONS, workers=3)
    assert four.hours_per_generation == three.hours_per_generation  # two rounds either way
    # But the ancestor, alone, has the threads of half of them.
    assert 3600 * (three.hours - four.hours) == pytest.approx(10 * PASS_SECONDS / 2)


def test_without_generations_there_is_no_end_but_the_hours(config):
    endless = replace(config, evolution=replace(config.evolution, generations=None))
    cost = estimate(endless, SPEED, persons=PERSONS, workers=1)
    assert (cost.trainings, cost.hours) == (None, None)
    night = replace(endless, evolution=replace(endless.evolution, hours=8.0))
    assert estimate(night, SPEED, persons=PERSONS, workers=1).hours == 8.0
    short = replace(config, evolution=replace(config.evolution, hours=0.001))
    assert estimate(short, SPEED, persons=PERSONS, workers=1).hours == 0.001


def test_disk_is_that_of_the_stored_crops_and_kept_weights(config):
    cost = estimate(config, SPEED, persons=PERSONS, workers=1)
    height, width = 134, 90  # 96 x 64 with a margin of 19 and 13 pixels about it
    assert cost.crops_bytes == 1300 * height * width * 3
    assert cost.weights_bytes == 4 * 250_000 * (10 + 2 + 6)  # best, parents, a generation
    capped = replace(config, evolution=replace(config.evolution, quota_gb=0.01))
    assert estimate(capped, SPEED, persons=PERSONS, workers=1).weights_bytes == 10_000_000


def test_the_crops_are_as_large_as_was_said(finished_run, dots):
    from evopose.data.layouts import open_dataset
    from evopose.search.folder import read_config
    from evopose.search.session import parts_of, prepare_data

    config, splits = read_config(finished_run), open_dataset(dots)
    persons = {name: len(part.trainable) for name, part in parts_of(splits).items()}
    cost = estimate(config, SPEED, persons=persons, workers=1)
    data = prepare_data(splits, config)
    sizes = [part.cache.images.nbytes for part in (data.train, data.fitness, data.val)]
    assert cost.crops_bytes == sum(sizes)


def test_measuring_trains_the_ancestor_for_a_while():
    config = override(SEARCH_RECIPES["demo"](), input_hw=(32, 32), batch_size=8)
    workers = Workers(compute=Compute(device="cpu", threads=1, precision="fp32"), executor="inline")
    with as_before():
        begun = time.perf_counter()
        found = measure_throughput(config, workers, num_keypoints=3, seconds=0.2)
        spent = time.perf_counter() - begun
    assert spent > 0.2
    assert 8 / spent < found.images_per_second < 1e6
    assert found.memory_bytes > 10**7
    network = config.evopose2d(config.ancestor, num_keypoints=3)
    from evopose.models.evopose2d_plan import plan_complexity

    assert found.complexity == plan_complexity(network)


def test_a_large_batch_is_measured_in_a_small_one(monkeypatch):
    sizes = []

    def spy(output, target, visible):
        sizes.append(len(output))
        return output.square().sum(), visible.sum().float()

    monkeypatch.setattr("evopose.search.estimate.LOSSES", {"softmax": spy})
    config = override(SEARCH_RECIPES["demo"](), input_hw=(32, 32), batch_size=100_000)
    job = {
        "config": config.to_json(),
        "compute": {"device": "cpu", "threads": 1, "precision": "fp32"},
        "num_keypoints": 3,
        "seconds": 0.0,
    }
    with as_before():
        found = measure_job(job, lambda **told: None)
    assert set(sizes) == {32}
    assert found["memory_bytes"] > 0


def test_an_ancestor_that_cannot_be_trained_is_told(monkeypatch):
    def fail(*args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    from evopose.errors import ConfigError

    monkeypatch.setattr("evopose.search.estimate.build_evopose2d", fail)
    workers = Workers(compute=Compute(device="cpu", threads=1, precision="fp32"), executor="inline")
    with as_before(), pytest.raises(ConfigError, match=r"cannot be trained here.*--batch-size"):
        measure_throughput(SEARCH_RECIPES["demo"](), workers, num_keypoints=3)
