"""Batch-norm statistics estimated anew, against NumPy's over what each batch norm was given."""

import numpy as np
import pytest
import torch
from torch import nn

from evopose.training.batch_norm import reestimate_batch_norm
from random_networks import random_images, random_network
from training.toys import NETWORK


def test_statistics_are_the_plain_averages_over_the_batches() -> None:
    net = random_network(NETWORK, seed=0)
    weights = {name: p.detach().clone() for name, p in net.named_parameters()}
    given: dict[str, list[np.ndarray]] = {}
    norms = {n: m for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, norm in norms.items():
        norm.register_forward_pre_hook(
            lambda module, args, name=name: given.setdefault(name, []).append(args[0].numpy())
        )
    batches = [random_images(count, (32, 32), seed) for seed, count in enumerate((4, 4, 2))]
    assert reestimate_batch_norm(net, iter(batches)) == 3
    assert len(norms) == 13
    for name, norm in norms.items():
        values = np.array([x.astype(float).mean((0, 2, 3)) for x in given[name]])
        np.testing.assert_allclose(norm.running_mean, values.mean(0), rtol=1e-4, atol=1e-5)
        values = np.array([x.astype(float).var((0, 2, 3), ddof=1) for x in given[name]])
        np.testing.assert_allclose(norm.running_var, values.mean(0), rtol=1e-4)
        assert norm.momentum == 0.01
        assert not norm.training
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, weights[name])


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_kept_and_nothing_is_dropped_meanwhile(training) -> None:
    net = random_network(NETWORK, seed=0).train(training)
    before = torch.get_rng_state()
    reestimate_batch_norm(net, [random_images(4, (32, 32))])
    assert all(module.training == training for module in net.modules())
    assert torch.equal(torch.get_rng_state(), before), "stochastic depth drew"


def test_without_inputs_nothing_changes() -> None:
    net = random_network(NETWORK, seed=0)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert reestimate_batch_norm(net, []) == 0
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_failure_leaves_the_momenta_as_they_were() -> None:
    net = random_network(NETWORK, seed=0)
    with pytest.raises(RuntimeError):
        reestimate_batch_norm(net, [torch.zeros(1, 5, 8, 8)])
    assert {m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {0.01}
