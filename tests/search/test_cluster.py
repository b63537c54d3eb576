"""What a search may use of a cluster, as far as no cluster is needed to know it."""

from dataclasses import replace

import pytest

from evopose.api import plan_search
from evopose.errors import ConfigError
from evopose.evolution.executors.ray_cluster import Machine, spread
from evopose.models.devices import cpu_count
from evopose.recipes import SEARCH_RECIPES
from evopose.search.cluster import Cluster, choose_cluster
from evopose.search.session import Workers, stopwatch_of
from evopose.training.compute import Compute

CPU = Compute(device="cpu", threads=2, precision="fp32")
CLUSTER = Cluster(address="auto", limit=None, gpus=0, shared=None, device="Ray on 9 machines")


def machine(id, cpus, gpus=0):
    return Machine(id=id, address=id, cpus=cpus, gpus=gpus)


@pytest.mark.parametrize(
    ("cpus", "gpus", "threads", "each", "room"),
    [(8, 0, 1, 0, 8), (8, 0, 3, 0, 2), (8, 2, 1, 0.5, 4), (8, 2, 4, 0.5, 2), (8, 0, 1, 1, 0),
     (30, 3, 1, 0.1, 30)],
)  # fmt: skip
def test_a_machine_holds_what_its_cpus_and_gpus_do(cpus, gpus, threads, each, room):
    assert machine("a", cpus, gpus).room(threads, each) == room


def test_workers_are_spread_over_machines_that_have_room():
    machines = {name: machine(name, cpus) for name, cpus in {"a": 3, "b": 1, "c": 2}.items()}
    found = [one.id for one in spread(machines, ["a"], threads=1, gpus=0)]
    assert found == ["b", "c", "a", "c", "a"]


def test_this_machine_as_a_cluster():
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'evopose[ray]'")
    compute, count, cluster = choose_cluster("cpu", precision="fp32")
    assert (compute.device, compute.threads, count) == ("cpu", 1, cpu_count())
    assert (cluster.address, cluster.gpus) == (None, 0)
    with pytest.raises(ConfigError, match=f"this machine has room for {cpu_count()} workers of 1"):
        choose_cluster("cpu", precision="fp32", count=cpu_count() + 1)
    for wrong in ({"count": 0}, {"gpus": -1.0}):
        with pytest.raises(ConfigError, match="got"):
            choose_cluster("cpu", precision="fp32", **wrong)


def test_the_ancestor_has_what_its_machine_keeps_for_it():
    workers = Workers(compute=CPU, count=9, executor="ray", cluster=CLUSTER)
    assert workers.threads_alone == 2
    assert workers.describe() == "Ray on 9 machines"


def test_latency_is_not_measured_on_a_cluster():
    config = SEARCH_RECIPES["demo"]()
    fitness = replace(config.evolution.fitness, target_latency_ms=5.0)
    config = replace(config, evolution=replace(config.evolution, fitness=fitness))
    workers = Workers(compute=CPU, executor="ray", cluster=CLUSTER)
    with pytest.raises(ConfigError, match="with --latency-device"):
        stopwatch_of(config, workers, num_keypoints=17)
    assert stopwatch_of(config, replace(workers, latency=CPU), num_keypoints=17) is not None


@pytest.mark.parametrize("option", [{"address": "auto"}, {"gpus_per_worker": 0.0}, {"shared": "x"}])
def test_options_of_a_cluster_need_one(dots, tmp_path, option):
    with pytest.raises(ConfigError, match="go with --executor ray"):
        plan_search(dots, recipe="demo", run=tmp_path / "run", **option)
