"""Latency: measured before training, on a device that is there, alike for alike."""

import time

import pytest
import torch

from evopose.recipes import SEARCH_RECIPES
from evopose.search.latency import make_stopwatch, measure_latency
from evopose.search.overrides import override
from evopose.search.session import Workers, stopwatch_of
from evopose.training.compute import Compute
from tiny_runs import as_before

CPU = Compute(device="cpu", threads=1, precision="fp32")


class Sleeper(torch.nn.Module):
    """A network of known latency, but for its first calls."""

    def __init__(self, milliseconds):
        super().__init__()
        self.milliseconds, self.calls = milliseconds, 0

    def forward(self, x):
        self.calls += 1
        assert not self.training
        time.sleep((500 if self.calls == 1 else self.milliseconds) / 1000)
        return x


@pytest.mark.parametrize("milliseconds", [4, 16])
def test_the_median_is_told_and_warming_up_is_left_out(milliseconds):
    net = Sleeper(milliseconds)
    with as_before():
        found = measure_latency(net, (8, 8), CPU)
    assert milliseconds <= found < milliseconds + 8  # a busy machine oversleeps
    assert 16 <= net.calls <= 205


def test_the_threads_of_this_process_stay_what_they_were():
    before = torch.get_num_threads()
    measure_latency(Sleeper(1), (8, 8), Compute(device="cpu", threads=1, precision="fp32"))
    assert torch.get_num_threads() == before


def test_networks_of_a_search_are_measured_only_where_its_fitness_asks():
    config = override(SEARCH_RECIPES["demo"](), input_hw=(32, 32))
    workers = Workers(compute=CPU)
    assert stopwatch_of(config, workers, num_keypoints=3) is None
    config = override(config, max_latency_ms=1e4)
    watch = stopwatch_of(config, workers, num_keypoints=3)
    assert watch.device == CPU.describe()
    with as_before():
        assert 0.1 < watch.measure(config.ancestor) < 1e4


def test_twice_the_blocks_take_longer():
    config = override(SEARCH_RECIPES["demo"](), input_hw=(96, 64))
    watch = make_stopwatch(config, CPU, num_keypoints=3)
    deep = config.ancestor
    for stage in range(7):
        deep = deep.with_gene(stage, "repeats", 4)
    with as_before():
        times = [(watch.measure(config.ancestor), watch.measure(deep)) for _ in range(5)]
    shallow_ms, deep_ms = map(min, zip(*times, strict=True))  # other work only slows
    assert deep_ms / shallow_ms > 1.1
