"""Counting a network by running it, against counts by hand."""

import copy

import torch
from torch import Tensor, nn

from evopose.models.complexity import complexity
from evopose.models.layers import StochasticDepth, use_generator


class Tiny(nn.Module):
    """3 -> 4 -> 8 channels, back up, and a linear layer over each position's channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, (3, 5), stride=2, padding=(1, 2))
        self.norm = nn.BatchNorm2d(4)
        self.grouped = nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False)
        self.up = nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1, groups=2)
        self.bare = nn.BatchNorm2d(6, affine=False)
        self.unmeasured = nn.BatchNorm2d(6, track_running_stats=False)
        self.linear = nn.Linear(6, 5)
        self.drop = StochasticDepth(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.grouped(self.norm(self.conv(x)))
        x = self.unmeasured(self.bare(self.drop(self.up(x))))
        return self.linear(x.permute(0, 2, 3, 1))


# for an image of 16 x 12: the strided convolution gives 8 x 6, the transposed one 16 x 12
MACS = (
    (3 * 3 * 5) * 4 * 48  # 45 inputs for each of 4 channels at 48 places
    + (2 * 9) * 8 * 48  # 2 of the 4 channels feed each of 8
    + 8 * (3 * 16) * 48  # each of 8 channels at 48 places writes a 4 x 4 patch of 3 channels
    + 6 * 5 * 192
)
TRAINABLE = (45 * 4 + 4) + 8 + 18 * 8 + (8 * 3 * 16 + 6) + 12 + (6 * 5 + 5)


def test_a_network_counted_by_hand() -> None:
    found = complexity(Tiny(), input_hw=(16, 12))
    assert found.num_macs == MACS
    assert found.num_trainable == TRAINABLE
    assert found.num_parameters == TRAINABLE + 2 * 4 + 2 * 6


def test_the_network_is_left_as_it_was() -> None:
    net = Tiny().train()
    use_generator(net, torch.Generator().manual_seed(0))
    state, drawn = copy.deepcopy(net.state_dict()), net.drop.generator.get_state()
    complexity(net, input_hw=(16, 12))
    assert net.training
    assert all(not module._forward_hooks for module in net.modules())
    assert torch.equal(net.drop.generator.get_state(), drawn)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert tensor.device.type == "cpu"
    assert net(torch.zeros(2, 3, 16, 12)).shape == (2, 16, 12, 5)


def test_multiply_adds_grow_with_the_image_and_parameters_do_not() -> None:
    small, large = (complexity(Tiny(), input_hw=(side, side)) for side in (16, 32))
    assert large.num_macs == 4 * small.num_macs
    assert large.num_parameters == small.num_parameters
