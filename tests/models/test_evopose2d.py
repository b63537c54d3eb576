"""The network: what it computes, how it starts, what it consists of."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from evopose.genotype import GENOTYPES, Genotype
from evopose.models.complexity import complexity
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig, heatmap_hw, plan_complexity
from evopose.models.layers import DepthwiseConv2d, SharedRows, StochasticDepth, use_generator
from models.reference_networks import reference_networks
from models.same_padding import same_heatmaps
from random_networks import difference, random_images, random_network

SMALL = Genotype.from_list([[3, 1, 2, 1], [5, 2, 2, 2], [3, 2, 3, 2], [5, 1, 3, 1]])


def small(**options) -> EvoPose2DConfig:
    values = {
        "genotype": SMALL, "input_hw": (64, 48), "num_keypoints": 5, "stem_channels": 8,
        "head_channels": 16, "scaling_reference": None,
    }  # fmt: skip
    return EvoPose2DConfig(**values | options)


@pytest.mark.parametrize("name", ["XS", "XS_fk3", "M", "default_96x72_official_scaling"])
def test_the_built_module_has_the_official_counts(shared, name) -> None:
    row, config = reference_networks(shared)[name]
    with torch.device("meta"):
        net = EvoPose2D(config)
    found = complexity(net, input_hw=config.input_hw)
    assert found.num_parameters == row["params"]
    assert found.num_trainable == row["trainable_params"]
    assert found.num_macs == row["conv_macs"]
    assert found == plan_complexity(config)
    images = torch.empty(2, 3, *config.input_hw, device="meta")
    height, width, keypoints = row["output_shape"]
    assert net(images).shape == (2, keypoints, height, width)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(convolutions) + len(norms) == row["n_layers_with_weights"]


@pytest.mark.parametrize(
    "config",
    [
        small(),
        small(input_hw=(75, 53)),
        small(input_hw=(33, 64)),
        small(input_hw=(13, 7)),
        small(final_kernel=3),
        small(final_kernel=5, input_hw=(41, 30)),
        *(small(head_kernel=kernel, input_hw=(37, 50)) for kernel in (2, 3, 4, 5)),
        small(genotype=SMALL.with_gene(1, "kernel", 7).with_gene(3, "stride", 2)),
        small(genotype=GENOTYPES["evopose2d-xs"], input_hw=(67, 45), head_blocks=2),
    ],
    ids=lambda c: f"{c.input_hw}-head{c.head_kernel}x{c.head_blocks}-final{c.final_kernel}",
)
@torch.no_grad()
def test_padding_follows_tensorflows_same_rule_at_every_size(config) -> None:
    net = random_network(config, seed=1)
    images = random_images(2, config.input_hw)
    expected = same_heatmaps(net, images)
    found = net(images)
    assert found.shape == (2, config.num_keypoints, *heatmap_hw(config))
    assert difference(found, expected) < 1e-5


@torch.no_grad()
def test_images_go_in_upright_and_heatmaps_come_out_upright() -> None:
    config = small(genotype=GENOTYPES["narrow"], input_hw=(256, 256))
    net = random_network(config, seed=0)
    dark = torch.zeros(1, 3, 256, 256)
    for top in (0, 1):
        for left in (0, 1):
            spot = dark.clone()
            spot[:, :, 30 + 190 * top :, 30 + 190 * left :][:, :, :6, :6] = 9.0
            changed = (net(spot) - net(dark)).abs().sum((0, 1))
            quadrants = changed.unflatten(0, (2, -1)).unflatten(2, (2, -1)).sum((1, 3))
            assert quadrants.argmax() == 2 * top + left


def test_the_state_dict_holds_the_network_and_nothing_else() -> None:
    net = build_evopose2d(small())
    expected = {name for name, _ in net.named_parameters()}
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            for what in ("running_mean", "running_var", "num_batches_tracked"):
                expected.add(f"{name}.{what}")
    assert set(net.state_dict()) == expected
    counted = sum(t.numel() for n, t in net.state_dict().items() if "num_batches" not in n)
    assert counted == plan_complexity(net.config).num_parameters
    for tensor in net.state_dict().values():
        assert tensor.dtype in (torch.float32, torch.int64)


def keras_fan_out(net: EvoPose2D, module: nn.Conv2d | nn.ConvTranspose2d) -> int:
    """The last axis of the kernel in Keras' layout, times its area."""
    height, width = module.kernel_size
    if isinstance(module, nn.ConvTranspose2d):
        return module.in_channels * height * width  # (k, k, out, in)
    if module.groups > 1:
        return height * width  # (k, k, channels, 1)
    return module.out_channels * height * width  # (k, k, in, out)


