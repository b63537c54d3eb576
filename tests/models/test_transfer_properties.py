"""Both rules on small networks of any shape: what is kept, and what the report says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evopose.genotype import Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig, plan
from evopose.models.transfer import TRANSFER_RULES, TransferReport, inherit_weights
from random_networks import difference, heatmaps, random_images, random_network

HW = (32, 24)
PARENT_MARK = 1000.0
examples = settings(max_examples=40, deadline=None, derandomize=True)


def tiny(genes: list[list[int]], **options: int) -> EvoPose2DConfig:
    settings = {"num_keypoints": 3, "stem_channels": 16, "head_channels": 8, "head_blocks": 2}
    return EvoPose2DConfig(
        genotype=Genotype.from_list(genes),
        input_hw=HW,
        scaling_reference=None,
        **(settings | options),
    )


@st.composite
def configs(draw: st.DrawFn, stages: int = 3) -> EvoPose2DConfig:
    genes = [
        [draw(st.sampled_from([3, 5])), *(draw(st.integers(1, 3)) for _ in range(2)), stride]
        for stride in draw(st.lists(st.integers(1, 2), min_size=stages, max_size=stages))
    ]
    return tiny(
        genes,
        num_keypoints=draw(st.integers(2, 3)),
        stem_channels=draw(st.sampled_from([8, 16, 24])),
        head_channels=draw(st.sampled_from([8, 16])),
        head_kernel=draw(st.integers(3, 4)),
        final_kernel=draw(st.sampled_from([1, 3])),
    )


@st.composite
def grown(draw: st.DrawFn, config: EvoPose2DConfig) -> EvoPose2DConfig:
    genes = [
        [
            kernel + 2 * draw(st.integers(0, 1)),
            repeats + draw(st.integers(0, 2)),
            filters + draw(st.integers(0, 2)),
            stride,
        ]
        for kernel, repeats, filters, stride in config.genotype.to_list()
    ]
    return replace(
        config,
        genotype=Genotype.from_list(genes),
        stem_channels=config.stem_channels + 8 * draw(st.integers(0, 1)),
        head_channels=config.head_channels + 8 * draw(st.integers(0, 1)),
        head_kernel=config.head_kernel + draw(st.integers(0, 1)),
        final_kernel=config.final_kernel + 2 * draw(st.integers(0, 1)),
    )


def first_skips(config: EvoPose2DConfig) -> list[bool]:
    return [stage[0].skip for stage in plan(config).stages]


@given(st.data(), configs())
@examples
def test_growing_keeps_the_function_in_both_modes(
    data: st.DataObject, config: EvoPose2DConfig
) -> None:
    larger = data.draw(grown(config))
    parent, child = random_network(config, 1), build_evopose2d(larger, seed=2).eval()
    report = inherit_weights(parent, child)
    same_skips = first_skips(config) == first_skips(larger)
    assert report.preserves_function == same_skips
    assert report.needs_bn_reestimation != same_skips
    if same_skips:
        images = random_images(2, HW)
        assert difference(heatmaps(child, images), heatmaps(parent, images)) < 1e-5
        parent.train()
        child.train()
        assert difference(heatmaps(child, images), heatmaps(parent, images)) < 1e-4


@pytest.mark.parametrize("rule", TRANSFER_RULES)
@given(st.data(), configs(), configs())
@examples
def test_the_report_accounts_for_every_entry(
    rule: str, data: st.DataObject, config: EvoPose2DConfig, other: EvoPose2DConfig
) -> None:
    parent, child = build_evopose2d(config), build_evopose2d(other, seed=2)
    mark(parent)
    report = inherit_weights(parent, child, rule)
    state = child.state_dict()
    named = [t.name for t in report.tensors]
    assert named == [key for key in state if not key.endswith("num_batches_tracked")]
    for tensor in report.tensors:
        values = state[tensor.name]
        assert tensor.size == values.numel()
        assert int((values >= PARENT_MARK).sum()) == tensor.copied + tensor.filled
        assert int((values == 0).sum()) >= tensor.zeroed
    total = sum(state[name].numel() for name in named)
    assert report.share_inherited == sum(t.copied for t in report.tensors) / total


def mark(net: EvoPose2D) -> None:
    """Number the entries of `net` from `PARENT_MARK` on, all differently."""
    start = int(PARENT_MARK)
    for key, tensor in net.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            numbers = torch.arange(start, start + tensor.numel(), dtype=torch.float32)
            tensor.copy_(numbers.reshape(tensor.shape))
            start += tensor.numel()


@pytest.mark.parametrize("rule", TRANSFER_RULES)
def test_an_equal_child_becomes_a_copy(rule: str) -> None:
    config = tiny([[3, 1, 2, 1], [5, 2, 3, 2], [3, 2, 3, 1]])
    parent, child = random_network(config, 1), build_evopose2d(config, seed=2)
    before = {key: value.clone() for key, value in parent.state_dict().items()}
    report = inherit_weights(parent, child, rule)
    for key, value in before.items():
        assert torch.equal(parent.state_dict()[key], value)
        assert torch.equal(child.state_dict()[key], value)
    assert {t.action for t in report.tensors} == {"copied"}
    assert (report.share_inherited, report.reasons) == (1.0, ())
    assert not report.needs_bn_reestimation
    assert report.summary() == f"{rule}: 100.0% of the parameters inherited; function kept"


def test_nothing_in_a_grown_child_is_dead() -> None:
    """Zeros meet something that is not zero, so a few steps move every tensor."""
    parent = random_network(tiny([[3, 1, 1, 1], [3, 1, 2, 2], [3, 2, 2, 1]]), 1)
    child = build_evopose2d(tiny([[5, 2, 2, 1], [3, 2, 3, 2], [3, 3, 4, 1]]), seed=2).train()
    inherit_weights(parent, child)
    before = {key: value.detach().clone() for key, value in child.named_parameters()}
    optimiser = torch.optim.Adam(child.parameters(), lr=0.01)
    for step in range(3):
        optimiser.zero_grad()
        child(random_images(4, HW, seed=step)).square().mean().backward()
        optimiser.step()
    for key, value in child.named_parameters():
        assert not torch.equal(value, before[key]), key


def shrunk(parent: EvoPose2D, genes: list[list[int]], **options: int) -> TransferReport:
    """Assert that the smaller child computes what `parent` does, and return the report."""
    child = build_evopose2d(tiny(genes, **options), seed=2).eval()
    report = inherit_weights(parent, child)
    images = random_images(2, HW)
    assert difference(heatmaps(child, images), heatmaps(parent, images)) < 1e-5
    assert report.share_inherited == 1.0
    assert report.needs_bn_reestimation
    assert {t.action for t in report.tensors} <= {"copied", "cropped"}
    return report


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_shrinking_drops_the_channels_that_nothing_reads(seed: int) -> None:
    """Two streams tied by a skip, their readers' hidden channels and squeeze units.

    The first stream alone would rank its unread channels highest: only its writers are strong.
    """
    parent = random_network(tiny([[3, 1, 1, 1], [3, 2, 3, 2], [5, 1, 3, 1]]), seed)
    assert plan(parent.config).stages[2][0].skip
    rng = np.random.default_rng(seed)
    unread = rng.permutation(24) < 8
    first, second, last = parent.stages[1][0], parent.stages[1][1], parent.stages[2][0]
    for block in (first, second):
        block.project_conv.weight[~unread] *= 0.1
    last.project_conv.weight[unread] = 0
    parent.head[0].conv.weight *= 10
    parent.head[0].conv.weight[unread] = 0
    for block in (second, last):
        hidden = rng.choice(144, 48, replace=False)
        squeeze = rng.choice(6, 2, replace=False)
        block.expand_conv.weight *= 0.1
        block.expand_conv.weight[:, unread] = 0
        for kernel in (block.expand_conv, block.dwconv, block.se_expand):
            kernel.weight[hidden] = 0
        for kernel in (block.se_reduce, block.project_conv):
            kernel.weight[:, hidden] = 0
        block.se_reduce.weight[squeeze] = 0
        block.se_expand.weight[:, squeeze] = 0
    report = shrunk(parent, [[3, 1, 1, 1], [3, 2, 2, 2], [5, 1, 2, 1]])
    assert report.reasons == ("stage 2: channels 24 -> 16", "stage 3: channels 24 -> 16")


@pytest.mark.parametrize("idle", [1, 2])
@torch.no_grad()
def test_shrinking_drops_the_block_that_does_nothing(idle: int) -> None:
    parent = random_network(tiny([[3, 1, 1, 1], [3, 3, 2, 2]]), 1)
    last = parent.stages[1][idle].project_bn
    last.weight[:], last.bias[:] = 1e-9, 0
    last.running_mean[:] = 0
    report = shrunk(parent, [[3, 1, 1, 1], [3, 2, 2, 2]])
    assert report.reasons == ("stage 2: blocks 3 -> 2",)


@torch.no_grad()
def test_shrinking_a_kernel_keeps_its_centre() -> None:
    genes = [[5, 2, 1, 1], [5, 1, 2, 2]]
    parent = random_network(tiny(genes, head_kernel=5, final_kernel=3), 1)
    kernels = [block.dwconv for stage in parent.stages for block in stage]
    for module in (*kernels, parent.final_conv, *(block.conv for block in parent.head)):
        module.weight[:, :, [0, -1]] = 0
        module.weight[:, :, :, [0, -1]] = 0
    report = shrunk(parent, [[3, 2, 1, 1], [3, 1, 2, 2]], head_kernel=3, final_kernel=1)
    assert report.reasons == (
        "stage 1: kernel 5 -> 3",
        "stage 2: kernel 5 -> 3",
        "head: kernel 5 -> 3",
        "final convolution: kernel 3 -> 1",
    )
