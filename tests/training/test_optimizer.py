"""Which weights decay, and how."""

import pytest
import torch
from torch import nn

from evopose.models.layers import DepthwiseConv2d
from evopose.training.config import TrainConfig
from evopose.training.optimizer import make_optimizer
from training.toys import make_net


def test_kernels_decay_but_depthwise_ones_biases_and_batch_norms_do_not() -> None:
    net = make_net()
    decayed, others = make_optimizer(net, TrainConfig(epochs=1, weight_decay=2e-5)).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (2e-5, 0)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    groups = [{names[id(p)] for p in group["params"]} for group in (decayed, others)]
    assert groups[0] | groups[1] == set(names.values())
    assert len(decayed["params"]) + len(others["params"]) == len(names)
    for name in names.values():
        kernel = name.endswith("conv.weight") or name.endswith(("reduce.weight", "expand.weight"))
        assert (name in groups[0]) == (kernel and "dwconv" not in name), name
    assert {"stem_conv.weight", "head.0.conv.weight", "final_conv.weight"} <= groups[0]
    assert {"stages.0.0.se_reduce.weight", "stages.1.0.project_conv.weight"} <= groups[0]
    depthwise = [m for m in net.modules() if isinstance(m, DepthwiseConv2d)]
    assert len(depthwise) == 4


def one_step(optimizer: str, gradient: float) -> float:
    """Return a weight of 2 after one step at rate 0.1 and decay 0.5."""
    net = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(net.weight, 2.0)
    config = TrainConfig(epochs=1, learning_rate=0.1, weight_decay=0.5, optimizer=optimizer)
    net.weight.grad = torch.full_like(net.weight, gradient)
    make_optimizer(net, config).step()
    return net.weight.item()


@pytest.mark.parametrize("gradient", [-0.25, 0.0, 3.0])
def test_adam_adds_the_decay_to_the_gradient(gradient) -> None:
    whole = gradient + 0.5 * 2  # Keras: the gradient of 0.25 w^2 is 0.5 w
    assert one_step("adam", gradient) == pytest.approx(2 - 0.1 * whole / (abs(whole) + 1e-8))


def test_adamw_takes_it_off_the_weight() -> None:
    assert one_step("adamw", 3.0) == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)
    assert one_step("adamw", 0.0) == pytest.approx(2 * (1 - 0.1 * 0.5))


def test_all_parameters_decay_where_a_recipe_says_so() -> None:
    net = make_net()
    config = TrainConfig(epochs=1, weight_decay=1e-5, decay_all=True)
    decayed, others = make_optimizer(net, config).param_groups
    assert len(decayed["params"]) == len(list(net.parameters()))
    assert not others["params"]