def test_weights_start_as_keras_would_draw_them() -> None:
    net = build_evopose2d(EvoPose2DConfig(genotype=GENOTYPES["evopose2d-s"]), seed=3)
    seen = set()
    for module in net.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        weight, fan_out = module.weight.detach().numpy().astype(float), keras_fan_out(net, module)
        final = module is net.final_conv
        # the normal's tails are cut at two of its own sigmas; 0.8796 is what that leaves of them
        bound = math.sqrt(1 / fan_out) if final else 2 * math.sqrt(2 / fan_out) / 0.87962566
        std = bound / math.sqrt(3) if final else math.sqrt(2 / fan_out)
        if weight.size > 500:
            assert weight.std() == pytest.approx(std, rel=4 / math.sqrt(weight.size))
            assert abs(weight.mean()) < 4.5 * std / math.sqrt(weight.size)
            assert np.abs(weight).max() > 0.93 * bound
            seen.add((type(module), module.groups > 1, final))
        assert np.abs(weight).max() <= bound * (1 + 1e-6)
        if module.bias is not None:
            assert not module.bias.any()
    assert len(seen) == 4
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        assert (norm.eps, norm.momentum, int(norm.num_batches_tracked)) == (1e-3, 0.01, 0)
        assert norm.weight.eq(1).all()
        assert norm.running_var.eq(1).all()
        assert not norm.bias.any()
        assert not norm.running_mean.any()


def test_building_depends_on_the_seed_and_touches_no_global_generator() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    python_state = random.getstate()
    first, again, other = (build_evopose2d(small(), seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    assert random.getstate() == python_state
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.stem_conv.weight, other.stem_conv.weight)


def test_gradients_reach_every_parameter() -> None:
    net = random_network(small(), seed=2).train()
    for module in net.modules():
        if isinstance(module, StochasticDepth):
            module.rate = 0.0
    net(random_images(4, (64, 48))).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_only_blocks_with_a_skip_are_ever_dropped() -> None:
    net = build_evopose2d(small())
    rates = [[(block.shape.skip, block.drop.rate > 0) for block in stage] for stage in net.stages]
    # stages 1 and 4 have one block: 8 -> 16 channels without a skip, and 24 -> 24 with one
    assert rates == [
        [(False, False)],
        [(False, False), (True, True)],
        [(False, False), (True, True)],
        [(True, True)],
    ]


def test_stochastic_depth_drops_whole_samples_and_keeps_the_expectation() -> None:
    rate, count = 0.3, 20_000
    drop = StochasticDepth(rate).train()
    x = torch.randn(count, 2, 1, 2, generator=torch.Generator().manual_seed(0)) + 1
    before = torch.get_rng_state()
    use_generator(nn.Sequential(drop), torch.Generator().manual_seed(1))
    y = drop(x)
    assert torch.equal(torch.get_rng_state(), before)
    kept = y.flatten(1).abs().sum(1) > 0
    torch.testing.assert_close(y[kept], x[kept] / (1 - rate))
    assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=4 * 0.46 / math.sqrt(count))
    torch.testing.assert_close(y.mean(0), x.mean(0), atol=0.05, rtol=0)
    use_generator(drop, torch.Generator().manual_seed(1))
    assert torch.equal(drop(x), y)
    assert torch.equal(drop.eval()(x), x)


def test_a_sample_is_dropped_wherever_it_is() -> None:
    drop = StochasticDepth(0.5).train()
    x = torch.ones(11, 1, 1, 1)
    use_generator(drop, torch.Generator().manual_seed(1))
    whole = drop(x)
    assert 0 < whole.count_nonzero() < 11
    for processes in (2, 3, 12):
        for rank in range(processes):
            here = slice(rank, None, processes)
            rows = SharedRows(count=11, here=here)
            use_generator(drop, torch.Generator().manual_seed(1), rows)
            assert torch.equal(drop(x[here]), whole[here])


@torch.no_grad()
def test_depthwise_convolutions_stay_in_float32_inside_autocast_on_the_cpu() -> None:
    net, images = random_network(small(), seed=4), random_images(2, (64, 48))
    dtypes: dict[type, set[torch.dtype]] = {}
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda m, _, output: dtypes.setdefault(type(m), set()).add(output.dtype)
            )
    with torch.autocast("cpu", torch.bfloat16):
        mixed = net(images)
    assert dtypes == {nn.Conv2d: {torch.bfloat16}, DepthwiseConv2d: {torch.float32}}
    assert difference(mixed.float(), net(images)) < 0.05
