"""Averages over training steps, against averages written out."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from evopose.training.averages import warm_batch_norms, weight_average


@pytest.mark.parametrize("warm", [False, True])
def test_the_average_of_weights_follows_its_formula(warm):
    net = nn.Linear(1, 1, bias=False)
    values = np.random.default_rng(0).normal(size=40)
    averaged = AveragedModel(net, multi_avg_fn=weight_average(0.9, warm=warm), use_buffers=True)
    expected = None
    for step, value in enumerate(values):
        net.weight.data.fill_(value)
        averaged.update_parameters(net)
        keep = min(0.9, (1 + step) / (10 + step)) if warm else 0.9
        expected = value if expected is None else keep * expected + (1 - keep) * value
    assert averaged.module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_warm_batch_norms_hold_the_plain_average_of_all_steps():
    net = nn.Sequential(nn.BatchNorm2d(3, momentum=0.01))
    batches = torch.randn(20, 8, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 5
    for step, batch in enumerate(batches):
        warm_batch_norms(net, step)
        net(batch)
    plain = batches.mean((1, 3, 4)).mean(0)
    torch.testing.assert_close(net[0].running_mean, plain, rtol=1e-5, atol=1e-5)
    warm_batch_norms(net, 10_000)
    assert net[0].momentum == 0.01


def test_counts_are_taken_over_not_averaged():
    net = nn.BatchNorm2d(2)
    averaged = AveragedModel(net, multi_avg_fn=weight_average(0.9, warm=True), use_buffers=True)
    for _ in range(3):
        net(torch.randn(4, 2, 3, 3))
        averaged.update_parameters(net)
    assert averaged.module.num_batches_tracked == 3
