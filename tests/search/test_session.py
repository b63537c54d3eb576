"""Workers, sizes, and the parts of a dataset that a search uses."""

import pytest

from evopose.data.layouts import open_dataset
from evopose.errors import ConfigError
from evopose.evolution.fitness import Size
from evopose.genotype import neighbours
from evopose.models.complexity import complexity
from evopose.models.evopose2d import build_evopose2d
from evopose.recipes import SEARCH_RECIPES
from evopose.search.session import choose_workers, make_executor, make_measure, parts_of
from evopose.training.compute import Compute

CPU = Compute(device="cpu", threads=1, precision="fp32")
GPU = Compute(device="cuda:0", threads=1, precision="bf16")


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch):
    monkeypatch.setattr("evopose.search.session.cpu_count", lambda: 8)


@pytest.mark.parametrize(
    ("compute", "count", "threads", "expected"),
    [
        (CPU, None, None, (8, 1)),
        (CPU, 2, None, (2, 4)),
        (CPU, None, 3, (2, 3)),
        (CPU, 8, 1, (8, 1)),
        (CPU, 3, None, (3, 2)),
        (GPU, None, None, (1, 8)),
        (GPU, 2, None, (2, 4)),
    ],
)
def test_workers_times_threads_is_what_the_cpus_hold(compute, count, threads, expected):
    workers = choose_workers(compute, count, threads)
    assert (workers.count, workers.compute.threads) == expected
    assert workers.compute.device == compute.device


@pytest.mark.parametrize(
    ("count", "threads"), [(9, None), (None, 9), (2, 5), (0, None), (None, 0), (0, 0), (-1, None)]
)
def test_more_or_less_than_there_is_is_refused(count, threads):
    with pytest.raises(ConfigError, match="do not fit 8 CPUs; give --workers and --threads"):
        choose_workers(CPU, count, threads)


def test_inline_is_one_worker():
    workers = choose_workers(CPU, None, None, "inline")
    assert (workers.count, workers.compute.threads) == (1, 8)
    assert len(make_executor(workers).slots) == 1
    with pytest.raises(ConfigError, match="inline trains one individual at a time"):
        choose_workers(CPU, 2, None, "inline")


@pytest.mark.parametrize(
    ("count", "threads", "alone"),
    [(1, 1, 1), (2, 1, 1), (8, 1, 4), (2, 4, 4), (1, 8, 8), (3, 2, 3)],
)
def test_the_ancestor_has_the_threads_of_half_the_workers(count, threads, alone):
    assert choose_workers(CPU, count, threads).threads_alone == alone


def test_an_unknown_executor_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no executor 'cluster'; there are inline, process"):
        choose_workers(CPU, None, None, "cluster")


def test_sizes_are_those_of_the_built_networks():
    config = SEARCH_RECIPES["small"]()
    measure = make_measure(config, 5)
    mutants = [m.genotype for m in neighbours(config.ancestor, config.space)]
    for genotype in [config.ancestor, *mutants[::17]]:
        net = build_evopose2d(config.evopose2d(genotype, num_keypoints=5))
        found = complexity(net, input_hw=config.input_hw)
        assert measure(genotype) == Size(
            num_parameters=found.num_parameters, num_macs=found.num_macs
        )


def test_fitness_is_measured_on_images_that_nothing_trains_on(dots):
    splits = open_dataset(dots)
    parts = parts_of(splits)
    assert list(parts) == ["train", "fitness", "val"]
    ids = {name: {image.id for image in part.images} for name, part in parts.items()}
    assert ids["train"] & ids["fitness"] == set()
    assert ids["train"] | ids["fitness"] == {image.id for image in splits.train.images}
    assert ids["val"] == {image.id for image in splits.val.images}
